//! The stage after selection: outcomes and the conversation's model may change the choice.

use super::eligibility::Eligibility;
use super::selection::Matched;
use super::targets::Targets;
use crate::recipe::Route;
use conversation::learning::advise;
use conversation::learning::input::LearningInput;
use conversation::learning::outcome::LearningOutcome;
use conversation::shared_state::SharedState;
use selection::algorithms::Selection;
use std::sync::Arc;
use std::time::Instant;

/// Applies what outcomes have taught.
#[derive(Debug)]
pub struct Learning {
    /// Holds the experience.
    state: Arc<SharedState>,
    eligibility: Arc<Eligibility>,
    targets: Arc<Targets>,
}

impl Learning {
    pub(crate) fn new(
        state: Arc<SharedState>,
        eligibility: Arc<Eligibility>,
        targets: Arc<Targets>,
    ) -> Self {
        Self {
            state,
            eligibility,
            targets,
        }
    }

    /// Returns the selection as outcomes and the conversation would have it, and what learning did;
    /// `None` where the decision does not learn.
    pub(crate) async fn advise(
        &self,
        matched: &Matched<'_>,
        selection: Selection,
    ) -> (Selection, Option<LearningOutcome>) {
        let Some(policy) = &matched.route.learning else {
            return (selection, None);
        };
        let (reading, request) = (matched.reading, matched.request);
        let allows = |name: &str| self.may_serve(matched, name);
        let asked = LearningInput {
            policy,
            recipe: &matched.recipe.name,
            decision: &matched.route.name,
            tier: matched.route.tier,
            candidates: &matched.route.candidates,
            eligible: matched.eligible.kept(),
            allows: &allows,
            caller: &request.identity.user,
            request: request.context,
            state: advise::state_of(
                request.prompt,
                request.dialect,
                reading.demand.tokens,
                request.context.previous_response,
            ),
            now: Instant::now(),
        };
        let (selection, learned) = self
            .state
            .experience
            .advise_shared(&asked, selection, request.deadline)
            .await;
        (selection, Some(learned))
    }

    /// Returns whether learning may send the request to this model: a candidate that is left, or
    /// another model that can take it.
    fn may_serve(&self, matched: &Matched<'_>, name: &str) -> bool {
        let reading = matched.reading;
        let barrier = self
            .eligibility
            .barrier(name, &reading.verdict, &reading.demand);
        if barrier.is_some() {
            return false;
        }
        let candidates = matched.route.candidates.model_refs();
        let is_named = |&index: &usize| {
            candidates
                .get(index)
                .is_some_and(|candidate| candidate.model.trim() == name)
        };
        let is_declared = (0..candidates.len()).any(|index| is_named(&index));
        let is_left = matched.eligible.kept().iter().any(is_named);
        is_left == is_declared && self.targets.takes(name, matched.request.carriage())
    }
}

/// Returns the learned of a request whose model is settled: what comes after learning may hold
/// another one.
pub(crate) fn settled(
    learned: Option<LearningOutcome>,
    route: &Route,
    selection: &Selection,
) -> Option<LearningOutcome> {
    let mut learned = learned?;
    let candidate = selection
        .candidate
        .and_then(|index| route.candidates.model_refs().get(index));
    let model = selection
        .held
        .as_deref()
        .or_else(|| candidate.map(|candidate| candidate.model.trim()));
    if let (Some(policy), Some(model)) = (&route.learning, model) {
        learned.settle(model, policy);
    }
    Some(learned)
}
