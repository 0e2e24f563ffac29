//! Records on a Redis or Valkey, for replicas.
//!
//! A record is a hash that expires; its text and its outcomes are keys beside it. Sorted sets keep
//! the order of all records and of those of a recipe, a decision, a model, a session, and of cached
//! and streamed answers: a page with such filters is cut by the server. A search, an aggregate and
//! a ledger read the records one after the other in small portions, since a Redis cannot add up.

use ::redis::{Pipeline, cmd, pipe};
use async_trait::async_trait;
use records::ledger::{LedgerKey, LedgerRow, Rows};
use records::record::{Captured, DecisionRecord, Moment, OutcomeReport, Unreadable, new_id};
use records::store::aggregate::{Group, Name};
use records::store::facts::Facts;
use records::store::{
    Added, Aggregate, CacheStatus, Change, Filter, Kept, Page, Paging, RecordStore, StoreError,
};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::redis::{Failure, Redis};

/// Records that are read at once; an answer has a bound.
const PORTION: usize = 64;
/// Records with their text that are read at once.
const TEXT_PORTION: usize = 8;
/// How long records are kept where nothing else is said.
const TTL: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The last key of a sorted set that is as long as it, nanoseconds in hexadecimal digits.
const TIME_DIGITS: usize = 16;

/// Writes a record unless it has ended. `KEYS`: the record, then its sets. `ARGV`: its bytes, how
/// far it has come, whether that is the end, its life in milliseconds, its score, its member of the
/// sets, the score below which members are too old.
const PUT: &str = "
local old = redis.call('HMGET', KEYS[1], 'ended', 'sets')
if old[1] == '1' then return 0 end
if old[2] then
  for name in string.gmatch(old[2], '[^\\n]+') do redis.call('ZREM', name, ARGV[5]) end
end
local sets = {}
for i = 2, #KEYS do
  redis.call('ZADD', KEYS[i], ARGV[4], ARGV[5])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. ARGV[6])
  redis.call('PEXPIRE', KEYS[i], ARGV[3])
  sets[#sets + 1] = KEYS[i]
end
redis.call('HSET', KEYS[1], 'data', ARGV[1], 'ended', ARGV[2], 'sets', table.concat(sets, '\\n'))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1";

/// Adds an outcome. `KEYS`: the record, its outcomes. `ARGV`: the key, the bytes.
const ADD_OUTCOME: &str = "
local life = redis.call('PTTL', KEYS[1])
if life == -2 then return -1 end
local added = redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
if life > 0 then redis.call('PEXPIRE', KEYS[2], life) end
return added";

/// Forgets a record. `KEYS`: the record, its text, its outcomes, the order. `ARGV`: its member.
const FORGET: &str = "
local sets = redis.call('HGET', KEYS[1], 'sets')
if sets then
  for name in string.gmatch(sets, '[^\\n]+') do redis.call('ZREM', name, ARGV[1]) end
end
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3])
return redis.call('DEL', KEYS[1])";

/// Records on a Redis.
pub struct RedisRecords {
    redis: Arc<Redis>,
    ttl: Duration,
    unreadable: AtomicU64,
}

impl std::fmt::Debug for RedisRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisRecords")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl RedisRecords {
    /// Keeps records on `redis`, below its prefix, for `ttl` after their last change; `None`: 30
    /// days.
    #[must_use]
    pub fn new(redis: Arc<Redis>, ttl: Option<Duration>) -> Self {
        Self {
            redis,
            ttl: ttl.unwrap_or(TTL),
            unreadable: AtomicU64::new(0),
        }
    }

    fn record_key(&self, id: &str) -> String {
        self.redis.key(&format!("record:{id}"))
    }

    fn text_key(&self, id: &str) -> String {
        self.redis.key(&format!("text:{id}"))
    }

    fn outcomes_key(&self, id: &str) -> String {
        self.redis.key(&format!("outcomes:{id}"))
    }

    fn set_key(&self, set: &str, name: &str) -> String {
        // A line's end would end the name in the record's list of its sets.
        let name = name.replace('\n', " ");
        self.redis.key(&format!("by:{set}:{name}"))
    }

    fn order_key(&self) -> String {
        self.redis.key("order")
    }

    /// The sets that a record is a member of.
    fn sets(&self, facts: &Facts) -> Vec<String> {
        let mut sets = vec![
            self.order_key(),
            self.set_key("recipe", &facts.recipe),
            self.set_key("decision", &facts.decision),
            self.set_key("model", &facts.selected_model),
            self.set_key("session", &facts.session_id),
        ];
        if facts.original_model != facts.selected_model {
            sets.push(self.set_key("model", &facts.original_model));
        }
        if facts.from_cache {
            sets.push(self.set_key("cached", ""));
        }
        if facts.streamed {
            sets.push(self.set_key("streamed", ""));
        }
        sets
    }

    /// The sets that a filter's records are members of, all of them.
    fn filtered(&self, filter: &Filter) -> Vec<String> {
        let named = [
            ("recipe", &filter.recipe),
            ("decision", &filter.decision),
            ("model", &filter.model),
            ("session", &filter.session_id),
        ];
        let named = named
            .into_iter()
            .filter_map(|(set, name)| Some(self.set_key(set, name.as_deref()?)));
        let mut sets: Vec<String> = named.collect();
        match filter.cache_status {
            CacheStatus::All => {}
            CacheStatus::Cached => sets.push(self.set_key("cached", "")),
            CacheStatus::Streamed => sets.push(self.set_key("streamed", "")),
        }
        if sets.is_empty() {
            sets.push(self.order_key());
        }
        sets
    }

    fn add_put(&self, commands: &mut Pipeline, record: &DecisionRecord) {
        let facts = Facts::of(record);
        let sets = self.sets(&facts);
        let command = commands
            .cmd("EVAL")
            .arg(PUT)
            .arg(sets.len() + 1)
            .arg(self.record_key(&record.id));
        for set in &sets {
            command.arg(set);
        }
        command
            .arg(record.to_bytes())
            .arg(i32::from(record.is_ended()))
            .arg(milliseconds(self.ttl))
            .arg(score(facts.time))
            .arg(member(facts.time, &facts.id))
            .arg(score(Moment::now().before(self.ttl)))
            .ignore();
    }

    /// Returns a part of the members that a filter without a search takes, youngest first, and how
    /// many there are.
    async fn members(
        &self,
        filter: &Filter,
        paging: Paging,
    ) -> Result<(Vec<String>, u64), StoreError> {
        let sets = self.filtered(filter);
        let last = paging.offset.saturating_add(paging.limit).saturating_sub(1);
        let mut commands = pipe();
        commands.atomic();
        let oldest = format!("({}", score(Moment::now().before(self.ttl)));
        for set in &sets {
            commands
                .cmd("ZREMRANGEBYSCORE")
                .arg(set)
                .arg("-inf")
                .arg(&oldest)
                .ignore();
        }
        let joined = match sets.as_slice() {
            [one] => one.clone(),
            several => {
                let joined = self.redis.key(&format!("joined:{}", new_id()));
                commands
                    .cmd("ZINTERSTORE")
                    .arg(&joined)
                    .arg(several.len())
                    .arg(several)
                    .arg("AGGREGATE")
                    .arg("MAX")
                    .ignore();
                joined
            }
        };
        commands.cmd("ZCARD").arg(&joined);
        commands
            .cmd("ZREVRANGE")
            .arg(&joined)
            .arg(paging.offset)
            .arg(last);
        if sets.len() > 1 {
            commands.cmd("DEL").arg(&joined).ignore();
        }
        let (total, members): (u64, Vec<String>) = self.ask_all(&commands).await?;
        Ok((members, total))
    }

    /// Reads records; those that are gone or cannot be read are left out.
    async fn records(&self, members: &[String]) -> Result<Vec<DecisionRecord>, StoreError> {
        let mut records = Vec::with_capacity(members.len());
        for portion in members.chunks(PORTION) {
            let mut commands = pipe();
            for member in portion {
                let key = self.record_key(&id_of(member));
                commands.cmd("HGET").arg(key).arg("data");
            }
            let found: Vec<Option<Vec<u8>>> = self.ask_all(&commands).await?;
            let found = found.into_iter().flatten();
            records.extend(found.filter_map(|bytes| self.seen(DecisionRecord::from_bytes(&bytes))));
        }
        Ok(records)
    }

    async fn with_texts(
        &self,
        records: Vec<DecisionRecord>,
        with_text: bool,
    ) -> Result<Vec<Kept>, StoreError> {
        let mut all = Vec::with_capacity(records.len());
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let portion: Vec<DecisionRecord> = records.by_ref().take(TEXT_PORTION).collect();
            let mut commands = pipe();
            for record in &portion {
                commands.cmd("HVALS").arg(self.outcomes_key(&record.id));
                let text = if with_text { record.id.as_str() } else { "" };
                commands.cmd("GET").arg(self.text_key(text));
            }
            let found: Vec<::redis::Value> = self.ask_all(&commands).await?;
            let mut found = found.into_iter();
            for record in portion {
                let outcomes = found.next().unwrap_or(::redis::Value::Nil);
                let text = found.next().unwrap_or(::redis::Value::Nil);
                all.push(self.joined(record, outcomes, text)?);
            }
        }
        Ok(all)
    }

    fn joined(
        &self,
        mut record: DecisionRecord,
        outcomes: ::redis::Value,
        text: ::redis::Value,
    ) -> Result<Kept, StoreError> {
        let odd = |error: &dyn std::fmt::Display| StoreError::Refused(error.to_string());
        let outcomes: Vec<Vec<u8>> =
            ::redis::from_redis_value(outcomes).map_err(|error| odd(&error))?;
        let text: Option<Vec<u8>> = ::redis::from_redis_value(text).map_err(|error| odd(&error))?;
        let outcomes = outcomes.iter();
        record.outcomes = outcomes
            .filter_map(|bytes| self.seen(OutcomeReport::from_bytes(bytes)))
            .collect();
        let time = |it: &OutcomeReport| it.time.as_ref().map(Moment::from);
        record.outcomes.sort_by_key(time);
        let captured = text.and_then(|bytes| self.seen(Captured::from_bytes(&bytes)));
        Ok(Kept { record, captured })
    }

    /// Reads all that a filter takes, in portions, youngest first.
    async fn each(
        &self,
        filter: &Filter,
        mut take: impl FnMut(DecisionRecord) + Send,
    ) -> Result<(), StoreError> {
        let mut paging = Paging {
            limit: PORTION,
            offset: 0,
        };
        // What is written meanwhile moves the others on: none of them is taken twice.
        let mut last: Option<String> = None;
        loop {
            let (mut members, total) = self.members(filter, paging).await?;
            let is_end = members.is_empty();
            members.retain(|member| last.as_ref().is_none_or(|last| member < last));
            last = members.last().cloned().or(last);
            let records = self.records(&members).await?.into_iter();
            records
                .filter(|record| filter.takes(&Facts::of(record)))
                .for_each(&mut take);
            paging.offset += paging.limit;
            if is_end || u64::try_from(paging.offset).unwrap_or(u64::MAX) >= total {
                return Ok(());
            }
        }
    }

    fn seen<T>(&self, read: Result<T, Unreadable>) -> Option<T> {
        read.inspect_err(|why| {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%why, "a record was not read");
        })
        .ok()
    }

    async fn ask_all<T: ::redis::FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<T, StoreError> {
        self.redis.ask_all(commands).await.map_err(failure)
    }
}

#[async_trait]
impl RecordStore for RedisRecords {
    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut commands = pipe();
        commands.atomic();
        for change in changes {
            match change {
                Change::Put(record) => self.add_put(&mut commands, record),
                Change::Capture(captured) => {
                    commands
                        .cmd("SET")
                        .arg(self.text_key(&captured.id))
                        .arg(captured.to_bytes())
                        .arg("PX")
                        .arg(milliseconds(self.ttl))
                        .ignore();
                }
            }
        }
        self.ask_all::<()>(&commands).await
    }

    async fn get(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        let records = self.records(&[member(Moment::default(), id)]).await?;
        Ok(self.with_texts(records, true).await?.pop())
    }

    async fn list(
        &self,
        filter: &Filter,
        paging: Paging,
        with_text: bool,
    ) -> Result<Page, StoreError> {
        let (records, total) = if filter.search.is_empty() {
            let (members, total) = self.members(filter, paging).await?;
            (self.records(&members).await?, total)
        } else {
            let (mut page, mut total) = (Vec::new(), 0);
            let offset = u64::try_from(paging.offset).unwrap_or(u64::MAX);
            self.each(filter, |record| {
                if total >= offset && page.len() < paging.limit {
                    page.push(record);
                }
                total += 1;
            })
            .await?;
            (page, total)
        };
        let records = self.with_texts(records, with_text).await?;
        Ok(Page { records, total })
    }

    async fn aggregate(&self, filter: &Filter) -> Result<Aggregate, StoreError> {
        let mut aggregate = Aggregate::default();
        self.each(&Filter::default(), |record| {
            let facts = Facts::of(&record);
            aggregate.available.add(&Name::from(&facts));
            if filter.takes(&facts) {
                aggregate.add(Group::from(&facts));
            }
        })
        .await?;
        Ok(aggregate)
    }

    async fn trajectory(&self, session_id: &str, limit: usize) -> Result<Vec<Kept>, StoreError> {
        let filter = Filter {
            session_id: Some(session_id.to_owned()),
            ..Filter::default()
        };
        let paging = Paging { limit, offset: 0 };
        let mut page = self.list(&filter, paging, true).await?;
        page.records.reverse();
        Ok(page.records)
    }

    async fn add_outcome(&self, id: &str, outcome: OutcomeReport) -> Result<Added, StoreError> {
        let key = match outcome.idempotency_key.as_str() {
            "" => new_id(),
            key => key.to_owned(),
        };
        let mut command = cmd("EVAL");
        command
            .arg(ADD_OUTCOME)
            .arg(2)
            .arg(self.record_key(id))
            .arg(self.outcomes_key(id))
            .arg(key)
            .arg(outcome.to_bytes());
        let added: i64 = self.redis.ask(&command).await.map_err(failure)?;
        Ok(match added {
            1 => Added::Added,
            0 => Added::Duplicate,
            _ => Added::NoRecord,
        })
    }

    async fn ledger(
        &self,
        by: LedgerKey,
        times: Range<Moment>,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let mut rows = Rows::default();
        self.each(&Filter::default(), |record| {
            let facts = Facts::of(&record);
            if times.contains(&facts.time) {
                rows.add(by.of(&facts), facts.currency.clone(), &facts.sums);
            }
        })
        .await?;
        Ok(rows.finish())
    }

    async fn expire(&self, before: Moment) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            let mut command = cmd("ZRANGEBYSCORE");
            command
                .arg(self.order_key())
                .arg("-inf")
                .arg(format!("({}", score(before)))
                .arg("LIMIT")
                .arg(0)
                .arg(PORTION);
            let members: Vec<String> = self.redis.ask(&command).await.map_err(failure)?;
            if members.is_empty() {
                return Ok(gone);
            }
            let mut commands = pipe();
            for member in &members {
                let id = id_of(member);
                commands
                    .cmd("EVAL")
                    .arg(FORGET)
                    .arg(4)
                    .arg(self.record_key(&id))
                    .arg(self.text_key(&id))
                    .arg(self.outcomes_key(&id))
                    .arg(self.order_key())
                    .arg(member);
            }
            let counts: Vec<u64> = self.ask_all(&commands).await?;
            gone += counts.iter().sum::<u64>();
        }
    }

    fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }
}

/// A set's members of one score are in the order of their bytes, so the time comes first.
fn member(time: Moment, id: &str) -> String {
    format!("{:0TIME_DIGITS$x}{id}", time.0.max(0))
}

fn id_of(member: &str) -> String {
    member.get(TIME_DIGITS..).unwrap_or_default().to_owned()
}

/// Microseconds: as many as a score's 53 bits hold.
fn score(time: Moment) -> i64 {
    time.0.max(0) / 1_000
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn failure(failure: Failure) -> StoreError {
    StoreError::Away(failure.to_string())
}
