//! Rewrites the old keys of a document to those of v0.4, where they stand: comments, order and
//! quotes stay.
//!
//! A row is one change of the layout. A row that has two readings changes nothing and says why, and
//! then nothing is written at all. Migrating twice is migrating once.

mod cards;
mod models;
mod plugins;
mod probes;
mod rows;

use super::renames::{DEAD, merit_only};
use document::{Draft, Problem, Unedited};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// A document, migrated.
#[derive(Debug)]
pub struct Migrated {
    /// The new text.
    pub text: String,
    /// What was changed, in the order of the old text.
    pub changes: Vec<Change>,
    /// Keys that v0.4 no longer has and that are still there.
    pub dead: Vec<Change>,
}

/// One change, or a place worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// Line of the text as it was.
    pub line: u32,
    /// Path of the key as it was.
    pub path: String,
    /// What became of it.
    pub done: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.done)
    }
}

/// A change of the layout.
struct Row {
    /// Old and new key, for messages.
    title: &'static str,
    apply: fn(&mut Migration) -> Result<(), Unedited>,
}

/// All rows, in the order in which they build on each other.
const ROWS: [Row; 13] = [
    Row {
        title: "evaluation_catalog → evaluation, and other keys with a new name",
        apply: rows::renamed,
    },
    Row {
        title: "backend_refs[].provider: vllm",
        apply: models::providers,
    },
    Row {
        title: "api_format: anthropic → backend_refs: [{provider: anthropic}]",
        apply: models::anthropic,
    },
    Row {
        title: "reasoning_family → reasoning",
        apply: models::reasoning,
    },
    Row {
        title: "modelCards[].evaluations and quality_score → evaluation.records",
        apply: cards::records,
    },
    Row {
        title: "names of cards and records → models[].catalog",
        apply: cards::catalog,
    },
    Row {
        title: "semantic-cache → response_cache",
        apply: plugins::response_cache,
    },
    Row {
        title: "allow_request_controls and control_header → request_controls",
        apply: plugins::request_controls,
    },
    Row {
        title: "dynamic_retrieval: true → {enabled: true}",
        apply: plugins::dynamic_retrieval,
    },
    Row {
        title: "prompt_guard.protocol → prompt_guard.backend",
        apply: rows::guard,
    },
    Row {
        title: "learning.state_store.backend: memory → local",
        apply: rows::state_store,
    },
    Row {
        title: "keys that v0.4 no longer has",
        apply: rows::dead,
    },
    Row {
        title: "router_eval_endpoint → /api/v1/routing/preview",
        apply: probes::endpoint,
    },
];

/// A draft on its way, and what was done to it.
#[derive(Clone)]
struct Migration {
    draft: Draft,
    changes: Vec<Change>,
    drop_dead: bool,
}

/// Migrates a document, or a file of probes.
///
/// # Errors
/// If the text is not YAML, or rows are ambiguous: each says where and why.
pub fn migrate(text: &str, drop_dead: bool) -> Result<Migrated, Vec<Problem>> {
    let mut migration = Migration {
        draft: Draft::read(text)?,
        changes: Vec::new(),
        drop_dead,
    };
    let is_probes = probes::is_probes(migration.draft.root());
    let mut problems = Vec::new();
    for row in &ROWS {
        let of_probes = row.title.starts_with("router_eval_endpoint");
        if of_probes != is_probes {
            continue;
        }
        let mut next = migration.clone();
        match (row.apply)(&mut next) {
            Ok(()) => migration = next,
            Err(stopped) => {
                let message = format!("not migrated ({}): {stopped}", row.title);
                problems.push(Problem {
                    line: migration.draft.line(stopped.path()),
                    column: 1,
                    ..Problem::error("", message)
                });
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }

    migration.changes.sort();
    Ok(Migrated {
        dead: migration.found(&DEAD, "has no effect since v0.4"),
        text: migration.draft.text().to_owned(),
        changes: migration.changes,
    })
}

/// Lists what a document holds that only Merit understands.
///
/// # Errors
/// If the text is not YAML.
pub fn for_merit_only(text: &str) -> Result<Vec<Change>, Vec<Problem>> {
    let migration = Migration {
        draft: Draft::read(text)?,
        changes: Vec::new(),
        drop_dead: false,
    };
    let listed: Vec<&str> = merit_only().collect();
    let mut found = migration.found(&listed, "is understood by Merit only");
    for path in migration.matching("routing.decisions[].algorithm.type") {
        if migration.text(&path) == Some("weighted") {
            found.push(migration.change(&path, "`weighted` is an algorithm of Merit"));
        }
    }
    found.sort();
    Ok(found)
}

impl Migration {
    /// Returns the places that fit one of the paths, the largest ones, each once.
    fn found(&self, listed: &[&str], words: &str) -> Vec<Change> {
        let places: BTreeSet<String> = listed
            .iter()
            .flat_map(|path| paths(path))
            .flat_map(|path| self.draft.matching(&path))
            .collect();
        let mut found: Vec<Change> = places.iter().map(|path| self.change(path, words)).collect();
        found.sort();
        found
    }

    fn change(&self, path: &str, done: &str) -> Change {
        Change {
            line: self.draft.line(path),
            path: path.to_owned(),
            done: done.to_owned(),
        }
    }

    /// Notes what becomes of the part at `path`, before it does.
    fn note(&mut self, path: &str, done: impl Into<String>) {
        let change = self.change(path, &done.into());
        self.changes.push(change);
    }

    /// Returns the text at a path; nothing if it is not written or no text.
    fn text(&self, path: &str) -> Option<&str> {
        self.draft.at(path)?.text()
    }

    /// Returns what is written at a path.
    fn value(&self, path: &str) -> Option<Value> {
        Some(self.draft.at(path)?.value())
    }

    fn has(&self, path: &str) -> bool {
        self.draft.at(path).is_some()
    }

    /// Returns the paths that are written, in `routing` and in recipes.
    fn matching(&self, pattern: &str) -> Vec<String> {
        paths(pattern)
            .iter()
            .flat_map(|pattern| self.draft.matching(pattern))
            .collect()
    }
}

/// Returns a path of `routing`, and the same in recipes.
fn paths(path: &str) -> Vec<String> {
    let mut paths = vec![path.to_owned()];
    if path.starts_with("routing.") && !path.starts_with("routing.modelCards") {
        paths.push(format!("recipes[].{path}"));
    }
    paths
}

/// Returns a path with another last word.
fn beside(path: &str, name: &str) -> String {
    match path.rsplit_once('.') {
        Some((parent, _)) => format!("{parent}.{name}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
