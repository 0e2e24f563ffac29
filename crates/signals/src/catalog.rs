//! `global.model_catalog`: the models that signals use, and knowledge bases.

mod bases;
pub mod deployments;
pub mod modules;
mod scoring;

use deployments::{Admission, Deployment, ModelBinding};
use document::HiddenText;
use document::{Findings, suggestion};
use modules::Modules;
use schemars::JsonSchema;
pub use scoring::PrototypeScoring;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The models that signals use.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelCatalog {
    /// Encoders.
    pub embeddings: Embeddings,
    /// Folders of the built-in classifiers.
    pub system: SystemModels,
    /// Models that are asked over the network.
    pub external: Vec<ExternalModel>,
    /// Knowledge bases; omitted means `privacy_kb` and `mmlu_kb`, which Merit brings along.
    pub kbs: Vec<KnowledgeBase>,
    /// Settings of the classifiers.
    pub modules: Modules,
    /// Models by name, for `bindings`. Known, and not run: signals use the models of `modules`.
    pub deployments: BTreeMap<String, Deployment>,
    /// Which deployment a signal uses. Known, and not run.
    pub bindings: BTreeMap<String, ModelBinding>,
    /// Limits of questions to models, by key of `system`. Known, and not run:
    /// `global.server.inference` has the queue.
    pub admission: BTreeMap<String, Admission>,
}

impl Default for ModelCatalog {
    fn default() -> Self {
        Self {
            embeddings: Embeddings::default(),
            system: SystemModels::default(),
            external: Vec::new(),
            kbs: bases::built_in(),
            modules: Modules::default(),
            deployments: BTreeMap::new(),
            bindings: BTreeMap::new(),
            admission: BTreeMap::new(),
        }
    }
}

/// Finds a knowledge base by the name that is written at `path`; reports one that is not declared.
pub fn find_base<'a>(
    bases: &'a [KnowledgeBase],
    name: &str,
    path: String,
    findings: &mut Findings,
) -> Option<&'a KnowledgeBase> {
    let found = bases.iter().find(|base| base.name == name);
    if found.is_none() {
        let hint = suggestion(name, bases.iter().map(|base| base.name.as_str()));
        findings.error(path, format!("no knowledge base is called `{name}`{hint}"));
    }
    found
}

/// Encoders.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Embeddings {
    /// The encoder of all signals.
    pub semantic: Option<SemanticEmbeddings>,
}

/// The encoder of all signals.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SemanticEmbeddings {
    /// Folder of the `qwen3` encoder.
    pub qwen3_model_path: String,
    /// Folder of the `gemma` encoder.
    pub gemma_model_path: String,
    /// Folder of the `mmbert` encoder.
    pub mmbert_model_path: String,
    /// Folder of the `multimodal` encoder.
    pub multimodal_model_path: String,
    /// Folder of the `bert` encoder.
    pub bert_model_path: String,
    /// Run on the CPU.
    pub use_cpu: Option<bool>,
    /// Which encoder, and how its scores are used.
    pub embedding_config: Option<EmbeddingConfig>,
    /// The encoder of backend `openai_compatible`.
    pub endpoint: Option<EmbeddingEndpoint>,
}

/// Which encoder, and how its scores are used.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingConfig {
    /// Known; Merit runs ONNX, or `openai_compatible`.
    #[schemars(extend("enum" = ["candle", "onnx", "openvino", "openai_compatible"]))]
    pub backend: String,
    /// Which encoder; omitted means `mmbert`. Merit's own stands in for the reference's where their
    /// folders are not installed.
    #[schemars(extend("enum" = ["qwen3", "gemma", "mmbert", "multimodal", "bert", "remote"]))]
    pub model_type: String,
    /// Compute example embeddings at start.
    pub preload_embeddings: Option<bool>,
    /// Known, without effect: vectors keep their full width.
    pub target_dimension: u32,
    /// Known, without effect.
    pub target_layer: u32,
    /// Accept weaker matches when there is no hard one; omitted means yes.
    pub enable_soft_matching: Option<bool>,
    /// Embedding matches kept; omitted means 1, 0 means all.
    pub top_k: Option<i64>,
    /// Least score of a weaker match; omitted means 0.5.
    pub min_score_threshold: Option<f32>,
    /// How examples become a score.
    pub prototype_scoring: Option<PrototypeScoring>,
    /// Known, without effect: whole texts are always read.
    pub full_context: bool,
}

/// An encoder behind an OpenAI-compatible API.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingEndpoint {
    /// URL.
    pub base_url: String,
    /// Model.
    pub model: String,
    /// Environment variable that holds the credential.
    pub api_key_env: String,
    /// Time limit.
    pub timeout_seconds: u32,
    /// Retries.
    pub max_retries: u32,
    /// Dimensions.
    pub dimensions: u32,
    /// Merit's own: where the service runs, for `routing.boundaries`; without it no boundary that
    /// holds lets a text be sent there.
    pub location: String,
    /// Largest answer, bytes. Known, without effect:
    /// `global.server.inference.remote_response_bytes` holds.
    pub max_response_bytes: u64,
}

/// Folders of the built-in classifiers.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SystemModels {
    /// Jailbreak.
    pub prompt_guard: String,
    /// Domain.
    pub domain_classifier: String,
    /// Personal data.
    pub pii_classifier: String,
    /// Fact check.
    pub fact_check_classifier: String,
    /// Hallucination.
    pub hallucination_detector: String,
    /// Entailment.
    pub hallucination_explainer: String,
    /// User feedback.
    pub feedback_detector: String,
    /// Safety.
    pub safety: String,
    /// Kinds of hazard.
    pub hazard: String,
}

/// A model that is asked over the network.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExternalModel {
    /// Name.
    pub name: String,
    /// Kind of provider.
    pub llm_provider: String,
    /// What it is for.
    #[schemars(extend("examples" = ["guardrail", "classification", "preference"]))]
    pub model_role: String,
    /// Where it is.
    pub llm_endpoint: ExternalEndpoint,
    /// Its model id.
    pub llm_model_name: String,
    /// Time limit; 0 means 5.
    pub llm_timeout_seconds: u32,
    /// How its answer is read.
    pub parser_type: String,
    /// Least score.
    pub threshold: f64,
    /// Credential.
    #[schemars(extend("writeOnly" = true))]
    pub access_key: HiddenText,
    /// Token limit.
    pub max_tokens: u32,
    /// Sampling temperature.
    pub temperature: f64,
    /// Merit's own: where the service runs, for `routing.boundaries`; without it no boundary that
    /// holds lets a text be sent there.
    pub location: String,
    /// How the model is switched to reasoning. Known, and not run.
    pub reasoning: Option<ExternalReasoning>,
    /// Largest question, bytes. Known, and not run.
    pub max_request_bytes: u64,
    /// Largest answer, bytes. Known, without effect:
    /// `global.server.inference.remote_response_bytes` holds.
    pub max_response_bytes: u64,
}

/// Where an external model is.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExternalEndpoint {
    /// Host.
    pub address: String,
    /// Port.
    pub port: u16,
    /// `http` or `https`; a guard may also name its protocol.
    #[schemars(extend("examples" = ["http", "https"]))]
    pub protocol: String,
    /// Name.
    pub name: String,
    /// The server applies the chat template.
    pub use_chat_template: bool,
    /// Template of the prompt.
    pub prompt_template: String,
}

/// A knowledge base: labelled examples, groups of labels, metrics.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KnowledgeBase {
    /// Name.
    pub name: String,
    /// Where its examples are.
    pub source: KbSource,
    /// Least score of a label.
    pub threshold: f32,
    /// Least scores of single labels.
    pub label_thresholds: BTreeMap<String, f32>,
    /// Labels by group.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Numbers for projections.
    pub metrics: Vec<KbMetric>,
    /// How examples become a score.
    pub prototype_scoring: Option<PrototypeScoring>,
}

/// Where the examples of a knowledge base are.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KbSource {
    /// Folder. `knowledge_bases/privacy` and `knowledge_bases/mmlu` are built in where they are not
    /// on disk.
    pub path: String,
    /// File of labels in it; omitted means `labels.json`.
    pub manifest: String,
}

/// A number that a knowledge base gives. `best_score` and `best_matched_score` are built in.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KbMetric {
    /// Name.
    pub name: String,
    /// `group_margin`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["group_margin"]))]
    pub kind: String,
    /// Group that counts positive.
    pub positive_group: String,
    /// Group that counts negative.
    pub negative_group: String,
}

/// How an external model is switched to reasoning.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExternalReasoning {
    /// Family of models.
    pub family: String,
    /// Switch it on.
    pub use_reasoning: bool,
    /// Effort.
    pub reasoning_effort: String,
}
