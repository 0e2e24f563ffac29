//! What is to become of a request: plain values that the edge turns into frames.
//!
//! A plan is data. It is made once by the pipeline, printed by `merit explain`, and applied to the
//! original bytes by [`apply`](body::apply); nothing in it refers to the request or to the
//! generation that made it.

pub mod body;
mod forward;
mod replay;
pub mod surface;
mod trace;
pub mod translation;

pub use body::{BodyEdit, CacheMarks, PromptMode, Reasoning, ReasoningEdit, RequestParams, Stands};
pub use forward::{Edits, Forward, HeaderOp};
pub use replay::ReplayPolicy;
pub use trace::{RunOutcome, Trace, UNREAD_TURN};
pub use translation::{Made, Translation, make};

use crate::escalation::Cascade;
use crate::names::Names;
use dialects::refusal::{CONTEXT_LENGTH_EXCEEDED, MODEL_NOT_FOUND};
use selection::eligible::Barrier;
use std::sync::Arc;

/// What happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It goes on to a model.
    Forward(Forward),
    /// A plugin answers it, for example a decision's `fast_response`.
    Answer {
        /// The text.
        message: String,
    },
    /// Merit counts its tokens itself: its model has no endpoint for that.
    Count {
        /// The model that the request would go to, as the policy names it.
        model: Arc<str>,
        /// Merit's own estimate.
        tokens: u64,
    },
    /// It is refused.
    Refuse(Refusal),
    /// Its candidates are asked one after the other.
    Escalate(Box<Escalation>),
}

/// A cascade to be run for a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Escalation {
    /// The cascade.
    pub cascade: Arc<Cascade>,
    /// Indices of the candidates that may be asked.
    pub allowed: Vec<usize>,
    /// The prompt's token estimate; 0 if it was not made.
    pub tokens: u64,
    /// How the request goes on to its first candidate where the cascade cannot be run.
    pub otherwise: Forward,
}

/// The code of a request that fails as a decision stays open.
pub const DECISION_UNRESOLVED: &str = "DECISION_UNRESOLVED";

/// The code of a request whose answer may be longer than any model's.
pub const MAX_OUTPUT_TOKENS_EXCEEDED: &str = "max_output_tokens_exceeded";

/// The code of a request that no model's card says it can serve.
pub const UNSUPPORTED_CAPABILITY: &str = "unsupported_capability";

/// The most model names that a refusal lists.
const LISTED: usize = 8;

/// Why a request is refused, as its client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// For people.
    pub message: String,
    /// A code that clients know, in place of the status.
    pub code: Option<&'static str>,
}

impl Refusal {
    /// Refuses with a status and a text.
    #[must_use]
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            code: None,
        }
    }

    /// Refuses a request that a boundary holds because it was not read in time. `degraded` is what
    /// could not be read.
    #[must_use]
    pub fn unread(boundary: &str, degraded: &[Arc<str>]) -> Self {
        let is_late = |reason: &&str| reason.ends_with("=timeout") || reason.ends_with("=shed");
        let late: Vec<&str> = degraded.iter().map(|it| &**it).filter(is_late).collect();
        let is_shed = late.iter().any(|it| it.ends_with("=shed"));
        let late = late.join(", ");
        let reason = if is_shed {
            "the router was too busy to read this request in time"
        } else {
            "what reads this request timed out"
        };
        Self::new(
            503,
            format!(
                "{reason} ({late}), so the boundary \"{boundary}\" keeps it from every model that would serve it; try again shortly"
            ),
        )
    }

    /// Refuses a model that the policy chose and that cannot be reached.
    #[must_use]
    pub fn unavailable(model: &str) -> Self {
        Self::new(400, format!("model \"{model}\" is not available"))
    }

    /// Refuses a request for which a decision stays open, as a signal failed.
    #[must_use]
    pub fn unresolved(decision: &str) -> Self {
        let message = format!(
            "decision \"{decision}\" cannot be resolved: a signal that it relies on failed"
        );
        Self {
            code: Some(DECISION_UNRESOLVED),
            ..Self::new(503, message)
        }
    }

    /// Refuses a name that nothing in the policy has; `names` are those that it has.
    #[must_use]
    pub fn unknown_model(model: &str, names: &Names) -> Self {
        let listed = names.listed().iter().take(LISTED);
        let listed: Vec<&str> = listed.map(|line| line.id.as_str()).collect();
        let mut hint = if listed.is_empty() {
            String::new()
        } else {
            format!("; GET /v1/models lists {}", listed.join(", "))
        };
        if !names.unlisted().is_empty() {
            hint.push_str("; models that the policy configures go by their own names, too");
        }
        Self {
            code: Some(MODEL_NOT_FOUND),
            ..Self::new(404, format!("model \"{model}\" is not available{hint}"))
        }
    }
}

impl From<&Barrier> for Refusal {
    /// The refusal sent when no eligible model is left.
    fn from(barrier: &Barrier) -> Self {
        let (status, message) = match barrier {
            Barrier::Boundary(name) => (
                403,
                format!(
                    "the boundary \"{name}\" does not allow this request to go to any model that would serve it"
                ),
            ),
            Barrier::ContextWindow { needed, window } => (
                400,
                format!(
                    "this request needs at least {needed} tokens and the model's maximum context length is {window} tokens"
                ),
            ),
            Barrier::Ability(ability) => (
                400,
                format!("no model that would serve this request is capable of: {ability}"),
            ),
            Barrier::Resting => (
                503,
                "every model that would serve this request is failing".to_owned(),
            ),
            Barrier::Capability(word) => (
                400,
                format!("no model that would serve this request declares the capability {word}"),
            ),
            Barrier::OutputLimit { needed, limit } => (
                400,
                format!(
                    "this request asks for an answer of {needed} tokens and the model writes {limit} tokens at most"
                ),
            ),
            Barrier::Wire(why) => (
                400,
                format!(
                    "the models that would serve this request speak another API, and it cannot be translated: {}",
                    why.reason()
                ),
            ),
            Barrier::UnknownLimits => (
                503,
                "no model that would serve this request declares its limits".to_owned(),
            ),
            Barrier::Mixed => (
                503,
                "no model that would serve this request meets the policy's requirements".to_owned(),
            ),
            Barrier::TooFew { left, least } => (
                503,
                format!("this request needs {least} models that can serve it, and {left} can"),
            ),
        };
        let code = match barrier {
            Barrier::ContextWindow { .. } => Some(CONTEXT_LENGTH_EXCEEDED),
            Barrier::OutputLimit { .. } => Some(MAX_OUTPUT_TOKENS_EXCEEDED),
            Barrier::Capability(_) => Some(UNSUPPORTED_CAPABILITY),
            _ => None,
        };
        Self {
            code,
            ..Self::new(status, message)
        }
    }
}
