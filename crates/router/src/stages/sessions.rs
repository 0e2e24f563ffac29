//! Where a request's session comes in: before selection, which may read what is known of it; after
//! it, to stay or to switch; and once the request goes on, to be recorded.

use super::eligibility::Eligibility;
use super::reading::Reading;
use super::request::RoutingRequest;
use super::selection::Matched;
use super::targets::Targets;
use crate::plan::{Forward, HeaderOp};
use crate::recipe::Recipe;
use conversation::Timestamp;
use conversation::credential::Void;
use conversation::session::budget::lock;
use conversation::session::context::{SessionContext, SessionLookup, chain_for, turn_state_for};
use conversation::session::hold::{ChoiceInput, hold};
use conversation::session::turn_state;
use conversation::session::{Chosen, Mode, ModelOffer, Policy, SessionOutcome};
use conversation::shared_state::SharedState;
use dialects::Dialect;
use selection::algorithms::Selection;
use selection::candidate::upstream_name;
use std::sync::Arc;
use std::time::Instant;

/// Keeps conversations with their models.
#[derive(Debug)]
pub struct Sessions {
    /// When a session stays and when it may switch.
    pub policy: Arc<Policy>,
    /// Holds the sessions, and the health of models.
    state: Arc<SharedState>,
    eligibility: Arc<Eligibility>,
    targets: Arc<Targets>,
}

/// What a session did, once the request is on its way.
#[derive(Debug, Default)]
pub(crate) struct SessionRecord {
    /// What it did; complete with what the reply must say.
    pub(crate) session_outcome: Option<SessionOutcome>,
    /// The client sent a turn state that does not hold.
    pub(crate) void_turn_state: Option<Void>,
}

impl Sessions {
    pub(crate) fn new(
        policy: Arc<Policy>,
        state: Arc<SharedState>,
        eligibility: Arc<Eligibility>,
        targets: Arc<Targets>,
    ) -> Self {
        Self {
            policy,
            state,
            eligibility,
            targets,
        }
    }

    /// Finds the request's session; `None` where sessions are off.
    pub(crate) async fn find(
        &self,
        recipe: &Recipe,
        request: &RoutingRequest<'_>,
    ) -> Option<SessionContext> {
        if self.policy.mode == Mode::Off {
            return None;
        }
        let asking = SessionLookup {
            prompt: request.prompt,
            hints: request.hints,
            identity: request.identity,
            recipe: &recipe.name,
            now: Timestamp::now(),
        };
        let sessions = &self.state.sessions;
        Some(SessionContext::find(&self.policy, sessions, asking, request.deadline).await)
    }

    /// Returns the selection or the session's own model, and what the session did.
    pub(crate) fn settle(
        &self,
        matched: &Matched<'_>,
        session: Option<&SessionContext>,
        selection: Selection,
    ) -> (Selection, Option<SessionOutcome>) {
        let Some(session) = session else {
            return (selection, None);
        };
        let candidates = matched.route.candidates.candidates();
        let kept: Vec<usize> = matched
            .eligible
            .kept()
            .iter()
            .copied()
            .filter(|&index| index < candidates.len())
            .collect();
        let score = |index: usize| {
            let scored = selection.scores.iter().find(|(scored, _)| *scored == index);
            scored.map(|(_, score)| *score)
        };
        let mut offers: Vec<ModelOffer<'_>> = kept
            .iter()
            .filter_map(|&index| Some((index, candidates.get(index)?)))
            .map(|(index, candidate)| ModelOffer {
                model: upstream_name(&candidate.model_ref).trim(),
                prices: candidate.card.prices,
                score: score(index),
            })
            .collect();

        // The model that learning chose need not be a candidate.
        if let Some(learned) = &selection.held {
            offers.push(self.offer(learned));
        }
        let chosen = selection.candidate.and_then(|index| candidates.get(index));
        let name = selection
            .held
            .as_deref()
            .or_else(|| Some(upstream_name(&chosen?.model_ref).trim()));
        let Some(proposed) = offers.iter().position(|offer| Some(offer.model) == name) else {
            return (selection, None);
        };

        let (held, outcome) =
            self.hold(session, &offers, proposed, self.policy.any, matched.reading);
        let selection = match held {
            Chosen::Offer(index) if index == proposed => selection,
            Chosen::Offer(index) => Selection {
                candidate: kept.get(index).copied(),
                held: None,
                ..selection
            },
            Chosen::Other => Selection {
                held: session.current().map(Arc::from),
                ..selection
            },
        };
        (selection, Some(outcome))
    }

    /// Returns the session's own model, where no decision says who should serve a request that may
    /// not switch, and what the session did. Where it may switch, nothing speaks for another model
    /// than `default_model`.
    pub(crate) fn settle_undecided(
        &self,
        session: &SessionContext,
        default_model: &str,
        reading: &Reading<'_>,
    ) -> (Option<Arc<str>>, SessionOutcome) {
        let offers = [self.offer(default_model)];
        let any = self.policy.any || lock(&session.turn).is_some();
        let (held, outcome) = self.hold(session, &offers, 0, any, reading);
        let own = match held {
            Chosen::Other => session.current().map(Arc::from),
            Chosen::Offer(_) => None,
        };
        (own, outcome)
    }

    /// Removes a turn state of ours from a request that goes on: it says nothing to a provider. A
    /// provider's own looks different and goes on to it.
    pub(crate) fn strip(
        forward: Forward,
        session: Option<&SessionContext>,
        dialect: Dialect,
    ) -> Forward {
        let state = session.and_then(|session| session.turn_state.as_ref());
        // Ours is ours whether it still holds or not.
        let is_ours = state.is_some_and(|state| !matches!(state, Err(Void::Malformed)));
        if dialect == Dialect::OpenAiResponses && is_ours {
            forward.with_headers([HeaderOp::Remove(turn_state::HEADER.into())])
        } else {
            forward
        }
    }

    /// Records what the session did. If the request goes on (`model`), the session remembers that,
    /// and the reply gets its turn state.
    pub(crate) fn record(
        &self,
        session: Option<&SessionContext>,
        session_outcome: Option<SessionOutcome>,
        model: Option<&str>,
        decision: &str,
        dialect: Dialect,
    ) -> SessionRecord {
        let (Some(session), Some(model)) = (session, model) else {
            return SessionRecord {
                session_outcome,
                void_turn_state: None,
            };
        };
        let void = session
            .turn_state
            .as_ref()
            .and_then(|state| state.as_ref().err().copied());
        let session_outcome = session_outcome.map(|mut outcome| {
            outcome.turn_state = turn_state_for(session, &self.policy, dialect, decision, model);
            outcome.chain = chain_for(session, &self.policy, dialect);
            self.state.sessions.sent(&outcome, model, Timestamp::now());
            outcome
        });
        SessionRecord {
            session_outcome,
            void_turn_state: void,
        }
    }

    fn hold(
        &self,
        session: &SessionContext,
        offers: &[ModelOffer<'_>],
        proposed: usize,
        any: bool,
        reading: &Reading<'_>,
    ) -> (Chosen, SessionOutcome) {
        let rests = |model: &str| self.state.pool.model(model).is_resting(Instant::now());
        let barrier = |model: &str| {
            self.eligibility
                .barrier(model, &reading.verdict, &reading.demand)
        };
        let allows = |model: &str| {
            self.targets.is_routable(model) && barrier(model).is_none() && !rests(model)
        };
        let choosing = ChoiceInput {
            policy: &self.policy,
            sessions: &self.state.sessions,
            offers,
            proposed,
            any,
            allows: &allows,
        };
        hold(session, &choosing)
    }

    fn offer<'a>(&self, model: &'a str) -> ModelOffer<'a> {
        ModelOffer {
            model,
            prices: self.eligibility.prices(model),
            score: None,
        }
    }
}
