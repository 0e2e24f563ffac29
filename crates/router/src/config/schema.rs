//! The schema of the routing document.

use super::spelling::{self, RENAMES, Spelling};
use super::{Document, future};
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
            .adapted(admit_old_and_new_keys)
            .retires(&LEGACY, MIGRATE)
            .refuses(&future::KEYS)
            .respells(spelling::respell)
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

/// Admits both names of keys that were renamed, each as the one that the types have.
fn admit_old_and_new_keys(schema: &mut Value) {
    for rename in &RENAMES {
        let (read, other) = rename.names();
        let Some(name) = definition(schema, rename.block) else {
            continue;
        };
        let properties = schema.pointer_mut(&format!("/$defs/{name}/properties"));
        let properties = properties.and_then(Value::as_object_mut);
        if let Some(properties) = properties
            && let Some(mut property) = properties.get(read).cloned()
        {
            let words = match rename.read {
                Spelling::Old => format!("Newer name of `{read}`."),
                Spelling::New => format!("Older name of `{read}`."),
            };
            if let Some(property) = property.as_object_mut() {
                property.insert("description".to_owned(), Value::from(words));
            }
            properties.insert(other.to_owned(), property);
        }
    }
}

/// Returns the name of the type that stands at the path of a block.
fn definition(schema: &Value, block: &str) -> Option<String> {
    let mut part = schema;
    let mut name = String::new();
    for key in block.split('.') {
        let property = part.get("properties")?.get(key)?;
        let reference = property.get("$ref").and_then(Value::as_str)?;
        name = reference.strip_prefix("#/$defs/")?.to_owned();
        part = schema.get("$defs")?.get(&name)?;
    }
    Some(name)
}

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
