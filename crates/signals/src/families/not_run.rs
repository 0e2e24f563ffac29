//! Families that are read, checked in form, and not run. A leaf that reads one is refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `type:` of leaves that read these families.
pub const TYPES: [&str; 2] = ["safety", "input_modality"];

/// Is the turn safe?
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SafetyRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Folder or deployment; omitted means `system.safety`.
    pub model: String,
    /// All labels; omitted means `safe` and `unsafe`.
    pub labels: Vec<String>,
    /// Those that mean danger; omitted means `unsafe`.
    pub unsafe_labels: Vec<String>,
    /// Least probability of danger.
    pub threshold: f64,
    /// Which hazards count.
    pub hazard: Option<SafetyHazard>,
}

/// Which hazards count.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SafetyHazard {
    /// Folder or deployment; omitted means `system.hazard`.
    pub model: String,
    /// All labels.
    pub labels: Vec<String>,
    /// Those that count.
    pub categories: Vec<String>,
    /// Least probability of one.
    pub threshold: f64,
}

/// Is the answer supported?
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HallucinationRule {
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Confirm by entailment.
    pub use_nli: bool,
}

/// What the user's messages hold.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InputModalityRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What is looked for.
    #[schemars(extend("enum" = ["text", "image", "audio", "video"]))]
    pub modality: String,
}
