//! Where a request's session comes in: before selection, which may read what is known of it; after
//! it, to stay or to switch; and once the request goes on, to be noted.

use super::Call;
use crate::capability::Demand;
use crate::card::Card;
use crate::conversation::Timestamp;
use crate::credential::Void;
use crate::eligible::Eligible;
use crate::generation::Generation;
use crate::plan::{Facts, HeaderOp, Outcome, RoutePlan};
use crate::recipe::{Recipe, Route};
use crate::selection::{Selection, upstream_name};
use crate::session::budget::lock;
use crate::session::context::{SessionContext, SessionLookup, chain_for, turn_state_for};
use crate::session::hold::{ChoiceInput, hold};
use crate::session::turn_state::{self, TurnState};
use crate::session::{Chosen, Mode, ModelOffer};
use dialects::Dialect;
use std::sync::Arc;
use std::time::Instant;

impl Generation {
    /// The request's session; none where sessions are off.
    pub(super) async fn standing(
        &self,
        recipe: &Recipe,
        call: &Call<'_>,
    ) -> Option<SessionContext> {
        if self.sessions.mode == Mode::Off {
            return None;
        }
        let asking = SessionLookup {
            prompt: call.prompt,
            hints: call.marks,
            identity: call.identity,
            recipe: &recipe.name,
            now: Timestamp::now(),
        };
        Some(
            SessionContext::find(&self.sessions, &self.state.sessions, asking, call.deadline).await,
        )
    }

    /// The selection, or the session's own model.
    pub(super) fn stay(
        &self,
        (route, eligible): (&Route, &Eligible),
        mut selection: Selection,
        (standing, call): (Option<&SessionContext>, &Call<'_>),
        facts: &mut Facts,
    ) -> Selection {
        let Some(standing) = standing else {
            return selection;
        };
        let candidates = route.candidates.candidates();
        let kept: Vec<usize> = eligible
            .kept()
            .iter()
            .copied()
            .filter(|&index| index < candidates.len())
            .collect();
        let mut offers: Vec<ModelOffer<'_>> = kept
            .iter()
            .filter_map(|&index| Some((index, candidates.get(index)?)))
            .map(|(index, it)| ModelOffer {
                model: upstream_name(&it.model_ref).trim(),
                prices: it.card.prices,
                score: selection
                    .scores
                    .iter()
                    .find(|(scored, _)| *scored == index)
                    .map(|(_, score)| *score),
            })
            .collect();
        // What learning chose may be no candidate.
        let learned = selection.held.clone();
        if let Some(learned) = &learned {
            offers.push(ModelOffer {
                model: learned,
                prices: Card::of(learned, &self.document).prices,
                score: None,
            });
        }
        let chosen = selection
            .candidate
            .and_then(|chosen| candidates.get(chosen));
        let name = learned
            .as_deref()
            .or_else(|| Some(upstream_name(&chosen?.model_ref).trim()));
        let Some(proposed) = offers.iter().position(|offer| Some(offer.model) == name) else {
            return selection;
        };
        let held = self.held(
            (standing, call),
            (&offers, proposed, self.sessions.any),
            facts,
        );
        match held {
            Chosen::Offer(index) if index == proposed => {}
            Chosen::Offer(index) => {
                (selection.candidate, selection.held) = (kept.get(index).copied(), None)
            }
            Chosen::Other => selection.held = standing.current().map(Arc::from),
        }
        selection
    }

    /// The session's own model, where no decision says who should serve a request that may not
    /// switch. Where it may, nothing speaks for another than the default model.
    pub(super) fn stay_without_decision(
        &self,
        name: &str,
        (standing, call): (&SessionContext, &Call<'_>),
        facts: &mut Facts,
    ) -> Option<Arc<str>> {
        let offers = [ModelOffer {
            model: name,
            prices: Card::of(name, &self.document).prices,
            score: None,
        }];
        let any = self.sessions.any || lock(&standing.turn).is_some();
        match self.held((standing, call), (&offers, 0, any), facts) {
            Chosen::Other => standing.current().map(Arc::from),
            Chosen::Offer(_) => None,
        }
    }

    fn held(
        &self,
        (standing, call): (&SessionContext, &Call<'_>),
        (offers, proposed, any): (&[ModelOffer<'_>], usize, bool),
        facts: &mut Facts,
    ) -> Chosen {
        let demand = Demand::of(call.prompt, &self.token_ratio);
        let rests = |model: &str| self.state.pool.model(model).is_resting(Instant::now());
        let allows = |model: &str| {
            let routable = self.models.get(model).is_some_and(|model| model.routable);
            routable && self.barrier(model, &facts.verdict, &demand).is_none() && !rests(model)
        };
        let choosing = ChoiceInput {
            policy: &self.sessions,
            sessions: &self.state.sessions,
            offers,
            proposed,
            any,
            allows: &allows,
        };
        let (held, told) = hold(standing, &choosing);
        facts.degraded.extend(
            told.degraded
                .map(|reason| Arc::from(format!("session={reason}"))),
        );
        facts.session = Some(told);
        held
    }

    /// The request goes on: notes it, and gives the reply its turn state.
    pub(super) fn noted(
        &self,
        mut plan: RoutePlan,
        standing: Option<&SessionContext>,
        call: &Call<'_>,
    ) -> RoutePlan {
        let facts = &mut plan.facts;
        let (Outcome::Forward(forward), Some(standing)) = (&mut plan.outcome, standing) else {
            return plan;
        };
        if call.dialect == Dialect::OpenAiResponses
            && standing.turn_state.as_ref().is_some_and(is_ours)
        {
            // It is ours and says nothing to a provider.
            forward
                .headers
                .push(HeaderOp::Remove(turn_state::HEADER.into()));
        }
        facts.void_turn_state = standing
            .turn_state
            .as_ref()
            .and_then(|state| state.as_ref().err().copied());
        let (Some(told), Some(model)) = (&mut facts.session, &facts.model) else {
            return plan;
        };
        let decision = facts.decision.as_deref().unwrap_or_default();
        told.turn_state = turn_state_for(standing, &self.sessions, call.dialect, decision, model);
        told.chain = chain_for(standing, &self.sessions, call.dialect);
        self.state.sessions.sent(told, model, Timestamp::now());
        plan
    }
}

/// We made it once, whether it still holds or not: a provider's own looks different and goes on to
/// it.
fn is_ours(state: &Result<TurnState, Void>) -> bool {
    !matches!(state, Err(Void::Malformed))
}
