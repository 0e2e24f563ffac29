//! Merit's policy: a session's switches never cost more than a share of what the session has cost.
//! Pure: what is known goes in, what to do comes out. The pipeline and the simulator call the same
//! functions.
//!
//! Some requests may not switch at all ([`lock`]). A user's turn may, if it is worth it ([`weigh`])
//! and if the session can afford it ([`affords`]): what all switches of a session have thrown away
//! of prompt caches stays below a share of what the session has cost. That holds by construction,
//! as every switch is charged before it happens, at an upper estimate, against a lower estimate of
//! the bill. Switches that a policy forces are charged as well, so later ones that are only wished
//! for wait.
//!
//! Money is in millionths of the document's currency: tokens times the price of a million.

use super::phase::Phase;
use crate::{Conversation, Current, Offers, StayPolicy};
use selection::card::Prices;
use std::time::Duration;

/// When a session may switch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// What switches may cost, as a share of the bill.
    pub budget: f64,
    /// Advantage that a switch to save money needs, as a share of what staying costs.
    pub margin: f64,
    /// Lead that a switch to a dearer model needs in the algorithm's scores, as a share of the
    /// distance between its best and its worst.
    pub lead: f64,
    /// Share of the way back that a session must be able to afford when it leaves its model for a
    /// cheaper one.
    pub reserve: f64,
    /// Pause after which a session begins again.
    pub idle_timeout: Duration,
    /// How long a provider keeps a prefix in its cache.
    pub cache_lifetime: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        let minutes = Duration::from_secs(300);
        Self {
            budget: 0.25,
            margin: 0.05,
            lead: 0.7,
            reserve: 0.5,
            idle_timeout: minutes,
            cache_lifetime: minutes,
        }
    }
}

/// What a session knows of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Past {
    /// Since the last request of this conversation.
    pub idle: Duration,
    /// Tokens of this request that the current model may have in its cache; an upper estimate.
    pub prefix: u64,
    /// Requests so far.
    pub requests: u64,
    /// Users' turns so far.
    pub turns: u64,
    /// What the session has cost, millionths; a lower estimate.
    pub bill: u64,
    /// What its switches have cost, millionths; an upper estimate.
    pub overhead: u64,
}

impl Past {
    /// Returns what a conversation's record says at a request of at most `tokens` tokens.
    pub fn of(conversation: &Conversation, tokens: u64) -> Self {
        let Some(record) = &conversation.record else {
            return Self::default();
        };
        let thread = conversation.own_thread();
        let at = thread.map_or(record.at.seconds(), |thread| thread.at);
        let counted = thread.and_then(|thread| thread.counted);
        Self {
            idle: Duration::from_secs(conversation.now.seconds().saturating_sub(at)),
            prefix: counted.map_or(tokens, |counted| counted.min(tokens)),
            requests: record.requests,
            turns: record.turns,
            bill: record.bill,
            overhead: record.overhead,
        }
    }
}

/// What is asked of it now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Turn {
    /// The phase.
    pub phase: Phase,
    /// The request carries state that only its own model's provider can read, or refers to such.
    pub sealed: bool,
    /// It carries a turn state of ours: the client says that the turn goes on.
    pub same_turn: bool,
    /// The client names its session.
    pub explicit: bool,
}

/// Why a session stays or switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Stays: a tool loop goes on.
    ToolLoop,
    /// Stays: the turn goes on, as the client's turn state says.
    TurnState,
    /// Stays: provider state would be lost.
    ProviderState,
    /// Stays: a compaction reads the prefix.
    Compaction,
    /// Stays: the session has not yet cost enough for this switch.
    Budget,
    /// Stays: the algorithm prefers the other model by too little.
    SmallLead,
    /// Stays: what the switch would save is less than what it costs.
    NotWorth,
    /// Switches: the session was idle, nothing is in any cache.
    Idle,
    /// Switches: nothing that is in a cache is lost.
    Free,
    /// Switches: it saves more than it costs.
    Saves,
    /// Switches: the algorithm wants the dearer model, and the session can afford it.
    Affordable,
    /// Switches: there are no prices to weigh.
    Unpriced,
    /// Switches: no session id, so only tool loops stay together.
    Unnamed,
    /// Switches: the model is not among those that may answer.
    NotEligible,
}

impl Reason {
    /// Returns the word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToolLoop => "tool_loop",
            Self::TurnState => "turn_state",
            Self::ProviderState => "provider_state",
            Self::Compaction => "compaction",
            Self::Budget => "budget",
            Self::SmallLead => "small_lead",
            Self::NotWorth => "not_worth",
            Self::Idle => "idle",
            Self::Free => "free",
            Self::Saves => "saves",
            Self::Affordable => "affordable",
            Self::Unpriced => "unpriced",
            Self::Unnamed => "unnamed",
            Self::NotEligible => "not_eligible",
        }
    }
}

/// Stay or switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighed {
    /// Stay with the current model.
    Stay(Reason),
    /// Take the proposed model. What that costs must still be [afforded](affords).
    Switch(Reason),
}

/// What a session does with a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// Index of the offer that is taken.
    pub taken: usize,
    /// What that amounts to.
    pub action: Action,
    /// The reason, where there is a choice to explain.
    pub reason: Option<Reason>,
    /// A switch against the session's wish, or one that has no price to check.
    pub forced: bool,
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It begins, or begins again.
    New,
    /// The choice is the model that it uses anyway.
    Same,
    /// It stayed, against the choice.
    Hold,
    /// It goes on with another model.
    Switch,
    /// The request does not belong to the conversation.
    Helper,
}

impl Action {
    /// All of them, for metrics.
    pub const ALL: [Self; 5] = [
        Self::New,
        Self::Same,
        Self::Hold,
        Self::Switch,
        Self::Helper,
    ];

    /// Returns the word of headers and metrics.
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

/// Merit's policy for one request of a session.
#[derive(Debug, Clone, Copy)]
pub struct Budget<'a> {
    /// When the session may switch.
    pub rules: &'a Rules,
    /// What is asked.
    pub turn: &'a Turn,
    /// Tokens of the request, at most.
    pub tokens: u64,
}

impl StayPolicy for Budget<'_> {
    type Offer = Choice;
    type Stay = Stay;

    fn decide(&self, conversation: &Conversation, offers: &Offers<'_, Choice>) -> Stay {
        let proposed = offers.proposed;
        let stay = |taken, action, reason| Stay {
            taken,
            action,
            reason,
            forced: false,
        };
        let lock = lock(self.turn);
        let past = Past::of(conversation, self.tokens);
        let current = match (offers.current, lock) {
            (Current::Unknown, _) => return stay(proposed, Action::New, None),
            (Current::Offer(current), _) if current == proposed => {
                return stay(proposed, Action::Same, lock);
            }
            (Current::Offer(current), Some(_)) => return stay(current, Action::Hold, lock),
            (Current::Offer(current), None) => Some(current),
            (Current::NotOffered, None) if !self.turn.explicit => None,
            (Current::NotOffered, None) if past.idle >= self.rules.idle_timeout => None,
            (Current::NotOffered, _) => {
                return Stay {
                    forced: true,
                    ..stay(proposed, Action::Switch, Some(Reason::NotEligible))
                };
            }
        };

        let unknown = Choice::default();
        let from = current
            .and_then(|current| offers.models.get(current))
            .unwrap_or(&unknown);
        match choose(&past, self.turn, from, offers.models, proposed, self.rules) {
            (None, reason) => stay(current.unwrap_or(proposed), Action::Hold, Some(reason)),
            (Some(_), reason @ (Reason::Idle | Reason::Unnamed)) => {
                stay(proposed, Action::New, Some(reason))
            }
            (Some(taken), reason) => Stay {
                forced: reason == Reason::Unpriced,
                ..stay(taken, Action::Switch, Some(reason))
            },
        }
    }
}

/// Returns why a request may not switch, whatever it would save. A pause opens no lock: a tool may
/// run for long, and state stays sealed.
#[must_use]
pub fn lock(turn: &Turn) -> Option<Reason> {
    if turn.same_turn {
        Some(Reason::TurnState)
    } else if turn.phase == Phase::ToolLoop {
        Some(Reason::ToolLoop)
    } else if turn.sealed {
        Some(Reason::ProviderState)
    } else if turn.phase == Phase::Compaction && turn.explicit {
        Some(Reason::Compaction)
    } else {
        None
    }
}

/// Returns what a switch throws away: the prefix at the new model's price of reading or writing it
/// again, less that of a cached one.
#[must_use]
pub fn overhead(prefix: u64, to: &Prices) -> u64 {
    upward(prefix as f64 * above_cached(to))
}

fn above_cached(prices: &Prices) -> f64 {
    (prices.prompt.max(prices.cache_write) - prices.cached).max(0.0)
}

/// Returns whether switches that have cost `spent` may cost `more`.
#[must_use]
pub fn affords(rules: &Rules, bill: u64, spent: u64, more: u64) -> bool {
    more == 0 || spent.saturating_add(more) as f64 <= rules.budget * bill as f64
}

/// A model that may answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Choice {
    /// Its prices.
    pub prices: Option<Prices>,
    /// The algorithm's score of it, on any scale; `None` if it gave none.
    pub score: Option<f64>,
}

/// Chooses a model for a user's turn: the algorithm's `proposed`, or one that it ranks between this
/// and the session's own, `from`. Returns none where the session stays.
///
/// The proposal is weighed first, then what the algorithm likes next. So a session that cannot
/// afford the dearest model moves to one that it can, if the algorithm prefers that to the model
/// that it has.
#[must_use]
pub fn choose(
    past: &Past,
    turn: &Turn,
    from: &Choice,
    choices: &[Choice],
    proposed: usize,
    rules: &Rules,
) -> (Option<usize>, Reason) {
    let mut first = None;
    let far = rules.lead * spread(choices);
    for index in ranked(from, choices, proposed) {
        let Some(to) = choices.get(index) else {
            continue;
        };
        let near = matches!((to.score, from.score), (Some(to), Some(from)) if to - from < far);
        let weighed = match weigh(past, turn, from.prices.as_ref(), to.prices.as_ref(), rules) {
            Weighed::Switch(Reason::Affordable) if near => Weighed::Stay(Reason::SmallLead),
            weighed => weighed,
        };
        match weighed {
            Weighed::Switch(reason) => return (Some(index), reason),
            Weighed::Stay(reason) => first = first.or(Some(reason)),
        }
    }
    (None, first.unwrap_or(Reason::SmallLead))
}

/// Returns how far the algorithm's best score is from its worst.
fn spread(choices: &[Choice]) -> f64 {
    let scores = || choices.iter().filter_map(|choice| choice.score);
    (scores().fold(f64::MIN, f64::max) - scores().fold(f64::MAX, f64::min)).max(0.0)
}

/// Ranks the proposal, then what the algorithm prefers to the session's model, best first.
fn ranked(from: &Choice, choices: &[Choice], proposed: usize) -> Vec<usize> {
    let gain = |index: usize| Some(choices.get(index)?.score? - from.score?);
    let mut ranked: Vec<usize> = (0..choices.len())
        .filter(|&index| index == proposed || gain(index).is_some_and(|gain| gain > 0.0))
        .collect();
    ranked.sort_by(|&one, &other| {
        gain(other)
            .unwrap_or(0.0)
            .total_cmp(&gain(one).unwrap_or(0.0))
    });
    ranked.sort_by_key(|&index| index != proposed);
    ranked
}

/// Weighs whether a user's turn should go to the model `to` instead of the session's, `from`.
#[must_use]
pub fn weigh(
    past: &Past,
    turn: &Turn,
    from: Option<&Prices>,
    to: Option<&Prices>,
    rules: &Rules,
) -> Weighed {
    if !turn.explicit {
        return Weighed::Switch(Reason::Unnamed);
    }
    if past.idle >= rules.idle_timeout {
        return Weighed::Switch(Reason::Idle);
    }
    let (Some(from), Some(to)) = (from, to) else {
        return Weighed::Switch(Reason::Unpriced);
    };
    let cost = overhead(past.prefix, to);
    if cost == 0 {
        return Weighed::Switch(Reason::Free);
    }
    if !affords(rules, past.bill, past.overhead, cost) {
        return Weighed::Stay(Reason::Budget);
    }
    let (stay, switch) = (running(past, from), running(past, to));
    if switch >= stay {
        // It never pays, so the algorithm wants it for another reason than money.
        return Weighed::Switch(Reason::Affordable);
    }
    let back = upward(rules.reserve * overhead(past.prefix, from) as f64);
    if !affords(rules, past.bill, past.overhead.saturating_add(cost), back) {
        return Weighed::Stay(Reason::Budget);
    }
    let cold = if past.idle >= rules.cache_lifetime {
        overhead(past.prefix, from) as f64
    } else {
        0.0
    };
    let saved = (stay - switch) * horizon(past) + cold;
    let worth = saved >= cost as f64 + rules.margin * (stay * horizon(past) + cold);
    if worth {
        Weighed::Switch(Reason::Saves)
    } else {
        Weighed::Stay(Reason::NotWorth)
    }
}

/// Returns the cost of a request whose prefix is in the cache. Assumes 2 % new tokens per request.
fn running(past: &Past, prices: &Prices) -> f64 {
    let prefix = past.prefix as f64;
    let said = (prefix * SAID).max(LEAST_SAID);
    prefix * prices.cached + said * prices.prompt + said * prices.completion
}

/// What a request adds to its prefix, as a share of it, and at least, tokens.
const SAID: f64 = 0.02;
const LEAST_SAID: f64 = 200.0;

/// Returns how many requests the new model will probably answer: those of one user's turn. Beyond
/// it the next turn's choice counts.
fn horizon(past: &Past) -> f64 {
    (past.requests as f64 / past.turns.max(1) as f64).clamp(1.0, 50.0)
}

fn upward(money: f64) -> u64 {
    money.ceil() as u64
}
