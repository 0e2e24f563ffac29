//! Families that are read, checked in form, and not run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
