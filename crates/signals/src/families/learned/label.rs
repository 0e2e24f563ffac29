//! Rules that have a name and nothing else: the name is the label that a classifier emits.

use crate::report::Kind;
use crate::scope::Scope;
use document::{Findings, suggestion};
use inference::catalog::{Task, labels};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule that has a name and nothing else: the name is the label that a classifier emits.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LabelRule {
    /// The emitted label.
    pub name: String,
    /// Free text.
    pub description: String,
}

/// Warns of rules of a family that name no label of its task. The labels of `modality` compare in
/// any case.
pub(super) fn check_labels(scope: &Scope<'_>, kind: Kind, task: Task, findings: &mut Findings) {
    let known = labels(task);
    for (index, name) in scope.names(kind).into_iter().enumerate() {
        let any_case =
            kind == Kind::Modality && known.iter().any(|label| label.eq_ignore_ascii_case(name));
        if !name.is_empty() && !any_case && !known.contains(&name) {
            let path = format!("{}.name", scope.rule(kind, index));
            let hint = suggestion(name, known.iter().copied());
            findings.warn(
                path,
                format!("`{name}` is not a label that the model has, so it never matches{hint}"),
            );
        }
    }
}
