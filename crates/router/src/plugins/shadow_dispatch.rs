//! Sends a copy of the request to another model. Known, and not run yet.

use super::{Configuration, NotRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Send a copy of the request to another model.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ShadowDispatch")]
pub struct ShadowDispatchConfig {
    /// Act here.
    pub enabled: Option<bool>,
    /// Model that gets the copy.
    pub model: String,
    /// Share of requests; omitted means all.
    pub sample_rate: Option<f64>,
    /// Copies at a time; 0 means 2.
    pub max_concurrency: u32,
    /// Copies that wait; 0 means 8.
    pub max_queue_depth: u32,
    /// Time limit of a copy; 0 means 30.
    pub timeout_seconds: u32,
    /// Largest answer, bytes; 0 means 1 MiB.
    pub max_response_bytes: u64,
    /// Retries, at most 3.
    pub max_retries: u32,
    /// Keep the answer.
    pub capture_response_body: bool,
    /// Bytes kept; 0 means 4,096.
    pub max_capture_bytes: u64,
    /// Take any certificate.
    pub tls_skip_verify: bool,
    /// Headers of the client that go along.
    pub forward_headers: Vec<String>,
}

impl Configuration for ShadowDispatchConfig {
    const NAME: &'static str = "shadow_dispatch";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(false)
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served("no copy is sent"))
    }
}
