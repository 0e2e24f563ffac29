//! `decisions[].algorithm`: how one of a decision's candidates is chosen, or several are run.

use super::selectors::{Automix, Hybrid, LatencyAware, MultiFactor, PromptSelection, RouterDc};
use schemars::JsonSchema;
use serde::Deserialize;

/// The algorithm of a decision: `type` and the block of the same name.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Algorithm {
    /// Which algorithm; empty means `static`. `weighted` is Merit's own: candidates by their
    /// `weight`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["static", "weighted", "router_dc", "latency_aware", "multi_factor", "hybrid", "automix", "prompt", "knn", "kmeans", "svm", "mlp", "confidence", "ratings", "remom", "fusion", "workflows"]))]
    pub kind: String,
    /// `fallback` takes the first candidate when the algorithm fails.
    #[schemars(extend("examples" = ["fallback", "fail"]))]
    pub on_error: String,
    /// Parameters of `confidence`.
    pub confidence: Option<Confidence>,
    /// Parameters of `ratings`.
    pub ratings: Option<Ratings>,
    /// Parameters of `remom`.
    pub remom: Option<Remom>,
    /// Parameters of `fusion`.
    pub fusion: Option<Fusion>,
    /// Parameters of `workflows`.
    pub workflows: Option<Workflows>,
    /// Parameters of `router_dc`.
    pub router_dc: Option<RouterDc>,
    /// Parameters of `automix`. Only `cost_quality_tradeoff` is read here; the rest is read from
    /// `global.router.model_selection.automix`.
    pub automix: Option<Automix>,
    /// Parameters of `hybrid`.
    pub hybrid: Option<Hybrid>,
    /// Parameters of `latency_aware`.
    pub latency_aware: Option<LatencyAware>,
    /// Parameters of `multi_factor`.
    pub multi_factor: Option<MultiFactor>,
    /// Parameters of `prompt`.
    pub prompt: Option<PromptSelection>,
}

impl Algorithm {
    /// The type, `static` if none is written.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.kind.as_str() {
            "" => "static",
            kind => kind,
        }
    }

    /// The algorithm runs several models instead of choosing one.
    #[must_use]
    pub fn is_looper(&self) -> bool {
        matches!(
            self.name(),
            "confidence" | "ratings" | "remom" | "fusion" | "workflows"
        )
    }

    /// Names of the parameter blocks that are written.
    #[must_use]
    pub fn blocks(&self) -> Vec<&'static str> {
        [
            ("confidence", self.confidence.is_some()),
            ("ratings", self.ratings.is_some()),
            ("remom", self.remom.is_some()),
            ("fusion", self.fusion.is_some()),
            ("workflows", self.workflows.is_some()),
            ("router_dc", self.router_dc.is_some()),
            ("automix", self.automix.is_some()),
            ("hybrid", self.hybrid.is_some()),
            ("latency_aware", self.latency_aware.is_some()),
            ("multi_factor", self.multi_factor.is_some()),
            ("prompt", self.prompt.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, written)| written.then_some(name))
        .collect()
    }
}

/// Cascade: try candidates until an answer is confident enough.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Confidence {
    /// How confidence is measured; empty means `avg_logprob`. `automix_entailment` is not run: the
    /// first candidate serves the request and the reply says so.
    #[schemars(extend("enum" = ["avg_logprob", "margin", "hybrid", "self_verify", "automix_entailment"]))]
    pub confidence_method: String,
    /// Confidence that accepts an answer, 0 to 1. 0 means the method's default: 2/3 (a mean log
    /// probability of -1) for `avg_logprob`, 0.5 for `margin` and `hybrid`, 0.7 for `self_verify`.
    /// A number below 0 is a mean log probability where `avg_logprob` is measured, else the
    /// default.
    pub threshold: f64,
    /// Weights of `hybrid`.
    pub hybrid_weights: Option<HybridWeights>,
    /// `skip` or `fail` when a model fails.
    #[schemars(extend("enum" = ["skip", "fail"]))]
    pub on_error: String,
    /// Order of the candidates; empty means by size.
    #[schemars(extend("enum" = ["size", "small_to_large", "declared", "cost", "automix"]))]
    pub escalation_order: String,
    /// Weight of price against quality in the order `automix`.
    pub cost_quality_tradeoff: f64,
    /// Tokens whose probabilities count.
    #[schemars(extend("enum" = ["all", "tool_call_args"]))]
    pub token_filter: String,
    /// Server that grades answers, for `automix_entailment`.
    pub verifier_server_url: String,
    /// Time limit of a grade; 0 means 60.
    pub verifier_timeout_seconds: u32,
}

/// Weights of the two measures of `hybrid` confidence.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HybridWeights {
    /// Weight of the mean log probability; 0 means 0.5.
    pub logprob_weight: f64,
    /// Weight of the margin; 0 means 0.5.
    pub margin_weight: f64,
}

/// Ask all candidates and return every answer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ratings {
    /// Calls at a time; 0 means all.
    pub max_concurrent: u32,
    /// `skip` or `fail` when a model fails.
    #[schemars(extend("enum" = ["skip", "fail"]))]
    pub on_error: String,
}

/// Rounds of parallel answers and a synthesis. With this block, omitted fields are 0 or false.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Remom {
    /// Calls per round; one synthesis follows.
    pub breadth_schedule: Vec<u32>,
    /// How the calls of a round are spread over the candidates.
    #[schemars(extend("enum" = ["weighted", "equal", "round_robin", "first_only"]))]
    pub model_distribution: String,
    /// Sampling temperature.
    pub temperature: f64,
    /// Show reasoning to the synthesis.
    pub include_reasoning: bool,
    /// How earlier answers are shortened.
    #[schemars(extend("enum" = ["full", "last_n_tokens"]))]
    pub compaction_strategy: String,
    /// Tokens kept of an earlier answer; 0 means 1,000.
    pub compaction_tokens: u32,
    /// Text that asks for the synthesis.
    pub synthesis_template: String,
    /// Model of the synthesis.
    pub synthesis_model: String,
    /// Calls at a time; 0 means all.
    pub max_concurrent: u32,
    /// Token limit of a call.
    pub max_completion_tokens: u32,
    /// Time limit of a round.
    pub round_timeout_seconds: u32,
    /// Answers that end a round; 0 means all.
    pub min_successful_responses: u32,
    /// `skip` or `fail` when a call fails.
    #[schemars(extend("enum" = ["skip", "fail"]))]
    pub on_error: String,
    /// Seed of the shuffles.
    pub shuffle_seed: i64,
    /// Put the rounds into the answer.
    pub include_intermediate_responses: bool,
    /// Answers of a round that the next one sees; 0 means all.
    pub max_responses_per_round: u32,
}

/// A panel, a judge and a synthesis.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fusion {
    /// Judge; empty means the first of the panel.
    pub model: String,
    /// Panel; empty means the candidates.
    pub analysis_models: Vec<String>,
    /// Settings per panel model.
    pub analysis_overrides: Vec<AnalysisOverride>,
    /// Calls at a time; 0 means all.
    pub max_concurrent: u32,
    /// Token limit of a call.
    pub max_completion_tokens: u32,
    /// Time limit of the panel.
    pub round_timeout_seconds: u32,
    /// Answers that end the panel; 0 means all.
    pub min_successful_responses: u32,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Put the analysis into the answer.
    pub include_analysis: bool,
    /// Put the panel's answers into the answer.
    pub include_intermediate_responses: bool,
    /// `skip` or `fail` when a call fails.
    #[schemars(extend("enum" = ["skip", "fail"]))]
    pub on_error: String,
    /// Text that asks for the analysis.
    pub analysis_template: String,
    /// Text that asks for the synthesis.
    pub synthesis_template: String,
    /// Version of the judge's prompt.
    pub judge_prompt_version: String,
    /// Scores of faithfulness for the judge.
    pub grounding: Option<Grounding>,
}

/// Settings of one panel model.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnalysisOverride {
    /// The panel model.
    pub model: String,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Token limit.
    pub max_completion_tokens: u32,
}

/// How panel answers are scored for faithfulness.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grounding {
    /// Score the panel's answers.
    pub enabled: bool,
    /// What answers are compared with.
    #[schemars(extend("enum" = ["hybrid", "context", "panel"]))]
    pub reference: String,
    /// What scores do: `weight` (the default), `annotate` or `filter`.
    #[schemars(extend("enum" = ["weight", "annotate", "filter"]))]
    pub policy: String,
    /// Least score under `filter`.
    pub min_score: f64,
    /// Answers that `filter` keeps at least.
    pub min_keep: u32,
    /// Weight of a contradiction.
    pub nli_contradiction_penalty: f64,
    /// `skip` goes on without scores, `fail` ends the run.
    #[schemars(extend("enum" = ["skip", "fail"]))]
    pub on_error: String,
}

/// Steps of several workers, planned by a model or written down.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Workflows {
    /// `static` (roles) or `dynamic` (a planner).
    #[schemars(extend("enum" = ["static", "dynamic"]))]
    pub mode: String,
    /// Name of a built-in plan.
    pub template: String,
    /// The planner of `dynamic`.
    pub planner: Option<WorkflowModel>,
    /// Roles of `static`.
    pub roles: Vec<WorkflowRole>,
    /// Who writes the answer; empty means the planner.
    #[serde(rename = "final")]
    pub final_step: Option<WorkflowModel>,
    /// Steps; 0 means 3.
    pub max_steps: u32,
    /// Workers per step; 0 means 2.
    pub max_parallel: u32,
    /// Token limit of a worker.
    pub max_completion_tokens: u32,
    /// Time limit of a step.
    pub round_timeout_seconds: u32,
    /// Workers that end a step; 0 means all.
    pub min_successful_responses: u32,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Put the steps into the answer.
    pub include_intermediate_responses: bool,
    /// `fail` (the default) or `skip`.
    #[schemars(extend("enum" = ["skip", "fail"]))]
    pub on_error: String,
}

/// A model with a token limit.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkflowModel {
    /// The model.
    pub model: String,
    /// Token limit; 0 means 2,048.
    pub max_completion_tokens: u32,
}

/// A role of a static workflow.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkflowRole {
    /// Name of the role.
    pub name: String,
    /// What the role is told.
    pub prompt: String,
    /// Workers.
    pub models: Vec<String>,
    /// Roles whose outputs this one sees; omitted means all.
    pub access_list: Option<Vec<String>>,
}
