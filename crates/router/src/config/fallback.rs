//! `routing.fallback` and `global.router.fallback`: which models are tried after a failure. Merit names
//! one further candidate; when and how often it is tried is the gateway's to say.

use document::Findings;
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

impl FallbackPolicy {
    /// Reports what the gateway alone can do, and what cannot be meant.
    pub(super) fn check(&self, path: &str, findings: &mut Findings) {
        if let Some(version) = self.version.filter(|&version| version != 1) {
            let message = format!("the version is 1, not {version}");
            findings.error(format!("{path}.version"), message);
        }
        if self.enabled != Some(true) {
            return;
        }
        if self.max_attempts > 2 {
            let path = format!("{path}.max_attempts");
            findings.warn(
                path,
                "one further candidate is named, so there are 2 attempts",
            );
        }
        let of_gateway = [
            (
                "total_timeout",
                !self.total_timeout.is_empty(),
                "the timeout of its route",
            ),
            (
                "per_attempt_timeout",
                !self.per_attempt_timeout.is_empty(),
                "`per_try_timeout`",
            ),
            (
                "retryable_status_codes",
                !self.retryable_status_codes.is_empty(),
                "`retriable_status_codes` of its retry policy",
            ),
        ];
        for (key, _, setting) in of_gateway.into_iter().filter(|(_, is_set, _)| *is_set) {
            let message = format!("is the gateway's task: set {setting}");
            findings.warn(format!("{path}.{key}"), message);
        }
        if self.circuit_breaker.is_some() {
            let message = "models rest by `global.server.pool.rest_after_errors`, which holds for all requests";
            findings.warn(format!("{path}.circuit_breaker"), message);
        }
    }
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
