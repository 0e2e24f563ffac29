//! Shortens tool outputs and history. Known, and not run yet.

use super::{Configuration, NotRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shorten what is sent upstream.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ContextCompression")]
pub struct ContextCompressionConfig {
    /// Compress here.
    pub enabled: Option<bool>,
    /// `auto` and others.
    pub mode: String,
    /// When, and down to what; tokens or `auto`.
    pub budget: CompressionBudget,
    /// What is shortened.
    pub targets: CompressionTargets,
    /// How parts are ranked.
    pub scoring: Option<CompressionScoring>,
    /// Letting the model ask for what was cut.
    pub recovery: Option<CompressionRecovery>,
    /// What clients may ask for.
    pub request_controls: Option<CompressionControls>,
    /// What happens on failure.
    #[schemars(extend("enum" = ["fail_open", "fail_closed"]))]
    pub failure_mode: String,
}

impl Configuration for ContextCompressionConfig {
    const NAME: &'static str = "context_compression";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served("requests keep their full length"))
    }
}

/// Token counts, or `auto`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionBudget {
    /// Size that starts compression.
    pub trigger_tokens: String,
    /// Size to reach.
    pub target_tokens: String,
    /// Room left for the answer.
    pub reserve_output_tokens: String,
}

/// What is shortened.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionTargets {
    /// Results of tools.
    pub tool_outputs: Option<CompressionTarget>,
    /// Earlier turns.
    pub history: Option<CompressionTarget>,
    /// Retrieved documents.
    pub rag: Option<CompressionTarget>,
    /// Remembered texts.
    pub memory: Option<CompressionTarget>,
    /// The user's turn.
    pub current_user: Option<CurrentUserTarget>,
}

/// How the user's turn is shortened.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CurrentUserTarget {
    /// `preserve` (the default) or `truncate`.
    #[schemars(extend("enum" = ["preserve", "truncate"]))]
    pub mode: String,
}

/// How one kind of text is shortened.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionTarget {
    /// `extractive` or `preserve`.
    #[schemars(extend("enum" = ["extractive", "preserve"]))]
    pub mode: String,
    /// Size that is left alone.
    pub min_tokens: u64,
    /// Size to reach.
    pub target_tokens: u64,
}

/// How parts are ranked.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionScoring {
    /// Method.
    #[schemars(extend("enum" = ["bm25", "embedding", "hybrid"]))]
    pub method: String,
    /// Embedding model, for the methods that need one.
    pub embedding_model_ref: String,
}

/// Letting the model ask for what was cut.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionRecovery {
    /// Offer the tool.
    pub enabled: bool,
    /// Where cut text is kept.
    pub store: String,
    /// How long.
    pub ttl_seconds: u64,
    /// Bytes kept of a request.
    pub max_bytes_per_request: u64,
    /// Bytes kept in all.
    pub max_total_bytes: u64,
    /// Retrievals per request.
    pub max_retrievals: u32,
}

/// What clients may ask of compression, by a header.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionControls {
    /// Read the header.
    pub enabled: bool,
    /// Its name.
    pub header: String,
    /// Directives that count.
    pub allowed: Vec<String>,
    /// Largest target that a client may ask for.
    pub max_target_tokens: u64,
}
