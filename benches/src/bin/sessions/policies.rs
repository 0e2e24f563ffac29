//! The policies side by side. Merit's and the reference's are the router's own functions, not
//! copies.

use crate::world::{Assumptions, Caches, MODELS, Request, prices};
use conversation::learning::reference::{
    self, ConversationState, ModelEvidence, Reference, Scope, Tuning,
};
use conversation::session::Phase;
use conversation::session::budget::{self, Choice, Past, Rules, Turn};
use conversation::{Conversation, ConversationKey, Current, Offers, StayPolicy as _, Timestamp};
use selection::card::{Card, Tokens};
use std::time::Duration;

/// Chooses a model for each request of a session.
pub(crate) trait Policy {
    /// The model for a request.
    fn choose(&mut self, request: &Request, caches: &Caches, world: &Assumptions) -> usize;

    /// Its answer, and what it cost, millionths.
    fn answered(&mut self, _request: &Request, _model: usize, _tokens: Tokens, _cost: f64) {}
}

/// All of them, by name.
pub(crate) const NAMES: [&str; 5] = [
    "per-turn",
    "always-stay",
    "formula",
    "formula-chat",
    "merit",
];

/// A policy for one session.
pub(crate) fn policy(name: &str, rules: Rules, world: &Assumptions) -> Box<dyn Policy> {
    match name {
        "per-turn" => Box::new(PerTurn),
        "always-stay" => Box::new(AlwaysStay(None)),
        "formula" => Box::new(Formula {
            knows_history: true,
            ..Formula::default()
        }),
        "formula-chat" => Box::new(Formula::default()),
        _ => Box::new(Merit::new(Rules {
            cache_lifetime: Duration::from_secs_f64(world.lifetime),
            ..rules
        })),
    }
}

/// The selector's choice.
fn best(scores: &[f64; MODELS.len()]) -> usize {
    (0..MODELS.len()).fold(0, |best, model| {
        if scores[model] > scores[best] {
            model
        } else {
            best
        }
    })
}

/// Whatever the selector says, at every request.
struct PerTurn;

impl Policy for PerTurn {
    fn choose(&mut self, request: &Request, _caches: &Caches, _world: &Assumptions) -> usize {
        best(&request.scores)
    }
}

/// The model of the first request that is no helper.
struct AlwaysStay(Option<usize>);

impl Policy for AlwaysStay {
    fn choose(&mut self, request: &Request, _caches: &Caches, _world: &Assumptions) -> usize {
        if request.phase == Phase::Helper {
            return best(&request.scores);
        }
        *self.0.get_or_insert(best(&request.scores))
    }
}

/// The reference's protection with its defaults. It knows of no helpers, compactions or sealed
/// state. With `knows_history` it gets everything that it can use; without, what the reference
/// really has for chat requests: no history, and no warmth.
#[derive(Default)]
struct Formula {
    knows_history: bool,
    current: Option<usize>,
    at: f64,
    turns: u64,
    switches: u64,
}

impl Policy for Formula {
    fn choose(&mut self, request: &Request, caches: &Caches, world: &Assumptions) -> usize {
        let cards: Vec<Card> = (0..MODELS.len())
            .map(|model| Card {
                prices: Some(prices(model, world)),
                ..Card::default()
            })
            .collect();
        let pressures = reference::pressures(&cards.iter().collect::<Vec<_>>());
        let models: Vec<ModelEvidence> = (0..MODELS.len())
            .map(|model| ModelEvidence {
                base: Some(request.scores[model]),
                pressure: pressures[model],
                ..ModelEvidence::default()
            })
            .collect();
        let known = self.knows_history;
        let warmth = self
            .current
            .map(|model| caches.cached(model, request, world) as f64 / request.prompt as f64);
        let state = ConversationState {
            turns: self.turns,
            switches: self.switches,
            history_tokens: if known { request.shared } else { 0 },
            context_tokens: request.prompt,
            warmth: warmth.filter(|_| known),
            idle_for: Some(Duration::from_secs_f64((request.at - self.at).max(0.0))),
            tool_loop: request.phase == Phase::ToolLoop,
            previous_response: false,
        };
        let base = best(&request.scores);
        let tuning = Tuning::default();
        let policy = Reference {
            state,
            base,
            tuning: &tuning,
            scope: Scope::Conversation,
        };
        // The state says all that is known of the conversation.
        let conversation = Conversation {
            key: ConversationKey(0),
            thread: 0,
            record: None,
            now: Timestamp(0),
        };
        let offers = Offers {
            models: &models,
            proposed: base,
            current: self.current.map_or(Current::Unknown, Current::Offer),
        };
        policy.decide(&conversation, &offers).winner
    }

    fn answered(&mut self, request: &Request, model: usize, _tokens: Tokens, _cost: f64) {
        self.turns += 1;
        self.switches += u64::from(self.current.is_some_and(|current| current != model));
        self.current = Some(model);
        self.at = request.at;
    }
}

/// Merit's sessions.
struct Merit {
    rules: Rules,
    /// Model, time and counted prefix of the conversation.
    thread: Option<(u32, usize, f64, u64)>,
    last: Option<usize>,
    requests: u64,
    turns: u64,
    bill: f64,
    overhead: u64,
}

impl Merit {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            thread: None,
            last: None,
            requests: 0,
            turns: 0,
            bill: 0.0,
            overhead: 0,
        }
    }
}

impl Policy for Merit {
    fn choose(&mut self, request: &Request, _caches: &Caches, world: &Assumptions) -> usize {
        let proposed = best(&request.scores);
        let turn = Turn {
            phase: request.phase,
            sealed: request.sealed,
            same_turn: false,
            explicit: true,
        };
        if request.phase == Phase::Helper {
            return proposed;
        }
        let thread = self.thread.filter(|thread| thread.0 == request.thread);
        let locked = budget::lock(&turn).is_some();
        let Some(current) = thread
            .map(|thread| thread.1)
            .or(self.last.filter(|_| locked))
        else {
            return proposed;
        };
        if locked || proposed == current {
            return current;
        }
        let (_, _, at, counted) = thread.unwrap_or_default();
        let past = Past {
            idle: Duration::from_secs_f64((request.at - at).max(0.0)),
            prefix: counted.min(request.prompt),
            requests: self.requests,
            turns: self.turns,
            bill: self.bill as u64,
            overhead: self.overhead,
        };
        let choices: Vec<Choice> = (0..MODELS.len())
            .map(|model| Choice {
                prices: Some(prices(model, world)),
                score: Some(request.scores[model]),
            })
            .collect();
        let (taken, reason) = budget::choose(
            &past,
            &turn,
            &choices[current],
            &choices,
            proposed,
            &self.rules,
        );
        let Some(taken) = taken else { return current };
        if reason == budget::Reason::Idle {
            *self = Self::new(self.rules);
        } else {
            self.overhead += budget::overhead(past.prefix, &prices(taken, world));
        }
        taken
    }

    fn answered(&mut self, request: &Request, model: usize, tokens: Tokens, cost: f64) {
        if request.phase == Phase::Helper {
            return;
        }
        self.thread = Some((
            request.thread,
            model,
            request.at,
            tokens.prompt + tokens.completion,
        ));
        self.last = Some(model);
        self.requests += 1;
        self.turns += u64::from(request.phase == Phase::UserTurn);
        self.bill += cost;
    }
}
