//! `decisions[].plugins`: what is done to a request and its answer after the decision.

use super::integrations::AdvancedFiltering;
use super::retrieval::{ImageGen, Rag};
use super::savings::{ContextCompression, ResponseCachePlugin};
use super::stores::Reflection;
use schemars::JsonSchema;
use serde::Deserialize;

/// A plugin: its type and that type's configuration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    content = "configuration",
    rename_all = "snake_case",
    deny_unknown_fields
)]
pub enum Plugin {
    /// Answer at once, without a model.
    FastResponse(FastResponse),
    /// Set or extend the system message.
    SystemPrompt(SystemPrompt),
    /// Change headers of the request sent upstream.
    HeaderMutation(HeaderMutation),
    /// Limit or delete parameters.
    RequestParams(RequestParams),
    /// Answer from earlier answers. Also written `semantic-cache`, `semantic_cache`,
    /// `response-cache`.
    #[serde(
        alias = "semantic-cache",
        alias = "semantic_cache",
        alias = "response-cache"
    )]
    ResponseCache(ResponseCachePlugin),
    /// Shorten tool outputs and history.
    ContextCompression(ContextCompression),
    /// Bring back what was said in earlier conversations.
    Memory(MemoryPlugin),
    /// Add retrieved documents.
    Rag(Box<Rag>),
    /// Allow and block tools.
    Tools(ToolsPlugin),
    /// Add tools from a database, or filter the request's.
    ToolSelection(ToolSelection),
    /// Record the request and its way.
    RouterReplay(RouterReplayPlugin),
    /// Check the answer against its context.
    Hallucination(Hallucination),
    /// Check the answer for signs of a jailbreak.
    ResponseJailbreak(ResponseJailbreak),
    /// Answer with a generated image.
    ImageGen(Box<ImageGen>),
}

impl Plugin {
    /// The type as reports name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::FastResponse(_) => "fast_response",
            Self::SystemPrompt(_) => "system_prompt",
            Self::HeaderMutation(_) => "header_mutation",
            Self::RequestParams(_) => "request_params",
            Self::ResponseCache(_) => "response_cache",
            Self::ContextCompression(_) => "context_compression",
            Self::Memory(_) => "memory",
            Self::Rag(_) => "rag",
            Self::Tools(_) => "tools",
            Self::ToolSelection(_) => "tool_selection",
            Self::RouterReplay(_) => "router_replay",
            Self::Hallucination(_) => "hallucination",
            Self::ResponseJailbreak(_) => "response_jailbreak",
            Self::ImageGen(_) => "image_gen",
        }
    }

    /// Not switched off by `enabled: false`.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        match self {
            Self::FastResponse(_) | Self::HeaderMutation(_) | Self::RequestParams(_) => None,
            Self::SystemPrompt(plugin) => plugin.enabled,
            Self::ResponseCache(plugin) => plugin.enabled,
            Self::ContextCompression(plugin) => plugin.enabled,
            Self::Memory(plugin) => plugin.enabled,
            Self::Rag(plugin) => plugin.enabled,
            Self::Tools(plugin) => plugin.enabled,
            Self::ToolSelection(plugin) => plugin.enabled,
            Self::RouterReplay(plugin) => plugin.enabled,
            Self::Hallucination(plugin) => plugin.enabled,
            Self::ResponseJailbreak(plugin) => plugin.enabled,
            Self::ImageGen(plugin) => plugin.enabled,
        }
        .unwrap_or(true)
    }
}

/// Answer at once, without a model. This is how a policy refuses.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FastResponse {
    /// The answer.
    pub message: String,
}

/// Set or extend the system message.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SystemPrompt {
    /// Omitted means on.
    pub enabled: Option<bool>,
    /// `insert` (the default) puts the text before the client's; `replace` drops the client's.
    #[schemars(extend("enum" = ["insert", "replace"]))]
    pub mode: String,
    /// The text.
    pub system_prompt: String,
}

/// Change headers of the request sent upstream, after all that the router sets itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderMutation {
    /// Headers to set.
    pub add: Vec<HeaderValue>,
    /// Headers to set, after those of `add`.
    pub update: Vec<HeaderValue>,
    /// Names of headers to remove, last.
    pub delete: Vec<String>,
}

/// A header and its value.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderValue {
    /// Name.
    pub name: String,
    /// Value.
    #[schemars(extend("writeOnly" = true))]
    pub value: String,
}

/// Limit or delete parameters of the body.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestParams {
    /// Top-level keys to delete.
    pub blocked_params: Vec<String>,
    /// Cap of `max_tokens`; 0 means none.
    pub max_tokens_limit: u64,
    /// Cap of `n`; 0 means none.
    pub max_n: u64,
    /// Delete every key of the client's that is not in the short list of OpenAI's first chat API.
    /// What Merit itself adds stays.
    pub strip_unknown: bool,
}

/// Bring back what was said in earlier conversations.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryPlugin {
    /// Use memory here.
    pub enabled: Option<bool>,
    /// Texts brought back.
    pub retrieval_limit: u32,
    /// Least similarity.
    pub similarity_threshold: f64,
    /// Remember this conversation.
    pub auto_store: Option<bool>,
    /// Combine words and embeddings.
    pub hybrid_search: Option<bool>,
    /// How they are combined.
    pub hybrid_mode: String,
    /// Choice among what was found.
    pub reflection: Option<Reflection>,
}

/// Allow and block tools of the request.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolsPlugin {
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
    /// Retrieve tools while the request runs.
    pub dynamic_retrieval: Option<bool>,
}

/// Add tools from a database, or filter the request's.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolSelection {
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

/// Record the request and its way.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterReplayPlugin {
    /// Record here.
    pub enabled: Option<bool>,
    /// Records kept.
    pub max_records: u64,
    /// Keep request bodies.
    pub capture_request_body: bool,
    /// Keep response bodies.
    pub capture_response_body: bool,
    /// Bytes kept of a body.
    pub max_body_bytes: u64,
    /// Bytes kept of a tool trace field; 0 means all.
    pub max_tool_trace_bytes: u64,
    /// Steps kept of a tool trace; 0 means all.
    pub max_tool_trace_steps: u64,
}

/// Check the answer against its context.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hallucination {
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

/// Check the answer for signs of a jailbreak.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseJailbreak {
    /// Check here.
    pub enabled: Option<bool>,
    /// Least risk.
    pub threshold: f64,
    /// What is done.
    #[schemars(extend("enum" = ["block", "header", "none"]))]
    pub action: String,
}
