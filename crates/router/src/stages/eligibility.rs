//! Which models may serve a request: boundaries, capabilities, health.

use super::request::Refused;
use crate::boundary::Verdict;
use crate::config::Document;
use crate::recipe::Route;
use selection::capability::{Ability, Demand, Guard, shown};
use selection::card::Prices;
use selection::eligible::{Barrier, Eligible};
use signals::decision::Ranking;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

/// Says which models may serve a request.
#[derive(Debug)]
pub struct Eligibility {
    guard: Guard,
}

/// No candidate may serve the request.
#[derive(Debug)]
pub(crate) struct NoneEligible {
    /// What dropped each.
    pub(crate) eligible: Eligible,
    /// What keeps the request from all.
    pub(crate) barrier: Barrier,
}

impl Eligibility {
    /// Reads the cards of a document.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        Self {
            guard: Guard::of(document).by_v04(document.ranking == Ranking::V04),
        }
    }

    /// Filters the candidates of a decision by boundaries, capabilities and health.
    ///
    /// # Errors
    /// No candidate is left, and the decision does not answer by itself.
    pub(crate) fn narrow(
        &self,
        route: &Route,
        verdict: &Verdict,
        demand: &Demand,
    ) -> Result<Eligible, Refused> {
        match self.candidates(route, verdict, demand) {
            Ok(eligible) => Ok(eligible),
            Err(none) if route.candidates.answers_itself() => Ok(none.eligible),
            Err(none) => Err(Refused::by(none.barrier, none.eligible.into_dropped())),
        }
    }

    /// Filters the candidates of a decision, whether or not it needs one.
    ///
    /// # Errors
    /// No candidate is left.
    pub(crate) fn candidates(
        &self,
        route: &Route,
        verdict: &Verdict,
        demand: &Demand,
    ) -> Result<Eligible, NoneEligible> {
        let candidates = route.candidates.candidates();
        let mut eligible = Eligible::all(candidates.len());
        let forbidden = |index: usize| {
            candidates
                .get(index)
                .and_then(|candidate| verdict.barrier(candidate))
        };
        eligible.drop_where(|index| shown(candidates, index), forbidden);

        // Where boundaries leave nobody, the first of them is the reason that clients are outcome.
        let first = eligible
            .dropped()
            .first()
            .filter(|_| eligible.kept().is_empty());
        if let Some(barrier) = first.map(|dropped| dropped.by.clone()) {
            return Err(NoneEligible { eligible, barrier });
        }
        let requirements = &route.requirements;
        let narrowed = self.guard.narrow(
            &mut eligible,
            candidates,
            demand,
            requirements,
            Instant::now(),
        );
        let names = eligible.kept().iter();
        let names: HashSet<Arc<str>> = names.map(|&index| shown(candidates, index)).collect();
        let (left, least) = (names.len(), requirements.minimum);
        match narrowed {
            Ok(()) if left < least => {
                let barrier = Barrier::TooFew { left, least };
                let name = |index: usize| shown(candidates, index);
                eligible.drop_where(name, |_| Some(barrier.clone()));
                Err(NoneEligible { eligible, barrier })
            }
            Ok(()) => Ok(eligible),
            Err(barrier) => Err(NoneEligible { eligible, barrier }),
        }
    }

    /// Returns what keeps a request from a model that is no candidate: the default, or one that a
    /// conversation would stay with.
    #[must_use]
    pub(crate) fn barrier(
        &self,
        model: &str,
        verdict: &Verdict,
        demand: &Demand,
    ) -> Option<Barrier> {
        let boundary = verdict
            .forbids(model)
            .map(|name| Barrier::Boundary(Arc::clone(name)));
        boundary.or_else(|| self.guard.barrier(model, demand))
    }

    /// Returns whether a configured model can reason, as far as its card tells.
    pub(crate) fn can_reason(&self, model: &str) -> bool {
        self.guard.can_reason(model)
    }

    /// Returns whether a model's card says that it has an ability.
    pub(crate) fn declares(&self, model: &str, ability: Ability) -> bool {
        self.guard.declares(model, ability)
    }

    /// Returns the prices of a configured model.
    pub(crate) fn prices(&self, model: &str) -> Option<Prices> {
        self.guard.card(model)?.prices
    }
}
