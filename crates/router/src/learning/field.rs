//! A request's field: the models that may answer it, and what speaks for each.

use super::adaptation::Arm;
use super::input::LearningInput;
use super::policy::Player;
use super::rows::{Place, Row};
use crate::selection::Selection;
use std::sync::Arc;

/// A request's field: the models that may answer, and the algorithm's choice.
pub(super) struct Field<'a> {
    pub(super) asked: &'a LearningInput<'a>,
    pub(super) base: &'a str,
    pub(super) selection: &'a Selection,
}

/// What adaptation proposes, with the scores that speak for it.
pub(super) struct Proposal {
    pub(super) model: Arc<Player>,
    pub(super) score: f64,
    pub(super) mean: f64,
    pub(super) reason: &'static str,
    pub(super) scores: Vec<(Arc<Player>, f64)>,
}

/// The model that a request ends up with, if learning changed it.
pub(super) struct Change {
    pub(super) model: Arc<str>,
    pub(super) score: f64,
    pub(super) confidence: f64,
    pub(super) part: &'static str,
    pub(super) reason: &'static str,
}

/// Base, proposal and current model as indices among the contenders.
pub(super) type Indices = (usize, usize, Option<usize>);

impl Field<'_> {
    pub(super) fn place(&self, model: &str) -> Place {
        let LearningInput {
            recipe,
            decision,
            tier,
            policy,
            ..
        } = *self.asked;
        let model = policy
            .roster
            .get(model)
            .map_or_else(|| model.into(), |player| Arc::clone(&player.name));
        Place {
            recipe: Arc::clone(recipe),
            decision: Arc::clone(decision),
            tier,
            model,
        }
    }

    /// The models among which protection chooses: the candidates, or those of adaptation if it
    /// proposes one, and the conversation's model, wherever it comes from.
    pub(super) fn contenders(
        &self,
        proposal: Option<&Proposal>,
        current: Option<&Arc<str>>,
    ) -> Option<(Vec<Arc<Player>>, Indices)> {
        let policy = self.asked.policy;
        let allowed = |player: &&Arc<Player>| (self.asked.allows)(&player.name);
        let mut players: Vec<Arc<Player>> = match proposal {
            Some(proposal) => proposal
                .scores
                .iter()
                .map(|(player, _)| Arc::clone(player))
                .collect(),
            None => policy.own.iter().filter(allowed).cloned().collect(),
        };
        if let Some(current) = current
            .and_then(|name| policy.roster.get(name))
            .filter(allowed)
            && !players.iter().any(|player| player.name == current.name)
        {
            players.push(Arc::clone(current));
        }
        let index = |name: &str| players.iter().position(|player| *player.name == *name);
        let proposed = index(proposal.map_or(self.base, |proposal| &*proposal.model.name))?;
        let base = index(self.base).unwrap_or(proposed);
        let current = current.and_then(|name| index(name));
        Some((players, (base, proposed, current)))
    }

    /// A model's score: adaptation's if it proposes a model, else the algorithm's.
    pub(super) fn score(&self, player: &Player, proposal: Option<&Proposal>) -> Option<f64> {
        if let Some((_, score)) = proposal.and_then(|it| {
            it.scores
                .iter()
                .find(|(other, _)| other.name == player.name)
        }) {
            return Some(*score);
        }
        if *player.name == *self.base {
            return Some(self.selection.score);
        }
        let candidates = self.asked.candidates.model_refs();
        let of = |&&(index, _): &&(usize, f64)| {
            candidates
                .get(index)
                .is_some_and(|it| *it.model.trim() == *player.name)
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
            part: "adaptation",
            reason: self.reason,
        }
    }
}

impl Player {
    pub(super) fn arm(&self, row: Option<Row>) -> Arm<'_> {
        Arm {
            name: &self.name,
            price: self.price,
            quality: self.card.quality,
            row,
        }
    }
}
