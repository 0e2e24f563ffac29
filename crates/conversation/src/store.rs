//! The port to a store that replicas share. Without one, each process remembers for itself.
//!
//! A store keeps values, tables of numbers and the values of a group's members. What they mean is
//! for those who use it: records of conversations, counts of outcomes, shares of the models' pools.
//! Adapters live elsewhere. A request waits for a store only where it must, and never beyond its
//! deadline.

use super::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An answer of a store. It must come by the deadline that was given, if only as an error.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// State that several replicas share.
pub trait SharedStore: Debug + Send + Sync {
    /// Reads the value of a key.
    fn load<'a>(&'a self, key: &'a str, deadline: Instant) -> Pending<'a, Option<Vec<u8>>>;

    /// Writes values. Where a younger value of the same key is kept, that one stays.
    fn save<'a>(&'a self, entries: &'a [Entry], deadline: Instant) -> Pending<'a, ()>;

    /// Writes a value some time soon: it must not wait, and what is lost is lost.
    fn save_soon(&self, entry: Entry);

    /// Applies changes to the numbers of a table, all of them or none, and returns all its numbers.
    /// The table is kept for `keep` after the last change.
    fn exchange<'a>(
        &'a self,
        table: &'a str,
        changes: &'a [Change],
        keep: Duration,
        deadline: Instant,
    ) -> Pending<'a, Vec<(String, f64)>>;

    /// Writes a member's value in a group for `keep`, and returns those of its other members.
    fn publish<'a>(
        &'a self,
        group: &'a str,
        member: &'a str,
        value: Vec<u8>,
        keep: Duration,
        deadline: Instant,
    ) -> Pending<'a, Vec<Vec<u8>>>;
}

/// A value to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// The value: JSON, with its time as `at` and `millis`.
    pub value: Vec<u8>,
    /// Its time, by which the younger of two values is told.
    pub at: Timestamp,
    /// How long it is kept.
    pub keep: Duration,
}

/// A change of one number of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The number's name.
    pub name: String,
    /// What happens to it.
    pub by: ChangeBy,
}

/// What happens to a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ChangeBy {
    /// It is added to, so that replicas cannot overwrite each other.
    Adding(u64),
    /// It is replaced; the last one counts.
    Setting(f64),
}

/// Why a store is of no use.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It did not answer by the deadline.
    #[error("the shared store did not answer in time")]
    Timeout,
    /// It cannot be reached, answered with an error, or with what cannot be read.
    #[error("the shared store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It holds a record of a version that this process does not know.
    #[error(
        "the shared store holds a record of version {found}, and this process reads version {}",
        super::record::VERSION
    )]
    UnknownVersion {
        /// The version.
        found: u32,
    },
}

impl StoreError {
    /// Returns the word of the degraded header.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable(_) => "unavailable",
            Self::UnknownVersion { .. } => "unknown_record_version",
        }
    }

    /// Wraps the error of a value that cannot be read.
    pub(crate) fn unreadable(source: serde_json::Error) -> Self {
        Self::Unavailable(Box::new(source))
    }
}

/// A store in memory, for tests and for several generations of one process.
#[derive(Debug, Default)]
pub struct InMemory {
    kept: Mutex<Kept>,
    away: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    values: HashMap<String, Entry>,
    tables: HashMap<String, BTreeMap<String, f64>>,
    groups: HashMap<String, BTreeMap<String, Vec<u8>>>,
}

impl InMemory {
    /// Lets every access fail from now on, or succeed again.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    fn access(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the store was taken away".into()));
        }
        Ok(self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SharedStore for InMemory {
    fn load<'a>(&'a self, key: &'a str, _deadline: Instant) -> Pending<'a, Option<Vec<u8>>> {
        let found = self
            .access()
            .map(|kept| kept.values.get(key).map(|entry| entry.value.clone()));
        Box::pin(std::future::ready(found))
    }

    fn save<'a>(&'a self, entries: &'a [Entry], _deadline: Instant) -> Pending<'a, ()> {
        let saved = self.access().map(|mut kept| {
            for entry in entries {
                let younger = kept
                    .values
                    .get(&entry.key)
                    .is_some_and(|it| it.at > entry.at);
                if !younger {
                    kept.values.insert(entry.key.clone(), entry.clone());
                }
            }
        });
        Box::pin(std::future::ready(saved))
    }

    fn save_soon(&self, entry: Entry) {
        if let Ok(mut kept) = self.access() {
            kept.values.insert(entry.key.clone(), entry);
        }
    }

    fn exchange<'a>(
        &'a self,
        table: &'a str,
        changes: &'a [Change],
        _keep: Duration,
        _deadline: Instant,
    ) -> Pending<'a, Vec<(String, f64)>> {
        let numbers = self.access().map(|mut kept| {
            let table = kept.tables.entry(table.to_owned()).or_default();
            for change in changes {
                let number = table.entry(change.name.clone()).or_default();
                match change.by {
                    ChangeBy::Adding(count) => *number += count as f64,
                    ChangeBy::Setting(value) => *number = value,
                }
            }
            table
                .iter()
                .map(|(name, number)| (name.clone(), *number))
                .collect()
        });
        Box::pin(std::future::ready(numbers))
    }

    fn publish<'a>(
        &'a self,
        group: &'a str,
        member: &'a str,
        value: Vec<u8>,
        _keep: Duration,
        _deadline: Instant,
    ) -> Pending<'a, Vec<Vec<u8>>> {
        let others = self.access().map(|mut kept| {
            let members = kept.groups.entry(group.to_owned()).or_default();
            members.insert(member.to_owned(), value);
            let others = members.iter().filter(|(name, _)| **name != *member);
            others.map(|(_, value)| value.clone()).collect()
        });
        Box::pin(std::future::ready(others))
    }
}
