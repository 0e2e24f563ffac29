//! `global.integrations`: tools and the endpoint that multi-model runs call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tools and multi-model runs.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Integrations {
    /// The database of tools.
    pub tools: Option<ToolsIntegration>,
    /// Multi-model runs.
    pub looper: Option<Looper>,
}

/// The database of tools.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolsIntegration {
    /// Use it.
    pub enabled: bool,
    /// Tools added at most; 0 means 3.
    pub top_k: u32,
    /// Least similarity.
    pub similarity_threshold: Option<f64>,
    /// The database.
    pub tools_db_path: String,
    /// Send no tools when none fits.
    pub fallback_to_empty: Option<bool>,
    /// Finer choice.
    pub advanced_filtering: Option<AdvancedFiltering>,
}

/// Finer choice among tools.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdvancedFiltering {
    /// Use it.
    pub enabled: bool,
    /// How tools are found.
    pub retrieval_strategy: String,
    /// Tools looked at.
    pub candidate_pool_size: u32,
    /// Words in common at least.
    pub min_lexical_overlap: u32,
    /// Least combined score.
    pub min_combined_score: f64,
    /// Weights of the combined score.
    pub weights: Option<ToolWeights>,
    /// Keep tools of the request's category only.
    pub use_category_filter: bool,
    /// Least confidence of that category.
    pub category_confidence_threshold: f64,
    /// The only tools allowed.
    pub allow_tools: Vec<String>,
    /// Tools never chosen.
    pub block_tools: Vec<String>,
    /// Let earlier tool calls count.
    pub hybrid_history: Option<HybridHistory>,
}

/// Weights of the combined score of a tool.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolWeights {
    /// Embedding similarity.
    pub embed: f64,
    /// Words in common.
    pub lexical: f64,
    /// Tags.
    pub tag: f64,
    /// Name.
    pub name: f64,
    /// Category.
    pub category: f64,
}

/// How earlier tool calls count.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HybridHistory {
    /// Calls looked back.
    pub history_horizon: u32,
    /// Calls needed.
    pub min_history_steps: u32,
    /// Least confidence.
    pub history_confidence_threshold: f64,
    /// Weight of similarity.
    pub weight_semantic: f64,
    /// Weight of transitions.
    pub weight_history_transition: f64,
    /// Weight of the decision's own tools.
    pub weight_decision_prior: f64,
    /// Penalty of repetition.
    pub repetition_penalty_strength: f64,
}

/// Multi-model runs: where their calls go.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Looper {
    /// URL of chat completions.
    pub endpoint: String,
    /// gRPC message limit of the reference; Merit streams bodies and needs none.
    pub grpc_max_msg_size_mb: u32,
    /// Largest answer of a call.
    pub max_response_bytes_mb: u32,
    /// Time limit of a call; 0 means 1,200.
    pub timeout_seconds: u32,
    /// Retries of a call.
    pub retry_count: u32,
    /// Headers added to calls.
    #[schemars(extend("writeOnly" = true))]
    pub headers: BTreeMap<String, String>,
    /// Names that ask for `remom`.
    pub remom: Option<SlugNames>,
    /// Names that ask for `fusion`.
    pub fusion: Option<SlugNames>,
    /// Names that ask for `workflows`, and its state.
    pub flow: Option<Flow>,
}

/// Model names that ask for an algorithm.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SlugNames {
    /// The names; omitted means the built-in one.
    pub model_names: Vec<String>,
}

/// Names and state of workflows.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Flow {
    /// The names; omitted means the built-in one.
    pub model_names: Vec<String>,
    /// Where suspended runs are kept.
    pub state: Option<FlowState>,
}

/// Where suspended runs are kept.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowState {
    /// Kind of store.
    #[schemars(extend("enum" = ["memory", "file", "redis"]))]
    pub store_backend: String,
    /// How long; 0 means 1,800.
    pub ttl_seconds: u64,
    /// Files.
    pub file: Option<FileStore>,
    /// Redis.
    pub redis: Option<super::databases::RedisStore>,
}

/// A folder.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FileStore {
    /// Its path.
    pub directory: String,
}
