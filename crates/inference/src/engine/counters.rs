//! What the engine counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    runs: AtomicU64,
    tokens: AtomicU64,
    failures: AtomicU64,
    shed: AtomicU64,
    timed_out: AtomicU64,
    nanoseconds: AtomicU64,
    buckets: [AtomicU64; BOUNDS.len() + 1],
}

/// Upper bounds of the buckets of [`Statistics::run_times`], in milliseconds.
pub const BOUNDS: [u64; 12] = [1, 2, 3, 5, 8, 12, 20, 30, 50, 100, 250, 1000];

/// What the engine has done so far, and what waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Windows that a graph read.
    pub runs: u64,
    /// Their tokens, special ones included.
    pub tokens: u64,
    /// Runs that failed.
    pub failures: u64,
    /// Windows that were turned away.
    pub shed: u64,
    /// Calls that ended at their deadline.
    pub timed_out: u64,
    /// Time of all runs.
    pub run_time: Duration,
    /// Runs by time: not above each of [`BOUNDS`] and above the one before; last, those above all.
    pub run_times: Vec<u64>,
    /// Windows that needed no run.
    pub cache_hits: u64,
    /// Windows that needed one.
    pub cache_misses: u64,
    /// Entries of the cache.
    pub cache_entries: usize,
    /// Bytes of the cache.
    pub cache_bytes: usize,
    /// Calls that wait.
    pub queued: usize,
}

impl Counters {
    pub(super) fn ran(&self, tokens: usize, took: Duration, well: bool) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
        self.failures.fetch_add(u64::from(!well), Ordering::Relaxed);
        self.nanoseconds.fetch_add(
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        let bucket = BOUNDS.partition_point(|bound| Duration::from_millis(*bound) < took);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn shed(&self, windows: usize) {
        self.shed.fetch_add(windows as u64, Ordering::Relaxed);
    }

    pub(super) fn timed_out(&self) {
        self.timed_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Statistics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            runs: of(&self.runs),
            tokens: of(&self.tokens),
            failures: of(&self.failures),
            shed: of(&self.shed),
            timed_out: of(&self.timed_out),
            run_time: Duration::from_nanos(of(&self.nanoseconds)),
            run_times: self.buckets.iter().map(of).collect(),
            ..Statistics::default()
        }
    }
}
