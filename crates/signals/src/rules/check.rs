//! What rule trees and bounds get wrong, in decisions, boundaries and composers.

use super::{NumericPredicate, RuleNode};
use crate::report::Kind;
use crate::scope::Scope;
use document::{Findings, suggestion};

const ON_UNKNOWN: &str = "`on_unknown` belongs to the root of `rules`, is no_match, match or fail_request, and excludes `on_error` below";

/// Tells whether a leaf of the tree says what its own failure means.
fn has_on_error(node: &RuleNode) -> bool {
    !node.on_error.is_empty() || node.conditions.iter().any(has_on_error)
}

/// Tells whether some leaf of the tree reads a family that nothing is ever known of.
fn reads_safety(node: &RuleNode) -> bool {
    let is_safety = Kind::parse(&node.kind) == Some(Kind::Safety);
    is_safety || node.conditions.iter().any(reads_safety)
}

/// Checks the tree of a decision or boundary.
pub fn check_tree(scope: &Scope<'_>, path: &str, node: &RuleNode, findings: &mut Findings) {
    tree(scope, path, node, true, findings);
}

fn tree(scope: &Scope<'_>, path: &str, node: &RuleNode, is_root: bool, findings: &mut Findings) {
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
    if is_root && node.on_unknown.is_empty() && reads_safety(node) {
        let message = "the signal `safety` is not run, and without `on_unknown` at the root of these rules decisions would be made as if nothing were unsafe, so this document is not served";
        findings.error(path, message);
    }
    if !node.on_unknown.is_empty() && has_on_error(node) {
        findings.error(format!("{path}.on_unknown"), ON_UNKNOWN);
    }
    for (index, child) in node.conditions.iter().enumerate() {
        let path = format!("{path}.conditions[{index}]");
        if !child.on_unknown.is_empty() {
            findings.error(format!("{path}.on_unknown"), ON_UNKNOWN);
        }
        tree(scope, &path, child, false, findings);
    }
}

/// Checks the tree of a composer, where fewer kinds are seen and predicates are not read.
pub fn check_composer(scope: &Scope<'_>, path: &str, node: &RuleNode, findings: &mut Findings) {
    check_tree(scope, path, node, findings);
    composed(path, node, findings);
}

fn composed(path: &str, node: &RuleNode, findings: &mut Findings) {
    if let Some(kind) = Kind::parse(&node.kind) {
        if !kind.family().is_composed || node.kind != kind.as_str() {
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
    } else if let Some(message) = scope.unknown_name(kind, &node.name) {
        findings.error(format!("{path}.name"), message);
    }
    let answers = &scope.signals.jailbreak;
    if kind == Kind::Jailbreak
        && answers
            .iter()
            .any(|rule| rule.name == node.name && !rule.reads_requests())
    {
        let message = format!(
            "`{}` is checked on the answer, after the decision; use the plugin `response_jailbreak`",
            node.name
        );
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
        bounds.check(&format!("{path}.predicate"), findings);
        if !kind.family().has_number {
            let message = format!(
                "the family `{}` stores no number, so a predicate never holds",
                kind.as_str()
            );
            findings.error(format!("{path}.predicate"), message);
        }
    }
}

fn classifier(scope: &Scope<'_>, path: &str, node: &RuleNode, findings: &mut Findings) {
    if node.label.is_empty() || node.predicate.is_none() {
        findings.error(path, "a `classifier` leaf needs `label` and `predicate`");
    }
    let rules = &scope.signals.classifiers;
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

impl NumericPredicate {
    /// Checks that bounds are there, finite and not doubled, and that some number lies between.
    pub fn check(&self, path: &str, findings: &mut Findings) {
        let Self { gt, gte, lt, lte } = *self;
        let bounds = [gt, gte, lt, lte];
        if bounds.iter().all(Option::is_none) {
            findings.error(path, "at least one of `gt`, `gte`, `lt`, `lte` is wanted");
        }
        if bounds.iter().flatten().any(|bound| !bound.is_finite()) {
            findings.error(path, "a bound is a finite number");
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicates_leave_a_number() {
        let check = |gt, gte, lt, lte, ok: bool| {
            let mut findings = Findings::default();
            NumericPredicate { gt, gte, lt, lte }.check("p", &mut findings);
            assert_eq!(!findings.has_errors(), ok, "{gt:?} {gte:?} {lt:?} {lte:?}");
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
}
