//! What there is to show of the pools, for people and for metrics.

use super::latency::Latencies;
use super::{ModelPool, Pool, lock};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// One model's state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReading {
    /// The model, as the policy names it.
    pub model: String,
    /// What algorithms read as requests in flight.
    pub in_flight: u64,
    /// Of these, sent by this process.
    pub in_flight_here: u64,
    /// Of these, sent by other replicas.
    pub in_flight_elsewhere: u64,
    /// Time to the first token; missing while nothing is known.
    pub ttft: Option<LatencyReading>,
    /// Time per output token; missing while nothing is known.
    pub tpot: Option<LatencyReading>,
    /// Completion tokens per second over about a minute.
    pub tokens_per_second: f64,
    /// Errors among the requests of the last minutes, 0 to 1; missing if there were none.
    pub error_rate: Option<f64>,
    /// Errors in a row.
    pub errors_in_a_row: u32,
    /// The model rests or waits for its probe.
    pub resting: bool,
    /// Seconds of rest that are left.
    pub rest_seconds_left: f64,
    /// A probe is under way.
    pub probing: bool,
    /// Requests that the model's own server works on.
    pub reported_running: Option<f64>,
    /// Requests that wait there.
    pub reported_waiting: Option<f64>,
    /// Share of its cache of keys and values in use, 0 to 1.
    pub reported_cache_usage: Option<f64>,
}

/// A latency, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyReading {
    /// Where it comes from: `responses`, `scrape`, `first_byte` or `replicas`.
    pub source: &'static str,
    /// How many samples there are.
    pub samples: usize,
    /// Moving average.
    pub average_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
}

impl LatencyReading {
    fn of(source: &'static str, latencies: &Latencies) -> Option<Self> {
        Some(Self {
            source,
            samples: latencies.len(),
            average_ms: latencies.average()?,
            p50_ms: latencies.percentile(50)?,
            p95_ms: latencies.percentile(95)?,
            p99_ms: latencies.percentile(99)?,
        })
    }

    fn single(value: f64) -> Self {
        let (average_ms, p50_ms, p95_ms, p99_ms) = (value, value, value, value);
        Self {
            source: "replicas",
            samples: 1,
            average_ms,
            p50_ms,
            p95_ms,
            p99_ms,
        }
    }
}

impl Pool {
    /// Returns every model's state, by name.
    #[must_use]
    pub fn readings(&self, now: Instant) -> Vec<ModelReading> {
        let mut models: Vec<_> = lock(&self.rows)
            .models
            .iter()
            .map(|(name, model)| (name.clone(), Arc::clone(model)))
            .collect();
        models.sort_by(|one, other| one.0.cmp(&other.0));
        models
            .into_iter()
            .map(|(name, model)| model.reading(&name, now))
            .collect()
    }
}

impl ModelPool {
    fn reading(&self, model: &str, now: Instant) -> ModelReading {
        let rest = self.rest.reading(now);
        let reported = self.reported.last();
        let mut rates = lock(&self.rates);
        let ttft = LatencyReading::of("responses", &self.seen.ttft)
            .or_else(|| LatencyReading::of("scrape", &self.reported.latency.ttft))
            .or_else(|| LatencyReading::of("first_byte", &self.first_byte))
            .or_else(|| self.elsewhere.ttft_ms(50).map(LatencyReading::single));
        let tpot = LatencyReading::of("responses", &self.seen.tpot)
            .or_else(|| LatencyReading::of("scrape", &self.reported.latency.tpot))
            .or_else(|| self.elsewhere.tpot_ms(50).map(LatencyReading::single));
        ModelReading {
            model: model.to_owned(),
            in_flight: self.in_flight(),
            in_flight_here: self.in_flight.load(Ordering::Relaxed),
            in_flight_elsewhere: self.elsewhere.in_flight(),
            ttft,
            tpot,
            tokens_per_second: rates.tokens_per_second(now),
            error_rate: rates.error_rate(now),
            errors_in_a_row: rest.errors,
            resting: rest.resting,
            rest_seconds_left: rest.left.as_secs_f64(),
            probing: rest.probing,
            reported_running: reported.and_then(|last| last.running),
            reported_waiting: reported.and_then(|last| last.waiting),
            reported_cache_usage: reported.and_then(|last| last.cache_usage),
        }
    }
}
