//! What every store must do. The tests of an adapter call [`check`] on an empty store.

use std::future::Future;

use super::{Added, CacheStatus, Change, Filter, Kept, Paging, RecordStore, StoreError};
use crate::ledger::{LedgerKey, Measure, Sums};
use crate::record::{
    Captured, Cost, Decision, DecisionRecord, Lifecycle, Moment, OutcomeReport, Text, Tokens,
    VERSION, new_id,
};

/// What a store did wrong.
pub type Fault = String;

fn must(holds: bool, what: &str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

async fn done<T>(doing: impl Future<Output = Result<T, StoreError>>) -> Result<T, Fault> {
    doing.await.map_err(|failure| failure.to_string())
}

/// Returns a record as tests want it: the `number`th second after a time, with a decision, a
/// session, tokens and a cost that differ from number to number.
#[must_use]
pub fn sample(number: u32) -> DecisionRecord {
    let time = Moment::now().before(std::time::Duration::from_secs(3_600));
    let time = Moment(time.0 + i64::from(number) * 1_000_000_000);
    let cost = Cost {
        currency: if number.is_multiple_of(5) {
            "EUR"
        } else {
            "USD"
        }
        .to_owned(),
        prompt_nanos: i64::from(number) * 7,
        cached_nanos: 3,
        answer_nanos: i64::from(number),
        nanos: i64::from(number) * 8 + 3,
        baseline_nanos: Some(1_000),
        ..Cost::default()
    };
    let mut record = DecisionRecord {
        request_id: format!("Request-{number}"),
        recipe: if number.is_multiple_of(3) {
            "Other"
        } else {
            "default"
        }
        .to_owned(),
        decision: Some(Decision {
            name: format!("d{}", number % 2),
            ..Decision::default()
        }),
        requested_model: "auto".to_owned(),
        selected_model: format!("m{}", number % 4),
        session_id: format!("s{}", number % 7),
        caller: "alice".to_owned(),
        from_cache: number.is_multiple_of(10),
        streamed: number.is_multiple_of(2),
        tokens: Some(Tokens {
            input: u64::from(number) + 10,
            cached_input: 4,
            output: 6,
            ..Tokens::default()
        }),
        cost: Some(cost),
        ..DecisionRecord::begin(time)
    };
    record.end(Lifecycle::Completed, "response_complete", time);
    record
}

/// Checks all that a store must do. It should be empty before.
///
/// # Errors
/// The first fault.
pub async fn check(store: &dyn RecordStore) -> Result<(), Fault> {
    let records: Vec<DecisionRecord> = (0..45).map(sample).collect();
    let puts = records.iter().map(|it| Change::Put(Box::new(it.clone())));
    let puts: Vec<Change> = puts.collect();
    done(store.write(&puts)).await?;
    // A batch whose answer was lost is written again.
    done(store.write(&puts)).await?;
    lists(store, &records).await?;
    sums(store, &records).await?;
    changes(store).await?;
    outcomes(store, &records).await?;
    forgets(store, &records).await
}

async fn lists(store: &dyn RecordStore, records: &[DecisionRecord]) -> Result<(), Fault> {
    let some = |text: &str| Some(text.to_owned());
    let none = Filter::default();
    type Keeps = fn(&DecisionRecord) -> bool;
    let filters: [(Filter, Keeps); 7] = [
        (none.clone(), |_| true),
        (
            Filter {
                recipe: some("Other"),
                ..none.clone()
            },
            |it| it.recipe == "Other",
        ),
        (
            Filter {
                decision: some("d1"),
                model: some("m3"),
                ..none.clone()
            },
            |it| it.selected_model == "m3",
        ),
        (
            Filter {
                model: some("auto"),
                session_id: some("s2"),
                ..none.clone()
            },
            |it| it.session_id == "s2",
        ),
        (
            Filter {
                search: "oTHER".to_owned(),
                ..none.clone()
            },
            |it| it.recipe == "Other",
        ),
        (
            Filter {
                search: "quest-4".to_owned(),
                cache_status: CacheStatus::Streamed,
                ..none.clone()
            },
            |it| it.streamed && it.request_id.starts_with("Request-4"),
        ),
        (
            Filter {
                cache_status: CacheStatus::Cached,
                ..none
            },
            |it| it.from_cache,
        ),
    ];
    for (filter, takes) in filters {
        let youngest_first = records.iter().rev().filter(|it| takes(it));
        let expected: Vec<&str> = youngest_first.map(|it| it.id.as_str()).collect();
        for (limit, offset) in [(100, 0), (2, 0), (3, 1), (20, 40), (5, 1_000)] {
            let paging = Paging { limit, offset };
            let page = done(store.list(&filter, paging, false)).await?;
            let ids: Vec<&str> = page
                .records
                .iter()
                .map(|it| it.record.id.as_str())
                .collect();
            let part: Vec<&str> = expected.iter().copied().skip(offset).take(limit).collect();
            must(
                ids == part,
                &format!("{filter:?} {paging:?}: {ids:?} for {part:?}"),
            )?;
            let total = usize::try_from(page.total).unwrap_or_default();
            must(
                total == expected.len(),
                &format!("{filter:?}: total {total}"),
            )?;
        }
    }
    let session = done(store.trajectory("s2", 3)).await?;
    let ids = session.iter().map(|kept| kept.record.request_id.as_str());
    let ids: Vec<&str> = ids.collect();
    must(
        ids == ["Request-30", "Request-37", "Request-44"],
        &format!("a trajectory of {ids:?}"),
    )
}

async fn sums(store: &dyn RecordStore, records: &[DecisionRecord]) -> Result<(), Fault> {
    let mut all = Sums::default();
    for record in records {
        all += &Sums::of(record);
    }
    let ever = Moment::default()..Moment::MAX;
    for by in [
        LedgerKey::All,
        LedgerKey::Caller,
        LedgerKey::Session,
        LedgerKey::Decision,
        LedgerKey::Model,
        LedgerKey::Request,
    ] {
        let mut sum = Sums::default();
        for row in done(store.ledger(by, ever.clone())).await? {
            sum += &row.sums;
        }
        must(
            sum == all,
            &format!("a ledger by {by:?} that does not add up"),
        )?;
    }
    let by_model = done(store.ledger(LedgerKey::Model, ever)).await?;
    must(by_model.len() == 8, "rows by model and currency")?;
    let first = records
        .first()
        .map(DecisionRecord::moment)
        .unwrap_or_default();
    let some = first..Moment(first.0 + 10_000_000_000);
    let rows = done(store.ledger(LedgerKey::All, some)).await?;
    let count: i128 = rows.iter().map(|row| row.sums.get(Measure::Requests)).sum();
    must(count == 10, &format!("{count} records within ten seconds"))?;

    let aggregate = done(store.aggregate(&Filter::default())).await?;
    must(aggregate.sums == all, "an aggregate that does not add up")?;
    must(aggregate.available.recipes.len() == 2, "the recipes' names")?;
    must(aggregate.available.models.len() == 5, "the models' names")?;
    must(aggregate.spend.len() == 2, "the currencies")?;
    let filter = Filter {
        decision: Some("d1".to_owned()),
        ..Filter::default()
    };
    let aggregate = done(store.aggregate(&filter)).await?;
    let count = aggregate.sums.get(Measure::Requests);
    must(count == 22, "a filtered aggregate")?;
    must(
        aggregate.available.recipes.len() == 2,
        "names of all records",
    )
}

async fn found(store: &dyn RecordStore, id: &str) -> Result<Kept, Fault> {
    done(store.get(id))
        .await?
        .ok_or_else(|| "a record is not there".to_owned())
}

async fn changes(store: &dyn RecordStore) -> Result<(), Fault> {
    let mut record = DecisionRecord {
        session_id: "changing".to_owned(),
        selected_model: "first".to_owned(),
        ..DecisionRecord::begin(Moment::now())
    };
    let captured = Captured {
        id: record.id.clone(),
        time: record.time,
        version: VERSION,
        prompt: Some(Text {
            text: "nul \0 ü".to_owned(),
            truncated: true,
        }),
        ..Captured::default()
    };
    let put = |record: &DecisionRecord| Change::Put(Box::new(record.clone()));
    done(store.write(&[put(&record), Change::Capture(Box::new(captured.clone()))])).await?;
    let kept = found(store, &record.id).await?;
    must(kept.record == record, "a record that changed on its way")?;
    must(
        kept.captured == Some(captured),
        "text that changed on its way",
    )?;

    record.selected_model = "second\0".to_owned();
    record.end(Lifecycle::Aborted, "client_canceled", Moment::now());
    done(store.write(&[put(&record)])).await?;
    let late = DecisionRecord {
        lifecycle: Lifecycle::Completed.into(),
        ..record.clone()
    };
    done(store.write(&[put(&late)])).await?;
    must(
        found(store, &record.id).await?.record == record,
        "the first end stays",
    )?;
    let first = Filter {
        model: Some("first".to_owned()),
        ..Filter::default()
    };
    let paging = Paging {
        limit: 10,
        offset: 0,
    };
    must(
        done(store.list(&first, paging, false)).await?.total == 0,
        "the model changed",
    )?;

    let before = store.unreadable();
    let future = DecisionRecord {
        version: VERSION + 1,
        session_id: "future".to_owned(),
        ..DecisionRecord::begin(Moment::now())
    };
    done(store.write(&[put(&future)])).await?;
    must(
        done(store.get(&future.id)).await?.is_none(),
        "a later form was read",
    )?;
    must(store.unreadable() > before, "a later form was not counted")?;
    must(
        done(store.get(&new_id())).await?.is_none(),
        "an unknown id was found",
    )
}

async fn outcomes(store: &dyn RecordStore, records: &[DecisionRecord]) -> Result<(), Fault> {
    let id = records.first().map(|it| it.id.clone()).unwrap_or_default();
    let report = |key: &str| OutcomeReport {
        time: Some(Moment::now().into()),
        verdict: "good_fit".to_owned(),
        idempotency_key: key.to_owned(),
        ..OutcomeReport::default()
    };
    for (id, key, expected) in [
        (id.clone(), "a", Added::Added),
        (id.clone(), "a", Added::Duplicate),
        (id.clone(), "b", Added::Added),
        (id.clone(), "", Added::Added),
        (id.clone(), "", Added::Added),
        (new_id(), "a", Added::NoRecord),
    ] {
        let added = done(store.add_outcome(&id, report(key))).await?;
        must(added == expected, &format!("outcome {key}: {added:?}"))?;
    }
    let kept = found(store, &id).await?.record.outcomes;
    must(kept.len() == 4, &format!("{} outcomes", kept.len()))
}

async fn forgets(store: &dyn RecordStore, records: &[DecisionRecord]) -> Result<(), Fault> {
    let before = records
        .get(30)
        .map(DecisionRecord::moment)
        .unwrap_or_default();
    let gone = done(store.expire(before)).await?;
    must(gone == 30, &format!("{gone} records were forgotten"))?;
    let filter = Filter {
        search: "request-".to_owned(),
        ..Filter::default()
    };
    let paging = Paging {
        limit: 100,
        offset: 0,
    };
    let page = done(store.list(&filter, paging, true)).await?;
    must(
        page.total == 15,
        &format!("{} records are left", page.total),
    )?;
    must(
        done(store.expire(before)).await? == 0,
        "nothing is left to forget",
    )
}
