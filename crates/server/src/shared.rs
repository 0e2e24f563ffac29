//! What replicas share: sessions, learning and the state of pools, on the Redis that the document
//! names. Read at start only.
//!
//! No request waits for a store that is away: what this process knows goes on to count, and the
//! loss shows in `x-merit-degraded`, in `merit_store_failures_total` and in the log.

use crate::engine::Generation;
use crate::metrics::{Metrics, Observed};
use crate::reload::Live;
use crate::shutdown::Tasks;
use anyhow::{Context as _, Result};
use router::config::databases::RedisStore;
use router::shared_state::SharedState;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stores::learning::RedisLearning;
use stores::pool::PoolExchange;
use stores::redis::Redis;
use stores::sessions::RedisSessions;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Prefix of keys where the document has none.
const PREFIX: &str = "merit:";
/// Prefix of learning's keys where the document has none; the reference's.
const LEARNING_PREFIX: &str = "vsr:router-session:v1:";
/// Sessions are kept at least so long: locks of tool loops hold beyond a pause.
const SESSIONS_KEPT: Duration = Duration::from_secs(3_600);
/// How often replicas tell each other what they learned.
const LESSONS: Duration = Duration::from_secs(1);
/// Where the document says nothing: the reference's time limit of an access, and a month of
/// learning.
const LEARNING_LIMIT: Duration = Duration::from_millis(50);
const LEARNING_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Time limit of an exchange in the background.
const BACKGROUND_LIMIT: Duration = Duration::from_millis(500);

/// Reaches the stores that the document names.
///
/// # Errors
/// The settings of one cannot be used.
pub(crate) fn start(live: &Live<Generation>, tasks: &Tasks, metrics: &Metrics) -> Result<()> {
    let loaded = live.load();
    let (document, lasting) = (&loaded.router.document, &loaded.router.lasting);
    let mut servers: Vec<Arc<Redis>> = Vec::new();

    let sessions = &document.global.router.sessions;
    if let Some(settings) = &sessions.redis {
        let limit = Duration::from_millis(sessions.store_timeout_ms.max(1));
        let redis =
            reach(settings, PREFIX, limit, &mut servers).context("global.router.sessions.redis")?;
        let keep = Duration::from_secs(sessions.idle_timeout_seconds).max(SESSIONS_KEPT);
        let (store, writer) = RedisSessions::new(redis, keep);
        lasting.sessions.share(Some(Arc::new(store)));
        until_stopped(tasks, writer.run());
    }

    let store = document
        .global
        .router
        .learning
        .as_ref()
        .and_then(|learning| learning.state_store.as_ref());
    if let Some(store) = store.filter(|store| store.backend == "redis") {
        let settings = store.redis.clone().unwrap_or_default();
        let limit = or(Duration::from_millis(store.timeout_ms), LEARNING_LIMIT);
        let redis = reach(&settings, LEARNING_PREFIX, limit, &mut servers);
        let redis = redis.context("global.router.learning.state_store.redis")?;
        let keep = or(Duration::from_secs(store.ttl_seconds), LEARNING_KEPT);
        lasting
            .experience
            .share(Some(Arc::new(RedisLearning::new(redis, keep))));
        tasks.spawn(tell_lessons(
            Arc::clone(lasting),
            keep,
            limit,
            tasks.stopping(),
        ));
    }

    let pool = &document.global.server.pool;
    if let Some(settings) = &pool.redis {
        let redis = reach(settings, PREFIX, BACKGROUND_LIMIT, &mut servers)
            .context("global.server.pool.redis")?;
        let interval = Duration::from_millis(pool.share_interval_ms.max(50));
        let exchange = PoolExchange::new(redis, &replica(), interval);
        let lasting = Arc::clone(lasting);
        until_stopped(tasks, async move { exchange.run(&lasting.pool).await });
    }
    observe(metrics, &servers);
    Ok(())
}

fn reach(
    settings: &RedisStore,
    prefix: &str,
    limit: Duration,
    servers: &mut Vec<Arc<Redis>>,
) -> Result<Arc<Redis>> {
    let redis = Arc::new(Redis::new(settings, prefix, limit)?);
    servers.push(Arc::clone(&redis));
    Ok(redis)
}

fn or(written: Duration, usual: Duration) -> Duration {
    if written.is_zero() { usual } else { written }
}

fn until_stopped(tasks: &Tasks, work: impl Future<Output = ()> + Send + 'static) {
    let stop = tasks.stopping();
    tasks.spawn(async move {
        stop.run_until_cancelled(work).await;
    });
}

async fn tell_lessons(
    lasting: Arc<SharedState>,
    keep: Duration,
    limit: Duration,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(LESSONS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(failure) = lasting
            .experience
            .exchange(keep, Instant::now() + limit)
            .await
        {
            tracing::debug!(%failure, "what was learned was not shared");
        }
    }
}

/// Tells this process from its replicas, also after a restart under the same host name.
fn replica() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    format!("{host}-{}-{:016x}", std::process::id(), fastrand::u64(..))
}

fn observe(metrics: &Metrics, servers: &[Arc<Redis>]) {
    if servers.is_empty() {
        return;
    }
    let sum = |read: fn(&Redis) -> u64| {
        let servers = servers.to_vec();
        move || servers.iter().map(|server| read(server)).sum()
    };
    let answered = sum(|server| server.counts().0);
    metrics.observe(
        "merit_store_answers",
        "Accesses to shared stores that were answered",
        Observed::Counter,
        answered,
    );
    let failed = sum(|server| server.counts().1);
    let help =
        "Accesses to shared stores that were not answered, or not tried shortly after a failure";
    metrics.observe("merit_store_failures", help, Observed::Counter, failed);
    let away = sum(|server| u64::from(!server.is_available()));
    metrics.observe(
        "merit_store_away",
        "Shared stores that did not answer the last access",
        Observed::Gauge,
        away,
    );
}
