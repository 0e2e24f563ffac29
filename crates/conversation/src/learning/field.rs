//! A request's field: the models that may answer it, and what speaks for each.

use super::adaptation::Arm;
use super::input::LearningInput;
use super::outcome::{Part, StepReason};
use super::policy::ModelProfile;
use super::rows::{Place, Row};
use crate::{Conversation, Current};
use selection::algorithms::Selection;
use std::sync::Arc;

/// A request's field: the models that may answer, and the algorithm's choice.
pub(super) struct Field<'a> {
    pub(super) input: &'a LearningInput<'a>,
    pub(super) base: &'a str,
    pub(super) selection: &'a Selection,
}

/// What adaptation proposes, with the scores that speak for it.
pub(super) struct Proposal {
    pub(super) model: Arc<ModelProfile>,
    pub(super) score: f64,
    pub(super) mean: f64,
    pub(super) reason: StepReason,
    pub(super) scores: Vec<(Arc<ModelProfile>, f64)>,
}

/// The model that a request ends up with, if learning changed it.
pub(super) struct Change {
    pub(super) model: Arc<str>,
    pub(super) score: f64,
    pub(super) confidence: f64,
    pub(super) part: Part,
    pub(super) reason: StepReason,
}

/// The models among which protection chooses.
pub(super) struct Contenders {
    pub(super) profiles: Vec<Arc<ModelProfile>>,
    /// Index of the algorithm's choice.
    pub(super) base: usize,
    /// Index of adaptation's choice; the same where it made none.
    pub(super) proposed: usize,
    pub(super) current: Current,
}

impl Field<'_> {
    pub(super) fn place(&self, model: &str) -> Place {
        let LearningInput {
            recipe,
            decision,
            tier,
            policy,
            ..
        } = *self.input;
        let model = policy
            .profiles
            .get(model)
            .map_or_else(|| model.into(), |profile| Arc::clone(&profile.name));
        Place {
            recipe: Arc::clone(recipe),
            decision: Arc::clone(decision),
            tier,
            model,
        }
    }

    /// Returns the models among which protection chooses: the candidates, or those of adaptation if
    /// it proposes one, and the conversation's model, wherever it comes from.
    pub(super) fn contenders(
        &self,
        proposal: Option<&Proposal>,
        conversation: &Conversation,
    ) -> Option<Contenders> {
        let policy = self.input.policy;
        let allowed = |profile: &&Arc<ModelProfile>| (self.input.allows)(&profile.name);
        let mut profiles: Vec<Arc<ModelProfile>> = match proposal {
            Some(proposal) => proposal
                .scores
                .iter()
                .map(|(profile, _)| Arc::clone(profile))
                .collect(),
            None => policy.own.iter().filter(allowed).cloned().collect(),
        };
        let current = conversation.record.as_ref().map(|record| &record.model);
        if let Some(current) = current
            .and_then(|name| policy.profiles.get(name))
            .filter(allowed)
            && !profiles.iter().any(|profile| profile.name == current.name)
        {
            profiles.push(Arc::clone(current));
        }

        let index = |name: &str| profiles.iter().position(|profile| *profile.name == *name);
        let proposed = index(proposal.map_or(self.base, |proposal| &*proposal.model.name))?;
        Some(Contenders {
            base: index(self.base).unwrap_or(proposed),
            proposed,
            current: match current {
                None => Current::Unknown,
                Some(name) => index(name).map_or(Current::NotOffered, Current::Offer),
            },
            profiles,
        })
    }

    /// Returns a model's score: adaptation's if it proposes a model, else the algorithm's.
    pub(super) fn score(&self, profile: &ModelProfile, proposal: Option<&Proposal>) -> Option<f64> {
        if let Some((_, score)) = proposal.and_then(|it| {
            it.scores
                .iter()
                .find(|(other, _)| other.name == profile.name)
        }) {
            return Some(*score);
        }
        if *profile.name == *self.base {
            return Some(self.selection.score);
        }
        let candidates = self.input.candidates.model_refs();
        let of = |&&(index, _): &&(usize, f64)| {
            candidates
                .get(index)
                .is_some_and(|it| *it.model.trim() == *profile.name)
        };
        self.selection
            .scores
            .iter()
            .find(of)
            .map(|&(_, score)| score)
    }
}

impl Proposal {
    pub(super) fn as_change(&self) -> Change {
        let model = Arc::clone(&self.model.name);
        Change {
            model,
            score: self.score,
            confidence: self.mean,
            part: Part::Adaptation,
            reason: self.reason,
        }
    }
}

impl ModelProfile {
    pub(super) fn arm(&self, row: Option<Row>) -> Arm<'_> {
        Arm {
            name: &self.name,
            price: self.price,
            quality: self.card.quality,
            row,
        }
    }
}
