//! What deciding costs once the signals are known: 10 decisions of 3 leaves (budget 1 µs) and 100
//! of 5 (budget 10 µs).

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use router::config::decisions::Decision;
use signals::decision::{Decisions, Ranking, Strategy};
use signals::declared::Declared;
use signals::report::{Keys, Kind, SignalReport};
use signals::rules::RuleNode;

/// Signals that the leaves speak of.
const SIGNALS: usize = 40;

fn leaf(at: usize) -> RuleNode {
    RuleNode {
        kind: "keyword".into(),
        name: format!("rule{}", at % SIGNALS),
        ..RuleNode::default()
    }
}

fn node(operator: &str, conditions: Vec<RuleNode>) -> RuleNode {
    RuleNode {
        operator: operator.into(),
        conditions,
        ..RuleNode::default()
    }
}

/// AND over an OR, a NOT and plain leaves: no leaf can be left out by a look at the root.
fn tree(at: usize, leaves: usize) -> RuleNode {
    let any = node("OR", vec![leaf(at * leaves), leaf(at * leaves + 1)]);
    let not = node("NOT", vec![leaf(at * leaves + 2)]);
    let plain = (3..leaves).map(|place| leaf(at * leaves + place));
    node("AND", [any, not].into_iter().chain(plain).collect())
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decisions");
    for (count, leaves) in [(10, 3), (100, 5)] {
        let document: Vec<Decision> = (0..count)
            .map(|at| Decision {
                name: format!("decision{at}"),
                priority: at as i64 % 7,
                rules: Some(tree(at, leaves)),
                ..Decision::default()
            })
            .collect();
        let mut declared = Declared::default();
        (0..SIGNALS).for_each(|at| declared.push(Kind::Keyword, &format!("rule{at}")));
        for ranking in [Ranking::V03, Ranking::V04] {
            decide(&mut group, &document, &declared, ranking);
        }
    }
    group.finish();
}

/// Measures one document under the rules of one ranking.
fn decide(
    group: &mut BenchmarkGroup<'_, WallTime>,
    document: &[Decision],
    declared: &Declared,
    ranking: Ranking,
) {
    let mut keys = Keys::default();
    let Ok(decisions) = Decisions::build(
        document.iter().map(Decision::spec),
        Strategy::Priority,
        ranking,
        &mut keys,
        declared,
    ) else {
        return;
    };
    let shape = format!("{} decisions, {}", document.len(), ranking.as_str());
    for (case, every) in [("none match", SIGNALS), ("half match", 2), ("all match", 1)] {
        let mut report = SignalReport::new(&keys);
        for (at, key) in keys
            .iter()
            .enumerate()
            .filter(|(at, _)| every < SIGNALS && at % every == 0)
        {
            report.emit(key);
            report.set_confidence(key, 0.5 + at as f64 / 100.0);
        }
        let id = BenchmarkId::new(&shape, case);
        group.bench_function(id, |bencher| bencher.iter(|| decisions.decide(&report)));
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
