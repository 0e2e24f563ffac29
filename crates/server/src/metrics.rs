//! Prometheus metrics: typed families, registered once, handed to the code that counts.
//!
//! Names and labels are the reference's where it has the metric, `merit_…` otherwise. Label values
//! are names of the document or words of the code, never what a client sent. The library appends
//! `_total` to counters and `_info` to infos.

mod bounded;
mod encoder;
pub mod families;
mod handles;
pub mod looper;
mod pool;
mod record;
pub mod usage;

pub use handles::{DecisionHandles, FamilyHandles, Handles, ModelHandles, Names, SignalHandles};

use crate::health::State;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::routing::get;
use encoder::EncoderReadings;
use families::{Boundaries, Decisions, Models, Plugins, Process, Selection, Signals};
use pool::PoolReadings;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    observed: Readings,
    encoder: EncoderReadings,
    pool: PoolReadings,
    known: Mutex<handles::Known>,
    /// Requests, by model.
    pub models: Models,
    /// What answers used and took.
    pub usage: usage::Usage,
    /// Signal evaluation.
    pub signals: Signals,
    /// Boundaries.
    pub boundaries: Boundaries,
    /// Decision evaluation.
    pub decisions: Decisions,
    /// Model selection.
    pub selection: Selection,
    /// Plugins.
    pub plugins: Plugins,
    /// Runs of several models, and attempts at another model.
    pub looper: looper::Looper,
    /// The process itself.
    pub process: Process,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let observed = Readings::default();
        let encoder = EncoderReadings::default();
        registry.register_collector(Box::new(observed.clone()));
        registry.register_collector(Box::new(encoder.clone()));
        let pool = PoolReadings::default();
        registry.register_collector(Box::new(pool.clone()));
        Self {
            models: Models::register(&mut registry),
            usage: usage::Usage::register(&mut registry),
            signals: Signals::register(&mut registry),
            boundaries: Boundaries::register(&mut registry),
            decisions: Decisions::register(&mut registry),
            selection: Selection::register(&mut registry),
            plugins: Plugins::register(&mut registry),
            looper: looper::Looper::register(&mut registry),
            process: Process::register(&mut registry),
            observed,
            encoder,
            pool,
            known: Mutex::default(),
            registry,
        }
    }

    /// A number that is read when somebody scrapes.
    pub fn observe(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Observed,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let mut readings = self
            .observed
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        readings.push(Reading {
            name,
            help,
            kind,
            read: Box::new(read),
        });
    }

    /// All metrics in OpenMetrics text.
    ///
    /// # Errors
    /// If a metric cannot be written, which would be a mistake in its definition.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 << 10);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// `GET /metrics`; and `GET /health` and `GET /ready` for a kubelet, which can ask neither over TLS
/// nor on a Unix socket.
pub fn router(metrics: Arc<Metrics>, state: watch::Receiver<State>) -> Router {
    let handler = async move || match metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let ready = async move || match *state.borrow() {
        State::Ready => StatusCode::OK,
        State::Starting | State::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    let health = async || StatusCode::OK;
    Router::new()
        .route("/metrics", get(handler))
        .route("/health", get(health))
        .route("/ready", get(ready))
}

/// How a number that is read on demand behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
}

#[derive(Clone, Default)]
struct Readings(Arc<Mutex<Vec<Reading>>>);

struct Reading {
    name: &'static str,
    help: &'static str,
    kind: Observed,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Readings {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Readings")
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for reading in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let value = (reading.read)();
            match reading.kind {
                Observed::Gauge => {
                    let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                    let metric = encoder.encode_descriptor(
                        reading.name,
                        reading.help,
                        None,
                        value.metric_type(),
                    )?;
                    value.encode(metric)?;
                }
                Observed::Counter => {
                    let value = ConstCounter::new(value);
                    let metric = encoder.encode_descriptor(
                        reading.name,
                        reading.help,
                        None,
                        value.metric_type(),
                    )?;
                    value.encode(metric)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
