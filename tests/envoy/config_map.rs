//! A policy in a ConfigMap: a hundred changes of it in the kubelet's own way, under load; and a
//! broken one.

use crate::load::Load;
use crate::stage::{Stage, chat};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tests::client::Call;
use tests::listener::Listener;
use tests::merit::Settings;
use tests::policy;
use tests::process::until;
use tests::prompt::CHAT;

const SWAPS: usize = 100;
/// What is promised for a change to be live.
const PROMISED: Duration = Duration::from_secs(2);
/// What a change may take on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(10);

async fn stage() -> Result<Stage> {
    let settings = Settings {
        document: policy::two_models(),
        config_map: true,
        ..Settings::default()
    };
    Stage::with(
        &[Listener::new("duplex", "FULL_DUPLEX_STREAMED")],
        &settings,
    )
    .await
}

/// Puts a document in place and waits until it serves; nobody asks for a reload.
async fn swap(stage: &Stage, document: &str) -> Result<Duration> {
    let before = stage.merit.document_hash().await?;
    stage.merit.replace_document(document)?;
    let start = Instant::now();
    let live = async || Ok((stage.merit.document_hash().await? != before).then_some(()));
    until("the new document", LIMIT, live)
        .await
        .with_context(|| stage.merit.process().output())?;
    Ok(start.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_swaps_lose_no_request() -> Result<()> {
    let stage = stage().await?;
    let load = Load::start(stage.envoy.listener("duplex")?, 4);
    let mut times = Vec::with_capacity(SWAPS);
    for number in 0..SWAPS {
        let word = format!("codeword{number}");
        times.push(
            swap(&stage, &policy::with_keyword(&word))
                .await
                .with_context(|| format!("swap {number}"))?,
        );
        let answer = stage
            .call(
                "duplex",
                Call::post(CHAT, chat(&format!("please {word} this"))),
            )
            .await?;
        ensure!(
            answer.header("x-backend") == "large",
            "swap {number} was answered by an old policy"
        );
    }
    let requests = load.stop_without_loss().await?;
    times.sort();
    let (median, last) = (times[SWAPS / 2], times[SWAPS - 1]);
    println!(
        "{SWAPS} swaps: live after {median:?} (median), {last:?} (slowest); {requests} requests, none failed"
    );
    ensure!(median <= PROMISED, "live only after {median:?}");
    ensure!(
        requests >= SWAPS,
        "only {requests} requests were sent meanwhile"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_document_keeps_the_old_one_and_says_so() -> Result<()> {
    let stage = stage().await?;
    let accepted = "merit_config_last_reload_successful";
    let wait = async |value: f64| {
        until("the metric", LIMIT, async || {
            Ok((stage.merit.metric(accepted).await? == value).then_some(()))
        })
        .await
    };
    wait(1.0).await?;
    let served = stage.merit.metric("merit_config_hash").await?;
    for broken in ["not: [a document", "version: v0.3\nno_such_key: 1\n", ""] {
        stage.merit.replace_document(broken)?;
        wait(0.0).await.with_context(|| format!("{broken:?}"))?;
        let answer = stage
            .call("duplex", Call::post(CHAT, chat("please refactor this")))
            .await?;
        ensure!(
            answer.header("x-backend") == "large",
            "{broken:?} broke routing: {}",
            answer.status
        );
        ensure!(
            stage.merit.metric("merit_config_hash").await? == served,
            "{broken:?}: another document serves"
        );
        // Taking it back is enough: the alert ends.
        stage.merit.replace_document(&policy::two_models())?;
        wait(1.0)
            .await
            .with_context(|| format!("after {broken:?}"))?;
    }
    swap(&stage, &policy::with_keyword("another")).await?;
    ensure!(
        stage.merit.metric("merit_config_hash").await? != served,
        "the metric does not follow the document"
    );
    Ok(())
}
