//! `routing.decisions`: rule trees, candidates, algorithm, plugins.

use super::signals::NumericPredicate;
use schemars::JsonSchema;
use serde::Deserialize;

/// One decision.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Decision {
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Higher wins under the priority strategy.
    pub priority: i64,
    /// Lower wins as soon as any matched decision has a tier above 0.
    pub tier: i64,
    /// When it applies; omitted means always.
    pub rules: Option<RuleNode>,
    /// Candidate models, in order.
    #[serde(rename = "modelRefs")]
    pub model_refs: Vec<ModelRef>,
}

/// A tree of operators over leaves. An operator node has `operator` and `conditions`, a leaf has `type` and `name`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuleNode {
    /// `AND`, `OR` or `NOT`.
    pub operator: String,
    /// Children of an operator node.
    pub conditions: Vec<RuleNode>,
    /// Signal type of a leaf.
    #[serde(rename = "type")]
    pub kind: String,
    /// Rule name of a leaf.
    pub name: String,
    /// Label of a `classifier` leaf.
    pub label: String,
    /// Bounds on the signal's value instead of its match.
    pub predicate: Option<NumericPredicate>,
    /// `match` or `no_match` when the signal failed.
    pub on_error: String,
}

/// A candidate model of a decision.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelRef {
    /// Name of a model card.
    pub model: String,
    /// Adapter; becomes the upstream model.
    pub lora_name: String,
    /// Relative weight.
    pub weight: Option<f64>,
    /// Switch the model's reasoning mode on or off.
    pub use_reasoning: Option<bool>,
    /// Effort when reasoning is on.
    pub reasoning_effort: String,
    /// Free text.
    pub reasoning_description: String,
}
