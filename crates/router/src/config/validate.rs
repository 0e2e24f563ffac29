//! What a well-formed document gets wrong: references, ranges, contradictions, and meanings that
//! nobody intends.

mod actions;
mod boundaries;
mod decisions;
mod heuristics;
mod learned;
mod learning;
mod models;
mod pool;
mod projections;
mod rules;
mod selection;

use super::problem::{Problem, Severity};
use super::reach::{Used, base};
use super::{Document, Routing};
use crate::report::Kind;
use inference::catalog::{Task, labels};
use std::collections::HashMap;

/// Checks the sense of a document. Problems carry paths; [`super::Loaded::placed`] adds lines.
#[must_use]
pub fn validate(document: &Document) -> Vec<Problem> {
    let mut findings = Findings::default();
    models::check(document, &mut findings);
    pool::settings(document, &mut findings);
    learning::check(document, &mut findings);
    selection::process(document, &mut findings);
    for (_, path, routing) in document.policies() {
        let scope = Scope {
            document,
            routing,
            path,
            used: Used::of(routing),
        };
        heuristics::check(&scope, &mut findings);
        learned::check(&scope, &mut findings);
        projections::check(&scope, &mut findings);
        decisions::check(&scope, &mut findings);
        boundaries::check(&scope, &mut findings);
        selection::check(&scope, &mut findings);
        unused(&scope, &mut findings);
    }
    findings.problems
}

/// The document with rules made inert that cannot work and that no decision uses; the rest is
/// untouched, so paths hold. Such rules are warnings of [`validate`]. They report no match.
#[must_use]
pub fn without_unusable(mut document: Document) -> Document {
    let named = document
        .recipes
        .iter_mut()
        .map(|recipe| &mut recipe.routing);
    for routing in std::iter::once(&mut document.routing).chain(named) {
        for rule in &mut routing.signals.keywords {
            if !heuristics::is_known_method(&rule.method) {
                rule.method.clear();
                rule.operator = "OR".to_owned();
                rule.keywords.clear();
            }
        }
    }
    document
}

/// One recipe and what it is part of.
struct Scope<'a> {
    document: &'a Document,
    routing: &'a Routing,
    path: String,
    used: Used,
}

impl Scope<'_> {
    /// A path inside the recipe.
    fn at(&self, rest: &str) -> String {
        format!("{}.{rest}", self.path)
    }
}

#[derive(Default)]
struct Findings {
    problems: Vec<Problem>,
}

impl Findings {
    fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems
            .push(Problem::new(Severity::Error, path, message));
    }

    fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems
            .push(Problem::new(Severity::Warning, path, message));
    }

    fn note(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems
            .push(Problem::new(Severity::Note, path, message));
    }

    /// Names of a list must be there and differ. `path` is the list's.
    fn names<'a>(&mut self, path: &str, names: impl IntoIterator<Item = &'a str>) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (index, name) in names.into_iter().enumerate() {
            if name.trim().is_empty() {
                self.error(format!("{path}[{index}]"), "`name` is missing");
            } else if let Some(other) = first.insert(name, index) {
                self.error(
                    format!("{path}[{index}].name"),
                    format!("`{name}` is already the name of {path}[{other}]"),
                );
                first.insert(name, other);
            }
        }
    }
}

/// Names that a rule leaf of this kind can have, as declared.
fn declared(routing: &Routing, kind: Kind) -> Vec<&str> {
    macro_rules! names {
        ($list:expr) => {
            $list.iter().map(|rule| rule.name.as_str()).collect()
        };
    }
    let signals = &routing.signals;
    match kind {
        Kind::Keyword => names!(signals.keywords),
        Kind::Embedding => names!(signals.embeddings),
        Kind::Domain => names!(signals.domains),
        Kind::FactCheck => names!(signals.fact_check),
        Kind::UserFeedback => names!(signals.user_feedbacks),
        Kind::Reask => names!(signals.reasks),
        Kind::Preference => names!(signals.preferences),
        Kind::Language => names!(signals.language),
        Kind::Context => names!(signals.context),
        Kind::Structure => names!(signals.structure),
        Kind::Complexity => names!(signals.complexity),
        Kind::Modality => names!(signals.modality),
        Kind::Authz => signals
            .role_bindings
            .iter()
            .map(|binding| binding.role.as_str())
            .collect(),
        Kind::Jailbreak => names!(signals.jailbreak),
        Kind::Pii => names!(signals.pii),
        Kind::Kb => names!(signals.kb),
        Kind::Conversation => names!(signals.conversation),
        Kind::Event => names!(signals.events),
        Kind::Metadata => names!(signals.metadata),
        Kind::Classifier => names!(signals.classifiers),
        Kind::Projection => {
            let outputs = routing
                .projections
                .mappings
                .iter()
                .flat_map(|mapping| &mapping.outputs);
            outputs.map(|output| output.name.as_str()).collect()
        }
    }
}

/// What is wrong with a leaf's or an input's name, if anything.
fn unknown_signal(routing: &Routing, kind: Kind, name: &str) -> Option<String> {
    let known = declared(routing, kind);
    let (bare, level) = match kind {
        Kind::Complexity => (
            base(name),
            name.strip_prefix(base(name)).unwrap_or_default(),
        ),
        _ => (name, ""),
    };
    if kind == Kind::Complexity && !matches!(level, ":hard" | ":medium" | ":easy") {
        let bare = if known.contains(&name) { name } else { bare };
        return Some(format!(
            "a complexity signal has a level: write `{bare}:hard`, `{bare}:medium` or `{bare}:easy`"
        ));
    }
    let built_in = kind == Kind::Domain && labels(Task::Domain).contains(&bare);
    if known.contains(&bare) || built_in {
        return None;
    }
    if kind == Kind::Authz
        && let Some(binding) = routing
            .signals
            .role_bindings
            .iter()
            .find(|binding| binding.name == name)
    {
        return Some(format!(
            "`{name}` is the name of a binding; a rule names the role, here `{}`",
            binding.role
        ));
    }
    let hint = super::problem::suggestion(bare, known);
    Some(format!(
        "no {} signal is called `{bare}`{hint}",
        kind.as_str()
    ))
}

/// Lists rules that no decision uses. They cost time where another rule of the family is used.
fn unused(scope: &Scope<'_>, findings: &mut Findings) {
    let mut names = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Authz) {
        let unused = declared(scope.routing, kind)
            .into_iter()
            .filter(|name| !scope.used.rule(kind, name));
        names.extend(unused.map(|name| format!("{}:{name}", kind.as_str())));
    }
    if !names.is_empty() {
        findings.note(
            scope.at("signals"),
            format!("used by no decision: {}", names.join(", ")),
        );
    }
}
