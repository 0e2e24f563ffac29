//! How much of a request is kept with its record.

use crate::boundary::Verdict;
use std::sync::Arc;

/// How much of a request is kept with its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayPolicy {
    /// Records of the same decision that a store in memory keeps.
    pub max_records: u64,
    /// The text of the request.
    pub request_text: bool,
    /// The text of the answer.
    pub response_text: bool,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of another text.
    pub trace_bytes: usize,
    /// Steps of a tool trace, the newest ones.
    pub trace_steps: usize,
}

impl ReplayPolicy {
    /// Returns what is kept where these boundaries hold: no text unless all of them allow it.
    #[must_use]
    pub fn within(self: &Arc<Self>, verdict: &Verdict) -> Arc<Self> {
        if verdict.sees_records() || !(self.request_text || self.response_text) {
            return Arc::clone(self);
        }
        Arc::new(Self {
            request_text: false,
            response_text: false,
            ..Self::clone(self)
        })
    }
}
