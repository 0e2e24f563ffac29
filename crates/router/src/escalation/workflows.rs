//! `workflows`: steps of several workers, planned by a model or written down. Known, and not run
//! yet.

use super::SeveralModels;
use schemars::JsonSchema;
use selection::algorithms::method::Checking;
use serde::{Deserialize, Serialize};

/// Steps of several workers, planned by a model or written down.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkflowModel {
    /// The model.
    pub model: String,
    /// Token limit; 0 means 2,048.
    pub max_completion_tokens: u32,
    /// What it is told. Known, and not run.
    pub prompt: String,
}

/// A role of a static workflow.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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

impl SeveralModels for Workflows {
    const NAME: &'static str = "workflows";
    const NOT_RUN: &'static str = "workflows_not_run";
    const HAS_FINAL_MODEL: bool = true;

    fn check_block(&self, checking: &mut Checking<'_>) {
        if let Some(planner) = &self.planner {
            checking.known_model("workflows.planner.model", &planner.model);
        }
        if let Some(last) = &self.final_step {
            checking.known_model("workflows.final.model", &last.model);
        }
    }

    fn final_model(&self) -> &str {
        self.final_step.as_ref().map_or("", |last| &last.model)
    }
}
