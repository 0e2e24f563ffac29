//! Rule trees and predicates, in decisions, boundaries and composers.

use super::{Findings, Scope, unknown_signal};
use crate::config::decisions::RuleNode;
use crate::config::problem::suggestion;
use crate::config::signals::NumericPredicate;
use crate::report::Kind;

/// Kinds that a composer sees; leaves of other kinds never hold there.
const COMPOSED: [Kind; 13] = [
    Kind::Keyword,
    Kind::Embedding,
    Kind::Domain,
    Kind::FactCheck,
    Kind::UserFeedback,
    Kind::Reask,
    Kind::Preference,
    Kind::Language,
    Kind::Context,
    Kind::Structure,
    Kind::Modality,
    Kind::Kb,
    Kind::Conversation,
];

/// Checks the tree of a decision or boundary.
pub(super) fn tree(scope: &Scope<'_>, path: &str, node: &RuleNode, findings: &mut Findings) {
    let is_leaf = !node.kind.trim().is_empty();
    let is_operator = !node.operator.trim().is_empty() || !node.conditions.is_empty();
    match (is_leaf, is_operator) {
        (true, true) => findings.error(
            path,
            "a node is either a leaf (`type`, `name`) or an operator (`operator`, `conditions`)",
        ),
        (true, false) => leaf(scope, path, node, findings),
        (false, _) => operator(path, node, findings),
    }
    for (index, child) in node.conditions.iter().enumerate() {
        tree(
            scope,
            &format!("{path}.conditions[{index}]"),
            child,
            findings,
        );
    }
}

/// Checks the tree of a composer, where fewer kinds are seen and predicates are not read.
pub(super) fn composer(scope: &Scope<'_>, path: &str, node: &RuleNode, findings: &mut Findings) {
    tree(scope, path, node, findings);
    composed(path, node, findings);
}

fn composed(path: &str, node: &RuleNode, findings: &mut Findings) {
    if let Some(kind) = Kind::parse(&node.kind) {
        if !COMPOSED.contains(&kind) || node.kind != kind.as_str() {
            findings.warn(
                format!("{path}.type"),
                format!(
                    "a composer does not see `{}`, so this leaf never holds",
                    node.kind
                ),
            );
        }
        if node.predicate.is_some() {
            findings.warn(format!("{path}.predicate"), "a composer reads no predicate");
        }
    }
    for (index, child) in node.conditions.iter().enumerate() {
        composed(&format!("{path}.conditions[{index}]"), child, findings);
    }
}

fn operator(path: &str, node: &RuleNode, findings: &mut Findings) {
    if !node.name.is_empty() {
        findings.error(path, format!("the leaf `{}` has no `type`", node.name));
    }
    let operators = ["AND", "OR", "NOT"];
    let written = node.operator.as_str();
    match written {
        "AND" | "OR" => {}
        "NOT" if node.conditions.len() == 1 => {}
        "NOT" => findings.error(
            path,
            format!(
                "`NOT` takes exactly one condition, here are {}",
                node.conditions.len()
            ),
        ),
        "" if node.conditions.is_empty() => {}
        "" => findings.warn(path, "`operator` is omitted and means `OR`"),
        _ => {
            let hint = suggestion(written, operators);
            findings.error(
                format!("{path}.operator"),
                format!("the operator is `AND`, `OR` or `NOT`, in upper case{hint}"),
            );
        }
    }
    if written == "OR" && node.conditions.is_empty() {
        findings.warn(path, "an `OR` without conditions never holds");
    }
    if node.predicate.is_some() || !node.label.is_empty() || !node.on_error.is_empty() {
        findings.error(path, "`predicate`, `label` and `on_error` belong to leaves");
    }
}

fn leaf(scope: &Scope<'_>, path: &str, node: &RuleNode, findings: &mut Findings) {
    let Some(kind) = Kind::parse(&node.kind) else {
        let hint = suggestion(node.kind.trim(), Kind::ALL.map(Kind::as_str));
        findings.error(
            format!("{path}.type"),
            format!("no signal family is called `{}`{hint}", node.kind),
        );
        return;
    };
    if node.name.is_empty() {
        findings.error(path, "`name` is missing");
    } else if let Some(message) = unknown_signal(scope.routing, kind, &node.name) {
        findings.error(format!("{path}.name"), message);
    }
    match kind {
        Kind::Classifier => classifier(scope, path, node, findings),
        _ if !node.label.is_empty() => {
            findings.error(
                format!("{path}.label"),
                "only `classifier` leaves have a label",
            );
        }
        _ => {}
    }
    if let Some(bounds) = &node.predicate {
        predicate(&format!("{path}.predicate"), bounds, findings);
        if without_number(kind) {
            let message = format!(
                "the family `{}` stores no number, so a predicate never holds",
                kind.as_str()
            );
            findings.error(format!("{path}.predicate"), message);
        }
    }
}

/// Families that store neither a value nor a confidence.
fn without_number(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Keyword
            | Kind::FactCheck
            | Kind::UserFeedback
            | Kind::Language
            | Kind::Context
            | Kind::Pii
            | Kind::Authz
            | Kind::Modality
    )
}

fn classifier(scope: &Scope<'_>, path: &str, node: &RuleNode, findings: &mut Findings) {
    if node.label.is_empty() || node.predicate.is_none() {
        findings.error(path, "a `classifier` leaf needs `label` and `predicate`");
    }
    let rules = &scope.routing.signals.classifiers;
    let Some(rule) = rules.iter().find(|rule| rule.name == node.name) else {
        return;
    };
    if !node.label.is_empty() && !rule.labels.contains(&node.label) {
        let hint = suggestion(&node.label, rule.labels.iter().map(String::as_str));
        findings.error(
            format!("{path}.label"),
            format!("`{}` has no label `{}`{hint}", rule.name, node.label),
        );
    }
}

/// Bounds must be there, finite, not doubled, and leave room.
pub(super) fn predicate(path: &str, predicate: &NumericPredicate, findings: &mut Findings) {
    bounds(
        path,
        [predicate.gt, predicate.gte, predicate.lt, predicate.lte],
        findings,
    );
}

/// The same for `[gt, gte, lt, lte]`.
pub(super) fn bounds(path: &str, [gt, gte, lt, lte]: [Option<f64>; 4], findings: &mut Findings) {
    if [gt, gte, lt, lte].iter().all(Option::is_none) {
        findings.error(path, "at least one of `gt`, `gte`, `lt`, `lte` is wanted");
    }
    if gt.is_some() && gte.is_some() {
        findings.error(path, "`gt` and `gte` exclude each other");
    }
    if lt.is_some() && lte.is_some() {
        findings.error(path, "`lt` and `lte` exclude each other");
    }
    if let (Some(low), Some(high)) = (gt.or(gte), lt.or(lte)) {
        let strict = gt.is_some() || lt.is_some();
        if low > high || (strict && low >= high) {
            findings.error(path, format!("no number lies between {low} and {high}"));
        }
    }
}
