//! What those may not see who have no right to details: what somebody wrote or said.

use serde_json::{Map, Value};

/// Empties reasons, annotations and errors in an object, however deep.
pub(super) fn without_reasons(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(name, _)| !is_said(name));
            let kept: Map<String, Value> = kept
                .map(|(name, value)| (name, without_reasons(value)))
                .collect();
            kept.into()
        }
        Value::Array(items) => items.into_iter().map(without_reasons).collect(),
        other => other,
    }
}

fn is_said(name: &str) -> bool {
    matches!(name, "annotations" | "signal_errors" | "session_policy")
        || name == "reason"
        || name.ends_with("_reason")
        || name.ends_with("_reasoning")
}

/// Returns whether a tool succeeded, as far as its output says.
pub(super) fn tool_status(output: &str) -> &'static str {
    let output = output.trim();
    let failed = "tool execution failed:";
    let has_failed = output.is_empty()
        || matches!(output, "null" | "undefined")
        || output
            .get(..failed.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(failed));
    if has_failed { "failed" } else { "succeeded" }
}
