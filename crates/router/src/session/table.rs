//! The sessions that are remembered: a bounded table in shards, the longest unused forgotten first.
//!
//! A record is small and of fixed size: models are numbers, money is in millionths, and of the
//! conversations that a session has at a time the last three are told apart. Looking one up and
//! noting a request each take one lock of one shard.

use super::model_names::ModelNames;
use super::{Saved, SessionKey, stay};
use crate::card::Prices;
use lru::LruCache;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Enough that threads seldom meet, few enough that shards fill evenly.
const SHARDS: usize = 16;

/// Conversations of one session that are told apart.
const THREADS: usize = 3;

/// A prefix whose length nobody has counted yet.
const UNCOUNTED: u32 = u32::MAX;

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    shards: [Mutex<Shard>; SHARDS],
    models: ModelNames,
    capacity: AtomicUsize,
    forgotten: AtomicU64,
}

type Shard = LruCache<u128, Record, BuildHasherDefault<Keyed>>;

/// Keys are keyed digests already: their lower half is as good a hash as any.
#[derive(Debug, Clone, Copy, Default)]
struct Keyed(u64);

impl Hasher for Keyed {
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

#[derive(Debug, Clone, Copy, Default)]
struct Record {
    bill: u64,
    overhead: u64,
    at: u32,
    requests: u32,
    turns: u32,
    switches: u32,
    last: u16,
    threads: [Thread; THREADS],
}

/// One conversation.
#[derive(Debug, Clone, Copy, Default)]
struct Thread {
    mark: u32,
    at: u32,
    /// Tokens of the last request and its answer as the model counted them.
    prefix: u32,
    /// Tokens of the last request, at least.
    least: u32,
    model: u16,
    used: bool,
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The model of this conversation, or, if it is not known, that of the session's last request.
    pub model: Arc<str>,
    /// This conversation is known.
    pub same_thread: bool,
    /// Seconds since 1970 of its last request.
    pub at: u64,
    /// Tokens of its last request and answer as the model counted them; `None` if nobody did.
    pub counted: Option<u64>,
    /// Tokens of its last request, at least; 0 for another conversation's.
    pub least: u64,
    /// Requests so far.
    pub requests: u64,
    /// Users' turns so far.
    pub turns: u64,
    /// Switches so far.
    pub switches: u64,
    /// Bill, millionths.
    pub bill: u64,
    /// What switches have cost, millionths.
    pub overhead: u64,
}

/// A request that was sent, to be noted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) thread: u32,
    pub(super) model: &'a str,
    pub(super) prices: Option<Prices>,
    pub(super) user_turn: bool,
    /// Forget what was: the session starts anew.
    pub(super) anew: bool,
    pub(super) switched: bool,
    /// What a forced switch costs; wished ones are [charged](Table::charge) before.
    pub(super) forced: u64,
    pub(super) billed: u64,
    /// Tokens of the prompt, at least.
    pub(super) least: u64,
    pub(super) now: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| {
                Mutex::new(LruCache::unbounded_with_hasher(
                    BuildHasherDefault::default(),
                ))
            }),
            models: ModelNames::default(),
            capacity: AtomicUsize::new(100_000),
            forgotten: AtomicU64::new(0),
        }
    }
}

impl Table {
    fn shard(&self, key: SessionKey) -> MutexGuard<'_, Shard> {
        // The upper bits choose the shard, the lower ones the place in it.
        let index = (key.0 >> 120) as usize % SHARDS;
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are remembered at most. What is too much goes with the next requests.
    pub(super) fn limit(&self, capacity: usize) {
        self.capacity.store(capacity.max(SHARDS), Ordering::Relaxed);
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// How many had to be forgotten for others.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// What is known of a session and of one conversation in it.
    pub(super) fn look(&self, key: SessionKey, thread: u32) -> Option<Seen> {
        let record = *self.shard(key).get(&key.0)?;
        let own = record
            .threads
            .iter()
            .find(|known| known.used && known.mark == thread);
        let model = self.models.name(own.map_or(record.last, |own| own.model))?;
        Some(Seen {
            model,
            same_thread: own.is_some(),
            at: own.map_or(record.at, |own| own.at).into(),
            counted: own
                .map(|own| own.prefix)
                .filter(|&prefix| prefix != UNCOUNTED)
                .map(u64::from),
            least: own.map_or(0, |own| own.least.into()),
            requests: record.requests.into(),
            turns: record.turns.into(),
            switches: record.switches.into(),
            bill: record.bill,
            overhead: record.overhead,
        })
    }

    /// Charges a switch if the session can afford it. Checked and charged at once, so that requests
    /// at the same time cannot both spend the same.
    pub(super) fn charge(&self, key: SessionKey, cost: u64, rules: &stay::Rules) -> bool {
        let mut shard = self.shard(key);
        let Some(record) = shard.get_mut(&key.0) else {
            return cost == 0;
        };
        let affordable = stay::affords(rules, record.bill, record.overhead, cost);
        if affordable {
            record.overhead = record.overhead.saturating_add(cost);
        }
        affordable
    }

    /// Notes a request that was sent.
    pub(super) fn note(&self, key: SessionKey, step: &Step<'_>) {
        let Some(model) = self.models.number(step.model, step.prices) else {
            return;
        };
        let now = u32::try_from(step.now).unwrap_or(u32::MAX);
        let mut shard = self.shard(key);
        let record = shard.get_or_insert_mut(key.0, Record::default);
        if step.anew {
            *record = Record::default();
        }
        record.at = now;
        record.last = model;
        record.requests = record.requests.saturating_add(1);
        record.turns = record.turns.saturating_add(step.user_turn.into());
        record.switches = record.switches.saturating_add(step.switched.into());
        record.bill = record.bill.saturating_add(step.billed);
        record.overhead = record.overhead.saturating_add(step.forced);
        let least = u32::try_from(step.least).unwrap_or(u32::MAX);
        record.place(Thread {
            mark: step.thread,
            at: now,
            prefix: UNCOUNTED,
            least,
            model,
            used: true,
        });
        self.shrink(shard);
    }

    /// Takes over what another replica knows.
    pub(super) fn restore(&self, key: SessionKey, saved: &Saved) {
        let number = |name: &str| self.models.number(name, None);
        let Some(last) = number(&saved.model) else {
            return;
        };
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let mut record = Record {
            bill: saved.bill,
            overhead: saved.overhead,
            at: small(saved.at),
            requests: small(saved.requests),
            turns: small(saved.turns),
            switches: small(saved.switches),
            last,
            threads: Default::default(),
        };
        for (place, thread) in record.threads.iter_mut().zip(&saved.threads) {
            let Some(model) = number(&thread.model) else {
                continue;
            };
            let prefix = thread.counted.map_or(UNCOUNTED, small);
            let (at, least) = (small(thread.at), small(thread.least));
            *place = Thread {
                mark: thread.mark,
                at,
                prefix,
                least,
                model,
                used: true,
            };
        }
        let mut shard = self.shard(key);
        shard.put(key.0, record);
        self.shrink(shard);
    }

    /// A session as another replica can read it.
    pub(super) fn save(&self, key: SessionKey) -> Option<Saved> {
        let record = *self.shard(key).peek(&key.0)?;
        let threads = record
            .threads
            .iter()
            .filter(|thread| thread.used)
            .filter_map(|thread| {
                Some(super::SavedThread {
                    mark: thread.mark,
                    model: self.models.name(thread.model)?.to_string(),
                    at: thread.at.into(),
                    counted: (thread.prefix != UNCOUNTED).then(|| thread.prefix.into()),
                    least: thread.least.into(),
                })
            });
        Some(Saved {
            model: self.models.name(record.last)?.to_string(),
            at: record.at.into(),
            requests: record.requests.into(),
            turns: record.turns.into(),
            switches: record.switches.into(),
            bill: record.bill,
            overhead: record.overhead,
            threads: threads.collect(),
        })
    }

    /// Counts an answer: its real price instead of the estimate `billed`, and the length of the
    /// prefix.
    pub(super) fn served(
        &self,
        (key, thread, billed): (SessionKey, u32, u64),
        model: &str,
        tokens: crate::card::Tokens,
    ) {
        let prices = self.models.prices(model);
        let mut shard = self.shard(key);
        let Some(record) = shard.peek_mut(&key.0) else {
            return;
        };
        if let Some(prices) = prices {
            let cost = (prices.cost(tokens) * 1e6).floor() as u64;
            record.bill = record.bill.saturating_add(cost.saturating_sub(billed));
        }
        if let Some(own) = record
            .threads
            .iter_mut()
            .find(|own| own.used && own.mark == thread)
        {
            let counted = u32::try_from(tokens.prompt.saturating_add(tokens.completion))
                .unwrap_or(UNCOUNTED - 1);
            own.prefix = if own.prefix == UNCOUNTED {
                counted
            } else {
                own.prefix.max(counted)
            };
        }
    }

    /// The prices of a model that some session has used.
    pub(super) fn prices(&self, model: &str) -> Option<Prices> {
        self.models.prices(model)
    }

    fn shrink(&self, mut shard: MutexGuard<'_, Shard>) {
        let share = self.capacity.load(Ordering::Relaxed) / SHARDS;
        while shard.len() > share {
            shard.pop_lru();
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Record {
    /// Puts a conversation where it was, or in a free place, or in that of the longest unused.
    fn place(&mut self, last: Thread) {
        let own = self
            .threads
            .iter()
            .position(|thread| thread.used && thread.mark == last.mark);
        let oldest =
            || (0..THREADS).min_by_key(|&index| (self.threads[index].used, self.threads[index].at));
        if let Some(index) = own.or_else(oldest) {
            self.threads[index] = last;
        }
    }
}

#[cfg(test)]
mod tests;
