//! The table: conversations, bills, bounds.

use super::*;
use crate::card::Tokens;

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
        anew: false,
        switched: false,
        forced: 0,
        billed: 10,
        least: 5,
        now,
    }
}

#[test]
fn conversations_of_one_session_keep_their_models() {
    let (table, key) = (Table::default(), SessionKey(7 << 100));
    assert_eq!(table.look(key, 1), None);
    table.note(key, &step("large", 1, 100));
    table.note(key, &step("small", 2, 101));
    let model = |thread| {
        table
            .look(key, thread)
            .map(|seen| (seen.model.to_string(), seen.same_thread))
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
    let seen = table.look(key, 5).unwrap();
    assert_eq!(
        (seen.requests, seen.turns, seen.bill, seen.at),
        (5, 5, 50, 105)
    );
    assert_eq!(table.save(key).map(|saved| saved.threads.len()), Some(3));
    let other = Table::default();
    other.restore(key, &table.save(key).unwrap());
    assert_eq!(other.look(key, 5), table.look(key, 5));
    table.note(
        key,
        &Step {
            anew: true,
            ..step("large", 5, 200)
        },
    );
    assert_eq!(
        table.look(key, 5).map(|seen| (seen.requests, seen.bill)),
        Some((1, 10))
    );
}

#[test]
fn an_answer_counts_with_its_price() {
    let (table, key) = (Table::default(), SessionKey(1));
    table.note(key, &step("large", 1, 100));
    let tokens = Tokens {
        prompt: 1_000,
        cached: 0,
        written: 0,
        completion: 100,
    };
    table.served((key, 1, 10), "large", tokens);
    let seen = table.look(key, 1).unwrap();
    assert_eq!((seen.bill, seen.counted), (4_500, Some(1_100)));
    table.note(key, &step("large", 1, 101));
    assert_eq!(
        table.look(key, 1).unwrap().counted,
        None,
        "the next request is not counted yet"
    );
}

#[test]
fn a_switch_is_charged_once_or_not_at_all() {
    let (table, key) = (Table::default(), SessionKey(1));
    table.note(
        key,
        &Step {
            billed: 1_000,
            ..step("large", 1, 100)
        },
    );
    let rules = stay::Rules {
        budget: 0.10,
        ..stay::Rules::default()
    };
    assert!(table.charge(key, 60, &rules));
    assert!(!table.charge(key, 60, &rules));
    assert!(table.charge(key, 40, &rules));
    assert!(!table.charge(key, 1, &rules));
    assert!(table.charge(key, 0, &rules));
    assert_eq!(table.look(key, 1).unwrap().overhead, 100);
}

#[test]
fn churn_stays_within_the_limit_and_forgets_the_longest_unused() {
    let table = Table::default();
    table.limit(1_600);
    let key = |id: u64| {
        SessionKey(u128::from(id.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64 | u128::from(id))
    };
    let kept = key(u64::MAX);
    for id in 0..200_000 {
        table.note(key(id), &step("m", 1, id));
        table.note(kept, &step("m", 1, id));
    }
    assert!(table.len() <= 1_600, "{}", table.len());
    assert!(table.look(kept, 1).is_some(), "one in use is not forgotten");
    assert!(table.look(key(0), 1).is_none());
    assert!(table.forgotten() >= 198_000);
    assert!(size_of::<Record>() <= 96, "{}", size_of::<Record>());
}
