//! What a model's own server reports of itself, until it is stale.

use super::{Latency, lock};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Figures of a model's own server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Requests that it works on.
    pub running: Option<f64>,
    /// Requests that wait for their turn there.
    pub waiting: Option<f64>,
    /// Share of its cache of keys and values that is in use, 0 to 1.
    pub cache_usage: Option<f64>,
    /// Times to the first token since the last report, milliseconds.
    pub ttft_ms: Vec<f64>,
    /// Times per output token since the last report, milliseconds.
    pub tpot_ms: Vec<f64>,
}

/// The last report of one model.
#[derive(Debug, Default)]
pub(super) struct Reported {
    requests: AtomicU64,
    pub(super) latency: Latency,
    last: Mutex<Option<Last>>,
}

/// The last report, and until when it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    until: Instant,
    pub(super) running: Option<f64>,
    pub(super) waiting: Option<f64>,
    pub(super) cache_usage: Option<f64>,
}

impl Reported {
    pub(super) fn take(&self, report: &Report, until: Instant, samples: usize) {
        let mut last = lock(&self.last);
        let requests = report.running.unwrap_or(0.0) + report.waiting.unwrap_or(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count; the cast saturates"
        )]
        self.requests
            .store(requests.max(0.0) as u64, Ordering::Relaxed);
        self.latency
            .ttft
            .add(report.ttft_ms.iter().copied(), samples);
        self.latency
            .tpot
            .add(report.tpot_ms.iter().copied(), samples);
        let Report {
            running,
            waiting,
            cache_usage,
            ..
        } = *report;
        *last = Some(Last {
            until,
            running,
            waiting,
            cache_usage,
        });
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn last(&self) -> Option<Last> {
        *lock(&self.last)
    }

    /// Drops a report whose time is over: stale figures are worse than none.
    pub(super) fn expire(&self, now: Instant) {
        let mut last = lock(&self.last);
        if last.is_some_and(|last| last.until <= now) {
            *last = None;
            self.requests.store(0, Ordering::Relaxed);
            self.latency.ttft.clear();
            self.latency.tpot.clear();
        }
    }
}
