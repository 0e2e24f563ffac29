//! Records off the request's path: a bounded queue, one writer, batches.
//!
//! Handing something over never waits: where the queue is full, it is dropped and counted. The
//! writer commits a batch when it is full or 100 ms old. A store that is away is tried again with
//! growing pauses for a while, then its batch is dropped and counted; meanwhile the queue takes
//! what it has room for. A record that is begun and ended within a batch is written once.

use prost::Message as _;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::record::{Captured, DecisionRecord, Moment};
use crate::store::{Change, RecordStore, StoreError};

/// First pause after a store did not answer; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often old records are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// How much is held, and for how long.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Changes that wait, at most.
    pub queue: usize,
    /// Their bytes, at most.
    pub queue_bytes: usize,
    /// Changes that are committed together, at most.
    pub batch: usize,
    /// The longest that a change waits for others of its batch.
    pub flush: Duration,
    /// How long a batch is tried while the store is away.
    pub patience: Duration,
    /// The same after [`Recorder::close`].
    pub farewell: Duration,
    /// How long records are kept. `None`: for ever.
    pub ttl: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue: 16_384,
            queue_bytes: 64 << 20,
            batch: 1_024,
            flush: Duration::from_millis(100),
            patience: Duration::from_secs(60),
            farewell: Duration::from_secs(5),
            ttl: None,
        }
    }
}

/// What became of what was handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Committed.
    pub written: u64,
    /// Joined with a later change of the same batch, and so written with it.
    pub joined: u64,
    /// Dropped since too much waited, or since the recorder was closed.
    pub dropped_full: u64,
    /// Dropped since the store was away for too long.
    pub dropped_away: u64,
    /// Dropped since the store refused.
    pub dropped_refused: u64,
    /// Attempts that failed since the store was away.
    pub failures: u64,
    /// Records that grew too old.
    pub expired: u64,
}

/// Takes records. Clones share one queue.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: Sender<Message>,
    shared: Arc<Shared>,
    closing: Arc<watch::Sender<bool>>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    waiting_bytes: AtomicUsize,
    written: AtomicU64,
    joined: AtomicU64,
    dropped_full: AtomicU64,
    dropped_away: AtomicU64,
    dropped_refused: AtomicU64,
    failures: AtomicU64,
    expired: AtomicU64,
    away: AtomicBool,
}

#[derive(Debug)]
enum Message {
    Change(Change, usize),
    /// Tells whether all that came before was committed.
    Flush(oneshot::Sender<bool>),
}

/// Writes what a [`Recorder`] takes, until that is closed or gone.
#[derive(Debug)]
pub struct Writer {
    store: Arc<dyn RecordStore>,
    queue: Receiver<Message>,
    shared: Arc<Shared>,
    closing: watch::Receiver<bool>,
    /// Something was dropped since the last flush.
    lost: bool,
    /// When all that is left must be written, once closed.
    farewell: Option<Instant>,
}

impl Recorder {
    /// Makes a recorder and the task that writes for it; spawning that is the caller's.
    #[must_use]
    pub fn new(store: Arc<dyn RecordStore>, settings: Settings) -> (Self, Writer) {
        let (queue, waiting) = channel(settings.queue.max(1));
        let (closing, closed) = watch::channel(false);
        let shared = Arc::new(Shared::new(settings));
        let writer = Writer {
            store,
            queue: waiting,
            shared: Arc::clone(&shared),
            closing: closed,
            lost: false,
            farewell: None,
        };
        let recorder = Self {
            queue,
            shared,
            closing: Arc::new(closing),
        };
        (recorder, writer)
    }

    /// Hands a record over as it stands. Returns whether there was room.
    pub fn put(&self, record: DecisionRecord) -> bool {
        let bytes = record.encoded_len();
        self.hand(Change::Put(Box::new(record)), bytes)
    }

    /// Hands captured text over. Returns whether there was room.
    pub fn capture(&self, captured: Captured) -> bool {
        let bytes = captured.encoded_len();
        self.hand(Change::Capture(Box::new(captured)), bytes)
    }

    fn hand(&self, change: Change, bytes: usize) -> bool {
        let waiting = &self.shared.waiting_bytes;
        let before = waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.shared.settings.queue_bytes;
        let taken = fits && self.queue.try_send(Message::Change(change, bytes)).is_ok();
        if !taken {
            waiting.fetch_sub(bytes, Ordering::Relaxed);
            add(&self.shared.dropped_full, 1);
        }
        taken
    }

    /// Waits until all that was handed over before is committed or dropped. Returns whether nothing
    /// of it was dropped by the writer. Not for a request's path.
    pub async fn flush(&self) -> bool {
        let (tell, told) = oneshot::channel();
        let sent = self.queue.send(Message::Flush(tell)).await;
        sent.is_ok() && told.await.unwrap_or(false)
    }

    /// Ends the writer once it has written what waits, within [`Settings::farewell`].
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            written: read(&self.shared.written),
            joined: read(&self.shared.joined),
            dropped_full: read(&self.shared.dropped_full),
            dropped_away: read(&self.shared.dropped_away),
            dropped_refused: read(&self.shared.dropped_refused),
            failures: read(&self.shared.failures),
            expired: read(&self.shared.expired),
        }
    }

    /// Returns how many changes wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Returns whether the store did not answer last time.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.shared.away.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            waiting_bytes: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            dropped_full: AtomicU64::new(0),
            dropped_away: AtomicU64::new(0),
            dropped_refused: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            away: AtomicBool::new(false),
        }
    }
}

fn add(count: &AtomicU64, more: usize) {
    count.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// What a writer does next.
enum Next {
    Message(Message),
    Sweep,
    Close,
}

/// What was taken out of the queue to be committed together.
#[derive(Debug, Default)]
struct Batch {
    changes: Vec<Change>,
    bytes: usize,
    flushes: Vec<oneshot::Sender<bool>>,
}

impl Writer {
    /// Writes until the recorder is closed, or all its clones are gone.
    pub async fn run(mut self) {
        let mut sweep = Instant::now();
        loop {
            match self.next(sweep).await {
                Next::Message(first) => {
                    let batch = self.gather(first).await;
                    self.write(batch).await;
                }
                Next::Sweep => {
                    self.expire().await;
                    sweep = Instant::now() + SWEEP;
                }
                Next::Close => return self.say_farewell().await,
            }
        }
    }

    async fn next(&mut self, sweep: Instant) -> Next {
        let closing = &mut self.closing;
        let closed = async move { closing.wait_for(|closed| *closed).await.is_ok() };
        tokio::select! {
            biased;
            _ = closed => Next::Close,
            first = self.queue.recv() => first.map_or(Next::Close, Next::Message),
            () = sleep_until(sweep), if self.shared.settings.ttl.is_some() => Next::Sweep,
        }
    }

    /// Writes what still waits.
    async fn say_farewell(&mut self) {
        self.queue.close();
        while let Some(first) = self.queue.recv().await {
            let batch = self.gather(first).await;
            self.write(batch).await;
        }
    }

    /// Takes what comes until the batch is full or old, or somebody waits for it.
    async fn gather(&mut self, first: Message) -> Batch {
        let settings = &self.shared.settings;
        let (most, until) = (settings.batch.max(1), Instant::now() + settings.flush);
        let mut batch = Batch::default();
        batch.take(first);
        let mut taken = Vec::new();
        while batch.changes.len() < most && batch.flushes.is_empty() {
            let room = most - batch.changes.len();
            let receiving = self.queue.recv_many(&mut taken, room);
            let came = timeout_at(until, receiving).await;
            for message in taken.drain(..) {
                batch.take(message);
            }
            if !came.is_ok_and(|count| count > 0) {
                break;
            }
        }
        batch
    }

    async fn write(&mut self, batch: Batch) {
        let handed = batch.changes.len();
        let changes = joined(batch.changes);
        add(&self.shared.joined, handed - changes.len());
        if !changes.is_empty() && !self.commit(&changes).await {
            self.lost = true;
        }
        self.shared
            .waiting_bytes
            .fetch_sub(batch.bytes, Ordering::Relaxed);
        if !batch.flushes.is_empty() {
            let lost = std::mem::take(&mut self.lost);
            for flush in batch.flushes {
                // Who asked may have gone.
                flush.send(!lost).ok();
            }
        }
    }

    /// Commits changes, trying again while the store is away. Returns whether nothing was dropped.
    async fn commit(&mut self, changes: &[Change]) -> bool {
        match self.try_for_long(changes).await {
            Ok(()) => true,
            Err(StoreError::Away(why)) => {
                tracing::warn!(count = changes.len(), why, "records were dropped");
                add(&self.shared.dropped_away, changes.len());
                false
            }
            Err(StoreError::Refused(why)) if changes.len() == 1 => {
                tracing::warn!(why, "a record was dropped");
                add(&self.shared.dropped_refused, 1);
                false
            }
            Err(StoreError::Refused(_)) => {
                // One of them is at fault; the others are kept.
                let mut all = true;
                for change in changes {
                    all &= Box::pin(self.commit(std::slice::from_ref(change))).await;
                }
                all
            }
        }
    }

    async fn try_for_long(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let patience = Instant::now() + self.shared.settings.patience;
        let mut pause = PAUSE;
        loop {
            let failure = match self.store.write(changes).await {
                Ok(()) => {
                    add(&self.shared.written, changes.len());
                    if self.shared.away.swap(false, Ordering::Relaxed) {
                        tracing::info!("the store of records is back");
                    }
                    return Ok(());
                }
                Err(refused @ StoreError::Refused(_)) => return Err(refused),
                Err(away) => away,
            };
            add(&self.shared.failures, 1);
            if !self.shared.away.swap(true, Ordering::Relaxed) {
                tracing::warn!(%failure, "records wait");
            }
            let until = self.patience(patience);
            let again = Instant::now() + pause;
            if again > until {
                return Err(failure);
            }
            self.rest(again).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Returns when to give up: earlier once the recorder is closed.
    fn patience(&mut self, patience: Instant) -> Instant {
        if !*self.closing.borrow() {
            return patience;
        }
        let farewell = self.shared.settings.farewell;
        *self
            .farewell
            .get_or_insert_with(|| Instant::now() + farewell)
    }

    /// Waits until then, or until the recorder is closed.
    async fn rest(&mut self, until: Instant) {
        if *self.closing.borrow() {
            sleep_until(until).await;
            return;
        }
        let closing = &mut self.closing;
        let closed = async move { closing.wait_for(|closed| *closed).await.is_ok() };
        tokio::select! {
            () = sleep_until(until) => {}
            // A recorder that is gone can be closed no more.
            true = closed => {}
        }
    }

    async fn expire(&mut self) {
        let Some(ttl) = self.shared.settings.ttl else {
            return;
        };
        match self.store.expire(Moment::now().before(ttl)).await {
            Ok(count) => {
                self.shared.expired.fetch_add(count, Ordering::Relaxed);
            }
            Err(failure) => tracing::warn!(%failure, "old records stay"),
        }
    }
}

impl Batch {
    fn take(&mut self, message: Message) {
        match message {
            Message::Change(change, bytes) => {
                self.changes.push(change);
                self.bytes += bytes;
            }
            Message::Flush(tell) => self.flushes.push(tell),
        }
    }
}

/// Joins changes of one record: the last state that it was in, but the first end stays.
fn joined(changes: Vec<Change>) -> Vec<Change> {
    let mut kept: Vec<Change> = Vec::with_capacity(changes.len());
    let mut places: HashMap<(bool, String), usize> = HashMap::new();
    for change in changes {
        let key = match &change {
            Change::Put(record) => (true, record.id.clone()),
            Change::Capture(captured) => (false, captured.id.clone()),
        };
        let earlier = places.get(&key).and_then(|&place| kept.get_mut(place));
        match earlier {
            Some(Change::Put(record)) if record.is_ended() => {}
            Some(earlier) => *earlier = change,
            None => {
                places.insert(key, kept.len());
                kept.push(change);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests;
