//! Sessions on a Redis, so that replicas agree on them: one key a session, its record as JSON,
//! forgotten when idle.
//!
//! Reading waits within the request's time; writing does not wait at all: records go through a
//! bounded queue to one writer. Where the queue is full a record is dropped and counted: the next
//! request of the session writes it again.

use crate::redis::{Failure, Redis};
use router::session::SessionKey;
use router::session::store::{Loading, Saved, SessionStore, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Records that wait for being written, at most.
const WAITING: usize = 4_096;
/// Records that one round trip writes, at most.
const BATCH: usize = 256;

/// Sessions on a Redis.
pub struct RedisSessions {
    redis: Arc<Redis>,
    writes: Sender<(SessionKey, Saved)>,
    dropped: AtomicU64,
}

/// Writes what [`RedisSessions::save`] was given, until that is gone.
pub struct Writer {
    redis: Arc<Redis>,
    writes: Receiver<(SessionKey, Saved)>,
    keep: Duration,
}

impl std::fmt::Debug for RedisSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSessions")
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl RedisSessions {
    /// Sessions on `redis` that are forgotten `keep` after their last request, and the task that
    /// writes them.
    #[must_use]
    pub fn new(redis: Arc<Redis>, keep: Duration) -> (Self, Writer) {
        let (writes, waiting) = channel(WAITING);
        let writer = Writer {
            redis: Arc::clone(&redis),
            writes: waiting,
            keep,
        };
        (
            Self {
                redis,
                writes,
                dropped: AtomicU64::new(0),
            },
            writer,
        )
    }

    /// Records that were not written because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    async fn read(&self, key: SessionKey, deadline: Instant) -> Result<Option<Saved>, StoreError> {
        let mut command = ::redis::cmd("GET");
        command.arg(self.redis.key(&name(key)));
        let asking = self.redis.ask::<Option<Vec<u8>>>(&command);
        let found = tokio::time::timeout_at(deadline.into(), asking)
            .await
            .map_err(|_| StoreError::Timeout)??;
        let read = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
        found
            .map(read)
            .transpose()
            .map_err(|source| StoreError::Unavailable(Box::new(source)))
    }
}

impl SessionStore for RedisSessions {
    fn load(&self, key: SessionKey, deadline: Instant) -> Loading<'_> {
        Box::pin(self.read(key, deadline))
    }

    fn save(&self, key: SessionKey, saved: Saved) {
        if self.writes.try_send((key, saved)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Writer {
    /// Writes until the sessions are gone. A record that cannot be written is lost: the next
    /// request of its session writes it again.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.writes.recv_many(&mut batch, BATCH).await > 0 {
            // Of several records of one session the last is the whole truth.
            let latest: HashMap<SessionKey, Saved> = batch.drain(..).collect();
            if let Err(failure) = self.write(&latest).await {
                tracing::debug!(%failure, sessions = latest.len(), "sessions were not shared");
            }
        }
    }

    async fn write(&self, latest: &HashMap<SessionKey, Saved>) -> Result<(), Failure> {
        let mut commands = ::redis::pipe();
        for (key, saved) in latest {
            // Plain numbers and texts: they can always be written.
            let Ok(record) = serde_json::to_vec(saved) else {
                continue;
            };
            let milliseconds = u64::try_from(self.keep.as_millis()).unwrap_or(u64::MAX);
            commands
                .cmd("SET")
                .arg(self.redis.key(&name(*key)))
                .arg(record)
                .arg("PX")
                .arg(milliseconds)
                .ignore();
        }
        self.redis.ask_all(&commands).await
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TimedOut(_) => Self::Timeout,
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

/// The key is a keyed digest already: it tells nobody what the client called its session.
fn name(key: SessionKey) -> String {
    format!("session:{:032x}", key.0)
}
