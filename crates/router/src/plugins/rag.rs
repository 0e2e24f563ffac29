//! Adds retrieved documents to the request. Known, and not run yet.

use super::{Checking, Configuration, NotRun};
use document::HiddenText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Add retrieved documents to the request.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Rag")]
pub struct RagConfig {
    /// Retrieve here.
    pub enabled: Option<bool>,
    /// Where documents are.
    #[schemars(extend("enum" = ["milvus", "qdrant", "external_api", "mcp", "openai", "vectorstore", "hybrid"]))]
    pub backend: String,
    /// Least similarity.
    pub similarity_threshold: Option<f64>,
    /// Documents at most.
    pub top_k: u32,
    /// Characters at most.
    pub max_context_length: u64,
    /// Where documents go.
    #[schemars(extend("enum" = ["tool_role", "system_prompt"]))]
    pub injection_mode: String,
    /// What happens when retrieval fails.
    #[schemars(extend("enum" = ["skip", "warn", "block"]))]
    pub on_failure: String,
    /// Keep results.
    pub cache_results: bool,
    /// How long.
    pub cache_ttl_seconds: u64,
    /// Least confidence of a document.
    pub min_confidence_threshold: Option<f64>,
    /// Parameters of the backend.
    pub backend_config: Option<RagBackend>,
    /// Rank what was found once more.
    pub rerank: Option<RagRerank>,
}

impl Configuration for RagConfig {
    const NAME: &'static str = "rag";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn check(&self, checking: &mut Checking<'_>) {
        checking.share("similarity_threshold", self.similarity_threshold);
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served(match self.on_failure.trim() {
            "block" => {
                "no documents are added, and requests are answered without them, which `on_failure: block` would refuse"
            }
            _ => "no documents are added",
        }))
    }
}

/// Rank what was found once more.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RagRerank {
    /// Documents kept.
    pub top_k: u32,
}

/// Parameters of a retrieval backend: each backend reads its own.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct RagBackend {
    /// Collection, for `milvus` and `qdrant`.
    pub collection: String,
    /// Use the connection of the response cache.
    pub reuse_cache_connection: bool,
    /// Field with the text.
    pub content_field: String,
    /// Field with the metadata.
    pub metadata_field: String,
    /// Condition in the backend's language.
    pub filter_expression: String,
    /// URL, for `external_api`.
    pub endpoint: String,
    /// Credential.
    #[schemars(extend("writeOnly" = true))]
    pub api_key: HiddenText,
    /// Header of the credential.
    pub auth_header: String,
    /// Shape of the request.
    #[schemars(extend("examples" = ["custom", "pinecone", "weaviate", "elasticsearch"]))]
    pub request_format: String,
    /// Template of a `custom` request.
    pub request_template: String,
    /// Headers added.
    #[schemars(extend("writeOnly" = true))]
    pub headers: BTreeMap<String, String>,
    /// Time limit.
    pub timeout_seconds: u32,
    /// Server, for `mcp`.
    pub server_name: String,
    /// Tool, for `mcp`.
    pub tool_name: String,
    /// Arguments of the tool, for `mcp`; `${user_content}` and `${top_k}` are filled in per
    /// request.
    pub tool_arguments: BTreeMap<String, Value>,
    /// Vector store, for `openai` and `vectorstore`.
    pub vector_store_id: String,
    /// URL, for `openai`.
    pub base_url: String,
    /// Results at most, for `openai`.
    pub max_num_results: u32,
    /// Files searched.
    pub file_ids: Vec<String>,
    /// Condition on attributes, as the service takes it.
    pub filter: BTreeMap<String, Value>,
    /// Who searches, for `openai`.
    #[schemars(extend("examples" = ["tool_based", "direct_search"]))]
    pub workflow_mode: String,
    /// What further backends read.
    #[serde(flatten)]
    pub further: BTreeMap<String, Value>,
    /// First backend, for `hybrid`.
    pub primary: String,
    /// Second backend, for `hybrid`.
    pub fallback: String,
    /// How they are combined, for `hybrid`.
    #[schemars(extend("examples" = ["sequential", "parallel"]))]
    pub strategy: String,
    /// Parameters of the first.
    pub primary_config: Option<Box<RagBackend>>,
    /// Parameters of the second.
    pub fallback_config: Option<Box<RagBackend>>,
}
