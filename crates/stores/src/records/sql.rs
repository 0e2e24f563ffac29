//! Records in tables: what a file and PostgreSQL have in common.
//!
//! Three tables: records with the columns that are filtered, ordered and added up by, and the
//! record itself as bytes; captured text; outcomes. A database filters, orders, pages, groups and
//! adds up; only groups and pages leave it. Sums are made of two halves each, so that no sum of
//! 64-bit integers overflows.

use async_trait::async_trait;
use records::ledger::{LedgerKey, LedgerRow, Measure, Rows, Sums, decision_key};
use records::record::{
    Captured, DecisionRecord, Lifecycle, Moment, OutcomeReport, Unreadable, VERSION, new_id,
};
use records::store::aggregate::{Group, Name, Names};
use records::store::facts::read_signals;
use records::store::{
    Added, Aggregate, Change, Filter, Kept, Page, Paging, RecordStore, StoreError,
};
use std::collections::HashMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

mod statements;

pub use statements::{Dialect, Statement, Value};
use statements::{Statements, Text};

/// Records that one step of forgetting takes.
const SWEEP: usize = 2_000;
/// A billion: what the halves of sums are cut at.
const HALF: i128 = 1_000_000_000;

/// A database that statements are sent to.
#[async_trait]
pub trait Database: Debug + Send + Sync {
    /// Returns how it wants statements.
    fn dialect(&self) -> Dialect;

    /// Returns the rows of a statement that reads.
    async fn query(&self, statement: Statement) -> Result<Vec<Vec<Value>>, StoreError>;

    /// Runs statements as one transaction, and returns how many rows each of them changed. `Ok`
    /// means committed.
    async fn transact(&self, statements: Vec<Statement>) -> Result<Vec<u64>, StoreError>;

    /// Gives room back after records were forgotten.
    async fn tidy(&self) -> Result<(), StoreError>;
}

/// Records in a database.
#[derive(Debug)]
pub struct SqlRecords<D> {
    database: D,
    statements: Statements,
    unreadable: AtomicU64,
}

impl<D: Database> SqlRecords<D> {
    /// Keeps records in tables whose names begin with `table`.
    pub(crate) fn new(database: D, table: &str) -> Self {
        let statements = Statements::new(database.dialect(), table);
        Self {
            database,
            statements,
            unreadable: AtomicU64::new(0),
        }
    }

    fn seen<T>(&self, read: Result<T, Unreadable>) -> Option<T> {
        read.inspect_err(|why| {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%why, "a record was not read");
        })
        .ok()
    }

    /// Reads rows of a record and its text, and joins their outcomes.
    async fn kept(&self, rows: Vec<Vec<Value>>) -> Result<Vec<Kept>, StoreError> {
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let mut cells = row.into_iter();
            let record = cells.next().and_then(Value::bytes).unwrap_or_default();
            let captured = cells.next().and_then(Value::bytes);
            let Some(record) = self.seen(DecisionRecord::from_bytes(&record)) else {
                continue;
            };
            let captured = captured.and_then(|bytes| self.seen(Captured::from_bytes(&bytes)));
            all.push(Kept { record, captured });
        }
        self.join_outcomes(&mut all).await?;
        Ok(all)
    }

    async fn join_outcomes(&self, all: &mut [Kept]) -> Result<(), StoreError> {
        if all.is_empty() {
            return Ok(());
        }
        let ids = all.iter().map(|kept| kept.record.id.clone());
        let statement = self.statements.outcomes(ids);
        let mut found: HashMap<String, Vec<OutcomeReport>> = HashMap::new();
        for row in self.database.query(statement).await? {
            let mut cells = row.into_iter();
            let id = cells.next().and_then(Value::text).unwrap_or_default();
            let bytes = cells.next().and_then(Value::bytes).unwrap_or_default();
            if let Some(outcome) = self.seen(OutcomeReport::from_bytes(&bytes)) {
                found.entry(id).or_default().push(outcome);
            }
        }
        for kept in all {
            kept.record.outcomes = found.remove(&kept.record.id).unwrap_or_default();
        }
        Ok(())
    }

    async fn names(&self) -> Result<Names, StoreError> {
        let mut names = Names::default();
        for row in self.database.query(self.statements.names()).await? {
            let mut cells = row.into_iter().map(|cell| cell.text().unwrap_or_default());
            let mut text = || cells.next().unwrap_or_default();
            let (recipe, decision) = (text(), text());
            let (selected_model, original_model) = (text(), text());
            names.add(&Name {
                recipe: &recipe,
                decision: &decision,
                selected_model: &selected_model,
                original_model: &original_model,
            });
        }
        Ok(names)
    }
}

#[async_trait]
impl<D: Database> RecordStore for SqlRecords<D> {
    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let statements = changes.iter().map(|change| match change {
            Change::Put(record) => self.statements.put(record),
            Change::Capture(captured) => self.statements.capture(captured),
        });
        self.database.transact(statements.collect()).await?;
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        let rows = self.database.query(self.statements.get(id)).await?;
        Ok(self.kept(rows).await?.pop())
    }

    async fn list(
        &self,
        filter: &Filter,
        paging: Paging,
        with_text: bool,
    ) -> Result<Page, StoreError> {
        let counted = self.database.query(self.statements.count(filter)).await?;
        let mut counts = counted.into_iter().flatten().map(|cell| cell.int());
        let total = counts.next().unwrap_or_default();
        let unknown = counts.next().unwrap_or_default();
        self.unreadable.fetch_add(unknown, Ordering::Relaxed);
        let text = if with_text { Text::With } else { Text::Without };
        let statement = self.statements.list(filter, paging, text);
        let rows = self.database.query(statement).await?;
        let records = self.kept(rows).await?;
        Ok(Page { records, total })
    }

    async fn aggregate(&self, filter: &Filter) -> Result<Aggregate, StoreError> {
        let mut aggregate = Aggregate {
            available: self.names().await?,
            ..Aggregate::default()
        };
        for row in self.database.query(self.statements.groups(filter)).await? {
            let mut cells = row.into_iter();
            let lifecycle = cells.next().map(|cell| cell.int()).unwrap_or_default();
            let mut text = || cells.next().and_then(Value::text).unwrap_or_default();
            let (recipe, decision, selected_model) = (text(), text(), text());
            let (currency, signals) = (text(), text());
            let lifecycle = i32::try_from(lifecycle).unwrap_or_default();
            aggregate.add(Group {
                lifecycle: Lifecycle::try_from(lifecycle).unwrap_or_default(),
                recipe,
                decision,
                selected_model,
                currency,
                signals: read_signals(&signals),
                sums: sums(cells)?,
            });
        }
        Ok(aggregate)
    }

    async fn trajectory(&self, session_id: &str, limit: usize) -> Result<Vec<Kept>, StoreError> {
        let filter = Filter {
            session_id: Some(session_id.to_owned()),
            ..Filter::default()
        };
        let paging = Paging { limit, offset: 0 };
        let statement = self.statements.list(&filter, paging, Text::With);
        let rows = self.database.query(statement).await?;
        let mut kept = self.kept(rows).await?;
        kept.reverse();
        Ok(kept)
    }

    async fn add_outcome(&self, id: &str, mut outcome: OutcomeReport) -> Result<Added, StoreError> {
        if outcome.idempotency_key.is_empty() {
            outcome.idempotency_key = new_id();
        }
        let statement = self.statements.add_outcome(id, &outcome);
        let changed = self.database.transact(vec![statement]).await?;
        if changed.iter().sum::<u64>() > 0 {
            return Ok(Added::Added);
        }
        let is_there = !self
            .database
            .query(self.statements.get(id))
            .await?
            .is_empty();
        Ok(if is_there {
            Added::Duplicate
        } else {
            Added::NoRecord
        })
    }

    async fn ledger(
        &self,
        by: LedgerKey,
        times: Range<Moment>,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let mut rows = Rows::default();
        let found = self.database.query(self.statements.ledger(by, times));
        for row in found.await? {
            let mut cells = row.into_iter();
            let mut text = || cells.next().and_then(Value::text).unwrap_or_default();
            let (first, second, currency) = (text(), text(), text());
            let key = if by == LedgerKey::Decision {
                decision_key(&first, &second)
            } else {
                first
            };
            rows.add(key, currency, &sums(cells)?);
        }
        Ok(rows.finish())
    }

    async fn expire(&self, before: Moment) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            let statements = self.statements.expire(before, SWEEP);
            let changed = self.database.transact(statements).await?;
            gone += changed.last().copied().unwrap_or_default();
            if changed.iter().sum::<u64>() == 0 {
                break;
            }
        }
        if gone > 0 {
            self.database.tidy().await?;
        }
        Ok(gone)
    }

    fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }
}

/// Reads the halves of all measures' sums.
fn sums(mut cells: impl Iterator<Item = Value>) -> Result<Sums, StoreError> {
    let mut sums = Sums::default();
    for measure in Measure::ALL {
        let mut half = || {
            let text = cells.next().and_then(Value::text);
            let number = text.and_then(|text| text.parse::<i128>().ok());
            number.ok_or_else(|| StoreError::Refused(format!("{} has no sum", measure.name())))
        };
        let (high, low) = (half()?, half()?);
        sums.set(measure, high * HALF + low);
    }
    Ok(sums)
}

/// The youngest form of records that is read.
const fn youngest() -> i64 {
    VERSION as i64
}
