//! State of the models' pools: requests in flight, latency, errors, rest.
//!
//! ```yaml
//! global:
//!   server:
//!     pool:
//!       access_log: true                        # Envoy tells how requests ended
//!       scrape: [{model: large, url: "http://10.0.0.7:8000/metrics"}]
//!       rest_after_errors: 5                    # errors in a row, then 5 s of rest, 10 s, ... up to 120 s
//! ```
//!
//! A request is counted from when it is [sent](ModelPool::send) until its guard is dropped; how it
//! was served is [recorded](Pool::record) when its end is known. What algorithms read is published
//! in atomics, so that a selection takes no lock that a response holds.

mod latency;
mod rates;
mod reading;
mod report;
mod rest;
mod share;
#[cfg(test)]
mod tests;

pub use reading::{LatencyReading, ModelReading};
pub use report::Report;
pub use rest::RestSettings;
pub use share::Share;

use crate::card::ModelDescriptions;
use crate::providers::ModelCard;
use crate::served::Served;
use latency::Latencies;
use rates::Rates;
use report::Reported;
use rest::Rest;
use share::Elsewhere;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Models that have a row of their own; further ones share one, so that no list of names can fill
/// the memory.
const MODELS_MAX: usize = 4_096;

/// All models' state, by name. Lasts over reloads.
#[derive(Debug, Default)]
pub struct Pool {
    rows: Mutex<Rows>,
    settings: Mutex<Settings>,
}

#[derive(Debug, Default)]
struct Rows {
    models: HashMap<Arc<str>, Arc<ModelPool>>,
    /// Adapters run in the pool of their base model.
    bases: HashMap<Arc<str>, Arc<str>>,
    others: Arc<ModelPool>,
}

/// State of one model's pool. Candidates hold it, so that reading it looks nothing up.
#[derive(Debug, Default)]
pub struct ModelPool {
    in_flight: AtomicU64,
    /// Of requests whose answers were seen.
    seen: Latency,
    /// Time to the first byte, where the answers themselves were not seen.
    first_byte: Latencies,
    reported: Reported,
    elsewhere: Elsewhere,
    rest: Rest,
    rates: Mutex<Rates>,
}

/// Both latencies, from one source.
#[derive(Debug, Default)]
struct Latency {
    ttft: Latencies,
    tpot: Latencies,
}

/// How much is kept of each model, and when a failing one is rested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// When a failing model is rested.
    pub rest: RestSettings,
    /// Samples of latency that are kept of each model.
    pub samples: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rest: RestSettings::default(),
            samples: 1_000,
        }
    }
}

impl Pool {
    /// Returns the state of this model, made at first use. An adapter's is that of its base.
    pub fn model(&self, name: &str) -> Arc<ModelPool> {
        lock(&self.rows).row(name)
    }

    /// Takes over settings and names of a document that begins to serve. State stays; models that
    /// no document in use names any more are dropped.
    pub fn configure(&self, settings: Settings, models: &dyn ModelDescriptions) {
        *lock(&self.settings) = settings;
        let mut rows = lock(&self.rows);
        rows.bases = adapters(models);
        let named =
            |name: &str| models.provider_model(name).is_some() || models.model_card(name).is_some();
        rows.models
            .retain(|name, model| named(name) || Arc::strong_count(model) > 1);
        if settings.rest.after == 0 {
            rows.models.values().for_each(|model| model.rest.end());
        }
    }

    /// Records how a request was served that was sent to `model` at the instant `sent`.
    pub fn record(&self, model: &ModelPool, id: u64, sent: Instant, served: &Served, now: Instant) {
        let settings = *lock(&self.settings);
        model.record(id, sent, served, settings, now);
    }

    /// Gives up figures of others that were not renewed. To be called about once a second.
    pub fn tick(&self, now: Instant) {
        let models: Vec<_> = lock(&self.rows).models.values().cloned().collect();
        for model in models {
            model.reported.expire(now);
            model.elsewhere.expire(now);
        }
    }

    /// Takes over what a model's own server reports. It counts until `until`.
    pub fn report(&self, model: &str, report: &Report, until: Instant) {
        let samples = lock(&self.settings).samples;
        self.model(model).reported.take(report, until, samples);
    }
}

impl Rows {
    fn row(&mut self, name: &str) -> Arc<ModelPool> {
        let name = self.bases.get(name).map_or(name, |base| base);
        if let Some(model) = self.models.get(name) {
            return Arc::clone(model);
        }
        if self.models.len() >= MODELS_MAX {
            return Arc::clone(&self.others);
        }
        Arc::clone(self.models.entry(name.into()).or_default())
    }
}

/// Returns the base model of each adapter.
fn adapters(models: &dyn ModelDescriptions) -> HashMap<Arc<str>, Arc<str>> {
    let of_card = |card: &ModelCard| {
        let base: Arc<str> = card.name.as_str().into();
        card.loras
            .iter()
            .map(|lora| (Arc::from(lora.name.as_str()), Arc::clone(&base)))
            .collect::<Vec<_>>()
    };
    // A model that has a pool of its own is nobody's adapter here.
    let own = |name: &str| models.provider_model(name).is_some();
    models
        .model_cards()
        .flat_map(of_card)
        .filter(|(lora, _): &(Arc<str>, _)| !own(lora))
        .collect()
}

/// Counts one request as in flight while it lives: no way of ending leaves the count behind.
#[derive(Debug)]
pub struct InFlight(Arc<ModelPool>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ModelPool {
    /// Counts a request as in flight until the guard is dropped. The first after a rest is the
    /// probe.
    #[must_use]
    pub fn send(self: &Arc<Self>, id: u64, at: Instant) -> InFlight {
        self.rest.sent(id, at);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Forgets a request whose end nobody will report: if it was the probe, another one may be.
    pub fn forget(&self, id: u64) {
        self.rest.forget(id);
    }

    /// Returns the requests that were sent and not answered yet, here and, where state is shared,
    /// at other replicas; or as many as the model's own server reports, if that is more, as it may
    /// serve others too.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let sent = self
            .in_flight
            .load(Ordering::Relaxed)
            .saturating_add(self.elsewhere.in_flight());
        sent.max(self.reported.requests())
    }

    /// Returns the time to the first token, milliseconds, at a percentile of 1 to 100; `None`
    /// without a sample. One or two samples give their moving average, more are interpolated.
    ///
    /// By the best source there is: answers that were seen, the model's own server, the first byte
    /// of answers that were not seen, other replicas.
    #[must_use]
    pub fn ttft_ms(&self, percentile: u32) -> Option<f64> {
        let seen = self.seen.ttft.percentile(percentile);
        seen.or_else(|| self.reported.latency.ttft.percentile(percentile))
            .or_else(|| self.first_byte.percentile(percentile))
            .or_else(|| self.elsewhere.ttft_ms(percentile))
    }

    /// Returns the time per output token, milliseconds; as [`ttft_ms`](Self::ttft_ms).
    #[must_use]
    pub fn tpot_ms(&self, percentile: u32) -> Option<f64> {
        let seen = self.seen.tpot.percentile(percentile);
        seen.or_else(|| self.reported.latency.tpot.percentile(percentile))
            .or_else(|| self.elsewhere.tpot_ms(percentile))
    }

    /// Returns whether the model kept failing and gets no requests at the moment. When its time is
    /// over, one request at a time is let through to probe it: the first that is
    /// [sent](Self::send).
    #[must_use]
    pub fn is_resting(&self, now: Instant) -> bool {
        self.rest.is_resting(now)
    }

    fn record(&self, id: u64, sent: Instant, served: &Served, settings: Settings, now: Instant) {
        let failed = served.failed();
        self.rest.ended(id, sent, failed, settings.rest, now);
        let completion = served.tokens.map_or(0, |tokens| tokens.completion);
        lock(&self.rates).add(now, failed, completion);
        // A refusal is quick whatever the load.
        if failed || !(200..300).contains(&served.status) {
            return;
        }
        let was_seen = served.streamed || served.tokens.is_some();
        let ttft = if was_seen {
            &self.seen.ttft
        } else {
            &self.first_byte
        };
        ttft.add(served.first_token.map(millis), settings.samples);
        self.seen
            .tpot
            .add(time_per_token(served).map(millis), settings.samples);
    }
}

/// Returns the time between the tokens of a stream; of an answer in one piece, its time divided by
/// its tokens.
fn time_per_token(served: &Served) -> Option<Duration> {
    let tokens = u32::try_from(served.tokens?.completion).ok()?;
    let total = served.total?;
    match served.first_token.filter(|_| served.streamed) {
        Some(first) => total
            .checked_sub(first)?
            .checked_div(tokens.checked_sub(1)?),
        None => total.checked_div(tokens),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
