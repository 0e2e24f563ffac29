//! What the protocol layer counts; a server exports it under its own metric names.

use crate::exchange::Fault;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Monotone counters of one service, all streams together.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) streams: Count,
    pub(crate) immediates: Count,
    pub(crate) panics: Count,
    pub(crate) protocol_errors: Count,
    pub(crate) abandoned: Count,
    pub(crate) early_closes: Count,
    pub(crate) response_deadlines: Count,
    pub(crate) broken_responses: Count,
    faults: [Count; Fault::NAMES.len()],
}

impl Counters {
    /// Streams opened.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.streams.get()
    }

    /// Requests answered by an immediate response, faults included.
    #[must_use]
    pub fn immediates(&self) -> u64 {
        self.immediates.get()
    }

    /// Exchanges that panicked; their streams ended with INTERNAL.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.get()
    }

    /// Streams ended because a frame could not be read or came out of order.
    #[must_use]
    pub fn protocol_errors(&self) -> u64 {
        self.protocol_errors.get()
    }

    /// Streams that Envoy ended before a decision was made (its client went away, mostly).
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.abandoned.get()
    }

    /// Streams that we ended because nothing more was wanted.
    #[must_use]
    pub fn early_closes(&self) -> u64 {
        self.early_closes.get()
    }

    /// Response headers passed on unedited because their deadline was over.
    #[must_use]
    pub fn response_deadlines(&self) -> u64 {
        self.response_deadlines.get()
    }

    /// Responses cut because what was held back, or had to be changed, could not go on.
    #[must_use]
    pub fn broken_responses(&self) -> u64 {
        self.broken_responses.get()
    }

    /// Faults by [`Fault::name`]; deadline hits are among them.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Fault::NAMES
            .into_iter()
            .zip(self.faults.iter().map(Count::get))
    }

    pub(crate) fn fault(&self, fault: Fault) {
        if let Some(count) = self.faults.get(fault.index()) {
            count.add();
        }
    }
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
