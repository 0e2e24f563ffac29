//! What outcomes have taught, and the conversations that protection knows, on a Redis that replicas
//! share.
//!
//! All rows lie in one hash, three parts of a field's name deep: where the row stands, then which
//! number of it. Counts are added, so replicas cannot overwrite each other; of averages the last
//! one stays. Conversations are a hash each.

use crate::redis::{Failure, Redis};
use router::learning::conversations::{ConversationKey, Record};
use router::learning::rows::{Counts, Increment, Place, Row};
use router::learning::store::{Pending, SharedStore, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Writes a conversation unless a younger record of it is there. `KEYS[1]` the key; `ARGV` time,
/// life, model, turns, switches, warmth.
const SAVE: &str = "
local kept = redis.call('HGET', KEYS[1], 'at')
if kept and tonumber(kept) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'at', ARGV[1], 'model', ARGV[3], 'turns', ARGV[4], 'switches', ARGV[5], 'warmth', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1";

/// Learning on a Redis.
pub struct RedisLearning {
    redis: Arc<Redis>,
    /// How long rows are kept after the last outcome.
    keep: Duration,
}

impl std::fmt::Debug for RedisLearning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisLearning")
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// Where a row stands, as the first part of its fields' names.
#[derive(Serialize, Deserialize)]
struct Field<'a>(
    #[serde(borrow)] std::borrow::Cow<'a, str>,
    #[serde(borrow)] std::borrow::Cow<'a, str>,
    i64,
    #[serde(borrow)] std::borrow::Cow<'a, str>,
    #[serde(borrow)] std::borrow::Cow<'a, str>,
);

impl RedisLearning {
    /// Keeps rows for `keep` after the last outcome.
    #[must_use]
    pub fn new(redis: Arc<Redis>, keep: Duration) -> Self {
        Self { redis, keep }
    }

    fn conversation(&self, key: ConversationKey) -> String {
        self.redis
            .key(&format!("learning:conversation:{:032x}", key.0))
    }

    async fn read(&self, key: ConversationKey) -> Result<Option<Record>, Failure> {
        let mut command = ::redis::cmd("HGETALL");
        command.arg(self.conversation(key));
        let fields: HashMap<String, String> = self.redis.ask(&command).await?;
        Ok(record(&fields))
    }

    async fn write(
        &self,
        records: &[(ConversationKey, Record)],
        ttl: Duration,
    ) -> Result<(), Failure> {
        let now = since_epoch();
        let mut commands = ::redis::pipe();
        for (key, record) in records {
            let at = now.saturating_sub(record.age);
            let warmth = record
                .warmth
                .map(|warmth| warmth.to_string())
                .unwrap_or_default();
            commands
                .cmd("EVAL")
                .arg(SAVE)
                .arg(1)
                .arg(self.conversation(*key));
            commands
                .arg(milliseconds(at))
                .arg(milliseconds(ttl))
                .arg(&*record.model);
            commands
                .arg(record.turns)
                .arg(record.switches)
                .arg(warmth)
                .ignore();
        }
        self.redis.ask_all(&commands).await
    }

    /// One transaction: all increments or none. Where its answer is lost, it may have been carried
    /// out and is told again: an outcome then counts twice, which is better than never.
    async fn add(&self, increments: &[Increment]) -> Result<Vec<(Place, Row)>, Failure> {
        let rows = self.redis.key("learning:rows");
        let mut commands = ::redis::pipe();
        commands.atomic();
        for increment in increments {
            for (name, count) in counts(&increment.counts)
                .into_iter()
                .filter(|(_, count)| *count > 0)
            {
                commands
                    .cmd("HINCRBY")
                    .arg(&rows)
                    .arg(field(&increment.place, name))
                    .arg(count)
                    .ignore();
            }
            for (name, average) in averages(&increment.row)
                .into_iter()
                .filter(|(_, average)| *average > 0.0)
            {
                commands
                    .cmd("HSET")
                    .arg(&rows)
                    .arg(field(&increment.place, name))
                    .arg(average)
                    .ignore();
            }
        }
        if !increments.is_empty() {
            commands
                .cmd("PEXPIRE")
                .arg(&rows)
                .arg(milliseconds(self.keep))
                .ignore();
        }
        commands.cmd("HGETALL").arg(&rows);
        let (fields,) = self
            .redis
            .ask_all::<(HashMap<String, String>,)>(&commands)
            .await?;
        Ok(gather(&fields))
    }
}

impl SharedStore for RedisLearning {
    fn load(&self, key: ConversationKey, deadline: Instant) -> Pending<'_, Option<Record>> {
        Box::pin(within(deadline, self.read(key)))
    }

    fn save<'a>(
        &'a self,
        records: &'a [(ConversationKey, Record)],
        ttl: Duration,
        deadline: Instant,
    ) -> Pending<'a, ()> {
        Box::pin(within(deadline, self.write(records, ttl)))
    }

    fn exchange<'a>(
        &'a self,
        increments: &'a [Increment],
        deadline: Instant,
    ) -> Pending<'a, Vec<(Place, Row)>> {
        Box::pin(within(deadline, self.add(increments)))
    }
}

async fn within<T>(
    deadline: Instant,
    asking: impl Future<Output = Result<T, Failure>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout_at(deadline.into(), asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Err(_) | Ok(Err(Failure::TimedOut(_))) => Err(StoreError::Timeout),
        Ok(Err(_)) => Err(StoreError::Unavailable),
    }
}

fn counts(counts: &Counts) -> [(&'static str, u64); 4] {
    [
        ("good", counts.good),
        ("under", counts.under),
        ("over", counts.over),
        ("failed", counts.failed),
    ]
}

fn averages(row: &Row) -> [(&'static str, f64); 3] {
    [
        ("input_cost", row.input_cost),
        ("latency", row.latency),
        ("cache", row.cache),
    ]
}

fn field(place: &Place, name: &str) -> String {
    let field = Field(
        (&*place.recipe).into(),
        (&*place.decision).into(),
        place.tier,
        (&*place.model).into(),
        name.into(),
    );
    // Texts and a number: they can always be written.
    serde_json::to_string(&field).unwrap_or_default()
}

/// Rows out of their fields; what cannot be read is not ours.
fn gather(fields: &HashMap<String, String>) -> Vec<(Place, Row)> {
    let mut rows: HashMap<Place, Row> = HashMap::new();
    for (name, value) in fields {
        let (Ok(Field(recipe, decision, tier, model, number)), Ok(value)) = (
            serde_json::from_str::<Field<'_>>(name),
            value.parse::<f64>(),
        ) else {
            continue;
        };
        let place = Place {
            recipe: (&*recipe).into(),
            decision: (&*decision).into(),
            tier,
            model: (&*model).into(),
        };
        let row = rows.entry(place).or_default();
        match &*number {
            "good" => row.counts.good = value as u64,
            "under" => row.counts.under = value as u64,
            "over" => row.counts.over = value as u64,
            "failed" => row.counts.failed = value as u64,
            "input_cost" => row.input_cost = value,
            "latency" => row.latency = value,
            "cache" => row.cache = value,
            _ => {}
        }
    }
    rows.into_iter().collect()
}

fn record(fields: &HashMap<String, String>) -> Option<Record> {
    let number = |name: &str| fields.get(name)?.parse::<u64>().ok();
    let age = since_epoch().saturating_sub(Duration::from_millis(number("at")?));
    Some(Record {
        model: fields.get("model")?.as_str().into(),
        turns: number("turns")?,
        switches: number("switches")?,
        warmth: fields.get("warmth").and_then(|warmth| warmth.parse().ok()),
        age,
    })
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_fields() {
        let place = |decision: &str, model: &str| Place {
            recipe: "default".into(),
            decision: decision.into(),
            tier: 2,
            model: model.into(),
        };
        let odd = place("a \"quoted\" | one\u{1f}", "m,1");
        let row = Row {
            counts: Counts {
                good: 3,
                failed: 1,
                ..Counts::default()
            },
            latency: 0.25,
            ..Row::default()
        };
        let mut fields = HashMap::new();
        for (name, count) in counts(&row.counts) {
            fields.insert(field(&odd, name), count.to_string());
        }
        for (name, average) in averages(&row) {
            fields.insert(field(&odd, name), average.to_string());
        }
        fields.insert("not ours".to_owned(), "1".to_owned());
        fields.insert(field(&place("d", "m"), "good"), "many".to_owned());
        assert_eq!(gather(&fields), [(odd, row)]);
    }

    #[test]
    fn a_record_needs_its_parts() {
        let fields = |list: &[(&str, &str)]| {
            list.iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect()
        };
        let whole = fields(&[
            ("at", "1"),
            ("model", "m"),
            ("turns", "2"),
            ("switches", "1"),
            ("warmth", ""),
        ]);
        let found = record(&whole).unwrap();
        assert_eq!(
            (&*found.model, found.turns, found.switches, found.warmth),
            ("m", 2, 1, None)
        );
        assert!(record(&fields(&[("model", "m")])).is_none());
        assert!(record(&HashMap::new()).is_none());
    }
}
