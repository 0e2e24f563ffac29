//! Signal rules whose evidence comes from a model: embeddings, classifiers, knowledge bases.

use super::decisions::RuleNode;
use schemars::JsonSchema;
use serde::Deserialize;

/// A rule over the similarity of the user's turn to example texts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Least score of a hard match.
    pub threshold: f32,
    /// Example texts.
    pub candidates: Vec<String>,
    /// How example similarities become one score: `max` (the default; the best, tempered by its
    /// neighbours), `any` (the same) or `mean`.
    #[schemars(extend("enum" = ["max", "any", "mean"]))]
    pub aggregation_method: String,
    /// What the query is computed from: `text` (the default). `image` and `audio` are known and
    /// never run.
    #[schemars(extend("enum" = ["text", "image", "audio"]))]
    pub query_modality: String,
}

/// A topic.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DomainRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Labels of the topic model that count as this domain; omitted means the label of the same
    /// name.
    pub mmlu_categories: Vec<String>,
    /// Scores that `static` selection reads, if a decision has the domain's name.
    pub model_scores: Vec<ModelScore>,
}

/// The score of one model in a domain.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelScore {
    /// A declared model.
    pub model: String,
    /// Its score; 1 is also the score of a model without an entry.
    pub score: f64,
    /// Reasoning mode for this domain.
    pub use_reasoning: Option<bool>,
}

/// A rule that has a name and nothing else: the name is the label that a classifier emits.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LabelRule {
    /// The emitted label.
    pub name: String,
    /// Free text.
    pub description: String,
}

/// A rule over repetition: the user asks again what was asked before.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReaskRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Least similarity; 0 means 0.8.
    pub threshold: f32,
    /// How many earlier user turns in a row must be similar; 0 means 1.
    pub lookback_turns: u32,
}

/// A preference that the user's turn expresses.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreferenceRule {
    /// Name used in decisions.
    pub name: String,
    /// What the preference is; also the first example.
    pub description: String,
    /// Example texts.
    pub examples: Vec<String>,
    /// Least score; 0 means none.
    pub threshold: f32,
}

/// A rule that grades a turn as `<name>:hard`, `<name>:medium` or `<name>:easy`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ComplexityRule {
    /// Name used in decisions, with the level behind a colon.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Margin between the hard and the easy score that makes a turn hard (or easy, below its
    /// negative).
    pub threshold: f32,
    /// Examples of hard requests.
    pub hard: ComplexityExamples,
    /// Examples of easy requests.
    pub easy: ComplexityExamples,
    /// Rule tree over other signals that must hold for the grade to count. A node without operator
    /// is an AND here.
    pub composer: Option<RuleNode>,
}

/// Example texts of one side of a complexity rule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ComplexityExamples {
    /// Texts compared with the user's turn.
    pub candidates: Vec<String>,
    /// Known, without effect: there is no encoder of images.
    pub image_candidates: Vec<String>,
}

/// Detection of prompt injection and jailbreak attempts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JailbreakRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Empty or `classifier` (the model), `contrastive` (the pattern lists). `hybrid` is known and
    /// means the model.
    #[schemars(extend("enum" = ["classifier", "contrastive", "hybrid"]))]
    pub method: String,
    /// Least risk; omitted means the module's threshold (`contrastive`: 0.1).
    pub threshold: f32,
    /// Read earlier turns too.
    pub include_history: bool,
    /// Examples of attacks, for `contrastive`.
    pub jailbreak_patterns: Vec<String>,
    /// Examples of harmless requests, for `contrastive`.
    pub benign_patterns: Vec<String>,
    /// Merit's own: which texts are read; omitted means what `include_history` says.
    pub scan: Vec<ScanScope>,
}

/// Detection of personal data.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PiiRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Least confidence of a found entity; omitted means the module's threshold.
    pub threshold: f32,
    /// Read earlier turns too.
    pub include_history: bool,
    /// Entity types that do not count; empty means that every type counts.
    pub pii_types_allowed: Vec<String>,
    /// Merit's own: which texts are read; omitted means what `include_history` says.
    pub scan: Vec<ScanScope>,
}

/// A part of a request that a safety rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScanScope {
    /// The user's current turn.
    Current,
    /// Earlier user turns.
    History,
    /// System, developer and assistant texts.
    System,
    /// Results of tool calls.
    ToolResults,
}

/// A rule over a knowledge base of labelled examples.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KbRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Name of a knowledge base in `global.model_catalog.kbs`.
    pub kb: String,
    /// The label or group that must be found.
    pub target: KbTarget,
    /// `threshold` (the default) or `best`: equal to the best label or group, whatever its score.
    #[schemars(extend("enum" = ["threshold", "best"]))]
    #[serde(rename = "match")]
    pub match_by: String,
}

/// A label or a group of a knowledge base.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KbTarget {
    /// `label` or `group`.
    #[schemars(extend("enum" = ["label", "group"]))]
    pub kind: String,
    /// Its name.
    pub value: String,
}

/// A classifier of the operator's own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `local` (a model folder) or `llm` (an external model that is asked).
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["local", "llm"]))]
    pub kind: String,
    /// Folder of a `local` classifier.
    pub model_path: String,
    /// Name in `global.model_catalog.external` of an `llm` classifier.
    pub model: String,
    /// All labels.
    pub labels: Vec<String>,
    /// What the `llm` classifier is told.
    pub instructions: String,
    /// Run on the CPU.
    pub use_cpu: bool,
}
