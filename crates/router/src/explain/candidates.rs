//! What eval adds to the reference's answer: which boundaries hold, and which candidates may serve
//! the request.

use crate::boundary::{Boundaries, Verdict};
use crate::plan::Refusal;
use crate::recipe::Route;
use selection::candidate::Candidate;
use selection::capability::shown;
use selection::card::Tokens;
use selection::eligible::{Barrier, Eligible};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A boundary, and whether it binds the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BoundaryLine {
    /// Its name.
    pub name: String,
    /// It holds, or it is not known that it does not.
    pub holds: bool,
}

impl BoundaryLine {
    /// A line per boundary of a recipe, in order.
    #[must_use]
    pub fn list(boundaries: &Boundaries, verdict: &Verdict) -> Vec<Self> {
        let line = |name: &Arc<str>| Self {
            name: name.to_string(),
            holds: verdict.names().any(|held| held == name),
        };
        boundaries.names().map(line).collect()
    }
}

/// A candidate, and what keeps the request from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CandidateLine {
    /// The model, or its adapter.
    pub model: String,
    /// It may serve the request.
    pub eligible: bool,
    /// What keeps the request from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_by: Option<String>,
    /// Its score, on the algorithm's own scale, where that can be said beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What the request is predicted to cost there: length, money, joules, with intervals and their
    /// sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<String>,
}

impl CandidateLine {
    /// A line per candidate, in order.
    #[must_use]
    pub fn list(candidates: &[Candidate], eligible: &Eligible) -> Vec<Self> {
        let mut dropped = eligible.dropped().to_vec();
        let line = |index: usize| {
            let model = shown(candidates, index);
            let kept = eligible.kept().contains(&index);
            // Of two candidates of one name the first one dropped comes first.
            let at = dropped
                .iter()
                .position(|dropped| !kept && dropped.model == model);
            let by = at.map(|at| dropped.remove(at).by.to_string());
            Self {
                model: model.to_string(),
                eligible: kept,
                dropped_by: by,
                ..Self::default()
            }
        };
        (0..candidates.len()).map(line).collect()
    }

    /// Adds what is known beforehand of a request of so many tokens: the algorithm's scores, and
    /// forecasts.
    pub fn foresee(lines: &mut [Self], route: &Route, eligible: &Eligible, tokens: Tokens) {
        let candidates = &route.candidates;
        for (index, score) in candidates.preview(eligible.kept()).scores {
            if let Some(line) = lines.get_mut(index) {
                line.score = Some(score).filter(|score| score.is_finite());
            }
        }
        let forecasts =
            route
                .forecaster
                .forecasts(candidates.candidates(), eligible.kept(), tokens);
        for (&index, forecast) in eligible.kept().iter().zip(forecasts) {
            if let Some(line) = lines.get_mut(index) {
                line.forecast = Some(forecast.to_string());
            }
        }
    }
}

/// Why no model gets the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The status of the answer.
    pub status: u16,
    /// `boundary:<name>`, `context_window:…`, `ability:…`.
    pub by: String,
    /// What the client is told.
    pub message: String,
}

impl Refused {
    /// The answer that a barrier gives.
    #[must_use]
    pub fn by(barrier: &Barrier) -> Self {
        let refusal = Refusal::from(barrier);
        Self {
            status: refusal.status,
            by: barrier.to_string(),
            message: refusal.message,
        }
    }
}

/// Which models may get the request, beyond what the reference says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Eligibility {
    /// The boundaries that were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boundaries: Vec<BoundaryLine>,
    /// Models that these allow; `None` where none holds, so that all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_models: Option<BTreeSet<String>>,
    /// The winning decision's candidates, where some may not serve the request or a trace is asked
    /// for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<CandidateLine>,
    /// No model gets the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}
