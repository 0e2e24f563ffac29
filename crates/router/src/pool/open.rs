//! Requests under way: sent, and their end not told yet.

use super::{ModelPool, lock};
use crate::lasting::{Dispatch, Served};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// After this time a request whose end nobody told no longer counts as in flight. An answer may be
/// silent for as long in the bootstraps that are shipped.
pub const LEASE: Duration = Duration::from_secs(900);
/// For this long an end is still taken as a sample.
const KEPT: Duration = Duration::from_secs(3_600);
/// Requests under way that are known at a time; beyond them the oldest is given up.
pub const OPEN_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Open {
    entries: Mutex<Entries>,
    given_up: AtomicU64,
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
    noted: Noted,
    in_flight: Option<InFlight>,
    model: Arc<ModelPool>,
}

/// Counts one request while it lives: no way of ending leaves the count behind.
#[derive(Debug)]
struct InFlight(Arc<ModelPool>);

impl InFlight {
    fn new(model: &Arc<ModelPool>) -> Self {
        model.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(model))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is known of an answer before its end.
#[derive(Debug, Default)]
pub(super) struct Noted(Option<Box<Served>>);

impl Noted {
    /// The end as it is told, with what was known before. What was seen of the body is better than
    /// what a log says.
    pub(super) fn merged(&self, end: &Served) -> Served {
        let Some(noted) = &self.0 else { return *end };
        Served {
            status: if end.status == 0 {
                noted.status
            } else {
                end.status
            },
            first_token: noted.first_token.or(end.first_token),
            total: end.total.or(noted.total),
            tokens: noted.tokens.or(end.tokens),
            streamed: noted.streamed || end.streamed,
            cut: noted.cut || end.cut,
        }
    }
}

/// A request that is no longer under way.
pub(super) struct Ended {
    pub(super) dispatch: Dispatch,
    pub(super) model: Arc<ModelPool>,
    pub(super) noted: Noted,
}

impl Open {
    pub(super) fn insert(&self, dispatch: Dispatch, model: Arc<ModelPool>) {
        let entry = Entry {
            in_flight: Some(InFlight::new(&model)),
            noted: Noted::default(),
            model,
            dispatch,
        };
        let mut entries = lock(&self.entries);
        if entries.by_id.len() >= OPEN_MAX {
            self.give_up(entries.by_id.pop_first());
        }
        entries.by_id.insert(entry.dispatch.id, entry);
    }

    pub(super) fn note(&self, id: u64, part: &Served) {
        if let Some(entry) = lock(&self.entries).by_id.get_mut(&id) {
            entry.noted = Noted(Some(Box::new(entry.noted.merged(part))));
        }
    }

    pub(super) fn remove(&self, id: u64) -> Option<Ended> {
        let Entry {
            dispatch,
            noted,
            in_flight,
            model,
        } = lock(&self.entries).by_id.remove(&id)?;
        drop(in_flight);
        Some(Ended {
            dispatch,
            model,
            noted,
        })
    }

    /// Ends leases, and drops what is older still.
    pub(super) fn expire(&self, now: Instant) {
        let mut entries = lock(&self.entries);
        let Entries { by_id, leased_from } = &mut *entries;
        let over = |entry: &Entry, limit: Duration| {
            now.saturating_duration_since(entry.dispatch.at) >= limit
        };
        for (id, entry) in by_id.range_mut(*leased_from..) {
            if !over(entry, LEASE) {
                break;
            }
            *leased_from = id.saturating_add(1);
            entry.in_flight = None;
            entry.model.rest.forget(*id);
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
        while by_id
            .first_key_value()
            .is_some_and(|(_, entry)| over(entry, KEPT))
        {
            by_id.pop_first();
        }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.entries).by_id.len()
    }

    pub(super) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    fn give_up(&self, oldest: Option<(u64, Entry)>) {
        if let Some((id, entry)) = oldest.filter(|(_, entry)| entry.in_flight.is_some()) {
            entry.model.rest.forget(id);
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}
