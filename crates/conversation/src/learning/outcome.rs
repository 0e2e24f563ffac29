//! What learning did to a request.

use super::policy::{Mode, Policy};
use super::reference::{self, Scope};
use super::{LearningRecord, adaptation};
use std::sync::Arc;

/// A part of learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Choice by outcomes.
    Adaptation,
    /// Staying with a conversation's model.
    Protection,
}

impl Part {
    /// Returns the word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adaptation => "adaptation",
            Self::Protection => "protection",
        }
    }
}

/// What a part of learning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepAction {
    /// Nothing, on this decision.
    Bypass,
    /// It reported only.
    Observe,
    /// Adaptation left the algorithm's choice.
    KeepBase,
    /// Adaptation proposed another model.
    ProposeSwitch,
    /// Protection does not know the conversation.
    AllowSampling,
    /// Protection decided about the conversation's model.
    Protection(reference::Action),
}

impl StepAction {
    /// Returns the word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Observe => "observe",
            Self::KeepBase => "keep_base",
            Self::ProposeSwitch => "propose_switch",
            Self::AllowSampling => "allow_sampling",
            Self::Protection(action) => action.as_str(),
        }
    }
}

/// Why a part of learning did what it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepReason {
    /// The decision switches learning off.
    DecisionBypass,
    /// The document lets the part report only.
    ObserveOnly,
    /// No model of the candidate set may answer.
    CandidateSetEmpty,
    /// The request does not name its conversation.
    MissingIdentity,
    /// Adaptation's own reason.
    Adaptation(adaptation::Reason),
    /// Protection's own reason.
    Protection(reference::Reason),
}

impl StepReason {
    /// Returns the word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DecisionBypass => "decision_bypass",
            Self::ObserveOnly => "observe_only",
            Self::CandidateSetEmpty => "candidate_set_empty",
            Self::MissingIdentity => "missing_identity",
            Self::Adaptation(reason) => reason.as_str(),
            Self::Protection(reason) => reason.as_str(),
        }
    }
}

/// What a part of learning did, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningStep {
    /// The part.
    pub part: Part,
    /// How it acts here.
    pub mode: Mode,
    /// What it did.
    pub action: StepAction,
    /// What conversations stay together by.
    pub scope: Option<Scope>,
    /// Why it did that.
    pub reason: StepReason,
    /// Its scores, where it made some.
    pub scores: Vec<(Arc<str>, f64)>,
}

/// What learning did to a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LearningOutcome {
    /// By part, in order.
    pub steps: Vec<LearningStep>,
    /// What must be remembered of the request; complete once its model is settled.
    pub record: Option<Arc<LearningRecord>>,
    /// The id by which the client can judge the answer.
    pub request_id: Option<Arc<str>>,
    /// Why the shared store was of no use.
    pub degraded: Option<&'static str>,
}

impl LearningOutcome {
    /// Records the model that the request really goes to: what comes after learning may hold
    /// another one.
    pub fn settle(&mut self, model: &str, policy: &Policy) {
        let Some(record) = &mut self.record else {
            return;
        };
        let record = Arc::make_mut(record);
        if *record.place.model != *model {
            record.place.model = model.into();
        }
        record.prices = policy
            .profiles
            .get(model)
            .and_then(|profile| profile.card.prices);
    }
}
