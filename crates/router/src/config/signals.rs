//! `routing.signals`: one list per signal family.

use super::learned::{
    ClassifierRule, ComplexityRule, DomainRule, EmbeddingRule, JailbreakRule, KbRule, LabelRule,
    PiiRule, PreferenceRule, ReaskRule,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Declared signals by family.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signals {
    /// Words and patterns in the user's turn.
    pub keywords: Vec<KeywordRule>,
    /// Similarity to example texts.
    pub embeddings: Vec<EmbeddingRule>,
    /// Topics.
    pub domains: Vec<DomainRule>,
    /// Does the turn need facts? Names: `needs_fact_check`, `no_fact_check_needed`.
    pub fact_check: Vec<LabelRule>,
    /// What the turn says of the last answer. Names: `satisfied`, `need_clarification`,
    /// `wrong_answer`, `want_different`.
    pub user_feedbacks: Vec<LabelRule>,
    /// Repeated questions.
    pub reasks: Vec<ReaskRule>,
    /// Expressed preferences.
    pub preferences: Vec<PreferenceRule>,
    /// Language of the user's turn.
    pub language: Vec<LanguageRule>,
    /// Bands of the estimated token count.
    pub context: Vec<ContextRule>,
    /// Counts, densities and sequences in the user's turn.
    pub structure: Vec<StructureRule>,
    /// Hard, medium or easy.
    pub complexity: Vec<ComplexityRule>,
    /// Text or images. Names: `AR`, `DIFFUSION`, `BOTH`.
    pub modality: Vec<LabelRule>,
    /// Roles granted to authenticated users and groups.
    pub role_bindings: Vec<RoleBinding>,
    /// Prompt injection and jailbreak attempts.
    pub jailbreak: Vec<JailbreakRule>,
    /// Personal data.
    pub pii: Vec<PiiRule>,
    /// Labels and groups of knowledge bases.
    pub kb: Vec<KbRule>,
    /// Counts over messages and tools.
    pub conversation: Vec<ConversationRule>,
    /// Operational events named in the user's turn.
    pub events: Vec<EventRule>,
    /// Values of the request's `metadata` map.
    pub metadata: Vec<MetadataRule>,
    /// Classifiers of the operator's own.
    pub classifiers: Vec<ClassifierRule>,
}

/// A rule over keywords.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeywordRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `AND`, `OR` or `NOR`, upper case.
    #[schemars(extend("examples" = ["AND", "OR", "NOR"]))]
    pub operator: String,
    /// Keywords or, with `method: regex`, patterns.
    pub keywords: Vec<String>,
    /// Compare case.
    pub case_sensitive: bool,
    /// Empty (literal), `regex`, `bm25` or `ngram`.
    #[schemars(extend("examples" = ["regex", "bm25", "ngram"]))]
    pub method: String,
    /// Accept near spellings (literal and regex only).
    pub fuzzy_match: bool,
    /// Levenshtein distance; 0 means 2.
    pub fuzzy_threshold: u32,
    /// Score bound; 0 means 0.1.
    pub bm25_threshold: f32,
    /// Similarity bound; 0 means 0.4.
    pub ngram_threshold: f32,
    /// n; 0 means 3, at least 2.
    pub ngram_arity: u32,
}

/// A rule that emits its language code.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LanguageRule {
    /// ISO-639-1 code, lower case.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Least confidence; 0 means the default of 0.3.
    pub threshold: f32,
}

/// A band of the token estimate, both ends included.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContextRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Lower bound: `1024`, `32K`, `1M` (decimal multiples).
    pub min_tokens: String,
    /// Upper bound; omitted means 0.
    pub max_tokens: String,
}

/// A measured feature of the user's turn.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StructureRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What is measured.
    pub feature: StructureFeature,
    /// Bounds of the measured value.
    pub predicate: Option<NumericPredicate>,
}

/// What a structure rule measures.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StructureFeature {
    /// `exists`, `count`, `density` or `sequence`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is read.
    pub source: StructureSource,
}

/// Where a structure feature is read.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StructureSource {
    /// `regex`, `keyword_set`, `sequence` or `text_bytes`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Pattern of a `regex` source.
    pub pattern: String,
    /// Words of a `keyword_set` source.
    pub keywords: Vec<String>,
    /// Marker lists of a `sequence` source.
    pub sequences: Vec<Vec<String>>,
    /// Compare case.
    pub case_sensitive: bool,
}

/// Bounds on a number, all of which must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NumericPredicate {
    /// Greater than.
    pub gt: Option<f64>,
    /// Greater than or equal.
    pub gte: Option<f64>,
    /// Less than.
    pub lt: Option<f64>,
    /// Less than or equal.
    pub lte: Option<f64>,
}

impl NumericPredicate {
    /// Every given bound holds; NaN and infinities never match.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        value.is_finite()
            && self.gt.is_none_or(|bound| value > bound)
            && self.gte.is_none_or(|bound| value >= bound)
            && self.lt.is_none_or(|bound| value < bound)
            && self.lte.is_none_or(|bound| value <= bound)
    }
}

/// A role granted to subjects.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoleBinding {
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The role that is emitted.
    pub role: String,
    /// Who has it.
    pub subjects: Vec<Subject>,
}

/// A user or a group.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Subject {
    /// `User` or `Group`.
    pub kind: String,
    /// Exact name.
    pub name: String,
}

/// A count over messages and tools.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConversationRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What is counted.
    pub feature: ConversationFeature,
    /// Bounds of the count.
    pub predicate: Option<NumericPredicate>,
}

/// What a conversation rule counts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConversationFeature {
    /// `count` or `exists`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is counted.
    pub source: ConversationSource,
}

/// The counter of a conversation rule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConversationSource {
    /// `message`, `tool_definition`, `assistant_tool_call`, `assistant_tool_cycle`,
    /// `active_tool_loop`, `image_content`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Role of `message`: `user`, `assistant`, `system`, `tool`, `developer`, `non_user`; omitted
    /// means all.
    pub role: String,
}

/// An operational event.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Event words.
    pub event_types: Vec<String>,
    /// `critical`, `high`, `medium`, `low`.
    pub severities: Vec<String>,
    /// Action codes.
    pub action_codes: Vec<String>,
    /// Look for words of urgency.
    pub temporal: bool,
}

/// A condition on one `metadata` entry.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Key in the request's `metadata`.
    pub key: String,
    /// Exactly one condition.
    pub predicate: MetadataPredicate,
}

/// Exactly one of three conditions.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataPredicate {
    /// Equal to this text.
    pub equals: Option<String>,
    /// One of these texts.
    #[serde(rename = "in")]
    pub one_of: Option<Vec<String>>,
    /// Present or absent.
    pub exists: Option<bool>,
}
