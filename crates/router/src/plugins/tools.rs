//! Allows and blocks tools of the request. Known, and not run yet.

use super::{Configuration, NotRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Allow and block tools of the request.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ToolsPlugin")]
pub struct ToolsConfig {
    /// Act here.
    pub enabled: Option<bool>,
    /// `passthrough`, `filtered` or `none`.
    #[schemars(extend("enum" = ["passthrough", "filtered", "none"]))]
    pub mode: String,
    /// Keep what fits the request, if the client leaves the choice.
    pub semantic_selection: Option<bool>,
    /// The only tools allowed.
    pub allow_tools: Vec<String>,
    /// Tools that are taken out.
    pub block_tools: Vec<String>,
    /// With `none`: take out earlier calls and results too.
    pub strip_tool_history: bool,
    /// Retrieval strategy.
    pub strategy: String,
    /// Retrieve tools while the request runs; a boolean stands for `enabled`.
    pub dynamic_retrieval: Option<DynamicRetrieval>,
}

impl Configuration for ToolsConfig {
    const NAME: &'static str = "tools";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn not_run(&self) -> Option<NotRun> {
        let unfiltered = NotRun::Refused {
            lack: "tools would not be filtered",
            remedy: "let clients send the allowed tools alone, and leave `mode`, `allow_tools` and `block_tools` out",
        };
        Some(match self.mode.trim() {
            "filtered" | "none" => unfiltered,
            _ if self.allow_tools.is_empty() && self.block_tools.is_empty() => {
                NotRun::Served("requests keep the tools that they bring")
            }
            _ => unfiltered,
        })
    }
}

/// Retrieval of tools while the request runs.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("type" = ["object", "boolean"]))]
pub struct DynamicRetrieval {
    /// Retrieve.
    pub enabled: Option<bool>,
    /// How tools are found.
    #[schemars(extend("enum" = ["semantic_only", "hybrid_history"]))]
    pub strategy: String,
    /// Calls looked back.
    pub history_window: u32,
    /// Weights of the score.
    pub weights: Option<RetrievalWeights>,
    /// Least confidence of the history.
    pub min_history_confidence: Option<f64>,
    /// Go by similarity alone below it.
    pub fallback_on_low_confidence: Option<bool>,
}

/// Weights of the score of a tool.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrievalWeights {
    /// Similarity.
    pub semantic: f64,
    /// Earlier calls.
    pub history: f64,
    /// The decision's own tools.
    pub decision_prior: f64,
    /// Penalty of repetition.
    pub repetition_penalty: f64,
}
