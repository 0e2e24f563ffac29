//! What the rules of v0.4 make of failures and of scores, where that is surely not meant.

use super::Scope;
use document::Findings;
use signals::decision::{Ranking, Strategy};
use signals::family::{Role, ScoreKind};
use signals::report::Kind;
use signals::rules::RuleNode;

/// Checks the decisions of a recipe that v0.4 ranks.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    if scope.document.ranking != Ranking::V04 {
        return;
    }
    let mut kinds: Vec<(&str, ScoreKind)> = Vec::new();
    for (index, decision) in scope.routing.decisions.iter().enumerate() {
        let Some(tree) = &decision.rules else {
            continue;
        };
        let path = scope.at(&format!("decisions[{index}].rules"));
        failures(&path, tree, tree.on_unknown().is_some(), false, findings);
        let mut found = Vec::new();
        score_kinds(tree, &mut found);
        kinds.extend(found.into_iter().map(|kind| (decision.name.as_str(), kind)));
    }
    let first = kinds.first();
    let other = first.and_then(|(_, first)| kinds.iter().find(|(_, kind)| kind != first));
    if Strategy::parse(scope.routing.strategy.trim()) == Strategy::Confidence
        && let (Some((one, first)), Some((other, second))) = (first, other)
    {
        let message = format!(
            "scores of several kinds do not compare (`{one}` reports a {}, `{other}` a {}): where such decisions match together, priority decides",
            first.as_str(),
            second.as_str()
        );
        findings.warn(scope.at("strategy"), message);
    }
}

/// Warns of leaves that do not say what their failure means, or say the opposite of what is meant.
fn failures(path: &str, node: &RuleNode, covered: bool, negated: bool, findings: &mut Findings) {
    let is_classifier = Kind::parse(&node.kind) == Some(Kind::Classifier);
    if is_classifier && node.on_error.is_empty() && !covered {
        let message = "neither `on_error` nor `on_unknown` at the root says what a failure means: it counts as no match";
        findings.warn(path, message);
    }
    if negated && node.on_error == "match" {
        let message = "below `NOT`, `on_error: match` means that the decision does not match where the signal fails; `on_unknown` at the root says it for the decision";
        findings.warn(format!("{path}.on_error"), message);
    }
    let negated = negated != node.operator.eq_ignore_ascii_case("NOT");
    for (index, child) in node.conditions.iter().enumerate() {
        let path = format!("{path}.conditions[{index}]");
        failures(&path, child, covered, negated, findings);
    }
}

/// Collects the kinds of the scores that a tree can report.
fn score_kinds(node: &RuleNode, found: &mut Vec<ScoreKind>) {
    if node.operator.eq_ignore_ascii_case("NOT") {
        return;
    }
    let role = Kind::parse(&node.kind).map(|kind| kind.family().role);
    if let Some(Role::Evidence(Some(kind))) = role.filter(|_| node.predicate.is_none()) {
        found.push(kind);
    }
    node.conditions
        .iter()
        .for_each(|child| score_kinds(child, found));
}
