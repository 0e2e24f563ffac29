//! Which crate may use which: the table of `crates/README.md`, and the fences around the wires.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;

/// Each crate with the crates of the workspace that it may depend on. A new edge is a reviewed line
/// here.
const EDGES: [(&str, &[&str]); 17] = [
    ("compression", &[]),
    ("extproc", &["compression"]),
    ("dialects", &[]),
    ("document", &[]),
    ("inference", &[]),
    ("onnx", &["inference"]),
    ("training", &["inference"]),
    ("records", &[]),
    ("signals", &["dialects", "document", "inference"]),
    (
        "selection",
        &["dialects", "document", "inference", "signals"],
    ),
    (
        "conversation",
        &["dialects", "document", "selection", "signals"],
    ),
    (
        "router",
        &[
            "compression",
            "dialects",
            "document",
            "inference",
            "signals",
            "selection",
            "conversation",
            "records",
        ],
    ),
    ("stores", &["conversation", "records"]),
    (
        "server",
        &[
            "extproc",
            "dialects",
            "document",
            "inference",
            "onnx",
            "signals",
            "selection",
            "conversation",
            "records",
            "router",
            "stores",
            "training",
        ],
    ),
    ("xtask", &[]),
    ("tests", EVERYTHING),
    ("benches", EVERYTHING),
];
const EVERYTHING: &[&str] = &[
    "compression",
    "extproc",
    "dialects",
    "document",
    "inference",
    "onnx",
    "signals",
    "selection",
    "conversation",
    "records",
    "router",
    "stores",
    "server",
    "training",
    "tests",
];

/// Outside crates that only some of ours may see.
const FENCES: [(&str, &[&str]); 5] = [
    ("envoy-types", &["extproc", "tests", "benches"]),
    ("tonic", &["extproc", "server", "tests", "benches"]),
    (
        "tokio",
        &[
            "extproc",
            "inference",
            "onnx",
            "records",
            "stores",
            "server",
            "tests",
            "benches",
        ],
    ),
    ("axum", &["server"]),
    ("ort", &["onnx"]),
];

/// Compares `cargo metadata` with the two tables.
pub(super) fn check(metadata: &Value) -> Result<Vec<Finding>> {
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("cargo lists no packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = text(package, "name")?;
        let Some((_, allowed)) = EDGES.iter().find(|(member, _)| *member == name) else {
            findings.push(format!("crates/{name}: not in tidy's table of crates"));
            continue;
        };
        let dependencies = package
            .get("dependencies")
            .and_then(Value::as_array)
            .context("a package without list")?;
        for dependency in dependencies {
            let target = text(dependency, "name")?;
            let ours = dependency.get("path").is_some_and(Value::is_string);
            if !(if ours {
                allowed.contains(&target)
            } else {
                may_see(name, target)
            }) {
                findings.push(format!(
                    "{name}/Cargo.toml: {name} may not depend on {target}"
                ));
            }
        }
    }
    Ok(findings)
}

fn may_see(name: &str, outside: &str) -> bool {
    FENCES
        .iter()
        .all(|(fenced, allowed)| *fenced != outside || allowed.contains(&name))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("cargo's metadata lacks a {key}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_edge(from: &str, to: &str, ours: bool, expected: usize) {
        let path = ours.then_some("somewhere");
        let metadata =
            json!({"packages": [{"name": from, "dependencies": [{"name": to, "path": path}]}]});
        assert_eq!(check(&metadata).unwrap().len(), expected, "{from} -> {to}");
    }

    #[test]
    fn edges_point_one_way() {
        check_edge("router", "dialects", true, 0);
        check_edge("server", "router", true, 0);
        check_edge("tests", "server", true, 0);
        check_edge("dialects", "router", true, 1);
        check_edge("router", "extproc", true, 1);
        check_edge("extproc", "dialects", true, 1);
        check_edge("utilities", "router", true, 1);
    }

    #[test]
    fn wires_are_fenced() {
        check_edge("extproc", "envoy-types", false, 0);
        check_edge("server", "envoy-types", false, 1);
        check_edge("router", "tonic", false, 1);
        check_edge("dialects", "tokio", false, 1);
        check_edge("router", "regex", false, 0);
    }
}
