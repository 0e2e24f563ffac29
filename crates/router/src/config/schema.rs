//! The JSON Schema of the document, generated from its types: for editors, and for the reader to
//! walk by.

use super::Document;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The schema, draft 2020-12. Secrets carry `writeOnly`.
#[must_use]
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The schema as it is committed: pretty, with a final newline. The same on every machine.
#[must_use]
pub fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(&*SCHEMA).unwrap_or_default();
    text.push('\n');
    text
}

/// The schema, built once.
pub(super) static SCHEMA: LazyLock<Value> = LazyLock::new(build);

/// Follows `$ref`, and takes the one alternative to `null`.
pub(super) fn resolve(schema: &'static Value) -> &'static Value {
    let mut schema = schema;
    for _ in 0..8 {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.strip_prefix("#/$defs/").unwrap_or(name);
            schema = SCHEMA
                .get("$defs")
                .and_then(|defs| defs.get(name))
                .unwrap_or(&Value::Null);
        } else if let Some(inner) = schema.get("anyOf").and_then(Value::as_array) {
            let written = inner
                .iter()
                .find(|branch| branch.get("type") != Some(&Value::from("null")));
            schema = written.unwrap_or(&Value::Null);
        } else {
            break;
        }
    }
    schema
}

/// The branch of a tagged choice whose `type` admits `tag`.
pub(super) fn branch<'a>(branches: &'a [Value], tag: &str) -> Option<&'a Value> {
    branches.iter().find(|branch| tags(branch).contains(&tag))
}

/// The tags that a branch of a tagged choice admits.
pub(super) fn tags(branch: &Value) -> Vec<&str> {
    let Some(tag) = branch.pointer("/properties/type") else {
        return Vec::new();
    };
    match (tag.get("const"), tag.get("enum")) {
        (Some(name), _) => name.as_str().into_iter().collect(),
        (None, Some(names)) => names
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
        _ => Vec::new(),
    }
}

fn build() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert(
            "title".to_owned(),
            Value::from("Merit routing document v0.3"),
        );
    }
    tidy(&mut schema);
    admit_plugin_spellings(&mut schema);
    schema
}

/// Drops what is noise in an editor: empty defaults and names of Rust number types; their ranges
/// stay.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            bound_number(object);
            let empty = match object.get("default") {
                Some(Value::Null | Value::Bool(false)) => true,
                Some(Value::String(text)) => text.is_empty(),
                Some(Value::Number(number)) => number.as_f64() == Some(0.0),
                Some(Value::Array(items)) => items.is_empty(),
                Some(Value::Object(fields)) => fields.is_empty(),
                _ => false,
            };
            if empty {
                object.remove("default");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn bound_number(object: &mut Map<String, Value>) {
    let Some(format) = object.get("format").and_then(Value::as_str) else {
        return;
    };
    let maximum = (format == "uint32").then_some(u32::MAX);
    if matches!(
        format,
        "float" | "double" | "uint16" | "uint32" | "uint64" | "int64" | "uint"
    ) {
        object.remove("format");
        object.extend(maximum.map(|bound| ("maximum".to_owned(), Value::from(bound))));
    }
}

/// Plugins have old spellings, and need no `configuration` when all of it is at its default.
fn admit_plugin_spellings(schema: &mut Value) {
    let branches = schema
        .pointer_mut("/$defs/Plugin/oneOf")
        .and_then(Value::as_array_mut);
    for branch in branches.into_iter().flatten() {
        if tags(branch) == ["response_cache"]
            && let Some(tag) = branch.pointer_mut("/properties/type")
        {
            *tag = json!({"type": "string", "enum": ["response_cache", "semantic-cache", "semantic_cache", "response-cache"]});
        }
        if let Some(branch) = branch.as_object_mut() {
            branch.insert("required".to_owned(), json!(["type"]));
        }
    }
}
