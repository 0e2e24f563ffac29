//! Selection: which of a decision's candidates answers. The document's word for it is `algorithm`.
//!
//! The frame is the same for every algorithm: [`Candidates::select`] settles what needs no
//! algorithm (no candidate, one candidate, a canned reply), asks the [`Selector`] otherwise, and
//! falls back to the first valid candidate, visibly, when that fails.
//!
//! One algorithm, one file: its parameters as the document writes them, their checks, the build
//! step and the choice. What building and checking need is in [`method`]; the table of all
//! algorithms is in [`crate::algorithms`].

mod affinity;
pub mod automix;
pub mod hybrid;
pub mod kmeans;
pub mod knn;
pub mod latency_aware;
pub mod learned;
pub mod method;
pub mod mlp;
pub mod multi_factor;
pub mod process;
pub mod prompt;
mod ranking;
pub mod router_dc;
pub mod r#static;
pub mod svm;
pub mod weighted;

#[cfg(test)]
mod tests;

use crate::candidate::{Candidate, ModelRef, upstream_name};
use crate::card::Tokens;
use inference::handle::Embedder;
use std::sync::Arc;
use std::time::Instant;

/// Chooses one of a decision's candidate models.
pub trait Selector: Send + Sync {
    /// Chooses among the eligible candidates, two or more, none of them with a blank name.
    ///
    /// # Errors
    /// When the algorithm has no usable answer; the frame then takes the first eligible candidate
    /// and says so.
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError>;

    /// Returns the encoder whose vector of the user's turn the algorithm reads, if it reads one.
    fn embedder(&self) -> Option<&Embedder> {
        None
    }
}

/// What an algorithm may read.
#[derive(Debug, Clone, Copy)]
pub struct SelectionInput<'a> {
    /// Name of the decision.
    pub decision: &'a str,
    /// Its candidates in order.
    pub candidates: &'a [Candidate],
    /// Indices of those that may be chosen, in order.
    pub eligible: &'a [usize],
    /// What is known of the request.
    pub request: &'a SelectionRequest<'a>,
}

impl<'a> SelectionInput<'a> {
    /// Returns the candidates that may be chosen, with their indices.
    pub fn among(&self) -> impl Iterator<Item = (usize, &'a Candidate)> + use<'a> {
        let candidates = self.candidates;
        self.eligible
            .iter()
            .filter_map(move |&index| Some((index, candidates.get(index)?)))
    }
}

/// What algorithms may know of a request.
#[derive(Debug, Clone, Copy)]
pub struct SelectionRequest<'a> {
    /// Vector of the user's turn by the algorithm's encoder; `None` if it reads none or none could
    /// be had.
    pub vector: Option<&'a [f32]>,
    /// Category of the request, as the decision's domain rules found it; empty if none did.
    pub category: &'a str,
    /// Tokens of the request: the prompt's estimate, what the session has in cache, the answer's
    /// expected length.
    pub tokens: Tokens,
    /// Limit of the answer as the caller sets it, tokens; 0 without one.
    pub output_limit: u64,
    /// What is known of the conversation.
    pub continuation: Continuation<'a>,
    /// A number from 0 to 1, excluding 1, by which `weighted` draws: the same for all requests of a
    /// session. Without a session `weighted` spreads requests by itself.
    pub draw: Option<f64>,
    /// When the request came.
    pub now: Instant,
}

/// What is known of the conversation that a request goes on with, at selection time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Continuation<'a> {
    /// Turns before this one.
    pub turns: u64,
    /// Tokens of earlier turns.
    pub history_tokens: u64,
    /// The model of the last request.
    pub previous_model: Option<&'a str>,
    /// The request goes on from a response that the provider keeps (`previous_response_id`).
    pub previous_response: bool,
}

impl Default for SelectionRequest<'_> {
    fn default() -> Self {
        Self {
            vector: None,
            category: "",
            tokens: Tokens::default(),
            output_limit: 0,
            continuation: Continuation::default(),
            draw: None,
            now: Instant::now(),
        }
    }
}

/// An algorithm's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Index among the candidates.
    pub candidate: usize,
    /// Its score, on the algorithm's own scale.
    pub score: f64,
    /// How sure the algorithm is, 0 to 1.
    pub confidence: f64,
    /// Why, for people.
    pub reason: Arc<str>,
    /// Scores of candidates by index, for the trace; those that got none are missing.
    pub scores: Vec<(usize, f64)>,
}

/// Why an algorithm gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// It is not built in, or lacks what it needs.
    #[error("selector is unavailable")]
    Unavailable,
    /// It took too long.
    #[error("selector timed out")]
    Timeout,
    /// The request ended meanwhile.
    #[error("selection was cancelled")]
    Cancelled,
    /// What it answered cannot be read as a candidate.
    #[error("selector gave an invalid answer")]
    InvalidOutput,
    /// Anything else.
    #[error("selector failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The candidate to use, and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Index in the decision's `modelRefs`; `None` means the default model.
    pub candidate: Option<usize>,
    /// `x-vsr-selected-algorithm`: the algorithm, or `single`, `default`, `fast_response`.
    pub method: &'static str,
    /// Score of the candidate; 0 after a fallback.
    pub score: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// Why, for people.
    pub reason: Arc<str>,
    /// The algorithm did not answer, and the first valid candidate was taken.
    pub fallback: Option<Fallback>,
    /// Scores of candidates by index, for the trace.
    pub scores: Vec<(usize, f64)>,
    /// A model outside the candidates that the conversation stays with; wins over
    /// `candidate`.
    pub held: Option<Arc<str>>,
}

/// Why the first valid candidate was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fallback {
    InvalidContext,
    Unavailable,
    Error,
    Timeout,
    Cancelled,
    InvalidOutput,
    UndeclaredCandidate,
}

impl Fallback {
    /// Returns the reason's name in headers, traces and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidContext => "selector_invalid_context",
            Self::Unavailable => "selector_unavailable",
            Self::Error => "selector_error",
            Self::Timeout => "selector_timeout",
            Self::Cancelled => "selector_cancelled",
            Self::InvalidOutput => "selector_invalid_output",
            Self::UndeclaredCandidate => "selector_undeclared_candidate",
        }
    }
}

impl From<&SelectionError> for Fallback {
    fn from(error: &SelectionError) -> Self {
        match error {
            SelectionError::Unavailable => Self::Unavailable,
            SelectionError::Timeout => Self::Timeout,
            SelectionError::Cancelled => Self::Cancelled,
            SelectionError::InvalidOutput => Self::InvalidOutput,
            SelectionError::Failed(_) => Self::Error,
        }
    }
}

/// A decision's candidates with the algorithm that chooses among them; made once per generation.
pub struct Candidates {
    decision: Box<str>,
    model_refs: Vec<ModelRef>,
    candidates: Vec<Candidate>,
    everyone: Vec<usize>,
    method: &'static str,
    fast_response: bool,
    selector: Option<Box<dyn Selector>>,
    reasons: Reasons,
}

/// Fixed texts, made once so that selecting allocates nothing.
struct Reasons {
    empty: Arc<str>,
    single: Arc<str>,
    last: Arc<str>,
}

impl Candidates {
    /// Prepares a decision's selection by a single-choice method; `selector` is `None` where that
    /// is not available.
    #[must_use]
    pub fn new(
        decision: &str,
        candidates: Vec<Candidate>,
        method: &'static str,
        selector: Option<Box<dyn Selector>>,
    ) -> Self {
        Self {
            decision: decision.into(),
            model_refs: candidates
                .iter()
                .map(|candidate| candidate.model_ref.clone())
                .collect(),
            everyone: (0..candidates.len()).collect(),
            candidates,
            method,
            fast_response: false,
            selector,
            reasons: Reasons {
                empty: Arc::from(""),
                single: Arc::from("single declared candidate"),
                last: Arc::from("only eligible candidate"),
            },
        }
    }

    /// Lets the decision answer by itself: no algorithm runs.
    #[must_use]
    pub fn with_fast_response(mut self) -> Self {
        self.fast_response = true;
        self
    }

    /// Returns whether a fixed answer stands in for a model.
    #[must_use]
    pub fn answers_itself(&self) -> bool {
        self.fast_response
    }

    /// Returns the candidates as written, in order.
    #[must_use]
    pub fn model_refs(&self) -> &[ModelRef] {
        &self.model_refs
    }

    /// Returns the single-choice method of the decision's algorithm.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Returns the candidates with what is known of them.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Selects without request data; every candidate is eligible.
    #[must_use]
    pub fn select_any(&self) -> Selection {
        self.select(&SelectionRequest::default(), &self.everyone)
    }

    /// Returns the encoder whose vector [`SelectionRequest::vector`] must hold, if the algorithm
    /// will run and reads one.
    #[must_use]
    pub fn embedder(&self) -> Option<&Embedder> {
        if self.fast_response || self.candidates.len() < 2 {
            None
        } else {
            self.selector.as_ref()?.embedder()
        }
    }

    /// Selects the candidate for one request, among those that are eligible.
    #[must_use]
    pub fn select(&self, request: &SelectionRequest<'_>, eligible: &[usize]) -> Selection {
        match self.first_valid(eligible) {
            None => self.settled(None, "default"),
            Some(first) if self.fast_response => self.settled(Some(first), "fast_response"),
            Some(first) => self.select_among(first, request, eligible),
        }
    }

    /// Selects the candidate that an upstream call would use, as if no plugin answered: what eval
    /// previews.
    #[must_use]
    pub fn preview(&self, eligible: &[usize]) -> Selection {
        match self.first_valid(eligible) {
            None => self.settled(None, "default"),
            Some(first) => self.select_among(first, &SelectionRequest::default(), eligible),
        }
    }

    fn select_among(
        &self,
        first: usize,
        request: &SelectionRequest<'_>,
        eligible: &[usize],
    ) -> Selection {
        if self.model_refs.iter().any(is_blank) {
            return self.fall_back(first, Fallback::InvalidContext);
        }
        if eligible.len() == 1 {
            let reason = if self.model_refs.len() == 1 {
                &self.reasons.single
            } else {
                &self.reasons.last
            };
            return Selection {
                reason: Arc::clone(reason),
                ..self.settled(Some(first), "single")
            };
        }
        let Some(selector) = &self.selector else {
            return self.fall_back(first, Fallback::Unavailable);
        };
        let input = SelectionInput {
            decision: &self.decision,
            candidates: &self.candidates,
            eligible,
            request,
        };
        match selector.select(&input) {
            Err(error) => self.fall_back(first, Fallback::from(&error)),
            Ok(choice) => match self.declared(choice.candidate, eligible) {
                None => self.fall_back(first, Fallback::UndeclaredCandidate),
                Some(candidate) => Selection {
                    candidate: Some(candidate),
                    method: self.method,
                    score: choice.score,
                    confidence: choice.confidence,
                    reason: choice.reason,
                    fallback: None,
                    scores: choice.scores,
                    held: None,
                },
            },
        }
    }

    /// Returns the candidate that is meant by the chosen one. An algorithm chooses a model, not a
    /// reference: the first reference whose model or adapter has that name is meant.
    fn declared(&self, chosen: usize, eligible: &[usize]) -> Option<usize> {
        let name = &self
            .model_refs
            .get(chosen)
            .filter(|_| eligible.contains(&chosen))?
            .model;
        let means = |model_ref: &ModelRef| model_ref.model == *name || model_ref.lora_name == *name;
        eligible
            .iter()
            .copied()
            .find(|&index| self.model_refs.get(index).is_some_and(means))
    }

    fn first_valid(&self, eligible: &[usize]) -> Option<usize> {
        eligible
            .iter()
            .copied()
            .find(|&index| self.model_refs.get(index).is_some_and(|it| !is_blank(it)))
    }

    fn settled(&self, candidate: Option<usize>, method: &'static str) -> Selection {
        Selection {
            candidate,
            method,
            score: 1.0,
            confidence: 1.0,
            reason: Arc::clone(&self.reasons.empty),
            fallback: None,
            scores: Vec::new(),
            held: None,
        }
    }

    fn fall_back(&self, first: usize, fallback: Fallback) -> Selection {
        Selection {
            candidate: Some(first),
            method: self.method,
            score: 0.0,
            confidence: 0.0,
            reason: Arc::from(fallback.as_str()),
            fallback: Some(fallback),
            scores: Vec::new(),
            held: None,
        }
    }
}

fn is_blank(model_ref: &ModelRef) -> bool {
    model_ref.model.trim().is_empty()
}
