//! `fusion`: a panel, a judge and a synthesis. Known, and not run yet.

use super::SeveralModels;
use schemars::JsonSchema;
use selection::algorithms::method::Checking;
use serde::{Deserialize, Serialize};

/// A panel, a judge and a synthesis.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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
    /// How the judge works: in a call of its own, in one call, or not at all. Known, and not run.
    #[schemars(extend("enum" = ["separate", "one_call", "none"]))]
    pub analysis_mode: String,
    /// What happens with too few answers. Known, and not run.
    #[schemars(extend("enum" = ["fail", "fallback"]))]
    pub quorum_failure_policy: String,
    /// Model that answers then. Known, and not run.
    pub quorum_fallback_target: String,
}

/// Settings of one panel model.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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

impl SeveralModels for Fusion {
    const NAME: &'static str = "fusion";
    const NOT_RUN: &'static str = "fusion_not_run";
    const HAS_FINAL_MODEL: bool = true;

    fn check_block(&self, checking: &mut Checking<'_>) {
        checking.known_model("fusion.model", &self.model);
        for (index, name) in self.analysis_models.iter().enumerate() {
            checking.known_model(&format!("fusion.analysis_models[{index}]"), name);
        }
        for (index, own) in self.analysis_overrides.iter().enumerate() {
            let key = format!("fusion.analysis_overrides[{index}].model");
            checking.known_model(&key, &own.model);
        }
    }

    fn final_model(&self) -> &str {
        &self.model
    }
}
