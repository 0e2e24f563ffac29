//! The `metadata` map of a request and its limits.

use std::collections::BTreeMap;

use crate::json::{self, Kind};

const MAX_ENTRIES: usize = 32;
const MAX_KEY_BYTES: usize = 128;
const MAX_VALUE_BYTES: usize = 1024;

/// What a `null` value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Null {
    /// As if the entry were not there.
    Absent,
    /// The empty string, as a typed decoder reads it.
    Empty,
}

/// A map beyond its limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("metadata must not have more than {MAX_ENTRIES} entries")]
    TooMany,
    #[error("metadata keys must be 1 to {MAX_KEY_BYTES} bytes long")]
    Key,
    #[error("metadata values must not be longer than {MAX_VALUE_BYTES} bytes")]
    Value,
    #[error("field metadata.{key} must be string, got {kind}")]
    Type { key: String, kind: Kind },
}

/// Reads an object of strings; of duplicate keys the last counts.
pub(crate) fn read(raw: &str, null: Null) -> Result<BTreeMap<String, String>, MetadataError> {
    let mut map = BTreeMap::new();
    let mut error = None;
    json::members(raw, |key, value| {
        if null == Null::Absent && value == "null" {
            map.remove(key.as_ref());
            return;
        }
        let text = json::string(value)
            .or_else(|| (null == Null::Empty && value == "null").then_some("".into()));
        match text {
            Some(text) => drop(map.insert(key.into_owned(), text.into_owned())),
            None if error.is_some() => {}
            None => {
                let key = key.chars().take(MAX_KEY_BYTES).collect();
                error = Some(MetadataError::Type {
                    key,
                    kind: Kind::of(value),
                });
            }
        }
    });
    error.map_or(Ok(()), Err)?;
    if map.len() > MAX_ENTRIES {
        return Err(MetadataError::TooMany);
    }
    if map
        .keys()
        .any(|key| key.is_empty() || key.len() > MAX_KEY_BYTES)
    {
        return Err(MetadataError::Key);
    }
    if map.values().any(|value| value.len() > MAX_VALUE_BYTES) {
        return Err(MetadataError::Value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inclusive() {
        let entries = |count: usize| {
            let members: Vec<String> = (0..count).map(|n| format!("\"k{n}\":\"v\"")).collect();
            format!("{{{}}}", members.join(","))
        };
        let one = |key: usize, value: usize| {
            format!("{{\"{}\":\"{}\"}}", "k".repeat(key), "v".repeat(value))
        };
        let cases = [
            (entries(32), Ok(32)),
            (entries(33), Err(MetadataError::TooMany)),
            (one(128, 1024), Ok(1)),
            (one(129, 1), Err(MetadataError::Key)),
            (one(0, 1), Err(MetadataError::Key)),
            (one(1, 1025), Err(MetadataError::Value)),
            (
                r#"{"a":1}"#.to_owned(),
                Err(MetadataError::Type {
                    key: "a".to_owned(),
                    kind: Kind::Number,
                }),
            ),
            (r#"{"a":null}"#.to_owned(), Ok(0)),
            (r#"{"a":"x","b":null,"a":null}"#.to_owned(), Ok(0)),
        ];
        for (raw, expected) in cases {
            assert_eq!(
                read(&raw, Null::Absent).map(|map| map.len()),
                expected,
                "{raw}"
            );
        }
        assert_eq!(
            read(r#"{"a":null}"#, Null::Empty),
            Ok(BTreeMap::from([("a".to_owned(), String::new())]))
        );
    }
}
