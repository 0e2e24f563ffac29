//! Conversations: which requests belong together, what is remembered of them, and where replicas
//! share that.
//!
//! Two policies decide whether a conversation stays with its model: Merit's
//! [sessions](session), and the reference's `protection`, a part of
//! [`learning`]. They name conversations by different marks of a request, so each
//! has a table of its own. Both keep the same [`Record`] in the same kind of table under the same
//! kind of key, share it through the same [port](store), and answer the same question:
//! [`StayPolicy::decide`].

pub mod credential;
pub mod databases;
pub mod dispatch;
pub mod key;
pub mod learning;
mod model_names;
pub mod objects;
pub mod record;
pub mod session;
pub mod shared_state;
pub mod store;
mod table;
pub mod time;

#[cfg(test)]
mod testing;

pub use key::ConversationKey;
pub use record::{Record, Thread};
pub use store::{SharedStore, StoreError};
pub use table::Step;
pub use time::Timestamp;

use selection::card::{Prices, Tokens};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use store::Entry;
use table::Table;

/// A request's conversation: found once, before a policy decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Its key.
    pub key: ConversationKey,
    /// Distinguishes the threads of one session, as an agent and those that it starts.
    pub thread: u32,
    /// What is remembered; `None` for a new conversation.
    pub record: Option<Record>,
    /// When the request came.
    pub now: Timestamp,
}

impl Conversation {
    /// Returns the time since the last request; `None` for a new conversation.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.record.as_ref().map(|record| self.now.since(record.at))
    }

    /// Returns the request's own thread, if it is remembered.
    #[must_use]
    pub fn own_thread(&self) -> Option<&Thread> {
        self.record.as_ref()?.thread(self.thread)
    }
}

/// A rule by which a conversation stays with its model or leaves it.
pub trait StayPolicy {
    /// What the policy weighs of a model that may answer.
    type Offer;
    /// What the policy decides, and why.
    type Stay;

    /// Decides which of the offered models answers a request of the conversation.
    fn decide(&self, conversation: &Conversation, offers: &Offers<'_, Self::Offer>) -> Self::Stay;
}

/// The models among which a policy decides.
#[derive(Debug, Clone, Copy)]
pub struct Offers<'a, O> {
    /// Models that may answer.
    pub models: &'a [O],
    /// Index of the choice so far: the algorithm's, or that of an earlier step.
    pub proposed: usize,
    /// The conversation's model.
    pub current: Current,
}

/// Where a conversation's model stands among the offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// The conversation has no model yet.
    Unknown,
    /// Its model may not answer.
    NotOffered,
    /// Its model is the offer of this index.
    Offer(usize),
}

/// Conversations that are remembered, and shared between replicas where a store is set.
#[derive(Debug)]
pub struct Conversations {
    /// First part of the keys in a shared store.
    name: &'static str,
    table: Table,
    shared: RwLock<Option<Shared>>,
}

/// A store, and how long records are kept there.
#[derive(Debug, Clone)]
struct Shared {
    store: Arc<dyn SharedStore>,
    keep: Duration,
}

impl Conversations {
    /// Remembers up to `capacity` conversations, named `name` in a shared store.
    #[must_use]
    pub fn new(name: &'static str, capacity: usize) -> Self {
        Self {
            name,
            table: Table::new(capacity),
            shared: RwLock::default(),
        }
    }

    /// Returns how many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns whether no conversation is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many had to be forgotten for others.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.table.forgotten()
    }

    /// Limits how many are remembered.
    pub fn limit(&self, capacity: usize) {
        self.table.limit(capacity);
    }

    /// Shares records with other replicas, which keep them for `keep` after the last request.
    pub fn share(&self, store: Arc<dyn SharedStore>, keep: Duration) {
        let shared = Some(Shared { store, keep });
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = shared;
    }

    fn shared(&self) -> Option<Shared> {
        self.shared
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns whether other replicas share these.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Returns the store, if there is one.
    pub(crate) fn store(&self) -> Option<Arc<dyn SharedStore>> {
        self.shared().map(|shared| shared.store)
    }

    /// Finds a request's conversation among those that this process remembers.
    #[must_use]
    pub fn find(&self, key: ConversationKey, thread: u32, now: Timestamp) -> Conversation {
        Conversation {
            key,
            thread,
            record: self.table.look(key),
            now,
        }
    }

    /// Takes over what other replicas know of a conversation, unless this process knows it better.
    ///
    /// # Errors
    /// The store did not answer, or holds what this process cannot read; what this process knows
    /// still counts.
    pub async fn refresh(&self, key: ConversationKey, deadline: Instant) -> Result<(), StoreError> {
        let Some(shared) = self.shared() else {
            return Ok(());
        };
        let found = shared.store.load(&self.name_of(key), deadline).await?;
        if let Some(value) = found {
            self.adopt(key, &Record::decode(&value)?);
        }
        Ok(())
    }

    /// Takes over a record of another replica; the younger one counts.
    pub(crate) fn adopt(&self, key: ConversationKey, record: &Record) {
        let own = self.table.peek(key);
        if own.is_none_or(|own| own.at <= record.at) {
            self.table.restore(key, record);
        }
    }

    /// Records a request that was sent.
    pub(crate) fn note(&self, key: ConversationKey, step: &Step<'_>) {
        self.table.note(key, step);
    }

    /// Records the tokens of an answer. `billed` is what the bill already holds of its request.
    pub(crate) fn answered(
        &self,
        key: ConversationKey,
        thread: u32,
        billed: u64,
        model: &str,
        tokens: Tokens,
    ) {
        self.table.answered(key, thread, billed, model, tokens);
    }

    /// Records which share of a prompt was in the model's cache; returns whether that counts.
    pub(crate) fn warm(&self, key: ConversationKey, model: &str, warmth: f64) -> bool {
        self.table.warm(key, model, warmth)
    }

    /// Adds to what switches have cost if `affords` says so of the bill and that cost. Both at
    /// once, so that requests at the same time cannot both spend the same.
    pub(crate) fn charge(
        &self,
        key: ConversationKey,
        cost: u64,
        affords: impl FnOnce(u64, u64) -> bool,
    ) -> bool {
        self.table.charge(key, cost, affords)
    }

    /// Copies what is known of one conversation to another: it goes on under a new name.
    pub(crate) fn copy(&self, from: ConversationKey, to: ConversationKey) {
        if from == to {
            return;
        }
        if let Some(record) = self.table.peek(from) {
            self.table.restore(to, &record);
            self.save_soon(to);
        }
    }

    /// Forgets a conversation.
    pub(crate) fn forget(&self, key: ConversationKey) {
        self.table.forget(key);
    }

    /// Returns the prices of a model that some conversation has used.
    pub(crate) fn prices(&self, model: &str) -> Option<Prices> {
        self.table.prices(model)
    }

    /// Returns whether a conversation is remembered.
    pub(crate) fn contains(&self, key: ConversationKey) -> bool {
        self.table.contains(key)
    }

    /// Writes a conversation to the shared store some time soon, without waiting.
    pub(crate) fn save_soon(&self, key: ConversationKey) {
        if let Some(shared) = self.shared()
            && let Some(entry) = self.entry(key, shared.keep)
        {
            shared.store.save_soon(entry);
        }
    }

    /// Returns a conversation as a shared store keeps it.
    pub(crate) fn entry(&self, key: ConversationKey, keep: Duration) -> Option<Entry> {
        let record = self.table.peek(key)?;
        Some(Entry {
            key: self.name_of(key),
            value: record.encode(),
            at: record.at,
            keep,
        })
    }

    /// Returns the name of a key in a shared store. The key is a digest already: its name reveals
    /// nothing of what the client called it.
    fn name_of(&self, key: ConversationKey) -> String {
        format!("{}:{:032x}", self.name, key.0)
    }
}
