//! What a well-formed document gets wrong: references between sections, ranges, contradictions, and
//! meanings that nobody intends.
//!
//! What is wrong with one signal rule, projection or rule tree is said by its own module; here is
//! what two sections must agree on.

mod actions;
mod binding;
mod boundaries;
mod decisions;
mod learning;
mod models;
mod pool;
mod ranking;

use super::decisions::{boundary_trees, decision_trees};
use super::{Document, Routing, evidence, records};
use document::{Findings, Problem};
use signals::families::{self, Deps};
use signals::projection;
use signals::report::Kind;
use signals::used::UsedSet;

/// Checks the sense of a document. Problems carry paths; [`document::Places`] knows their lines.
#[must_use]
pub fn validate(document: &Document) -> Vec<Problem> {
    let mut findings = Findings::default();
    models::check(document, &mut findings);
    evidence::check(&document.evaluation, &mut findings);
    pool::settings(document, &mut findings);
    learning::check(document, &mut findings);
    records::check(document, &mut findings);
    if let Some(selection) = &document.global.router.model_selection {
        selection.check(&mut findings);
    }
    if let Some(fallback) = &document.global.router.fallback {
        fallback.check("global.router.fallback", &mut findings);
    }
    for (_, path, routing) in document.policies() {
        if let Some(fallback) = &routing.fallback {
            fallback.check(&format!("{path}.fallback"), &mut findings);
        }
        recipe(document, &path, routing, &mut findings);
    }
    findings.into_problems()
}

fn recipe(document: &Document, path: &str, routing: &Routing, findings: &mut Findings) {
    let signals = routing.scope(path, document);
    let trees = decision_trees(&routing.decisions).chain(boundary_trees(&routing.boundaries));
    let used = UsedSet::of(&signals, trees);

    let reads = |kind, name: &str| used.reads(kind, name);
    let deps = Deps {
        used: &reads,
        ..Deps::default()
    };
    families::check(&signals, &deps, findings);
    projection::check(&signals, findings);

    let scope = Scope {
        document,
        routing,
        signals,
        used: &used,
    };
    decisions::check(&scope, findings);
    ranking::check(&scope, findings);
    boundaries::check(&scope, findings);
    actions::scores(&scope, findings);
    unused(&scope, findings);
}

/// One recipe and what it is part of.
struct Scope<'a> {
    document: &'a Document,
    routing: &'a Routing,
    signals: signals::scope::Scope<'a>,
    used: &'a UsedSet,
}

impl Scope<'_> {
    /// Returns a path inside the recipe.
    fn at(&self, rest: &str) -> String {
        self.signals.at(rest)
    }
}

/// Lists rules that no decision uses. They cost time where another rule of the family is used.
fn unused(scope: &Scope<'_>, findings: &mut Findings) {
    let mut names = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Authz) {
        let declared = scope.signals.names(kind).into_iter();
        let unused = declared.filter(|name| !scope.used.contains(kind, name));
        names.extend(unused.map(|name| format!("{}:{name}", kind.as_str())));
    }
    if !names.is_empty() {
        findings.note(
            scope.at("signals"),
            format!("used by no decision: {}", names.join(", ")),
        );
    }
}
