//! Reload: read → prepare (may fail, off the serving threads) → swap (cannot). The first load goes
//! the same way.
//!
//! An exchange holds the [`Loaded`] that it started with; the old one dies with its last holder.

mod triggers;

pub use triggers::{Cause, Triggers};

use arc_swap::ArcSwap;
use document::Problem;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// In place of a hash, when the file was last tried and could not be read.
const UNREADABLE: &str = "unreadable";

/// Makes what serves out of a document's text.
pub trait Prepare: Send + Sync + 'static {
    /// What serves.
    type Built: Send + Sync + 'static;

    /// Builds everything, so that swapping cannot fail. `current` is what serves now; `None` on the
    /// first load. Runs on a thread where blocking is allowed.
    ///
    /// # Errors
    /// [`Refusal`] says why the old one goes on serving.
    fn prepare(&self, text: &str, current: Option<&Self::Built>) -> Result<Self::Built, Refusal>;
}

/// Why a document was not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is wrong.
    Rejected(Vec<Problem>),
    /// It is right, but changes these fields, which are read at start only.
    NeedsRestart(Vec<String>),
}

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "snake_case")]
pub enum Outcome {
    /// The new document serves.
    Swapped,
    /// The file says what already serves.
    Unchanged,
    /// The old document goes on serving: the new one is wrong.
    Rejected(Vec<Problem>),
    /// The old document goes on serving: these fields cannot change while running.
    NeedsRestart(Vec<String>),
}

impl Outcome {
    /// The value of the metric's label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Swapped => "swapped",
            Self::Unchanged => "unchanged",
            Self::Rejected(_) => "rejected",
            Self::NeedsRestart(_) => "needs_restart",
        }
    }
}

impl Outcome {
    fn failed() -> Self {
        Self::Rejected(vec![Problem::error(
            "",
            "preparing this document failed unexpectedly",
        )])
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejected(diagnostics) => Self::Rejected(diagnostics),
            Refusal::NeedsRestart(fields) => Self::NeedsRestart(fields),
        }
    }
}

/// The last attempt, for the admin API and for callers that wait for a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What became of it.
    pub outcome: Outcome,
    /// Number of the generation that serves, from 1.
    pub generation: u64,
    /// When.
    pub at: SystemTime,
}

/// What serves, and which document it was made from.
#[derive(Debug)]
pub struct Loaded<B> {
    /// Counts from 1.
    pub generation: u64,
    /// SHA-256 of the document's text, in hex.
    pub hash: String,
    built: B,
}

impl<B> Deref for Loaded<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.built
    }
}

/// The one pointer that a reload swaps.
#[derive(Debug)]
pub struct Live<B> {
    current: ArcSwap<Loaded<B>>,
    alive: Mutex<Vec<Weak<Loaded<B>>>>,
}

impl<B> Live<B> {
    fn new(first: Loaded<B>) -> Self {
        let first = Arc::new(first);
        Self {
            alive: Mutex::new(vec![Arc::downgrade(&first)]),
            current: ArcSwap::new(first),
        }
    }

    /// What serves now. Keep it for the whole of one exchange's planning.
    #[must_use]
    pub fn load(&self) -> Arc<Loaded<B>> {
        self.current.load_full()
    }

    /// How many generations somebody still holds, the serving one included.
    #[must_use]
    pub fn alive(&self) -> usize {
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.retain(|generation| generation.strong_count() > 0);
        alive.len()
    }

    fn store(&self, next: Loaded<B>) {
        let next = Arc::new(next);
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.retain(|generation| generation.strong_count() > 0);
        alive.push(Arc::downgrade(&next));
        drop(alive);
        self.current.store(next);
    }
}

/// Keeps a [`Live`] in step with a file.
pub struct Reloader<P: Prepare> {
    source: Arc<Source<P>>,
    live: Arc<Live<P::Built>>,
    status: watch::Sender<Status>,
    /// Hash of the text last tried, so that polling tries a wrong document once.
    tried: String,
}

struct Source<P> {
    file: PathBuf,
    prepare: P,
}

impl<P: Prepare> Reloader<P> {
    /// The first load, blocking.
    ///
    /// # Errors
    /// There is nothing to serve then.
    pub fn first(file: PathBuf, prepare: P) -> Result<Self, Refusal> {
        let source = Source { file, prepare };
        let text = source.read()?;
        let built = source.prepare.prepare(&text, None)?;
        let tried = hash(&text);
        let live = Live::new(Loaded {
            generation: 1,
            hash: tried.clone(),
            built,
        });
        let status = watch::Sender::new(Status {
            outcome: Outcome::Swapped,
            generation: 1,
            at: SystemTime::now(),
        });
        Ok(Self {
            source: Arc::new(source),
            live: Arc::new(live),
            status,
            tried,
        })
    }

    /// What serves.
    #[must_use]
    pub fn live(&self) -> Arc<Live<P::Built>> {
        Arc::clone(&self.live)
    }

    /// The last attempt. The receiver sees every change of it.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Follows the triggers until `stop`. `observe` is called once for each attempt.
    pub async fn run(
        mut self,
        mut triggers: Triggers,
        stop: CancellationToken,
        observe: impl Fn(&Status) + Send,
    ) {
        while let Some(cause) = stop.run_until_cancelled(triggers.next()).await {
            if let Some(outcome) = self.attempt(cause).await {
                let status = Status {
                    outcome,
                    generation: self.live.load().generation,
                    at: SystemTime::now(),
                };
                log(&status, cause);
                observe(&status);
                self.status.send_replace(status);
            }
            triggers.rearm();
        }
    }

    /// `None` if there was nothing to try: an event or a poll that finds what was tried before.
    async fn attempt(&mut self, cause: Cause) -> Option<Outcome> {
        let (source, live, tried) = (
            Arc::clone(&self.source),
            Arc::clone(&self.live),
            self.tried.clone(),
        );
        let attempt =
            tokio::task::spawn_blocking(move || source.attempt(&live, cause, tried)).await;
        match attempt {
            Ok((tried, outcome)) => {
                self.tried = tried;
                outcome
            }
            Err(_) => Some(Outcome::failed()),
        }
    }
}

impl<P: Prepare> Source<P> {
    fn read(&self) -> Result<String, Refusal> {
        std::fs::read_to_string(&self.file).map_err(|error| {
            Refusal::Rejected(vec![Problem::error(
                "",
                format!("cannot read the file: {error}"),
            )])
        })
    }

    fn attempt(
        &self,
        live: &Live<P::Built>,
        cause: Cause,
        tried: String,
    ) -> (String, Option<Outcome>) {
        let text = match self.read() {
            Ok(text) => text,
            // Between two steps of a swap the file may be away for a moment; the next event or poll
            // finds it.
            Err(_) if cause == Cause::Poll || (cause == Cause::Event && tried == UNREADABLE) => {
                return (tried, None);
            }
            Err(refusal) => return (UNREADABLE.to_owned(), Some(refusal.into())),
        };
        let hash = hash(&text);
        // Other files may be busy in the same directory: only who asks gets an answer about the
        // same text again.
        if cause != Cause::Request && hash == tried {
            return (tried, None);
        }
        let current = live.load();
        if hash == current.hash {
            return (hash, Some(Outcome::Unchanged));
        }
        let prepare = || self.prepare.prepare(&text, Some(&current.built));
        let outcome = match catch_unwind(AssertUnwindSafe(prepare)) {
            Ok(Ok(built)) => {
                let generation = current.generation + 1;
                live.store(Loaded {
                    generation,
                    hash: hash.clone(),
                    built,
                });
                Outcome::Swapped
            }
            Ok(Err(refusal)) => refusal.into(),
            Err(_) => Outcome::failed(),
        };
        (hash, Some(outcome))
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn log(status: &Status, cause: Cause) {
    let generation = status.generation;
    match &status.outcome {
        Outcome::Swapped => tracing::info!(generation, ?cause, "configuration swapped"),
        Outcome::Unchanged => tracing::info!(generation, ?cause, "configuration unchanged"),
        Outcome::Rejected(diagnostics) => {
            let problems: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
            tracing::error!(
                generation,
                ?cause,
                ?problems,
                "configuration rejected, the old one keeps serving"
            );
        }
        Outcome::NeedsRestart(fields) => {
            tracing::error!(
                generation,
                ?cause,
                ?fields,
                "configuration needs a restart, the old one keeps serving"
            );
        }
    }
}

#[cfg(test)]
mod tests;
