//! The state of the models' pools, read when somebody scrapes. Labels are models of the document.

use super::Metrics;
use super::bounded::SERIES_MAX;
use super::families::Model;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use selection::pool::ModelReading;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the pools; no series without pools.
#[derive(Clone, Default)]
pub(super) struct PoolReadings(Arc<Mutex<Option<Read>>>);

type Read = Box<dyn Fn() -> Vec<ModelReading> + Send + Sync>;

impl Metrics {
    /// What is known of the models' pools.
    pub fn observe_pool(&self, read: impl Fn() -> Vec<ModelReading> + Send + Sync + 'static) {
        *self.pool.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(read));
    }
}

impl fmt::Debug for PoolReadings {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("PoolReadings")
    }
}

type Figure = fn(&ModelReading) -> Option<f64>;

const FIGURES: [(&str, &str, Option<Unit>, Figure); 7] = [
    (
        "llm_model_inflight_requests",
        "Requests that a model has not answered yet",
        None,
        |it| Some(it.in_flight as f64),
    ),
    (
        "merit_pool_in_flight",
        "Requests that a model has not answered yet",
        None,
        |it| Some(it.in_flight as f64),
    ),
    (
        "merit_pool_error_rate",
        "Errors among the requests of the last minutes",
        None,
        |it| it.error_rate,
    ),
    (
        "merit_pool_resting",
        "1 while a model that kept failing is rested",
        None,
        |it| Some(f64::from(u8::from(it.resting))),
    ),
    (
        "merit_pool_ttft",
        "Moving average of the time to the first token",
        Some(Unit::Seconds),
        |it| Some(it.ttft?.average_ms / 1e3),
    ),
    (
        "merit_pool_tpot",
        "Moving average of the time per output token",
        Some(Unit::Seconds),
        |it| Some(it.tpot?.average_ms / 1e3),
    ),
    (
        "merit_pool_tokens_per_second",
        "Completion tokens per second over about a minute",
        None,
        |it| Some(it.tokens_per_second),
    ),
];

impl Collector for PoolReadings {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let models = read.as_ref().map(|read| read()).unwrap_or_default();
        drop(read);
        for (name, help, unit, figure) in FIGURES {
            let mut family = to.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            for reading in models.iter().take(SERIES_MAX) {
                if let Some(value) = figure(reading) {
                    let label = Model {
                        model: reading.model.as_str().into(),
                    };
                    ConstGauge::new(value).encode(family.encode_family(&label)?)?;
                }
            }
        }
        Ok(())
    }
}
