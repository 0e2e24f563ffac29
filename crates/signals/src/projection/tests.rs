//! The worked examples of the projections.

use super::section as document;
use super::*;
use crate::catalog::ModelCatalog;
use crate::families::Signals;
use crate::families::learned::domain::DomainRule;
use crate::families::learned::embedding::EmbeddingRule;
use crate::scope::Scope;
use ::document::{Findings, Severity};

fn declared() -> Declared {
    let mut declared = Declared::default();
    for name in ["a", "b", "c"] {
        declared.push(Kind::Embedding, name);
        declared.push_domain(&format!("d{name}"), &[]);
    }
    declared
}

fn partition(semantics: &str, temperature: f64, members: &[&str]) -> document::Partition {
    document::Partition {
        name: "p".into(),
        semantics: semantics.into(),
        temperature,
        members: members.iter().map(|&member| member.into()).collect(),
        default: members.first().copied().unwrap_or_default().into(),
        ..document::Partition::default()
    }
}

fn input(kind: &str, name: &str, weight: f64, value_source: &str) -> document::ScoreInput {
    document::ScoreInput {
        kind: kind.into(),
        name: name.into(),
        weight,
        value_source: value_source.into(),
        ..document::ScoreInput::default()
    }
}

fn score<const N: usize>(name: &str, inputs: [document::ScoreInput; N]) -> document::Score {
    document::Score {
        name: name.into(),
        inputs: inputs.into(),
        ..document::Score::default()
    }
}

/// Bands as `name` and the bounds `[gt, gte, lt, lte]`.
fn mapping(source: &str, method: &str, bands: &[(&str, [Option<f64>; 4])]) -> document::Mapping {
    document::Mapping {
        name: format!("of {source}"),
        source: source.into(),
        method: method.into(),
        outputs: bands
            .iter()
            .map(|(name, [gt, gte, lt, lte])| document::MappingOutput {
                name: (*name).into(),
                gt: *gt,
                gte: *gte,
                lt: *lt,
                lte: *lte,
                ..document::MappingOutput::default()
            })
            .collect(),
        ..document::Mapping::default()
    }
}

const ANY: [Option<f64>; 4] = [None, Some(-1e9), None, None];

/// A `type:name` with confidence and value; matched unless it starts with `-`.
type Fact<'a> = (&'a str, Option<f64>, Option<f64>);

fn run(
    projections: &document::Projections,
    facts: &[Fact<'_>],
) -> (Projections, Keys, SignalReport) {
    let mut keys = Keys::default();
    let built = Projections::build(projections, &mut keys, &declared());
    let interned: Vec<Key> = facts
        .iter()
        .map(|(key, ..)| {
            let (kind, name) = key.trim_start_matches('-').split_once(':').unwrap();
            keys.intern(Kind::parse(kind).unwrap(), name)
        })
        .collect();
    let mut report = SignalReport::new(&keys);
    for ((name, confidence, value), &key) in facts.iter().zip(&interned) {
        if !name.starts_with('-') {
            report.emit(key);
        }
        if let Some(confidence) = confidence {
            report.set_confidence(key, *confidence);
        }
        if let Some(value) = value {
            report.set_value(key, *value);
        }
    }
    (built, keys, report)
}

fn shown(keys: &Keys, report: &SignalReport) -> Vec<(String, Option<f64>)> {
    report
        .matches()
        .map(|key| {
            let rounded = report
                .confidence(key)
                .map(|confidence| (confidence * 1e4).round() / 1e4);
            (
                format!("{}:{}", keys.kind(key).as_str(), keys.name(key)),
                rounded,
            )
        })
        .collect()
}

#[track_caller]
fn check(
    projections: &document::Projections,
    facts: &[Fact<'_>],
    expected: &[(&str, Option<f64>)],
) {
    let (built, keys, mut report) = run(projections, facts);
    let mut traced = report.clone();
    built.apply(&mut report);
    let expected: Vec<_> = expected
        .iter()
        .map(|(key, confidence)| ((*key).to_owned(), *confidence))
        .collect();
    assert_eq!(shown(&keys, &report), expected);
    built.apply_traced(&keys, &mut traced);
    assert_eq!(shown(&keys, &traced), expected);
}

#[test]
fn partitions_leave_one_winner() {
    #[track_caller]
    fn partitioned(
        partition: document::Partition,
        facts: &[Fact<'_>],
        expected: &[(&str, Option<f64>)],
    ) {
        let projections = document::Projections {
            partitions: vec![partition],
            ..document::Projections::default()
        };
        check(&projections, facts, expected);
    }
    let all = ["a", "b", "c"];
    let softmax = |temperature| partition("softmax_exclusive", temperature, &all);
    let three: [Fact<'_>; 3] = [
        ("embedding:a", Some(0.82), None),
        ("embedding:b", Some(0.78), None),
        ("embedding:c", Some(0.70), None),
    ];
    partitioned(softmax(0.1), &three, &[("embedding:a", Some(0.5072))]);
    partitioned(softmax(1.0), &three, &[("embedding:a", Some(0.3512))]);
    let two = [
        ("embedding:b", Some(0.55), None),
        ("embedding:a", Some(0.62), None),
    ];
    partitioned(softmax(0.18), &two, &[("embedding:a", Some(0.596))]);
    partitioned(softmax(0.1), &three[..1], &[("embedding:a", Some(0.82))]);
    partitioned(
        partition("exclusive", 0.0, &all),
        &three,
        &[("embedding:a", Some(0.82))],
    );
    // Of equals the first in match order.
    let tied = [
        ("embedding:c", Some(0.7), None),
        ("embedding:b", Some(0.7), None),
    ];
    partitioned(
        partition("exclusive", 0.0, &all),
        &tied,
        &[("embedding:c", Some(0.7))],
    );
    // Nothing competes: the default appears without a confidence, but only once.
    partitioned(
        partition("exclusive", 0.0, &all),
        &[],
        &[("embedding:a", None)],
    );
    let bare = [("embedding:b", None, None), ("embedding:a", None, None)];
    partitioned(
        partition("exclusive", 0.0, &all),
        &bare,
        &[("embedding:b", None), ("embedding:a", None)],
    );
    // A match without a confidence does not compete and survives.
    let mixed = [
        ("embedding:b", None, None),
        ("embedding:c", Some(0.4), None),
    ];
    partitioned(
        partition("exclusive", 0.0, &all),
        &mixed,
        &[("embedding:b", None), ("embedding:c", Some(0.4))],
    );
    // The same for domains; outsiders are untouched.
    let domains = [
        ("domain:da", Some(0.3), None),
        ("domain:db", Some(0.5), None),
        ("domain:x", Some(0.2), None),
    ];
    partitioned(
        partition("exclusive", 0.0, &["da", "db"]),
        &domains,
        &[("domain:db", Some(0.5)), ("domain:x", Some(0.2))],
    );
    // One declared member is no partition.
    partitioned(partition("exclusive", 0.0, &["a"]), &[], &[]);
}

#[test]
fn partitions_keep_values_and_run_in_order() {
    let projections = document::Projections {
        partitions: vec![
            partition("exclusive", 0.0, &["a", "b"]),
            partition("exclusive", 0.0, &["da", "db"]),
            partition("exclusive", 0.0, &["c", "b"]),
        ],
        ..document::Projections::default()
    };
    let facts = [
        ("embedding:a", Some(0.9), Some(0.9)),
        ("embedding:b", Some(0.5), Some(0.5)),
    ];
    let (built, keys, mut report) = run(&projections, &facts);
    let trace = built.apply_traced(&keys, &mut report);
    let ran: Vec<_> = trace
        .partitions
        .iter()
        .map(|one| (one.signal_type, one.winner, one.default_used))
        .collect();
    assert_eq!(
        ran,
        [
            ("domain", None, true),
            ("embedding", Some("a"), false),
            ("embedding", None, true)
        ]
    );
    assert_eq!(trace.partitions[1].contenders, [("a", 0.9), ("b", 0.5)]);
    let loser = keys.get(Kind::Embedding, "b").unwrap();
    assert_eq!(
        (report.confidence(loser), report.value(loser)),
        (None, Some(0.5))
    );
}

fn worked_example() -> document::Projections {
    let bands = [
        ("simple", [None, None, Some(0.3), None]),
        ("medium", [None, Some(0.3), Some(0.76), None]),
        ("hard", [None, Some(0.76), None, None]),
    ];
    let structure = document::ScoreInput {
        miss: -0.2,
        ..input("structure", "s", 0.5, "")
    };
    document::Projections {
        scores: vec![score(
            "difficulty",
            [
                input("keyword", "k", 0.4, ""),
                input("embedding", "e", 0.5, "confidence"),
                input("complexity", "c:hard", 1.0, "confidence"),
                structure,
            ],
        )],
        mappings: vec![mapping("difficulty", "threshold_bands", &bands)],
        ..document::Projections::default()
    }
}

#[test]
fn worked_example_of_scores_and_bands() {
    let facts = [
        ("keyword:k", None, None),
        ("embedding:e", Some(0.62), None),
        ("complexity:c:hard", Some(0.18), None),
    ];
    let (built, keys, mut report) = run(&worked_example(), &facts);
    let trace = built.apply_traced(&keys, &mut report);
    assert!((trace.scores[0].score - 0.79).abs() < 1e-12);
    let contributions: Vec<f64> = trace.scores[0]
        .inputs
        .iter()
        .map(|input| input.contribution)
        .collect();
    assert_eq!(contributions, [0.4, 0.31, 0.18, -0.1]);
    assert_eq!(trace.mappings[0].output, Some("hard"));
    assert_eq!(
        shown(&keys, &report)[3],
        ("projection:hard".to_owned(), Some(0.589))
    );
}

#[test]
fn confidence_of_a_band_grows_from_one_half_at_its_bound() {
    #[track_caller]
    fn banded(score_value: f64, slope: f64, output: &str, confidence: f64) {
        let mut projections = worked_example();
        projections.scores[0].inputs = vec![input("structure", "s", 1.0, "raw")];
        projections.mappings[0].calibration = Some(document::Calibration {
            slope,
            ..document::Calibration::default()
        });
        let facts = [("-structure:s", None, Some(score_value))];
        check(
            &projections,
            &facts,
            &[(&format!("projection:{output}"), Some(confidence))],
        );
    }
    banded(0.79, 0.0, "hard", 0.589);
    banded(0.77, 0.0, "hard", 0.53);
    banded(0.76, 0.0, "hard", 0.5);
    banded(0.5, 0.0, "medium", 0.9168);
    banded(0.5, -3.0, "medium", 0.9168);
    banded(0.5, 1.0, "medium", 0.5498);
}

#[test]
fn inputs_by_type_and_value_source() {
    /// The score of one input of weight 1, read back through the trace.
    #[track_caller]
    fn value(one: document::ScoreInput, facts: &[Fact<'_>], expected: f64) {
        let one = document::ScoreInput { weight: 1.0, ..one };
        let projections = document::Projections {
            scores: vec![score("s", [one])],
            mappings: vec![mapping("s", "", &[("any", ANY)])],
            ..document::Projections::default()
        };
        let (built, keys, mut report) = run(&projections, facts);
        assert_eq!(
            built.apply_traced(&keys, &mut report).scores[0].score,
            expected
        );
    }
    let binary = |kind: &str, on_match, miss| document::ScoreInput {
        on_match,
        miss,
        ..input(kind, "x", 1.0, " Binary ")
    };
    let x = [
        ("keyword:x", None, None),
        ("metadata:x", Some(1.0), None),
        ("authz:x", None, None),
    ];
    value(binary("Keyword ", 0.0, 5.0), &x, 1.0);
    value(binary("keyword", 0.3, 5.0), &x, 0.3);
    value(binary("context", 0.3, 5.0), &x, 5.0);
    // Families without a list of matches, and roles, are always missed.
    value(binary("metadata", 0.3, 5.0), &x, 5.0);
    value(binary("authz", 0.3, 5.0), &x, 5.0);
    value(binary("classifier", 0.3, 5.0), &x, 5.0);
    let confidence = |kind: &str| input(kind, "x", 1.0, "CONFIDENCE");
    value(confidence("keyword"), &x, 1.0);
    value(confidence("metadata"), &x, 0.0);
    value(confidence("event"), &[("event:x", Some(0.5), None)], 0.5);
    value(confidence("event"), &[("event:x", Some(0.0), None)], 1.0);
    value(confidence("event"), &[("event:x", Some(-0.5), None)], 1.0);
    value(confidence("event"), &[("-event:x", Some(0.5), None)], 0.0);
    let raw = |kind: &str| input(kind, "x", 1.0, "raw");
    value(raw("embedding"), &[("-embedding:x", None, Some(0.7))], 0.7);
    value(raw("keyword"), &x, 0.0);
    let metric = document::ScoreInput {
        kb: "Privacy".into(),
        metric: " Margin".into(),
        ..input("kb_metric", "", 1.0, "score")
    };
    value(
        metric.clone(),
        &[("-kb:kb_metric:privacy:margin", None, Some(-0.25))],
        -0.25,
    );
    value(metric, &[], 0.0);
}

#[test]
fn scores_run_in_the_order_of_their_dependencies() {
    let projections = document::Projections {
        scores: vec![
            score(
                "top",
                [
                    input("projection", "base", 1.0, ""),
                    input("projection", "far", 1.0, "confidence"),
                ],
            ),
            score("other", [input("keyword", "k", 2.0, "")]),
            score("base", [input("keyword", "k", 3.0, "")]),
        ],
        mappings: vec![
            mapping(
                "top",
                "multi_emit",
                &[("high", [Some(3.0), None, None, None]), ("all", ANY)],
            ),
            mapping(
                "other",
                "",
                &[
                    ("near", [None, None, None, Some(1.0)]),
                    ("far", [None, Some(2.0), None, None]),
                ],
            ),
            mapping("base", "", &[("none", [Some(9.0), None, None, None])]),
        ],
        ..document::Projections::default()
    };
    let (built, keys, mut report) = run(&projections, &[("keyword:k", None, None)]);
    let trace = built.apply_traced(&keys, &mut report);
    let scores: Vec<_> = trace
        .scores
        .iter()
        .map(|score| (score.name, score.score))
        .collect();
    assert_eq!(scores, [("base", 3.0), ("other", 2.0), ("top", 3.5)]);
    let emitted: Vec<_> = shown(&keys, &report)
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(
        emitted,
        [
            "keyword:k",
            "projection:far",
            "projection:high",
            "projection:all"
        ]
    );
    assert_eq!(
        trace
            .mappings
            .iter()
            .map(|one| one.output)
            .collect::<Vec<_>>(),
        [None, Some("far"), Some("high")]
    );
}

#[test]
fn scores_without_mappings_compute_nothing() {
    let projections = document::Projections {
        mappings: Vec::new(),
        ..worked_example()
    };
    let (built, keys, mut report) = run(&projections, &[("keyword:k", None, None)]);
    assert_eq!(
        built.apply_traced(&keys, &mut report),
        ProjectionTrace::default()
    );
    assert_eq!(shown(&keys, &report).len(), 1);
}

#[test]
fn builds_report_every_problem() {
    let projections = document::Projections {
        partitions: vec![
            document::Partition {
                default: "z".into(),
                ..partition("softmax_exclusive", 0.0, &["a", "da"])
            },
            partition("shared", 0.0, &["a", "ghost"]),
        ],
        scores: vec![
            score("one", [input("projection", "two", 1.0, "")]),
            score("two", [input("projection", "band", 1.0, "confidence")]),
            score(
                "bad",
                [
                    input("astrology", "x", 1.0, ""),
                    input("projection", "ghost", 1.0, ""),
                ],
            ),
            score("bad", []),
        ],
        mappings: vec![
            mapping("one", "", &[("band", [None; 4])]),
            mapping("ghost", "median", &[]),
        ],
    };
    let rules = ["a", "b", "c"];
    let signals = Signals {
        embeddings: rules
            .map(|name| EmbeddingRule {
                name: name.into(),
                ..EmbeddingRule::default()
            })
            .into(),
        domains: rules
            .map(|name| DomainRule {
                name: format!("d{name}"),
                ..DomainRule::default()
            })
            .into(),
        ..Signals::default()
    };
    let scope = Scope {
        path: "routing",
        signals: &signals,
        projections: &projections,
        models: &ModelCatalog::default(),
    };
    let mut findings = Findings::default();
    crate::projection::check(&scope, &mut findings);
    let errors = findings.into_problems().into_iter();
    let found: Vec<String> = errors
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| {
            format!(
                "{}: {}",
                problem.path.trim_start_matches("routing.projections."),
                problem.message
            )
        })
        .collect();
    insta::assert_snapshot!(found.join("\n"), @r#"
    partitions[1].name: `p` is already the name of routing.projections.partitions[0]
    scores[3].name: `bad` is already the name of routing.projections.scores[2]
    partitions[0].temperature: `softmax_exclusive` needs a temperature above 0
    partitions[0].members[0]: the members are of one family, `a` is of the other
    partitions[0].default: `z` is no member
    partitions[1].semantics: `exclusive` or `softmax_exclusive` is wanted; known: exclusive, softmax_exclusive
    partitions[1].members[1]: no domain or embedding rule is called `ghost`; known: da, db, dc, a, b, c
    scores[0].method: the method is `weighted_sum`, not ``
    scores[1].method: the method is `weighted_sum`, not ``
    scores[2].method: the method is `weighted_sum`, not ``
    scores[2].inputs[0].type: no input type is called `astrology`
    scores[2].inputs[1].name: no score is called `ghost`; known: one, two, bad, bad
    scores[3].method: the method is `weighted_sum`, not ``
    scores[0]: the score `one` depends on itself
    scores[1]: the score `two` depends on itself
    mappings[0].method: `threshold_bands` or `multi_emit` is wanted; known: threshold_bands, multi_emit
    mappings[0].outputs[0]: at least one of `gt`, `gte`, `lt`, `lte` is wanted
    mappings[1].source: no score is called `ghost`; known: one, two, bad, bad
    mappings[1].method: `threshold_bands` or `multi_emit` is wanted; known: threshold_bands, multi_emit
    "#);
}

#[test]
fn only_the_best_embeddings_are_kept() {
    #[track_caller]
    fn kept(top_k: i64, expected: &[(&str, Option<f64>)]) {
        let facts = [
            ("embedding:default", None, Some(0.1)),
            ("embedding:b", Some(0.7), Some(0.7)),
            ("keyword:k", None, None),
            ("embedding:c", Some(0.62), Some(0.62)),
            ("embedding:a", Some(0.7), Some(0.7)),
        ];
        let (_, keys, mut report) = run(&document::Projections::default(), &facts);
        keep_top(&mut report, &keys, Kind::Embedding, top_k);
        let found: Vec<_> = shown(&keys, &report)
            .into_iter()
            .filter(|(key, _)| key.starts_with("embedding"))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, confidence)| ((*key).to_owned(), *confidence))
            .collect();
        assert_eq!(found, expected);
        let dropped = keys.get(Kind::Embedding, "c").unwrap();
        assert_eq!(report.value(dropped), Some(0.62));
        assert!(report.is_matched(keys.get(Kind::Keyword, "k").unwrap()));
    }
    let (a, b, c) = (
        ("embedding:a", Some(0.7)),
        ("embedding:b", Some(0.7)),
        ("embedding:c", Some(0.62)),
    );
    let default = ("embedding:default", None);
    kept(1, &[a]);
    kept(-4, &[a]);
    kept(3, &[a, b, c]);
    kept(0, &[default, b, c, a]);
    kept(4, &[default, b, c, a]);
}
