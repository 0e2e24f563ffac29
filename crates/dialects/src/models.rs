//! The model list that the router answers itself, in OpenAI's and in Anthropic's shape.

use std::collections::HashSet;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A name that clients may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// The name.
    pub id: String,
    /// Since when it exists, Unix seconds.
    pub created: u64,
    /// Who provides it.
    pub owned_by: String,
    /// A sentence about it.
    pub description: Option<String>,
    /// The longest context of the models behind it, tokens. Agents take their context window from
    /// it.
    pub max_model_len: Option<u64>,
    /// How the router treats the name.
    pub routing: Routing,
}

/// How a model name is routed, as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Routing {
    /// `virtual` for a name that routes by content, `passthrough` for a concrete model.
    pub resolution: &'static str,
    /// Routing chooses the model.
    pub selectable: bool,
    /// The name stands for the default routing block.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default_route: bool,
    /// The recipe the name stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
}

/// The shape of a list, told by the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListShape {
    /// `{"object":"list","data":[…]}`.
    OpenAi,
    /// The same with `"models": []`, for Codex: it reads a catalogue of its own shape there, reports
    /// an error where the member is missing, and adds what it finds to the models that it knows.
    Codex,
    /// The client sent `anthropic-version`.
    Anthropic,
}

/// The whole list; of entries with the same id the first counts.
#[must_use]
pub fn list(entries: &[ModelEntry], shape: ListShape) -> Bytes {
    let mut seen = HashSet::new();
    let entries = entries
        .iter()
        .filter(|entry| seen.insert(entry.id.as_str()));
    let data: Vec<Value> = entries.map(|entry| describe(entry, shape)).collect();
    let list = match shape {
        ListShape::OpenAi => json!({"object": "list", "data": data}),
        ListShape::Codex => json!({"object": "list", "data": data, "models": []}),
        ListShape::Anthropic => {
            let id = |entry: Option<&Value>| entry.and_then(|entry| entry.get("id")).cloned();
            let (first, last) = (id(data.first()), id(data.last()));
            json!({"data": data, "has_more": false, "first_id": first, "last_id": last})
        }
    };
    list.to_string().into()
}

/// One model, or `None` for an unknown id (404).
#[must_use]
pub fn single(entries: &[ModelEntry], id: &str, shape: ListShape) -> Option<Bytes> {
    let entry = entries.iter().find(|entry| entry.id == id)?;
    Some(describe(entry, shape).to_string().into())
}

fn describe(entry: &ModelEntry, shape: ListShape) -> Value {
    let mut model = Map::new();
    let mut put = |name: &str, value: Value| drop(model.insert(name.to_owned(), value));
    match shape {
        ListShape::OpenAi | ListShape::Codex => {
            put("id", json!(entry.id));
            put("object", json!("model"));
            put("created", json!(entry.created));
            put("owned_by", json!(entry.owned_by));
            if let Some(description) = &entry.description {
                put("description", json!(description));
            }
            if let Some(tokens) = entry.max_model_len {
                put("max_model_len", json!(tokens));
                put("context_length", json!(tokens));
            }
            put("routing", json!(entry.routing));
        }
        ListShape::Anthropic => {
            let created = UNIX_EPOCH
                .checked_add(Duration::from_secs(entry.created))
                .unwrap_or(UNIX_EPOCH);
            put("type", json!("model"));
            put("id", json!(entry.id));
            put("display_name", json!(entry.id));
            put(
                "created_at",
                json!(humantime::format_rfc3339_seconds(created).to_string()),
            );
            if let Some(tokens) = entry.max_model_len {
                put("max_input_tokens", json!(tokens));
            }
        }
    }
    Value::Object(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, description: &str) -> ModelEntry {
        ModelEntry {
            id: id.to_owned(),
            created: 1_790_000_000,
            owned_by: "vllm-semantic-router".to_owned(),
            description: Some(description.to_owned()),
            max_model_len: Some(32_768),
            routing: Routing {
                resolution: "virtual",
                selectable: true,
                default_route: id == "auto",
                recipe: Some("default".to_owned()),
            },
        }
    }

    fn pretty(body: &[u8]) -> String {
        serde_json::to_string_pretty(&serde_json::from_slice::<Value>(body).unwrap()).unwrap()
    }

    #[test]
    fn openai_shape() {
        let entries = [entry("auto", "first"), entry("auto", "again")];
        insta::with_settings!({snapshot_path => "golden", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!("models_openai", pretty(&list(&entries, ListShape::OpenAi)));
        });
    }

    #[test]
    fn anthropic_shape() {
        let entries = [entry("auto", "first"), entry("vllm-sr/auto", "second")];
        insta::with_settings!({snapshot_path => "golden", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!("models_anthropic", pretty(&list(&entries, ListShape::Anthropic)));
        });
        let empty = r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#;
        assert_eq!(list(&[], ListShape::Anthropic), empty);
        assert_eq!(
            list(&[], ListShape::OpenAi),
            r#"{"object":"list","data":[]}"#
        );
        assert_eq!(
            list(&[], ListShape::Codex),
            r#"{"object":"list","data":[],"models":[]}"#
        );
    }

    #[test]
    fn one_model_is_the_list_entry_without_the_list() {
        let entries = [entry("auto", "first"), entry("vllm-sr/auto", "second")];
        let found: Value =
            serde_json::from_slice(&single(&entries, "vllm-sr/auto", ListShape::OpenAi).unwrap())
                .unwrap();
        let all: Value = serde_json::from_slice(&list(&entries, ListShape::OpenAi)).unwrap();
        assert_eq!(found, all["data"][1]);
        assert_eq!(single(&entries, "other", ListShape::OpenAi), None);
    }
}
