//! Records the request and its way.
//!
//! ```yaml
//! plugins:
//!   - type: router_replay
//!     configuration: {enabled: true, capture_request_body: true}
//! ```
//!
//! The plugin does nothing to a request. It says whether the record of a request is kept, and how
//! much of its text: `global.services.router_replay.enabled` holds where it says nothing, and
//! `routing.data_policy.replay: false` wins over both. Text is kept only where a flag is written as
//! true, and where a boundary holds, only if it allows that (`allow.records`).

use super::{Checking, Configuration, Turn};
use crate::plan::ReplayPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Records of one decision that are kept where nothing is said.
const RECORDS: u64 = 10_000;
/// The same where a number below 1 is written.
const FEWEST_RECORDS: u64 = 200;
/// Bytes kept of a body where nothing is said.
const BODY_BYTES: usize = 4_096;
/// Steps kept of a tool trace where nothing is said.
const TRACE_STEPS: usize = 100;

/// Record the request and its way.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RouterReplayPlugin")]
pub struct RouterReplayConfig {
    /// Record here; omitted, `global.services.router_replay.enabled` says so.
    pub enabled: Option<bool>,
    /// Records of this decision that are kept in memory; omitted means 10,000.
    pub max_records: Option<i64>,
    /// Keep the text of requests.
    pub capture_request_body: bool,
    /// Keep the text of answers.
    pub capture_response_body: bool,
    /// Bytes kept of a body; 0 means 4,096.
    pub max_body_bytes: i64,
    /// Bytes kept of the prompt, the tools' definitions and each field of a tool trace; 0 means all.
    pub max_tool_trace_bytes: u64,
    /// Steps kept of a tool trace, the newest ones; omitted means 100, 0 all.
    pub max_tool_trace_steps: Option<u64>,
}

impl Configuration for RouterReplayConfig {
    const NAME: &'static str = "router_replay";
    const TURN: Option<Turn> = Some(Turn::Record);

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn check(&self, checking: &mut Checking<'_>) {
        let captures = self.capture_request_body || self.capture_response_body;
        if !captures && self.enabled == Some(true) {
            checking.findings.note(
                checking.path,
                "no text is kept with the records: `capture_request_body` and \
                 `capture_response_body` are not true",
            );
        }
    }
}

impl ReplayPolicy {
    /// Returns how much is kept, or `None` where no record is: `usually` is what the document says
    /// of all requests, `plugin` what the decision does.
    #[must_use]
    pub fn of(usually: bool, plugin: Option<&RouterReplayConfig>) -> Option<Arc<Self>> {
        let usual = RouterReplayConfig::default();
        let written = plugin.unwrap_or(&usual);
        if !written.enabled.unwrap_or(usually) {
            return None;
        }
        let all = |limit: u64| match limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let policy = Self {
            max_records: match written.max_records {
                None => RECORDS,
                Some(records) => u64::try_from(records)
                    .ok()
                    .filter(|&records| records > 0)
                    .unwrap_or(FEWEST_RECORDS),
            },
            request_text: written.capture_request_body,
            response_text: written.capture_response_body,
            body_bytes: usize::try_from(written.max_body_bytes)
                .ok()
                .filter(|&bytes| bytes > 0)
                .unwrap_or(BODY_BYTES),
            trace_bytes: all(written.max_tool_trace_bytes),
            trace_steps: written.max_tool_trace_steps.map_or(TRACE_STEPS, all),
        };
        Some(Arc::new(policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(usually: bool, plugin: Option<&str>, expected: Option<(u64, bool, bool, usize)>) {
        let plugin = plugin.map(|text| serde_json::from_str::<RouterReplayConfig>(text).unwrap());
        let policy = ReplayPolicy::of(usually, plugin.as_ref());
        let found = policy.map(|it| {
            (
                it.max_records,
                it.request_text,
                it.response_text,
                it.body_bytes,
            )
        });
        assert_eq!(found, expected, "{usually} {plugin:?}");
    }

    #[test]
    fn decisions_opt_in_and_out() {
        let bare = Some((10_000, false, false, 4_096));
        check(false, None, None);
        check(true, None, bare);
        check(true, Some("{}"), bare);
        check(false, Some("{}"), None);
        check(true, Some(r#"{"enabled": false}"#), None);
        check(false, Some(r#"{"enabled": true}"#), bare);
        check(
            true,
            Some(r#"{"max_records": 0, "max_body_bytes": 100, "capture_request_body": true}"#),
            Some((200, true, false, 100)),
        );
        check(
            true,
            Some(r#"{"max_records": -5, "max_body_bytes": -1, "capture_response_body": true}"#),
            Some((200, false, true, 4_096)),
        );
    }

    #[test]
    fn steps_are_limited_unless_all_are_wanted() {
        let steps = |text: &str| {
            let plugin = serde_json::from_str(text).unwrap();
            let policy = ReplayPolicy::of(true, Some(&plugin)).unwrap();
            (policy.trace_steps, policy.trace_bytes)
        };
        assert_eq!(steps("{}"), (100, usize::MAX));
        assert_eq!(
            steps(r#"{"max_tool_trace_steps": 0, "max_tool_trace_bytes": 7}"#),
            (usize::MAX, 7)
        );
    }
}
