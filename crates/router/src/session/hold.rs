//! What is known of a request's session, and what that makes of the model that was chosen.

use super::identity::{Marks, Named};
use super::phase::Phase;
use super::stay::{self, Choice, Past, Reason, Turn};
use super::turn_state::{self, TurnState};
use super::{Mode, Policy, Seen, SessionKey, Sessions, Ticket};
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
    principal: u128,
    recipe: Arc<str>,
    now: u64,
    /// Tokens of the prompt, at most and at least.
    tokens: (u64, u64),
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
    pub async fn find(policy: &Policy, sessions: &Sessions, asking: Asking<'_>, deadline: Instant) -> Self {
        let Asking { prompt, marks, identity, recipe, now } = asking;
        let principal = policy.namer.principal(identity, &marks);
        let named = policy.namer.name(principal, recipe, prompt, &marks);
        let turn_state = marks.turn_state.map(|header| turn_state::read(&policy.namer, principal, header, now));
        let until = deadline.min(Instant::now() + policy.store_timeout);
        let store_failed = sessions.fetch(named.key, until).await.is_err();
        let continuity = &prompt.continuity;
        let kept = continuity.conversation.is_some() || continuity.previous_response.is_some();
        let same_recipe = |state: &Result<TurnState, Void>| state.as_ref().is_ok_and(|state| state.recipe == **recipe);
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
            tokens: (prompt.tokens.prompt(), prompt.tokens.text_bytes / LONGEST_TOKEN),
        }
    }

    /// The model to stay with, if there is one: that of the turn state, of the conversation, or, where a lock asks for one, of
    /// the session's last request.
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

    /// What the request costs at least, millionths. All may be in a cache but what the conversation has grown by: nobody has sent
    /// that before, be it an answer or the user's words.
    fn least_price(&self, prices: &Prices) -> u64 {
        let (_, tokens) = self.tokens;
        let before = self.seen.as_ref().filter(|seen| seen.same_thread).map_or(tokens, |seen| seen.least.min(tokens));
        let fresh = prices.prompt.min(prices.completion);
        (before as f64 * prices.cached.min(prices.prompt) + (tokens - before) as f64 * fresh) as u64
    }

    fn past(&self) -> Past {
        let Some(seen) = &self.seen else { return Past::default() };
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

/// A model that may answer.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Its name, or its adapter's.
    pub model: &'a str,
    /// Its prices.
    pub prices: Option<Prices>,
    /// The algorithm's score of it, if it gave one.
    pub score: Option<f64>,
}

/// What became of the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// This offer is taken.
    Offer(usize),
    /// The session's model is, which is none of the offers.
    Other,
}

/// What a session did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It begins, or begins anew.
    New,
    /// The choice is the model that it uses anyway.
    Same,
    /// It stayed, against the choice.
    Hold,
    /// It goes on with another model.
    Switch,
    /// The request is none of its own.
    Helper,
}

impl Outcome {
    /// All of them, for metrics.
    pub const ALL: [Self; 5] = [Self::New, Self::Same, Self::Hold, Self::Switch, Self::Helper];

    /// The word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Same => "same",
            Self::Hold => "hold",
            Self::Switch => "switch",
            Self::Helper => "helper",
        }
    }
}

/// What a session did, for headers, traces and metrics, and what is to be noted once the request is sent.
#[derive(Debug, Clone)]
pub struct Told {
    /// The phase.
    pub phase: Phase,
    /// What the session did.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<Reason>,
    /// The session's model before.
    pub previous: Option<Arc<str>>,
    /// What the algorithm chose, if the session did not follow it.
    pub proposed: Option<Arc<str>>,
    /// A lock that could not be kept, or a session that cannot be known: the reason after `session=`.
    pub degraded: Option<&'static str>,
    /// What switches may still cost, millionths; `None` without prices.
    pub budget_left: Option<u64>,
    /// Nothing was applied: `mode: observe`.
    pub observed: bool,
    /// What the answer is counted to; none for helpers.
    pub ticket: Option<Ticket>,
    /// The turn state for the reply; none on other wires.
    pub turn_state: Option<String>,
    /// How a later request finds the session by this response's id; none on other wires.
    pub chain: Option<Chain>,
    pub(super) prices: Option<Prices>,
    pub(super) anew: bool,
    pub(super) least: u64,
    pub(super) forced: u64,
    pub(super) charged: u64,
}

impl Told {
    /// What a session's first request amounts to where nothing is known of prices.
    #[must_use]
    pub fn first(ticket: Ticket) -> Self {
        Self {
            phase: Phase::UserTurn,
            outcome: Outcome::New,
            reason: None,
            previous: None,
            proposed: None,
            degraded: None,
            budget_left: None,
            observed: false,
            ticket: Some(ticket),
            turn_state: None,
            chain: None,
            prices: None,
            anew: false,
            least: 0,
            forced: 0,
            charged: 0,
        }
    }
}

impl std::fmt::Display for Told {
    /// `hold=tool_loop;proposed=small;budget_left=120`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.outcome.as_str())?;
        if let Some(reason) = self.reason {
            write!(f, "={}", reason.as_str())?;
        }
        if let Some(proposed) = &self.proposed {
            write!(f, ";proposed={proposed}")?;
        }
        if let Some(previous) = self.previous.as_ref().filter(|_| self.outcome == Outcome::Switch) {
            write!(f, ";previous={previous}")?;
        }
        if let Some(left) = self.budget_left {
            write!(f, ";budget_left={left}")?;
        }
        if self.observed {
            f.write_str(";observed")?;
        }
        Ok(())
    }
}

/// What a choice is made from.
#[derive(Clone, Copy)]
pub struct Choosing<'a> {
    /// The section.
    pub policy: &'a Policy,
    /// All sessions.
    pub sessions: &'a Sessions,
    /// Models that may answer.
    pub offers: &'a [Offer<'a>],
    /// The algorithm's choice among them.
    pub proposed: usize,
    /// A model that is no offer may answer as far as boundaries, abilities and rest go.
    pub allows: &'a dyn Fn(&str) -> bool,
}

/// What is decided before anything is charged.
struct Draft {
    held: Held,
    outcome: Outcome,
    reason: Option<Reason>,
    degraded: Option<&'static str>,
    /// A switch against the session's wish, or one that has no price to check.
    forced: bool,
}

impl Draft {
    fn new(held: Held, outcome: Outcome, reason: Option<Reason>) -> Self {
        Self { held, outcome, reason, degraded: None, forced: false }
    }
}

/// Stays or switches.
#[must_use]
pub fn hold(standing: &Standing, choosing: &Choosing<'_>) -> (Held, Told) {
    let mut draft = draft(standing, choosing);
    let past = standing.past();
    let applies = choosing.policy.mode == Mode::Apply;
    let to = match draft.held {
        Held::Offer(index) => choosing.offers.get(index),
        Held::Other => None,
    };
    let cost = match (draft.outcome, to.and_then(|offer| offer.prices)) {
        (Outcome::Switch, Some(prices)) => stay::overhead(past.prefix, &prices),
        _ => 0,
    };
    let mut charged = 0;
    if draft.outcome == Outcome::Switch && !draft.forced && applies {
        if choosing.sessions.charge(standing.named.key, cost, &choosing.policy.rules) {
            charged = cost;
        } else if let Some(stays) = standing.current().and_then(|current| place(current, choosing)) {
            draft = Draft::new(stays, Outcome::Hold, Some(Reason::Budget));
        }
    }
    let held = if applies || draft.outcome == Outcome::Helper { draft.held } else { Held::Offer(choosing.proposed) };
    let forced = if draft.outcome == Outcome::Switch && charged == 0 { cost } else { 0 };
    let told = tell(standing, choosing, (held, draft), (forced, charged));
    (held, told)
}

fn draft(standing: &Standing, choosing: &Choosing<'_>) -> Draft {
    let takes = Held::Offer(choosing.proposed);
    let turn = &standing.turn;
    if turn.phase == Phase::Helper {
        let cheapest = choosing.policy.cheapest_helpers && choosing.policy.mode == Mode::Apply;
        let takes = if cheapest { Held::Offer(self::cheapest(choosing)) } else { takes };
        return Draft::new(takes, Outcome::Helper, None);
    }
    let lock = stay::lock(turn);
    let Some(current) = standing.current() else {
        let unknown = turn.sealed.then_some("provider_state_of_unknown_model");
        return Draft { degraded: unknown, ..Draft::new(takes, Outcome::New, None) };
    };
    let Some(proposed) = choosing.offers.get(choosing.proposed) else {
        return Draft::new(takes, Outcome::New, None);
    };
    if proposed.model == current {
        return Draft::new(takes, Outcome::Same, lock);
    }
    let stays = place(current, choosing);
    match (lock, stays) {
        (Some(lock), Some(stays)) => Draft::new(stays, Outcome::Hold, Some(lock)),
        (Some(_), None) => Draft {
            degraded: Some("locked_model_unavailable"),
            forced: true,
            ..Draft::new(takes, Outcome::Switch, Some(Reason::NotEligible))
        },
        (None, None) if turn.explicit && standing.past().idle < choosing.policy.rules.idle_timeout => {
            Draft { forced: true, ..Draft::new(takes, Outcome::Switch, Some(Reason::NotEligible)) }
        }
        (None, _) => {
            let choice = |offer: &Offer<'_>| Choice { prices: offer.prices, score: offer.score };
            let own = choosing.offers.iter().find(|offer| offer.model == current).map(choice);
            let from = own.unwrap_or_else(|| Choice { prices: prices_of(current, choosing), score: None });
            let choices: Vec<Choice> = choosing.offers.iter().map(choice).collect();
            let asked = (&from, choices.as_slice(), choosing.proposed);
            match stay::choose(&standing.past(), turn, asked, &choosing.policy.rules) {
                (None, reason) => Draft::new(stays.unwrap_or(takes), Outcome::Hold, Some(reason)),
                (Some(_), reason @ (Reason::Idle | Reason::Unnamed)) => Draft::new(takes, Outcome::New, Some(reason)),
                (Some(index), reason) => Draft {
                    forced: reason == Reason::Unpriced,
                    ..Draft::new(Held::Offer(index), Outcome::Switch, Some(reason))
                },
            }
        }
    }
}

/// Where the session's model is, if it may answer.
fn place(current: &str, choosing: &Choosing<'_>) -> Option<Held> {
    let offer = choosing.offers.iter().position(|offer| offer.model == current);
    let other = || (choosing.policy.any && (choosing.allows)(current)).then_some(Held::Other);
    offer.map(Held::Offer).or_else(other)
}

fn prices_of(model: &str, choosing: &Choosing<'_>) -> Option<Prices> {
    let offer = choosing.offers.iter().find(|offer| offer.model == model);
    offer.map_or_else(|| choosing.sessions.prices(model), |offer| offer.prices)
}

fn cheapest(choosing: &Choosing<'_>) -> usize {
    let price = |offer: &Offer<'_>| offer.prices.map(|prices| prices.prompt + prices.completion);
    let priced = choosing.offers.iter().enumerate().filter_map(|(index, offer)| Some((index, price(offer)?)));
    priced.min_by(|one, other| one.1.total_cmp(&other.1)).map_or(choosing.proposed, |(index, _)| index)
}

fn tell(
    standing: &Standing,
    choosing: &Choosing<'_>,
    (held, draft): (Held, Draft),
    (forced, charged): (u64, u64),
) -> Told {
    let taken = match held {
        Held::Offer(index) => choosing.offers.get(index).and_then(|offer| offer.prices),
        Held::Other => standing.current().and_then(|current| prices_of(current, choosing)),
    };
    let billed = taken.map_or(0, |prices| standing.least_price(&prices));
    let anew = draft.outcome == Outcome::New && draft.reason.is_some();
    let named = standing.named;
    let budget_left = taken.map(|_| {
        let past = if anew { Past::default() } else { standing.past() };
        let budget = (choosing.policy.rules.budget * past.bill as f64) as u64;
        budget.saturating_sub(past.overhead.saturating_add(forced + charged))
    });
    let stayed = draft.outcome != Outcome::Helper && held != Held::Offer(choosing.proposed);
    let store = standing.store_failed.then_some("store_unavailable");
    Told {
        phase: standing.turn.phase,
        outcome: draft.outcome,
        reason: draft.reason,
        previous: standing.current().map(Arc::from),
        proposed: choosing.offers.get(choosing.proposed).filter(|_| stayed).map(|offer| offer.model.into()),
        degraded: draft.degraded.or(store),
        budget_left,
        observed: choosing.policy.mode == Mode::Observe,
        ticket: (draft.outcome != Outcome::Helper).then_some(Ticket { key: named.key, thread: named.thread, billed }),
        turn_state: None,
        chain: None,
        prices: taken,
        anew,
        least: standing.tokens.1,
        forced,
        charged,
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
        let key = self.policy.namer.response(self.principal, &self.recipe, response_id);
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

/// The turn state for the reply: where the client's wire has one, and the request is part of a turn.
#[must_use]
pub fn turn_state_for(
    standing: &Standing,
    policy: &Policy,
    dialect: Dialect,
    (decision, model): (&str, &str),
) -> Option<String> {
    let fits =
        dialect == Dialect::OpenAiResponses && policy.mode == Mode::Apply && standing.turn.phase != Phase::Helper;
    fits.then(|| {
        let state = TurnState { recipe: standing.recipe.to_string(), decision: decision.into(), model: model.into() };
        let expires = standing.now.saturating_add(policy.turn_state_seconds);
        turn_state::mint(&policy.namer, standing.principal, &state, expires)
    })
}

#[cfg(test)]
mod tests;
