//! What the engine of the models counts, read when somebody scrapes.

use super::Metrics;
use inference::engine::{BOUNDS, Statistics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Reads the engine; zeros while none runs.
#[derive(Clone, Default)]
pub(super) struct EncoderReadings(Arc<Mutex<Option<Read>>>);

type Read = Box<dyn Fn() -> Option<Statistics> + Send + Sync>;

impl Metrics {
    /// What the engine of the models counts.
    pub fn observe_encoder(&self, read: impl Fn() -> Option<Statistics> + Send + Sync + 'static) {
        *self
            .encoder
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Box::new(read));
    }
}

impl fmt::Debug for EncoderReadings {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("EncoderReadings")
    }
}

impl Collector for EncoderReadings {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        // The series are there from the start, so that a rate over them has a beginning.
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = read.as_ref().and_then(|read| read()).unwrap_or_default();
        drop(read);
        for (name, help, value) in [
            (
                "merit_encoder_windows",
                "Windows that a model read",
                now.runs,
            ),
            (
                "merit_encoder_tokens",
                "Tokens of these windows",
                now.tokens,
            ),
            (
                "merit_encoder_failures",
                "Runs of a model that failed",
                now.failures,
            ),
            (
                "merit_encoder_shed",
                "Windows that were turned away",
                now.shed,
            ),
            (
                "merit_encoder_timeouts",
                "Calls that ended at their deadline",
                now.timed_out,
            ),
            (
                "merit_encoder_cache_hits",
                "Windows that were read before",
                now.cache_hits,
            ),
            (
                "merit_encoder_cache_misses",
                "Windows that were not read before",
                now.cache_misses,
            ),
        ] {
            let value = ConstCounter::new(value);
            value.encode(to.encode_descriptor(name, help, None, value.metric_type())?)?;
        }
        for (name, help, value) in [
            (
                "merit_encoder_queue_depth",
                "Calls that wait for a model",
                now.queued,
            ),
            (
                "merit_encoder_cache_entries",
                "Windows whose results are kept",
                now.cache_entries,
            ),
            (
                "merit_encoder_cache_bytes",
                "Memory of these results",
                now.cache_bytes,
            ),
        ] {
            let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            value.encode(to.encode_descriptor(name, help, None, value.metric_type())?)?;
        }
        let name = "merit_encoder_run_seconds";
        let mut histogram = to.encode_descriptor(
            name,
            "Time that a model took for one window",
            None,
            MetricType::Histogram,
        )?;
        histogram.encode_histogram::<NoLabelSet>(
            now.run_time.as_secs_f64(),
            now.runs,
            &buckets(&now),
            None,
        )
    }
}

/// Upper bounds in seconds, the last without one, each with its own runs.
fn buckets(now: &Statistics) -> Vec<(f64, u64)> {
    let bounds = BOUNDS
        .iter()
        .map(|bound| Duration::from_millis(*bound).as_secs_f64())
        .chain([f64::INFINITY]);
    bounds
        .enumerate()
        .map(|(index, bound)| (bound, now.run_times.get(index).copied().unwrap_or(0)))
        .collect()
}
