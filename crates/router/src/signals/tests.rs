//! All families together.

use super::*;
use crate::config::signals::{
    ContextRule, KeywordRule, LanguageRule, MetadataPredicate, MetadataRule, RoleBinding,
};

#[test]
fn families_come_in_the_order_of_kinds() {
    let signals = Signals {
        metadata: vec![MetadataRule {
            key: "k".into(),
            predicate: MetadataPredicate {
                exists: Some(true),
                ..MetadataPredicate::default()
            },
            ..MetadataRule::default()
        }],
        keywords: vec![KeywordRule {
            operator: "OR".into(),
            ..KeywordRule::default()
        }],
        context: vec![ContextRule::default()],
        language: vec![LanguageRule {
            name: "fr".into(),
            ..LanguageRule::default()
        }],
        ..Signals::default()
    };
    let families = build(&signals, &mut Keys::default(), &Deps::default())
        .map_err(|p| format!("{p:?}"))
        .unwrap();
    let kinds: Vec<Kind> = families.iter().map(|family| family.kind()).collect();
    assert_eq!(
        kinds,
        [Kind::Keyword, Kind::Language, Kind::Context, Kind::Metadata]
    );
    assert!(kinds.is_sorted());
}

#[test]
fn problems_of_all_families_are_reported_at_once() {
    let signals = Signals {
        keywords: vec![KeywordRule::default()],
        context: vec![ContextRule {
            min_tokens: "x".into(),
            ..ContextRule::default()
        }],
        role_bindings: vec![RoleBinding::default()],
        metadata: vec![MetadataRule::default()],
        ..Signals::default()
    };
    let problems = build(&signals, &mut Keys::default(), &Deps::default())
        .map(|_| ())
        .unwrap_err();
    let paths: Vec<_> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    let expected = [
        "keywords[0].operator",
        "context[0].min_tokens",
        "role_bindings[0].role",
        "role_bindings[0].subjects",
        "metadata[0].key",
        "metadata[0].predicate",
    ];
    assert_eq!(
        paths,
        expected.map(|tail| format!("routing.signals.{tail}"))
    );
}

#[test]
fn predicates_leave_a_number() {
    let check = |gt, gte, lt, lte, ok: bool| {
        let mut problems = Vec::new();
        check_predicate(
            "p",
            Some(NumericPredicate { gt, gte, lt, lte }),
            &mut problems,
        );
        assert_eq!(problems.is_empty(), ok, "{gt:?} {gte:?} {lt:?} {lte:?}");
    };
    check(None, None, None, None, false);
    check(Some(1.0), None, None, None, true);
    check(Some(1.0), Some(1.0), None, None, false);
    check(None, None, Some(1.0), Some(1.0), false);
    check(None, Some(1.0), None, Some(1.0), true);
    check(None, Some(1.0), Some(1.0), None, false);
    check(Some(1.0), None, None, Some(1.0), false);
    check(Some(2.0), None, Some(1.0), None, false);
    check(None, Some(f64::NAN), None, None, false);
}
