//! The port to a store of records. Adapters live elsewhere; [`memory`] is here.
//!
//! A store answers questions about many records itself: it filters, orders, counts and adds up, and
//! hands out one page. What comes back of [`RecordStore::write`] is committed: it survives the end
//! of the process. Every access ends within the adapter's own time limit, if only as an error.

use async_trait::async_trait;
use std::fmt::Debug;
use std::ops::Range;

use crate::ledger::{LedgerKey, LedgerRow};
use crate::record::{Captured, DecisionRecord, Moment, OutcomeReport};

pub mod aggregate;
pub mod contract;
pub mod facts;
pub mod filter;
pub mod memory;

pub use aggregate::Aggregate;
pub use filter::{CacheStatus, Filter, Paging};

/// Where records are kept.
#[async_trait]
pub trait RecordStore: Debug + Send + Sync {
    /// Writes a batch: all of it or nothing. `Ok` means committed. Writing the same batch again
    /// changes nothing, so a batch whose answer was lost may be tried again.
    ///
    /// A record replaces the one with its id unless that one has ended; captured text is replaced.
    async fn write(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// Reads a record, its outcomes, and its text where there is any.
    async fn get(&self, id: &str) -> Result<Option<Kept>, StoreError>;

    /// Reads one page of the records that a filter takes: time descending, then id descending.
    /// Text comes along only where `with_text` says so.
    async fn list(
        &self,
        filter: &Filter,
        paging: Paging,
        with_text: bool,
    ) -> Result<Page, StoreError>;

    /// Counts and adds up the records that a filter takes.
    async fn aggregate(&self, filter: &Filter) -> Result<Aggregate, StoreError>;

    /// Reads the records of a session with their text, oldest first: the youngest `limit` of them.
    async fn trajectory(&self, session_id: &str, limit: usize) -> Result<Vec<Kept>, StoreError>;

    /// Adds what somebody said of an answer. A key counts once for a record; without
    /// one, each report counts.
    async fn add_outcome(&self, id: &str, outcome: OutcomeReport) -> Result<Added, StoreError>;

    /// Adds up money, tokens and joules of the requests that were seen within a range of time, one
    /// row for each value of the key and currency.
    async fn ledger(
        &self,
        by: LedgerKey,
        times: Range<Moment>,
    ) -> Result<Vec<LedgerRow>, StoreError>;

    /// Forgets what is older, with its text and outcomes. Returns how many records that were.
    async fn expire(&self, before: Moment) -> Result<u64, StoreError>;

    /// Returns how often records were met that could not be read: their form is a later one, or
    /// they are damaged. They read as absent.
    fn unreadable(&self) -> u64;
}

/// One thing to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A record as it stands now.
    Put(Box<DecisionRecord>),
    /// Text that a policy allows to be kept.
    Capture(Box<Captured>),
}

/// A record as a store gives it back, with its outcomes in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The record.
    pub record: DecisionRecord,
    /// Its text, if it was captured and asked for.
    pub captured: Option<Captured>,
}

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The page's records in order.
    pub records: Vec<Kept>,
    /// How many records the filter takes in all.
    pub total: u64,
}

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is kept with its record.
    Added,
    /// The key was used before; nothing changed.
    Duplicate,
    /// There is no such record.
    NoRecord,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is away or too slow. Trying again may help.
    #[error("the store of records is away: {0}")]
    Away(String),
    /// It will not do this, however often it is asked.
    #[error("the store of records refused: {0}")]
    Refused(String),
}
