//! What came of each request, as a record: one a request, completed when it ends, however it ends.
//!
//! ```text
//! exchange ── Entry ── events (bounded, never waited for) ──▶ Builder ── records ──▶ Recorder ──▶ store
//! access log ─────────────────────────────────────────────▶
//! ```
//!
//! On a request's path values are only moved into a queue. The [`builder`] makes records of them in
//! a task of its own, joins the ends that the response's way and Envoy's access log report, and
//! hands records to the recorder, which writes in batches. What finds no room is dropped and
//! counted.

mod builder;
mod capture;
mod describe;
mod event;
mod start;
pub(crate) mod tariff;

pub(crate) use event::{Begun, End, Ended, Kind, Reading, Run, Seen};
pub(crate) use start::{Opened, start};

use crate::metrics::{Metrics, Observed};
use event::Event;
use extproc::LogEntry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Bytes of request bodies that may wait for the builder.
const HELD: usize = 64 << 20;

/// Takes what happens to requests. Never waits.
#[derive(Debug)]
pub(crate) struct Recording {
    queue: mpsc::Sender<Event>,
    dropped: AtomicU64,
    held: Arc<AtomicUsize>,
    unheld: AtomicU64,
}

impl Recording {
    /// Makes room for so many events, and gives the end from which they are taken.
    fn new(room: usize) -> (Arc<Self>, mpsc::Receiver<Event>) {
        let (queue, events) = mpsc::channel(room.max(1));
        let recording = Self {
            queue,
            dropped: AtomicU64::new(0),
            held: Arc::default(),
            unheld: AtomicU64::new(0),
        };
        (Arc::new(recording), events)
    }

    /// Takes what Envoy's access log says of a request's end.
    pub(crate) fn logged(&self, key: u64, entry: LogEntry) {
        self.send(Event::Logged(key, Box::new(entry)));
    }

    /// Notes that the gateway tries a request at another model, as the one before failed.
    pub(crate) fn attempted(&self, key: u64, model: &str) {
        self.send(Event::Attempted(key, model.into()));
    }

    /// Waits until everything that was taken before has become records.
    pub(crate) async fn settled(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Event::Flush(tell)).await.is_ok() {
            told.await.ok();
        }
    }

    /// Keeps a body for the builder; `None` where too many wait.
    pub(crate) fn hold(&self, body: &bytes::Bytes) -> Option<Held> {
        let before = self.held.fetch_add(body.len(), Ordering::Relaxed);
        if before.saturating_add(body.len()) > HELD {
            self.held.fetch_sub(body.len(), Ordering::Relaxed);
            self.unheld.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Held {
            body: body.clone(),
            held: Arc::clone(&self.held),
        })
    }

    fn send(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shows what was dropped before it became a record.
    fn observe(self: &Arc<Self>, metrics: &Metrics) {
        let this = Arc::clone(self);
        metrics.observe(
            "merit_record_events_dropped",
            "Events of requests that were dropped, as too many waited to become records",
            Observed::Counter,
            move || this.dropped.load(Ordering::Relaxed),
        );
        let this = Arc::clone(self);
        metrics.observe(
            "merit_record_bodies_dropped",
            "Bodies whose hash and text are in no record, as too many waited",
            Observed::Counter,
            move || this.unheld.load(Ordering::Relaxed),
        );
    }
}

/// A body that waits to be read for a record.
#[derive(Debug)]
pub(crate) struct Held {
    body: bytes::Bytes,
    held: Arc<AtomicUsize>,
}

impl Held {
    /// Returns its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(self.body.len(), Ordering::Relaxed);
    }
}

/// How far the record of a request has come.
mod state {
    pub(super) const SEEN: u8 = 0;
    pub(super) const BEGUN: u8 = 1;
    pub(super) const SENT: u8 = 2;
    /// Sent, and Envoy's access log will tell the end.
    pub(super) const LOGGED: u8 = 3;
    pub(super) const OVER: u8 = 4;
}

/// The record of one request while it is under way. Dropped without an end, it ends as what is
/// known then: whatever becomes of the exchange, there is one record.
#[derive(Debug)]
pub(crate) struct Entry {
    recording: Arc<Recording>,
    seen: Seen,
    state: AtomicU8,
}

impl Entry {
    /// Begins with what a request's headers say.
    pub(crate) fn new(recording: &Arc<Recording>, seen: Seen) -> Arc<Self> {
        Arc::new(Self {
            recording: Arc::clone(recording),
            seen,
            state: AtomicU8::new(state::SEEN),
        })
    }

    /// Returns what identifies the request on its way and in Envoy's access log.
    pub(crate) fn key(&self) -> u64 {
        self.seen.key
    }

    /// Returns the record's id.
    pub(crate) fn id(&self) -> String {
        format!("{:032x}", self.seen.id)
    }

    /// Returns where its events go.
    pub(crate) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Notes that the request was decided on. Its record is not kept where `begun` says so.
    pub(crate) fn begin(&self, begun: impl FnOnce(Seen) -> Begun, is_kept: bool) {
        let next = if is_kept { state::BEGUN } else { state::OVER };
        if self.moved(state::SEEN, next) && is_kept {
            self.send(Event::Begin(Box::new(begun(self.seen.clone()))));
        }
    }

    /// Notes that the request goes out.
    pub(crate) fn sent(&self, is_logged: bool) {
        let next = if is_logged {
            state::LOGGED
        } else {
            state::SENT
        };
        self.moved(state::BEGUN, next);
    }

    /// Notes that it does not go out after all.
    pub(crate) fn withdraw(&self) {
        if !self.moved(state::LOGGED, state::BEGUN) {
            self.moved(state::SENT, state::BEGUN);
        }
    }

    /// Notes what is known of an answer whose end somebody else will tell.
    pub(crate) fn part(&self, part: Ended) {
        if self.state.load(Ordering::Acquire) != state::OVER {
            self.send(Event::Part(self.seen.key, Box::new(part)));
        }
    }

    /// Ends the record. Only the first end counts.
    pub(crate) fn end(&self, end: Ended) {
        let event = match self.state.swap(state::OVER, Ordering::AcqRel) {
            state::OVER => return,
            state::SEEN => Event::Unplanned(Box::new(self.seen.clone()), Box::new(end)),
            _ => Event::End(self.seen.key, Box::new(end)),
        };
        self.send(event);
    }

    fn moved(&self, from: u8, to: u8) -> bool {
        let changed = self
            .state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        changed.is_ok()
    }

    fn send(&self, event: Event) {
        self.recording.send(event);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        match *self.state.get_mut() {
            state::OVER | state::LOGGED => {}
            state::SENT => self.end(Ended::of(End::Unseen)),
            _ => self.end(Ended::of(End::Canceled)),
        }
    }
}

/// How long an end that somebody else is to report is waited for.
const LEASE: Duration = conversation::dispatch::LEASE;

#[cfg(test)]
pub(crate) mod tests;
