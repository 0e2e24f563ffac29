//! What patterns cost: to load many of them, where the time of each must not grow with their number;
//! and to match one with a long counted repetition, where the time of a byte must have a bound.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dialects::Prompt;
use document::Findings;
use signals::catalog::ModelCatalog;
use signals::families::keyword::{KeywordRule, Method, Operator};
use signals::families::{Deps, Signal, SignalInput, Signals, build};
use signals::projection::section::Projections;
use signals::report::{Keys, SignalReport};
use signals::scope::Scope;

/// Bytes of the text that patterns are matched against.
const TEXT: usize = 120 << 10;

fn load(patterns: Vec<String>) -> (Vec<Box<dyn Signal>>, Keys) {
    let signals = Signals {
        keywords: vec![KeywordRule {
            name: "patterns".into(),
            operator: Some(Operator::Or),
            method: Method::Regex,
            keywords: patterns,
            ..KeywordRule::default()
        }],
        ..Signals::default()
    };
    let mut keys = Keys::default();
    let scope = Scope {
        path: "routing",
        signals: &signals,
        projections: &Projections::default(),
        models: &ModelCatalog::default(),
    };
    let families = build(
        &scope,
        &mut keys,
        &Deps::default(),
        &mut Findings::default(),
    );
    (families, keys)
}

fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("patterns/load");
    group.sample_size(10);
    for count in [1_250, 5_000, 20_000] {
        group.throughput(Throughput::Elements(count));
        let patterns: Vec<String> = (0..count)
            .map(|n| format!(r"\bcase[ -]?{n}(?:st|nd)? of \w+\b"))
            .collect();
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| load(patterns.clone()));
        });
    }
    group.finish();
}

fn matching(criterion: &mut Criterion) {
    let mut random = fastrand::Rng::with_seed(7);
    let texts = [
        ("x", "x".repeat(TEXT)),
        (
            "random",
            (0..TEXT)
                .map(|_| random.choice(['x', ' ', 'z']).unwrap_or('x'))
                .collect(),
        ),
    ];
    let mut group = criterion.benchmark_group("patterns/gap");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(TEXT as u64));
    for (name, text) in texts {
        let mut prompt = Prompt::default();
        // What the patterns demand is there, but not near enough.
        prompt.texts.evaluation = format!("y{text}");
        for gap in [8, 15, 16, 100, 500, 1_000] {
            let (families, keys) = load(vec![format!("x.{{0,{gap}}}y")]);
            let run = || {
                let mut report = SignalReport::new(&keys);
                let input = SignalInput::new(&prompt, None);
                for family in &families {
                    assert!(family.evaluate(&input, &mut report).is_ok());
                }
                report
            };
            group.bench_function(BenchmarkId::new(name, gap), |bencher| bencher.iter(run));
        }
    }
    group.finish();
}

criterion_group!(benches, loading, matching);
criterion_main!(benches);
