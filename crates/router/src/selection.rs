//! Selection: which of a decision's candidates answers. The document's word for it is `algorithm`.
//!
//! The frame is the same for every algorithm: [`Candidates::select`] settles what needs no algorithm (no candidate, one
//! candidate, a canned reply), asks the [`Selector`] otherwise, and falls back to the first valid candidate, visibly, when
//! that fails. One algorithm, one file.

pub mod r#static;

#[cfg(test)]
mod tests;

use crate::config::decisions::ModelRef;
use std::sync::Arc;

/// Chooses one of a decision's candidate models.
pub trait Selector: Send + Sync {
    /// Chooses among two or more candidates, none of them with a blank name.
    ///
    /// # Errors
    /// When the algorithm has no usable answer; the frame then takes the first candidate and says so.
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError>;
}

/// What an algorithm may read.
#[derive(Debug, Clone, Copy)]
pub struct SelectionInput<'a> {
    /// Name of the decision.
    pub decision: &'a str,
    /// Its candidates in order.
    pub candidates: &'a [ModelRef],
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
    /// The reason's name in headers, traces and metrics.
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

/// The algorithms that choose one candidate, by the name of `algorithm.type`.
const METHODS: [&str; 11] = [
    "static",
    "multi_factor",
    "latency_aware",
    "router_dc",
    "hybrid",
    "automix",
    "knn",
    "kmeans",
    "svm",
    "mlp",
    "prompt",
];

/// The single-choice method of an `algorithm.type`: multi-model, unknown and missing types select statically.
#[must_use]
pub fn method(algorithm: &str) -> &'static str {
    METHODS.into_iter().find(|method| *method == algorithm.trim()).unwrap_or("static")
}

/// A decision's candidates with the algorithm that chooses among them; made once per generation.
pub struct Candidates {
    decision: Box<str>,
    model_refs: Vec<ModelRef>,
    method: &'static str,
    fast_response: bool,
    selector: Option<Box<dyn Selector>>,
    reasons: Reasons,
}

/// Fixed texts, made once so that selecting allocates nothing.
struct Reasons {
    empty: Arc<str>,
    single: Arc<str>,
}

impl Candidates {
    /// `algorithm` is the decision's `algorithm.type`, empty if it has none; `selector` is `None` where that algorithm is
    /// not available.
    #[must_use]
    pub fn new(
        decision: &str,
        model_refs: Vec<ModelRef>,
        algorithm: &str,
        selector: Option<Box<dyn Selector>>,
    ) -> Self {
        Self {
            decision: decision.into(),
            model_refs,
            method: method(algorithm),
            fast_response: false,
            selector,
            reasons: Reasons { empty: Arc::from(""), single: Arc::from("single declared candidate") },
        }
    }

    /// The decision answers by itself: no algorithm runs.
    #[must_use]
    pub fn with_fast_response(mut self) -> Self {
        self.fast_response = true;
        self
    }

    /// The candidates in order.
    #[must_use]
    pub fn model_refs(&self) -> &[ModelRef] {
        &self.model_refs
    }

    /// The single-choice method of the decision's algorithm.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The candidate for one request.
    #[must_use]
    pub fn select(&self) -> Selection {
        match self.first_valid() {
            None => self.settled(None, "default"),
            Some(first) if self.fast_response => self.settled(Some(first), "fast_response"),
            Some(first) => self.select_among(first),
        }
    }

    /// The candidate an upstream call would use, as if no plugin answered: what eval previews.
    #[must_use]
    pub fn preview(&self) -> Selection {
        match self.first_valid() {
            None => self.settled(None, "default"),
            Some(first) => self.select_among(first),
        }
    }

    fn select_among(&self, first: usize) -> Selection {
        if self.model_refs.iter().any(is_blank) {
            return self.fall_back(first, Fallback::InvalidContext);
        }
        if self.model_refs.len() == 1 {
            return Selection { reason: Arc::clone(&self.reasons.single), ..self.settled(Some(first), "single") };
        }
        let Some(selector) = &self.selector else {
            return self.fall_back(first, Fallback::Unavailable);
        };
        let input = SelectionInput { decision: &self.decision, candidates: &self.model_refs };
        match selector.select(&input) {
            Err(error) => self.fall_back(first, Fallback::from(&error)),
            Ok(choice) => match self.declared(choice.candidate) {
                None => self.fall_back(first, Fallback::UndeclaredCandidate),
                Some(candidate) => Selection {
                    candidate: Some(candidate),
                    method: self.method,
                    score: choice.score,
                    confidence: choice.confidence,
                    reason: choice.reason,
                    fallback: None,
                },
            },
        }
    }

    /// An algorithm chooses a model, not a reference: the first reference whose model or adapter has that name is meant.
    fn declared(&self, chosen: usize) -> Option<usize> {
        let name = &self.model_refs.get(chosen)?.model;
        self.model_refs.iter().position(|model_ref| model_ref.model == *name || model_ref.lora_name == *name)
    }

    fn first_valid(&self) -> Option<usize> {
        self.model_refs.iter().position(|model_ref| !is_blank(model_ref))
    }

    fn settled(&self, candidate: Option<usize>, method: &'static str) -> Selection {
        Selection {
            candidate,
            method,
            score: 1.0,
            confidence: 1.0,
            reason: Arc::clone(&self.reasons.empty),
            fallback: None,
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
        }
    }
}

/// What a candidate is called upstream: its adapter if it has one.
#[must_use]
pub fn upstream_name(model_ref: &ModelRef) -> &str {
    if model_ref.lora_name.is_empty() { &model_ref.model } else { &model_ref.lora_name }
}

fn is_blank(model_ref: &ModelRef) -> bool {
    model_ref.model.trim().is_empty()
}
