//! A request in its session: which one, what part of it, what is known.

use super::budget::{self, Past, Turn};
use super::identity::{SessionHints, SessionRef};
use super::phase::Phase;
use super::turn_state::{self, TurnState};
use super::{Mode, Policy, Sessions};
use crate::credential::Void;
use crate::{Conversation, ConversationKey, StoreError, Timestamp};
use dialects::{Dialect, Prompt};
use selection::algorithms::Continuation;
use selection::card::Prices;
use signals::families::Identity;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of text that no token is longer than, on average: for lower estimates.
const LONGEST_TOKEN: u64 = 8;

/// A request in its session.
#[derive(Debug, Clone)]
pub struct SessionContext {
    /// The session.
    pub session: SessionRef,
    /// What is asked.
    pub turn: Turn,
    /// What is known of it.
    pub conversation: Conversation,
    /// The turn state that the client sent.
    pub turn_state: Option<Result<TurnState, Void>>,
    /// Why the shared store was of no use.
    pub degraded: Option<&'static str>,
    pub(super) principal: u128,
    pub(super) recipe: Arc<str>,
    pub(super) tokens: PromptTokens,
}

/// Estimates of a prompt's tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PromptTokens {
    pub(super) most: u64,
    pub(super) least: u64,
}

/// A request whose session is looked for.
#[derive(Debug, Clone, Copy)]
pub struct SessionLookup<'a> {
    /// What it says.
    pub prompt: &'a Prompt,
    /// What its headers say.
    pub hints: SessionHints<'a>,
    /// The caller.
    pub identity: &'a Identity,
    /// The recipe that it is for.
    pub recipe: &'a Arc<str>,
    /// When it came.
    pub now: Timestamp,
}

impl SessionContext {
    /// Finds the session of a request, here and in the shared store.
    pub async fn find(
        policy: &Policy,
        sessions: &Sessions,
        lookup: SessionLookup<'_>,
        deadline: Instant,
    ) -> Self {
        let SessionLookup {
            prompt,
            hints,
            identity,
            recipe,
            now,
        } = lookup;
        let principal = policy.keyer.principal(identity, &hints);
        let session = policy.keyer.session(principal, recipe, prompt, &hints);
        let turn_state = hints
            .turn_state
            .map(|header| turn_state::read(&policy.keyer, principal, header, now.seconds()));

        let until = deadline.min(Instant::now() + policy.store_timeout);
        let refreshed = sessions.refresh(session.key, until).await;

        let continuity = &prompt.continuity;
        let stored = continuity.conversation.is_some() || continuity.previous_response.is_some();
        let same_turn = matches!(&turn_state, Some(Ok(state)) if state.recipe == **recipe);
        let turn = Turn {
            phase: Phase::of(prompt, hints.class, &policy.texts),
            sealed: continuity.sealed_state || stored,
            same_turn,
            explicit: session.source.is_explicit(),
        };
        Self {
            session,
            turn,
            conversation: sessions.find(session.key, session.thread, now),
            turn_state,
            degraded: refreshed.err().as_ref().map(degraded),
            principal,
            recipe: Arc::clone(recipe),
            tokens: PromptTokens {
                most: prompt.tokens.prompt(),
                least: prompt.tokens.text_bytes / LONGEST_TOKEN,
            },
        }
    }

    /// Returns the model to stay with, if there is one: that of the turn state, of the request's
    /// thread, or, where a lock asks for one, of the session's last request.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        if let (true, Some(Ok(state))) = (self.turn.same_turn, &self.turn_state) {
            return Some(&state.model);
        }
        if let Some(thread) = self.conversation.own_thread() {
            return Some(&thread.model);
        }
        let record = self.conversation.record.as_ref()?;
        budget::lock(&self.turn).is_some().then_some(&*record.model)
    }

    /// Returns the session's number from 0 to 1, excluding 1.
    #[must_use]
    pub fn draw(&self) -> f64 {
        (self.session.key.0 >> 75) as f64 / (1_u64 << 53) as f64
    }

    /// Returns what algorithms may know of the conversation.
    #[must_use]
    pub fn continuation<'a>(&'a self, prompt: &Prompt) -> Continuation<'a> {
        let thread = self.conversation.own_thread();
        let record = self
            .conversation
            .record
            .as_ref()
            .filter(|_| thread.is_some());
        Continuation {
            turns: record.map_or(0, |record| record.turns),
            history_tokens: thread.and_then(|thread| thread.counted).unwrap_or(0),
            previous_model: thread.map(|thread| &*thread.model),
            previous_response: prompt.continuity.previous_response.is_some(),
        }
    }

    /// Returns a lower bound of the request's cost, millionths: everything except the newly added
    /// tokens may be a cache hit, and nobody has sent those before.
    pub(super) fn least_price(&self, prices: &Prices) -> u64 {
        let tokens = self.tokens.least;
        let before = self
            .conversation
            .own_thread()
            .map_or(tokens, |thread| thread.least.min(tokens));
        let fresh = prices.prompt.min(prices.completion);
        (before as f64 * prices.cached.min(prices.prompt) + (tokens - before) as f64 * fresh) as u64
    }

    /// Returns what the policy weighs of the session's past.
    pub(super) fn past(&self) -> Past {
        Past::of(&self.conversation, self.tokens.most)
    }
}

/// Returns the reason after `session=` in the degraded header.
fn degraded(error: &StoreError) -> &'static str {
    match error {
        StoreError::Timeout | StoreError::Unavailable(_) => "store_unavailable",
        StoreError::UnknownVersion { .. } => error.as_str(),
    }
}

/// Finds a session again by the id of a response, as `previous_response_id` names it.
#[derive(Debug, Clone)]
pub struct Chain {
    policy: Arc<Policy>,
    principal: u128,
    recipe: Arc<str>,
    from: ConversationKey,
}

impl Chain {
    /// Records the id of a response: requests that go on from it belong to the same session.
    pub fn goes_on(&self, sessions: &Sessions, response_id: &str) {
        let key = self
            .policy
            .keyer
            .response(self.principal, &self.recipe, response_id);
        sessions.follow(self.from, key);
    }
}

/// Returns how the session is found again by the response's id, on the wire that has one.
#[must_use]
pub fn chain_for(
    context: &SessionContext,
    policy: &Arc<Policy>,
    dialect: Dialect,
) -> Option<Chain> {
    (dialect == Dialect::OpenAiResponses).then(|| Chain {
        policy: Arc::clone(policy),
        principal: context.principal,
        recipe: Arc::clone(&context.recipe),
        from: context.session.key,
    })
}

/// Returns the turn state for the reply, where the client's wire has one and the request is part of
/// a turn.
#[must_use]
pub fn turn_state_for(
    context: &SessionContext,
    policy: &Policy,
    dialect: Dialect,
    decision: &str,
    model: &str,
) -> Option<String> {
    let fits = dialect == Dialect::OpenAiResponses
        && policy.mode == Mode::Apply
        && context.turn.phase != Phase::Helper;
    fits.then(|| {
        let state = TurnState {
            recipe: context.recipe.to_string(),
            decision: decision.into(),
            model: model.into(),
        };
        let now = context.conversation.now.seconds();
        let expires = now.saturating_add(policy.turn_state_seconds);
        turn_state::mint(&policy.keyer, context.principal, &state, expires)
    })
}
