//! Decisions of several models: whether they are run, and the calls of a run that come back.

use super::choice::Choice;
use crate::boundary::Verdict;
use crate::escalation::Looper;
use crate::generation::Generation;
use crate::plan::{Escalation, Forward, Outcome, Refusal};
use crate::recipe::{Recipe, Route};
use crate::stages::eligibility::Eligibility;
use crate::stages::reading::Reading;
use crate::stages::request::Refused;
use crate::stages::selection::Matched;
use crate::stages::targets::Targets;
use conversation::credential::Claims;
use selection::algorithms::{Selection, SelectionRequest};
use selection::candidate::upstream_name;
use selection::capability::shown;
use selection::providers::wires::Carriage;
use std::sync::Arc;

/// A candidate that a run of ours calls.
#[derive(Clone, Copy)]
pub(super) struct Called<'g> {
    pub(super) recipe: &'g Recipe,
    pub(super) route: &'g Route,
    pub(super) candidate: usize,
}

/// The algorithm whose runs call candidates.
pub(super) const ALGORITHM: &str = "confidence";

impl<'g> Called<'g> {
    /// Chooses the candidate if it may serve the call.
    pub(super) fn choose(
        &self,
        eligibility: &Eligibility,
        reading: &Reading<'_>,
    ) -> Result<Choice<'g>, Refused> {
        let eligible = eligibility.narrow(self.route, &reading.verdict, &reading.demand)?;
        if eligible.kept().contains(&self.candidate) {
            return Ok(Choice::called(self.route, eligible, self.candidate));
        }
        let model = shown(self.route.candidates.candidates(), self.candidate);
        let message = format!("model \"{model}\" may not serve this request");
        Err(Refusal::new(403, message).into())
    }
}

/// Finds the decision and the candidate that a credential is for.
///
/// # Errors
/// The policy does not have them (any more), or another model is asked for.
pub(super) fn called<'g>(
    generation: &'g Generation,
    claims: &Claims,
    asked: &str,
) -> Result<Called<'g>, Refused> {
    let find = || {
        let (recipe, route) = route_named(&generation.recipes, &claims.recipe, &claims.decision)?;
        let candidate = position(route, asked.trim()).filter(|_| claims.model == asked.trim())?;
        Some(Called {
            recipe,
            route,
            candidate,
        })
    };
    find().ok_or_else(|| Refusal::unavailable(asked).into())
}

/// Finds what a decision leads to, by its name and its recipe's.
pub(super) fn route_named<'g>(
    recipes: &'g [Recipe],
    recipe: &str,
    decision: &str,
) -> Option<(&'g Recipe, &'g Route)> {
    let recipe = recipes.iter().find(|own| *own.name == *recipe)?;
    let route = recipe
        .routes
        .iter()
        .find(|route| *route.name == *decision)?;
    Some((recipe, route))
}

/// Finds a candidate by its name upstream.
pub(super) fn position(route: &Route, name: &str) -> Option<usize> {
    let model_refs = route.candidates.model_refs();
    model_refs
        .iter()
        .position(|model_ref| upstream_name(model_ref).trim() == name)
}

/// Selects the candidate that serves the request where its decision's several models are not run.
pub(super) fn first_capable(targets: &Targets, matched: &Matched<'_>) -> Selection {
    let route = matched.route;
    let (verdict, carriage) = (&matched.reading.verdict, matched.request.carriage());
    let kept = matched.eligible.kept();
    let first = kept
        .iter()
        .find(|&&index| is_capable(targets, route, index, verdict, carriage))
        .or(kept.first())
        .copied();

    let selection = route
        .candidates
        .select(&SelectionRequest::default(), first.as_slice());
    if selection.method != "single" || route.candidates.model_refs().len() == 1 {
        return selection;
    }
    Selection {
        method: route.candidates.method(),
        reason: Arc::from("first capable candidate"),
        ..selection
    }
}

/// Returns whether a candidate may and can take the request.
pub(super) fn is_capable(
    targets: &Targets,
    route: &Route,
    index: usize,
    verdict: &Verdict,
    carriage: Carriage,
) -> bool {
    targets
        .candidate(route, index)
        .is_ok_and(|target| targets.check(&target, verdict, carriage).is_ok())
}

/// Turns a planned request into a run if its decision runs several models.
///
/// Returns why it is not run, too, where it would have to be.
pub(super) fn start(
    targets: &Targets,
    choice: &Choice<'_>,
    reading: &Reading<'_>,
    forward: Forward,
    carriage: Carriage,
) -> (Outcome, Option<&'static str>) {
    let (cascade, route) = match (choice.looper, choice.route) {
        (Some(Looper::Cascade(cascade)), Some(route)) => (cascade, route),
        (Some(Looper::NotRun(reason)), _) => return (Outcome::Forward(forward), Some(reason)),
        _ => return (Outcome::Forward(forward), None),
    };
    let allowed = choice
        .in_turn
        .iter()
        .copied()
        .filter(|&index| is_capable(targets, route, index, &reading.verdict, carriage))
        .collect();
    let escalation = Escalation {
        allowed,
        cascade: Arc::clone(cascade),
        tokens: reading.demand.tokens,
        otherwise: forward,
    };
    (Outcome::Escalate(Box::new(escalation)), None)
}

#[cfg(test)]
mod tests;
