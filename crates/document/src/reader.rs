//! The walk of a located tree along the schema: every fault of form at once, and each scalar as its
//! place wants it.

use super::environment::substitute;
use super::problem::{Problem, Severity, suggestion};
use super::scalar;
use super::schema::{Schema, branch, tags};
use super::tree::{Entry, Mark, Node, NodeKind, push_key};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Walks a tree by the document's schema.
///
/// Returns the JSON value, and `problems` with those found here.
pub(crate) fn read(
    tree: Option<&Node>,
    schema: &Schema,
    problems: Vec<Problem>,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<Value>, Vec<Problem>) {
    let mut reader = Reader {
        schema,
        env,
        problems,
        path: String::new(),
    };
    let value = tree.and_then(|root| reader.value(root, schema.value()));
    (value, reader.problems)
}

struct Reader<'a> {
    schema: &'a Schema,
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
    path: String,
}

impl<'a> Reader<'a> {
    /// The node as the schema wants it; `None` if it is null or faulty.
    fn value(&mut self, node: &Node, schema: &'a Value) -> Option<Value> {
        let schema = self.schema.resolve(schema);
        if let Some(known) = words_of(schema) {
            return self.word(node, schema, &known);
        }
        if let Some(branches) = schema.get("oneOf").and_then(Value::as_array) {
            return self.choice(node, branches);
        }
        let wanted = wanted(schema);
        match (&node.kind, wanted) {
            (NodeKind::Scalar { text, plain }, _) => self.scalar(node.mark, text, *plain, schema),
            (_, "") => Some(self.free(node)),
            (NodeKind::List(items), "array") => {
                Some(self.list(items, schema.get("items").unwrap_or(&Value::Null)))
            }
            (NodeKind::Map(entries), "object") => Some(Value::Object(self.object(entries, schema))),
            (kind, wanted) => {
                let found = found(kind);
                self.error(
                    node.mark,
                    format!("expected {}, found {found}", words(wanted)),
                );
                None
            }
        }
    }

    fn list(&mut self, items: &[Arc<Node>], schema: &'a Value) -> Value {
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let length = self.path.len();
            self.path.push_str(&format!("[{index}]"));
            let before = self.problems.len();
            // A faulty item keeps its place, so that paths into the typed document stay those of
            // the text.
            match self.value(item, schema) {
                Some(value) => values.push(value),
                None => values.extend(self.blank(item.mark, schema, before)),
            }
            self.path.truncate(length);
        }
        Value::Array(values)
    }

    fn blank(&mut self, mark: Mark, schema: &'a Value, before: usize) -> Option<Value> {
        let schema = self.schema.resolve(schema);
        if self.problems.len() == before && wanted(schema) != "string" {
            self.error(mark, "an empty list item");
        }
        match wanted(schema) {
            "object" => Some(Value::Object(Map::new())),
            "string" => Some(Value::from("")),
            _ => None,
        }
    }

    fn object(&mut self, entries: &[Entry], schema: &'a Value) -> Map<String, Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        let others = additional.filter(|others| !others.is_boolean());
        let is_open = additional == Some(&Value::Bool(true));
        let free = is_open || (properties.is_none() && others.is_none());
        let mut object = Map::new();
        for entry in entries {
            let length = self.path.len();
            push_key(&mut self.path, &entry.key);
            let known = properties
                .and_then(|known| known.get(&entry.key))
                .or(others);
            let value = match known {
                Some(schema) => self.value(&entry.value, schema),
                None if free => Some(self.free(&entry.value)),
                None => {
                    self.unknown(entry, properties);
                    None
                }
            };
            object.extend(value.map(|value| (entry.key.clone(), value)));
            self.path.truncate(length);
        }
        object
    }

    fn unknown(&mut self, entry: &Entry, properties: Option<&Map<String, Value>>) {
        let known = properties
            .into_iter()
            .flat_map(|known| known.keys().map(String::as_str));
        let mut message = format!(
            "unknown key `{}`{}",
            entry.key,
            suggestion(&entry.key, known)
        );
        if let Some(remedy) = self.schema.remedy(&self.path) {
            message = format!("`{}` {remedy}", entry.key);
        }
        self.error(entry.mark, message);
    }

    /// One of several blocks, told apart by `type`.
    fn choice(&mut self, node: &Node, branches: &'a [Value]) -> Option<Value> {
        match &node.kind {
            NodeKind::Map(entries) => self.tagged(node.mark, entries, branches),
            NodeKind::List(_) => {
                self.error(node.mark, "expected a mapping with `type`, found a list");
                None
            }
            NodeKind::Scalar { text, plain } => {
                let (text, _) = self.text(node.mark, text, *plain)?;
                let message = format!("expected a mapping with `type`, found `{text}`");
                self.error(node.mark, message);
                None
            }
        }
    }

    fn tagged(&mut self, mark: Mark, entries: &[Entry], branches: &'a [Value]) -> Option<Value> {
        let tag = entries.iter().find(|entry| entry.key == "type");
        let Some((Entry { value, .. }, NodeKind::Scalar { text, .. })) =
            tag.map(|tag| (tag, &tag.value.kind))
        else {
            self.error(mark, "`type` is missing");
            return None;
        };
        let Some(branch) = branch(branches, text) else {
            let known: Vec<&str> = branches.iter().flat_map(tags).collect();
            let length = self.path.len();
            self.path.push_str(".type");
            self.error(
                value.mark,
                format!("unknown type `{text}`{}", suggestion(text, known)),
            );
            self.path.truncate(length);
            return None;
        };
        let mut object = self.object(entries, branch);
        if branch.pointer("/properties/configuration").is_some() {
            object
                .entry("configuration")
                .or_insert_with(|| Value::Object(Map::new()));
        }
        Some(Value::Object(object))
    }

    fn free(&mut self, node: &Node) -> Value {
        match &node.kind {
            NodeKind::Scalar { text, plain } => match self.text(node.mark, text, *plain) {
                Some((text, plain)) => scalar::free(&text, plain),
                None => Value::Null,
            },
            NodeKind::List(items) => {
                let values: Vec<Value> = items.iter().map(|item| self.free(item)).collect();
                Value::Array(values)
            }
            NodeKind::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|entry| (entry.key.clone(), self.free(&entry.value)));
                Value::Object(pairs.collect())
            }
        }
    }

    fn scalar(&mut self, mark: Mark, text: &str, plain: bool, schema: &Value) -> Option<Value> {
        let (text, loose) = self.text(mark, text, plain)?;
        if scalar::is_null(&text, plain) {
            return None;
        }
        let value = match wanted(schema) {
            "" => return Some(scalar::free(&text, plain)),
            "string" => return Some(Value::from(text)),
            "boolean" if loose => scalar::boolean(&text).map(Value::from),
            "integer" if loose => return self.integer(mark, &text, schema),
            "number" if loose => scalar::json_number(&text).map(Value::Number),
            "object" if loose && admits_boolean(schema) => scalar::boolean(&text).map(Value::from),
            _ => None,
        };
        if value.is_none() {
            let quoted = if loose { "" } else { " in quotes" };
            self.error(
                mark,
                format!(
                    "expected {}, found `{}`{quoted}",
                    words(wanted(schema)),
                    shorten(&text)
                ),
            );
        }
        value
    }

    /// One of the `known` words; nothing if it is empty, which stands for the default.
    fn word(&mut self, node: &Node, schema: &Value, known: &[&str]) -> Option<Value> {
        let NodeKind::Scalar { text, plain } = &node.kind else {
            let found = found(&node.kind);
            self.error(node.mark, format!("expected a word, found {found}"));
            return None;
        };
        let (text, _) = self.text(node.mark, text, *plain)?;
        if text.is_empty() || scalar::is_null(&text, *plain) {
            return None;
        }
        if known.contains(&text.as_str()) {
            return Some(Value::from(text));
        }

        let folded = text.trim();
        let same = known.iter().find(|word| word.eq_ignore_ascii_case(folded));
        if let Some(same) = same.filter(|_| schema.get(ANY_CASE).is_some()) {
            return Some(Value::from(*same));
        }
        let remedy = match same {
            Some(word) if **word == word.to_uppercase() => {
                format!(": write `{word}`, in upper case")
            }
            Some(word) => format!(": write `{word}`"),
            None => suggestion(&text, known.iter().copied()),
        };
        self.error(
            node.mark,
            format!("`{}` is not known here{remedy}", shorten(&text)),
        );
        None
    }

    fn integer(&mut self, mark: Mark, text: &str, schema: &Value) -> Option<Value> {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let Some(value) = scalar::integer(text) else {
            self.error(
                mark,
                format!("expected a whole number, found `{}`", shorten(text)),
            );
            return None;
        };
        let low = bound("minimum").is_some_and(|minimum| (value as f64) < minimum);
        let high = bound("maximum").is_some_and(|maximum| (value as f64) > maximum);
        let number = scalar::json_number(text).filter(|_| !low && !high);
        if number.is_none() {
            self.error(mark, format!("{text} is out of range"));
        }
        if scalar::is_old_octal(text) {
            let message = format!(
                "`{text}` reads as octal, that is {value}; write {value} or drop the leading zero"
            );
            self.push(mark, Severity::Warning, message);
        }
        number.map(Value::Number)
    }

    /// The text with variables replaced, and whether it may be read as more than text.
    fn text(&mut self, mark: Mark, text: &str, plain: bool) -> Option<(String, bool)> {
        let done = substitute(text, self.env);
        for name in &done.missing {
            let message = format!(
                "the environment variable `{name}` is not set; set it, or write `${{{name}:-default}}`"
            );
            self.push(mark, Severity::Error, message);
        }
        if let Some(kept) = &done.suspicious {
            let message =
                format!("`{kept}` is kept as text: names of environment variables are upper case");
            self.push(mark, Severity::Note, message);
        }
        done.missing
            .is_empty()
            .then(|| (done.text.into_owned(), plain || done.replaced))
    }

    fn error(&mut self, mark: Mark, message: impl Into<String>) {
        self.push(mark, Severity::Error, message.into());
    }

    fn push(&mut self, mark: Mark, severity: Severity, message: String) {
        self.problems.push(Problem {
            path: self.path.clone(),
            line: mark.line,
            column: mark.column,
            severity,
            message,
        });
    }
}

/// The mark of a list of words that the reference reads in any case.
const ANY_CASE: &str = "x-any-case";

/// The words that a schema admits, if it admits nothing else.
fn words_of(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    let mut words = Vec::new();
    for branch in schema.get("oneOf").and_then(Value::as_array)? {
        match (branch.get("const"), branch.get("enum")) {
            (Some(word), _) => words.push(word.as_str()?),
            (None, Some(list)) => words.extend(list.as_array()?.iter().filter_map(Value::as_str)),
            (None, None) => return None,
        }
    }
    Some(words)
}

/// The schema's type, `""` if it takes anything.
fn wanted(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .unwrap_or_default(),
        _ => "",
    }
}

/// Tells whether a mapping may also be written as a boolean.
fn admits_boolean(schema: &Value) -> bool {
    let names = schema.get("type").and_then(Value::as_array);
    names.is_some_and(|names| names.contains(&Value::from("boolean")))
}

fn found(kind: &NodeKind) -> &'static str {
    match kind {
        NodeKind::Scalar { .. } => "a plain value",
        NodeKind::List(_) => "a list",
        NodeKind::Map(_) => "a mapping",
    }
}

fn words(wanted: &str) -> &'static str {
    match wanted {
        "array" => "a list",
        "object" => "a mapping",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        _ => "text",
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
