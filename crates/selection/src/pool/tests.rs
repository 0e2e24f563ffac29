//! The pool as a whole: counts, sources, settings.

use super::*;
use crate::card::Tokens;
use crate::testing::Models;

/// A request that was sent.
struct Request {
    id: u64,
    at: Instant,
    model: Arc<ModelPool>,
    guard: InFlight,
}

fn begin(pool: &Pool, model: &str, at: Instant) -> Request {
    static NEXT_ID: AtomicU64 = AtomicU64::new(0);
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let model = pool.model(model);
    Request {
        id,
        at,
        guard: model.send(id, at),
        model,
    }
}

fn end(pool: &Pool, request: Request, served: &Served, now: Instant) {
    drop(request.guard);
    pool.record(&request.model, request.id, request.at, served, now);
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

fn rest(after: u32, first: u64) -> Settings {
    let rest = RestSettings {
        after,
        first: Duration::from_secs(first),
        ..RestSettings::default()
    };
    Settings {
        rest,
        ..Settings::default()
    }
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
        let request = begin(&pool, "a", now);
        end(
            &pool,
            request,
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
    let models = Models::read(
        "{version: v0.3, providers: {models: [{name: a}]}, \
         routing: {modelCards: [{name: a, loras: [{name: tuned}]}]}}",
    );
    pool.configure(rest(1, 7), &models);
    let request = begin(&pool, "tuned", now);
    assert_eq!(
        pool.model("a").in_flight(),
        1,
        "an adapter runs in its base's pool"
    );
    pool.model("gone");
    end(
        &pool,
        request,
        &Served {
            status: 503,
            ..Served::default()
        },
        now,
    );
    assert!(pool.model("a").is_resting(now + Duration::from_secs(6)));
    let request = begin(&pool, "a", now);
    let few = Settings {
        samples: 10,
        ..rest(3, 5)
    };
    pool.configure(few, &models);
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
    request.model.forget(request.id);
    pool.configure(rest(0, 5), &models);
    assert!(
        !pool.model("a").is_resting(now),
        "nobody is rested any more"
    );
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
    let request = begin(&pool, "a", now);
    end(&pool, request, &served(300, 400), now);
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
    let request = begin(&pool, "a", now);
    end(
        &pool,
        request,
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
    let _request = begin(&pool, "a", now);
    pool.import(
        [Share {
            model: "a".into(),
            in_flight: 5,
            ..Share::default()
        }],
        now + Duration::from_secs(900),
    );
    pool.import(
        [Share {
            model: "unknown".into(),
            in_flight: 5,
            ..Share::default()
        }],
        now + Duration::from_secs(900),
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
    let encoded = Share::encode(&pool.export());
    assert_eq!(Share::decode(&encoded), Some(pool.export()));
    let future = br#"{"version":2,"models":[]}"#;
    assert_eq!(Share::decode(future), None);
}
