//! Requests under way: sent to a model, and their end not reported yet.
//!
//! The end may be reported by the response phase or by Envoy's access log; only the first report
//! counts. An end that nobody reports is given up after [`LEASE`], so that nothing stays counted as
//! in flight.

use crate::learning::LearningRecord;
use crate::session::Ticket;
use selection::pool::{InFlight, ModelPool};
use selection::served::Served;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After this time a request whose end nobody reported no longer counts as in flight. An answer may
/// be silent for as long in the bootstraps that are shipped.
pub const LEASE: Duration = Duration::from_secs(900);
/// For this long a late end is still taken as a sample.
const KEPT: Duration = Duration::from_secs(3_600);
/// Requests under way that are known at a time; beyond them the oldest is given up.
pub const OPEN_MAX: usize = 65_536;

/// A request that was sent to a model.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// Identifies it in the metadata that Envoy's access log repeats; from
    /// [`Dispatches::next_id`].
    pub id: u64,
    /// When it was sent.
    pub at: Instant,
    /// The model, as the policy names it.
    pub model: Arc<str>,
    /// The recipe; none for concrete model names.
    pub recipe: Option<Arc<str>>,
    /// The decision.
    pub decision: Option<Arc<str>>,
    /// The decision's tier.
    pub tier: i64,
    /// The session, if it has one.
    pub session: Option<Ticket>,
    /// The token estimate of its prompt; 0 if none was made.
    pub prompt_tokens: u64,
    /// What learning must remember of it; none where the document does not learn.
    pub learning: Option<Arc<LearningRecord>>,
}

/// All requests under way.
#[derive(Debug)]
pub struct Dispatches {
    entries: Mutex<Entries>,
    given_up: AtomicU64,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    /// By id, hence by age.
    by_id: BTreeMap<u64, Entry>,
    /// The leases of all with a lower id are over.
    leased_from: u64,
}

#[derive(Debug)]
struct Entry {
    dispatch: Dispatch,
    /// What was reported of the answer before its end.
    partial: Option<Box<Served>>,
    in_flight: Option<InFlight>,
    model: Arc<ModelPool>,
}

/// A request that is no longer under way.
pub(crate) struct Ended {
    pub(crate) dispatch: Dispatch,
    pub(crate) model: Arc<ModelPool>,
    pub(crate) served: Served,
}

impl Default for Dispatches {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            given_up: AtomicU64::new(0),
            // Ids of an earlier process may still be in a gateway's log: those of this one begin
            // elsewhere.
            next_id: AtomicU64::new(RandomState::new().hash_one(0) >> 1),
        }
    }
}

impl Dispatches {
    /// Returns an id for a [`Dispatch`]: ids grow, and differ between processes.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns how many requests are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().by_id.len()
    }

    /// Returns whether no request is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many were given up, because nobody reported their end in time or too many were
    /// open.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self, dispatch: Dispatch, model: Arc<ModelPool>) {
        self.expire(dispatch.at);
        let entry = Entry {
            in_flight: Some(model.send(dispatch.id, dispatch.at)),
            partial: None,
            model,
            dispatch,
        };

        let mut entries = self.entries();
        if entries.by_id.len() >= OPEN_MAX {
            self.give_up(entries.by_id.pop_first());
        }
        entries.by_id.insert(entry.dispatch.id, entry);
    }

    /// Keeps what is known of an answer for the report of its end.
    pub(crate) fn note(&self, id: u64, part: &Served) {
        if let Some(entry) = self.entries().by_id.get_mut(&id) {
            let joined = match &entry.partial {
                Some(earlier) => part.completing(earlier),
                None => *part,
            };
            entry.partial = Some(Box::new(joined));
        }
    }

    /// Removes a request whose end is known; `None` if an earlier report did.
    pub(crate) fn end(&self, id: u64, served: &Served) -> Option<Ended> {
        let Entry {
            dispatch,
            partial,
            in_flight,
            model,
        } = self.entries().by_id.remove(&id)?;
        drop(in_flight);
        let served = match &partial {
            Some(earlier) => served.completing(earlier),
            None => *served,
        };
        Some(Ended {
            dispatch,
            model,
            served,
        })
    }

    /// Removes a request whose end says nothing of its model.
    pub(crate) fn forget(&self, id: u64) {
        let removed = self.entries().by_id.remove(&id);
        if let Some(entry) = removed {
            entry.model.forget(id);
        }
    }

    /// Ends leases that are over, and drops what is older still.
    pub(crate) fn expire(&self, now: Instant) {
        let mut entries = self.entries();
        let Entries { by_id, leased_from } = &mut *entries;
        for (id, entry) in by_id.range_mut(*leased_from..) {
            if entry.age(now) < LEASE {
                break;
            }
            *leased_from = id.saturating_add(1);
            entry.in_flight = None;
            entry.model.forget(*id);
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }

        while by_id
            .first_key_value()
            .is_some_and(|(_, entry)| entry.age(now) >= KEPT)
        {
            by_id.pop_first();
        }
    }

    fn give_up(&self, oldest: Option<(u64, Entry)>) {
        // One without a lease was counted when its lease ended.
        if let Some((id, entry)) = oldest.filter(|(_, entry)| entry.in_flight.is_some()) {
            entry.model.forget(id);
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.dispatch.at)
    }
}
