//! Families whose labels are names of the document: each keeps a bounded number of series, and names
//! beyond that share the label `other`, so that no document makes a scrape large.

use super::families::{
    Boundary, Decision, Histograms, Model, ModelError, Plugin, PredictedEnergy, PredictedMoney,
    Selected, Signal, UnknownDecision,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Series that a family of counters keeps.
pub(super) const SERIES_MAX: usize = 1_000;

/// Series that a family of histograms keeps; each is a dozen lines or more.
pub(super) const HISTOGRAMS_MAX: usize = 100;

/// The name that stands for all those beyond the bound.
const OTHER: &str = "other";

/// Labels that hold names of the document.
pub trait Named: Clone + Eq + Hash {
    /// Returns the same labels with `other` for each name.
    #[must_use]
    fn other(&self) -> Self;
}

/// A family that keeps a bounded number of series.
#[derive(Debug, Clone)]
pub struct Bounded<L, M, C = fn() -> M> {
    family: Family<L, M, C>,
    /// Series made since the last [`Bounded::clear`].
    made: Arc<AtomicUsize>,
    most: usize,
}

/// A bounded family of histograms, all with the same buckets.
pub(super) type BoundedHistograms<L> = Bounded<L, Histogram, fn() -> Histogram>;

impl<L: Named, M: Clone, C: MetricConstructor<M>> Bounded<L, M, C> {
    /// Returns the metric of these labels, or of `other` once there are too many.
    #[must_use]
    pub fn get_or_create(&self, label: &L) -> M {
        if let Some(metric) = self.family.get(label) {
            return metric.clone();
        }
        // Two threads may make the same series at once; it then counts twice, which is harmless.
        if self.made.fetch_add(1, Relaxed) < self.most {
            return self.family.get_or_create_owned(label);
        }
        self.made.store(self.most, Relaxed);
        self.family.get_or_create_owned(&label.other())
    }

    /// Forgets all series.
    pub fn clear(&self) {
        self.family.clear();
        self.made.store(0, Relaxed);
    }
}

/// Registers a bounded family of counters.
pub(super) fn bounded<L: Named>(to: &mut Registry, name: &str, help: &str) -> Bounded<L, Counter>
where
    Family<L, Counter, fn() -> Counter>: Metric,
{
    register(to, name, help, Counter::default, SERIES_MAX)
}

/// Registers a bounded family of histograms.
pub(super) fn bounded_histograms<L: Named>(
    to: &mut Registry,
    name: &str,
    help: &str,
    make: fn() -> Histogram,
) -> BoundedHistograms<L>
where
    Histograms<L>: Metric,
{
    register(to, name, help, make, HISTOGRAMS_MAX)
}

pub(super) fn register<L: Named, M>(
    to: &mut Registry,
    name: &str,
    help: &str,
    make: fn() -> M,
    most: usize,
) -> Bounded<L, M>
where
    Family<L, M, fn() -> M>: Metric + Clone,
{
    let family = Family::new_with_constructor(make);
    to.register(name, help, family.clone());
    Bounded {
        family,
        made: Arc::default(),
        most,
    }
}

fn other() -> Arc<str> {
    OTHER.into()
}

impl Named for Model {
    fn other(&self) -> Self {
        Self { model: other() }
    }
}

impl Named for ModelError {
    fn other(&self) -> Self {
        Self {
            model: other(),
            ..*self
        }
    }
}

impl Named for Signal {
    fn other(&self) -> Self {
        Self {
            signal_name: other(),
            ..*self
        }
    }
}

impl Named for Decision {
    fn other(&self) -> Self {
        Self {
            decision_name: other(),
        }
    }
}

impl Named for UnknownDecision {
    fn other(&self) -> Self {
        Self {
            decision: OTHER.into(),
            policy: self.policy,
        }
    }
}

impl Named for Boundary {
    fn other(&self) -> Self {
        Self { boundary: other() }
    }
}

impl Named for Selected {
    fn other(&self) -> Self {
        Self {
            method: self.method,
            model: other(),
            decision: other(),
        }
    }
}

impl Named for PredictedMoney {
    fn other(&self) -> Self {
        // Amounts of different currencies are never added up.
        Self {
            model: other(),
            currency: self.currency.clone(),
        }
    }
}

impl Named for PredictedEnergy {
    fn other(&self) -> Self {
        Self {
            model: other(),
            ..*self
        }
    }
}

impl Named for Plugin {
    fn other(&self) -> Self {
        Self {
            decision_name: other(),
            ..*self
        }
    }
}

impl Named for super::looper::Attempted {
    fn other(&self) -> Self {
        Self {
            model: other(),
            ..*self
        }
    }
}
