//! Sessions: which requests belong together, and when they stay with the model that they already
//! use. Merit's own policy on conversations.
//!
//! ```yaml
//! global:
//!   router:
//!     sessions: {mode: apply, hold: candidates, switch_budget_percent: 25}
//! ```
//!
//! [`identity`] names the session, [`phase`] says what part of it a request is, [`context`] finds
//! it, [`budget`] decides, [`hold`] applies that to a decision's candidates. A session never leaves
//! what boundaries, abilities and health allow, and under `hold: candidates` not what the winning
//! decision lists: policy wins, and a lock that it breaks shows.

pub mod budget;
pub mod context;
pub mod hold;
pub mod identity;
pub mod outcome;
pub mod phase;
pub mod settings;
pub mod turn_state;

pub use budget::Action;
pub use context::{Chain, SessionContext, SessionLookup};
pub use hold::{ChoiceInput, Chosen, ModelOffer};
pub use identity::{SessionHints, SessionRef, Source};
pub use outcome::SessionOutcome;
pub use phase::Phase;

use crate::credential::Secret;
use crate::{
    Conversation, ConversationKey, Conversations, SharedStore, Step, StoreError, Timestamp,
};
use document::Problem;
use identity::SessionKeyer;
use phase::PhaseTexts;
use selection::card::{Prices, Tokens};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sessions that are remembered until a document says how many.
const CAPACITY: usize = 100_000;

/// What a request's answer is counted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The session.
    pub key: ConversationKey,
    /// The request's thread.
    pub thread: u32,
    /// What its bill already holds of this request, millionths.
    pub billed: u64,
}

/// All sessions; they outlive reloads.
#[derive(Debug)]
pub struct Sessions {
    conversations: Conversations,
    overhead: AtomicU64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            conversations: Conversations::new("session", CAPACITY),
            overhead: AtomicU64::new(0),
        }
    }
}

impl Sessions {
    /// Returns how many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.conversations.len()
    }

    /// Returns whether no session is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conversations.is_empty()
    }

    /// Returns how many had to be forgotten for others.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.conversations.forgotten()
    }

    /// Returns what all switches have cost, millionths of the document's currency, at an upper
    /// estimate.
    #[must_use]
    pub fn switch_overhead(&self) -> u64 {
        self.overhead.load(Ordering::Relaxed)
    }

    /// Limits how many are remembered.
    pub fn limit(&self, capacity: u32) {
        self.conversations.limit(capacity as usize);
    }

    /// Shares sessions with other replicas; the store keeps them for `keep` after their last
    /// request.
    pub fn share(&self, store: Arc<dyn SharedStore>, keep: Duration) {
        self.conversations.share(store, keep);
    }

    /// Finds a session among those that this process remembers.
    #[must_use]
    pub fn find(&self, key: ConversationKey, thread: u32, now: Timestamp) -> Conversation {
        self.conversations.find(key, thread, now)
    }

    /// Takes over what other replicas know of a session.
    ///
    /// # Errors
    /// The store is of no use; what this process knows still counts.
    pub async fn refresh(&self, key: ConversationKey, deadline: Instant) -> Result<(), StoreError> {
        self.conversations.refresh(key, deadline).await
    }

    /// Records a request that was sent to this model.
    pub fn sent(&self, outcome: &SessionOutcome, model: &str, now: Timestamp) {
        let Some(ticket) = outcome.ticket else { return };
        let step = Step {
            thread: ticket.thread,
            model,
            prices: outcome.prices,
            user_turn: outcome.phase == Phase::UserTurn,
            restarts: outcome.restarts,
            switched: Some(outcome.action == Action::Switch),
            forced: outcome.forced,
            billed: ticket.billed,
            least: outcome.least,
            now,
        };
        self.conversations.note(ticket.key, &step);
        self.overhead
            .fetch_add(outcome.forced + outcome.charged, Ordering::Relaxed);
        self.conversations.save_soon(ticket.key);
    }

    /// Records the tokens of an answer.
    pub fn answered(&self, ticket: Ticket, model: &str, tokens: Tokens) {
        self.conversations
            .answered(ticket.key, ticket.thread, ticket.billed, model, tokens);
    }

    /// Copies what is known of one session to another: a conversation goes on under a new name.
    pub fn follow(&self, from: ConversationKey, to: ConversationKey) {
        self.conversations.copy(from, to);
    }

    fn charge(&self, key: ConversationKey, cost: u64, rules: &budget::Rules) -> bool {
        self.conversations.charge(key, cost, |bill, spent| {
            budget::affords(rules, bill, spent, cost)
        })
    }

    /// Returns the prices of a model that some session has used.
    fn prices(&self, model: &str) -> Option<Prices> {
        self.conversations.prices(model)
    }
}

/// What sessions may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Stay with models.
    Apply,
    /// Only say what would be done.
    Observe,
    /// Nothing.
    Off,
}

impl Mode {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "apply" => Some(Self::Apply),
            "observe" => Some(Self::Observe),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// `global.router.sessions`, ready for use.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What sessions may do.
    pub mode: Mode,
    /// They may stay with models that the winning decision does not list.
    pub any: bool,
    /// Helper requests go to the cheapest candidate.
    pub cheapest_helpers: bool,
    /// Headers that name a session.
    pub identity_headers: Vec<String>,
    /// When a session may switch.
    pub rules: budget::Rules,
    /// How long a turn state holds, seconds.
    pub turn_state_seconds: u64,
    /// How long a store may take.
    pub store_timeout: Duration,
    /// Makes keys of sessions and of objects that providers keep.
    pub keyer: SessionKeyer,
    pub(crate) texts: PhaseTexts,
}

impl Policy {
    /// Builds the section.
    ///
    /// # Errors
    /// The patterns that cannot be used, and numbers out of range.
    pub fn build(settings: &settings::Sessions, secret: Secret) -> Result<Self, Vec<Problem>> {
        let at = |key: &str, message: String| {
            Problem::error(format!("global.router.sessions.{key}"), message)
        };
        let mut problems = Vec::new();
        for (key, number) in [
            ("switch_budget_percent", settings.switch_budget_percent),
            ("switch_margin", settings.switch_margin),
            ("switch_lead", settings.switch_lead),
            ("switch_reserve", settings.switch_reserve),
        ] {
            if !number.is_finite() || number < 0.0 {
                problems.push(at(key, "must be a number of 0 or more".to_owned()));
            }
        }
        if settings.capacity == 0 {
            problems.push(at(
                "capacity",
                "must be 1 or more; `mode: off` remembers none".to_owned(),
            ));
        }
        let texts = PhaseTexts::new(&settings.helper_patterns, &settings.compaction_patterns)
            .map_err(|(key, error)| problems.push(at(key, error.to_string())));
        let mode = Mode::parse(&settings.mode);
        if mode.is_none() {
            problems.push(at("mode", format!("unknown mode `{}`", settings.mode)));
        }
        let (Ok(texts), Some(mode), true) = (texts, mode, problems.is_empty()) else {
            return Err(problems);
        };
        Ok(Self {
            mode,
            any: settings.hold == "any",
            cheapest_helpers: settings.helpers == "cheapest",
            identity_headers: settings
                .identity_headers
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            rules: budget::Rules {
                budget: settings.switch_budget_percent / 100.0,
                margin: settings.switch_margin,
                lead: settings.switch_lead,
                reserve: settings.switch_reserve,
                idle_timeout: Duration::from_secs(settings.idle_timeout_seconds),
                cache_lifetime: Duration::from_secs(settings.cache_lifetime_seconds),
            },
            turn_state_seconds: settings.turn_state_seconds,
            store_timeout: Duration::from_millis(settings.store_timeout_ms),
            keyer: SessionKeyer::new(secret),
            texts,
        })
    }
}
