//! Keeps the state of the models' pools: takes over names and settings of a document that begins to
//! serve, hears Envoy's access log, scrapes the models' own servers, gives up what is overdue.

use crate::engine::Generation;
use crate::exchange::forward;
use crate::metrics::{Metrics, Observed};
use crate::recording::Recording;
use crate::reload::Live;
use crate::scrape::{Scraper, Scrapes, Targets};
use crate::shutdown::Tasks;
use conversation::shared_state::SharedState;
use extproc::{AccessLog, AccessLogs, Ending, LogCounters, LogEntry};
use selection::served::Served;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often overdue state is looked for.
const TICK: Duration = Duration::from_secs(1);

/// The pools' upkeep while the process runs.
pub(crate) struct Pools {
    state: Arc<SharedState>,
    targets: watch::Sender<Targets>,
    scrapes: Arc<Scrapes>,
}

impl Pools {
    /// Begins with what serves now.
    pub(crate) fn start(live: &Live<Generation>, tasks: &Tasks) -> Self {
        let state = Arc::clone(&live.load().router.state);
        let scrapes = Arc::<Scrapes>::default();
        let pools = Self {
            state,
            targets: watch::Sender::default(),
            scrapes,
        };
        pools.follow(&live.load());
        tasks.spawn(tick(Arc::clone(&pools.state), tasks.stopping()));
        let scraper = Scraper::new(Arc::clone(&pools.state), Arc::clone(&pools.scrapes));
        tasks.spawn(scraper.run(pools.targets.subscribe(), tasks.stopping()));
        pools
    }

    /// Takes over the settings of a document that begins to serve. State stays.
    pub(crate) fn follow(&self, generation: &Generation) {
        let document = &generation.router.document;
        let settings = &document.global.server.pool;
        let sessions = &document.global.router.sessions;
        self.state.follow(document, settings.into(), sessions);
        self.targets.send_replace(Targets::of(settings));
    }

    /// Returns the service that Envoy sends its access log to.
    /// What it says of a request's end also completes its record.
    pub(crate) fn access_log(
        &self,
        recording: Arc<Recording>,
        stop: CancellationToken,
    ) -> AccessLogs {
        let log = Arc::new(Log {
            state: Arc::clone(&self.state),
            recording: Some(recording),
        });
        extproc::access_log(log, forward::NAMESPACE, forward::DISPATCH, stop)
    }

    /// Shows the pools, and what feeds them, among the metrics.
    pub(crate) fn observe(&self, metrics: &Metrics, logs: &AccessLogs) {
        let state = Arc::clone(&self.state);
        metrics.observe_pool(move || state.pool.readings(Instant::now()));
        let state = Arc::clone(&self.state);
        let (name, help) = (
            "merit_pool_given_up",
            "Requests whose end nobody told in time",
        );
        metrics.observe(name, help, Observed::Counter, move || {
            state.dispatches.given_up()
        });
        let log = |name, help, read: fn(&LogCounters) -> u64| {
            let logs = logs.clone();
            metrics.observe(name, help, Observed::Counter, move || read(logs.counters()));
        };
        log(
            "merit_access_log_entries",
            "Ends of requests that Envoy's access log told",
            LogCounters::entries,
        );
        log(
            "merit_access_log_untagged",
            "Access log entries of requests that were not routed",
            LogCounters::untagged,
        );
        log(
            "merit_access_log_unusable",
            "Access log messages that make no sense",
            LogCounters::unusable,
        );
        let scrapes = Arc::clone(&self.scrapes);
        let (name, help) = (
            "merit_pool_scrapes",
            "Pages of models' metrics that were read",
        );
        metrics.observe(name, help, Observed::Counter, move || {
            scrapes.read.load(Ordering::Relaxed)
        });
        let scrapes = Arc::clone(&self.scrapes);
        let (name, help) = (
            "merit_pool_scrape_failures",
            "Pages of models' metrics that could not be read",
        );
        metrics.observe(name, help, Observed::Counter, move || {
            scrapes.failed.load(Ordering::Relaxed)
        });
    }
}

async fn tick(state: Arc<SharedState>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        state.tick(Instant::now());
    }
}

/// What the access log says, as ends of dispatches.
struct Log {
    state: Arc<SharedState>,
    recording: Option<Arc<Recording>>,
}

impl AccessLog for Log {
    fn ended(&self, entry: LogEntry) {
        let Ok(id) = u64::from_str_radix(&entry.tag, 16) else {
            return;
        };
        let served = Served {
            status: entry.status,
            first_token: entry.first_byte,
            total: entry.total,
            cut: entry.ending == Ending::UpstreamFailed,
            ..Served::default()
        };
        if let Some(recording) = &self.recording {
            recording.logged(id, entry.clone());
        }
        match entry.ending {
            Ending::UpstreamFailed => self.state.end(id, &served),
            Ending::Complete if entry.status != 0 => self.state.end(id, &served),
            // Else clients that leave could have a model rested.
            Ending::Complete | Ending::ClientLeft | Ending::Refused => self.state.forget(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conversation::dispatch::Dispatch;

    #[test]
    fn only_the_upstream_is_held_to_account() {
        let check = |status, ending, errors: Option<f64>| {
            let state = Arc::<SharedState>::default();
            let log = Log {
                state: Arc::clone(&state),
                recording: None,
            };
            let id = state.dispatches.next_id();
            let (model, recipe, decision) = ("a".into(), None, None);
            let (at, session, learning) = (Instant::now(), None, None);
            state.begin(Dispatch {
                id,
                at,
                model,
                recipe,
                decision,
                tier: 0,
                session,
                prompt_tokens: 0,
                learning,
            });
            log.ended(LogEntry {
                tag: "no id".into(),
                status,
                ending,
                ..LogEntry::default()
            });
            assert_eq!(state.pool.model("a").in_flight(), 1);
            log.ended(LogEntry {
                tag: format!("{id:016x}"),
                status,
                ending,
                ..LogEntry::default()
            });
            let reading = &state.pool.readings(Instant::now())[0];
            assert_eq!(
                (reading.in_flight, reading.error_rate),
                (0, errors),
                "{status} {ending:?}"
            );
        };
        check(200, Ending::Complete, Some(0.0));
        check(503, Ending::Complete, Some(1.0));
        check(200, Ending::UpstreamFailed, Some(1.0));
        check(0, Ending::UpstreamFailed, Some(1.0));
        check(0, Ending::Complete, None);
        check(200, Ending::ClientLeft, None);
        check(503, Ending::Refused, None);
    }
}
