//! Merit killed, hung, panicking or full: the configured failure mode, and under fail-closed never
//! an unprocessed or empty body. The proof is in what the backends got.

mod panics;

use crate::stage::{Stage, chat, chat_stream, check_refused, head};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tests::client::{self, Call, Events, Version};
use tests::listener::{Address, Listener};
use tests::merit::{Merit, Settings};
use tests::policy;
use tests::process::Signal;
use tests::prompt::CHAT;
use tests::upstream::Seen;
use tokio::task::JoinSet;

fn listeners() -> [Listener; 4] {
    let quick = |name: &str, mode| Listener {
        message_timeout: "0.3s",
        ..Listener::new(name, mode)
    };
    [
        quick("duplex", "FULL_DUPLEX_STREAMED"),
        quick("buffered", "BUFFERED"),
        Listener {
            fail_open: true,
            ..quick("buffered-open", "BUFFERED")
        },
        Listener {
            fail_open: true,
            ..quick("duplex-open", "FULL_DUPLEX_STREAMED")
        },
    ]
}

/// Nothing reached a backend but what Merit had worked on.
fn check_processed(seen: &Seen) -> Result<()> {
    ensure!(!seen.body.is_empty(), "an empty body reached a backend");
    let model = seen.model();
    ensure!(
        model == "small-1b" || model == "large-70b",
        "reached a backend unprocessed: {}",
        head(&seen.json().to_string())
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed() -> Result<()> {
    let mut stage = Stage::new(&listeners()).await?;
    stage.merit.process().signal(Signal::Kill)?;
    stage
        .merit
        .process_mut()
        .ended(Duration::from_secs(5))
        .await?;
    for listener in ["duplex", "buffered"] {
        let answer = stage
            .call(
                listener,
                Call::post(CHAT, chat("hello")).header("x-case", listener),
            )
            .await?;
        ensure!(
            answer.status.is_server_error(),
            "{listener}: answered {}",
            answer.status
        );
        stage.models.untouched_by(listener)?;
    }
    let open = Call::post(CHAT, chat("hello")).header("x-case", "open");
    let answer = stage.call("buffered-open", open).await?;
    ensure!(answer.status == 200, "fail-open answered {}", answer.status);
    ensure!(
        stage.models.only("open")?.body == chat("hello"),
        "fail-open passes the body as it came"
    );
    // In full duplex fail-open holds only until the first piece of the body was sent; never may an
    // empty body result.
    let answer = stage
        .call(
            "duplex-open",
            Call::post(CHAT, chat("hello")).header("x-case", "duplex-open"),
        )
        .await?;
    for seen in stage.models.seen_in("duplex-open") {
        ensure!(
            seen.body == chat("hello"),
            "answered {} over a body of {} bytes",
            answer.status,
            seen.body.len()
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hung() -> Result<()> {
    let stage = Stage::new(&listeners()).await?;
    let warm = stage
        .call("buffered", Call::post(CHAT, chat("hello")))
        .await?;
    ensure!(
        warm.status == 200,
        "answered {} before the test",
        warm.status
    );
    stage.merit.process().suspend().await?;
    let answer = stage
        .call(
            "buffered",
            Call::post(CHAT, chat("hello")).header("x-case", "buffered"),
        )
        .await?;
    ensure!(answer.status == 504, "buffered: answered {}", answer.status);
    let open = Call::post(CHAT, chat("hello")).header("x-case", "open");
    let answer = stage.call("buffered-open", open).await?;
    ensure!(answer.status == 200, "fail-open answered {}", answer.status);
    // Full duplex has no timer: the cluster's keepalive cuts the connection to a Merit that answers
    // no pings.
    let answer = stage
        .call(
            "duplex",
            Call::post(CHAT, chat("hello")).header("x-case", "duplex"),
        )
        .await?;
    // Something else on the machine may wake a stopped process, and then an answer proves nothing.
    ensure!(
        stage.merit.process().is_stopped()?,
        "merit was woken before the test was over"
    );
    ensure!(
        answer.status.is_server_error(),
        "duplex: answered {} by {:?} while merit stood still: {}",
        answer.status,
        answer.header("x-backend"),
        answer.text()
    );
    stage.models.untouched_by("buffered")?;
    stage.models.untouched_by("duplex")?;
    stage.merit.process().signal(Signal::Cont)?;
    for listener in ["duplex", "buffered"] {
        let case = format!("{listener}-again");
        let answer = stage
            .call(
                listener,
                Call::post(CHAT, chat("hello")).header("x-case", &case),
            )
            .await?;
        ensure!(answer.status == 200, "{case}: answered {}", answer.status);
        check_processed(&stage.models.only(&case)?).context(case)?;
    }
    stage.models.untouched_by("buffered")?;
    stage.models.untouched_by("duplex")
}

#[tokio::test(flavor = "multi_thread")]
async fn shedding() -> Result<()> {
    let document = policy::with_server("profile: observe\nextproc: {max_streams: 1}");
    let settings = Settings {
        document,
        ..Settings::default()
    };
    let duplex = Listener {
        response_body: "STREAMED",
        ..Listener::new("duplex", "FULL_DUPLEX_STREAMED")
    };
    let stage = Stage::with(&[duplex], &settings).await?;
    let gate = stage.models.small.gate("held");
    let mut holder = stage.connect("duplex", Version::Http1).await?;
    let held = Call::post(CHAT, chat_stream("hello")).header("x-script-gate", "held");
    let mut events = Events::new(holder.open(held).await?);
    let answer = stage
        .call(
            "duplex",
            Call::post(CHAT, chat("hello")).header("x-case", "shed"),
        )
        .await?;
    check_refused(&answer, 503)?;
    ensure!(
        !answer.header("retry-after").is_empty(),
        "no retry-after: {:?}",
        answer.headers
    );
    stage.models.untouched_by("shed")?;
    gate.open(100);
    while events.next().await?.is_some() {}
    Ok(())
}

/// Merit dies and comes back ten times under load.
#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_under_load() -> Result<()> {
    let mut stage = Stage::new(&listeners()).await?;
    let Address::Tcp(listen) = stage.merit.address() else {
        anyhow::bail!("merit listens on TCP here");
    };
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut load = JoinSet::new();
    for listener in ["duplex", "buffered", "duplex", "buffered"] {
        load.spawn(ask_until(
            stage.envoy.listener(listener)?,
            Arc::clone(&stop),
            Arc::clone(&answered),
        ));
    }
    let settings = Settings {
        document: policy::two_models(),
        listen: Some(listen),
        ..Settings::default()
    };
    for _ in 0..10 {
        let before = answered.load(Ordering::Relaxed);
        tests::process::until("answers", Duration::from_secs(10), async || {
            Ok((answered.load(Ordering::Relaxed) >= before + 20).then_some(()))
        })
        .await?;
        stage.merit.process().signal(Signal::Kill)?;
        stage
            .merit
            .process_mut()
            .ended(Duration::from_secs(5))
            .await?;
        stage.merit = Merit::with(&settings).await?;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended??;
    }
    let mut seen = stage.models.small.seen();
    seen.extend(stage.models.large.seen());
    ensure!(
        seen.len() >= 200,
        "only {} requests came through",
        seen.len()
    );
    seen.iter()
        .filter(|seen| seen.complete)
        .try_for_each(check_processed)
}

/// Sends until told to stop. A refusal is fine while Merit is away; a success is counted.
async fn ask_until(
    listener: std::net::SocketAddr,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let answer = client::call(listener, Call::post(CHAT, chat("please refactor this"))).await?;
        if answer.status.is_success() {
            ensure!(
                answer.header("x-backend") == "large",
                "200 from {:?}",
                answer.header("x-backend")
            );
            answered.fetch_add(1, Ordering::Relaxed);
        } else {
            ensure!(
                answer.status.is_server_error(),
                "answered {}",
                answer.status
            );
        }
    }
    Ok(())
}

/// Asked to end, Merit finishes what it has begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_polite_end_loses_nothing() -> Result<()> {
    let observe = Listener {
        response_body: "STREAMED",
        ..Listener::new("observe", "FULL_DUPLEX_STREAMED")
    };
    let document = policy::with_server("profile: observe");
    let mut stage = Stage::with(
        &[observe],
        &Settings {
            document,
            ..Settings::default()
        },
    )
    .await?;
    let gate = stage.models.small.gate("end");
    let mut client = stage.connect("observe", Version::Http1).await?;
    let call = Call::post(CHAT, chat_stream("hello")).header("x-script-gate", "end");
    let mut events = Events::new(client.open(call).await?);
    gate.open(1);
    ensure!(events.next().await?.is_some(), "no first event");
    stage.merit.process().signal(Signal::Term)?;
    gate.open(100);
    let mut last = None;
    while let Some(event) = events.next().await? {
        last = Some(event);
    }
    ensure!(
        last.is_some_and(|event| event == "data: [DONE]\n\n"),
        "the answer was cut"
    );
    drop((events, client));
    let status = stage
        .merit
        .process_mut()
        .ended(Duration::from_secs(40))
        .await?;
    ensure!(status.success(), "merit ended with {status}");
    Ok(())
}
