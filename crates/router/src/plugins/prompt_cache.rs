//! Marks what a provider should cache of a prompt. Known, and not run yet.

use super::{Configuration, NotRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Mark what a provider should cache of a prompt.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PromptCachePlugin")]
pub struct PromptCacheConfig {
    /// Act here.
    pub enabled: Option<bool>,
    /// Lifetime of the cache: `5m` or `1h`.
    #[schemars(extend("enum" = ["5m", "1h"]))]
    pub ttl: String,
    /// What is marked.
    pub targets: Vec<CacheTarget>,
    /// What happens where the model's API has no marks.
    #[schemars(extend("enum" = ["skip", "reject"]))]
    pub on_unsupported: String,
}

/// A part of a prompt that a provider can cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheTarget {
    /// The last text of the instructions.
    Instructions,
    /// The last tool.
    Tools,
}

impl Configuration for PromptCacheConfig {
    const NAME: &'static str = "prompt_cache";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served("requests keep the marks that they bring"))
    }
}
