//! Clients of both HTTP versions, with and without trailers, with and without a length, and clients
//! that go away.

use crate::stage::{Stage, chat, check_routed};
use anyhow::{Context, Result, bail, ensure};
use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use tests::client::{Call, Version, push};
use tests::listener::Listener;
use tests::process::until;
use tests::prompt::CHAT;

const MODES: [(&str, &str); 2] = [("duplex", "FULL_DUPLEX_STREAMED"), ("buffered", "BUFFERED")];

async fn stage() -> Result<Stage> {
    Stage::new(&MODES.map(|(name, mode)| Listener::new(name, mode))).await
}

/// The same request, written in each way that HTTP has.
async fn ways(sent: &str) -> Result<Vec<(&'static str, Call)>> {
    let trailers = HeaderMap::from_iter([("x-checksum".parse()?, HeaderValue::from_static("1"))]);
    let (mut body, pieces) = Call::open(CHAT);
    let (start, rest) = sent.split_at(sent.len() / 2);
    push(&mut body, start.to_owned()).await?;
    push(&mut body, rest.to_owned()).await?;
    drop(body);
    Ok(vec![
        ("whole", Call::post(CHAT, sent.to_owned())),
        (
            "trailers",
            Call::with_trailers(CHAT, sent.to_owned(), trailers).header("te", "trailers"),
        ),
        ("pieces", pieces),
        (
            "expect",
            Call::post(CHAT, sent.to_owned()).header("expect", "100-continue"),
        ),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_sending_is_routed() -> Result<()> {
    let stage = stage().await?;
    for text in [
        "Please refactor this".to_owned(),
        "refactor ".repeat(15_000),
    ] {
        for (listener, _) in MODES {
            for version in [Version::Http1, Version::Http2] {
                check_every_way(&stage, listener, version, &chat(&text)).await?;
            }
        }
    }
    Ok(())
}

async fn check_every_way(
    stage: &Stage,
    listener: &str,
    version: Version,
    sent: &str,
) -> Result<()> {
    for (way, call) in ways(sent).await? {
        let case = format!("{listener}-{version:?}-{way}-{}", sent.len());
        let mut client = stage.connect(listener, version).await?;
        let answer = client.call(call.header("x-case", &case)).await;
        let answer = answer.with_context(|| case.clone())?;
        check_routed(&answer, &stage.models.only(&case)?, sent, "large-70b").context(case)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_a_connection() -> Result<()> {
    let stage = stage().await?;
    for version in [Version::Http1, Version::Http2] {
        let mut client = stage.connect("duplex", version).await?;
        for index in 0..50 {
            let word = if index % 2 == 0 { "refactor" } else { "hello" };
            let case = format!("{version:?}-{index}");
            let answer = client
                .call(Call::post(CHAT, chat(word)).header("x-case", &case))
                .await?;
            let model = if index % 2 == 0 {
                "large-70b"
            } else {
                "small-1b"
            };
            check_routed(&answer, &stage.models.only(&case)?, &chat(word), model).context(case)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gone_in_mid_body_leaves_nothing_behind() -> Result<()> {
    let stage = stage().await?;
    for (listener, _) in MODES {
        for version in [Version::Http1, Version::Http2] {
            let case = format!("{listener}-{version:?}");
            leave_in_mid_body(&stage, listener, version, &case)
                .await
                .with_context(|| case.clone())?;
            stage.models.untouched_by(&case)?;
        }
        let answer = stage
            .call(listener, Call::post(CHAT, chat("hello")))
            .await?;
        ensure!(
            answer.status == 200,
            "{listener}: the next request got {}",
            answer.status
        );
    }
    Ok(())
}

async fn leave_in_mid_body(
    stage: &Stage,
    listener: &str,
    version: Version,
    case: &str,
) -> Result<()> {
    let mut client = stage.connect(listener, version).await?;
    let (mut body, call) = Call::open(CHAT);
    push(&mut body, r#"{"model":"auto","messages":[{"role":"user","#).await?;
    tokio::select! {
        answer = client.open(call.header("x-case", case)) => bail!("answered before the body was there: {answer:?}"),
        seen = open_exchanges(stage, |open| open > 0.0) => seen?,
    }
    drop((body, client));
    open_exchanges(stage, |open| open == 0.0).await
}

async fn open_exchanges(stage: &Stage, are_enough: impl Fn(f64) -> bool) -> Result<()> {
    until(
        "the exchanges that Merit has open",
        Duration::from_secs(5),
        async || {
            let open = stage.merit.metric("merit_exchange_open").await?;
            Ok(are_enough(open).then_some(()))
        },
    )
    .await
}
