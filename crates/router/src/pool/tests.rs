//! The pool as a whole: counts, leases, sources, settings.

use super::*;
use crate::card::Tokens;
use proptest::prelude::*;

fn dispatch(pool: &Pool, model: &str, at: Instant) -> Dispatch {
    Dispatch {
        id: pool.next_id(),
        at,
        model: model.into(),
        recipe: None,
        decision: None,
        tier: 0,
        session: None,
        prompt_tokens: 0,
        learning: None,
    }
}

fn begin(pool: &Pool, model: &str, at: Instant) -> u64 {
    let dispatch = dispatch(pool, model, at);
    let id = dispatch.id;
    pool.begin(dispatch);
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

fn document(text: &str) -> Document {
    crate::config::check(text, &|_| None).document.unwrap()
}

#[test]
fn the_first_report_counts_and_unknown_ids_do_not() {
    let (pool, now) = (Pool::default(), Instant::now());
    let id = begin(&pool, "a", now);
    assert_eq!(pool.model("a").in_flight(), 1);
    assert!(pool.end(id + 1, &served(1, 2), now).is_none());
    assert!(pool.end(id, &served(40, 90), now).is_some());
    assert!(pool.end(id, &served(70, 90), now).is_none());
    let model = pool.model("a");
    assert_eq!(
        (model.in_flight(), model.ttft_ms(95), model.tpot_ms(95)),
        (0, Some(40.0), None)
    );
}

#[test]
fn time_per_token_of_streams_and_of_whole_answers() {
    let check = |streamed, completion, expected: Option<f64>| {
        let tokens = Some(Tokens {
            completion,
            ..Tokens::default()
        });
        let got = time_per_token(&Served {
            streamed,
            tokens,
            ..served(100, 1_100)
        })
        .map(millis);
        assert_eq!(got, expected, "{streamed} {completion}");
    };
    check(true, 11, Some(100.0));
    check(true, 1, None);
    check(true, 0, None);
    check(false, 11, Some(100.0));
    check(false, 0, None);
    assert_eq!(time_per_token(&served(1, 2)), None);
}

#[test]
fn failures_and_refusals_give_no_latency() {
    for status in [0, 400, 429, 500] {
        let (pool, now) = (Pool::default(), Instant::now());
        let id = begin(&pool, "a", now);
        pool.end(
            id,
            &Served {
                status,
                ..served(1, 2)
            },
            now,
        );
        let reading = &pool.readings(now)[0];
        assert_eq!(reading.ttft, None, "{status}");
        assert_eq!(
            reading.error_rate,
            Some(if status == 400 { 0.0 } else { 1.0 }),
            "{status}"
        );
    }
}

#[test]
fn an_end_that_nobody_tells_is_given_up() {
    let (pool, now) = (Pool::default(), Instant::now());
    let late = begin(&pool, "a", now);
    begin(&pool, "a", now + Duration::from_secs(10));
    pool.tick(now + LEASE);
    assert_eq!((pool.model("a").in_flight(), pool.given_up()), (1, 1));
    assert!(
        pool.end(late, &served(5, 6), now + LEASE).is_some(),
        "its end is a sample all the same"
    );
    assert_eq!(pool.model("a").in_flight(), 1);
    pool.tick(now + Duration::from_secs(4_000));
    assert_eq!((pool.model("a").in_flight(), pool.open()), (0, 0));
}

#[test]
fn no_more_are_open_than_the_cap() {
    let (pool, now) = (Pool::default(), Instant::now());
    let ids: Vec<u64> = (0..=OPEN_MAX).map(|_| begin(&pool, "a", now)).collect();
    assert_eq!(
        (pool.open(), pool.model("a").in_flight()),
        (OPEN_MAX, OPEN_MAX as u64)
    );
    assert!(
        pool.end(ids[0], &served(1, 2), now).is_none(),
        "the oldest was given up"
    );
    assert_eq!(pool.given_up(), 1);
}

#[test]
fn models_have_a_bound() {
    let pool = Pool::default();
    let models: Vec<_> = (0..MODELS_MAX + 10)
        .map(|number| pool.model(&format!("m{number}")))
        .collect();
    assert_eq!(pool.readings(Instant::now()).len(), MODELS_MAX);
    assert!(
        Arc::ptr_eq(&models[MODELS_MAX], &models[MODELS_MAX + 9]),
        "the rest share one row"
    );
}

#[test]
fn settings_change_and_state_stays() {
    let (pool, now) = (Pool::default(), Instant::now());
    let text = |pool: &str| {
        format!(
            "{{version: v0.3, providers: {{models: [{{name: a}}]}}, \
             routing: {{modelCards: [{{name: a, loras: [{{name: tuned}}]}}]}}, \
             global: {{server: {{pool: {{{pool}}}}}}}}}"
        )
    };
    pool.configure(&document(&text("rest_after_errors: 1, rest_seconds: 7")));
    let id = begin(&pool, "tuned", now);
    assert_eq!(
        pool.model("a").in_flight(),
        1,
        "an adapter runs in its base's pool"
    );
    pool.model("gone");
    pool.end(
        id,
        &Served {
            status: 503,
            ..Served::default()
        },
        now,
    );
    assert!(pool.model("a").is_resting(now + Duration::from_secs(6)));
    let id = begin(&pool, "a", now);
    pool.configure(&document(&text("rest_after_errors: 3, samples: 10")));
    assert!(
        pool.model("a").is_resting(now),
        "a reload does not end a rest"
    );
    assert_eq!(pool.model("a").in_flight(), 1);
    assert_eq!(
        pool.readings(now).len(),
        1,
        "models that no document names are dropped"
    );
    pool.forget(id);
    pool.configure(&document(&text("rest_after_errors: 0")));
    assert!(
        !pool.model("a").is_resting(now),
        "nobody is rested any more"
    );
}

#[test]
fn what_was_noted_is_part_of_the_end() {
    let (pool, now) = (Pool::default(), Instant::now());
    let id = begin(&pool, "a", now);
    let tokens = Some(Tokens {
        completion: 11,
        ..Tokens::default()
    });
    pool.note(
        id,
        &Served {
            tokens,
            streamed: true,
            ..served(100, 0)
        },
    );
    let (_, merged) = pool
        .end(
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
    assert_eq!(pool.model("a").tpot_ms(50), Some(100.0));
}

#[test]
fn better_sources_come_first_and_stale_ones_count_no_more() {
    let (pool, now) = (Pool::default(), Instant::now());
    let model = pool.model("a");
    let until = now + Duration::from_secs(6);
    let share = Share {
        model: "a".into(),
        in_flight: 4,
        ttft_ms: Some(900.0),
        tpot_ms: Some(90.0),
    };
    pool.import(
        [
            share.clone(),
            Share {
                in_flight: 3,
                ttft_ms: None,
                ..share
            },
        ],
        until,
    );
    assert_eq!(
        (model.in_flight(), model.ttft_ms(95), model.tpot_ms(95)),
        (7, Some(900.0), Some(90.0))
    );
    let id = begin(&pool, "a", now);
    pool.end(id, &served(300, 400), now);
    assert_eq!(model.ttft_ms(95), Some(300.0), "an own first byte");
    let report = Report {
        running: Some(9.0),
        waiting: Some(2.0),
        ttft_ms: vec![200.0],
        ..Report::default()
    };
    pool.report("a", &report, until);
    assert_eq!(
        (model.in_flight(), model.ttft_ms(95)),
        (11, Some(200.0)),
        "the server's own word"
    );
    let id = begin(&pool, "a", now);
    pool.end(
        id,
        &Served {
            streamed: true,
            ..served(100, 400)
        },
        now,
    );
    assert_eq!(model.ttft_ms(95), Some(100.0), "an answer that was seen");
    let other = pool.model("b");
    pool.report("b", &report, until);
    pool.tick(until);
    assert_eq!((model.in_flight(), model.tpot_ms(95)), (0, None));
    assert_eq!((other.in_flight(), other.ttft_ms(95)), (0, None));
}

#[test]
fn shares_tell_what_this_replica_saw() {
    let (pool, now) = (Pool::default(), Instant::now());
    begin(&pool, "a", now);
    pool.import(
        [Share {
            model: "a".into(),
            in_flight: 5,
            ..Share::default()
        }],
        now + LEASE,
    );
    pool.import(
        [Share {
            model: "unknown".into(),
            in_flight: 5,
            ..Share::default()
        }],
        now + LEASE,
    );
    assert_eq!(
        pool.export(),
        [Share {
            model: "a".into(),
            in_flight: 1,
            ..Share::default()
        }],
        "no echo of others"
    );
    assert_eq!(
        pool.model("a").in_flight(),
        1,
        "a replica that is gone takes its requests along"
    );
    let text = serde_json::to_string(&pool.export()).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<Share>>(&text).unwrap(),
        pool.export()
    );
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
        let pool = Pool::default();
        let names = ["a", "b", "c"];
        let mut now = Instant::now();
        let mut begun: Vec<(u64, usize, Instant)> = Vec::new();
        for act in acts {
            match act {
                Act::Begin(model) => begun.push((begin(&pool, names[model], now), model, now)),
                Act::End(which, status) => {
                    if let Some((id, ..)) = begun.get(which).copied() {
                        pool.end(id, &Served { status, ..Served::default() }, now);
                        begun.remove(which);
                        prop_assert!(pool.end(id, &Served::default(), now).is_none());
                    }
                }
                Act::Forget(which) => {
                    if which < begun.len() {
                        pool.forget(begun.remove(which).0);
                    }
                }
                Act::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    pool.tick(now);
                }
            }
            for (model, name) in names.iter().enumerate() {
                let leased = begun.iter().filter(|(_, of, at)| *of == model && now - *at < LEASE).count();
                prop_assert_eq!(pool.model(name).in_flight(), leased as u64);
            }
        }
        pool.tick(now + LEASE);
        for name in names {
            prop_assert_eq!(pool.model(name).in_flight(), 0);
        }
    }
}
