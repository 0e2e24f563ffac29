//! Between selection and plugins: what outcomes and the conversation's model make of the choice.

use super::Call;
use crate::capability::Demand;
use crate::eligible::Eligible;
use crate::generation::Generation;
use crate::learning::advise;
use crate::learning::input::LearningInput;
use crate::models::Model;
use crate::plan::Facts;
use crate::recipe::{Recipe, Route};
use crate::selection::Selection;
use std::time::Instant;

impl Generation {
    /// What outcomes and the conversation's model make of the choice.
    pub(super) async fn learn(
        &self,
        (recipe, route): (&Recipe, &Route),
        selection: Selection,
        (eligible, facts): (&Eligible, &mut Facts),
        call: &Call<'_>,
    ) -> Selection {
        let Some(policy) = &route.learning else {
            return selection;
        };
        let demand = Demand::of(call.prompt, &self.token_ratio);
        let barred = |name: &str| self.barrier(name, &facts.verdict, &demand).is_some();
        let allows = |name: &str| !barred(name) && self.may_serve(route, eligible, name, call);
        let asked = LearningInput {
            policy,
            recipe: &recipe.name,
            decision: &route.name,
            tier: route.tier,
            candidates: &route.candidates,
            eligible: eligible.kept(),
            allows: &allows,
            caller: &call.identity.user,
            request: call.sent,
            state: advise::state_of(
                call.prompt,
                call.dialect,
                facts.context_tokens,
                call.sent.previous_response,
            ),
            now: Instant::now(),
        };
        let (selection, lesson) = self
            .state
            .experience
            .advise_shared(&asked, selection, call.deadline)
            .await;
        facts.degraded.extend(
            lesson
                .degraded
                .map(|reason| format!("learning={reason}").into()),
        );
        facts.lesson = Some(lesson);
        selection
    }

    /// Whether learning may send the request to this model: a candidate that is left, or another
    /// model that can take it.
    fn may_serve(&self, route: &Route, eligible: &Eligible, name: &str, call: &Call<'_>) -> bool {
        let candidates = route.candidates.model_refs();
        let named = |&index: &usize| {
            candidates
                .get(index)
                .is_some_and(|candidate| candidate.model.trim() == name)
        };
        let declared = (0..candidates.len()).any(|index| named(&index));
        let left = eligible.kept().iter().any(named);
        let takes = |model: &Model| {
            model.routable && model.accepts(call.dialect, self.settings.fail_open).is_ok()
        };
        left == declared && self.models.get(name).is_some_and(|model| takes(model))
    }
}
