//! Opens the store that the document names, and starts what writes to it. Read at start only.

use super::Recording;
use super::builder::Builder;
use crate::engine::Generation;
use crate::metrics::{Metrics, Observed};
use crate::reload::Live;
use crate::shutdown::Tasks;
use anyhow::Context as _;
use records::recorder::{Counts, Recorder, Settings};
use records::store::RecordStore;
use records::store::memory::Memory;
use router::config::records::RecordStore as Wanted;
use router::generation::Generation as Router;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stores::records::redis::RedisRecords;
use stores::records::{file, postgres};
use stores::redis::Redis;
use tokio::time::timeout;

/// Events and records that wait, where the document says nothing.
const QUEUE: u32 = 8_192;

/// Prefix of keys where the document has none; the reference's.
const REDIS_PREFIX: &str = "router_replay:";
/// Time limit of an access to a database.
const LIMIT: Duration = Duration::from_secs(5);

/// How long readers wait for what has just happened.
const SETTLING: Duration = Duration::from_millis(500);

/// Records of requests, as the process holds them.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    /// Takes what happens.
    pub(crate) recording: Arc<Recording>,
    /// Where records are.
    pub(crate) store: Arc<dyn RecordStore>,
    /// Writes them there.
    pub(crate) recorder: Recorder,
}

/// Opens the store, and starts the tasks that make and write records.
///
/// # Errors
/// The settings of the store cannot be used.
pub(crate) fn start(
    live: &Arc<Live<Generation>>,
    tasks: &Tasks,
    metrics: &Metrics,
) -> anyhow::Result<Opened> {
    let loaded = live.load();
    let document = &loaded.router.document;
    let store = open(&loaded.router)?;
    let written = document.global.server.records.queue;
    let room = if written == 0 { QUEUE } else { written };
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let settings = Settings {
        queue: room,
        ttl: Some(Duration::from_secs(document.records_kept())),
        ..Settings::default()
    };
    let (recorder, writer) = Recorder::new(Arc::clone(&store), settings);
    let (recording, events) = Recording::new(room);
    let builder = Builder {
        live: Arc::clone(live),
        recorder: recorder.clone(),
        open: BTreeMap::new(),
    };
    tasks.spawn(builder.run(events, tasks.stopping()));
    tasks.spawn(writer.run());

    recording.observe(metrics);
    observe(metrics, &recorder, &store);
    Ok(Opened {
        recording,
        store,
        recorder,
    })
}

impl Opened {
    /// Waits until all that happened before is in the store, or a moment has passed. For readers,
    /// who ask for a record as soon as they have its answer.
    pub(crate) async fn settled(&self) {
        let settled = async {
            self.recording.settled().await;
            self.recorder.flush().await;
        };
        // A store that is slow answers with what it has.
        timeout(SETTLING, settled).await.ok();
    }
}

fn open(router: &Router) -> anyhow::Result<Arc<dyn RecordStore>> {
    let document = &router.document;
    let replay = document.global.services.router_replay.clone();
    let replay = replay.unwrap_or_default();
    Ok(match document.record_store() {
        Wanted::Memory | Wanted::NotRun(_) => Arc::new(Memory::new(most(router))),
        Wanted::File(path) => {
            Arc::new(file::open(Path::new(path)).context("global.server.records.file")?)
        }
        Wanted::Redis => {
            let mut written = replay.redis.unwrap_or_default();
            if written.address.trim().is_empty() {
                "localhost:6379".clone_into(&mut written.address);
            }
            let redis = Redis::new(&written, REDIS_PREFIX, LIMIT)
                .context("global.services.router_replay.redis")?;
            let kept = Duration::from_secs(document.records_kept());
            Arc::new(RedisRecords::new(Arc::new(redis), Some(kept)))
        }
        Wanted::Postgres => {
            let written = replay.postgres.unwrap_or_default();
            let settings = postgres::Settings {
                host: written.host,
                port: written.port,
                database: written.database,
                user: written.user,
                password: written.password.to_string(),
                ssl_mode: written.ssl_mode,
                table_name: written.table_name,
                limit: LIMIT,
            };
            let store = postgres::open(&settings);
            Arc::new(store.context("global.services.router_replay.postgres")?)
        }
    })
}

/// Returns how many records of a decision are kept in memory: as many as the most generous one
/// wants.
fn most(router: &Router) -> usize {
    let routes = router.recipes.iter().flat_map(|recipe| {
        let routes = recipe.routes.iter().map(|route| route.replay.as_ref());
        routes.chain([recipe.replay.as_ref()])
    });
    let all = routes.chain([router.replay.as_ref()]).flatten();
    let most = all.map(|policy| policy.max_records).max();
    most.map_or(records::store::memory::MAX_RECORDS, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}

fn observe(metrics: &Metrics, recorder: &Recorder, store: &Arc<dyn RecordStore>) {
    let count = |name, help, read: fn(&Counts) -> u64| {
        let recorder = recorder.clone();
        metrics.observe(name, help, Observed::Counter, move || {
            read(&recorder.counts())
        });
    };
    count(
        "merit_records_written",
        "Records and captured texts that were written to the store",
        |counts| counts.written,
    );
    count(
        "merit_records_dropped_full",
        "Records that were dropped, as too many waited for the store",
        |counts| counts.dropped_full,
    );
    count(
        "merit_records_dropped_away",
        "Records that were dropped, as the store was away for too long",
        |counts| counts.dropped_away,
    );
    count(
        "merit_records_dropped_refused",
        "Records that the store refused",
        |counts| counts.dropped_refused,
    );
    count(
        "merit_records_store_failures",
        "Attempts to write that failed, as the store was away",
        |counts| counts.failures,
    );
    count(
        "merit_records_expired",
        "Records that grew too old",
        |counts| counts.expired,
    );
    let waiting = recorder.clone();
    metrics.observe(
        "merit_records_waiting",
        "Records that wait for the store",
        Observed::Gauge,
        move || waiting.waiting() as u64,
    );
    let away = recorder.clone();
    metrics.observe(
        "merit_records_store_away",
        "1 while the store of records does not answer",
        Observed::Gauge,
        move || u64::from(away.is_away()),
    );
    let store = Arc::clone(store);
    metrics.observe(
        "merit_records_unreadable",
        "Records that were met and could not be read",
        Observed::Counter,
        move || store.unreadable(),
    );
}
