//! What replicas share: sessions, learning and the state of pools, on the Redis that the document
//! names. Read at start only.
//!
//! No request waits for a store that is away: what this process knows still counts, and the loss
//! shows in `x-merit-degraded`, in `merit_store_failures_total` and in the log.

use crate::engine::Generation;
use crate::metrics::{Metrics, Observed};
use crate::reload::Live;
use crate::shutdown::Tasks;
use anyhow::{Context as _, Result};
use conversation::SharedStore;
use conversation::shared_state::SharedState;
use router::config::databases::RedisStore;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stores::redis::Redis;
use stores::shared::RedisShared;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Prefix of keys where the document has none.
const PREFIX: &str = "merit:";
/// Prefix of learning's keys where the document has none; the reference's.
const LEARNING_PREFIX: &str = "vsr:router-session:v1:";
/// Sessions are kept at least so long: locks of tool loops hold beyond a pause.
const SESSIONS_KEPT: Duration = Duration::from_secs(3_600);
/// A share of the pools that was not written again within so many intervals counts no more.
const SHARE_LIFETIME: u32 = 4;
/// How often replicas tell each other what they learned.
const LEARNING_INTERVAL: Duration = Duration::from_secs(1);
/// Where the document says nothing: the reference's time limit of an access, and a month of
/// learning.
const LEARNING_LIMIT: Duration = Duration::from_millis(50);
const LEARNING_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Time limit of an exchange in the background.
const BACKGROUND_LIMIT: Duration = Duration::from_millis(500);

/// Opens the stores that the document names.
///
/// # Errors
/// The settings of one cannot be used.
pub(crate) fn start(live: &Live<Generation>, tasks: &Tasks, metrics: &Metrics) -> Result<()> {
    let loaded = live.load();
    let (document, state) = (&loaded.router.document, &loaded.router.state);
    let mut servers: Vec<Arc<Redis>> = Vec::new();

    let sessions = &document.global.router.sessions;
    if let Some(settings) = &sessions.redis {
        let limit = Duration::from_millis(sessions.store_timeout_ms.max(1));
        let store = open(settings, PREFIX, limit, tasks, &mut servers)
            .context("global.router.sessions.redis")?;
        let keep = Duration::from_secs(sessions.idle_timeout_seconds).max(SESSIONS_KEPT);
        state.objects.share(Arc::clone(&store));
        state.sessions.share(store, keep);
    }

    let store = document
        .global
        .router
        .learning
        .as_ref()
        .and_then(|learning| learning.state_store.as_ref());
    if let Some(store) = store.filter(|store| store.backend == "redis") {
        let settings = store.redis.clone().unwrap_or_default();
        let limit = with_default(Duration::from_millis(store.timeout_ms), LEARNING_LIMIT);
        let shared = open(&settings, LEARNING_PREFIX, limit, tasks, &mut servers)
            .context("global.router.learning.state_store.redis")?;
        let keep = with_default(Duration::from_secs(store.ttl_seconds), LEARNING_KEPT);
        state.experience.share(shared, keep);
        tasks.spawn(exchange_learning(
            Arc::clone(state),
            keep,
            limit,
            tasks.stopping(),
        ));
    }

    let pool = &document.global.server.pool;
    if let Some(settings) = &pool.redis {
        let store = open(settings, PREFIX, BACKGROUND_LIMIT, tasks, &mut servers)
            .context("global.server.pool.redis")?;
        let interval = Duration::from_millis(pool.share_interval_ms.max(50));
        tasks.spawn(exchange_pools(
            Arc::clone(state),
            store,
            interval,
            tasks.stopping(),
        ));
    }
    observe(metrics, &servers);
    Ok(())
}

/// Opens a store, and starts the task that writes to it.
fn open(
    settings: &RedisStore,
    prefix: &str,
    limit: Duration,
    tasks: &Tasks,
    servers: &mut Vec<Arc<Redis>>,
) -> Result<Arc<dyn SharedStore>> {
    let redis = Arc::new(Redis::new(settings, prefix, limit)?);
    servers.push(Arc::clone(&redis));
    let (store, writer) = RedisShared::new(redis);
    let stop = tasks.stopping();
    tasks.spawn(async move {
        stop.run_until_cancelled(writer.run()).await;
    });
    Ok(Arc::new(store))
}

fn with_default(written: Duration, usual: Duration) -> Duration {
    if written.is_zero() { usual } else { written }
}

async fn exchange_learning(
    state: Arc<SharedState>,
    keep: Duration,
    limit: Duration,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(LEARNING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let deadline = Instant::now() + limit;
        if let Err(failure) = state.experience.exchange(keep, deadline).await {
            tracing::debug!(%failure, "what was learned was not shared");
        }
    }
}

async fn exchange_pools(
    state: Arc<SharedState>,
    store: Arc<dyn SharedStore>,
    interval: Duration,
    stop: CancellationToken,
) {
    let replica = replica();
    let keep = interval * SHARE_LIFETIME;
    let mut unreadable = 0;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // Two commands, one after the other, each within the limit.
        let deadline = Instant::now() + 2 * BACKGROUND_LIMIT;
        let exchange = state.exchange_pool(&*store, &replica, keep, deadline);
        match stop.run_until_cancelled(exchange).await {
            Some(Ok(exchanged)) => {
                if exchanged.unreadable > 0 && unreadable == 0 {
                    tracing::warn!(
                        replicas = exchanged.unreadable,
                        "other replicas are of another version: the state of their pools cannot be read"
                    );
                }
                unreadable = exchanged.unreadable;
            }
            Some(Err(failure)) => {
                tracing::debug!(%failure, "the state of pools was not shared");
            }
            None => return,
        }
    }
}

/// Returns a name that no other replica has, nor this one after a restart.
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
