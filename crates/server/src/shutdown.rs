//! Stopping, in numbered phases, within one grace period; and the one place where tasks are
//! spawned.

use crate::health::{Readiness, State};
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Gateways that check often notice NOT_SERVING within this time; others are told by
/// `--settle-seconds`.
const SETTLE: Duration = Duration::from_secs(5);
const FLUSH_MAX: Duration = Duration::from_secs(2);
const REPORT_EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A connection may stay open without an exchange (a gRPC health watch never ends). After this long
/// without any, nothing is lost by closing it.
const QUIET: Duration = Duration::from_secs(1);

/// Spawns tasks that shutdown knows of. Clones share the same tasks.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs `future` beside the caller. It must end soon after [`Tasks::stopping`].
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn(future)
    }

    /// Cancelled when these tasks shall end.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// What a shutdown acts on.
pub struct Running {
    /// Health, told first.
    pub readiness: Readiness,
    /// The ext_proc server: its `stopping` token makes it refuse new streams and end when the open
    /// ones have.
    pub serving: Tasks,
    /// Everything else: admin, metrics, reload. Ended after the drain, so that a drain can be
    /// watched.
    pub background: Tasks,
    /// How many exchanges are open.
    pub open: Box<dyn Fn() -> usize + Send + Sync>,
    /// Writes out what is buffered (spans, records); blocking.
    pub flush: Box<dyn FnOnce() + Send>,
    /// Ends exchanges that the grace period did not suffice for, with an error that their gateways
    /// see.
    pub cut: Box<dyn FnOnce() + Send>,
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every exchange ended.
    Drained,
    /// The grace period ended first; `open` exchanges were cut.
    TimedOut {
        /// How many.
        open: usize,
    },
    /// A second signal asked not to wait.
    Forced,
}

impl From<Outcome> for ExitCode {
    /// 0 drained, 3 timed out, 4 forced.
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Drained => Self::SUCCESS,
            Outcome::TimedOut { .. } => Self::from(3),
            Outcome::Forced => Self::from(4),
        }
    }
}

/// How long a shutdown may take, and how much of that passes before no stream is accepted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    total: Duration,
    settle: Duration,
}

impl From<Duration> for Grace {
    fn from(total: Duration) -> Self {
        Self {
            total,
            settle: SETTLE.min(total / 2),
        }
    }
}

impl Grace {
    /// A grace period with a time of its own to settle.
    ///
    /// # Errors
    /// [`NothingToDrain`] if settling takes all of it.
    pub fn settling(total: Duration, settle: Duration) -> Result<Self, NothingToDrain> {
        let grace = Self { total, settle };
        if Budget::of(grace).drain.is_zero() {
            return Err(NothingToDrain {
                total: total.as_secs(),
                settle: settle.as_secs(),
            });
        }
        Ok(grace)
    }
}

/// A time to settle that leaves no time to drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "--settle-seconds {settle} leaves nothing of --drain-seconds {total} in which exchanges could end"
)]
pub struct NothingToDrain {
    total: u64,
    settle: u64,
}

/// Stops everything within `grace`. `force` ends the waiting at once (a second signal).
pub async fn run(running: Running, grace: Grace, force: impl Future<Output = ()>) -> Outcome {
    let Running {
        readiness,
        serving,
        background,
        open,
        flush,
        cut,
    } = running;
    let budget = Budget::of(grace);
    let orderly = async {
        tracing::info!(phase = 1, "shutdown: reporting not serving");
        readiness.set(State::Draining).await;

        // Streams are still accepted: gateways that have not seen phase 1 yet must not find a
        // closed door.
        tracing::info!(
            phase = 2,
            settle_ms = budget.settle.as_millis() as u64,
            "shutdown: settling"
        );
        sleep(budget.settle).await;

        tracing::info!(phase = 3, "shutdown: no longer accepting streams");
        serving.stop.cancel();

        tracing::info!(
            phase = 4,
            open = open(),
            drain_ms = budget.drain.as_millis() as u64,
            "shutdown: draining"
        );
        drain(&serving, &*open, budget.drain).await
    };
    let outcome = tokio::select! {
        outcome = orderly => outcome,
        () = force => Outcome::Forced,
    };
    serving.stop.cancel();
    if outcome != Outcome::Drained {
        cut();
    }

    tracing::info!(phase = 5, ?outcome, "shutdown: ending background tasks");
    background.stop.cancel();
    if timeout(budget.flush, background.ended()).await.is_err() {
        tracing::warn!("background tasks did not end in time");
    }

    tracing::info!(phase = 6, "shutdown: flushing telemetry");
    let flushed = tokio::task::spawn_blocking(flush);
    if timeout(budget.flush, flushed).await.is_err() {
        tracing::warn!("telemetry was not flushed in time");
    }
    // Phase 7 is the exit code, made from the outcome.
    outcome
}

async fn drain(
    serving: &Tasks,
    open: &(dyn Fn() -> usize + Send + Sync),
    budget: Duration,
) -> Outcome {
    let start = Instant::now();
    let mut reported = start;
    let mut busy = start;
    loop {
        if timeout(LOOK_EVERY, serving.ended()).await.is_ok() {
            return Outcome::Drained;
        }
        let (now, open) = (Instant::now(), open());
        if open > 0 {
            busy = now;
        }
        if now.duration_since(busy) >= QUIET {
            return Outcome::Drained;
        }
        if now.duration_since(start) >= budget {
            return if open == 0 {
                Outcome::Drained
            } else {
                Outcome::TimedOut { open }
            };
        }
        if now.duration_since(reported) >= REPORT_EVERY {
            reported = now;
            tracing::info!(open, "shutdown: still draining");
        }
    }
}

/// One grace period, divided: the parts never add up to more.
struct Budget {
    settle: Duration,
    drain: Duration,
    flush: Duration,
}

impl Budget {
    fn of(grace: Grace) -> Self {
        let Grace { total, settle } = grace;
        let flush = FLUSH_MAX.min(total / 10);
        // Background and telemetry each get a flush budget.
        Self {
            settle,
            drain: total.saturating_sub(settle + flush * 2),
            flush,
        }
    }
}

/// Signals that end the process: SIGTERM and SIGINT.
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes the signals over from their default action.
    ///
    /// # Errors
    /// If the operating system refuses a handler.
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
