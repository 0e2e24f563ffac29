//! What becomes of a request that is not refused.

use crate::plan::Outcome;

/// What becomes of a request that is not refused.
pub(super) struct Sent {
    /// What happens to it.
    pub(super) outcome: Outcome,
    /// Whether the model is told to reason, if it is told anything.
    pub(super) reasoning: Option<bool>,
    /// Why what the caller said of reasoning is not kept.
    pub(super) reasoning_lost: Option<&'static str>,
    /// Why no other candidate can be tried, although the policy has one.
    pub(super) fallback_lost: Option<&'static str>,
    /// A `system_prompt` plugin changed the body.
    pub(super) injected_system_prompt: bool,
    /// Why several models are not run.
    pub(super) not_run: Option<&'static str>,
}

impl Sent {
    pub(super) fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            reasoning: None,
            reasoning_lost: None,
            fallback_lost: None,
            injected_system_prompt: false,
            not_run: None,
        }
    }

    /// Returns the model that the request goes on to.
    pub(super) fn forwarded_to(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Forward(forward) => Some(forward.model()),
            _ => None,
        }
    }
}
