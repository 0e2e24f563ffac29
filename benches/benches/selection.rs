//! What choosing one of eight candidates costs, by algorithm, with and without a forecast of
//! energy.

use benches::candidates;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use selection::algorithms::SelectionRequest;

fn selection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("select among 8");
    for (name, algorithm) in candidates::ALGORITHMS {
        let Ok(generation) = candidates::generation(algorithm) else {
            continue;
        };
        let candidates = &generation.recipes[0].routes[0].candidates;
        let eligible: Vec<usize> = (0..candidates.candidates().len()).collect();
        let asked = SelectionRequest::default();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| candidates.select(&asked, &eligible));
        });
    }
    group.finish();
    let Ok(generation) = candidates::generation("{type: multi_factor}") else {
        return;
    };
    let route = &generation.recipes[0].routes[0];
    let eligible: Vec<usize> = (0..route.candidates.candidates().len()).collect();
    criterion.bench_function("forecasts of 8", |bencher| {
        let tokens = SelectionRequest::default().tokens;
        bencher.iter(|| {
            route
                .forecaster
                .forecasts(route.candidates.candidates(), &eligible, tokens)
        });
    });
}

criterion_group!(benches, selection);
criterion_main!(benches);
