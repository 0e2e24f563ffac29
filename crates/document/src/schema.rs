//! The JSON Schema of a document, generated from its types: for editors, and for the reader to walk
//! by.

use super::respelling::Respelled;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The schema of one kind of document, draft 2020-12. Secrets carry `writeOnly`.
#[derive(Debug, Clone)]
pub struct Schema {
    root: Value,
    retired: &'static [&'static str],
    remedy: &'static str,
    refused: &'static [Refused],
    respell: Option<fn(&mut Value) -> Respelled>,
}

/// A key that is refused by name, with what to do about it.
#[derive(Debug, Clone, Copy)]
pub struct Refused {
    /// Path of the key; `[]` stands for any index of a list.
    pub path: &'static str,
    /// What to do about it: stands behind the key's name.
    pub remedy: &'static str,
}

impl Schema {
    /// Generates the schema of a document's type.
    #[must_use]
    pub fn of<T: JsonSchema>(title: &str) -> Self {
        let settings = SchemaSettings::draft2020_12().for_deserialize();
        let mut root = settings
            .into_generator()
            .into_root_schema_for::<T>()
            .to_value();
        if let Some(root) = root.as_object_mut() {
            root.insert("title".to_owned(), Value::from(title));
        }
        tidy(&mut root);
        Self {
            root,
            retired: &[],
            remedy: "",
            refused: &[],
            respell: None,
        }
    }

    /// Admits more than the types say, for example old spellings.
    #[must_use]
    pub fn adapted(mut self, adapt: impl FnOnce(&mut Value)) -> Self {
        adapt(&mut self.root);
        self
    }

    /// Names top-level keys of layouts that are not read any more, and what to do about them.
    #[must_use]
    pub fn retires(self, keys: &'static [&'static str], remedy: &'static str) -> Self {
        Self {
            retired: keys,
            remedy,
            ..self
        }
    }

    /// Names keys anywhere in the document that are not read, and what to do about each.
    #[must_use]
    pub fn refuses(self, keys: &'static [Refused]) -> Self {
        Self {
            refused: keys,
            ..self
        }
    }

    /// Brings what is read to the one spelling that the document's type has.
    #[must_use]
    pub fn respells(self, respell: fn(&mut Value) -> Respelled) -> Self {
        Self {
            respell: Some(respell),
            ..self
        }
    }

    /// Returns the schema.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.root
    }

    /// Returns the schema as it is committed: pretty, with a final newline. The same on every
    /// machine.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.root).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Returns what to do about a key that is refused by name.
    pub(crate) fn remedy(&self, path: &str) -> Option<&'static str> {
        if self.retired.contains(&path) {
            return Some(self.remedy);
        }
        let path = pattern(path);
        let refused = self.refused.iter().find(|refused| refused.path == path);
        refused.map(|refused| refused.remedy)
    }

    /// Brings a value to the spelling of the document's type.
    pub(crate) fn respell(&self, value: &mut Value) -> Respelled {
        self.respell
            .map_or_else(Respelled::default, |respell| respell(value))
    }

    /// Follows `$ref`, and takes the one alternative to `null`.
    pub(crate) fn resolve<'a>(&'a self, part: &'a Value) -> &'a Value {
        let mut part = part;
        for _ in 0..8 {
            if let Some(name) = part.get("$ref").and_then(Value::as_str) {
                let name = name.strip_prefix("#/$defs/").unwrap_or(name);
                part = self
                    .root
                    .get("$defs")
                    .and_then(|defs| defs.get(name))
                    .unwrap_or(&Value::Null);
            } else if let Some(inner) = part.get("anyOf").and_then(Value::as_array) {
                let written = inner
                    .iter()
                    .find(|branch| branch.get("type") != Some(&Value::from("null")));
                part = written.unwrap_or(&Value::Null);
            } else {
                break;
            }
        }
        part
    }
}

/// Returns a path with every index of a list left out: `a[3].b` becomes `a[].b`.
#[must_use]
pub fn pattern(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    let mut is_index = false;
    for letter in path.chars() {
        is_index = match letter {
            '[' => true,
            digit if is_index && digit.is_ascii_digit() => continue,
            _ => false,
        };
        pattern.push(letter);
    }
    pattern
}

/// Returns the branch of a tagged choice whose `type` admits `tag`.
pub(crate) fn branch<'a>(branches: &'a [Value], tag: &str) -> Option<&'a Value> {
    branches.iter().find(|branch| tags(branch).contains(&tag))
}

/// Returns the tags that a branch of a tagged choice admits.
#[must_use]
pub fn tags(branch: &Value) -> Vec<&str> {
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
