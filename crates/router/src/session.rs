//! Sessions: which requests belong together, and when they stay with the model that they already
//! use. Merit's own.
//!
//! ```yaml
//! global:
//!   router:
//!     sessions: {mode: apply, hold: candidates, switch_budget_percent: 25}
//! ```
//!
//! [`identity`] names the session, [`phase`] says what part of it a request is, [`table`](self)
//! remembers a bounded number of them, [`stay`] decides, [`hold`] applies that to a decision's
//! candidates. A session never leaves what boundaries, abilities and rest allow, and under `hold:
//! candidates` not what the winning decision lists: policy wins, and a lock that it breaks shows.

pub mod hold;
pub mod identity;
mod model_names;
pub mod phase;
pub mod standing;
pub mod stay;
pub mod store;
mod table;
pub mod told;
pub mod turn_state;

pub use hold::{Held, Offer};
pub use identity::{Marks, Named, Source};
pub use phase::Phase;
pub use standing::{Chain, Standing};
pub use store::{Saved, SavedThread, SessionStore, StoreError};
pub use table::Seen;
pub use told::{Outcome, Told};

use crate::card::Prices;
use crate::config;
use crate::credential::Secret;
use crate::signals::Problem;
use identity::Namer;
use phase::PhaseTexts;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use table::{Step, Table};

/// Names a session: a digest of the authenticated caller, the recipe and what the client calls its
/// session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub u128);

/// What a request's answer is counted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The session.
    pub key: SessionKey,
    /// The conversation in it.
    pub thread: u32,
    /// What its bill already holds of this request, millionths.
    pub billed: u64,
}

/// All sessions. Lasts over reloads.
#[derive(Debug, Default)]
pub struct Sessions {
    table: Table,
    store: RwLock<Option<Arc<dyn SessionStore>>>,
    overhead: AtomicU64,
}

impl Sessions {
    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// None is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many had to be forgotten for others.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.table.forgotten()
    }

    /// What all switches have cost, millionths of the document's currency, at an upper estimate.
    #[must_use]
    pub fn switch_overhead(&self) -> u64 {
        self.overhead.load(Ordering::Relaxed)
    }

    /// How many are remembered at most.
    pub fn limit(&self, capacity: u32) {
        self.table.limit(capacity as usize);
    }

    /// Shares sessions with other replicas, or with nobody.
    pub fn share(&self, store: Option<Arc<dyn SessionStore>>) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = store;
    }

    /// What is known of a session.
    #[must_use]
    pub fn look(&self, key: SessionKey, thread: u32) -> Option<Seen> {
        self.table.look(key, thread)
    }

    /// The same, with what other replicas know of it.
    ///
    /// # Errors
    /// The store did not answer; what this process knows still counts.
    pub async fn fetch(&self, key: SessionKey, deadline: Instant) -> Result<(), StoreError> {
        let store = self
            .store
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(store) = store else { return Ok(()) };
        let Some(saved) = store.load(key, deadline).await? else {
            return Ok(());
        };
        if self.table.save(key).is_none_or(|own| own.at <= saved.at) {
            self.table.restore(key, &saved);
        }
        Ok(())
    }

    /// A request was sent to this model.
    pub fn sent(&self, told: &Told, model: &str, now: u64) {
        let Some(ticket) = told.ticket else { return };
        let step = Step {
            thread: ticket.thread,
            model,
            prices: told.prices,
            user_turn: told.phase == Phase::UserTurn,
            anew: told.anew,
            switched: told.outcome == Outcome::Switch,
            forced: told.forced,
            billed: ticket.billed,
            least: told.least,
            now,
        };
        self.table.note(ticket.key, &step);
        self.overhead
            .fetch_add(told.forced + told.charged, Ordering::Relaxed);
        let store = self
            .store
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let (Some(store), Some(saved)) = (store, self.table.save(ticket.key)) {
            store.save(ticket.key, saved);
        }
    }

    /// An answer's tokens are known.
    pub fn answered(&self, ticket: Ticket, model: &str, tokens: crate::card::Tokens) {
        self.table
            .served((ticket.key, ticket.thread, ticket.billed), model, tokens);
    }

    /// What is known of one session is known of another: a conversation goes on under a new name.
    pub fn follow(&self, from: SessionKey, to: SessionKey) {
        if let Some(saved) = self.table.save(from).filter(|_| from != to) {
            self.table.restore(to, &saved);
            let store = self
                .store
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if let Some(store) = store {
                store.save(to, saved);
            }
        }
    }

    fn charge(&self, key: SessionKey, cost: u64, rules: &stay::Rules) -> bool {
        self.table.charge(key, cost, rules)
    }

    /// The prices of a model that some session has used.
    fn prices(&self, model: &str) -> Option<Prices> {
        self.table.prices(model)
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
    pub rules: stay::Rules,
    /// How long a turn state holds, seconds.
    pub turn_state_seconds: u64,
    /// How long a store may take.
    pub store_timeout: Duration,
    pub(crate) namer: Namer,
    pub(crate) texts: PhaseTexts,
}

impl Policy {
    /// Builds the section.
    ///
    /// # Errors
    /// The patterns that cannot be used, and numbers out of range.
    pub fn build(
        settings: &config::sessions::Sessions,
        secret: Secret,
    ) -> Result<Self, Vec<Problem>> {
        let at = |key: &str, message: String| Problem {
            path: format!("global.router.sessions.{key}"),
            message,
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
        let (Ok(texts), true) = (texts, problems.is_empty()) else {
            return Err(problems);
        };
        Ok(Self {
            mode: match settings.mode.as_str() {
                "off" => Mode::Off,
                "observe" => Mode::Observe,
                _ => Mode::Apply,
            },
            any: settings.hold == "any",
            cheapest_helpers: settings.helpers == "cheapest",
            identity_headers: settings
                .identity_headers
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            rules: stay::Rules {
                budget: settings.switch_budget_percent / 100.0,
                margin: settings.switch_margin,
                lead: settings.switch_lead,
                reserve: settings.switch_reserve,
                idle_timeout: Duration::from_secs(settings.idle_timeout_seconds),
                cache_lifetime: Duration::from_secs(settings.cache_lifetime_seconds),
            },
            turn_state_seconds: settings.turn_state_seconds,
            store_timeout: Duration::from_millis(settings.store_timeout_ms),
            namer: Namer::new(secret),
            texts,
        })
    }
}

/// Seconds since 1970.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |passed| passed.as_secs())
}
