//! Adds tools from a database, or filters the request's. Known, and not run yet.

use super::{Checking, Configuration, NotRun};
use crate::config::integrations::AdvancedFiltering;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Add tools from a database, or filter the request's.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ToolSelection")]
pub struct ToolSelectionConfig {
    /// Act here.
    pub enabled: Option<bool>,
    /// `add` (the default) or `filter`.
    #[schemars(extend("enum" = ["add", "filter"]))]
    pub mode: String,
    /// Least relevance, for `filter`.
    pub relevance_threshold: Option<f64>,
    /// Tools kept at least, for `filter`.
    pub preserve_count: Option<u32>,
    /// Retrieval strategy.
    pub strategy: String,
    /// Database of tools, for `add`.
    pub tools_db_path: String,
    /// Tools added at most; 0 means the global value.
    pub top_k: u32,
    /// Least similarity, for `add`.
    pub similarity_threshold: Option<f64>,
    /// Send no tools when none fits.
    pub fallback_to_empty: Option<bool>,
    /// Finer choice, for `add`.
    pub advanced_filtering: Option<AdvancedFiltering>,
}

impl Configuration for ToolSelectionConfig {
    const NAME: &'static str = "tool_selection";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn check(&self, checking: &mut Checking<'_>) {
        let filtering = self.mode == "filter";
        let adding =
            self.top_k > 0 || !self.tools_db_path.is_empty() || self.similarity_threshold.is_some();
        let thinning = self.relevance_threshold.is_some() || self.preserve_count.is_some();

        if filtering && adding {
            checking.findings.error(
                checking.path,
                "`tools_db_path`, `top_k` and `similarity_threshold` belong to `mode: add`",
            );
        }
        if !filtering && thinning {
            checking.findings.error(
                checking.path,
                "`relevance_threshold` and `preserve_count` belong to `mode: filter`",
            );
        }
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served("requests keep the tools that they bring"))
    }
}
