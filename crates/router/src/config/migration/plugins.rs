//! Rows of plugins.

use super::Migration;
use crate::config::renames::RESPONSE_CACHE;
use document::Unedited;
use serde_json::{Map, Value, json};

const PLUGINS: &str = "routing.decisions[].plugins[]";

/// Gives the response cache its one name.
pub(super) fn response_cache(migration: &mut Migration) -> Result<(), Unedited> {
    for path in migration.matching(&format!("{PLUGINS}.type")) {
        let kind = migration.text(&path).unwrap_or_default();
        if !RESPONSE_CACHE.contains(&kind) {
            continue;
        }
        let plugins = path.rsplit_once('[').map_or("", |(plugins, _)| plugins);
        let is_there = migration
            .draft
            .at(plugins)
            .is_some_and(|list| list.items().any(|it| is_response_cache(it.key("type"))));
        if is_there {
            return Err(Unedited::at(
                &path,
                "the decision has a response_cache already",
            ));
        }
        migration.note(&path, "is now response_cache");
        migration.draft.set(&path, &Value::from("response_cache"))?;
    }
    Ok(())
}

fn is_response_cache(kind: Option<document::Part<'_>>) -> bool {
    kind.and_then(document::Part::text) == Some("response_cache")
}

/// Puts what clients may ask of the response cache into its block.
pub(super) fn request_controls(migration: &mut Migration) -> Result<(), Unedited> {
    for plugin in migration.matching(PLUGINS) {
        let configuration = format!("{plugin}.configuration");
        let is_cache = is_response_cache(migration.draft.at(&format!("{plugin}.type")));
        let old = [
            ("allow_request_controls", "enabled"),
            ("control_header", "header"),
        ];
        let mut block = Map::new();
        for (key, new) in old {
            let value = migration.value(&format!("{configuration}.{key}"));
            block.extend(value.map(|value| (new.to_owned(), value)));
        }
        if !is_cache || block.is_empty() {
            continue;
        }
        if migration.has(&format!("{configuration}.request_controls")) {
            let why =
                "`request_controls` stands beside `allow_request_controls` or `control_header`";
            return Err(Unedited::at(&configuration, why));
        }

        migration
            .draft
            .insert(&configuration, "request_controls", &Value::Object(block))?;
        for (key, new) in old {
            let path = format!("{configuration}.{key}");
            if migration.has(&path) {
                let place = format!("{configuration}.request_controls.{new}");
                migration.note(&path, format!("is now {place}"));
                migration.draft.remove(&path)?;
            }
        }
    }
    Ok(())
}

/// Writes the switch of dynamic retrieval as a block.
pub(super) fn dynamic_retrieval(migration: &mut Migration) -> Result<(), Unedited> {
    for path in migration.matching(&format!("{PLUGINS}.configuration.dynamic_retrieval")) {
        if let Some(Value::Bool(enabled)) = migration.value(&path) {
            migration.note(&path, format!("is now {{enabled: {enabled}}}"));
            migration.draft.set(&path, &json!({"enabled": enabled}))?;
        }
    }
    Ok(())
}
