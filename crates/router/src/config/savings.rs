//! Configuration of the plugins that save work upstream: answers from a cache, shorter contexts.

use schemars::JsonSchema;
use serde::Deserialize;

/// Answer from earlier answers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseCachePlugin {
    /// Use the cache here.
    pub enabled: Option<bool>,
    /// `semantic` (the default), `exact` or `exact_then_semantic`.
    #[schemars(extend("enum" = ["semantic", "exact", "exact_then_semantic"]))]
    pub mode: String,
    /// Who shares answers: `user` (the default), `tenant` and others.
    #[schemars(extend("examples" = ["user", "tenant", "team", "global"]))]
    pub scope: String,
    /// Parameters of the semantic lookup.
    pub semantic: Option<SemanticLookup>,
    /// Old place of `semantic.similarity_threshold`.
    pub similarity_threshold: Option<f64>,
    /// Lifetime of an entry; -1 means the store's.
    pub ttl_seconds: Option<i64>,
    /// What clients may ask for.
    pub request_controls: Option<CacheControls>,
    /// Answers that depend on the person.
    pub personalized: Option<Personalized>,
    /// Words that separate entries of different versions.
    pub revision: Option<CacheRevision>,
}

/// Parameters of the semantic lookup.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SemanticLookup {
    /// Least similarity; omitted means 0.8.
    pub similarity_threshold: Option<f64>,
}

/// What clients may ask of the cache, by a header.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheControls {
    /// Read the header.
    pub enabled: bool,
    /// Its name.
    pub header: String,
    /// Directives that count.
    pub allowed: Vec<String>,
    /// Longest lifetime that a client may ask for.
    pub max_ttl_seconds: u64,
}

/// Answers that depend on the person.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Personalized {
    /// `disabled` or how they are kept apart.
    pub mode: String,
}

/// Words that separate cache entries of different versions.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheRevision {
    /// Generation of the whole cache.
    pub cache_epoch: String,
    /// Version of the models.
    pub model_revision: String,
    /// Version of the prompts.
    pub prompt_revision: String,
    /// Version of the policy.
    pub policy_revision: String,
}

/// Shorten what is sent upstream.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContextCompression {
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

/// Token counts, or `auto`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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
}

/// How one kind of text is shortened.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionScoring {
    /// Method.
    #[schemars(extend("enum" = ["bm25", "embedding", "hybrid"]))]
    pub method: String,
    /// Embedding model, for the methods that need one.
    pub embedding_model_ref: String,
}

/// Letting the model ask for what was cut.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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
