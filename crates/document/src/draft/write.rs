//! Values as text: in braces, as YAML or as JSON, like the document around them.

use super::Draft;
use crate::scalar::yaml_text;
use serde_json::Value;

impl Draft {
    /// Returns a value in one line.
    pub(super) fn words(&self, value: &Value) -> String {
        if self.is_json() {
            value.to_string()
        } else {
            flow(value)
        }
    }

    /// Returns a key as it is written in braces.
    pub(super) fn key_words(&self, key: &str) -> String {
        if self.is_json() {
            Value::from(key).to_string()
        } else {
            yaml_text(key)
        }
    }

    /// Returns a key and its value as lines of a block; the first line has no break before it.
    pub(super) fn block(&self, key: &str, value: &Value, indent: &str) -> String {
        let newline = if self.text().contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        if let Some(items) = value
            .as_array()
            .filter(|items| items.iter().any(Value::is_object))
        {
            let mut lines = vec![format!("{indent}{}:", yaml_text(key))];
            lines.extend(items.iter().map(|it| format!("{indent}  - {}", flow(it))));
            return lines.join(newline);
        }
        let lists = value
            .as_object()
            .filter(|fields| fields.values().any(Value::is_array));
        let Some(fields) = lists else {
            return format!("{indent}{}: {}", yaml_text(key), flow(value));
        };
        let mut lines = vec![format!("{indent}{}:", yaml_text(key))];
        for (name, value) in fields {
            match value.as_array().filter(|items| !items.is_empty()) {
                Some(items) => {
                    lines.push(format!("{indent}  {}:", yaml_text(name)));
                    lines.extend(items.iter().map(|it| format!("{indent}    - {}", flow(it))));
                }
                None => lines.push(format!("{indent}  {}: {}", yaml_text(name), flow(value))),
            }
        }
        lines.join(newline)
    }

    fn is_json(&self) -> bool {
        self.root().0.flow
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(written) => yaml_text(written),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(key, value)| format!("{}: {}", yaml_text(key), flow(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
