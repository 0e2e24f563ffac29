//! `EnvoyPatchPolicy`: JSON patches (`test` and `add`) on the listener, and clusters that are
//! added.

use crate::listener::Address;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Applies every patch, or none: a `test` that fails is an error.
pub(super) fn apply(policy: &Value, whole: &mut Value, merit: &Address) -> Result<()> {
    for patch in policy["spec"]["jsonPatches"]
        .as_array()
        .context("no patches")?
    {
        let (operation, name) = (&patch["operation"], &patch["name"]);
        let path = operation["path"].as_str().context("a patch without path")?;
        match patch["type"]
            .as_str()
            .and_then(|kind| kind.rsplit('.').next())
        {
            Some("Listener") => {
                let listeners = whole["static_resources"]["listeners"]
                    .as_array_mut()
                    .context("no listeners")?;
                let listener = listeners
                    .iter_mut()
                    .find(|listener| listener["name"] == *name);
                one(
                    listener.with_context(|| format!("no listener {name}"))?,
                    operation,
                    path,
                )?;
            }
            Some("Cluster") => {
                ensure!(
                    operation["op"] == "add" && path.is_empty(),
                    "a cluster can only be added"
                );
                let mut cluster = operation["value"].clone();
                // A cluster's name of the pods means nothing here.
                let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
                *cluster.pointer_mut(endpoint).context("no endpoint")? = merit.json();
                whole["static_resources"]["clusters"]
                    .as_array_mut()
                    .context("no clusters")?
                    .push(cluster);
            }
            other => bail!("a patch of {other:?}"),
        }
    }
    Ok(())
}

fn one(target: &mut Value, operation: &Value, path: &str) -> Result<()> {
    match operation["op"].as_str() {
        Some("test") => {
            let found = target.pointer(path).unwrap_or(&Value::Null);
            ensure!(
                *found == operation["value"],
                "at {path} is {found}, not {}",
                operation["value"]
            );
        }
        Some("add") => {
            let (parent, index) = path.rsplit_once('/').context("a path of one part")?;
            let parent = target.pointer_mut(parent).and_then(Value::as_array_mut);
            let parent = parent.with_context(|| format!("no list at {path}"))?;
            let index: usize = index.parse()?;
            ensure!(
                index <= parent.len(),
                "index {index} of {} filters",
                parent.len()
            );
            parent.insert(index, operation["value"].clone());
        }
        other => bail!("operation {other:?}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_are_inserted_where_the_test_holds() {
        let mut listener = json!({"filters": [{"name": "jwt"}, {"name": "router"}]});
        let test = json!({"op": "test", "path": "", "value": "jwt"});
        one(&mut listener, &test, "/filters/0/name").unwrap();
        one(&mut listener, &test, "/filters/1/name").unwrap_err();
        one(
            &mut listener,
            &json!({"op": "add", "value": {"name": "merit"}}),
            "/filters/1",
        )
        .unwrap();
        assert_eq!(listener["filters"][1]["name"], "merit");
        assert_eq!(listener["filters"][2]["name"], "router");
        one(
            &mut listener,
            &json!({"op": "add", "value": {}}),
            "/filters/9",
        )
        .unwrap_err();
    }
}
