//! Learning: choice by outcomes (`adaptation`) and staying with a conversation's model
//! (`protection`), as the reference does.
//!
//! [`Experience::advise`] runs after a decision's algorithm: adaptation may propose another model,
//! protection has the last word. Later requests rest on what is recorded of earlier ones:
//! [`Experience::sent`] when a request goes on, [`Experience::observe`] when its answer is known,
//! [`Experience::judge`] when somebody says what the answer was worth.

pub mod adaptation;
pub mod advise;
pub mod beta;
pub mod context;
mod exchange;
mod field;
pub mod input;
pub mod outcome;
pub mod policy;
pub mod reference;
pub mod requests;
pub mod rows;
pub mod settings;

#[cfg(test)]
mod tests;

use crate::{Conversation, ConversationKey, Conversations, Step, Timestamp};
use requests::{Accepted, Judgement, NotJudged, REQUESTS, RequestKey, Requests};
use rows::{Counts, Observation, Place, ROWS, Rows};
use selection::card::{Prices, Tokens};
use selection::served::Served;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What outcomes and answers have taught, and the conversations that protection knows. Lasts over
/// reloads.
#[derive(Debug)]
pub struct Experience {
    rows: Mutex<Rows>,
    conversations: Conversations,
    /// Those that other replicas do not know as they are now.
    changed: Mutex<Changed>,
    requests: Mutex<Requests>,
}

/// Conversations at most.
const CONVERSATIONS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// Conversations that have changed since they were last shared.
#[derive(Debug, Default)]
struct Changed(HashSet<ConversationKey>);

impl Changed {
    fn take(&mut self) -> Vec<ConversationKey> {
        std::mem::take(&mut self.0).into_iter().collect()
    }

    /// Marks conversations whose sharing failed.
    fn put_back(&mut self, keys: Vec<ConversationKey>) {
        self.0.extend(keys);
    }
}

impl Default for Experience {
    fn default() -> Self {
        Self::bounded(ROWS, CONVERSATIONS, REQUESTS)
    }
}

/// What learning must remember of a request until its answer is known and judged.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningRecord {
    /// Where it was routed, and to which model.
    pub place: Place,
    /// The model's prices.
    pub prices: Option<Prices>,
    /// Its conversation.
    pub conversation: Option<ConversationKey>,
    /// The key by which it can be judged.
    pub request: Option<RequestKey>,
}

/// What an outcome did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Rows that it changed.
    pub updated: usize,
    /// It counted before.
    pub duplicate: bool,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Rows of models.
    pub rows: usize,
    /// Conversations.
    pub conversations: usize,
    /// Requests that can be judged.
    pub requests: usize,
}

impl Experience {
    /// Remembers no more than these.
    #[must_use]
    pub fn bounded(
        rows: NonZeroUsize,
        conversations: NonZeroUsize,
        requests: NonZeroUsize,
    ) -> Self {
        Self {
            rows: Mutex::new(Rows::new(rows)),
            conversations: Conversations::new("conversation", conversations.get()),
            changed: Mutex::default(),
            requests: Mutex::new(Requests::new(requests)),
        }
    }

    /// Records that a request goes on to the model of its record.
    pub fn sent(&self, record: &LearningRecord, now: Instant) {
        if let Some(key) = record.conversation {
            let step = Step {
                thread: 0,
                model: &record.place.model,
                prices: None,
                user_turn: false,
                restarts: false,
                switched: None,
                forced: 0,
                billed: 0,
                least: 0,
                now: Timestamp::of(now),
            };
            self.conversations.note(key, &step);
            self.mark_changed(key);
        }
        if let Some(key) = record.request {
            self.requests().add(key, record.place.clone(), now);
        }
    }

    /// Records what the answer to a request shows of its model.
    pub fn observe(&self, record: &LearningRecord, served: &Served) {
        let seen = observation(record, served);
        self.rows().observe(&record.place, &seen);
        if let (Some(key), Some(warmth)) = (record.conversation, seen.cache) {
            let counts = self.conversations.warm(key, &record.place.model, warmth);
            if counts {
                self.mark_changed(key);
            }
        }
    }

    /// Finds a conversation, unless it is older than `ttl`: then it is forgotten.
    fn find(&self, key: ConversationKey, ttl: Duration, now: Instant) -> Conversation {
        let found = self.conversations.find(key, 0, Timestamp::of(now));
        if found.idle().is_none_or(|idle| idle <= ttl) {
            return found;
        }
        self.conversations.forget(key);
        Conversation {
            record: None,
            ..found
        }
    }

    /// Remembers to share a conversation, where a store is set.
    fn mark_changed(&self, key: ConversationKey) {
        if !self.conversations.is_shared() {
            return;
        }
        let mut changed = self.changed();
        changed.0.insert(key);
        // Those that were forgotten meanwhile need no sharing; without a store's answer they would
        // pile up here.
        if changed.0.len() > 2 * CONVERSATIONS.get() {
            changed.0.retain(|&key| self.conversations.contains(key));
        }
    }

    /// Counts what somebody says that an answer was worth.
    ///
    /// # Errors
    /// Why that does not count.
    pub fn judge(
        &self,
        judgement: &Judgement<'_>,
        ttl: Duration,
        now: Instant,
    ) -> Result<Judged, NotJudged> {
        let accepted = self.requests().judge(judgement, ttl, now)?;
        Ok(match accepted {
            Accepted::Again => Judged {
                updated: 0,
                duplicate: true,
            },
            Accepted::First(place) => {
                let counts = Counts::of(judgement.verdict, judgement.times());
                Judged {
                    updated: self.rows().judge(&place, counts),
                    duplicate: false,
                }
            }
        })
    }

    /// Returns how much is remembered.
    #[must_use]
    pub fn size(&self) -> Size {
        Size {
            rows: self.rows().len(),
            conversations: self.conversations.len(),
            requests: self.requests().len(),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what an answer shows of its model. One that failed shows neither speed nor cache.
fn observation(record: &LearningRecord, served: &Served) -> Observation {
    if served.failed() {
        return Observation {
            failed: true,
            ..Observation::default()
        };
    }
    let tokens = served.tokens.filter(|tokens| tokens.prompt > 0);
    let cache = tokens.map(|tokens| tokens.cached.min(tokens.prompt) as f64 / tokens.prompt as f64);
    let input_cost = record.prices.zip(tokens).and_then(|(prices, tokens)| {
        let paid = prices.cost(Tokens {
            completion: 0,
            ..tokens
        });
        let full = prices.cost(Tokens {
            prompt: tokens.prompt,
            ..Tokens::default()
        });
        (paid > 0.0 && full > 0.0).then(|| paid / full)
    });
    let latency = served
        .total
        .map(|total| total.as_secs_f64())
        .filter(|&seconds| seconds > 0.0);
    Observation {
        input_cost,
        latency,
        cache,
        failed: false,
    }
}
