//! When to look at the file again: file events, a slow poll, and on request (SIGHUP).

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

/// One ConfigMap swap is seven events; an editor's save is three or four.
const DEBOUNCE: Duration = Duration::from_millis(250);
/// A file that never rests is looked at all the same.
const DEBOUNCE_MAX: Duration = Duration::from_secs(2);
/// For file systems without events (network mounts), and for when the kernel has no watches left.
const POLL: Duration = Duration::from_secs(5);

/// Why the file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Something happened in its directory.
    Event,
    /// Time passed.
    Poll,
    /// Somebody asked.
    Request,
}

/// The triggers of one file.
pub struct Triggers {
    file: PathBuf,
    events: Arc<Notify>,
    requests: Arc<Notify>,
    poll: Interval,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Triggers {
    /// Watches `file`'s directory, and that of the file it links to. Where that is impossible,
    /// polling remains, and the log says so. `requests` is notified to ask for a reload.
    #[must_use]
    pub fn new(file: &Path, requests: Arc<Notify>) -> Self {
        let mut poll = interval_at(Instant::now() + POLL, POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let events = Arc::new(Notify::new());
        let mut triggers = Self {
            file: file.to_owned(),
            watcher: watcher(Arc::clone(&events)),
            events,
            requests,
            poll,
            watched: BTreeSet::new(),
        };
        triggers.rearm();
        triggers
    }

    /// Waits for the next cause; a burst of events is one.
    pub async fn next(&mut self) -> Cause {
        tokio::select! {
            () = self.events.notified() => {
                // The timeout is the normal end: a quarter of a second of rest. Who asks says that
                // the file is complete.
                tokio::select! {
                    _ = timeout(DEBOUNCE_MAX, rest(&self.events)) => Cause::Event,
                    () = self.requests.notified() => Cause::Request,
                }
            }
            () = self.requests.notified() => Cause::Request,
            _ = self.poll.tick() => Cause::Poll,
        }
    }

    /// Follows links that point elsewhere by now.
    pub fn rearm(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted = directories(&self.file);
        for gone in self.watched.difference(&wanted) {
            // A directory that was deleted is no longer watched anyway.
            drop(watcher.unwatch(gone));
        }
        let mut watched = BTreeSet::new();
        for directory in wanted {
            let known = self.watched.contains(&directory);
            match if known {
                Ok(())
            } else {
                watcher.watch(&directory, RecursiveMode::NonRecursive)
            } {
                Ok(()) => {
                    watched.insert(directory);
                }
                Err(error) => {
                    tracing::warn!(%error, directory = %directory.display(), "cannot watch, polling instead")
                }
            }
        }
        self.watched = watched;
    }
}

async fn rest(events: &Notify) {
    while timeout(DEBOUNCE, events.notified()).await.is_ok() {}
}

/// The directory, never the file: a watch on a file follows the inode, and is blind after the first
/// swap.
fn directories(file: &Path) -> BTreeSet<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut directories = BTreeSet::from([parent(file)]);
    if let Ok(target) = std::fs::canonicalize(file) {
        directories.insert(parent(&target));
    }
    directories
}

fn watcher(events: Arc<Notify>) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        // Reading the file is an event too; reacting to that would never end.
        let read = matches!(&event, Ok(event) if is_read(event.kind));
        if !read {
            events.notify_one();
        }
    };
    notify::recommended_watcher(handler)
        .inspect_err(|error| tracing::warn!(%error, "no file events, polling instead"))
        .ok()
}

fn is_read(kind: EventKind) -> bool {
    use notify::event::{AccessKind, AccessMode};
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request does not wait for the directory to settle.
    #[tokio::test(start_paused = true)]
    async fn a_request_ends_the_wait_for_rest() {
        let folder = tempfile::tempdir().unwrap();
        let requests = Arc::new(Notify::new());
        let mut triggers = Triggers::new(&folder.path().join("a.yaml"), Arc::clone(&requests));
        triggers.events.notify_one();
        let ask = async {
            tokio::time::sleep(DEBOUNCE / 5).await;
            requests.notify_one();
        };
        let start = Instant::now();
        let (cause, ()) = tokio::join!(triggers.next(), ask);
        assert_eq!((cause, start.elapsed() < DEBOUNCE), (Cause::Request, true));
    }
}
