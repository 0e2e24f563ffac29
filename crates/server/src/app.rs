//! Builds everything in dependency order, serves, and stops in order. START HERE.

mod console;

use crate::admin::{self, Token};
use crate::cli::ServeArgs;
use crate::engine::{self, Generation, Preparer};
use crate::health::{Readiness, State};
use crate::http_listener::{self, Bounds};
use crate::listener::{self, Address, BindError, Bound};
use crate::metrics::{self, Metrics, Observed};
use crate::models::Installed;
use crate::pools::Pools;
use crate::recording;
use crate::reload::{Live, Loaded, Refusal, Reloader, Status, Triggers};
use crate::shared;
use crate::shutdown::{self, Grace, NothingToDrain, Outcome, Running, Signals, Tasks};
use crate::telemetry::{Telemetry, TraceSettings, Tracing};
use crate::tls::Tls;
use crate::trust::{self, Exposure};
use anyhow::Context as _;
use console::AppConsole;
use conversation::session::Sessions;
use extproc::{Counters, Processor};
use serde::Serialize;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Threads that hang in a blocking call do not hold up the exit longer than this.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// `merit serve`: serves until SIGTERM or SIGINT. The exit code says whether exchanges were cut.
///
/// # Errors
/// If serving cannot begin: document, TLS files, addresses.
pub fn serve(arguments: Box<ServeArgs>) -> anyhow::Result<ExitCode> {
    let grace = grace(&arguments)?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = arguments.workers {
        builder.worker_threads(usize::from(workers));
    }
    let runtime = builder
        .enable_all()
        .thread_name("merit")
        .build()
        .context("cannot start threads")?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::new().context("cannot handle signals")?;
        let traces = TraceSettings::from_env(|name| std::env::var(name).ok())
            .or_else(|| engine::trace_settings(arguments.policy.file()));
        let telemetry = Telemetry::install(arguments.log_format, traces.as_ref())?;
        let tracing = telemetry.tracing();
        let process = Process::start(&arguments, tracing, move || telemetry.flush()).await?;
        signals.next().await;
        Ok::<_, anyhow::Error>(process.stop(grace, async { signals.next().await }).await)
    });
    runtime.shutdown_timeout(LEFTOVERS);
    outcome.map(ExitCode::from)
}

fn grace(arguments: &ServeArgs) -> Result<Grace, NothingToDrain> {
    let seconds = |count: u32| Duration::from_secs(count.into());
    let total = seconds(arguments.drain_seconds);
    arguments.settle_seconds.map_or_else(
        || Ok(total.into()),
        |settle| Grace::settling(total, seconds(settle)),
    )
}

/// A serving process, without the signals: what `merit serve` and in-process tests share.
pub struct Process {
    addresses: Addresses,
    running: Running,
    status: tokio::sync::watch::Receiver<Status>,
    reload: Arc<Notify>,
}

/// Where a process really listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// ext_proc and gRPC health.
    pub grpc: Address,
    /// Admin HTTP.
    pub admin: SocketAddr,
    /// Prometheus.
    pub metrics: SocketAddr,
}

impl Process {
    /// Builds, binds and serves. `flush` runs at the very end.
    ///
    /// # Errors
    /// If the document is refused, TLS files are not usable, or an address is taken or too exposed.
    pub async fn start(
        arguments: &ServeArgs,
        tracing: Tracing,
        flush: impl FnOnce() + Send + 'static,
    ) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        let tls = Tls::load(&arguments.tls)?;
        let token = token(arguments.admin_token_file.as_deref())?;
        trust::check_admin(arguments.admin, token.is_some())?;

        let reloader = first_load(arguments, tls.is_some(), &metrics).await?;
        let sockets = Sockets::bind(arguments).await?;
        let addresses = sockets.addresses()?;

        let (serving, background) = (Tasks::default(), Tasks::default());
        let readiness = Readiness::new().await;
        let (live, status) = (reloader.live(), reloader.status());

        let records = recording::start(&live, &background, &metrics)?;
        let routes = engine::Routes {
            live: Arc::clone(&live),
            metrics: Arc::clone(&metrics),
            tracing,
            recorded: Some(records.clone()),
        };
        let service = tonic::service::Routes::new(readiness.service());
        let processor = routes.processor();
        let streams = processor.streams();
        let pools = Pools::start(&live, &background);
        let logs = pools.access_log(Arc::clone(&records.recording), serving.stopping());
        pools.observe(&metrics, &logs);
        shared::start(&live, &background, &metrics)?;
        let service = service
            .add_service(processor.server())
            .add_service(logs.server());
        serve_grpc(sockets.grpc, service, tls.clone(), &serving);

        let console = AppConsole {
            live: Arc::clone(&live),
            status: status.clone(),
            state: readiness.watch(),
            metrics: Arc::clone(&metrics),
            records,
        };
        let admin = admin::router(Arc::new(console), token);
        http_listener::serve(sockets.admin, admin, Bounds::default(), &background);
        let scraped = metrics::router(Arc::clone(&metrics), readiness.watch());
        http_listener::serve(sockets.metrics, scraped, Bounds::default(), &background);

        observe(&metrics, &live, &processor);
        let reload = Arc::new(Notify::new());
        keep_loaded(
            reloader,
            arguments.policy.file(),
            &reload,
            &metrics,
            pools,
            &background,
        )?;
        if let Some(tls) = tls {
            background.spawn(tls.keep_fresh(background.stopping()));
        }

        readiness.set(State::Ready).await;
        announce(&addresses, arguments.ports_file.as_deref(), &live.load())?;
        let running = Running {
            readiness,
            serving,
            background,
            open: Box::new({
                let streams = streams.clone();
                move || streams.open()
            }),
            cut: Box::new(move || streams.stop()),
            flush: Box::new(flush),
        };
        Ok(Self {
            addresses,
            running,
            status,
            reload,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The last reload, and following ones.
    #[must_use]
    pub fn reloads(&self) -> tokio::sync::watch::Receiver<Status> {
        self.status.clone()
    }

    /// Reads the document again, as SIGHUP does.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Stops in order within `grace`; `force` ends the waiting.
    pub async fn stop(self, grace: impl Into<Grace>, force: impl Future<Output = ()>) -> Outcome {
        shutdown::run(self.running, grace.into(), force).await
    }
}

async fn first_load(
    arguments: &ServeArgs,
    tls: bool,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Reloader<Preparer>> {
    let exposure = Exposure {
        address: arguments.listen.clone(),
        tls,
        insecure_listen: arguments.insecure_listen,
    };
    let models = Arc::new(Installed::from(arguments.models.clone()));
    let preparer = Preparer {
        exposure,
        metrics: Arc::clone(metrics),
        assets: arguments.assets.clone(),
        models,
    };
    let file = arguments.policy.file().to_owned();
    let loaded = tokio::task::spawn_blocking(move || Reloader::first(file, preparer)).await?;
    let reloader = loaded.map_err(|refusal| refused(arguments.policy.file(), refusal))?;
    count(metrics, &reloader.status().borrow());
    Ok(reloader)
}

fn refused(file: &Path, refusal: Refusal) -> anyhow::Error {
    let lines: Vec<_> = match refusal {
        Refusal::Rejected(diagnostics) => diagnostics.iter().map(|it| it.in_file(file)).collect(),
        Refusal::NeedsRestart(fields) => fields,
    };
    anyhow::anyhow!("the configuration is refused\n{}", lines.join("\n"))
}

fn token(file: Option<&Path>) -> anyhow::Result<Option<Token>> {
    let Some(file) = file else { return Ok(None) };
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let token = Token::new(&text).with_context(|| format!("{} is empty", file.display()))?;
    Ok(Some(token))
}

/// All three are bound before any serves, so that a taken port is found before traffic comes.
struct Sockets {
    grpc: Bound,
    admin: TcpListener,
    metrics: TcpListener,
}

impl Sockets {
    async fn bind(arguments: &ServeArgs) -> Result<Self, BindError> {
        Ok(Self {
            grpc: Bound::bind(&arguments.listen).await?,
            admin: bind_http(arguments.admin).await?,
            metrics: bind_http(arguments.metrics).await?,
        })
    }

    fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            grpc: self.grpc.address().clone(),
            admin: self.admin.local_addr()?,
            metrics: self.metrics.local_addr()?,
        })
    }
}

async fn bind_http(address: SocketAddr) -> Result<TcpListener, BindError> {
    let failed = |source| BindError::Io {
        address: Address::Tcp(address),
        source,
    };
    TcpListener::bind(address).await.map_err(failed)
}

fn serve_grpc(
    socket: Bound,
    service: tonic::service::Routes,
    tls: Option<Arc<Tls>>,
    tasks: &Tasks,
) {
    let incoming = socket.incoming(tls, tasks);
    let stop = tasks.stopping();
    let server = listener::grpc().add_routes(service);
    tasks.spawn(async move {
        if let Err(error) = server
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
            .await
        {
            tracing::error!(%error, "the grpc server failed");
        }
    });
}

fn observe(metrics: &Metrics, live: &Arc<Live<Generation>>, processor: &Processor) {
    let (live, streams, counters) = (Arc::clone(live), processor.streams(), processor.counters());
    let (serving, document) = (Arc::clone(&live), Arc::clone(&live));
    let hash = move || hash_number(&document.load().hash);
    let help = "First 48 bits of the hash of the document that serves; replicas that differ serve different documents";
    metrics.observe("merit_config_hash", help, Observed::Gauge, hash);
    metrics.observe_encoder({
        let serving = Arc::clone(&serving);
        move || serving.load().statistics()
    });
    let alive = move || live.alive() as u64;
    metrics.observe(
        "merit_generations_alive",
        "Configurations that serve or are still held",
        Observed::Gauge,
        alive,
    );
    let open = move || streams.open() as u64;
    metrics.observe(
        "merit_exchange_open",
        "Exchanges in flight",
        Observed::Gauge,
        open,
    );
    observe_sessions(metrics, &serving);
    let count = |name, help, read: fn(&Counters) -> u64| {
        let counters = Arc::clone(&counters);
        metrics.observe(name, help, Observed::Counter, move || read(&counters));
    };
    count("merit_exchange", "Exchanges begun", Counters::streams);
    count(
        "merit_immediate_response",
        "Requests that Merit answered itself",
        Counters::immediates,
    );
    count(
        "merit_panic",
        "Exchanges ended by a panic",
        Counters::panics,
    );
    count(
        "merit_protocol_error",
        "Exchanges ended by an illegal frame",
        Counters::protocol_errors,
    );
    count(
        "merit_exchange_early_close",
        "Exchanges ended by Merit once nothing more was wanted",
        Counters::early_closes,
    );
    count(
        "merit_exchange_broken_responses",
        "Responses cut by Merit because they could not be sent on whole",
        Counters::broken_responses,
    );
    count(
        "merit_exchange_abandoned",
        "Exchanges that the gateway left before a reply",
        Counters::abandoned,
    );
}

/// What sessions hold, and what they spent.
fn observe_sessions(metrics: &Metrics, live: &Arc<Live<Generation>>) {
    let read = |name, help, kind, read: fn(&Sessions) -> u64| {
        let live = Arc::clone(live);
        metrics.observe(name, help, kind, move || {
            read(&live.load().router.state.sessions)
        });
    };
    let entries: fn(&Sessions) -> u64 = |sessions| sessions.len() as u64;
    read(
        "merit_session_entries",
        "Sessions that are remembered",
        Observed::Gauge,
        entries,
    );
    read(
        "merit_session_forgotten",
        "Sessions forgotten for others",
        Observed::Counter,
        Sessions::forgotten,
    );
    read(
        "merit_session_switch_overhead_millionths",
        "What switches of model have cost, at most, in millionths of the currency of the prices",
        Observed::Counter,
        Sessions::switch_overhead,
    );
}

fn keep_loaded(
    reloader: Reloader<Preparer>,
    file: &Path,
    requests: &Arc<Notify>,
    metrics: &Arc<Metrics>,
    pools: Pools,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;
    let (notify, stop) = (Arc::clone(requests), tasks.stopping());
    tasks.spawn(async move {
        while let Some(Some(())) = stop.run_until_cancelled(hangups.recv()).await {
            notify.notify_one();
        }
    });
    let metrics = Arc::clone(metrics);
    let triggers = Triggers::new(file, Arc::clone(requests));
    let live = reloader.live();
    tasks.spawn(reloader.run(triggers, tasks.stopping(), move |status| {
        count(&metrics, status);
        if status.outcome == crate::reload::Outcome::Swapped {
            pools.follow(&live.load());
        }
    }));
    Ok(())
}

fn count(metrics: &Metrics, status: &Status) {
    metrics
        .process
        .reloaded(status.outcome.label(), status.generation);
}

/// As many bits as a number of a scrape holds exactly.
fn hash_number(hash: &str) -> u64 {
    hash.get(..12)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or(0)
}

/// Says where the process listens: in the log, and in a file for callers that asked for free ports.
fn announce(
    addresses: &Addresses,
    file: Option<&Path>,
    loaded: &Loaded<Generation>,
) -> anyhow::Result<()> {
    let Addresses {
        grpc,
        admin,
        metrics,
    } = addresses;
    tracing::info!(%grpc, %admin, %metrics, hash = loaded.hash, "listening");
    let Some(file) = file else { return Ok(()) };
    #[derive(Serialize)]
    struct Ports {
        grpc: String,
        admin: String,
        metrics: String,
    }
    let ports = Ports {
        grpc: grpc.to_string(),
        admin: admin.to_string(),
        metrics: metrics.to_string(),
    };
    write_atomically(file, &serde_json::to_vec(&ports)?)
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Readers see nothing or everything.
fn write_atomically(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = file.with_file_name(name);
    let mut out = std::fs::File::create(&temporary)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    std::fs::rename(temporary, file)
}

#[cfg(test)]
mod tests;
