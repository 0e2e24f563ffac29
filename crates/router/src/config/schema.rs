//! The schema of the routing document.

use super::Document;
use crate::plugins;
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
        let name = tags(branch).into_iter().next();
        let plugin = name.and_then(plugins::named);
        if let Some(plugin) = plugin.filter(|plugin| plugin.spellings.len() > 1)
            && let Some(tag) = branch.pointer_mut("/properties/type")
        {
            *tag = json!({"type": "string", "enum": plugin.spellings});
        }
        if let Some(branch) = branch.as_object_mut() {
            branch.insert("required".to_owned(), json!(["type"]));
        }
    }
}
