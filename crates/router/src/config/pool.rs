//! `global.server.pool` and `global.server.looper`: where the state of models' pools comes from,
//! what runs may spend.

use super::databases::RedisStore;
use schemars::JsonSchema;
use selection::pool::{RestSettings, Settings};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where the state of the models' pools is learned from, and when a failing model is rested.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolSettings {
    /// Envoy sends its access log to Merit's ext_proc listener (`envoy.access_loggers.http_grpc`).
    pub access_log: bool,
    /// Pages of Prometheus metrics of the models' own servers.
    pub scrape: Vec<ScrapeTarget>,
    /// Time between two scrapes, milliseconds.
    pub scrape_interval_ms: u64,
    /// Errors in a row after which a model is rested; 0 never rests one.
    pub rest_after_errors: u32,
    /// Time of the first rest, seconds; it doubles with each that follows.
    pub rest_seconds: u64,
    /// Longest rest, seconds.
    pub rest_max_seconds: u64,
    /// Samples of latency that are kept of each model.
    pub samples: u32,
    /// Where the state is shared between replicas; omitted keeps it in each process.
    pub redis: Option<RedisStore>,
    /// Time between two exchanges with that store, milliseconds.
    pub share_interval_ms: u64,
}

impl Default for PoolSettings {
    fn default() -> Self {
        let kept = Settings::default();
        Self {
            access_log: false,
            scrape: Vec::new(),
            scrape_interval_ms: 2_000,
            rest_after_errors: kept.rest.after,
            rest_seconds: kept.rest.first.as_secs(),
            rest_max_seconds: kept.rest.longest.as_secs(),
            samples: u32::try_from(kept.samples).unwrap_or(u32::MAX),
            redis: None,
            share_interval_ms: 500,
        }
    }
}

impl From<&PoolSettings> for Settings {
    fn from(written: &PoolSettings) -> Self {
        let first = Duration::from_secs(written.rest_seconds);
        let rest = RestSettings {
            after: written.rest_after_errors,
            first,
            longest: Duration::from_secs(written.rest_max_seconds).max(first),
        };
        Self {
            rest,
            samples: usize::try_from(written.samples).unwrap_or(usize::MAX),
        }
    }
}

/// A page of Prometheus metrics.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScrapeTarget {
    /// The model whose pool it tells of.
    pub model: String,
    /// Its URL.
    pub url: String,
}

/// What happens where a model fails.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fallback {
    /// Name the next candidate that may and can serve a request in the header
    /// `x-merit-fallback-model`, in the order of the decision's `modelRefs`. The gateway tries it
    /// where the chosen one fails, if it has a route for the two (`envoy/fallback.yaml`). Requests
    /// that name their model themselves, and those of the Responses API, name none. A candidate
    /// without a credential of its own is not named where the chosen one's replaces the caller's.
    pub enabled: bool,
}

/// What a multi-model run may spend.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LooperLimits {
    /// Calls of a run.
    pub max_calls: u32,
    /// Completion tokens of all calls of a run.
    pub max_completion_tokens: u64,
    /// Time of a run, seconds.
    pub max_seconds: u64,
    /// Bytes of all answers of a run.
    pub max_bytes: u64,
    /// Runs at a time; further ones are served by their first candidate.
    pub max_runs: u32,
}

impl Default for LooperLimits {
    fn default() -> Self {
        Self {
            max_calls: 8,
            max_completion_tokens: 65_536,
            max_seconds: 300,
            max_bytes: 64 << 20,
            max_runs: 256,
        }
    }
}
