//! Checks the answer for signs of a jailbreak. Known, and not implemented yet.

use super::{Checking, Configuration};
use schemars::JsonSchema;
use serde::Deserialize;

/// Check the answer for signs of a jailbreak.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ResponseJailbreak")]
pub struct ResponseJailbreakConfig {
    /// Check here.
    pub enabled: Option<bool>,
    /// Least risk.
    pub threshold: f64,
    /// What is done.
    #[schemars(extend("enum" = ["block", "header", "none"]))]
    pub action: String,
}

impl Configuration for ResponseJailbreakConfig {
    const NAME: &'static str = "response_jailbreak";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn check(&self, checking: &mut Checking<'_>) {
        checking.share("threshold", Some(self.threshold));
    }
}
