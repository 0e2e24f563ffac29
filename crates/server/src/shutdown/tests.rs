//! Phases, on paused time.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

const GRACE: Duration = Duration::from_secs(30);

struct World {
    serving: Tasks,
    background: Tasks,
    open: Arc<AtomicUsize>,
    flushed: Arc<AtomicBool>,
    state: tokio::sync::watch::Receiver<State>,
    running: Running,
}

async fn world() -> World {
    let readiness = Readiness::new().await;
    readiness.set(State::Ready).await;
    let state = readiness.watch();
    let (serving, background) = (Tasks::default(), Tasks::default());
    let (open, flushed) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let running = Running {
        readiness,
        serving: serving.clone(),
        background: background.clone(),
        cut: Box::new(|| {}),
        open: {
            let open = Arc::clone(&open);
            Box::new(move || open.load(SeqCst))
        },
        flush: {
            let flushed = Arc::clone(&flushed);
            Box::new(move || flushed.store(true, SeqCst))
        },
    };
    World {
        serving,
        background,
        open,
        flushed,
        state,
        running,
    }
}

/// A server that ends `after` being told to stop.
fn serve(world: &World, after: Duration) {
    let stop = world.serving.stopping();
    world.serving.spawn(async move {
        stop.cancelled().await;
        sleep(after).await;
    });
}

#[tokio::test(start_paused = true)]
async fn drains_after_settling_while_accepting() {
    let world = world().await;
    serve(&world, Duration::from_secs(3));
    world.open.store(1, SeqCst);
    let (stop, background) = (world.serving.stopping(), world.background.stopping());
    let mut state = world.state.clone();
    let start = Instant::now();
    let watcher = world.background.spawn(async move {
        state
            .wait_for(|state| *state == State::Draining)
            .await
            .unwrap();
        let told = start.elapsed();
        stop.cancelled().await;
        let stopped = start.elapsed();
        background.cancelled().await;
        (told, stopped, start.elapsed())
    });
    let outcome = run(world.running, GRACE.into(), std::future::pending()).await;
    assert_eq!(outcome, Outcome::Drained);
    let (told, stopped, ended) = watcher.await.unwrap();
    assert!(
        told < Duration::from_millis(10),
        "phase 1 comes first: {told:?}"
    );
    assert!(
        stopped >= Duration::from_secs(5),
        "accepts while settling: {stopped:?}"
    );
    assert!(
        ended >= Duration::from_secs(8),
        "background outlives the drain: {ended:?}"
    );
    assert!(world.flushed.load(SeqCst));
}

#[tokio::test(start_paused = true)]
async fn cuts_what_outlives_the_grace_period() {
    let world = world().await;
    serve(&world, Duration::from_secs(1000));
    world.open.store(2, SeqCst);
    let start = Instant::now();
    let outcome = run(world.running, GRACE.into(), std::future::pending()).await;
    assert_eq!(outcome, Outcome::TimedOut { open: 2 });
    assert!(start.elapsed() <= GRACE, "{:?}", start.elapsed());
    assert!(
        world.flushed.load(SeqCst),
        "what is buffered is written all the same"
    );
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_for_a_connection_without_exchanges() {
    let world = world().await;
    serve(&world, Duration::from_secs(1000));
    let start = Instant::now();
    assert_eq!(
        run(world.running, GRACE.into(), std::future::pending()).await,
        Outcome::Drained
    );
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_forces() {
    let world = world().await;
    serve(&world, Duration::from_secs(1000));
    world.open.store(1, SeqCst);
    let start = Instant::now();
    let outcome = run(world.running, GRACE.into(), sleep(Duration::from_secs(1))).await;
    assert_eq!(outcome, Outcome::Forced);
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert!(world.flushed.load(SeqCst));
}

#[test]
fn parts_of_the_budget_never_exceed_it() {
    for seconds in [0, 1, 2, 9, 10, 30, 600] {
        let grace = Duration::from_secs(seconds);
        let budget = Budget::of(grace.into());
        assert!(
            budget.settle + budget.drain + budget.flush * 2 <= grace,
            "{seconds}"
        );
        assert!(budget.settle <= grace / 2 && budget.settle <= SETTLE);
    }
}

#[test]
fn settling_is_as_long_as_asked_and_leaves_time_to_drain() {
    // total, settle → drain, all in seconds
    for (total, settle, drain) in [
        (57, 10, Some(43)),
        (10, 3, Some(5)),
        (10, 8, None),
        (10, 60, None),
        (0, 0, None),
    ] {
        let grace = Grace::settling(Duration::from_secs(total), Duration::from_secs(settle));
        let found = grace.map(|grace| {
            (
                Budget::of(grace).settle.as_secs(),
                Budget::of(grace).drain.as_secs(),
            )
        });
        assert_eq!(
            found.ok(),
            drain.map(|drain| (settle, drain)),
            "{total} {settle}"
        );
    }
}
