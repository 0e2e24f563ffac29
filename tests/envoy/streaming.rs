//! Answers pass through byte for byte, and each event at once: the backend sends the next one only
//! after the client has seen the last, so that an event held back anywhere stops the test.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::client::{self, Call, Events, Version};
use tests::listener::Listener;
use tests::merit::Settings;
use tests::policy;
use tests::prompt::{
    CHAT, MESSAGES, RESPONSES, chat, messages, responses, streamed, with_tool, with_usage,
};

const MODES: [(&str, &str, &str); 5] = [
    ("route", "FULL_DUPLEX_STREAMED", "NONE"),
    ("observe", "FULL_DUPLEX_STREAMED", "STREAMED"),
    ("duplex", "FULL_DUPLEX_STREAMED", "FULL_DUPLEX_STREAMED"),
    ("buffered", "BUFFERED", "NONE"),
    ("buffered-observe", "BUFFERED", "STREAMED"),
];

async fn stage() -> Result<Stage> {
    let listeners = MODES.map(|(name, request, response_body)| Listener {
        response_body,
        ..Listener::new(name, request)
    });
    let document = policy::with_server("profile: observe");
    Stage::with(
        &listeners,
        &Settings {
            document,
            ..Settings::default()
        },
    )
    .await
}

fn requests(model: &str) -> [(&'static str, Value); 6] {
    let text = "Say something";
    [
        (CHAT, chat(model, text)),
        (CHAT, with_usage(streamed(chat(model, text)))),
        (CHAT, with_usage(streamed(with_tool(chat(model, text))))),
        (RESPONSES, streamed(responses(model, text))),
        (MESSAGES, messages(model, text)),
        (MESSAGES, streamed(messages(model, text))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_backends_own_bytes() -> Result<()> {
    let stage = stage().await?;
    for ((path, routed), (_, direct)) in requests("auto").into_iter().zip(requests("small-1b")) {
        let direct = client::call(stage.models.small.address(), Call::json(path, &direct)).await?;
        for (listener, ..) in MODES {
            let answer = stage.call(listener, Call::json(path, &routed)).await?;
            ensure!(
                answer.status == direct.status,
                "{listener} {path}: {} {}",
                answer.status,
                answer.text()
            );
            ensure!(
                answer.header("content-type") == direct.header("content-type"),
                "{listener} {path}: content-type"
            );
            ensure!(
                answer.body == direct.body,
                "{listener} {path}: {}\n{}",
                answer.text(),
                direct.text()
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_comes_before_the_next_is_sent() -> Result<()> {
    let stage = stage().await?;
    for (listener, ..) in MODES {
        for version in [Version::Http1, Version::Http2] {
            check_event_by_event(&stage, listener, version)
                .await
                .with_context(|| format!("{listener} {version:?}"))?;
        }
    }
    Ok(())
}

async fn check_event_by_event(stage: &Stage, listener: &str, version: Version) -> Result<()> {
    let body = with_usage(streamed(chat("auto", "Say something")));
    let gate_name = format!("{listener}-{version:?}");
    let gate = stage.models.small.gate(&gate_name);
    let mut client = stage.connect(listener, version).await?;
    let call = Call::json(CHAT, &body)
        .header("x-script-gate", &gate_name)
        .header("x-script-pieces", "20");
    let mut events = Events::new(client.open(call).await?);
    let mut count = 0;
    loop {
        let event = events
            .next()
            .await
            .with_context(|| format!("event {count}"))?
            .context("no end marker")?;
        count += 1;
        gate.open(1);
        if event == "data: [DONE]\n\n" {
            break;
        }
    }
    ensure!(events.next().await?.is_none(), "something follows the end");
    // The role, twenty pieces, the finish, the usage and the end marker.
    ensure!(count == 24, "{count} events");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_breaks_off_is_seen_to_break_off() -> Result<()> {
    let stage = stage().await?;
    for (listener, ..) in MODES {
        let gate_name = format!("cut-{listener}");
        let gate = stage.models.small.gate(&gate_name);
        let call = Call::json(CHAT, &streamed(chat("auto", "Say something")));
        let call = call
            .header("x-script-cut", "3")
            .header("x-script-gate", &gate_name);
        let mut client = stage.connect(listener, Version::Http1).await?;
        let mut events = Events::new(client.open(call).await?);
        for index in 0..3 {
            ensure!(
                events.next().await?.is_some(),
                "{listener}: no event {index}"
            );
            gate.open(1);
        }
        ensure!(
            events.next().await.is_err(),
            "{listener}: the cut answer looks whole"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backends_error_stays_as_it_is() -> Result<()> {
    let stage = stage().await?;
    for (listener, ..) in MODES {
        for (path, body) in [
            (CHAT, chat("auto", "hello")),
            (MESSAGES, messages("auto", "hello")),
        ] {
            let call = || Call::json(path, &body).header("x-script-status", "429");
            let direct = client::call(stage.models.small.address(), call()).await?;
            let answer = stage.call(listener, call()).await?;
            ensure!(
                answer.status == 429 && answer.body == direct.body,
                "{listener}: {}",
                answer.text()
            );
        }
    }
    Ok(())
}
