//! `remom`: rounds of parallel answers and a synthesis. Known, and not run yet.

use super::SeveralModels;
use schemars::JsonSchema;
use selection::algorithms::method::Checking;
use serde::{Deserialize, Serialize};

/// Rounds of parallel answers and a synthesis. With this block, omitted fields are 0 or false.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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

impl SeveralModels for Remom {
    const NAME: &'static str = "remom";
    const NOT_RUN: &'static str = "remom_not_run";
    const HAS_FINAL_MODEL: bool = true;

    fn check_block(&self, checking: &mut Checking<'_>) {
        checking.known_model("remom.synthesis_model", &self.synthesis_model);
    }

    fn final_model(&self) -> &str {
        &self.synthesis_model
    }
}
