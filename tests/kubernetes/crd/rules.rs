//! `x-kubernetes-validations`: the CEL rules of a definition, evaluated on one object.

use anyhow::{Context as _, Result, anyhow};
use cel::objects::{Key, Map};
use cel::{Context, Program, Value as Cel};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Functions that Kubernetes adds to CEL and the interpreter lacks; a rule that calls one is left
/// out. None of those that the objects here meet does.
const MISSING: [&str; 6] = ["isIP(", "isCIDR(", "ip(", "cidr(", "format.", "url("];

/// The rules that an object breaks, those of its parts included.
pub(crate) fn broken(schema: &Value, object: &Value, path: &str) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = rule["rule"].as_str().context("a rule without text")?;
        // Rules about a change say nothing of a first version.
        let is_left_out =
            text.contains("oldSelf") || MISSING.iter().any(|function| text.contains(function));
        if !is_left_out && !holds(text, object).with_context(|| format!("{path}: {text}"))? {
            let message = rule["message"].as_str().unwrap_or(text);
            faults.push(format!("{path}: {message}"));
        }
    }
    match object {
        Value::Object(fields) => {
            for (name, field) in fields {
                let declared = schema["properties"]
                    .get(name)
                    .unwrap_or(&schema["additionalProperties"]);
                faults.extend(broken(declared, field, &format!("{path}/{name}"))?);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                faults.extend(broken(&schema["items"], item, &format!("{path}/{index}"))?);
            }
        }
        _ => {}
    }
    Ok(faults)
}

fn holds(rule: &str, object: &Value) -> Result<bool> {
    let program = Program::compile(rule).map_err(|error| anyhow!("{error}"))?;
    let mut context = Context::default();
    let value = value(object)?;
    context.add_variable_from_value("self", value);
    match program
        .execute(&context)
        .map_err(|error| anyhow!("{error}"))?
    {
        Cel::Bool(holds) => Ok(holds),
        other => Err(anyhow!("not a truth value: {other:?}")),
    }
}

/// As the API server sees a value: whole numbers are integers, and keys that are words of CEL have
/// another name too.
fn value(value: &Value) -> Result<Cel> {
    Ok(match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(number.as_f64().context("a number")?),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(
            items.iter().map(self::value).collect::<Result<_>>()?,
        )),
        Value::Object(fields) => {
            let mut map = HashMap::new();
            for (name, field) in fields {
                let field = self::value(field)?;
                if name == "namespace" {
                    map.insert(Key::from("__namespace__"), field.clone());
                }
                map.insert(Key::from(name.as_str()), field);
            }
            Cel::Map(Map { map: Arc::new(map) })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_of_all_depths_are_found() {
        let schema = json!({
            "x-kubernetes-validations": [{"rule": "size(self.list) < 3", "message": "too many"}],
            "properties": {"list": {"items": {
                "x-kubernetes-validations": [{"rule": "!has(self.port) || self.port > 0", "message": "no port"}],
            }}},
        });
        let check = |object: Value| broken(&schema, &object, "").unwrap();
        assert_eq!(
            check(json!({"list": [{"port": 1}, {}]})),
            Vec::<String>::new()
        );
        assert_eq!(
            check(json!({"list": [{"port": 0}, {}, {}]})),
            [": too many", "/list/0: no port"]
        );
    }
}
