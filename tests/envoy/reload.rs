//! Four hundred reloads while requests come and two thousand answers are under way: nothing is lost,
//! old generations die, memory stays.

use crate::load::Load;
use crate::stage::{Stage, chat, chat_stream};
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;
use tests::client::{Call, Client, Events, Version};
use tests::listener::Listener;
use tests::merit::Settings;
use tests::policy;
use tests::process::until;
use tests::prompt::CHAT;
use tokio::task::JoinSet;

/// The first reloads under load fill the pools and caches of every thread. After this many, resident
/// memory has been seen to stay within 3 MB for four hundred more.
const WARM: usize = 200;
const RELOADS: usize = 400;
const CONNECTIONS: usize = 25;
const STREAMS_EACH: usize = 80;
const STREAMS: usize = CONNECTIONS * STREAMS_EACH;
/// The role, two pieces, the finish, the usage and the end marker.
const EVENTS: usize = 6;
/// Reloads whose memory is compared at either end. The lowest counts: requests that happen to be
/// under way add megabytes to the others.
const SAMPLES: usize = 20;
const GROWTH_LIMIT: u64 = 10 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_reloads_lose_nothing() -> Result<()> {
    let observe = Listener {
        response_body: "STREAMED",
        ..Listener::new("observe", "FULL_DUPLEX_STREAMED")
    };
    let settings = Settings {
        document: policy::with_server("profile: observe"),
        ..Settings::default()
    };
    let stage = Stage::with(&[observe], &settings).await?;
    let gate = stage.models.small.gate("open");
    let streams = open_streams(stage.envoy.listener("observe")?).await?;
    let open = stage.merit.metric("merit_exchange_open").await?;
    ensure!(open >= STREAMS as f64, "only {open} exchanges are open");

    let load = Load::start(stage.envoy.listener("observe")?, 4);
    reload_each(&stage, 0..WARM).await?;
    let before = lowest_resident(&stage, WARM).await?;
    reload_each(&stage, WARM + SAMPLES..RELOADS).await?;
    let after = lowest_resident(&stage, RELOADS).await?;
    let requests = load.stop_without_loss().await?;
    ensure!(
        requests >= RELOADS / 2,
        "only {requests} requests were sent meanwhile"
    );
    ensure!(
        after <= before + GROWTH_LIMIT,
        "memory grew from {before} to {after} bytes"
    );

    gate.open(STREAMS * EVENTS);
    for mut stream in streams {
        let mut last = None;
        while let Some(event) = stream.next().await? {
            last = Some(event);
        }
        ensure!(
            last.is_some_and(|event| event == "data: [DONE]\n\n"),
            "an answer was cut"
        );
    }
    until(
        "the end of all exchanges",
        Duration::from_secs(10),
        async || Ok((stage.merit.metric("merit_exchange_open").await? == 0.0).then_some(())),
    )
    .await
}

/// Answers under way that wait at the gate `open`.
async fn open_streams(listener: SocketAddr) -> Result<Vec<Events>> {
    let mut opening = JoinSet::new();
    for _ in 0..CONNECTIONS {
        opening.spawn(async move {
            let first = Client::connect(listener, Version::Http2).await?;
            let mut events = Vec::with_capacity(STREAMS_EACH);
            for _ in 0..STREAMS_EACH {
                let mut client = first.fork().context("HTTP/2 forks")?;
                let call = Call::post(CHAT, chat_stream("hello"));
                let call = call
                    .header("x-script-gate", "open")
                    .header("x-script-pieces", "2");
                events.push(Events::holding(client.open(call).await?, client));
            }
            anyhow::Ok(events)
        });
    }
    let opened = opening
        .join_all()
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    Ok(opened.into_iter().flatten().collect())
}

/// The lowest resident memory over the next reloads, from number `first`.
async fn lowest_resident(stage: &Stage, first: usize) -> Result<u64> {
    let mut lowest = u64::MAX;
    for number in first..first + SAMPLES {
        reload_each(stage, number..number + 1).await?;
        lowest = lowest.min(stage.merit.process().resident_bytes()?);
    }
    Ok(lowest)
}

async fn reload_each(stage: &Stage, numbers: std::ops::Range<usize>) -> Result<()> {
    for number in numbers {
        let word = format!("codeword{number}");
        let document = policy::with_server("profile: observe").replace("refactor", &word);
        stage
            .merit
            .reload(&document)
            .await
            .with_context(|| format!("reload {number}"))?;
        let answer = stage
            .call(
                "observe",
                Call::post(CHAT, chat(&format!("please {word} this"))),
            )
            .await?;
        ensure!(
            answer.status == 200,
            "after reload {number}: {} {}",
            answer.status,
            answer.text()
        );
        ensure!(
            answer.header("x-backend") == "large",
            "reload {number} was answered by an old policy"
        );
        let alive = stage.merit.metric("merit_generations_alive").await?;
        ensure!(
            (1.0..=3.0).contains(&alive),
            "{alive} generations are alive after reload {number}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_document_changes_nothing() -> Result<()> {
    let stage = Stage::new(&[Listener::new("duplex", "FULL_DUPLEX_STREAMED")]).await?;
    let before = stage.merit.document_hash().await?;
    let failed = "merit_config_reload_total{outcome=\"rejected\"}";
    for broken in ["not: [a document", "version: v0.3\nno_such_key: 1\n", ""] {
        let count = stage.merit.sample(failed).await?;
        stage.merit.replace_document(broken)?;
        stage.merit.process().signal(tests::process::Signal::Hup)?;
        until("the refusal", Duration::from_secs(5), async || {
            Ok((stage.merit.sample(failed).await? > count).then_some(()))
        })
        .await
        .with_context(|| stage.merit.process().output())?;
        let answer = stage
            .call("duplex", Call::post(CHAT, chat("please refactor this")))
            .await?;
        ensure!(
            answer.header("x-backend") == "large",
            "{broken:?} broke routing: {}",
            answer.status
        );
    }
    let after = stage.merit.document_hash().await?;
    ensure!(before == after, "{before} became {after}");
    Ok(())
}
