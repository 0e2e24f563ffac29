//! What replicas tell each other of their pools. How they reach each other is not this module's
//! business: it exports this replica's own share and imports those of the others.

use super::latency::Published;
use super::{Pool, lock};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// One replica's part in a model's pool: what it saw itself, never what others told it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The model, as the policy names it.
    pub model: String,
    /// Requests that this replica sent and that are not answered.
    pub in_flight: u64,
    /// Moving average of the time to the first token, milliseconds.
    pub ttft_ms: Option<f64>,
    /// Moving average of the time per output token, milliseconds.
    pub tpot_ms: Option<f64>,
}

impl Share {
    /// Encodes the shares of all models for other replicas.
    #[must_use]
    pub fn encode(shares: &[Self]) -> Vec<u8> {
        // Numbers and texts: they can always be written.
        serde_json::to_vec(shares).unwrap_or_default()
    }

    /// Decodes the shares of another replica. A list of shares is the first version of what they
    /// write; `None` for any other.
    #[must_use]
    pub fn decode(value: &[u8]) -> Option<Vec<Self>> {
        serde_json::from_slice(value).ok()
    }
}

/// What the other replicas told of one model.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    in_flight: AtomicU64,
    ttft: Published,
    tpot: Published,
    until: Mutex<Option<Instant>>,
}

impl Elsewhere {
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the average, which stands for every percentile, as it does for one or two samples.
    pub(super) fn ttft_ms(&self, percentile: u32) -> Option<f64> {
        self.ttft.get().filter(|_| (1..=100).contains(&percentile))
    }

    pub(super) fn tpot_ms(&self, percentile: u32) -> Option<f64> {
        self.tpot.get().filter(|_| (1..=100).contains(&percentile))
    }

    pub(super) fn expire(&self, now: Instant) {
        let is_over = lock(&self.until).is_some_and(|until| until <= now);
        if is_over {
            self.set(&Sum::default(), None);
        }
    }

    fn set(&self, sum: &Sum, until: Option<Instant>) {
        let mut kept = lock(&self.until);
        self.in_flight.store(sum.in_flight, Ordering::Relaxed);
        self.ttft.set(sum.ttft.mean());
        self.tpot.set(sum.tpot.mean());
        *kept = until;
    }
}

#[derive(Default)]
struct Sum {
    in_flight: u64,
    ttft: Mean,
    tpot: Mean,
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite() && *value > 0.0) {
            self.sum += value;
            self.count += 1.0;
        }
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

impl Pool {
    /// Exports this replica's own part, of every model.
    #[must_use]
    pub fn export(&self) -> Vec<Share> {
        let rows = lock(&self.rows);
        let shares = rows.models.iter().map(|(name, model)| Share {
            model: name.to_string(),
            in_flight: model.in_flight.load(Ordering::Relaxed),
            ttft_ms: model
                .seen
                .ttft
                .average()
                .or_else(|| model.first_byte.average()),
            tpot_ms: model.seen.tpot.average(),
        });
        shares.collect()
    }

    /// Imports the shares of all other replicas, in place of those before. They count until
    /// `until`; models that this replica does not know are left out.
    pub fn import(&self, others: impl IntoIterator<Item = Share>, until: Instant) {
        let mut sums: HashMap<String, Sum> = HashMap::new();
        for share in others {
            let sum = sums.entry(share.model).or_default();
            sum.in_flight = sum.in_flight.saturating_add(share.in_flight);
            sum.ttft.add(share.ttft_ms);
            sum.tpot.add(share.tpot_ms);
        }
        let models: Vec<_> = lock(&self.rows)
            .models
            .iter()
            .map(|(name, it)| (name.clone(), Arc::clone(it)))
            .collect();
        let none = Sum::default();
        for (name, model) in models {
            model
                .elsewhere
                .set(sums.get(&*name).unwrap_or(&none), Some(until));
        }
    }
}
