//! The model of one request, and the records of the stages that chose it.

use super::escalation::ALGORITHM;
use crate::escalation::Looper;
use crate::generation::Generation;
use crate::recipe::{Recipe, Route};
use crate::stages::reading::Reading;
use crate::stages::request::{Refused, RoutingRequest};
use crate::stages::targets::Target;
use conversation::learning::outcome::LearningOutcome;
use conversation::session::{SessionContext, SessionOutcome};
use selection::algorithms::Selection;
use selection::capability::shown;
use selection::eligible::Eligible;
use std::sync::Arc;

/// Where a request is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Aim {
    /// The model that the client names.
    Named,
    /// A candidate of the decision, by its index.
    Candidate(usize),
    /// A model that is no candidate: learning or the session stays with it, or it declares what the
    /// endpoint needs.
    Held(Arc<str>),
    /// The default model.
    Default,
}

/// How the model was picked where a decision names it for every request.
pub(crate) const ROUTE_ACTION: &str = "route_action";

/// Where a request is to go, and why.
pub(super) struct Choice<'g> {
    /// Where.
    pub(super) aim: Aim,
    /// What its decision leads to; `None` without one.
    pub(super) route: Option<&'g Route>,
    /// The decision's candidates that may serve it, and what dropped the others.
    pub(super) eligible: Eligible,
    /// How the algorithm chose; `None` where it was not asked.
    pub(super) selection: Option<Selection>,
    /// How the model was picked, for headers.
    pub(super) algorithm: Option<&'static str>,
    /// The algorithm compares texts, and the user's turn could not be read in time.
    pub(super) unread_turn: bool,
    /// What learning did.
    pub(super) learned: Option<LearningOutcome>,
    /// The request's session.
    pub(super) session: Option<SessionContext>,
    /// What the session did.
    pub(super) session_outcome: Option<SessionOutcome>,
    /// Why the request may not reach the response that it goes on from.
    pub(super) provider_state: Option<&'static str>,
    /// Several of the candidates are to be asked.
    pub(super) looper: Option<&'g Looper>,
    /// The candidates that may serve the request one after the other, the chosen one first; empty
    /// where there is no use for several.
    pub(super) in_turn: Vec<usize>,
}

impl<'g> Choice<'g> {
    /// A choice that no decision makes.
    pub(super) fn undecided(aim: Aim, algorithm: Option<&'static str>) -> Self {
        Self {
            aim,
            route: None,
            eligible: Eligible::default(),
            selection: None,
            algorithm,
            unread_turn: false,
            learned: None,
            session: None,
            session_outcome: None,
            provider_state: None,
            looper: None,
            in_turn: Vec::new(),
        }
    }

    /// The model that a decision sends every request to.
    pub(super) fn diverted(route: &'g Route, destination: &Arc<str>) -> Self {
        Self {
            route: Some(route),
            ..Self::undecided(Aim::Held(Arc::clone(destination)), Some(ROUTE_ACTION))
        }
    }

    /// The choice of a decision's algorithm. `several` keeps the other candidates at hand.
    pub(super) fn decided(
        route: &'g Route,
        eligible: Eligible,
        selection: Selection,
        several: bool,
    ) -> Self {
        let aim = match (&selection.held, selection.candidate) {
            (Some(held), _) => Aim::Held(Arc::clone(held)),
            (None, Some(index)) => Aim::Candidate(index),
            (None, None) => Aim::Default,
        };
        let in_turn = match aim {
            Aim::Candidate(chosen) if several => {
                let others = eligible.kept().iter().copied();
                let others = others.filter(|&index| index != chosen);
                std::iter::once(chosen).chain(others).collect()
            }
            _ => Vec::new(),
        };
        Self {
            route: Some(route),
            eligible,
            algorithm: Some(selection.method),
            selection: Some(selection),
            in_turn,
            ..Self::undecided(aim, None)
        }
    }

    /// Chooses where no decision won: the default model, or the session's own if it may not leave that.
    pub(super) async fn without_decision(
        generation: &'g Generation,
        recipe: &Recipe,
        reading: &Reading<'g>,
        request: &RoutingRequest<'_>,
    ) -> Self {
        let session = generation.sessions.find(recipe, request).await;
        let (Some(session), Some(default)) = (session, generation.targets.default_model()) else {
            return Self::undecided(Aim::Default, Some("default"));
        };
        let (own, outcome) = generation
            .sessions
            .settle_undecided(&session, default, reading);
        Self {
            session: Some(session),
            session_outcome: Some(outcome),
            ..Self::undecided(own.map_or(Aim::Default, Aim::Held), Some("default"))
        }
    }

    /// The candidate that a run calls.
    pub(super) fn called(route: &'g Route, eligible: Eligible, candidate: usize) -> Self {
        Self {
            route: Some(route),
            eligible,
            ..Self::undecided(Aim::Candidate(candidate), Some(ALGORITHM))
        }
    }

    /// Finds the target that a choice aims at.
    pub(super) fn target<'a>(
        &'a self,
        generation: &'a Generation,
        reading: &Reading<'_>,
        request: &'a RoutingRequest<'_>,
    ) -> Result<Target<'a>, Refused> {
        let targets = &generation.targets;
        match (&self.aim, self.route) {
            (Aim::Candidate(index), Some(route)) => Ok(targets.candidate(route, *index)?),
            (Aim::Held(name), _) => Ok(targets.named(name)?.without_reasoning()),
            (Aim::Named | Aim::Candidate(_), _) => Ok(targets.named(request.prompt.model.trim())?),
            (Aim::Default, route) => {
                let target = targets.default_target()?;
                let barrier = generation.eligibility.barrier(
                    target.shown(),
                    &reading.verdict,
                    &reading.demand,
                );
                match (barrier, route) {
                    (Some(barrier), _) => Err(Refused::at(target.shown(), barrier)),
                    // A decision matched, so the reasoning step runs: off, as nobody asked for it.
                    (None, Some(_)) => Ok(target.without_reasoning()),
                    (None, None) => Ok(target),
                }
            }
        }
    }

    /// Returns the model as the policy names it; `None` for the client's own, which the policy may
    /// not know.
    pub(super) fn model(&self, default_model: Option<&Arc<str>>) -> Option<Arc<str>> {
        match (&self.aim, self.route) {
            (Aim::Candidate(index), Some(route)) => {
                Some(shown(route.candidates.candidates(), *index))
            }
            (Aim::Held(name), _) => Some(Arc::clone(name)),
            (Aim::Default, _) => default_model.cloned(),
            (Aim::Named | Aim::Candidate(_), _) => None,
        }
    }
}
