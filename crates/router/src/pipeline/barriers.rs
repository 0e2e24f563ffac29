//! What stands between a request and models: boundaries that hold, abilities that are missing,
//! rest.

use super::{Call, Findings};
use crate::boundary::{Guarded, Verdict};
use crate::capability::{Demand, shown};
use crate::eligible::{Barrier, Dropped, Eligible};
use crate::generation::Generation;
use crate::plan::{Facts, Refusal};
use crate::recipe::{Extent, Recipe, Route};
use crate::signals::{SignalError, SignalInput};
use std::sync::Arc;
use std::time::Instant;

impl Generation {
    /// What boundaries say that no decision's reading of `recipe` covers: those of the document for
    /// other recipes and for concrete names (no recipe), and those of the recipe itself for an
    /// empty conversation. Signals that they need are read.
    pub(super) async fn bounding<'g>(
        &'g self,
        recipe: Option<&'g Recipe>,
        input: &SignalInput<'_>,
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Result<Option<Findings<'g>>, SignalError> {
        let own = |bound: &&Recipe| recipe.is_some_and(|recipe| std::ptr::eq(recipe, *bound));
        let outer = self.recipes.first().filter(|outer| !own(outer));
        let silent = recipe.filter(|_| call.prompt.is_silent());
        let mut found = None;
        for bound in outer
            .into_iter()
            .chain(silent)
            .filter(|bound| !bound.boundaries.is_empty())
        {
            let verdict = std::mem::take(&mut facts.verdict);
            let models = Guarded::new(call.models, &verdict);
            let reading = bound
                .read(input, Extent::Bounding, &models, call.deadline)
                .await?;
            facts.verdict = verdict.and(reading.verdict);
            facts.degrade(&reading.report);
            found = Some(Findings {
                recipe: bound,
                report: reading.report,
                decided: None,
                decision_time: None,
            });
        }
        Ok(found)
    }

    /// Whom boundaries, abilities and rest leave of the candidates.
    ///
    /// # Errors
    /// Nobody is left: the answer to the client.
    pub(super) fn eligible(
        &self,
        route: &Route,
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Result<Eligible, Refusal> {
        let demand = Demand::of(call.prompt, &self.token_ratio);
        match self.narrow(route, &facts.verdict, &demand) {
            Ok(eligible) => Ok(eligible),
            Err((eligible, _)) if route.candidates.answers_itself() => Ok(eligible),
            Err((eligible, barrier)) => {
                facts.dropped = eligible.into_dropped();
                let refusal = Self::refusal(&barrier);
                facts.refused_by = Some(barrier);
                Err(refusal)
            }
        }
    }

    /// The candidates of a decision that may serve a request.
    ///
    /// # Errors
    /// None may: what dropped each, and what keeps the request from all.
    pub(crate) fn narrow(
        &self,
        route: &Route,
        verdict: &Verdict,
        demand: &Demand,
    ) -> Result<Eligible, (Eligible, Barrier)> {
        let candidates = route.candidates.candidates();
        let mut eligible = Eligible::all(candidates.len());
        let barrier = |index: usize| {
            candidates
                .get(index)
                .and_then(|candidate| verdict.barrier(candidate))
        };
        eligible.drop_where(|index| shown(candidates, index), barrier);
        let forbidden = eligible
            .dropped()
            .first()
            .filter(|_| eligible.kept().is_empty())
            .map(|it| it.by.clone());
        if let Some(barrier) = forbidden {
            return Err((eligible, barrier));
        }
        match self
            .guard
            .narrow(&mut eligible, candidates, demand, Instant::now())
        {
            Ok(()) => Ok(eligible),
            Err(barrier) => Err((eligible, barrier)),
        }
    }

    /// What the client is told whom a barrier keeps from every model that might have served the
    /// request.
    pub(crate) fn refusal(barrier: &Barrier) -> Refusal {
        let (status, message) = match barrier {
            Barrier::Boundary(name) => (
                403,
                format!(
                    "the boundary \"{name}\" does not allow this request to go to any model that would serve it"
                ),
            ),
            Barrier::ContextWindow { needed, window } => {
                let message = format!(
                    "this request needs at least {needed} tokens and the model's maximum context length is {window} tokens"
                );
                (400, message)
            }
            Barrier::Ability(ability) => (
                400,
                format!("no model that would serve this request is capable of: {ability}"),
            ),
            Barrier::Resting => (
                503,
                "every model that would serve this request is failing".to_owned(),
            ),
        };
        Refusal { status, message }
    }

    /// What keeps a request from a model that is no candidate: the default, or one that a
    /// conversation would stay with.
    #[must_use]
    pub fn barrier(&self, model: &str, verdict: &Verdict, demand: &Demand) -> Option<Barrier> {
        let boundary = verdict
            .forbids(model)
            .map(|name| Barrier::Boundary(Arc::clone(name)));
        boundary.or_else(|| self.guard.barrier(model, demand))
    }
}

impl Facts {
    /// Notes that a barrier turns the request down.
    pub(super) fn refuse(&mut self, model: &str, barrier: Barrier) -> Refusal {
        let refusal = Generation::refusal(&barrier);
        self.dropped.push(Dropped {
            model: model.into(),
            by: barrier.clone(),
        });
        self.refused_by = Some(barrier);
        refusal
    }
}
