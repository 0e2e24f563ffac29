//! `global.model_catalog.{deployments, bindings, admission}`: models by name, and which signal uses
//! which. Read and checked in form; not run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A model that runs here or is asked over the network.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Deployment {
    /// Folder of a local model.
    pub artifact: String,
    /// Its revision.
    pub revision: String,
    /// Name in `external` of a model that is asked over the network.
    pub external_model: String,
    /// What runs it.
    #[schemars(extend("enum" = ["candle", "ort", "openvino", "http", "model_runtime"]))]
    pub provider: String,
    /// Where it runs: `cpu`, `auto`, or a card like `cuda:0`.
    pub device: String,
    /// Precision of the weights.
    #[schemars(extend("enum" = ["native", "fp32", "fp16"]))]
    pub precision: String,
    /// Profile of custom operators.
    pub custom_ops_profile: String,
    /// Folder of compiled graphs.
    pub compilation_cache_dir: String,
    /// How long texts are read.
    pub input: Option<InputBudget>,
}

/// How long texts are read.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InputBudget {
    /// Tokens at most.
    pub max_tokens: u32,
    /// What happens to a longer text.
    #[schemars(extend("enum" = ["reject", "truncate", "window"]))]
    pub overflow: String,
}

/// Which deployment a signal uses, and what it gives.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelBinding {
    /// Name of the deployment.
    pub deployment: String,
    /// Form of the answer, for example `label_distribution.v1`.
    pub contract: String,
    /// Kind of model.
    #[schemars(extend("enum" = ["modernbert", "mmbert", "vela_reranker"]))]
    pub adapter: String,
    /// File of the head in the folder.
    pub head: String,
    /// File of the labels.
    pub mapping_path: String,
    /// How pairs are scored.
    pub pair_scorer: Option<PairScorer>,
    /// File of thresholds per label.
    pub operating_point: Option<OperatingPoint>,
}

/// How pairs of texts are scored.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PairScorer {
    /// Layer.
    pub layer: u32,
    /// Dimensions.
    pub dimension: u32,
}

/// File of thresholds per label.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OperatingPoint {
    /// Path.
    pub path: String,
    /// Digest of the file.
    pub sha256: String,
}

/// Limits of questions to a model.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// Questions at a time.
    pub max_concurrency: u32,
    /// Questions that wait.
    pub max_queue: u32,
    /// How long, milliseconds.
    pub queue_timeout_ms: u64,
    /// What happens to further ones.
    #[schemars(extend("enum" = ["shed", "wait", "fail_open"]))]
    pub on_overflow: String,
}
