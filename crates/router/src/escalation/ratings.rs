//! `ratings`: all candidates are asked and every answer is returned. Known, and not run yet.

use super::SeveralModels;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ask all candidates and return every answer.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ratings {
    /// Calls at a time; 0 means all.
    pub max_concurrent: u32,
    /// `skip` or `fail` when a model fails.
    #[schemars(extend("enum" = ["skip", "fail"]))]
    pub on_error: String,
}

impl SeveralModels for Ratings {
    const NAME: &'static str = "ratings";
    const NOT_RUN: &'static str = "ratings_not_run";
}
