//! The reference's own published schema: Merit knows every key, word and type of it. It lies outside
//! the repository; without it this test says so and passes.

use super::reference::reference;
use crate::config::schema;
use crate::config::verdicts::{VERDICTS, Verdict, below};
use crate::plugins::NotRun;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn every_path_is_known() {
    let Some(folder) = reference() else { return };
    let text = std::fs::read_to_string(folder.join("published-schema-v0.4.json")).unwrap();
    let published: Value = serde_json::from_str(&text).unwrap();
    let ours = schema().value();

    let mut walk = Walk {
        published: &published,
        ours,
        known: BTreeSet::new(),
        unknown: BTreeSet::new(),
    };
    walk.part(&published, &[ours], "");
    assert_eq!(walk.unknown, BTreeSet::new());

    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for path in &walk.known {
        *counts.entry(verdict(path)).or_default() += 1;
    }
    eprintln!(
        "published schema: {} paths and words known, 0 unknown; by verdict {counts:?}",
        walk.known.len()
    );

    let unneeded: Vec<&str> = VERDICTS
        .iter()
        .map(|row| row.path)
        .filter(|path| !walk.known.contains(path.split('=').next().unwrap()))
        .collect();
    assert_eq!(unneeded, Vec::<&str>::new());
    let paths: BTreeSet<&str> = VERDICTS.iter().map(|row| row.path).collect();
    assert_eq!(paths.len(), VERDICTS.len(), "a row is written twice");
}

/// The verdict of the row that covers a path most closely.
fn verdict(path: &str) -> &'static str {
    let covers = |row: &str| {
        let rest = path.strip_prefix(row);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '=']))
    };
    let rows = VERDICTS.iter().filter(|row| covers(row.path));
    match rows.max_by_key(|row| row.path.len()).map(|row| row.verdict) {
        None => "as before v0.4",
        Some(Verdict::Runs) => "runs",
        Some(Verdict::Reported) => "reported by its owner",
        Some(Verdict::Note(_)) => "note",
        Some(Verdict::NotRun(NotRun::Served(_))) => "not run, served",
        Some(Verdict::NotRun(NotRun::Refused { .. })) => "not run, refused",
    }
}

/// Both schemas, walked along the reference's.
struct Walk<'a> {
    published: &'a Value,
    ours: &'a Value,
    known: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn part(&mut self, published: &'a Value, ours: &[&'a Value], path: &str) {
        let theirs = branches(self.published, published);
        let mut own: Vec<&Value> = Vec::new();
        for part in ours {
            own.extend(branches(self.ours, part));
        }
        self.types(&theirs, &own, path);
        for part in theirs {
            self.words(part, &own, path);
            self.keys(part, &own, path);
            self.items(part, &own, path);
        }
    }

    fn note(&mut self, path: &str, is_known: bool) {
        let list = if is_known {
            &mut self.known
        } else {
            &mut self.unknown
        };
        list.insert(path.to_owned());
    }

    fn types(&mut self, theirs: &[&Value], own: &[&Value], path: &str) {
        let own = types(own);
        let admits = |kind: &&str| {
            let is_scalar = ["integer", "number", "boolean"].contains(kind);
            own.is_empty()
                || own.contains(kind)
                || (*kind == "integer" && own.contains("number"))
                || (is_scalar && own.contains("string"))
        };
        for kind in types(theirs).into_iter().filter(|kind| !admits(kind)) {
            self.note(&format!("{path}: {kind}"), false);
        }
    }

    fn words(&mut self, part: &'a Value, own: &[&'a Value], path: &str) {
        let words = part.get("enum").and_then(Value::as_array);
        let words = words.into_iter().flatten().filter_map(Value::as_str);
        let known: Vec<&str> = own.iter().flat_map(|part| listed(part)).collect();
        let is_free = own.iter().all(|part| listed(part).is_empty());
        // An empty word stands for the default everywhere.
        for word in words.filter(|word| !word.is_empty()) {
            let path = format!("{path}={word}");
            self.note(&path, is_free || known.contains(&word));
        }
    }

    fn keys(&mut self, part: &'a Value, own: &[&'a Value], path: &str) {
        let keys = part.get("properties").and_then(Value::as_object);
        for (key, inner) in keys.into_iter().flatten() {
            let named = own
                .iter()
                .filter_map(|part| part.get("properties")?.get(key));
            let mut next: Vec<&Value> = named.collect();
            if next.is_empty() {
                next = own.iter().filter_map(|part| others(part)).collect();
            }
            let is_free = own.iter().any(|part| is_open(part));
            let path = below(path, key);
            self.note(&path, is_free || !next.is_empty());
            if !next.is_empty() {
                self.part(inner, &next, &path);
            }
        }
        if let Some(inner) = others(part) {
            let next: Vec<&Value> = own.iter().filter_map(|part| others(part)).collect();
            if !next.is_empty() {
                self.part(inner, &next, &format!("{path}.*"));
            }
        }
    }

    fn items(&mut self, part: &'a Value, own: &[&'a Value], path: &str) {
        let Some(items) = part.get("items") else {
            return;
        };
        // Rules nest to any depth.
        if path.ends_with(".conditions[].conditions") {
            return;
        }
        let next: Vec<&Value> = own.iter().filter_map(|part| part.get("items")).collect();
        if path.ends_with(".plugins") {
            return self.plugins(items, &next, path);
        }
        let path = format!("{path}[]");
        self.note(&path, !next.is_empty());
        self.part(items, &next, &path);
    }

    /// Plugins are told apart by their type, by conditions there and by branches here.
    fn plugins(&mut self, items: &'a Value, ours: &[&'a Value], path: &str) {
        let plugin = resolved(self.published, items);
        let cases = plugin.get("allOf").and_then(Value::as_array).unwrap();
        for case in cases {
            let kind = case.pointer("/if/properties/type/const").unwrap();
            let kind = kind.as_str().unwrap();
            let inner = case.pointer("/then/properties/configuration").unwrap();
            let mut next: Vec<&Value> = Vec::new();
            for part in ours {
                let own = branches(self.ours, part).into_iter();
                let own = own.filter(|branch| document::tags(branch).contains(&kind));
                next.extend(own.filter_map(|part| part.pointer("/properties/configuration")));
            }
            let path = format!("{path}[{kind}]");
            self.note(&path, !next.is_empty());
            self.part(inner, &next, &format!("{path}.configuration"));
        }
    }
}

/// A part of a schema and all that it may stand for.
fn branches<'a>(root: &'a Value, part: &'a Value) -> Vec<&'a Value> {
    let part = resolved(root, part);
    let mut found = vec![part];
    for key in ["anyOf", "oneOf", "allOf"] {
        let inner = part.get(key).and_then(Value::as_array);
        for inner in inner.into_iter().flatten() {
            found.extend(branches(root, inner));
        }
    }
    found
}

fn resolved<'a>(root: &'a Value, part: &'a Value) -> &'a Value {
    let mut part = part;
    while let Some(name) = part.get("$ref").and_then(Value::as_str) {
        part = root.pointer(name.trim_start_matches('#')).unwrap();
    }
    part
}

fn types<'a>(parts: &[&'a Value]) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    for part in parts {
        match part.get("type") {
            Some(Value::String(name)) => {
                found.insert(name.as_str());
            }
            Some(Value::Array(names)) => found.extend(names.iter().filter_map(Value::as_str)),
            _ => {}
        }
    }
    found
}

/// The words that a part lists.
fn listed(part: &Value) -> Vec<&str> {
    let words = part.get("enum").and_then(Value::as_array);
    let words = words.into_iter().flatten().filter_map(Value::as_str);
    words
        .chain(part.get("const").and_then(Value::as_str))
        .collect()
}

/// What keys hold that a part does not name.
fn others(part: &Value) -> Option<&Value> {
    part.get("additionalProperties")
        .filter(|others| others.is_object())
}

/// Tells whether a part takes any key.
fn is_open(part: &Value) -> bool {
    let is_closed = part.get("additionalProperties") == Some(&Value::Bool(false));
    let is_object = types(&[part]).contains("object");
    is_object && !is_closed && others(part).is_none()
}
