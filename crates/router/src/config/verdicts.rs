//! What becomes of each key of v0.4: one table, from which a document's warnings and the tests on
//! the published schema are drawn.

mod table;

use super::unimplemented::Unimplemented;
use super::{DEFAULT_RECIPE, Document};
use crate::plugins::NotRun;
use document::{Problem, Severity, push_key};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
pub(super) use table::VERDICTS;

/// What Merit does with a key or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Runs, with the same meaning.
    Runs,
    /// Is read by a part that says itself what becomes of it.
    Reported,
    /// Is read, and has no effect that anybody could miss. Says why.
    Note(&'static str),
    /// Is read and not run.
    NotRun(NotRun),
}

/// A key or a value, and what becomes of it and of all below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Path as [`occurrences`] writes it; `key=value` stands for one value of a key.
    pub(super) path: &'static str,
    /// What becomes of it.
    pub(super) verdict: Verdict,
}

/// Returns which of `rows` a document writes, by their index, each with the places where it does.
pub(super) fn occurrences<'a>(
    written: &Value,
    rows: impl IntoIterator<Item = &'a str>,
    blocks: Blocks,
) -> BTreeMap<usize, Vec<String>> {
    let rows = rows.into_iter().enumerate();
    let mut walk = Walk {
        rows: rows.map(|(index, row)| (row, index)).collect(),
        blocks,
        found: BTreeMap::new(),
    };
    walk.value(written, "", "");
    walk.found
}

/// Which blocks of a document are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    /// All.
    All,
    /// Those that say something and are not switched off.
    InUse,
}

/// Says what becomes of the keys of v0.4 that a document writes: each row once, at its first place.
pub(super) fn report(written: &Value, document: &Document) -> Vec<Problem> {
    let mut problems = Vec::new();
    let rows = VERDICTS.iter().map(|row| row.path);
    for (index, mut places) in occurrences(written, rows, Blocks::InUse) {
        let row = &VERDICTS[index];
        let feature = format!("`{}`", last_key(row.path));
        if let Verdict::NotRun(_) = row.verdict
            && let Some(live) = places.iter().position(|path| is_reachable(document, path))
        {
            places.swap(0, live);
        }
        let Some(path) = places.first().cloned() else {
            continue;
        };

        let mut problem = match row.verdict {
            Verdict::Runs | Verdict::Reported => continue,
            Verdict::Note(why) => {
                let message = format!("{feature} is read, without effect: {why}");
                Problem::new(Severity::Note, path, message)
            }
            Verdict::NotRun(consequence) => Problem::from(Unimplemented {
                consequence: is_reachable(document, &path).then_some(consequence),
                path,
                feature,
                shown: None,
            }),
        };
        if let more @ 1.. = places.len() - 1 {
            problem.message.push_str(&format!(" (and {more} more)"));
        }
        problems.push(problem);
    }
    problems
}

/// Tells whether some model name leads to the recipe that a path is part of.
fn is_reachable(document: &Document, path: &str) -> bool {
    let live = document.policies().find(|(_, root, _)| {
        let rest = path.strip_prefix(root.as_str());
        rest.is_some_and(|rest| rest.starts_with('.'))
    });
    match live {
        Some((name, _, _)) => document.is_live(name),
        None => !path.starts_with("routing.") || document.is_live(DEFAULT_RECIPE),
    }
}

/// Returns the key that a row is about; that a block is switched on is said of the block.
fn last_key(row: &str) -> &str {
    let row = row.strip_suffix(".enabled=true").unwrap_or(row);
    row.rsplit_once('.').map_or(row, |(_, key)| key)
}

struct Walk<'a> {
    rows: HashMap<&'a str, usize>,
    blocks: Blocks,
    found: BTreeMap<usize, Vec<String>>,
}

impl Walk<'_> {
    /// Looks at a value. `path` is where it stands, `row` how the table writes that.
    fn value(&mut self, value: &Value, path: &str, row: &str) {
        self.note(row, path);
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    if self.blocks == Blocks::InUse && is_off(value) {
                        continue;
                    }
                    let mut path = path.to_owned();
                    push_key(&mut path, key);
                    self.value(value, &path, &below(row, key));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &format!("{path}[{index}]"), &item_row(row, item));
                }
            }
            Value::String(word) => self.note(&format!("{row}={word}"), path),
            other => self.note(&format!("{row}={other}"), path),
        }
    }

    fn note(&mut self, row: &str, path: &str) {
        if let Some(index) = self.rows.get(row) {
            self.found.entry(*index).or_default().push(path.to_owned());
        }
    }
}

/// Tells whether a block is switched off or says nothing.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            fields.is_empty() || fields.get("enabled") == Some(&Value::Bool(false))
        }
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Returns how the table writes a key of a block.
pub(super) fn below(row: &str, key: &str) -> String {
    match row {
        "" => key.to_owned(),
        // All recipes have the same keys.
        "recipes[]" if key == "routing" => key.to_owned(),
        _ => format!("{row}.{key}"),
    }
}

/// Returns how the table writes an item of a list.
fn item_row(row: &str, item: &Value) -> String {
    let kind = item.get("type").and_then(Value::as_str);
    match kind {
        Some(kind) if row.ends_with(".plugins") => format!("{row}[{kind}]"),
        // Rules nest to any depth.
        _ if row.ends_with(".conditions[].conditions") => {
            row.trim_end_matches(".conditions").to_owned()
        }
        _ => format!("{row}[]"),
    }
}
