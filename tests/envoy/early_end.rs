//! May an ext_proc server end its stream with OK before Envoy does? Asked with a stand-in, as Merit
//! must know the answer before it relies on it. Yes, once everything that Envoy waits for has been
//! answered, in full duplex as in BUFFERED. Never before: then Envoy passes the request on
//! unprocessed, fail-closed or not.

use crate::stage::{Models, chat};
use anyhow::{Result, ensure};
use http::{HeaderMap, HeaderValue};
use tests::client::{Answer, Call, Client, Version};
use tests::envoy::Envoy;
use tests::listener::{Listener, bootstrap};
use tests::prompt::CHAT;
use tests::standin::{Behaviour, StandIn};

const LISTENERS: [(&str, &str); 2] = [("duplex", "FULL_DUPLEX_STREAMED"), ("buffered", "BUFFERED")];

async fn stage(behaviour: Behaviour) -> Result<(Models, StandIn, Envoy)> {
    let models = Models::start().await?;
    let standin = StandIn::start(behaviour).await?;
    let listeners = LISTENERS.map(|(name, mode)| Listener::new(name, mode));
    let envoy = Envoy::start(&bootstrap(&listeners, &models.backends(standin.address()))).await?;
    Ok((models, standin, envoy))
}

async fn send(envoy: &Envoy, listener: &str, version: Version, call: Call) -> Result<Answer> {
    let case = format!("{listener}-{version:?}");
    let mut client = Client::connect(envoy.listener(listener)?, version).await?;
    client.call(call.header("x-case", &case)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_end_once_all_is_answered() -> Result<()> {
    let (models, _standin, envoy) = stage(Behaviour::RouteAndLeave).await?;
    let sent = chat(&"a long text ".repeat(20_000));
    for (listener, _) in LISTENERS {
        for version in [Version::Http1, Version::Http2] {
            let answer = send(&envoy, listener, version, Call::post(CHAT, sent.clone())).await?;
            ensure!(
                answer.status == 200,
                "{listener} {version:?}: {} {}",
                answer.status,
                answer.text()
            );
            ensure!(
                answer.header("x-backend") == "large",
                "{listener} {version:?}: not routed"
            );
            let seen = models.only(&format!("{listener}-{version:?}"))?;
            ensure!(
                seen.body == sent,
                "{listener} {version:?}: the body is not the one sent"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_end_after_the_trailers_are_answered() -> Result<()> {
    let (models, _standin, envoy) = stage(Behaviour::RouteAndLeave).await?;
    let trailers = HeaderMap::from_iter([("x-checksum".parse()?, HeaderValue::from_static("1"))]);
    let call = Call::with_trailers(CHAT, chat("hello"), trailers);
    let answer = send(&envoy, "duplex", Version::Http2, call).await?;
    ensure!(
        answer.status == 200 && answer.header("x-backend") == "large",
        "{}",
        answer.text()
    );
    ensure!(
        models.only("duplex-Http2")?.body == chat("hello"),
        "the body is not the one sent"
    );
    Ok(())
}

/// The hole that Merit must never open: this is why every exit replies.
#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_end_lets_the_request_through_unprocessed() -> Result<()> {
    let (models, _standin, envoy) = stage(Behaviour::LeaveUnanswered).await?;
    let sent = chat("hello");
    let answer = send(
        &envoy,
        "buffered",
        Version::Http1,
        Call::post(CHAT, sent.clone()),
    )
    .await?;
    ensure!(
        answer.status == 200,
        "buffered: envoy has become strict: {}",
        answer.status
    );
    ensure!(
        models.only("buffered-Http1")?.body == sent,
        "buffered: the body came through as sent"
    );
    let answer = send(&envoy, "duplex", Version::Http1, Call::post(CHAT, sent)).await?;
    ensure!(
        answer.status == 200,
        "duplex: envoy has become strict: {}",
        answer.status
    );
    ensure!(
        models.only("duplex-Http1")?.body.is_empty(),
        "duplex: the body came through empty"
    );
    Ok(())
}
