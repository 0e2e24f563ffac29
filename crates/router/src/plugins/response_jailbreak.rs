//! Checks the answer for signs of a jailbreak. Known, and not run yet.

use super::{Checking, Configuration, NotRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Check the answer for signs of a jailbreak.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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

    fn not_run(&self) -> Option<NotRun> {
        Some(match self.action.trim() {
            "block" => NotRun::Refused {
                lack: "answers would not be blocked",
                remedy: "let the client or another filter check answers, and set `action: header` or leave the plugin out",
            },
            _ => NotRun::Served("answers are not checked"),
        })
    }
}
