//! What reading a document costs.

use benches::mix;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn document(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("document");
    group.sample_size(20);
    let long = mix::long_document(2000, "word");
    for (name, text) in [("mix", mix::DOCUMENT), ("2,000 lines", &long)] {
        group.bench_function(BenchmarkId::new("check", name), |bencher| {
            bencher.iter(|| mix::read(text));
        });
    }
    group.bench_function("build mix, check included", |bencher| {
        bencher.iter(mix::generation)
    });
    group.finish();
}

criterion_group!(benches, document);
criterion_main!(benches);
