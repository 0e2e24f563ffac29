//! The conversations that are remembered: a bounded table in shards, which forgets the longest
//! unused first.
//!
//! A row is small and of fixed size: models are numbers, money is in millionths, and of the threads
//! that a session has at a time the last three are told apart. Looking one up and recording a
//! request each take one lock of one shard.

use super::ConversationKey;
use super::model_names::ModelNames;
use super::record::{Record, Thread};
use super::time::Timestamp;
use lru::LruCache;
use selection::card::{Prices, Tokens};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Enough that threads of the process seldom meet, few enough that shards fill evenly.
const SHARDS: usize = 16;

/// Threads of one session that are told apart.
const THREADS: usize = 3;

/// A prefix whose length nobody has counted yet.
const UNCOUNTED: u32 = u32::MAX;

/// Stands for no model: there is one number less than that type has.
const NO_MODEL: u16 = u16::MAX;

/// Warmth is kept in billionths, in which fractions of tokens survive as they are.
const BILLION: f64 = 1e9;
/// Stands for a warmth that is not known.
const UNKNOWN_WARMTH: u32 = u32::MAX;

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    shards: [Mutex<Shard>; SHARDS],
    models: ModelNames,
    capacity: AtomicUsize,
    forgotten: AtomicU64,
}

type Shard = LruCache<u128, Row, BuildHasherDefault<KeyHasher>>;

/// Keys are digests already: their lower half is as good a hash as any.
#[derive(Debug, Clone, Copy, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// A [`Record`] of fixed size.
#[derive(Debug, Clone, Copy)]
struct Row {
    bill: u64,
    overhead: u64,
    /// Seconds since 1970 of the last request, and the milliseconds beyond.
    at: u32,
    millis: u16,
    /// The model of the last request.
    last: u16,
    requests: u32,
    turns: u32,
    switches: u32,
    /// In billionths.
    warmth: u32,
    threads: [RowThread; THREADS],
    /// The models of the threads; beside them, as they would cost twice as much in them.
    models: [u16; THREADS],
}

/// A [`Thread`] of fixed size.
#[derive(Debug, Clone, Copy, Default)]
struct RowThread {
    mark: u32,
    at: u32,
    /// Tokens of the last request and its answer as the model counted them.
    prefix: u32,
    /// Tokens of the last request, at least.
    least: u32,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            bill: 0,
            overhead: 0,
            at: 0,
            millis: 0,
            last: NO_MODEL,
            requests: 0,
            turns: 0,
            switches: 0,
            warmth: UNKNOWN_WARMTH,
            threads: Default::default(),
            models: [NO_MODEL; THREADS],
        }
    }
}

/// A request that was sent, to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Its thread.
    pub thread: u32,
    /// Its model.
    pub model: &'a str,
    /// The model's prices; `None` leaves those that are known.
    pub prices: Option<Prices>,
    /// The user says something.
    pub user_turn: bool,
    /// What was is forgotten: the conversation begins again.
    pub restarts: bool,
    /// It counts as a switch; `None` if it does where the model is not that of the last request.
    pub switched: Option<bool>,
    /// What a forced switch costs; one that was wished for is [charged](super::Conversations)
    /// before.
    pub forced: u64,
    /// What the bill gets beforehand.
    pub billed: u64,
    /// Tokens of the prompt, at least.
    pub least: u64,
    /// When it was sent.
    pub now: Timestamp,
}

impl Table {
    pub(super) fn new(capacity: usize) -> Self {
        let shard = |_| {
            Mutex::new(LruCache::unbounded_with_hasher(
                BuildHasherDefault::default(),
            ))
        };
        let table = Self {
            shards: std::array::from_fn(shard),
            models: ModelNames::default(),
            capacity: AtomicUsize::new(0),
            forgotten: AtomicU64::new(0),
        };
        table.limit(capacity);
        table
    }

    fn shard(&self, key: ConversationKey) -> MutexGuard<'_, Shard> {
        // The upper bits choose the shard, the lower ones the place in it.
        let index = (key.0 >> 120) as usize % SHARDS;
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Limits how many are remembered. What is too much goes with the next requests.
    pub(super) fn limit(&self, capacity: usize) {
        self.capacity.store(capacity.max(SHARDS), Ordering::Relaxed);
    }

    pub(super) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// Returns how many had to be forgotten for others.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// Returns what is known of a conversation, which is in use from now on.
    pub(super) fn look(&self, key: ConversationKey) -> Option<Record> {
        let row = *self.shard(key).get(&key.0)?;
        self.record(&row)
    }

    /// Returns what is known of a conversation; it grows no younger by that.
    pub(super) fn peek(&self, key: ConversationKey) -> Option<Record> {
        let row = *self.shard(key).peek(&key.0)?;
        self.record(&row)
    }

    pub(super) fn contains(&self, key: ConversationKey) -> bool {
        self.shard(key).contains(&key.0)
    }

    pub(super) fn forget(&self, key: ConversationKey) {
        self.shard(key).pop(&key.0);
    }

    /// Adds to what switches have cost if `affords` says so of the bill and that cost.
    pub(super) fn charge(
        &self,
        key: ConversationKey,
        cost: u64,
        affords: impl FnOnce(u64, u64) -> bool,
    ) -> bool {
        let mut shard = self.shard(key);
        let Some(row) = shard.get_mut(&key.0) else {
            return cost == 0;
        };
        let affordable = affords(row.bill, row.overhead);
        if affordable {
            row.overhead = row.overhead.saturating_add(cost);
        }
        affordable
    }

    /// Records a request that was sent.
    pub(super) fn note(&self, key: ConversationKey, step: &Step<'_>) {
        let Some(model) = self.models.number(step.model, step.prices) else {
            return;
        };
        let mut shard = self.shard(key);
        let row = shard.get_or_insert_mut(key.0, Row::default);
        if step.restarts {
            *row = Row::default();
        }

        let moved = row.last != NO_MODEL && row.last != model;
        if moved {
            // What is known of a cache is known of the model that was left.
            row.warmth = UNKNOWN_WARMTH;
        }
        row.set_time(step.now);
        row.last = model;
        row.requests = row.requests.saturating_add(1);
        row.turns = row.turns.saturating_add(step.user_turn.into());
        row.switches = row
            .switches
            .saturating_add(step.switched.unwrap_or(moved).into());
        row.bill = row.bill.saturating_add(step.billed);
        row.overhead = row.overhead.saturating_add(step.forced);
        let thread = RowThread {
            mark: step.thread,
            at: row.at,
            prefix: UNCOUNTED,
            least: small(step.least),
        };
        row.place(thread, model);
        self.shrink(shard);
    }

    /// Takes over what another replica knows.
    pub(super) fn restore(&self, key: ConversationKey, record: &Record) {
        let Some(row) = self.row(record) else {
            return;
        };
        let mut shard = self.shard(key);
        shard.put(key.0, row);
        self.shrink(shard);
    }

    /// Counts an answer: its real price instead of the estimate `billed`, and the length of the
    /// prefix.
    pub(super) fn answered(
        &self,
        key: ConversationKey,
        thread: u32,
        billed: u64,
        model: &str,
        tokens: Tokens,
    ) {
        let prices = self.models.prices(model);
        let mut shard = self.shard(key);
        let Some(row) = shard.peek_mut(&key.0) else {
            return;
        };
        if let Some(prices) = prices {
            let cost = (prices.cost(tokens) * 1e6).floor() as u64;
            row.bill = row.bill.saturating_add(cost.saturating_sub(billed));
        }
        if let Some(index) = row.thread(thread) {
            let own = &mut row.threads[index];
            let counted = u32::try_from(tokens.prompt.saturating_add(tokens.completion))
                .unwrap_or(UNCOUNTED - 1);
            own.prefix = if own.prefix == UNCOUNTED {
                counted
            } else {
                own.prefix.max(counted)
            };
        }
    }

    /// Records which share of a prompt was in the model's cache. An answer of a model that was left
    /// says nothing of the new one's cache: then it returns false.
    pub(super) fn warm(&self, key: ConversationKey, model: &str, warmth: f64) -> bool {
        let number = self.models.number(model, None);
        let mut shard = self.shard(key);
        let Some(row) = shard
            .peek_mut(&key.0)
            .filter(|row| Some(row.last) == number)
        else {
            return false;
        };
        row.warmth = billionths(Some(warmth));
        true
    }

    /// Returns the prices of a model that some conversation has used.
    pub(super) fn prices(&self, model: &str) -> Option<Prices> {
        self.models.prices(model)
    }

    fn record(&self, row: &Row) -> Option<Record> {
        let names = self.models.read();
        let threads = row
            .threads
            .iter()
            .zip(row.models)
            .filter_map(|(thread, model)| {
                Some(Thread {
                    mark: thread.mark,
                    model: names.get(model)?,
                    at: thread.at.into(),
                    counted: (thread.prefix != UNCOUNTED).then(|| thread.prefix.into()),
                    least: thread.least.into(),
                })
            });
        Some(Record {
            model: names.get(row.last)?,
            at: row.time(),
            requests: row.requests.into(),
            turns: row.turns.into(),
            switches: row.switches.into(),
            bill: row.bill,
            overhead: row.overhead,
            warmth: (row.warmth != UNKNOWN_WARMTH).then(|| f64::from(row.warmth) / BILLION),
            threads: threads.collect(),
        })
    }

    fn row(&self, record: &Record) -> Option<Row> {
        let mut row = Row {
            bill: record.bill,
            overhead: record.overhead,
            last: self.models.number(&record.model, None)?,
            requests: small(record.requests),
            turns: small(record.turns),
            switches: small(record.switches),
            warmth: billionths(record.warmth),
            ..Row::default()
        };
        row.set_time(record.at);
        for (index, thread) in record.threads.iter().take(THREADS).enumerate() {
            let Some(model) = self.models.number(&thread.model, None) else {
                continue;
            };
            row.models[index] = model;
            row.threads[index] = RowThread {
                mark: thread.mark,
                at: small(thread.at),
                prefix: thread.counted.map_or(UNCOUNTED, small),
                least: small(thread.least),
            };
        }
        Some(row)
    }

    fn shrink(&self, mut shard: MutexGuard<'_, Shard>) {
        let share = self.capacity.load(Ordering::Relaxed) / SHARDS;
        while shard.len() > share {
            shard.pop_lru();
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Row {
    fn time(&self) -> Timestamp {
        Timestamp(u64::from(self.at) * 1_000 + u64::from(self.millis))
    }

    fn set_time(&mut self, at: Timestamp) {
        self.at = small(at.seconds());
        self.millis = (at.0 % 1_000) as u16;
    }

    /// Returns the place of the thread with this mark.
    fn thread(&self, mark: u32) -> Option<usize> {
        (0..THREADS)
            .find(|&index| self.models[index] != NO_MODEL && self.threads[index].mark == mark)
    }

    /// Puts a thread where it was, or in a free place, or in that of the longest unused.
    fn place(&mut self, thread: RowThread, model: u16) {
        let oldest = || {
            (0..THREADS)
                .min_by_key(|&index| (self.models[index] != NO_MODEL, self.threads[index].at))
        };
        if let Some(index) = self.thread(thread.mark).or_else(oldest) {
            self.threads[index] = thread;
            self.models[index] = model;
        }
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and a billion"
)]
fn billionths(warmth: Option<f64>) -> u32 {
    warmth.map_or(UNKNOWN_WARMTH, |warmth| {
        (warmth.clamp(0.0, 1.0) * BILLION).round() as u32
    })
}

#[cfg(test)]
mod tests;
