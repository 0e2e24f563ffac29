//! Clients of both HTTP versions, with and without trailers, with and without a length, and clients that go away.

use crate::stage::{Stage, chat, check_routed};
use anyhow::{Context, Result, ensure};
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
    for text in ["Please refactor this".to_owned(), "refactor ".repeat(15_000)] {
        let sent = chat(&text);
        for (listener, _) in MODES {
            for version in [Version::Http1, Version::Http2] {
                for (way, call) in ways(&sent).await? {
                    let case = format!("{listener}-{version:?}-{way}-{}", sent.len());
                    let answer = stage
                        .connect(listener, version)
                        .await?
                        .call(call.header("x-case", &case))
                        .await;
                    let answer = answer.with_context(|| case.clone())?;
                    check_routed(&answer, &stage.models.only(&case)?, &sent, "large-70b").context(case)?;
                }
            }
        }
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
            let model = if index % 2 == 0 { "large-70b" } else { "small-1b" };
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
            let mut client = stage.connect(listener, version).await?;
            let (mut body, call) = Call::open(CHAT);
            push(&mut body, r#"{"model":"auto","messages":[{"role":"user","#).await?;
            let answer = client.open(call.header("x-case", &case));
            let seen_by_merit = async {
                until("the exchange", Duration::from_secs(5), async || {
                    Ok((stage.merit.metric("merit_exchange_open").await? > 0.0).then_some(()))
                })
                .await
            };
            tokio::select! {
                answer = answer => anyhow::bail!("{case}: answered before the body was there: {answer:?}"),
                seen = seen_by_merit => seen.with_context(|| case.clone())?,
            }
            drop((body, client));
            until("the end of the exchange", Duration::from_secs(5), async || {
                Ok((stage.merit.metric("merit_exchange_open").await? == 0.0).then_some(()))
            })
            .await
            .with_context(|| case.clone())?;
            let seen = stage.models.seen_in(&case);
            ensure!(seen.is_empty(), "{case}: half a request reached a backend");
        }
        let answer = stage.call(listener, Call::post(CHAT, chat("hello"))).await?;
        ensure!(
            answer.status == 200,
            "{listener}: the next request got {}",
            answer.status
        );
    }
    Ok(())
}
