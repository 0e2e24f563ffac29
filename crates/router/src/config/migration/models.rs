//! Rows of `providers.models`: backends and reasoning.

use super::Migration;
use crate::config::renames::is_built_in;
use document::Unedited;
use selection::providers::BackendRef;
use serde_json::{Map, Value, json};

/// Efforts from the least to the most.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Names the provider of backends that have an endpoint alone.
pub(super) fn providers(migration: &mut Migration) -> Result<(), Unedited> {
    for backend in migration
        .draft
        .matching("providers.models[].backend_refs[]")
    {
        let (endpoint, provider) = (format!("{backend}.endpoint"), format!("{backend}.provider"));
        let Some(address) = migration.text(&endpoint).filter(|it| !it.is_empty()) else {
            continue;
        };
        if migration.text(&provider).is_some_and(|it| !it.is_empty()) {
            continue;
        }
        let model = backend.split(".backend_refs").next().unwrap_or_default();
        if let Some(why) = otherwise_sent(migration, model, &backend, address) {
            return Err(Unedited::at(&backend, why));
        }

        migration.note(&backend, "has `provider: vllm` now");
        if migration.has(&provider) {
            migration.draft.set(&provider, &Value::from("vllm"))?;
        } else {
            migration
                .draft
                .insert(&backend, "provider", &Value::from("vllm"))?;
        }
    }
    Ok(())
}

/// Says why a request would be sent otherwise under `provider: vllm`.
fn otherwise_sent(
    migration: &Migration,
    model: &str,
    backend: &str,
    endpoint: &str,
) -> Option<&'static str> {
    let is_at = |host| {
        let backend = BackendRef {
            endpoint: endpoint.to_owned(),
            ..BackendRef::default()
        };
        backend.is_at(host)
    };
    let has = |key: &str| migration.has(&format!("{backend}.{key}"));
    let sends_key = (has("api_key") || has("api_key_env")) && !has("auth_header");
    let other_header = migration.text(&format!("{model}.api_format")) == Some("anthropic")
        || ["anthropic.com", "azure.com", "googleapis.com"]
            .iter()
            .any(|host| is_at(host));
    if migration.has(&format!("{model}.external_model_ids.vllm")) {
        return Some(
            "it has no provider, and `external_model_ids.vllm` would take effect; name it",
        );
    }
    (sends_key && other_header)
        .then_some("it has no provider, and vllm takes its key in another header; name it")
}

/// Gives models of Anthropic that name no backend theirs.
pub(super) fn anthropic(migration: &mut Migration) -> Result<(), Unedited> {
    let listeners = migration.draft.at("listeners");
    if listeners.is_some_and(|it| it.is_list() && it.items().next().is_none()) {
        return Ok(());
    }
    for model in migration.draft.matching("providers.models[]") {
        let path = format!("{model}.backend_refs");
        let is_empty = migration
            .draft
            .at(&path)
            .is_none_or(|backends| backends.items().next().is_none());
        if migration.text(&format!("{model}.api_format")) != Some("anthropic") || !is_empty {
            continue;
        }
        migration.note(&model, "has `backend_refs: [{provider: anthropic}]` now");
        let backends = json!([{"provider": "anthropic"}]);
        if migration.has(&path) {
            migration.draft.set(&path, &backends)?;
        } else {
            migration.draft.insert(&model, "backend_refs", &backends)?;
        }
    }
    Ok(())
}

/// Writes how each model is switched to reasoning beside the model.
pub(super) fn reasoning(migration: &mut Migration) -> Result<(), Unedited> {
    const FAMILIES: &str = "providers.defaults.reasoning_families";
    let declared = migration.value(FAMILIES).unwrap_or_default();
    for path in migration
        .draft
        .matching("providers.models[].reasoning_family")
    {
        let model = path.trim_end_matches(".reasoning_family").to_owned();
        let family = migration.text(&path).unwrap_or_default().to_owned();
        if family.is_empty() {
            migration.note(&path, "is gone; it was empty");
            migration.draft.remove(&path)?;
            continue;
        }
        for other in ["reasoning", "catalog"] {
            if migration.has(&format!("{model}.{other}")) {
                return Err(Unedited::at(&path, &format!("`{other}` stands beside it")));
            }
        }

        let block = switch(migration, &model, &family, declared.get(&family));
        migration.note(&path, format!("is now {model}.reasoning"));
        migration.draft.rename(&path, "reasoning")?;
        migration.draft.set(&format!("{model}.reasoning"), &block)?;
    }
    if migration.has(FAMILIES) {
        migration.note(FAMILIES, "is gone; each model says its own");
        migration.draft.remove(FAMILIES)?;
    }
    Ok(())
}

/// Returns the block of a model whose family the document declares, or does not.
fn switch(migration: &Migration, model: &str, family: &str, declared: Option<&Value>) -> Value {
    let Some(declared) = declared.and_then(Value::as_object) else {
        return json!({"family": family});
    };
    let word = |key: &str| {
        declared
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (kind, parameter) = (word("type"), word("parameter"));
    if is_built_in(family, kind, parameter) {
        return json!({"family": family});
    }

    let mut block = Map::new();
    block.insert("type".to_owned(), kind.into());
    block.insert("parameter".to_owned(), parameter.into());
    if kind.ends_with("reasoning_effort") {
        // An effort that is sent must be a level now, and no effort meant `medium`.
        block.insert("levels".to_owned(), efforts(migration, model).into());
        block.insert("default".to_owned(), "medium".into());
        if is_switched_off(migration, model) {
            block.insert("modes".to_owned(), json!(["enabled", "disabled"]));
            block.insert("default_mode".to_owned(), "enabled".into());
        }
    }
    Value::Object(block)
}

/// Returns the usual efforts, and those that the document asks of the model.
fn efforts(migration: &Migration, model: &str) -> Vec<String> {
    let asked = refs(migration, model)
        .into_iter()
        .map(|path| format!("{path}.reasoning_effort"))
        .chain(["providers.defaults.reasoning_effort".to_owned()]);
    let mut efforts: Vec<String> = ["low", "medium", "high"].map(str::to_owned).into();
    for effort in asked.filter_map(|path| migration.text(&path)) {
        if !effort.is_empty() && !efforts.iter().any(|known| known == effort) {
            efforts.push(effort.to_owned());
        }
    }
    efforts.sort_by_key(|effort| {
        EFFORTS
            .iter()
            .position(|known| known == effort)
            .unwrap_or(7)
    });
    efforts
}

fn is_switched_off(migration: &Migration, model: &str) -> bool {
    refs(migration, model)
        .iter()
        .any(|path| migration.value(&format!("{path}.use_reasoning")) == Some(Value::Bool(false)))
}

/// Returns the paths of the candidates that name a model.
fn refs(migration: &Migration, model: &str) -> Vec<String> {
    let name = migration.text(&format!("{model}.name"));
    let mut refs = migration.matching("routing.decisions[].modelRefs[]");
    refs.retain(|path| name.is_some() && migration.text(&format!("{path}.model")) == name);
    refs
}
