//! What a request learned on its way: why it goes where it goes.
//!
//! A trace is made once, from the records of the stages, when the way is at its end. Headers,
//! metadata, spans and metrics read it; nothing writes to it.

use super::{Forward, ReplayPolicy};
use crate::boundary::Verdict;
use conversation::credential::Void;
use conversation::learning::outcome::LearningOutcome;
use conversation::session::SessionOutcome;
use selection::eligible::{Barrier, Dropped};
use selection::forecast::Forecast;
use signals::report::Kind;
use std::sync::Arc;

/// In [`Trace::degraded`]: the algorithm compares texts, and the user's turn could not be read in
/// time.
pub const UNREAD_TURN: &str = "selection=unread_turn";

/// How a model came to be chosen.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The API of the client: `openai` or `anthropic`.
    pub protocol: &'static str,
    /// The API of the backend.
    pub upstream: &'static str,
    /// The recipe that was asked; `None` for concrete model names.
    pub recipe: Option<Arc<str>>,
    /// The winning decision.
    pub decision: Option<Arc<str>>,
    /// Its tier; 0 without a decision.
    pub tier: i64,
    /// Its confidence, if it has one that says something.
    pub confidence: Option<f64>,
    /// Decisions that a failure leaves open, `name=policy`.
    pub unknown: Vec<Arc<str>>,
    /// First `domain` rule of the winning tree.
    pub category: Option<Arc<str>>,
    /// Names of matched signals by family, in emission order; only if debug headers are wanted.
    pub matched: Vec<(Kind, Arc<str>)>,
    /// The token estimate; 0 if it was not made.
    pub context_tokens: u64,
    /// The boundaries that hold.
    pub verdict: Verdict,
    /// Models that were not considered, with what forbade them.
    pub dropped: Vec<Dropped>,
    /// What refused the request, if no model that might have served it was left.
    pub refused_by: Option<Barrier>,
    /// How the model was picked: `single`, `static`, `default`, ...
    pub algorithm: Option<&'static str>,
    /// The selection fell back, with the reason.
    pub fallback: Option<&'static str>,
    /// Scores of the candidates by name, as the algorithm gave them.
    pub scores: Vec<(Arc<str>, f64)>,
    /// Why the winner won, for people.
    pub reason: Option<Arc<str>>,
    /// What learning did; `None` where the document does not learn.
    pub learned: Option<LearningOutcome>,
    /// What the session did; `None` where sessions are off or nothing was selected.
    pub session: Option<SessionOutcome>,
    /// The client sent a turn state that does not hold.
    pub void_turn_state: Option<Void>,
    /// The model as the policy names it (adapter name where there is one).
    pub model: Option<Arc<str>>,
    /// Whether reasoning was switched on.
    pub reasoning: Option<bool>,
    /// A `system_prompt` plugin changed the body.
    pub injected_system_prompt: bool,
    /// What the request is predicted to cost: at the model that was chosen, and at the other
    /// candidates only if something reads that (a recorded span, a run of several models).
    pub forecasts: Vec<Forecast>,
    /// What could not be done or read, `part=reason`.
    pub degraded: Vec<Arc<str>>,
    /// How much is kept of the request; `None` where its record is not.
    pub replay: Option<Arc<ReplayPolicy>>,
}

/// How a run of several models ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOutcome<'a> {
    /// It was not begun or reached nobody: the first candidate serves the request.
    NotRun {
        /// Why.
        reason: &'static str,
        /// How that goes on.
        otherwise: &'a Forward,
    },
    /// One of its models answered.
    Answered {
        /// The model.
        model: Arc<str>,
        /// The algorithm that ran.
        algorithm: &'static str,
        /// Why a lesser answer had to be taken.
        degraded: Option<&'static str>,
    },
}

impl Trace {
    /// Returns what the request is predicted to cost at the model that was chosen.
    #[must_use]
    pub fn forecast(&self) -> Option<&Forecast> {
        let model = self.model.as_ref()?;
        self.forecasts
            .iter()
            .find(|forecast| forecast.model == *model)
    }

    /// Returns the trace of the same request where its fallback is lost.
    #[must_use]
    pub fn without_fallback(&self, reason: &str) -> Self {
        let mut trace = self.clone();
        trace.degraded.push(format!("fallback={reason}").into());
        trace
    }

    /// Returns the trace of the same request once its run is over.
    #[must_use]
    pub fn after_run(&self, run: RunOutcome<'_>) -> Self {
        let looper = |reason| Arc::from(format!("looper={reason}"));
        let mut degraded = self.degraded.clone();
        let (model, algorithm) = match run {
            RunOutcome::NotRun { reason, otherwise } => {
                degraded.push(looper(reason));
                degraded.extend(otherwise.degraded());
                (self.model.clone(), self.algorithm)
            }
            RunOutcome::Answered {
                model,
                algorithm,
                degraded: reason,
            } => {
                degraded.extend(reason.map(looper));
                (Some(model), Some(algorithm))
            }
        };
        Self {
            model,
            algorithm,
            degraded,
            ..self.clone()
        }
    }
}
