//! A request's place in its session: which one, what part of it, what is known.

use super::identity::{Marks, Named};
use super::phase::Phase;
use super::stay::{self, Past, Turn};
use super::turn_state::{self, TurnState};
use super::{Mode, Policy, Seen, SessionKey, Sessions};
use crate::card::Prices;
use crate::credential::Void;
use crate::selection::Continuation;
use crate::signals::Identity;
use dialects::{Dialect, Prompt};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of text that no token is longer than, on average: for lower estimates.
const LONGEST_TOKEN: u64 = 8;

/// A request's place in its session.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The session.
    pub named: Named,
    /// What is asked.
    pub turn: Turn,
    /// What is known of it.
    pub seen: Option<Seen>,
    /// The turn state that the client sent.
    pub turn_state: Option<Result<TurnState, Void>>,
    /// The store did not answer.
    pub store_failed: bool,
    pub(super) principal: u128,
    pub(super) recipe: Arc<str>,
    pub(super) now: u64,
    /// Tokens of the prompt, at most and at least.
    pub(super) tokens: (u64, u64),
}

/// A request whose session is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// What it says.
    pub prompt: &'a Prompt,
    /// What its headers say.
    pub marks: Marks<'a>,
    /// Who asks.
    pub identity: &'a Identity,
    /// The recipe that it is for.
    pub recipe: &'a Arc<str>,
    /// Seconds since 1970.
    pub now: u64,
}

impl Standing {
    /// Looks for the session of a request.
    pub async fn find(
        policy: &Policy,
        sessions: &Sessions,
        asking: Asking<'_>,
        deadline: Instant,
    ) -> Self {
        let Asking {
            prompt,
            marks,
            identity,
            recipe,
            now,
        } = asking;
        let principal = policy.namer.principal(identity, &marks);
        let named = policy.namer.name(principal, recipe, prompt, &marks);
        let turn_state = marks
            .turn_state
            .map(|header| turn_state::read(&policy.namer, principal, header, now));
        let until = deadline.min(Instant::now() + policy.store_timeout);
        let store_failed = sessions.fetch(named.key, until).await.is_err();
        let continuity = &prompt.continuity;
        let kept = continuity.conversation.is_some() || continuity.previous_response.is_some();
        let same_recipe = |state: &Result<TurnState, Void>| {
            state.as_ref().is_ok_and(|state| state.recipe == **recipe)
        };
        let turn = Turn {
            phase: Phase::of(prompt, marks.class, &policy.texts),
            sealed: continuity.sealed_state || kept,
            same_turn: turn_state.as_ref().is_some_and(same_recipe),
            explicit: named.source.is_explicit(),
        };
        Self {
            named,
            turn,
            seen: sessions.look(named.key, named.thread),
            turn_state,
            store_failed,
            principal,
            recipe: Arc::clone(recipe),
            now,
            tokens: (
                prompt.tokens.prompt(),
                prompt.tokens.text_bytes / LONGEST_TOKEN,
            ),
        }
    }

    /// The model to stay with, if there is one: that of the turn state, of the conversation, or,
    /// where a lock asks for one, of the session's last request.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        if let (true, Some(Ok(state))) = (self.turn.same_turn, &self.turn_state) {
            return Some(&state.model);
        }
        let seen = self.seen.as_ref()?;
        (seen.same_thread || stay::lock(&self.turn).is_some()).then_some(&*seen.model)
    }

    /// The session's number from 0 to 1, excluding 1.
    #[must_use]
    pub fn draw(&self) -> f64 {
        (self.named.key.0 >> 75) as f64 / (1_u64 << 53) as f64
    }

    /// What algorithms may know of it.
    #[must_use]
    pub fn continuation<'a>(&'a self, prompt: &Prompt) -> Continuation<'a> {
        let seen = self.seen.as_ref().filter(|seen| seen.same_thread);
        Continuation {
            turns: seen.map_or(0, |seen| seen.turns),
            history_tokens: seen.and_then(|seen| seen.counted).unwrap_or(0),
            previous_model: seen.map(|seen| &*seen.model),
            previous_response: prompt.continuity.previous_response.is_some(),
        }
    }

    /// What the request costs at least, millionths. All may be in a cache but what the conversation
    /// has grown by: nobody has sent that before, be it an answer or the user's words.
    pub(super) fn least_price(&self, prices: &Prices) -> u64 {
        let (_, tokens) = self.tokens;
        let before = self
            .seen
            .as_ref()
            .filter(|seen| seen.same_thread)
            .map_or(tokens, |seen| seen.least.min(tokens));
        let fresh = prices.prompt.min(prices.completion);
        (before as f64 * prices.cached.min(prices.prompt) + (tokens - before) as f64 * fresh) as u64
    }

    pub(super) fn past(&self) -> Past {
        let Some(seen) = &self.seen else {
            return Past::default();
        };
        Past {
            idle: Duration::from_secs(self.now.saturating_sub(seen.at)),
            prefix: seen
                .counted
                .filter(|_| seen.same_thread)
                .map_or(self.tokens.0, |counted| counted.min(self.tokens.0)),
            requests: seen.requests,
            turns: seen.turns,
            bill: seen.bill,
            overhead: seen.overhead,
        }
    }
}

/// Finds a session again by the id of a response, as `previous_response_id` names it.
#[derive(Debug, Clone)]
pub struct Chain {
    policy: Arc<Policy>,
    principal: u128,
    recipe: Arc<str>,
    from: SessionKey,
}

impl Chain {
    /// A response of this id was given: requests that go on from it belong to the same session.
    pub fn goes_on(&self, sessions: &Sessions, response_id: &str) {
        let key = self
            .policy
            .namer
            .response(self.principal, &self.recipe, response_id);
        sessions.follow(self.from, key);
    }
}

/// How the session is found again by the response's id, on the wire that has one.
#[must_use]
pub fn chain_for(standing: &Standing, policy: &Arc<Policy>, dialect: Dialect) -> Option<Chain> {
    (dialect == Dialect::OpenAiResponses).then(|| Chain {
        policy: Arc::clone(policy),
        principal: standing.principal,
        recipe: Arc::clone(&standing.recipe),
        from: standing.named.key,
    })
}

/// The turn state for the reply: where the client's wire has one, and the request is part of a
/// turn.
#[must_use]
pub fn turn_state_for(
    standing: &Standing,
    policy: &Policy,
    dialect: Dialect,
    (decision, model): (&str, &str),
) -> Option<String> {
    let fits = dialect == Dialect::OpenAiResponses
        && policy.mode == Mode::Apply
        && standing.turn.phase != Phase::Helper;
    fits.then(|| {
        let state = TurnState {
            recipe: standing.recipe.to_string(),
            decision: decision.into(),
            model: model.into(),
        };
        let expires = standing.now.saturating_add(policy.turn_state_seconds);
        turn_state::mint(&policy.namer, standing.principal, &state, expires)
    })
}
