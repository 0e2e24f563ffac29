//! Tests of the recorder, with a store that can be away.

use super::*;
use crate::ledger::{LedgerKey, LedgerRow};
use crate::record::{Lifecycle, OutcomeReport};
use crate::store::memory::Memory;
use crate::store::{Added, Aggregate, Filter, Kept, Page, Paging};
use async_trait::async_trait;
use std::ops::Range;

/// Fails so many times before it writes; refuses records of the caller `bad`.
#[derive(Debug, Default)]
struct Faulty {
    memory: Memory,
    failures: AtomicU64,
    batches: AtomicU64,
}

#[async_trait]
impl RecordStore for Faulty {
    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            return Err(StoreError::Away("gone".to_owned()));
        }
        let is_bad = |it: &Change| matches!(it, Change::Put(record) if record.caller == "bad");
        if changes.iter().any(is_bad) {
            return Err(StoreError::Refused("bad".to_owned()));
        }
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.memory.write(changes).await
    }

    async fn get(&self, id: &str) -> Result<Option<Kept>, StoreError> {
        self.memory.get(id).await
    }

    async fn list(&self, filter: &Filter, paging: Paging, text: bool) -> Result<Page, StoreError> {
        self.memory.list(filter, paging, text).await
    }

    async fn aggregate(&self, filter: &Filter) -> Result<Aggregate, StoreError> {
        self.memory.aggregate(filter).await
    }

    async fn trajectory(&self, session: &str, limit: usize) -> Result<Vec<Kept>, StoreError> {
        self.memory.trajectory(session, limit).await
    }

    async fn add_outcome(&self, id: &str, outcome: OutcomeReport) -> Result<Added, StoreError> {
        self.memory.add_outcome(id, outcome).await
    }

    async fn ledger(
        &self,
        by: LedgerKey,
        times: Range<Moment>,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        self.memory.ledger(by, times).await
    }

    async fn expire(&self, before: Moment) -> Result<u64, StoreError> {
        self.memory.expire(before).await
    }

    fn unreadable(&self) -> u64 {
        0
    }
}

struct Running {
    store: Arc<Faulty>,
    recorder: Recorder,
    writers: tokio::task::JoinSet<()>,
}

fn running(failures: u64, settings: Settings) -> Running {
    let store = Arc::new(Faulty::default());
    store.failures.store(failures, Ordering::Relaxed);
    let kept: Arc<dyn RecordStore> = Arc::<Faulty>::clone(&store);
    let (recorder, writer) = Recorder::new(kept, settings);
    let mut writers = tokio::task::JoinSet::new();
    writers.spawn(writer.run());
    Running {
        store,
        recorder,
        writers,
    }
}

fn record() -> DecisionRecord {
    DecisionRecord::begin(Moment::now())
}

#[tokio::test]
async fn a_record_is_written_once_for_a_batch() {
    let running = running(0, Settings::default());
    let mut begun = record();
    assert!(running.recorder.put(begun.clone()));
    begun.end(Lifecycle::Completed, "response_complete", Moment::now());
    assert!(running.recorder.put(begun.clone()));
    let late = DecisionRecord {
        lifecycle: Lifecycle::Failed.into(),
        ..begun.clone()
    };
    assert!(running.recorder.put(late));
    assert!(running.recorder.flush().await);
    let kept = running.store.get(&begun.id).await.unwrap().unwrap();
    assert_eq!(kept.record, begun);
    let counts = running.recorder.counts();
    assert_eq!((counts.written, counts.joined), (1, 2));
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted() {
    let settings = Settings {
        queue: 4,
        ..Settings::default()
    };
    // Nobody writes.
    let (recorder, _writer) = Recorder::new(Arc::new(Memory::default()), settings);
    let taken = (0..10).filter(|_| recorder.put(record())).count();
    assert_eq!((taken, recorder.counts().dropped_full), (4, 6));
    assert_eq!(recorder.waiting(), 4);

    let settings = Settings {
        queue_bytes: 100,
        ..Settings::default()
    };
    let (recorder, _writer) = Recorder::new(Arc::new(Memory::default()), settings);
    assert!(recorder.put(record()));
    let large = DecisionRecord {
        session_id: "x".repeat(100),
        ..record()
    };
    assert!(!recorder.put(large));
}

#[tokio::test]
async fn a_store_that_comes_back_gets_what_waited() {
    let running = running(2, Settings::default());
    for _ in 0..5 {
        assert!(running.recorder.put(record()));
    }
    assert!(running.recorder.flush().await);
    let counts = running.recorder.counts();
    assert_eq!((counts.written, counts.failures), (5, 2));
    assert!(!running.recorder.is_away());
    assert_eq!(running.store.batches.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_store_that_stays_away_costs_records_visibly() {
    let settings = Settings {
        patience: Duration::ZERO,
        ..Settings::default()
    };
    let running = running(1, settings);
    assert!(running.recorder.put(record()));
    assert!(!running.recorder.flush().await, "a drop that nobody sees");
    assert!(running.recorder.is_away());
    assert_eq!(running.recorder.counts().dropped_away, 1);
    assert!(running.recorder.put(record()));
    assert!(running.recorder.flush().await);
    assert!(!running.recorder.is_away());
}

#[tokio::test]
async fn one_bad_record_does_not_cost_the_others() {
    let running = running(0, Settings::default());
    for number in 0..5 {
        let caller = if number == 3 { "bad" } else { "good" };
        let record = DecisionRecord {
            caller: caller.to_owned(),
            ..record()
        };
        assert!(running.recorder.put(record));
    }
    assert!(!running.recorder.flush().await);
    let counts = running.recorder.counts();
    assert_eq!((counts.written, counts.dropped_refused), (4, 1));
}

#[tokio::test]
async fn closing_writes_what_waits() {
    let mut running = running(1, Settings::default());
    for _ in 0..3_000 {
        assert!(running.recorder.put(record()));
    }
    running.recorder.close();
    running.writers.join_next().await.unwrap().unwrap();
    assert_eq!(running.recorder.counts().written, 3_000);
    assert!(!running.recorder.put(record()));
    assert_eq!(running.recorder.counts().dropped_full, 1);

    // One that stays away is not waited for longer than said.
    let settings = Settings {
        farewell: Duration::from_millis(1),
        ..Settings::default()
    };
    let mut running = self::running(u64::MAX, settings);
    assert!(running.recorder.put(record()));
    running.recorder.close();
    running.writers.join_next().await.unwrap().unwrap();
    assert_eq!(running.recorder.counts().dropped_away, 1);
}

#[tokio::test]
async fn old_records_are_forgotten() {
    let settings = Settings {
        ttl: Some(Duration::from_secs(60)),
        ..Settings::default()
    };
    let store = Arc::new(Memory::default());
    let old = DecisionRecord::begin(Moment::now().before(Duration::from_secs(61)));
    store.write(&[Change::Put(Box::new(old))]).await.unwrap();
    let kept: Arc<dyn RecordStore> = Arc::<Memory>::clone(&store);
    let (recorder, writer) = Recorder::new(kept, settings);
    let mut writers = tokio::task::JoinSet::new();
    writers.spawn(writer.run());
    while recorder.counts().expired == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(recorder.counts().expired, 1);
}
