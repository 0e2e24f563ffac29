//! What each stage between a body's last frame and the reply costs, for requests of all sizes.

use benches::stages::{REQUESTS, Stages};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn stages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stages");
    for name in REQUESTS {
        let Ok(stages) = Stages::new(name) else {
            continue;
        };
        group.throughput(Throughput::Bytes(stages.bytes() as u64));
        let id = |stage| BenchmarkId::new(stage, name);
        group.bench_function(id("parse"), |bencher| bencher.iter(|| stages.parse()));
        group.bench_function(id("signals"), |bencher| bencher.iter(|| stages.signals()));
        group.bench_function(id("decide"), |bencher| bencher.iter(|| stages.decide()));
        group.bench_function(id("route"), |bencher| bencher.iter(|| stages.route()));
        group.bench_function(id("edit"), |bencher| bencher.iter(|| stages.edit()));
        group.bench_function(id("whole"), |bencher| bencher.iter(|| stages.whole()));
    }
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
