//! The schema, redaction and digest.

use super::environment;
use crate::config::{load, schema};
use document::{hash, redact};
use serde_json::{Value, json};
use std::path::Path;

/// `MERIT_BLESS=1` rewrites the committed file.
#[test]
fn committed_schema_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/merit-v0.3.schema.json");
    if std::env::var_os("MERIT_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, schema().text()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema().text(),
        "{} is stale: run `cargo xtask schema`",
        path.display()
    );
}

#[test]
fn schema_is_a_schema_and_describes_every_key() {
    let schema = schema().value();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(jsonschema::meta::is_valid(schema));
    let mut silent = Vec::new();
    describe(schema, "", &mut silent);
    assert_eq!(silent, Vec::<String>::new());
    let validator = jsonschema::validator_for(schema).unwrap();
    for (document, valid) in [
        (json!({"version": "v0.3"}), true),
        (json!({"verison": "v0.3"}), false),
        (
            json!({"routing": {"decisions": [{"plugins": [{"type": "semantic-cache"}]}]}}),
            true,
        ),
        (
            json!({"routing": {"decisions": [{"plugins": [{"type": "fast_response", "configuration": {"text": ""}}]}]}}),
            false,
        ),
    ] {
        assert_eq!(validator.is_valid(&document), valid, "{document}");
    }
}

/// Collects keys without a description.
fn describe(schema: &Value, path: &str, silent: &mut Vec<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (key, property) in properties {
            let path = format!("{path}.{key}");
            let tag = property.get("const").is_some()
                || path.ends_with("oneOf.type")
                || path.ends_with("oneOf.configuration");
            if !tag && property.get("description").is_none() {
                silent.push(path);
            }
        }
    }
    let defs = schema.get("$defs").and_then(Value::as_object);
    for (name, schema) in defs.into_iter().flatten() {
        describe(schema, name, silent);
    }
}

#[test]
fn secrets_are_hidden() {
    let yaml = "\
providers:
  models:
    - backend_refs:
        - {api_key: k1, api_key_env: NAME, base_url: 'https://u:p@host/v1', extra_headers: {X-Team: t, Authorization: s}}
        - {api_key: ''}
global:
  services:
    router_replay: {postgres: {user: u, password: k2}}
    management_api: {auth: {tokens: [{env: TOKEN, role: admin}]}}
  stores:
    vector_store: {llama_stack: {auth_token: k3}}
  model_catalog:
    external: [{access_key: k4, max_tokens: 5}]
routing:
  decisions:
    - plugins:
        - {type: rag, configuration: {backend_config: {api_key: k5, filter: {token: k6, kind: a}}}}
        - {type: header_mutation, configuration: {add: [{name: X-Key, value: k7}]}}
";
    let loaded = load(yaml, &environment);
    assert_eq!(loaded.problems, []);
    let shown = redact(&loaded.value, schema()).to_string();
    for secret in [
        "k1", "k2", "k3", "k4", "k5", "k6", "k7", "u:p", "\"t\"", "\"s\"",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    for open in [
        "NAME",
        "TOKEN",
        "\"X-Key\"",
        "\"api_key\":\"\"",
        "\"max_tokens\":5",
        "\"kind\":\"a\"",
        "@host/v1",
    ] {
        assert!(shown.contains(open), "{open} not in {shown}");
    }
}

#[test]
fn digest_ignores_order_and_layout() {
    let digest = |yaml: &str| hash(&load(yaml, &environment).value);
    let first = digest("version: v0.3\nrouting: {strategy: priority}\n");
    assert_eq!(first.len(), 64);
    assert_eq!(
        first,
        digest("# words\nrouting:\n  strategy: 'priority'\nversion: v0.3\n")
    );
    assert_ne!(
        first,
        digest("version: v0.3\nrouting: {strategy: confidence}\n")
    );
    assert_eq!(
        hash(&json!({})),
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
}

#[test]
fn no_part_of_a_document_prints_its_secrets() {
    let yaml = "
version: v0.3
providers: {models: [{name: a, backend_refs: [{endpoint: x, api_key: HUSH}]}]}
global:
  router: {sessions: {redis: {address: a, password: HUSH}}}
  model_catalog: {external: [{name: e, access_key: HUSH}]}
";
    let document = load(yaml, &|_: &str| None).document.unwrap();
    let printed = format!("{document:?}");
    assert!(printed.contains("***"), "{printed}");
    assert!(!printed.contains("HUSH"), "{printed}");
}
