//! Requests under way: counts, leases, partial reports.

use super::*;
use crate::dispatch::{LEASE, OPEN_MAX};
use crate::store::InMemory;
use futures_util::FutureExt as _;
use proptest::prelude::*;
use selection::card::Tokens;

fn begin(state: &SharedState, model: &str, at: Instant) -> u64 {
    let id = state.dispatches.next_id();
    state.begin(Dispatch {
        id,
        at,
        model: model.into(),
        recipe: None,
        decision: None,
        tier: 0,
        session: None,
        prompt_tokens: 0,
        learning: None,
    });
    id
}

fn served(first: u64, total: u64) -> Served {
    let time = |millis| Some(Duration::from_millis(millis));
    Served {
        status: 200,
        first_token: time(first),
        total: time(total),
        ..Served::default()
    }
}

#[test]
fn the_first_report_counts_and_unknown_ids_do_not() {
    let (state, now) = (SharedState::default(), Instant::now());
    let id = begin(&state, "a", now);
    assert_eq!(state.pool.model("a").in_flight(), 1);
    assert!(state.end_at(id + 1, &served(1, 2), now).is_none());
    assert!(state.end_at(id, &served(40, 90), now).is_some());
    assert!(state.end_at(id, &served(70, 90), now).is_none());
    let model = state.pool.model("a");
    assert_eq!(
        (model.in_flight(), model.ttft_ms(95), model.tpot_ms(95)),
        (0, Some(40.0), None)
    );
}

#[test]
fn an_end_that_nobody_tells_is_given_up() {
    let (state, now) = (SharedState::default(), Instant::now());
    let late = begin(&state, "a", now);
    begin(&state, "a", now + Duration::from_secs(10));
    state.tick(now + LEASE);
    assert_eq!(
        (
            state.pool.model("a").in_flight(),
            state.dispatches.given_up()
        ),
        (1, 1)
    );
    assert!(
        state.end_at(late, &served(5, 6), now + LEASE).is_some(),
        "its end is a sample all the same"
    );
    assert_eq!(state.pool.model("a").in_flight(), 1);
    state.tick(now + Duration::from_secs(4_000));
    assert_eq!(
        (state.pool.model("a").in_flight(), state.dispatches.len()),
        (0, 0)
    );
}

#[test]
fn no_more_are_open_than_the_cap() {
    let (state, now) = (SharedState::default(), Instant::now());
    let ids: Vec<u64> = (0..=OPEN_MAX).map(|_| begin(&state, "a", now)).collect();
    assert_eq!(
        (state.dispatches.len(), state.pool.model("a").in_flight()),
        (OPEN_MAX, OPEN_MAX as u64)
    );
    assert!(
        state.end_at(ids[0], &served(1, 2), now).is_none(),
        "the oldest was given up"
    );
    assert_eq!(state.dispatches.given_up(), 1);
}

#[test]
fn what_was_noted_is_part_of_the_end() {
    let (state, now) = (SharedState::default(), Instant::now());
    let id = begin(&state, "a", now);
    let tokens = Some(Tokens {
        completion: 11,
        ..Tokens::default()
    });
    state.note(
        id,
        &Served {
            tokens,
            streamed: true,
            ..served(100, 0)
        },
    );
    let merged = state
        .end_at(
            id,
            &Served {
                status: 200,
                ..served(5, 1_100)
            },
            now,
        )
        .unwrap();
    assert_eq!(
        merged,
        Served {
            tokens,
            streamed: true,
            ..served(100, 1_100)
        }
    );
    assert_eq!(state.pool.model("a").tpot_ms(50), Some(100.0));
}

#[test]
fn replicas_share_what_they_saw() {
    let (one, other, store) = (
        SharedState::default(),
        SharedState::default(),
        InMemory::default(),
    );
    let now = Instant::now();
    let exchange = |state: &SharedState, name: &str| {
        let keep = Duration::from_secs(60);
        let exchanged = state.exchange_pool(&store, name, keep, now);
        exchanged.now_or_never().unwrap()
    };
    begin(&one, "a", now);
    let model = other.pool.model("a");
    exchange(&one, "one").unwrap();
    assert_eq!(
        exchange(&other, "other").unwrap(),
        Exchanged {
            replicas: 1,
            unreadable: 0
        }
    );
    assert_eq!(model.in_flight(), 1);

    // A replica of a later version writes what this one cannot read.
    let future = br#"{"version":2}"#.to_vec();
    let keep = Duration::from_secs(60);
    let told = store.publish("pool", "one", future, keep, now);
    told.now_or_never().unwrap().unwrap();
    assert_eq!(
        exchange(&other, "other").unwrap(),
        Exchanged {
            replicas: 0,
            unreadable: 1
        }
    );
    assert_eq!(model.in_flight(), 0);
    store.set_away(true);
    assert!(exchange(&other, "other").is_err());
}

#[derive(Debug, Clone)]
enum Act {
    Begin(usize),
    End(usize, u16),
    Forget(usize),
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (0_usize..3).prop_map(Act::Begin),
        2 => (0_usize..40, prop::sample::select(vec![0_u16, 200, 404, 503])).prop_map(|(which, it)| Act::End(which, it)),
        1 => (0_usize..40).prop_map(Act::Forget),
        1 => (0_u64..1_200).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 0..120)
}

proptest! {
    /// In flight is what was begun within its lease and not ended, never less than 0, and 0 in the
    /// end.
    #[test]
    fn counts_are_those_of_a_plain_list(acts in acts()) {
        let state = SharedState::default();
        let names = ["a", "b", "c"];
        let mut now = Instant::now();
        let mut begun: Vec<(u64, usize, Instant)> = Vec::new();
        for act in acts {
            match act {
                Act::Begin(model) => begun.push((begin(&state, names[model], now), model, now)),
                Act::End(which, status) => {
                    if let Some((id, ..)) = begun.get(which).copied() {
                        state.end_at(id, &Served { status, ..Served::default() }, now);
                        begun.remove(which);
                        prop_assert!(state.end_at(id, &Served::default(), now).is_none());
                    }
                }
                Act::Forget(which) => {
                    if which < begun.len() {
                        state.forget(begun.remove(which).0);
                    }
                }
                Act::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    state.tick(now);
                }
            }
            for (model, name) in names.iter().enumerate() {
                let leased = begun.iter().filter(|(_, of, at)| *of == model && now - *at < LEASE).count();
                prop_assert_eq!(state.pool.model(name).in_flight(), leased as u64);
            }
        }
        state.tick(now + LEASE);
        for name in names {
            prop_assert_eq!(state.pool.model(name).in_flight(), 0);
        }
    }
}
