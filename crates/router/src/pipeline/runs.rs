//! Decisions of several models: whether they are run, and the calls of a run that come back.

use super::{Call, Routed, protocol, unavailable};
use crate::boundary::Guarded;
use crate::credential::Claims;
use crate::eligible::Eligible;
use crate::escalation::Looper;
use crate::generation::Generation;
use crate::plan::{BodyEdit, Escalation, Facts, Forward, Outcome, Refusal, RoutePlan};
use crate::plugins::Flow;
use crate::recipe::{Extent, Recipe, Route};
use crate::selection::{Selection, SelectionRequest, upstream_name};
use crate::signals::{SignalError, SignalInput};
use std::sync::Arc;

impl Generation {
    /// The candidate that serves the request where its decision's several models are not run.
    pub(super) fn first_capable(
        &self,
        route: &Route,
        eligible: &Eligible,
        call: &Call<'_>,
    ) -> Selection {
        let first = eligible
            .kept()
            .iter()
            .find(|&&index| self.is_capable(route, index, call));
        let first = first.or(eligible.kept().first()).copied();
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

    /// The candidates that may serve the request, the chosen one first, then the others in order;
    /// none where there is no use for several, or the conversation stays with another model.
    pub(super) fn in_turn(
        &self,
        route: &Route,
        eligible: &Eligible,
        selection: &Selection,
    ) -> Vec<usize> {
        let several =
            (route.looper.is_some() || self.settings.fallback) && selection.held.is_none();
        let Some(chosen) = selection.candidate.filter(|_| several) else {
            return Vec::new();
        };
        let others = eligible
            .kept()
            .iter()
            .copied()
            .filter(|index| *index != chosen);
        std::iter::once(chosen).chain(others).collect()
    }

    /// The candidate's model is configured, and takes this wire.
    pub(super) fn is_capable(&self, route: &Route, index: usize, call: &Call<'_>) -> bool {
        let model = route.backends.get(index).and_then(Option::as_deref);
        model.is_some_and(|model| {
            model.routable && model.accepts(call.dialect, self.settings.fail_open).is_ok()
        })
    }

    /// What a request comes to that is ready to go on: a run where its decision runs several
    /// models, else just that. `kept` are the candidates that may serve it.
    pub(super) fn set_out(
        &self,
        (route, kept): (&Route, &[usize]),
        forward: Forward,
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Outcome {
        match &route.looper {
            Some(Looper::Cascade(cascade)) => Outcome::Escalate(Box::new(Escalation {
                allowed: kept
                    .iter()
                    .copied()
                    .filter(|&index| self.is_capable(route, index, call))
                    .collect(),
                cascade: Arc::clone(cascade),
                tokens: facts.context_tokens,
                otherwise: forward,
            })),
            Some(Looper::NotRun(reason)) => {
                facts.degraded.push(format!("looper={reason}").into());
                Outcome::Forward(forward)
            }
            None => Outcome::Forward(forward),
        }
    }

    /// Routes a call of a run that came back with a credential of ours: to the model that it names,
    /// past no boundary.
    pub async fn route_back(&self, claims: &Claims, call: &Call<'_>) -> Routed<'_> {
        let mut facts = Facts {
            protocol: Some(protocol(call.dialect)),
            ..Facts::default()
        };
        let outcome = match self.called(claims, call) {
            Some((recipe, route, index)) => {
                self.back_to((recipe, route, index), &mut facts, call).await
            }
            None => Outcome::Refuse(unavailable(&call.prompt.model)),
        };
        Routed {
            plan: RoutePlan { outcome, facts },
            findings: None,
            bounding: None,
        }
    }

    /// The decision and the candidate that a credential is of, if it was made for the model that is
    /// asked for.
    fn called(&self, claims: &Claims, call: &Call<'_>) -> Option<(&Recipe, &Route, usize)> {
        let (recipe, route) = self.route_named(&claims.recipe, &claims.decision)?;
        let asked = call.prompt.model.trim();
        let named = |model_ref| upstream_name(model_ref).trim() == asked;
        let index = route
            .candidates
            .model_refs()
            .iter()
            .position(named)
            .filter(|_| claims.model == asked)?;
        Some((recipe, route, index))
    }

    /// What a decision leads to, by its name and its recipe's.
    pub(super) fn route_named(&self, recipe: &str, decision: &str) -> Option<(&Recipe, &Route)> {
        let recipe = self.recipes.iter().find(|own| *own.name == *recipe)?;
        Some((
            recipe,
            recipe
                .routes
                .iter()
                .find(|route| *route.name == *decision)?,
        ))
    }

    /// Reads again what boundaries need, those of the document and of the recipe: a call says more
    /// than the client did.
    async fn bounds(
        &self,
        recipe: &Recipe,
        input: &SignalInput<'_>,
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Result<(), SignalError> {
        self.bounding(Some(recipe), input, facts, call).await?;
        let outer = facts.verdict.clone();
        let models = Guarded::new(call.models, &outer);
        let reading = recipe
            .read(input, Extent::Bounding, &models, call.deadline)
            .await?;
        facts.verdict = outer.and(reading.verdict);
        facts.degrade(&reading.report);
        Ok(())
    }

    async fn back_to(
        &self,
        (recipe, route, index): (&Recipe, &Route, usize),
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Outcome {
        facts.recipe = Some(recipe.name.clone());
        facts.decision = Some(route.name.clone());
        facts.algorithm = Some("confidence");
        let input = SignalInput::new(call.prompt, Some(call.identity));
        if let Err(error) = self.bounds(recipe, &input, facts, call).await {
            return Outcome::Refuse(Refusal {
                status: 403,
                message: error.to_string(),
            });
        }
        let eligible = match self.eligible(route, facts, call) {
            Ok(eligible) => eligible,
            Err(refusal) => return Outcome::Refuse(refusal),
        };
        if !eligible.kept().contains(&index) {
            let message = format!(
                "model \"{}\" may not serve this request",
                call.prompt.model.trim()
            );
            return Outcome::Refuse(Refusal {
                status: 403,
                message,
            });
        }
        let mut forward = match self.to_candidate(route, index, facts, call) {
            Ok(forward) => forward,
            Err(refusal) => return Outcome::Refuse(refusal),
        };
        for plugin in &route.plugins {
            if let Flow::Answer(message) = plugin.on_request(&mut forward) {
                return Outcome::Answer { message };
            }
        }
        if let (false, Some(model)) = (facts.verdict.is_free(), &facts.model) {
            forward.headers.extend(self.routing_headers(model));
        }
        self.name_next((&recipe.name, route), &[], &mut forward, call);
        facts.injected_system_prompt = forward
            .body
            .iter()
            .any(|edit| matches!(edit, BodyEdit::SystemPrompt { .. }));
        Outcome::Forward(forward)
    }
}

#[cfg(test)]
mod tests;
