//! Policies with learned signals against scripted models: what is asked, and what comes of the
//! answers.

mod families;
mod loading;
mod safety;

use super::*;
use crate::catalog::ModelCatalog;
use crate::families::Signals;
use crate::projection::section::Projections;
use dialects::Prompt;
use futures_util::FutureExt;
use inference::ask::Ask;
use inference::catalog::Catalog;
use inference::fake::Fake;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use std::time::Instant;

/// A request of one user turn.
fn says(text: &str) -> Prompt {
    let mut prompt = Prompt::default();
    prompt.texts.evaluation = text.into();
    prompt.texts.current = text.into();
    prompt
}

/// The sections of a routing document that signals read.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Document {
    routing: Routing,
    global: Global,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Routing {
    signals: Signals,
    projections: Projections,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Global {
    model_catalog: ModelCatalog,
}

impl Document {
    fn scope(&self) -> Scope<'_> {
        Scope {
            path: "routing",
            signals: &self.routing.signals,
            projections: &self.routing.projections,
            models: &self.global.model_catalog,
        }
    }
}

fn document(yaml: &str) -> Document {
    static SCHEMA: LazyLock<document::Schema> =
        LazyLock::new(|| document::Schema::of::<Document>("signals"));
    let loaded = document::load(yaml, &SCHEMA, &|_| None);
    assert_eq!(loaded.problems, [], "{yaml}");
    loaded.document.unwrap()
}

/// The learned families of a document that has no error.
#[track_caller]
fn built(document: &Document, keys: &mut Keys, deps: &Deps<'_>) -> Vec<Box<dyn Learned>> {
    let mut findings = Findings::default();
    let scope = document.scope();
    let families = build(&scope, keys, deps, &mut findings);
    assert!(!findings.has_errors(), "{findings:?}");
    families
}

/// What the learned families of `signals` (below `routing.signals`) and `modules` find in a
/// request.
struct Found {
    keys: Keys,
    report: SignalReport,
}

/// Everything is used but topics: those are asked for by name, without a rule.
fn reads(kind: Kind, _: &str) -> bool {
    kind != Kind::Domain
}

fn read(yaml: &str, fake: &Fake, prompt: &Prompt) -> Found {
    let document = document(yaml);
    let mut keys = Keys::default();
    let deps = Deps {
        catalog: fake,
        used: &reads,
        ..Deps::default()
    };
    let families = built(&document, &mut keys, &deps);
    let mut report = SignalReport::new(&keys);
    let input = SignalInput::new(prompt, None);
    for family in families {
        let questions = family.questions(&input);
        let answers = fake.ask(&questions, Instant::now()).now_or_never().unwrap();
        family.conclude(&input, &answers, &mut report);
        let told: Vec<Key> = report
            .matches()
            .filter(|key| keys.kind(*key) == family.kind())
            .collect();
        assert!(
            family.kind() == Kind::Jailbreak || told.iter().all(|key| family.keys().contains(key)),
            "{:?} matched a key that it does not own",
            family.kind()
        );
    }
    Found { keys, report }
}

impl Found {
    /// Matches in order, each with its confidence if it has one; then `?` failures; then `!`
    /// degraded families.
    fn lines(&self) -> Vec<String> {
        let name = |key: Key| format!("{}:{}", self.keys.kind(key).as_str(), self.keys.name(key));
        let confidence = |key| {
            self.report
                .confidence(key)
                .map_or(String::new(), |value| format!(" {value:.4}"))
        };
        let matches = self
            .report
            .matches()
            .map(|key| format!("{}{}", name(key), confidence(key)));
        let failures = self
            .report
            .errors()
            .map(|(key, error)| format!("?{} {error}", name(key)));
        let degraded = self
            .report
            .degraded()
            .iter()
            .map(|(kind, reason)| format!("!{}={reason}", kind.as_str()));
        matches.chain(failures).chain(degraded).collect()
    }

    /// A stored value.
    fn value(&self, kind: Kind, name: &str) -> Option<f64> {
        let value = self.report.value(self.keys.get(kind, name)?)?;
        Some((value * 1e4).round() / 1e4)
    }
}

#[track_caller]
fn check(yaml: &str, fake: &Fake, prompt: &Prompt, expected: &[&str]) -> Found {
    let found = read(yaml, fake, prompt);
    assert_eq!(found.lines(), expected, "{yaml}");
    found
}

/// `routing.signals` alone.
fn signals(rules: &str) -> String {
    format!("routing:\n  signals:\n    {rules}\n")
}

/// `routing.signals` with settings below `global.model_catalog`.
fn with(rules: &str, catalog: &str) -> String {
    format!(
        "{}global:\n  model_catalog:\n    {catalog}\n",
        signals(rules)
    )
}
