//! A document as it may be shown, and its digest.

use super::schema::{Schema, branch};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write;

/// What stands in place of a secret.
pub(super) const HIDDEN: &str = "[redacted]";
/// Keys that hold secrets wherever they appear, also where the document is free-form.
const SECRET_KEYS: [&str; 9] = [
    "access_key",
    "api_key",
    "auth_token",
    "authorization",
    "credentials",
    "password",
    "secret",
    "secret_key",
    "token",
];

/// Returns the document without its secrets: what the schema marks `writeOnly`, keys named like secrets,
/// user information in URLs, and values in query strings. Empty secrets stay empty, so that one sees whether any is set.
#[must_use]
pub fn redact(value: &Value, schema: &Schema) -> Value {
    visible(value, schema.value(), schema)
}

/// Returns the SHA-256 of the document with sorted keys and no white space, in hexadecimal: the same for
/// documents that say the same.
#[must_use]
pub fn hash(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a string does not fail.
        let _ignored = write!(hex, "{byte:02x}");
    }
    hex
}

/// Returns a text of the document as it may be shown: without user information in a URL, and values
/// in its query that are named like secrets.
#[must_use]
pub fn shown(text: &str) -> String {
    without_keys(&without_user(text))
}

fn visible(value: &Value, part: &Value, schema: &Schema) -> Value {
    let part = schema.resolve(part);
    match value {
        Value::Object(fields) => {
            let tag = fields
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let branches = part.get("oneOf").and_then(Value::as_array);
            let part = branches
                .and_then(|branches| branch(branches, tag))
                .unwrap_or(part);
            Value::Object(
                fields
                    .iter()
                    .map(|(key, value)| (key.clone(), field(key, value, part, schema)))
                    .collect(),
            )
        }
        Value::Array(items) => {
            let part = part.get("items").unwrap_or(&Value::Null);
            let visible = |item| visible(item, part, schema);
            Value::Array(items.iter().map(visible).collect())
        }
        Value::String(text) => Value::from(shown(text)),
        other => other.clone(),
    }
}

fn field(key: &str, value: &Value, part: &Value, schema: &Schema) -> Value {
    let known = part
        .get("properties")
        .and_then(|properties| properties.get(key));
    let known = known
        .or_else(|| part.get("additionalProperties"))
        .unwrap_or(&Value::Null);
    let marked = known.get("writeOnly") == Some(&Value::Bool(true));
    let named = SECRET_KEYS.contains(&key.to_lowercase().as_str());
    match marked || named {
        true => hidden(value),
        false => visible(value, known, schema),
    }
}

fn hidden(value: &Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => Value::from(""),
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Object(fields) => {
            let fields: Map<_, _> = fields
                .iter()
                .map(|(key, value)| (key.clone(), hidden(value)))
                .collect();
            Value::Object(fields)
        }
        Value::Array(items) => Value::Array(items.iter().map(hidden).collect()),
        Value::String(_) | Value::Number(_) => Value::from(HIDDEN),
    }
}

/// `scheme://user:password@host` loses its user information.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) if !scheme.contains(char::is_whitespace) => {
            let host = rest.strip_prefix(user).unwrap_or(rest);
            format!("{scheme}://{HIDDEN}{host}")
        }
        _ => text.to_owned(),
    }
}

/// `https://host/path?api_key=secret` loses the value, and so does every other part of a query that
/// is named like a secret.
fn without_keys(text: &str) -> String {
    /// Words that the name of a secret holds, besides [`SECRET_KEYS`].
    const WORDS: [&str; 9] = [
        "auth",
        "key",
        "passwd",
        "password",
        "pwd",
        "secret",
        "sig",
        "signature",
        "token",
    ];
    let Some(at) = text.find(['?', '#']) else {
        return text.to_owned();
    };
    let (front, pairs) = text.split_at(at);
    let is_url = front.contains('/') && !front.contains(char::is_whitespace);
    if !is_url {
        return text.to_owned();
    }
    let is_secret = |name: &str| {
        let name = name.to_lowercase();
        let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
        SECRET_KEYS.contains(&name.as_str())
            || words.any(|word| WORDS.contains(&word) || word.ends_with("key"))
    };
    // Each ends with the sign behind it.
    let pairs = pairs.split_inclusive(['?', '&', '#']).map(|pair| {
        let end = pair.trim_end_matches(['?', '&', '#']);
        let sign = pair.get(end.len()..).unwrap_or_default();
        match end.split_once('=') {
            Some((name, value)) if is_secret(name) && !value.is_empty() => {
                Cow::from(format!("{name}={HIDDEN}{sign}"))
            }
            _ => Cow::from(pair),
        }
    });
    format!("{front}{}", pairs.collect::<String>())
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                canonical(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}
