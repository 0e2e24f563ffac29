//! What an Envoy bootstrap gets wrong about its ext_proc filters, found without starting Envoy.
//!
//! Each rule stands for a failure that was seen on real Envoys, most of them silent there.

mod clusters;
mod detours;
mod ends;
mod filter;
mod listeners;
mod ports;
mod routes;
mod words;

use crate::engine::Wanted;
use clusters::Clusters;
use document::{Places, Problem, Severity, push_key};
use filter::Filter;
use listeners::{MANAGER, Manager};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const EXT_PROC: &str = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor";

/// Checks every ext_proc filter of a bootstrap (YAML or JSON), and the listeners that they are part
/// of. `wanted` is what documents beside it ask of a gateway.
pub(super) fn check(text: &str, wanted: &Wanted) -> Vec<Problem> {
    let document: Value = match serde_saphyr::from_str(text) {
        Ok(document) => document,
        Err(error) => return vec![Problem::error("", error.to_string())],
    };
    let mut filters = Vec::new();
    let mut managers = Vec::new();
    let mut namespaces = BTreeSet::new();
    walk(&document, "", &mut |path, value| match value {
        Value::Object(object) if is_a(object, EXT_PROC) => {
            filters.push((path.to_owned(), value.clone()));
        }
        Value::Object(object) if is_a(object, MANAGER) => {
            managers.push((path.to_owned(), value.clone()));
        }
        Value::String(text) => namespaces.extend(metadata_namespaces(text)),
        _ => {}
    });
    if filters.is_empty() {
        return vec![Problem::error(
            "",
            format!("no http filter of type {EXT_PROC}"),
        )];
    }
    let clusters = Clusters::of(&document);
    let mut found = words::check(&document);
    for (path, value) in &filters {
        let filter = Filter::of(path, value);
        found.extend(filter.check(&namespaces));
        found.extend(filter.translation(&wanted.translated));
        found.extend(filter.run_time().filter(|_| !wanted.calls.is_empty()));
        found.extend(clusters.check(&filter));
    }
    for (path, value) in &managers {
        let manager = Manager::of(path, value);
        if filters.iter().any(|(filter, _)| manager.has(filter)) {
            found.extend(manager.check());
            found.extend(routes::check(path, value, wanted));
            found.extend(detours::check(path, value, wanted, &namespaces));
            found.extend(ends::check(path, value, wanted, &clusters));
            found.extend(detours::later_filters(path, value));
        }
    }
    let asks_merit = |path: &str| filters.iter().any(|(filter, _)| filter.starts_with(path));
    found.extend(ends::side_doors(&document, &managers, asks_merit));
    found.extend(
        wanted
            .calls
            .iter()
            .filter_map(|url| ports::calls(&document, url)),
    );
    let mut unique: Vec<Problem> = Vec::new();
    for problem in Places::read(text).placed(found) {
        if !unique.contains(&problem) {
            unique.push(problem);
        }
    }
    unique.sort_by_key(|problem| (problem.line, problem.column));
    unique
}

fn is_a(object: &serde_json::Map<String, Value>, kind: &str) -> bool {
    object
        .get("@type")
        .and_then(Value::as_str)
        .is_some_and(|name| name.ends_with(kind))
}

/// Visits every value with its path.
fn walk<'a>(value: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(path, value);
    match value {
        Value::Object(object) => {
            for (key, child) in object {
                walk(child, &below(path, key), visit);
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                walk(child, &format!("{path}[{index}]"), visit);
            }
        }
        _ => {}
    }
}

/// Returns the path of a member.
fn below(path: &str, key: &str) -> String {
    let mut path = path.to_owned();
    push_key(&mut path, key);
    path
}

/// Reads a protobuf duration: seconds with an `s`.
fn duration(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

/// Namespaces that a format string reads: `%DYNAMIC_METADATA(namespace:key)%`.
fn metadata_namespaces(text: &str) -> impl Iterator<Item = String> {
    let mut parts = text.split("%DYNAMIC_METADATA(");
    parts.next();
    parts
        .filter_map(|part| part.split([':', ')']).next())
        .map(str::to_owned)
}

fn error(path: String, message: impl Into<String>) -> Problem {
    Problem::new(Severity::Error, path, message)
}

fn warning(path: String, message: impl Into<String>) -> Problem {
    Problem::new(Severity::Warning, path, message)
}

#[cfg(test)]
mod tests;
