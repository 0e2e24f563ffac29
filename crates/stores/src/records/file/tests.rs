//! Tests of records in a file: the contract, and what survives `kill -9`.

use super::*;
use records::ledger::{LedgerKey, Measure};
use records::record::Moment;
use records::store::contract::{check, sample};
use records::store::{Change, Filter, Paging, RecordStore as _};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where the child of [`acknowledged_records_survive_kill_9`] writes.
const CHILD: &str = "MERIT_RECORDS_CHILD";
/// How often that test kills; a few times where nothing is said.
const KILLS: &str = "MERIT_RECORDS_KILLS";
/// How many records [`records_a_second`] writes.
const RATE: &str = "MERIT_RECORDS_RATE";

fn batch(first: u32, count: u32) -> Vec<Change> {
    let numbers = first..first + count;
    numbers
        .map(|it| Change::Put(Box::new(sample(it))))
        .collect()
}

#[tokio::test]
async fn a_file_does_what_every_store_must() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    check(&open(&path).unwrap()).await.unwrap();
    // It is there after the process.
    let store = open(&path).unwrap();
    let all = Paging {
        limit: 1,
        offset: 0,
    };
    let page = store.list(&Filter::default(), all, true).await.unwrap();
    assert_eq!(page.total, 16);
}

#[tokio::test]
async fn a_file_of_a_later_form_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    drop(open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 9").unwrap();
    assert!(matches!(open(&path), Err(Unusable::Form { form: 9, .. })));
    let other = folder.path().join("text");
    std::fs::write(
        &other,
        "no database at all, but long enough to be one".repeat(40),
    )
    .unwrap();
    assert!(matches!(open(&other), Err(Unusable::Database { .. })));
}

/// Not a test of its own: the process that is killed.
#[tokio::test]
async fn child_that_appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let store = open(Path::new(&path)).unwrap();
    for round in 0.. {
        let changes = batch(round * 50, 50);
        store.write(&changes).await.unwrap();
        for change in &changes {
            if let Change::Put(record) = change {
                println!("ack {}", record.id);
            }
        }
    }
}

#[tokio::test]
async fn acknowledged_records_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let kills = std::env::var(KILLS).ok().and_then(|it| it.parse().ok());
    let mut acknowledged = Vec::new();
    for kill in 0..kills.unwrap_or(4) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("records::file::tests::child_that_appends_until_it_is_killed")
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ids = lines.map_while(Result::ok).filter_map(|line| {
            let (_, id) = line.split_once("ack ")?;
            // A line may be cut by the kill.
            (id.len() == 32).then(|| id.to_owned())
        });
        let mut ids = ids.peekable();
        acknowledged.extend(ids.by_ref().take(20 + kill * 13 % 170));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(ids);

        let store = open(&path).unwrap();
        let all = Paging {
            limit: 0,
            offset: 0,
        };
        let total = store
            .list(&Filter::default(), all, false)
            .await
            .unwrap()
            .total;
        let ever = Moment::default()..Moment::MAX;
        let rows = store
            .ledger(LedgerKey::Request, ever.clone())
            .await
            .unwrap();
        let sums = store.ledger(LedgerKey::Caller, ever).await.unwrap();
        for measure in Measure::ALL {
            let each: i128 = rows.iter().map(|row| row.sums.get(measure)).sum();
            let sum: i128 = sums.iter().map(|row| row.sums.get(measure)).sum();
            assert_eq!(each, sum, "{}", measure.name());
        }
        let present: std::collections::HashSet<&str> =
            rows.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(u64::try_from(present.len()).unwrap(), total);
        let lost = acknowledged
            .iter()
            .filter(|id| !present.contains(id.as_str()));
        assert_eq!(
            lost.count(),
            0,
            "acknowledged records are gone after kill {kill}"
        );
        // Of what was not acknowledged, whole batches are there or nothing.
        assert_eq!(total % 50, 0);
    }
    assert!(!acknowledged.is_empty());
}

#[tokio::test]
async fn records_a_second() {
    let wanted = std::env::var(RATE).ok().and_then(|it| it.parse().ok());
    let count: u32 = wanted.unwrap_or(2_000);
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("records.db")).unwrap();
    let batches: Vec<Vec<Change>> = (0..count / 1_000)
        .map(|it| batch(it * 1_000, 1_000))
        .collect();
    let start = Instant::now();
    for changes in &batches {
        store.write(changes).await.unwrap();
    }
    let taken = start.elapsed();
    println!("{:.0} records/s", f64::from(count) / taken.as_secs_f64());
    let all = Paging {
        limit: 1,
        offset: 0,
    };
    let page = store.list(&Filter::default(), all, false).await.unwrap();
    assert_eq!(page.total, u64::from(count / 1_000 * 1_000));
}
