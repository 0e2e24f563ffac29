//! The port to a store that replicas share. Without one, each process learns for itself.
//!
//! Counting and remembering never wait for it: what is new is told every now and then by
//! [`Experience::exchange`], and only a conversation that is unknown here is looked up while a
//! request waits, until its deadline.

use super::Experience;
use super::conversations::{ConversationKey, Record};
use super::policy::Policy;
use super::rows::{Increment, Place, Row};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// An answer of a store. It must come by the deadline that was asked for.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps what replicas have learnt together.
pub trait SharedStore: Debug + Send + Sync {
    /// The record of a conversation, its age as of now.
    fn load(&self, key: ConversationKey, deadline: Instant) -> Pending<'_, Option<Record>>;

    /// Keeps records for `ttl`. A younger record of the same conversation stays.
    fn save<'a>(
        &'a self,
        records: &'a [(ConversationKey, Record)],
        ttl: Duration,
        deadline: Instant,
    ) -> Pending<'a, ()>;

    /// Adds the counts of increments to the shared rows, keeps the last averages, and returns the
    /// shared rows. It adds all of them or none.
    fn exchange<'a>(
        &'a self,
        increments: &'a [Increment],
        deadline: Instant,
    ) -> Pending<'a, Vec<(Place, Row)>>;
}

/// Why a store did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Not in time.
    #[error("the store of learning did not answer in time")]
    Timeout,
    /// It cannot be reached, or answered with an error.
    #[error("the store of learning is unavailable")]
    Unavailable,
}

impl StoreError {
    /// The word of the degraded header and of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Experience {
    /// Tells the store what is new here, and takes over what it knows. Without a store it does
    /// nothing. What could not be told is told the next time.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn exchange(&self, ttl: Duration, deadline: Instant) -> Result<(), StoreError> {
        let Some(store) = self.store() else {
            return Ok(());
        };
        let increments = self.rows().take_increments();
        match store.exchange(&increments, deadline).await {
            Ok(totals) => self.rows().adopt(totals),
            Err(error) => {
                self.rows().put_back(&increments);
                return Err(error);
            }
        }
        let records = self.conversations().take_changed(Instant::now());
        let saved = if records.is_empty() {
            Ok(())
        } else {
            store.save(&records, ttl, deadline).await
        };
        if saved.is_err() {
            self.conversations()
                .put_back(records.into_iter().map(|(key, _)| key));
        }
        saved
    }

    /// Looks an unknown conversation up in the store.
    ///
    /// # Errors
    /// If the store does not answer; the request goes on with what is known here.
    pub(super) async fn recall(
        &self,
        key: ConversationKey,
        policy: &Policy,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let Some(store) = self.store() else {
            return Ok(());
        };
        if self
            .conversations()
            .get(key, policy.ttl, Instant::now())
            .is_some()
        {
            return Ok(());
        }
        let deadline = deadline.min(Instant::now() + policy.store_timeout);
        if let Some(record) = store.load(key, deadline).await? {
            self.conversations().adopt(key, record, Instant::now());
        }
        Ok(())
    }
}
