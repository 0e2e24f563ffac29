//! `global.model_catalog.modules`: settings of the classifiers.

use super::scoring::PrototypeScoring;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of the classifiers.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Modules {
    /// Shortening of long prompts before signals.
    pub prompt_compression: Option<PromptCompression>,
    /// Jailbreak.
    pub prompt_guard: Option<ClassifierModule>,
    /// Domain, personal data, preference.
    pub classifier: ClassifierModules,
    /// Complexity.
    pub complexity: Option<PrototypeModule>,
    /// Fact check and hallucination.
    pub hallucination_mitigation: Option<HallucinationMitigation>,
    /// User feedback.
    pub feedback_detector: Option<ClassifierModule>,
    /// Modality.
    pub modality_detector: Option<KeywordOrClassifier>,
    /// Safety and kinds of hazard. Known, and not run.
    pub safety: Option<SafetyModules>,
}

/// Shortening of long prompts before signals.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromptCompression {
    /// Shorten.
    pub enabled: bool,
    /// Weights and what is preserved.
    #[schemars(extend("enum" = ["default", "coding", "medical", "security", "multi_turn", "multi-turn"]))]
    pub profile: String,
    /// Size to reach.
    pub max_tokens: u64,
    /// Size that is left alone.
    pub min_length: u64,
    /// Signals that read the whole text.
    pub skip_signals: Vec<String>,
    /// Weight of centrality.
    pub textrank_weight: Option<f64>,
    /// Weight of position.
    pub position_weight: Option<f64>,
    /// Weight of rare words.
    pub tfidf_weight: Option<f64>,
    /// Weight of novelty.
    pub novelty_weight: Option<f64>,
    /// Depth of the dip in the middle.
    pub position_depth: Option<f64>,
    /// Sentences kept at the start.
    pub preserve_first_n: Option<u32>,
    /// Sentences kept at the end.
    pub preserve_last_n: Option<u32>,
}

/// Domain, personal data, preference.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierModules {
    /// Domain.
    pub domain: Option<ClassifierModule>,
    /// Domain by a tool of an MCP server.
    pub mcp: Option<McpClassifier>,
    /// Personal data.
    pub pii: Option<ClassifierModule>,
    /// Preference.
    pub preference: Option<PreferenceModule>,
}

/// Settings of one classifier. Each reads its own keys.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierModule {
    /// Run it; omitted means whenever a model is there.
    pub enabled: Option<bool>,
    /// Key in `global.model_catalog.system`.
    pub model_ref: String,
    /// Folder; wins over `model_ref`.
    pub model_id: String,
    /// Least confidence.
    pub threshold: Option<f32>,
    /// Run on the CPU.
    pub use_cpu: Option<bool>,
    /// Known; kinds of model are read from the folder.
    pub use_modernbert: bool,
    /// Known; kinds of model are read from the folder.
    pub use_mmbert_32k: bool,
    /// Known; kinds of model are read from the folder.
    pub variant: String,
    /// Where the guard runs, if not here: `http_chat` or `http_classify`.
    #[schemars(extend("examples" = ["http_chat", "http_classify"]))]
    pub protocol: String,
    /// Labels of the jailbreak model.
    pub jailbreak_mapping_path: String,
    /// Labels of the domain model.
    pub category_mapping_path: String,
    /// Labels of the model of personal data.
    pub pii_mapping_path: String,
    /// Labels of the feedback model.
    pub feedback_mapping_path: String,
    /// Labels that mean an attack; empty means `jailbreak`.
    pub positive_labels: Vec<String>,
    /// Label below the threshold, for the classification API.
    pub fallback_category: String,
    /// What it means for rules on jailbreaks and personal data that a text was not read to its end:
    /// `allow` (no match) or `block`; omitted means `block`.
    #[schemars(extend("enum" = ["allow", "block"]))]
    pub on_error: String,
    /// Tokens that the model reads at once. Known, without effect: texts are read in windows, to
    /// their end.
    pub max_sequence_length: u32,
    /// Windows of longer texts. Known, without effect.
    pub window: Option<SequenceWindow>,
    /// Where the model runs, if not here. Of the guard, `protocol` is read; of others it is known
    /// and not run.
    pub backend: Option<RemoteBackend>,
}

/// Domain by a tool of an MCP server.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpClassifier {
    /// Use it.
    pub enabled: bool,
    /// How it is reached.
    #[schemars(extend("enum" = ["stdio", "streamable-http", "http", "sse"]))]
    pub transport_type: String,
    /// Command, for `stdio`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    #[schemars(extend("writeOnly" = true))]
    pub env: BTreeMap<String, String>,
    /// URL.
    pub url: String,
    /// Tool.
    pub tool_name: String,
    /// Least confidence.
    pub threshold: f32,
    /// Time limit.
    pub timeout_seconds: u32,
    /// Largest answer, bytes.
    pub max_response_bytes: u64,
}

/// Settings of preference signals.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreferenceModule {
    /// Compare with examples; `false` asks an external model.
    pub use_contrastive: Option<bool>,
    /// Folder or `model_type` of the encoder; omitted means that of all signals.
    pub embedding_model: String,
    /// How examples become a score.
    pub prototype_scoring: Option<PrototypeScoring>,
}

/// Settings of a signal that compares with examples.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrototypeModule {
    /// How examples become a score.
    pub prototype_scoring: Option<PrototypeScoring>,
    /// A scorer that is asked over the network. Known, and not run.
    pub backend: Option<RemoteBackend>,
}

/// Fact check and hallucination.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HallucinationMitigation {
    /// Run it.
    pub enabled: bool,
    /// What is done about a finding.
    pub on_hallucination_detected: String,
    /// Does a prompt need facts?
    pub fact_check: Option<ClassifierModule>,
    /// Is an answer supported?
    pub detector: Option<HallucinationDetector>,
    /// Does the context entail it?
    pub explainer: Option<ClassifierModule>,
}

/// Is an answer supported by its context?
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HallucinationDetector {
    /// Known; Merit runs ONNX, or `http`.
    pub backend: String,
    /// URL, if it runs elsewhere.
    pub endpoint: String,
    /// Ask for reasons.
    pub include_explanation: bool,
    /// Key in `global.model_catalog.system`.
    pub model_ref: String,
    /// Folder.
    pub model_id: String,
    /// Least confidence of an answer.
    pub threshold: f32,
    /// Run on the CPU.
    pub use_cpu: Option<bool>,
    /// Tokens of a span at least.
    pub min_span_length: u32,
    /// Least confidence of a span.
    pub min_span_confidence: f32,
    /// Tokens around a span.
    pub context_window_size: u32,
    /// Confirm by entailment.
    pub enable_nli_filtering: bool,
    /// Entailment that clears a span.
    pub nli_entailment_threshold: f32,
}

/// Does a prompt ask for text or images? By words, by a model, or both.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeywordOrClassifier {
    /// Run it.
    pub enabled: bool,
    /// Known, without effect on signals: words before the description of an image.
    pub prompt_prefixes: Vec<String>,
    /// How it is known.
    #[schemars(extend("enum" = ["classifier", "keyword", "hybrid"]))]
    pub method: String,
    /// The model.
    pub classifier: Option<ModelFolder>,
    /// Words that mean an image.
    pub keywords: Vec<String>,
    /// Words that mean both, beside one of `keywords`.
    pub both_keywords: Vec<String>,
    /// Probability that decides.
    pub confidence_threshold: f32,
    /// Share of it that suffices when the words disagree.
    pub lower_threshold_ratio: f32,
}

/// A model folder.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelFolder {
    /// Path.
    pub model_path: String,
    /// Run on the CPU.
    pub use_cpu: Option<bool>,
    /// Tokens that the model reads at once. Known, without effect.
    pub max_sequence_length: u32,
}

/// Safety and kinds of hazard.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SafetyModules {
    /// Is a text safe?
    pub safety: Option<SequenceHead>,
    /// Which hazards does it hold?
    pub hazard: Option<SequenceHead>,
}

/// A classifier of whole texts.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SequenceHead {
    /// Folder; wins over `model_ref`.
    pub model_id: String,
    /// Key in `global.model_catalog.system`.
    pub model_ref: String,
    /// Run on the CPU.
    pub use_cpu: Option<bool>,
    /// Tokens that the model reads at once.
    pub max_sequence_length: u32,
    /// Windows of longer texts.
    pub window: Option<SequenceWindow>,
}

/// Windows over a text that is longer than a model reads at once.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SequenceWindow {
    /// Tokens of a window.
    pub size: u32,
    /// Tokens that two windows share.
    pub overlap: u32,
}

/// A model that is asked over the network.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteBackend {
    /// How it is asked.
    pub protocol: String,
    /// Form of its answer, for example `label_distribution.v1`.
    pub contract: String,
    /// Name in `global.model_catalog.external`.
    pub model: String,
    /// Time limit, milliseconds.
    pub deadline_ms: u64,
}
