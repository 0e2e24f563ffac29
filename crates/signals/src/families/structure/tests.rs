//! Structure rules as a document declares them.

use super::*;
use crate::families::tests::{compiled, errors};
use crate::families::{Deps, Signals};
use crate::report::Keys;
use dialects::Prompt;

fn regex(pattern: &str) -> StructureSource {
    StructureSource {
        kind: Some(SourceKind::Regex),
        pattern: pattern.into(),
        ..StructureSource::default()
    }
}

fn words(words: &[&str]) -> StructureSource {
    let keywords = words.iter().map(|word| (*word).into()).collect();
    StructureSource {
        kind: Some(SourceKind::KeywordSet),
        keywords,
        ..StructureSource::default()
    }
}

fn sequences(lists: &[&[&str]]) -> StructureSource {
    let sequences = lists
        .iter()
        .map(|list| list.iter().map(|marker| (*marker).into()).collect())
        .collect();
    StructureSource {
        kind: Some(SourceKind::Sequence),
        sequences,
        ..StructureSource::default()
    }
}

fn text_bytes() -> StructureSource {
    StructureSource {
        kind: Some(SourceKind::TextBytes),
        ..StructureSource::default()
    }
}

fn gte(bound: f64) -> NumericPredicate {
    NumericPredicate {
        gte: Some(bound),
        ..NumericPredicate::default()
    }
}

fn rule(
    feature: &str,
    source: StructureSource,
    predicate: Option<NumericPredicate>,
) -> StructureRule {
    let feature = StructureFeature {
        kind: (!feature.is_empty()).then(|| serde_json::from_value(feature.into()).unwrap()),
        source,
    };
    StructureRule {
        name: "r".into(),
        feature,
        predicate,
        ..StructureRule::default()
    }
}

#[track_caller]
fn check(rule: &StructureRule, text: &str, expected: (f64, bool, f64)) {
    let mut keys = Keys::default();
    let signals = Signals {
        structure: vec![rule.clone()],
        ..Signals::default()
    };
    let signal = compiled(&signals, &mut keys, &Deps::default());
    let mut prompt = Prompt::default();
    prompt.texts.evaluation = text.into();
    prompt.texts.current = text.into();
    let mut report = SignalReport::new(&keys);
    signal
        .evaluate(&SignalInput::new(&prompt, None), &mut report)
        .unwrap();
    let key = keys.get(Kind::Structure, "r").unwrap();
    let (value, confidence) = (report.value(key).unwrap(), report.confidence(key).unwrap());
    assert!((value - expected.0).abs() < 1e-6, "{text}: value {value}");
    assert_eq!(report.is_matched(key), expected.1, "{text}");
    assert!(
        (confidence - expected.2).abs() < 1e-6,
        "{text}: confidence {confidence}"
    );
    let metric = report.families[Kind::Structure as usize];
    assert!(metric.ran && (metric.confidence - expected.2).abs() < 1e-6);
}

#[test]
fn worked_examples() {
    let questions = rule("count", regex(r"\?"), Some(gte(2.0)));
    check(&questions, "Why? How? When?", (3.0, true, 0.982_014));
    check(&questions, "Why? How?", (2.0, true, 0.5));
    check(&questions, "Why?", (1.0, false, 0.0));
    let above = NumericPredicate {
        gt: Some(0.2),
        ..NumericPredicate::default()
    };
    let steps = rule("density", words(&["step", "then"]), Some(above));
    check(&steps, "Step one, then step two", (0.6, true, 0.832_018));
    check(
        &rule("density", words(&["请"]), Some(gte(0.1))),
        "请解释请举例",
        (1.0 / 3.0, true, 0.717_751),
    );
    let flow = rule(
        "sequence",
        sequences(&[&["first", "then", "finally"]]),
        None,
    );
    check(&flow, "First a, finally b, then c", (0.0, false, 0.0));
    check(&flow, "First a, then b, finally c", (1.0, true, 1.0));
    let short = NumericPredicate {
        lt: Some(40.0),
        ..NumericPredicate::default()
    };
    check(
        &rule("count", text_bytes(), Some(short)),
        "Hello world",
        (11.0, true, 1.0),
    );
    let band = NumericPredicate {
        gte: Some(3.0),
        lt: Some(10.0),
        ..NumericPredicate::default()
    };
    check(
        &rule("count", regex("x"), Some(band)),
        "xxxxxxxxx",
        (9.0, true, 1.0),
    );
    check(
        &rule("count", regex("x"), Some(band)),
        "xxxxxxxxxx",
        (10.0, false, 0.0),
    );
}

#[test]
fn features_and_sources() {
    check(
        &rule("exists", regex(r"(?m)^\s*\d+\.\s+"), None),
        "do\n 1. this",
        (1.0, true, 1.0),
    );
    check(
        &rule("exists", regex(r"(?m)^\s*\d+\.\s+"), None),
        "do 1. this",
        (0.0, false, 0.0),
    );
    check(
        &rule("count", words(&["step", "step by", "step"]), None),
        "Step by step",
        (5.0, true, 1.0),
    );
    check(
        &rule("count", sequences(&[&["a", "a"], &["no"]]), None),
        "A cat has",
        (1.0, true, 1.0),
    );
    check(
        &rule("count", sequences(&[&["a", "", "b"]]), None),
        "ab",
        (1.0, true, 1.0),
    );
    check(&rule("density", regex("x"), None), "?!", (0.0, false, 0.0));
    check(&rule("count", regex("(?i)X"), None), "xX", (2.0, true, 1.0));
    check(&rule("count", regex("a*"), None), "baac", (3.0, true, 1.0));
    let exact = StructureSource {
        case_sensitive: true,
        ..words(&["JSON"])
    };
    check(&rule("exists", exact, None), "json", (0.0, false, 0.0));
    let exact = StructureSource {
        case_sensitive: true,
        ..regex("JSON")
    };
    check(&rule("exists", exact, None), "json", (0.0, false, 0.0));
    let none = NumericPredicate {
        lte: Some(0.0),
        ..NumericPredicate::default()
    };
    check(&rule("count", regex("x"), Some(none)), "", (0.0, true, 0.5));
}

#[test]
fn problems() {
    let none = Some(NumericPredicate::default());
    let both = Some(NumericPredicate {
        gt: Some(1.0),
        gte: Some(1.0),
        ..NumericPredicate::default()
    });
    let empty = Some(NumericPredicate {
        gt: Some(1.0),
        lte: Some(1.0),
        ..NumericPredicate::default()
    });
    for (rule, tail) in [
        (rule("", regex("x"), None), "feature.type"),
        (
            rule("count", StructureSource::default(), None),
            "feature.source.type",
        ),
        (rule("sequence", regex("x"), None), "feature.source.type"),
        (rule("density", text_bytes(), None), "feature.type"),
        (rule("exists", regex("x"), Some(gte(1.0))), "predicate"),
        (
            rule("count", regex("(?=x)"), None),
            "feature.source.pattern",
        ),
        (rule("count", regex(""), None), "feature.source.pattern"),
        (rule("count", words(&[]), None), "feature.source.keywords"),
        (
            rule("sequence", sequences(&[]), None),
            "feature.source.sequences",
        ),
        (
            rule("sequence", sequences(&[&[]]), None),
            "feature.source.sequences",
        ),
        (rule("count", regex("x"), none), "predicate"),
        (rule("count", regex("x"), both), "predicate"),
        (rule("count", regex("x"), empty), "predicate"),
        (
            rule("count", regex("x"), Some(gte(f64::INFINITY))),
            "predicate",
        ),
    ] {
        let signals = Signals {
            structure: vec![rule],
            ..Signals::default()
        };
        assert_eq!(errors(&signals), [format!("structure[0].{tail}")]);
    }
}
