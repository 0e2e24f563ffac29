//! The table: conversations, bills, bounds.

use super::*;
use selection::card::Tokens;

fn step(model: &str, thread: u32, now: u64) -> Step<'_> {
    let prices = Some(Prices {
        prompt: 3.0,
        cached: 0.3,
        cache_write: 3.0,
        completion: 15.0,
    });
    Step {
        thread,
        model,
        prices,
        user_turn: true,
        restarts: false,
        switched: Some(false),
        forced: 0,
        billed: 10,
        least: 5,
        now: Timestamp::from_seconds(now),
    }
}

#[test]
fn conversations_of_one_session_keep_their_models() {
    let (table, key) = (Table::new(100_000), ConversationKey(7 << 100));
    assert_eq!(table.look(key), None);
    table.note(key, &step("large", 1, 100));
    table.note(key, &step("small", 2, 101));
    let model = |mark| {
        let record = table.look(key)?;
        Some(match record.thread(mark) {
            Some(thread) => (thread.model.to_string(), true),
            None => (record.model.to_string(), false),
        })
    };
    assert_eq!(model(1), Some(("large".to_owned(), true)));
    assert_eq!(model(2), Some(("small".to_owned(), true)));
    assert_eq!(
        model(3),
        Some(("small".to_owned(), false)),
        "an unknown one gets the session's last"
    );
    for thread in 3..6 {
        table.note(key, &step("small", thread, 100 + u64::from(thread)));
    }
    assert_eq!(
        model(1),
        Some(("small".to_owned(), false)),
        "three are told apart"
    );
    let record = table.look(key).unwrap();
    assert_eq!(
        (record.requests, record.turns, record.bill, record.at),
        (5, 5, 50, Timestamp::from_seconds(105))
    );
    assert_eq!(record.threads.len(), 3);
    let other = Table::new(100_000);
    other.restore(key, &record);
    assert_eq!(other.look(key), Some(record));
    table.note(
        key,
        &Step {
            restarts: true,
            ..step("large", 5, 200)
        },
    );
    assert_eq!(
        table.look(key).map(|record| (record.requests, record.bill)),
        Some((1, 10))
    );
}

#[test]
fn turns_switches_and_warmth() {
    let (table, key) = (Table::new(100_000), ConversationKey(1));
    let turn = |model| {
        table.note(
            key,
            &Step {
                switched: None,
                now: Timestamp(1_250),
                ..step(model, 0, 0)
            },
        );
    };
    turn("small");
    assert!(table.warm(key, "small", 0.65));
    turn("small");
    let found = table.look(key).unwrap();
    assert_eq!(
        (found.requests, found.switches, found.warmth, found.at),
        (2, 0, Some(0.65), Timestamp(1_250))
    );
    turn("large");
    assert!(!table.warm(key, "small", 0.9), "the model was left");
    let found = table.look(key).unwrap();
    assert_eq!(
        (found.switches, found.warmth, &*found.model),
        (1, None, "large")
    );
    table.forget(key);
    assert_eq!(table.look(key), None);
}

#[test]
fn an_answer_counts_with_its_price() {
    let (table, key) = (Table::new(100_000), ConversationKey(1));
    table.note(key, &step("large", 1, 100));
    let tokens = Tokens {
        prompt: 1_000,
        cached: 0,
        written: 0,
        completion: 100,
    };
    table.answered(key, 1, 10, "large", tokens);
    let counted = || table.look(key).unwrap().thread(1).unwrap().counted;
    assert_eq!(
        (table.look(key).unwrap().bill, counted()),
        (4_500, Some(1_100))
    );
    table.note(key, &step("large", 1, 101));
    assert_eq!(counted(), None, "the next request is not counted yet");
}

#[test]
fn a_switch_is_charged_once_or_not_at_all() {
    let (table, key) = (Table::new(100_000), ConversationKey(1));
    table.note(
        key,
        &Step {
            billed: 1_000,
            ..step("large", 1, 100)
        },
    );
    let charge = |cost: u64| {
        table.charge(key, cost, |bill, spent| {
            cost == 0 || (spent + cost) * 10 <= bill
        })
    };
    assert!(charge(60));
    assert!(!charge(60));
    assert!(charge(40));
    assert!(!charge(1));
    assert!(charge(0));
    assert_eq!(table.look(key).unwrap().overhead, 100);
}

#[test]
fn churn_stays_within_the_limit_and_forgets_the_longest_unused() {
    let table = Table::new(100_000);
    table.limit(1_600);
    let key = |id: u64| {
        ConversationKey(u128::from(id.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64 | u128::from(id))
    };
    let kept = key(u64::MAX);
    for id in 0..200_000 {
        table.note(key(id), &step("m", 1, id));
        table.note(kept, &step("m", 1, id));
    }
    assert!(table.len() <= 1_600, "{}", table.len());
    assert!(table.look(kept).is_some(), "one in use is not forgotten");
    assert!(table.look(key(0)).is_none());
    assert!(table.forgotten() >= 198_000);
    assert!(size_of::<Row>() <= 96, "{}", size_of::<Row>());
}
