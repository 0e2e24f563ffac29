//! `routing.candidate_requirements` and `routing.data_policy`: what models must be known to have, and
//! what may be kept of requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model must be known to have to be a candidate.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CandidateRequirements {
    /// `declared`: its card names every ability that the request needs.
    #[schemars(extend("enum" = ["declared"]))]
    pub capabilities: String,
    /// `known_limits`: its card tells its limits, and the request fits them.
    #[schemars(extend("enum" = ["known_limits"]))]
    pub context: String,
}

/// What may be kept of requests.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataPolicy {
    /// `false`: no record of a request is kept, whatever `router_replay` says.
    pub replay: Option<bool>,
}
