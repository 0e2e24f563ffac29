//! Checks the answer against its context. Known, and not run yet.

use super::{Configuration, NotRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Check the answer against its context.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Hallucination")]
pub struct HallucinationConfig {
    /// Check here.
    pub enabled: Option<bool>,
    /// Confirm by entailment.
    pub use_nli: bool,
    /// What is done about an unsupported answer.
    #[schemars(extend("enum" = ["header", "body", "none"]))]
    pub hallucination_action: String,
    /// What is done about a factual answer that nothing can check.
    #[schemars(extend("enum" = ["header", "body", "none"]))]
    pub unverified_factual_action: String,
    /// Say which parts.
    pub include_hallucination_details: bool,
}

impl Configuration for HallucinationConfig {
    const NAME: &'static str = "hallucination";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served("answers are not checked"))
    }
}
