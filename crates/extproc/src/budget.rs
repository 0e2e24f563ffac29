//! Memory for request bodies: one budget for all streams of a service.
//!
//! A body that is coming in holds what it has sent so far, so slow clients could hold everything.
//! Three rules keep room for the others: a share is kept for small bodies; an upload below the least
//! rate is refused ([`crate::body`]); and where room is short the slowest upload is ended for a
//! faster one.

use crate::exchange::Fault;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The largest body that may use the whole budget, bytes. Nearly all requests are smaller.
pub(crate) const SMALL_BODY: usize = 256 << 10;

/// The part of the budget that larger bodies leave alone: an eighth.
const SMALL_SHARE: usize = 8;

/// How long a body waits for the room that slower ones give up. They give it up when their stream
/// is driven next, which takes far less.
const ROOM_WAIT: Duration = Duration::from_secs(1);

/// Time over which an upload's pace is averaged, seconds.
const PACE_SECONDS: f64 = 5.0;

/// Bytes of request bodies held now, by all streams of a service.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: AtomicUsize,
    /// Bytes of pieces that wait for room: they are in memory already.
    waiting: AtomicUsize,
    /// Told whenever bytes are given back.
    freed: Notify,
    uploads: Mutex<Uploads>,
}

/// The bodies that are coming in.
#[derive(Debug, Default)]
struct Uploads {
    next: u64,
    open: BTreeMap<u64, Entry>,
}

/// One of them.
#[derive(Debug)]
struct Entry {
    held: usize,
    pace: Pace,
    end: CancellationToken,
}

impl Budget {
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends uploads, the slowest first, until `missing` bytes are on their way back. A large body
    /// only displaces large ones that are slower than itself; a small one also displaces small
    /// ones, once no large one is left. Returns false if there are not enough of them.
    fn displace(&self, missing: usize, claim: &Claim) -> bool {
        let now = Instant::now();
        let uploads = self.uploads();
        let own_pace = claim.upload.and_then(|id| uploads.open.get(&id));
        let own_pace = own_pace.map_or(f64::INFINITY, |own| own.pace.at(now));
        let mut coming_back = 0;
        let mut slowest = Vec::new();
        for (id, entry) in &uploads.open {
            if entry.end.is_cancelled() {
                coming_back += entry.held;
                continue;
            }
            let is_large = entry.held > SMALL_BODY;
            let pace = entry.pace.at(now);
            let goes = if claim.is_large {
                is_large && pace < own_pace
            } else {
                entry.held > 0
            };
            if goes && claim.upload != Some(*id) {
                slowest.push((!is_large, pace, entry));
            }
        }
        slowest.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));

        let mut chosen = Vec::new();
        for (_, _, entry) in slowest {
            if coming_back >= missing {
                break;
            }
            coming_back += entry.held;
            chosen.push(entry);
        }
        if coming_back < missing {
            return false;
        }
        chosen.into_iter().for_each(|entry| entry.end.cancel());
        true
    }
}

/// Who asks for room.
struct Claim {
    upload: Option<u64>,
    is_large: bool,
}

/// A share of the [`Budget`], given back on drop.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Lease {
    pub(crate) fn empty(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Takes `bytes` more of the budget's `total`. Where there is no room, slower uploads are ended
    /// for those that come later.
    ///
    /// # Errors
    /// There is no room.
    pub(crate) fn grow(&mut self, bytes: usize, total: usize) -> Result<(), Fault> {
        self.take(bytes, total).map_err(|missing| {
            let claim = Claim {
                upload: None,
                is_large: self.is_large_with(bytes),
            };
            self.budget.displace(missing, &claim);
            Fault::Overloaded
        })
    }

    fn is_large_with(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes) > SMALL_BODY
    }

    /// Takes `bytes` more, or returns how many are missing.
    fn take(&mut self, bytes: usize, total: usize) -> Result<(), usize> {
        let room = if self.is_large_with(bytes) {
            total - total / SMALL_SHARE
        } else {
            total
        };
        let grown = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= room);
        match self.budget.used.fetch_update(Relaxed, Relaxed, grown) {
            Ok(_) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(used) => Err(used.saturating_add(bytes).saturating_sub(room)),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
        self.budget.freed.notify_waiters();
    }
}

/// A body that is coming in: its share of the budget, and its place among the other uploads.
#[derive(Debug)]
pub(crate) struct Upload {
    id: u64,
    lease: Lease,
    end: CancellationToken,
}

impl Upload {
    pub(crate) fn begin(lease: Lease) -> Self {
        let end = CancellationToken::new();
        let entry = Entry {
            held: 0,
            pace: Pace::begin(Instant::now()),
            end: end.clone(),
        };
        let mut uploads = lease.budget.uploads();
        let id = uploads.next;
        uploads.next += 1;
        uploads.open.insert(id, entry);
        drop(uploads);
        Self { id, lease, end }
    }

    /// Cancelled when the upload has to make room for others.
    pub(crate) fn end(&self) -> &CancellationToken {
        &self.end
    }

    /// Takes room for a piece that has come. Waits a moment for that of slower uploads where there
    /// is none.
    ///
    /// # Errors
    /// There is no room, or this upload is the slowest.
    pub(crate) async fn grow(&mut self, bytes: usize, total: usize) -> Result<(), Fault> {
        self.note(bytes, 0);
        let late = Instant::now() + ROOM_WAIT;
        let budget = Arc::clone(&self.lease.budget);
        let mut waits = None;
        loop {
            // Listens first, so that room that is given back meanwhile is not missed.
            let mut freed = std::pin::pin!(budget.freed.notified());
            freed.as_mut().enable();
            let Err(missing) = self.lease.take(bytes, total) else {
                self.note(0, bytes);
                return Ok(());
            };

            if waits.is_none() {
                waits = Some(Waits::begin(&budget, bytes, total)?);
            }
            let claim = Claim {
                upload: Some(self.id),
                is_large: self.lease.is_large_with(bytes),
            };
            if !budget.displace(missing, &claim) {
                return Err(Fault::Overloaded);
            }
            tokio::select! {
                () = freed => {}
                () = self.end.cancelled() => return Err(Fault::UploadDisplaced),
                () = sleep_until(late) => return Err(Fault::Overloaded),
            }
        }
    }

    /// Writes down what came and what is held.
    fn note(&self, came: usize, held: usize) {
        if let Some(entry) = self.lease.budget.uploads().open.get_mut(&self.id) {
            entry.pace.add(came, Instant::now());
            entry.held += held;
        }
    }

    /// The share of the budget, once the whole body is there.
    pub(crate) fn finish(mut self) -> Lease {
        let empty = Lease::empty(&self.lease.budget);
        std::mem::replace(&mut self.lease, empty)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.lease.budget.uploads().open.remove(&self.id);
    }
}

/// Bytes that wait for room, counted until dropped.
struct Waits<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl<'a> Waits<'a> {
    /// Counts a piece that waits; no more of them than the share of small bodies, as they are in
    /// memory beside the budget.
    fn begin(budget: &'a Budget, bytes: usize, total: usize) -> Result<Self, Fault> {
        let before = budget.waiting.fetch_add(bytes, Relaxed);
        let waits = Self { budget, bytes };
        if before.saturating_add(bytes) > total / SMALL_SHARE {
            return Err(Fault::Overloaded);
        }
        Ok(waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.budget.waiting.fetch_sub(self.bytes, Relaxed);
    }
}

/// How fast an upload is: bytes per second, those that came longer ago weighing less. A burst
/// followed by silence is slow again after some seconds.
#[derive(Debug)]
struct Pace {
    began: Instant,
    last: Instant,
    weight: f64,
}

impl Pace {
    fn begin(now: Instant) -> Self {
        Self {
            began: now,
            last: now,
            weight: 0.0,
        }
    }

    fn add(&mut self, bytes: usize, now: Instant) {
        let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.weight = self.weight * fading(now - self.last) + bytes;
        self.last = now;
    }

    fn at(&self, now: Instant) -> f64 {
        // The average over a young upload's few moments, not over the whole time constant.
        let span = PACE_SECONDS * (1.0 - fading(now - self.began));
        self.weight * fading(now - self.last) / span.max(1e-3)
    }
}

fn fading(since: Duration) -> f64 {
    (-since.as_secs_f64() / PACE_SECONDS).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    const TOTAL: usize = 16 * SMALL_BODY;

    async fn upload(budget: &Arc<Budget>, bytes: usize) -> Upload {
        let mut upload = Upload::begin(Lease::empty(budget));
        upload.grow(bytes, TOTAL).await.unwrap();
        upload
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_is_kept_for_small_bodies() {
        let budget = Arc::new(Budget::default());
        // Complete bodies, which are never displaced.
        let large = upload(&budget, 14 * SMALL_BODY).await.finish();
        let mut more = Upload::begin(Lease::empty(&budget));
        assert_eq!(
            more.grow(SMALL_BODY + 1, TOTAL).await,
            Err(Fault::Overloaded)
        );
        let small = [
            upload(&budget, SMALL_BODY).await,
            upload(&budget, SMALL_BODY).await,
        ];
        let mut none_left = Lease::empty(&budget);
        assert_eq!(none_left.grow(1, TOTAL), Err(Fault::Overloaded));
        drop((large, small, more));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_large_upload_makes_room() {
        let budget = Arc::new(Budget::default());
        let silent = upload(&budget, 7 * SMALL_BODY).await;
        tokio::time::advance(Duration::from_secs(20)).await;
        let mut busy = upload(&budget, 4 * SMALL_BODY).await;
        let mut newest = upload(&budget, 2 * SMALL_BODY).await;

        let mut growing = Box::pin(newest.grow(2 * SMALL_BODY, TOTAL));
        assert_eq!(growing.as_mut().now_or_never(), None, "it waits for room");
        assert!(silent.end().is_cancelled() && !busy.end().is_cancelled());
        drop(silent);
        assert_eq!(growing.await, Ok(()));

        // One that is slower than all others displaces none of them.
        tokio::time::advance(Duration::from_secs(20)).await;
        newest.grow(6 * SMALL_BODY, TOTAL).await.unwrap();
        let refused = busy.grow(1, TOTAL).await;
        assert_eq!(refused, Err(Fault::Overloaded));
        assert!(!newest.end().is_cancelled());
        drop((busy, newest));
        assert_eq!(budget.used(), 0);
        assert!(budget.uploads().open.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_does_not_come_is_not_waited_for_long() {
        let budget = Arc::new(Budget::default());
        let stuck = upload(&budget, 14 * SMALL_BODY).await;
        tokio::time::advance(Duration::from_secs(20)).await;
        let begin = Instant::now();
        let mut other = Upload::begin(Lease::empty(&budget));
        let refused = other.grow(2 * SMALL_BODY, TOTAL).await;
        assert_eq!(
            (refused, begin.elapsed()),
            (Err(Fault::Overloaded), ROOM_WAIT)
        );
        assert!(stuck.end().is_cancelled());
        assert_eq!(budget.waiting.load(Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_that_wait_are_bounded() {
        let budget = Arc::new(Budget::default());
        let _stuck = upload(&budget, 14 * SMALL_BODY).await;
        tokio::time::advance(Duration::from_secs(20)).await;
        let mut first = Upload::begin(Lease::empty(&budget));
        let mut second = Upload::begin(Lease::empty(&budget));
        let mut waiting = Box::pin(first.grow(2 * SMALL_BODY, TOTAL));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        let refused = second.grow(2 * SMALL_BODY, TOTAL).now_or_never();
        assert_eq!(refused, Some(Err(Fault::Overloaded)));
    }

    #[test]
    fn a_pace_is_that_of_the_last_seconds() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut burst = Pace::begin(begin);
        burst.add(30_000_000, begin);
        let mut steady = Pace::begin(begin);
        for second in 1..=60 {
            steady.add(100_000, after(second));
        }
        let steady = steady.at(after(60));
        assert!((80_000.0..125_000.0).contains(&steady), "{steady}");
        assert!(burst.at(after(1)) > steady);
        assert!(burst.at(after(60)) < steady);
    }
}
