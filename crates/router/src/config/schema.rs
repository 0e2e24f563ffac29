//! The schema of the routing document.

use super::Document;
use document::{Schema, tags};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Returns the schema of the routing document.
#[must_use]
pub fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        Schema::of::<Document>("Merit routing document v0.3")
            .adapted(admit_plugin_spellings)
            .retires(&LEGACY, MIGRATE)
    });
    &SCHEMA
}

/// What to do about a key of an earlier layout.
const MIGRATE: &str = "belongs to a layout before v0.3; convert the document with the reference's `vllm-sr config migrate`";

/// Top-level keys of the layouts before v0.3.
const LEGACY: [&str; 17] = [
    "api",
    "bert_model",
    "categories",
    "classifier",
    "decisions",
    "default_model",
    "embedding_models",
    "keyword_rules",
    "model_config",
    "observability",
    "prompt_guard",
    "reasoning_families",
    "router_replay",
    "semantic_cache",
    "signals",
    "tools",
    "vllm_endpoints",
];

/// Admits the old spellings of plugins, which need no `configuration` when all of it is at its default.
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
