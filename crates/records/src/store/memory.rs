//! Records in the process's memory: gone with it, and bounded.

use async_trait::async_trait;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::aggregate::{Group, Name};
use super::facts::Facts;
use super::{Added, Aggregate, Change, Filter, Kept, Page, Paging, RecordStore, StoreError};
use crate::ledger::{LedgerKey, LedgerRow, Rows};
use crate::record::{Captured, DecisionRecord, Moment, OutcomeReport, VERSION};

/// Records of one decision that are kept where nothing else is said.
pub const MAX_RECORDS: usize = 10_000;

/// Records in memory: of each decision the youngest, so many.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    max_records: usize,
    unreadable: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    rows: HashMap<String, Row>,
    /// Time and id of each record, oldest first.
    order: BTreeSet<(Moment, String)>,
    /// The ids of each recipe and decision, in the order of their arrival.
    rings: HashMap<(String, String), VecDeque<String>>,
}

#[derive(Debug)]
struct Row {
    facts: Facts,
    record: DecisionRecord,
    captured: Option<Captured>,
    outcomes: Vec<OutcomeReport>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(MAX_RECORDS)
    }
}

impl Memory {
    /// Makes room for `max_records` of each decision; the first that came are the first to go.
    #[must_use]
    pub fn new(max_records: usize) -> Self {
        Self {
            state: Mutex::default(),
            max_records: max_records.max(1),
            unreadable: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RecordStore for Memory {
    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut state = self.state();
        for change in changes {
            match change {
                // As in other stores: what has a later form reads as absent.
                Change::Put(record) if record.version > VERSION => {
                    self.unreadable.fetch_add(1, Ordering::Relaxed);
                }
                Change::Put(record) => state.put(record, self.max_records),
                Change::Capture(_) => {}
            }
        }
        for change in changes {
            if let Change::Capture(captured) = change
                && let Some(row) = state.rows.get_mut(&captured.id)
            {
                row.captured = Some(Captured::clone(captured));
            }
        }
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        Ok(self.state().rows.get(id).map(|row| row.kept(true)))
    }

    async fn list(
        &self,
        filter: &Filter,
        paging: Paging,
        with_text: bool,
    ) -> Result<Page, StoreError> {
        let state = self.state();
        let mut page = Page::default();
        for row in state
            .youngest_first()
            .filter(|row| filter.takes(&row.facts))
        {
            let is_passed = page.total < u64::try_from(paging.offset).unwrap_or(u64::MAX);
            page.total += 1;
            if !is_passed && page.records.len() < paging.limit {
                page.records.push(row.kept(with_text));
            }
        }
        Ok(page)
    }

    async fn aggregate(&self, filter: &Filter) -> Result<Aggregate, StoreError> {
        let state = self.state();
        let mut aggregate = Aggregate::default();
        for row in state.rows.values() {
            aggregate.available.add(&Name::from(&row.facts));
            if filter.takes(&row.facts) {
                aggregate.add(Group::from(&row.facts));
            }
        }
        Ok(aggregate)
    }

    async fn trajectory(&self, session_id: &str, limit: usize) -> Result<Vec<Kept>, StoreError> {
        let state = self.state();
        let of_session = |row: &&Row| row.facts.session_id == session_id;
        let youngest = state.youngest_first().filter(of_session).take(limit);
        let mut kept: Vec<Kept> = youngest.map(|row| row.kept(true)).collect();
        kept.reverse();
        Ok(kept)
    }

    async fn add_outcome(&self, id: &str, outcome: OutcomeReport) -> Result<Added, StoreError> {
        let mut state = self.state();
        let Some(row) = state.rows.get_mut(id) else {
            return Ok(Added::NoRecord);
        };
        let key = outcome.idempotency_key.as_str();
        let is_known = |known: &OutcomeReport| !key.is_empty() && known.idempotency_key == key;
        if row.outcomes.iter().any(is_known) {
            return Ok(Added::Duplicate);
        }
        row.outcomes.push(outcome);
        Ok(Added::Added)
    }

    async fn ledger(
        &self,
        by: LedgerKey,
        times: Range<Moment>,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let state = self.state();
        let mut rows = Rows::default();
        let facts = state.rows.values().map(|row| &row.facts);
        for facts in facts.filter(|facts| times.contains(&facts.time)) {
            rows.add(by.of(facts), facts.currency.clone(), &facts.sums);
        }
        Ok(rows.finish())
    }

    async fn expire(&self, before: Moment) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut gone = 0;
        while let Some((_, id)) = state.order.first().filter(|(time, _)| *time < before) {
            let id = id.clone();
            state.forget(&id);
            gone += 1;
        }
        Ok(gone)
    }

    fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }
}

impl State {
    fn put(&mut self, record: &DecisionRecord, max_records: usize) {
        let facts = Facts::of(record);
        if let Some(row) = self.rows.get_mut(&record.id) {
            if !row.record.is_ended() {
                // The time orders the record and stays; the rest is replaced.
                let time = row.facts.time;
                row.facts = Facts { time, ..facts };
                row.record = DecisionRecord {
                    time: Some(time.into()),
                    ..record.clone()
                };
            }
            return;
        }
        let ring = (facts.recipe.clone(), facts.decision.clone());
        let ring = self.rings.entry(ring).or_default();
        ring.push_back(facts.id.clone());
        let oldest = (ring.len() > max_records)
            .then(|| ring.pop_front())
            .flatten();
        self.order.insert((facts.time, facts.id.clone()));
        let row = Row {
            facts,
            record: record.clone(),
            captured: None,
            outcomes: Vec::new(),
        };
        self.rows.insert(record.id.clone(), row);
        if let Some(oldest) = oldest {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, id: &str) {
        let Some(row) = self.rows.remove(id) else {
            return;
        };
        self.order.remove(&(row.facts.time, id.to_owned()));
        for ring in self.rings.values_mut() {
            if let Some(at) = ring.iter().position(|other| other == id) {
                ring.remove(at);
                break;
            }
        }
        self.rings.retain(|_, ring| !ring.is_empty());
    }

    fn youngest_first(&self) -> impl Iterator<Item = &Row> {
        let ids = self.order.iter().rev();
        ids.filter_map(|(_, id)| self.rows.get(id))
    }
}

impl Row {
    fn kept(&self, with_text: bool) -> Kept {
        let mut record = self.record.clone();
        record.outcomes.clone_from(&self.outcomes);
        Kept {
            record,
            captured: self.captured.clone().filter(|_| with_text),
        }
    }
}

#[cfg(test)]
mod tests;
