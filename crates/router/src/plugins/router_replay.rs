//! Records the request and its way. Known, and not run yet.

use super::{Configuration, NotRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Record the request and its way.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RouterReplayPlugin")]
pub struct RouterReplayConfig {
    /// Record here.
    pub enabled: Option<bool>,
    /// Records kept.
    pub max_records: u64,
    /// Keep request bodies.
    pub capture_request_body: bool,
    /// Keep response bodies.
    pub capture_response_body: bool,
    /// Bytes kept of a body.
    pub max_body_bytes: u64,
    /// Bytes kept of a tool trace field; 0 means all.
    pub max_tool_trace_bytes: u64,
    /// Steps kept of a tool trace; 0 means all.
    pub max_tool_trace_steps: u64,
}

impl Configuration for RouterReplayConfig {
    const NAME: &'static str = "router_replay";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served("records only, no effect on routing"))
    }
}
