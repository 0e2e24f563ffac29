//! `routing.decisions`: rule trees, candidates, algorithm, plugins.

use crate::algorithms::Algorithm;
use crate::plugins::PluginConfig;
use conversation::learning::policy::LearningDecision;
use conversation::learning::settings::Adaptations;
use schemars::JsonSchema;
use selection::candidate::ModelRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signals::decision::DecisionSpec;
use signals::rules::RuleNode;
use std::collections::BTreeMap;

/// One decision.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Decision {
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Higher wins under the priority strategy.
    pub priority: i64,
    /// Lower wins as soon as any matched decision has a tier above 0.
    pub tier: i64,
    /// When it applies; omitted means always.
    pub rules: Option<RuleNode>,
    /// Candidate models, in order.
    #[serde(rename = "modelRefs")]
    pub model_refs: Vec<ModelRef>,
    /// How one of several candidates is chosen; omitted means the first.
    pub algorithm: Option<Algorithm>,
    /// How learning may change the choice.
    pub adaptations: Option<Adaptations>,
    /// What is done to the request and its answer.
    pub plugins: Vec<PluginConfig>,
    /// What the decision says to caches and sessions.
    pub emits: Vec<Emit>,
    /// How answers of several models are rendered, in words.
    pub output_contract: String,
    /// The same, for machines.
    pub output_contract_spec: Option<OutputContract>,
    /// Loops of the policy language that this decision was compiled from.
    #[serde(rename = "candidateIterations")]
    pub candidate_iterations: Vec<CandidateIteration>,
    /// Words for the operator's own use.
    pub annotations: BTreeMap<String, Value>,
    /// Sends every request that matches there, also one that names a model.
    pub action: Option<DecisionAction>,
    /// Merit's own: what becomes of requests that lose something where they are translated for a
    /// model of another API.
    pub translation: Translation,
}

/// What becomes of requests that lose something in translation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Translation {
    /// They go on, and `x-vsr-protocol-warnings` names what is lost.
    #[default]
    Lenient,
    /// They are refused with 400, and the refusal names what would be lost.
    Strict,
}

impl Decision {
    /// Returns what decides whether this decision wins.
    #[must_use]
    pub fn spec(&self) -> DecisionSpec<'_> {
        DecisionSpec {
            name: &self.name,
            priority: self.priority,
            tier: self.tier,
            rules: self.rules.as_ref(),
        }
    }

    /// Returns the model that every matched request goes to, if there is one.
    #[must_use]
    pub fn destination(&self) -> Option<&str> {
        let action = self.action.as_ref()?;
        Some(action.destination.trim()).filter(|name| !name.is_empty())
    }

    /// Returns what learning reads of this decision.
    #[must_use]
    pub fn learned(&self) -> LearningDecision<'_> {
        LearningDecision {
            tier: self.tier,
            model_refs: &self.model_refs,
            adaptations: self.adaptations.as_ref(),
        }
    }
}

/// What a decision says to caches and sessions.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Emit {
    /// `retention`.
    #[schemars(extend("enum" = ["retention"]))]
    pub kind: String,
    /// How long things are kept.
    pub retention: Option<Retention>,
}

/// How long things are kept.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Write nothing to the cache.
    pub drop: Option<bool>,
    /// Lifetime of a cache entry in turns of 60 s.
    pub ttl_turns: Option<u32>,
    /// Reported in a header only.
    pub keep_current_model: Option<bool>,
    /// Reported in a header only.
    pub prefer_prefix_retention: Option<bool>,
}

/// How answers of several models become one.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutputContract {
    /// Kind of contract, for example `reference_selection` or `json_action`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What a selection refers to.
    pub reference: Option<ContractReference>,
    /// Where the result is found.
    pub extract: Option<ContractExtract>,
    /// Steps after that.
    pub postprocess: Vec<ContractStep>,
    /// What may be chosen.
    pub choice_set: Option<ChoiceSet>,
    /// Schema of the answer.
    pub json_schema: Option<JsonSchemaRef>,
    /// How the result is written.
    pub render: Option<ContractRender>,
    /// What stands for missing parts.
    pub normalize: Option<ContractNormalize>,
}

/// What a selection refers to.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContractReference {
    /// Where the choices are.
    pub source: String,
    /// How a choice is named.
    pub id_format: String,
}

/// Where a result is found.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContractExtract {
    /// How it is found.
    pub mode: String,
    /// Parts of the answer.
    pub sources: Vec<String>,
}

/// A step of a contract.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContractStep {
    /// Kind of step.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What may be chosen.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChoiceSet {
    /// The choices.
    pub values: Vec<String>,
}

/// Schema of an answer.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JsonSchemaRef {
    /// Its name.
    pub schema_ref: String,
}

/// How a result is written.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContractRender {
    /// How.
    pub mode: String,
    /// Template.
    pub template: String,
}

/// What stands for missing parts of a result.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContractNormalize {
    /// Values by key.
    pub defaults: BTreeMap<String, String>,
}

/// What a decision does with every request that it matches.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionAction {
    /// `route`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["route"]))]
    pub kind: String,
    /// Name of the model.
    pub destination: String,
}

/// A loop of the policy language. Kept for tools; routing does not read it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CandidateIteration {
    /// Loop variable.
    pub variable: String,
    /// What it runs over.
    pub source: String,
    /// Models, if it runs over models.
    pub models: Vec<ModelRef>,
    /// What the loop gives.
    pub outputs: Vec<IterationOutput>,
}

/// What a loop gives.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IterationOutput {
    /// Kind of output.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its value.
    pub value: String,
}

/// A limit that holds on every path: where `when` holds, only the allowed models may be used, and
/// only services at an allowed location may be asked about the text. What is not known of a signal
/// counts as holding. The boundaries of the document's own `routing` bind all recipes and all
/// concrete model names, those of a recipe bind that recipe.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Boundary {
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// When it holds; omitted means always. It reads signals as decisions do; signals that fail
    /// open are refused here.
    pub when: Option<RuleNode>,
    /// What may be used then.
    pub allow: Allowed,
}

/// Models that may be used: those named, and those at a named location.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Allowed {
    /// Model names.
    pub models: Vec<String>,
    /// Words of `providers.models[].location`.
    pub locations: Vec<String>,
    /// Text may be kept with records of requests, where `router_replay` captures it.
    pub records: bool,
}

/// Returns the rule trees of decisions.
pub fn decision_trees(decisions: &[Decision]) -> impl Iterator<Item = &RuleNode> {
    decisions
        .iter()
        .filter_map(|decision| decision.rules.as_ref())
}

/// Returns the rule trees of boundaries.
pub fn boundary_trees(boundaries: &[Boundary]) -> impl Iterator<Item = &RuleNode> {
    boundaries
        .iter()
        .filter_map(|boundary| boundary.when.as_ref())
}
