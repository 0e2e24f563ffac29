//! Work on request bodies: what is short is done where it comes up, all else off the serving
//! threads.
//!
//! Long work waits for a place. Places are given by bytes: what a body is read into takes several
//! times its room, so the bodies that are read at a time have a bound, not only those that are held.
//! The place is kept until the work is over; its thread and its core are given back whenever it
//! waits, for models above all. Work of a caller that has gone holds both until it looks at its
//! deadline.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Nanoseconds that one body may hold a serving thread.
const HELD: f64 = 2e6;
/// Nanoseconds that parsing takes per byte.
const PARSING: f64 = 10.0;
/// Bodies above this are long work whatever reads them, bytes.
const LONG: usize = 64 << 10;
/// Bodies up to this have places of their own, so that large ones do not keep them waiting, bytes.
const SMALL: usize = 1 << 20;
/// Bytes of bodies up to [`SMALL`] that are read at a time.
const SMALL_PLACES: usize = 24 << 20;
/// Bytes of bodies above [`SMALL`] that are read at a time; a body that is larger has them all.
const LARGE_PLACES: usize = 32 << 20;
/// Bytes of one place.
const PLACE: usize = 1 << 10;

/// Places and cores for long work.
#[derive(Debug)]
pub(super) struct Work {
    small: Places,
    large: Places,
    cores: Arc<Semaphore>,
}

impl Work {
    /// Work for as many bodies at a time as there are `cores`.
    pub(super) fn new(cores: usize) -> Self {
        Self {
            small: Places::new(SMALL_PLACES),
            large: Places::new(LARGE_PLACES),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Tells whether a body is read so soon that a serving thread may do it; `pace` are nanoseconds
    /// per byte.
    pub(super) fn is_short(bytes: usize, pace: f64) -> bool {
        bytes <= LONG && bytes as f64 * (pace + PARSING) <= HELD
    }

    /// Does the work on a body of so many bytes off the serving threads.
    pub(super) async fn run<F>(&self, bytes: usize, work: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let places = if bytes <= SMALL {
            &self.small
        } else {
            &self.large
        };
        let mut job = Job {
            work: Box::pin(work),
            place: places.take(bytes).await,
        };
        loop {
            let core = Arc::clone(&self.cores).acquire_owned().await.ok();
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let step = move || {
                let step = job.step(&mut Context::from_waker(&waker));
                drop(core);
                step
            };
            match tokio::task::spawn_blocking(step).await {
                Ok(Step::Done(done)) => return done,
                Ok(Step::Waits(waiting)) => job = waiting,
                // Planning does not panic on input that tests know of; should it, the fence of the
                // protocol layer is the place.
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            }
            woken.0.notified().await;
        }
    }
}

/// Bytes that may be read at a time.
#[derive(Debug)]
struct Places {
    places: Arc<Semaphore>,
    all: usize,
}

impl Places {
    fn new(bytes: usize) -> Self {
        let all = bytes / PLACE;
        Self {
            places: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    /// Waits for the places of a body. `None` never comes, as nobody closes the semaphore.
    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let wanted = bytes.div_ceil(PLACE).min(self.all);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let places = Arc::clone(&self.places);
        places.acquire_many_owned(wanted).await.ok()
    }
}

/// Work with its place.
struct Job<F> {
    work: Pin<Box<F>>,
    place: Option<OwnedSemaphorePermit>,
}

enum Step<F: Future> {
    Done(F::Output),
    Waits(Job<F>),
}

impl<F: Future> Job<F> {
    /// Goes on with the work until it waits or is done. What it held is dropped here, off the
    /// serving threads.
    fn step(mut self, context: &mut Context<'_>) -> Step<F> {
        match self.work.as_mut().poll(context) {
            Poll::Ready(done) => {
                drop(self.work);
                drop(self.place);
                Step::Done(done)
            }
            Poll::Pending => Step::Waits(self),
        }
    }
}

/// Remembers that the work can go on.
#[derive(Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[test]
    fn what_is_short_hangs_on_what_reads_it() {
        for (bytes, pace, expected) in [
            (0, 1e9, true),
            (2 << 10, 300.0, true),
            (2 << 10, 1e9, false),
            (40 << 10, 30.0, true),
            (60 << 10, 30.0, false),
            (8 << 10, 350.0, false),
            (LONG, 0.0, true),
            (LONG + 1, 0.0, false),
        ] {
            assert_eq!(Work::is_short(bytes, pace), expected, "{bytes} {pace}");
        }
    }

    #[tokio::test]
    async fn a_core_is_given_back_while_work_waits() {
        let work = Work::new(1);
        let (go, wait) = oneshot::channel();
        let other = async {
            tokio::task::yield_now().await;
            let found = work.run(10, async { 7 }).await;
            go.send("done").unwrap();
            found
        };
        let both = tokio::join!(work.run(10, wait), other);
        assert_eq!(both, (Ok("done"), 7));
        assert_eq!(work.small.places.available_permits(), work.small.all);
        assert_eq!(work.cores.available_permits(), 1);
    }

    /// Tasks at a time, and the most there were.
    #[derive(Default)]
    struct Load {
        now: AtomicUsize,
        highest: AtomicUsize,
    }

    impl Load {
        async fn task(self: Arc<Self>) {
            let now = self.now.fetch_add(1, SeqCst) + 1;
            self.highest.fetch_max(now, SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
            self.now.fetch_sub(1, SeqCst);
        }
    }

    #[tokio::test]
    async fn places_are_given_by_bytes() {
        for (bytes, most) in [(30 << 20, 1), (64 << 20, 1), (10 << 20, 3), (1 << 20, 24)] {
            let work = Work::new(64);
            let load = Arc::new(Load::default());
            let runs = (0..40).map(|_| work.run(bytes, Arc::clone(&load).task()));
            join_all(runs).await;
            assert!(load.highest.load(SeqCst) <= most, "{bytes}");
        }
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_gives_its_place_back() {
        let work = Work::new(1);
        let endless = work.run(30 << 20, std::future::pending::<()>());
        assert!(
            tokio::time::timeout(Duration::from_millis(20), endless)
                .await
                .is_err()
        );
        assert_eq!(work.large.places.available_permits(), work.large.all);
        assert_eq!(work.run(30 << 20, async { 7 }).await, 7);
    }
}
