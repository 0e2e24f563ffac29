//! Shared state on a Redis.
//!
//! Values are strings that expire; a table of numbers is a hash; a member of a group writes a
//! string of its own, whose name stands in the group's set. A request that waits for a value waits
//! until its deadline; values that are written for it go through a bounded queue to one [`Writer`].
//! Where the queue is full a value is dropped and counted: the next request writes it again.

use crate::redis::{Failure, Redis};
use ::redis::{Pipeline, cmd, pipe};
use conversation::store::{Change, ChangeBy, Entry, Pending, SharedStore, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Values that wait for being written, at most.
const WAITING: usize = 4_096;
/// Values that one round trip writes, at most.
const BATCH: usize = 256;

/// Writes a value unless a younger one is kept. `KEYS[1]` the key; `ARGV` its time, the value, its
/// life, milliseconds.
const SAVE: &str = "
local kept = redis.call('GET', KEYS[1])
if kept then
  local readable, record = pcall(cjson.decode, kept)
  if readable and type(record) == 'table' then
    local at = (tonumber(record.at) or 0) * 1000 + (tonumber(record.millis) or 0)
    if at > tonumber(ARGV[1]) then return 0 end
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";

/// Shared state on a Redis.
pub struct RedisShared {
    redis: Arc<Redis>,
    writes: Sender<Entry>,
    dropped: AtomicU64,
}

/// Writes what [`RedisShared::save_soon`] was given, until that is gone.
pub struct Writer {
    redis: Arc<Redis>,
    writes: Receiver<Entry>,
}

impl std::fmt::Debug for RedisShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisShared")
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl RedisShared {
    /// Keeps shared state on `redis`. The second value is the task that writes what nobody waits
    /// for.
    #[must_use]
    pub fn new(redis: Arc<Redis>) -> (Self, Writer) {
        let (writes, waiting) = channel(WAITING);
        let writer = Writer {
            redis: Arc::clone(&redis),
            writes: waiting,
        };
        let store = Self {
            redis,
            writes,
            dropped: AtomicU64::new(0),
        };
        (store, writer)
    }

    /// Returns how many values were not written because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let mut command = cmd("GET");
        command.arg(self.redis.key(key));
        self.redis.ask(&command).await
    }

    async fn write(&self, entries: &[Entry]) -> Result<(), Failure> {
        let mut commands = pipe();
        for entry in entries {
            commands
                .cmd("EVAL")
                .arg(SAVE)
                .arg(1)
                .arg(self.redis.key(&entry.key))
                .arg(entry.at.0)
                .arg(&entry.value)
                .arg(milliseconds(entry.keep))
                .ignore();
        }
        self.redis.ask_all(&commands).await
    }

    /// Applies changes in one transaction: all or none. Where its answer is lost, it may have been
    /// carried out and is tried again: an outcome then counts twice, which is better than never.
    async fn change(
        &self,
        table: &str,
        changes: &[Change],
        keep: Duration,
    ) -> Result<Vec<(String, f64)>, Failure> {
        let table = self.redis.key(table);
        let mut commands = pipe();
        commands.atomic();
        for change in changes {
            add_change(&mut commands, &table, change);
        }
        if !changes.is_empty() {
            commands
                .cmd("PEXPIRE")
                .arg(&table)
                .arg(milliseconds(keep))
                .ignore();
        }
        commands.cmd("HGETALL").arg(&table);

        let (numbers,) = self
            .redis
            .ask_all::<(HashMap<String, String>,)>(&commands)
            .await?;
        // What is no number was not written here.
        Ok(numbers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
            .collect())
    }

    async fn tell(
        &self,
        group: &str,
        member: &str,
        value: Vec<u8>,
        keep: Duration,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let members = self.redis.key(&format!("{group}:replicas"));
        let share = |member: &str| self.redis.key(&format!("{group}:share:{member}"));
        let mut commands = pipe();
        commands
            .cmd("SET")
            .arg(share(member))
            .arg(value)
            .arg("PX")
            .arg(milliseconds(keep))
            .ignore();
        commands.cmd("SADD").arg(&members).arg(member).ignore();
        commands.cmd("SMEMBERS").arg(&members);
        let (mut others,) = self.redis.ask_all::<(Vec<String>,)>(&commands).await?;
        others.retain(|other| other != member);
        if others.is_empty() {
            return Ok(Vec::new());
        }

        let mut read = cmd("MGET");
        for other in &others {
            read.arg(share(other));
        }
        let found: Vec<Option<Vec<u8>>> = self.redis.ask(&read).await?;
        let gone: Vec<&String> = others
            .iter()
            .zip(&found)
            .filter(|(_, value)| value.is_none())
            .map(|(other, _)| other)
            .collect();
        if !gone.is_empty() {
            // The set of names must not grow with every restart of a replica.
            let mut forget = cmd("SREM");
            forget.arg(&members).arg(gone);
            self.redis.ask::<()>(&forget).await?;
        }
        Ok(found.into_iter().flatten().collect())
    }
}

fn add_change(commands: &mut Pipeline, table: &str, change: &Change) {
    match change.by {
        ChangeBy::Adding(count) => commands
            .cmd("HINCRBY")
            .arg(table)
            .arg(&change.name)
            .arg(count)
            .ignore(),
        ChangeBy::Setting(value) => commands
            .cmd("HSET")
            .arg(table)
            .arg(&change.name)
            .arg(value)
            .ignore(),
    };
}

impl SharedStore for RedisShared {
    fn load<'a>(&'a self, key: &'a str, deadline: Instant) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(within(deadline, self.read(key)))
    }

    fn save<'a>(&'a self, entries: &'a [Entry], deadline: Instant) -> Pending<'a, ()> {
        Box::pin(within(deadline, self.write(entries)))
    }

    fn save_soon(&self, entry: Entry) {
        if self.writes.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn exchange<'a>(
        &'a self,
        table: &'a str,
        changes: &'a [Change],
        keep: Duration,
        deadline: Instant,
    ) -> Pending<'a, Vec<(String, f64)>> {
        Box::pin(within(deadline, self.change(table, changes, keep)))
    }

    fn publish<'a>(
        &'a self,
        group: &'a str,
        member: &'a str,
        value: Vec<u8>,
        keep: Duration,
        deadline: Instant,
    ) -> Pending<'a, Vec<Vec<u8>>> {
        Box::pin(within(deadline, self.tell(group, member, value, keep)))
    }
}

impl Writer {
    /// Writes until the store is gone. A value that cannot be written is lost: the next request of
    /// its conversation writes it again.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.writes.recv_many(&mut batch, BATCH).await > 0 {
            // Of several values of one key the last is the whole truth.
            let latest: HashMap<String, Entry> = batch
                .drain(..)
                .map(|entry: Entry| (entry.key.clone(), entry))
                .collect();
            if let Err(failure) = self.write(&latest).await {
                tracing::debug!(%failure, values = latest.len(), "values were not shared");
            }
        }
    }

    /// Writes values. The last writer counts: the clocks of replicas differ, and one that is ahead
    /// must not lock the others out of a conversation.
    async fn write(&self, latest: &HashMap<String, Entry>) -> Result<(), Failure> {
        let mut commands = pipe();
        for entry in latest.values() {
            commands
                .cmd("SET")
                .arg(self.redis.key(&entry.key))
                .arg(&entry.value)
                .arg("PX")
                .arg(milliseconds(entry.keep))
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

/// Waits for an answer until the deadline.
async fn within<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, StoreError> {
    tokio::time::timeout_at(deadline.into(), answer)
        .await
        .map_err(|_| StoreError::Timeout)?
        .map_err(StoreError::from)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
