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
//! to; its driver makes the calls. The calls go back through the gateway, where they are
//! routed, and held to every boundary, like any other request.

pub mod answer;
pub mod budget;
pub mod confidence;
pub mod fusion;
pub mod judge;
pub mod order;
pub mod ratings;
pub mod remom;
pub mod reply;
pub mod run;
pub mod verify;
pub mod workflows;

use confidence::Confidence;
use judge::{Filter, Method};
use selection::algorithms::method::Checking;
use selection::candidate::{Candidate, upstream_name};
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

/// An algorithm that runs several models instead of choosing one. Its parameters are the decision's
/// block of the same name.
pub trait SeveralModels: Sized {
    /// The name: `algorithm.type`.
    const NAME: &'static str;

    /// The reason that shows where the algorithm is not run.
    const NOT_RUN: &'static str;

    /// Whether it is run; else the first capable candidate stands in.
    const IS_RUN: bool = false;

    /// Whether the block can name the model that writes the final answer.
    const HAS_FINAL_MODEL: bool = false;

    /// Reports what is wrong with a block that is written, whichever algorithm the decision names.
    fn check_block(&self, _checking: &mut Checking<'_>) {}

    /// Reports what is wrong with a decision that names this algorithm.
    fn check(_written: Option<&Self>, checking: &mut Checking<'_>) {
        warn_not_run(Self::NAME, checking);
    }

    /// Returns the model that writes the final answer; empty if the block names no such model.
    fn final_model(&self) -> &str {
        ""
    }

    /// Builds what runs the models.
    fn build(_written: Option<&Self>, _candidates: &[Candidate]) -> Looper {
        Looper::NotRun(Self::NOT_RUN)
    }
}

/// Says that the first capable candidate stands in for an algorithm or a method.
fn warn_not_run(kind: &str, checking: &mut Checking<'_>) {
    let message = format!(
        "`{kind}` is not run: the first capable candidate serves the request, with `x-merit-degraded: looper={}_not_run`",
        kind.trim()
    );
    checking.findings.warn(checking.path, message);
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
