//! Escalation: ask one model after the other until an answer is good enough. `algorithm.type:
//! confidence`.
//!
//! ```yaml
//! decisions:
//!   - name: everyday
//!     modelRefs: [{model: small}, {model: large}]
//!     algorithm:
//!       type: confidence
//!       confidence: {confidence_method: hybrid, threshold: 0.6, escalation_order: size, on_error: skip}
//! ```
//!
//! All of it is pure: a [`Run`](run::Run) says which call comes next and takes what the call came
//! to; whoever drives it does the calls. The calls go back through the gateway, where they are
//! routed, and held to every boundary, like any other request.

pub mod answer;
pub mod budget;
pub mod judge;
pub mod order;
pub mod reply;
pub mod run;
pub mod verify;

use crate::config::algorithms::{Algorithm, Confidence};
use crate::selection::{Candidate, upstream_name};
use judge::{Filter, Method};
use std::sync::Arc;

/// A decision's cascade, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Cascade {
    /// The candidates, by their index in the decision.
    pub members: Vec<Member>,
    /// Their indices in the order in which they are asked.
    pub order: Vec<usize>,
    /// How answers are judged.
    pub method: Method,
    /// The least confidence that accepts an answer, 0 to 1.
    pub threshold: f64,
    /// Whose tokens count.
    pub filter: Filter,
    /// The first fault ends the run.
    pub strict: bool,
}

/// A candidate of a cascade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it is called: its adapter if it has one.
    pub name: Arc<str>,
    /// Its context window, tokens; `None` if unknown.
    pub window: Option<u64>,
}

/// What a decision's multi-model algorithm comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Looper {
    /// A cascade, which is run.
    Cascade(Arc<Cascade>),
    /// It is not run: the first capable candidate serves the request, and the reason shows.
    NotRun(&'static str),
}

/// What is shown when an algorithm of several models is not run.
const NOT_RUN: [(&str, &str); 5] = [
    ("ratings", "ratings_not_run"),
    ("remom", "remom_not_run"),
    ("fusion", "fusion_not_run"),
    ("workflows", "workflows_not_run"),
    ("confidence", "automix_entailment_not_run"),
];

impl Looper {
    /// The multi-model algorithm of a decision, if it has one.
    #[must_use]
    pub fn build(algorithm: Option<&Algorithm>, candidates: &[Candidate]) -> Option<Self> {
        let algorithm = algorithm?;
        let kind = algorithm.kind.trim();
        let (_, not_run) = NOT_RUN.into_iter().find(|(name, _)| *name == kind)?;
        if kind != "confidence" {
            return Some(Self::NotRun(not_run));
        }
        let written = algorithm.confidence.clone().unwrap_or_default();
        Some(match Cascade::build(&written, candidates) {
            Some(cascade) => Self::Cascade(Arc::new(cascade)),
            None => Self::NotRun(not_run),
        })
    }
}

impl Cascade {
    /// `None` for a method that is not run.
    fn build(written: &Confidence, candidates: &[Candidate]) -> Option<Self> {
        let method = Method::of(written)?;
        let member = |candidate: &Candidate| Member {
            name: upstream_name(&candidate.model_ref).trim().into(),
            window: candidate.card.context_window,
        };
        let cards: Vec<_> = candidates
            .iter()
            .map(|candidate| &*candidate.card)
            .collect();
        Some(Self {
            members: candidates.iter().map(member).collect(),
            order: order::order(
                &written.escalation_order,
                written.cost_quality_tradeoff,
                &cards,
            ),
            threshold: method.threshold(written.threshold),
            method,
            filter: if written.token_filter == "tool_call_args" {
                Filter::ToolCallArguments
            } else {
                Filter::All
            },
            strict: written.on_error == "fail",
        })
    }

    /// The candidates that may be asked, in order.
    #[must_use]
    pub fn queue(&self, allowed: &[usize]) -> Vec<usize> {
        self.order
            .iter()
            .copied()
            .filter(|index| allowed.contains(index))
            .collect()
    }

    /// What a candidate is called.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        self.members.get(index).map_or("", |member| &member.name)
    }
}

#[cfg(test)]
mod tests;
