//! `routing.fallback` and `global.router.fallback`: which models are tried after a failure. Read and
//! checked in form; not run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which models are tried after a failure.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FallbackPolicy {
    /// Version of the block: 1.
    pub version: Option<u32>,
    /// Try others; omitted means what the wider block says, and no.
    pub enabled: Option<bool>,
    /// Attempts, the first included; 0 means 3.
    pub max_attempts: u32,
    /// Time limit of all attempts, as text or in seconds; omitted means 30 s.
    pub total_timeout: String,
    /// Time limit of one attempt, as text or in seconds; omitted means 10 s.
    pub per_attempt_timeout: String,
    /// Status codes that are tried again; omitted means 502, 503 and 504.
    pub retryable_status_codes: Vec<u16>,
    /// When a model is not tried for a while.
    pub circuit_breaker: Option<CircuitBreaker>,
}

/// When a model is not tried for a while.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CircuitBreaker {
    /// Failures in a row; 0 means 3.
    pub consecutive_failures: u32,
    /// How long, as text or in seconds; omitted means 30 s.
    pub cooldown_period: String,
    /// Requests that try it after that; 0 means 1.
    pub half_open_probes: u32,
}
