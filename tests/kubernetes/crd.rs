//! Definitions of custom resources: structure, unknown keys, defaults, list keys and CEL rules, as
//! an API server checks them.

mod rules;

use ::tests::skipped::skipped;
use anyhow::{Context, Result, ensure};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::helm::{documents, sorted};

/// Definitions by (`apiVersion`, `kind`), as schemas.
pub(crate) struct Definitions(HashMap<(String, String), Value>);

impl Definitions {
    /// Those of the shared data; `None`, said, without them.
    pub(crate) fn installed() -> Result<Option<Self>> {
        let shared = std::env::var_os("MERIT_SHARED_DATA").map(PathBuf::from);
        let shared = shared
            .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
        let folder = shared.join("crds");
        if folder.is_dir() {
            return Self::of(&folder).map(Some);
        }
        skipped(&format!(
            "no definitions of custom resources at {}",
            folder.display()
        ));
        Ok(None)
    }

    fn of(folder: &Path) -> Result<Self> {
        let mut schemas = HashMap::new();
        for file in sorted(folder)? {
            let text = std::fs::read_to_string(&file)?;
            for definition in documents(&text).with_context(|| file.display().to_string())? {
                let spec = &definition["spec"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                for version in spec["versions"].as_array().into_iter().flatten() {
                    let api = format!("{}/{}", text(&spec["group"]), text(&version["name"]));
                    schemas.insert(
                        (api, text(&spec["names"]["kind"])),
                        version["schema"]["openAPIV3Schema"].clone(),
                    );
                }
            }
        }
        ensure!(
            schemas.len() > 20,
            "only {} definitions in {}",
            schemas.len(),
            folder.display()
        );
        Ok(Self(schemas))
    }

    /// Everything that an API server would refuse about an object.
    pub(crate) fn check(&self, object: &Value) -> Result<Vec<String>> {
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let name = (text("apiVersion"), text("kind"));
        let schema = self
            .0
            .get(&name)
            .with_context(|| format!("no definition of {} {}", name.0, name.1))?;
        let mut object = object.clone();
        fill_defaults(schema, &mut object);
        let validator = validator(schema)?;
        let mut faults: Vec<String> = validator
            .iter_errors(&object)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        faults.extend(repeated(schema, &object, ""));
        faults.extend(rules::broken(schema, &object, "")?);
        Ok(faults)
    }
}

/// A structural schema as JSON Schema that knows no other keys than those declared.
fn validator(schema: &Value) -> Result<Validator> {
    let mut strict = strict(schema);
    // The API server itself checks these three.
    for (key, open) in [
        ("metadata", json!({"type": "object"})),
        ("apiVersion", json!({})),
        ("kind", json!({})),
    ] {
        strict["properties"][key] = open;
    }
    Ok(jsonschema::validator_for(&strict)?)
}

fn strict(schema: &Value) -> Value {
    let Some(given) = schema.as_object() else {
        return schema.clone();
    };
    let mut made = Map::new();
    let is_set = |key: &str| given.get(key) == Some(&Value::Bool(true));
    for (key, value) in given {
        match key.as_str() {
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                made.insert(
                    key.clone(),
                    properties
                        .map(|(name, value)| (name.clone(), strict(value)))
                        .collect(),
                );
            }
            "items" | "additionalProperties" | "not" => {
                drop(made.insert(key.clone(), strict(value)))
            }
            "allOf" | "anyOf" | "oneOf" => drop(made.insert(key.clone(), value.clone())),
            "type" if is_set("nullable") => drop(made.insert(key.clone(), json!([value, "null"]))),
            "description" | "default" | "format" | "nullable" => {}
            other if other.starts_with("x-kubernetes-") => {}
            _ => drop(made.insert(key.clone(), value.clone())),
        }
    }
    let is_closed = given.contains_key("properties") && !given.contains_key("additionalProperties");
    if is_closed
        && !is_set("x-kubernetes-preserve-unknown-fields")
        && !is_set("x-kubernetes-embedded-resource")
    {
        made.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Value::Object(made)
}

/// Puts in what the definition says for keys that are left out, before anything is judged.
fn fill_defaults(schema: &Value, object: &mut Value) {
    match object {
        Value::Object(fields) => {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                if let (None, Some(default)) = (fields.get(name), property.get("default")) {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(field) = fields.get_mut(name) {
                    fill_defaults(property, field);
                }
            }
            if schema["additionalProperties"].is_object() {
                fields
                    .values_mut()
                    .for_each(|field| fill_defaults(&schema["additionalProperties"], field));
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| fill_defaults(&schema["items"], item)),
        _ => {}
    }
}

/// Entries of a list that is keyed or a set, and that say the same twice.
fn repeated(schema: &Value, object: &Value, path: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if let Value::Array(items) = object {
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        let key = |item: &Value| match keys {
            Some(keys) => keys
                .iter()
                .filter_map(|key| item.get(key.as_str()?))
                .cloned()
                .collect(),
            None => vec![item.clone()],
        };
        let is_keyed = matches!(
            schema["x-kubernetes-list-type"].as_str(),
            Some("map" | "set")
        );
        for (index, item) in items.iter().enumerate() {
            let before = items.get(..index).unwrap_or_default();
            if is_keyed && before.iter().any(|other| key(other) == key(item)) {
                faults.push(format!("{path}/{index}: the same entry twice"));
            }
            faults.extend(repeated(&schema["items"], item, &format!("{path}/{index}")));
        }
    }
    for (name, field) in object.as_object().into_iter().flatten() {
        faults.extend(repeated(
            &schema["properties"][name],
            field,
            &format!("{path}/{name}"),
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
metadata: {name: a}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: llm}]
  extProc:
  - backendRefs: [{name: merit, port: 50051}]
    failOpen: false
    processingMode: {request: {body: FullDuplexStreamed}}
";

    fn check(change: (&str, &str), expected: Option<&str>) {
        let Some(definitions) = Definitions::installed().unwrap() else {
            return;
        };
        assert!(POLICY.contains(change.0), "{}", change.0);
        let [object] = documents(&POLICY.replace(change.0, change.1))
            .unwrap()
            .try_into()
            .unwrap();
        let faults = definitions.check(&object).unwrap().join("\n");
        match expected {
            None => assert_eq!(faults, "", "{change:?}"),
            Some(word) => assert!(faults.contains(word), "{change:?}: {faults:?}"),
        }
    }

    #[test]
    fn verdicts_are_those_of_an_api_server() {
        check(("metadata", "metadata"), None);
        check(("failOpen", "failOpne"), Some("failOpne"));
        check(("failOpen: false", "failOpen: 'no'"), Some("boolean"));
        check(("FullDuplexStreamed", "Duplex"), Some("Duplex"));
        // Rules in CEL; one reads a default.
        check(
            ("failOpen: false", "failOpen: true"),
            Some("FailOpen must be false"),
        );
        check(
            ("backendRefs: [{", "backendRefs: [{kind: Pod, "),
            Some("BackendRefs only supports"),
        );
        check(
            ("metadata: {name: a}", "metadata: {name: a, labels: {b: c}}"),
            None,
        );
    }

    #[test]
    fn keys_of_lists_are_unique() {
        let schema = json!({"properties": {"a": {
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {},
        }}});
        let count = |object: &Value| repeated(&schema, object, "").len();
        assert_eq!(count(&json!({"a": [{"name": "x"}, {"name": "y"}]})), 0);
        assert_eq!(
            count(&json!({"a": [{"name": "x"}, {"name": "x", "b": 1}]})),
            1
        );
    }
}
