//! What an Envoy bootstrap gets wrong about its ext_proc filters, found without starting Envoy.
//!
//! Each rule stands for a failure that was seen on real Envoys, most of them silent there.

mod clusters;
mod filter;

use clusters::Clusters;
use document::{Problem, Severity};
use filter::Filter;
use serde_json::Value;
use std::collections::BTreeSet;

const EXT_PROC: &str = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor";

/// Checks every ext_proc filter of a bootstrap (YAML or JSON).
/// With `runs`, a document beside it has decisions that ask several models.
pub(super) fn check(text: &str, runs: bool) -> Vec<Problem> {
    let document: Value = match serde_saphyr::from_str(text) {
        Ok(document) => document,
        Err(error) => return vec![Problem::error("", error.to_string())],
    };
    let mut filters = Vec::new();
    let mut namespaces = BTreeSet::new();
    walk(&document, "", &mut |path, value| match value {
        Value::Object(object) if is_ext_proc(object) => {
            filters.push((path.to_owned(), value.clone()))
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
    let mut found = Vec::new();
    for (path, value) in &filters {
        let filter = Filter::of(path, value);
        found.extend(filter.check(&namespaces));
        found.extend(filter.run_time().filter(|_| runs));
        found.extend(clusters.check(&filter));
    }
    found
}

fn is_ext_proc(object: &serde_json::Map<String, Value>) -> bool {
    object
        .get("@type")
        .and_then(Value::as_str)
        .is_some_and(|name| name.ends_with(EXT_PROC))
}

/// Visits every value with its path.
fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, value);
    match value {
        Value::Object(object) => {
            for (key, child) in object {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                walk(child, &path, visit);
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
