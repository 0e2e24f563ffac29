//! Learning: choice by outcomes (`adaptation`) and staying with a conversation's model
//! (`protection`), as the reference does.
//!
//! [`Experience::advise`] runs after a decision's algorithm: adaptation may propose another model,
//! protection has the last word. What it rests on comes back later: [`Experience::sent`] when the
//! request goes on, [`Experience::observe`] when its answer is known, [`Experience::judge`] when
//! somebody says what the answer was worth.

pub mod adaptation;
pub mod advise;
pub mod beta;
pub mod context;
pub mod conversations;
mod field;
pub mod input;
pub mod lesson;
pub mod policy;
pub mod protection;
pub mod requests;
pub mod rows;
pub mod store;

#[cfg(test)]
mod tests;

use crate::card::{Prices, Tokens};
use crate::served::Served;
use conversations::{CONVERSATIONS, ConversationKey, Conversations};
use requests::{Accepted, Judgement, NotJudged, REQUESTS, RequestKey, Requests};
use rows::{Counts, Observation, Place, ROWS, Rows};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use store::SharedStore;

/// What outcomes and answers have taught, and the conversations that protection knows. Lasts over
/// reloads.
#[derive(Debug)]
pub struct Experience {
    rows: Mutex<Rows>,
    conversations: Mutex<Conversations>,
    requests: Mutex<Requests>,
    store: RwLock<Option<Arc<dyn SharedStore>>>,
}

impl Default for Experience {
    fn default() -> Self {
        Self::bounded(ROWS, CONVERSATIONS, REQUESTS)
    }
}

/// What learning must remember of a request until its answer is known and judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Trail {
    /// Where it was routed, and to which model.
    pub place: Place,
    /// The model's prices.
    pub prices: Option<Prices>,
    /// Its conversation.
    pub conversation: Option<ConversationKey>,
    /// By which it can be judged.
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
    /// With bounds of its own.
    #[must_use]
    pub fn bounded(
        rows: NonZeroUsize,
        conversations: NonZeroUsize,
        requests: NonZeroUsize,
    ) -> Self {
        Self {
            rows: Mutex::new(Rows::new(rows)),
            conversations: Mutex::new(Conversations::new(conversations)),
            requests: Mutex::new(Requests::new(requests)),
            store: RwLock::default(),
        }
    }

    /// From now on shares what it learns; `None` ends that.
    pub fn share(&self, store: Option<Arc<dyn SharedStore>>) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = store;
    }

    /// A request goes on to the model of its trail.
    pub fn sent(&self, trail: &Trail, now: Instant) {
        if let Some(key) = trail.conversation {
            self.conversations().turn(key, &trail.place.model, now);
        }
        if let Some(key) = trail.request {
            self.requests().add(key, trail.place.clone(), now);
        }
    }

    /// Records what the answer to a request shows of its model.
    pub fn observe(&self, trail: &Trail, served: &Served) {
        let seen = observation(trail, served);
        self.rows().observe(&trail.place, &seen);
        if let (Some(key), Some(warmth)) = (trail.conversation, seen.cache) {
            self.conversations().warm(key, &trail.place.model, warmth);
        }
    }

    /// Somebody says what an answer was worth.
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

    /// How much is remembered.
    #[must_use]
    pub fn size(&self) -> Size {
        Size {
            rows: self.rows().len(),
            conversations: self.conversations().len(),
            requests: self.requests().len(),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conversations(&self) -> MutexGuard<'_, Conversations> {
        self.conversations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> Option<Arc<dyn SharedStore>> {
        self.store
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What an answer shows of its model. One that failed shows neither speed nor cache.
fn observation(trail: &Trail, served: &Served) -> Observation {
    if served.failed() {
        return Observation {
            failed: true,
            ..Observation::default()
        };
    }
    let tokens = served.tokens.filter(|tokens| tokens.prompt > 0);
    let cache = tokens.map(|tokens| tokens.cached.min(tokens.prompt) as f64 / tokens.prompt as f64);
    let input_cost = trail.prices.zip(tokens).and_then(|(prices, tokens)| {
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
