//! What is to become of a request: plain values that the edge turns into frames.
//!
//! A plan is data. It is made once by the pipeline, printed by `merit explain`, and applied to the
//! original bytes by [`apply`](body::apply); nothing in it refers to the request or to the
//! generation that made it.

pub mod body;
pub mod surface;

pub use body::{BodyEdit, PromptMode, ReasoningEdit, RequestParams};

use crate::boundary::Verdict;
use crate::credential::Void;
use crate::eligible::{Barrier, Dropped};
use crate::escalation::Cascade;
use crate::forecast::Forecast;
use crate::learning::outcome::LearningOutcome;
use crate::report::Kind;
use crate::response::ResponseStage;
use crate::session::SessionOutcome;
use std::sync::Arc;

/// The outcome of routing one request, with what is known about why.
#[derive(Debug, Clone)]
pub struct RoutePlan {
    /// What happens to the request.
    pub outcome: Outcome,
    /// Why, for headers, metadata, metrics and records.
    pub facts: Facts,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It goes on to a model.
    Forward(Forward),
    /// A decision's `fast_response` answers it.
    Answer {
        /// The configured text.
        message: String,
    },
    /// It is turned down.
    Refuse(Refusal),
    /// Its candidates are asked one after the other.
    Escalate(Box<Escalation>),
}

/// A cascade to be run for a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Escalation {
    /// Which.
    pub cascade: Arc<Cascade>,
    /// Indices of the candidates that may be asked.
    pub allowed: Vec<usize>,
    /// The prompt's token estimate; 0 if it was not made.
    pub tokens: u64,
    /// How the request goes on to its first candidate where the cascade cannot be run.
    pub otherwise: Forward,
}

/// How a request goes on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forward {
    /// Edits of the JSON body, in order.
    pub body: Vec<BodyEdit>,
    /// Edits of the request headers, in order; later ones win.
    pub headers: Vec<HeaderOp>,
    /// What the response needs, in order; nothing for most.
    pub response: Vec<ResponseStage>,
}

/// One edit of the request headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderOp {
    /// Sets a header (or `:path`), replacing earlier values.
    Set(Arc<str>, Arc<str>),
    /// Removes a header.
    Remove(Arc<str>),
}

/// Why a request is turned down, as its client will be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// For people.
    pub message: String,
}

/// How a model came to be chosen.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The recipe that was asked; none for concrete model names.
    pub recipe: Option<Arc<str>>,
    /// The winning decision.
    pub decision: Option<Arc<str>>,
    /// Its confidence.
    pub confidence: Option<f64>,
    /// How the model was picked: `single`, `static`, `default`, ...
    pub algorithm: Option<&'static str>,
    /// The model as the policy names it (adapter name where there is one).
    pub model: Option<Arc<str>>,
    /// First `domain` rule of the winning tree.
    pub category: Option<Arc<str>>,
    /// The API of client and upstream, which are the same: `openai` or `anthropic`.
    pub protocol: Option<&'static str>,
    /// Whether reasoning was switched on.
    pub reasoning: Option<bool>,
    /// A `system_prompt` plugin changed the body.
    pub injected_system_prompt: bool,
    /// Names of matched signals by family, in emission order.
    pub matched: Vec<(Kind, Arc<str>)>,
    /// The token estimate; 0 if it was not made.
    pub context_tokens: u64,
    /// Signals that could not be read, `signal=reason`.
    pub degraded: Vec<Arc<str>>,
    /// The selection fell back, with the reason.
    pub fallback: Option<&'static str>,
    /// Boundaries that hold: whatever else is sent on the request's behalf asks them too.
    pub verdict: Verdict,
    /// Models that were not considered, with what forbade them.
    pub dropped: Vec<Dropped>,
    /// What the request was turned down by, if no model that might have served it was left.
    pub refused_by: Option<Barrier>,
    /// Scores of the candidates by name, as the algorithm gave them.
    pub scores: Vec<(Arc<str>, f64)>,
    /// Why the winner won, for people.
    pub reason: Option<Arc<str>>,
    /// What the session did; none where sessions are off or nothing was selected.
    pub session: Option<SessionOutcome>,
    /// The client sent a turn state that does not hold.
    pub void_turn_state: Option<Void>,
    /// What learning did; none where the document does not learn.
    pub lesson: Option<LearningOutcome>,
    /// What the request is predicted to cost at each candidate that was considered.
    pub forecasts: Vec<Forecast>,
}

/// Of [`Facts::degraded`]: the algorithm compares texts, and the user's turn could not be read in
/// time.
pub const UNREAD_TURN: &str = "selection=unread_turn";

impl Facts {
    /// What the request is predicted to cost at the model that was chosen.
    #[must_use]
    pub fn forecast(&self) -> Option<&Forecast> {
        let model = self.model.as_ref()?;
        self.forecasts
            .iter()
            .find(|forecast| forecast.model == *model)
    }
}
