//! Where sessions are shared between replicas. The router knows only this port; adapters live
//! elsewhere.

use super::SessionKey;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A session as replicas exchange it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// The model of the last request.
    pub model: String,
    /// Seconds since 1970 of the last request.
    pub at: u64,
    /// Requests so far.
    pub requests: u64,
    /// Users' turns so far.
    pub turns: u64,
    /// Switches so far.
    pub switches: u64,
    /// Bill, millionths of the document's currency.
    pub bill: u64,
    /// What switches have cost, millionths.
    pub overhead: u64,
    /// Its conversations.
    pub threads: Vec<SavedThread>,
}

/// One conversation of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedThread {
    /// Tells it from the session's others.
    pub mark: u32,
    /// Its model.
    pub model: String,
    /// Seconds since 1970 of its last request.
    pub at: u64,
    /// Tokens of its last request and answer, if the model counted them.
    pub counted: Option<u64>,
    /// Tokens of its last request, at least.
    pub least: u64,
}

/// Why a store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It did not answer in time.
    #[error("session store timed out")]
    Timeout,
    /// It cannot be reached, or answered something else.
    #[error("session store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a store will answer.
pub type Loading<'a> = Pin<Box<dyn Future<Output = Result<Option<Saved>, StoreError>> + Send + 'a>>;

/// Sessions that several replicas share.
pub trait SessionStore: Send + Sync + std::fmt::Debug {
    /// Reads a session. Must answer by the deadline, if only with an error.
    fn load(&self, key: SessionKey, deadline: Instant) -> Loading<'_>;

    /// Writes a session, some time soon: it must not wait. What is lost is lost.
    fn save(&self, key: SessionKey, saved: Saved);
}

/// A store in memory, for tests and for several generations of one process.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<HashMap<SessionKey, Saved>>);

impl SessionStore for InMemory {
    fn load(&self, key: SessionKey, _deadline: Instant) -> Loading<'_> {
        let found = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn save(&self, key: SessionKey, saved: Saved) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, saved);
    }
}
