//! All families together.

use super::authz::RoleBinding;
use super::context::ContextRule;
use super::keyword::{KeywordRule, Operator};
use super::language::LanguageRule;
use super::metadata::{MetadataPredicate, MetadataRule};
use super::*;
use crate::catalog::ModelCatalog;
use crate::projection::section::Projections;
use document::Severity;

/// Compiles rules as a document declares them: the families, and the paths of errors below
/// `routing.signals`.
fn compile(
    signals: &Signals,
    keys: &mut Keys,
    deps: &Deps<'_>,
) -> (Vec<Box<dyn Signal>>, Vec<String>) {
    let scope = Scope {
        path: "routing",
        signals,
        projections: &Projections::default(),
        models: &ModelCatalog::default(),
    };
    let mut findings = Findings::default();
    let families = build(&scope, keys, deps, &mut findings);
    let errors = findings
        .into_problems()
        .into_iter()
        .filter(|problem| problem.severity == Severity::Error);
    let path = |problem: document::Problem| {
        let path = problem.path.strip_prefix("routing.signals.");
        path.unwrap_or(&problem.path).to_owned()
    };
    (families, errors.map(path).collect())
}

/// Compiles the one family that is declared.
#[track_caller]
pub(super) fn compiled(signals: &Signals, keys: &mut Keys, deps: &Deps<'_>) -> Box<dyn Signal> {
    let (families, errors) = compile(signals, keys, deps);
    assert_eq!(errors, Vec::<String>::new());
    families.into_iter().next().unwrap()
}

/// Paths of the errors below `routing.signals`.
pub(super) fn errors(signals: &Signals) -> Vec<String> {
    compile(signals, &mut Keys::default(), &Deps::default()).1
}

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
            operator: Some(Operator::Or),
            ..KeywordRule::default()
        }],
        context: vec![ContextRule::default()],
        language: vec![LanguageRule {
            name: "fr".into(),
            ..LanguageRule::default()
        }],
        ..Signals::default()
    };
    let (families, errors) = compile(&signals, &mut Keys::default(), &Deps::default());
    assert_eq!(errors, Vec::<String>::new());
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
    let expected = [
        "keywords[0].operator",
        "context[0].min_tokens",
        "role_bindings[0].role",
        "role_bindings[0].subjects",
        "metadata[0].key",
        "metadata[0].predicate",
    ];
    assert_eq!(errors(&signals), expected);
}

/// The table of families, the section and the list of builders agree.
#[test]
fn every_family_without_models_is_built() {
    let rules = Kind::ALL.into_iter().filter(|kind| !kind.is_learned());
    assert_eq!(
        section::FAMILIES.len(),
        rules.count() - 1,
        "projections are not rules"
    );
}
