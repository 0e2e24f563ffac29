//! Answers that a stage of the response's way changes: in every mode that carries it, however the
//! backend cuts and encodes them, and whichever side breaks off.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use tests::client::{self, Answer, Call, Events, Version};
use tests::listener::Listener;
use tests::merit::Settings;
use tests::policy;
use tests::process::until;
use tests::prompt::{CHAT, MESSAGES, RESPONSES, chat, messages, responses, streamed};

const MODES: [(&str, &str); 3] = [
    ("buffered", "BUFFERED"),
    ("streamed", "STREAMED"),
    ("duplex", "FULL_DUPLEX_STREAMED"),
];
const RESTORING: &str = "response: {restore_model: true}";

/// Listeners of all three modes. With `server` lines of the document.
async fn stage(server: &str) -> Result<Stage> {
    let listeners = MODES.map(|(name, response_body)| Listener {
        response_body,
        ..Listener::new(name, "FULL_DUPLEX_STREAMED")
    });
    let settings = Settings {
        document: policy::with_server(server),
        ..Settings::default()
    };
    Stage::with(&listeners, &settings).await
}

fn requests(model: &str) -> [(&'static str, Value); 6] {
    let text = "Say something";
    [
        (CHAT, chat(model, text)),
        (CHAT, streamed(chat(model, text))),
        (RESPONSES, responses(model, text)),
        (RESPONSES, streamed(responses(model, text))),
        (MESSAGES, messages(model, text)),
        (MESSAGES, streamed(messages(model, text))),
    ]
}

/// What the backend itself answers to a request for its own name.
async fn direct(stage: &Stage, path: &str, body: &Value) -> Result<Answer> {
    client::call(stage.models.small.address(), Call::json(path, body)).await
}

/// The backend's answer as a caller of `auto` is to see it.
fn restored(answer: &Answer) -> String {
    answer
        .text()
        .replace(r#""model":"small-1b""#, r#""model":"auto""#)
}

fn check(answer: &Answer, expected: &str) -> Result<()> {
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    ensure!(
        answer.header("content-encoding").is_empty(),
        "still encoded as {}",
        answer.header("content-encoding")
    );
    ensure!(
        answer.body == expected,
        "{}\ninstead of\n{expected}",
        answer.text()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_name_the_model_as_the_caller_did() -> Result<()> {
    let stage = stage(RESTORING).await?;
    for ((path, routed), (_, own)) in requests("auto").into_iter().zip(requests("small-1b")) {
        let backends = direct(&stage, path, &own).await?;
        let expected = restored(&backends);
        ensure!(expected != backends.text(), "{path} names no model");
        for (listener, _) in MODES {
            for version in [Version::Http1, Version::Http2] {
                let case = format!("{listener} {version:?} {path} {}", routed["stream"]);
                let call = Call::json(path, &routed)
                    .header("x-case", &case)
                    .header("accept-encoding", "gzip, br");
                let answer = stage.connect(listener, version).await?.call(call).await?;
                check(&answer, &expected).with_context(|| case.clone())?;
                let seen = stage.models.only(&case)?;
                ensure!(
                    seen.header("accept-encoding") == "identity",
                    "{case}: asked for {}",
                    seen.header("accept-encoding")
                );
                let length = answer.header("content-length");
                ensure!(
                    length.is_empty() || length == answer.body.len().to_string(),
                    "{case}: {length} bytes announced"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_split_of_a_stream_gives_the_same_answer() -> Result<()> {
    let stage = stage(RESTORING).await?;
    for (path, body, trim) in [
        (CHAT, streamed(chat("auto", "hello")), "0"),
        // The last event has no blank line, so it is held back until the end.
        (MESSAGES, streamed(messages("auto", "hello")), "1"),
    ] {
        let mut own = body.clone();
        own["model"] = "small-1b".into();
        let call = Call::json(path, &own)
            .header("x-script-pieces", "0")
            .header("x-script-split", "1")
            .header("x-script-trim", trim)
            .header("x-script-gate", path);
        stage.models.small.gate(path).open(1);
        let backends = client::call(stage.models.small.address(), call).await?;
        let expected = restored(&backends);
        for (listener, _) in MODES {
            let mut client = stage.connect(listener, Version::Http2).await?;
            for at in 1..backends.body.len() {
                let case = format!("{listener} {path} split at {at}");
                let gate = stage.models.small.gate(&case);
                let call = Call::json(path, &body)
                    .header("x-script-pieces", "0")
                    .header("x-script-split", &at.to_string())
                    .header("x-script-trim", trim)
                    .header("x-script-gate", &case);
                // Buffered, nothing comes before the end; otherwise the second piece is sent when
                // the first is on its way.
                gate.open(usize::from(listener == "buffered"));
                let response = client.open(call).await.with_context(|| case.clone())?;
                gate.open(1);
                let answer = client::read(response).await.with_context(|| case.clone())?;
                check(&answer, &expected).context(case)?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_waits_for_a_later_one() -> Result<()> {
    let stage = stage(RESTORING).await?;
    for (listener, _) in MODES.into_iter().skip(1) {
        let name = format!("events-{listener}");
        let gate = stage.models.small.gate(&name);
        let mut client = stage.connect(listener, Version::Http1).await?;
        let call = Call::json(CHAT, &streamed(chat("auto", "hello")));
        let mut events = Events::new(client.open(call.header("x-script-gate", &name)).await?);
        let mut count = 0;
        while let Some(event) = events.next().await.with_context(|| name.clone())? {
            let event = String::from_utf8_lossy(&event).into_owned();
            let is_named = event.contains(r#""model":"auto""#) || event == "data: [DONE]\n\n";
            ensure!(is_named, "{name}: {event}");
            gate.open(1);
            count += 1;
        }
        // The role, four pieces, the finish and the end marker.
        ensure!(count == 7, "{name}: {count} events");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_compressed_anyway_are_read() -> Result<()> {
    let stage = stage(RESTORING).await?;
    for ((path, routed), (_, own)) in requests("auto").into_iter().zip(requests("small-1b")) {
        let expected = restored(&direct(&stage, path, &own).await?);
        for encoding in ["gzip", "deflate"] {
            for (listener, _) in MODES {
                let call = Call::json(path, &routed).header("x-script-encoding", encoding);
                let answer = stage.call(listener, call).await?;
                check(&answer, &expected)
                    .with_context(|| format!("{listener} {path} {encoding}"))?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_an_unknown_encoding_stay_as_they_are_visibly() -> Result<()> {
    let stage = stage(RESTORING).await?;
    for (listener, _) in MODES {
        let script = |model| Call::json(CHAT, &chat(model, "hello"));
        let own = script("small-1b").header("x-script-encoding", "compress");
        let direct = client::call(stage.models.small.address(), own).await?;
        let call = script("auto").header("x-script-encoding", "compress");
        let answer = stage.call(listener, call).await?;
        ensure!(answer.body == direct.body, "{listener}: {}", answer.text());
        ensure!(
            answer.header("content-encoding") == "compress"
                && answer.header("x-merit-degraded") == "response=unknown_encoding",
            "{listener}: {:?}",
            answer.headers
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changes_where_no_stage_is_on() -> Result<()> {
    let stage = stage("profile: observe").await?;
    for ((path, routed), (_, own)) in requests("auto").into_iter().zip(requests("small-1b")) {
        for encoding in ["", "gzip"] {
            let script = |body| Call::json(path, body).header("x-script-encoding", encoding);
            let direct = client::call(stage.models.small.address(), script(&own)).await?;
            for (listener, _) in MODES {
                let case = format!("{listener} {path} {encoding} {}", routed["stream"]);
                let call = script(&routed)
                    .header("x-case", &case)
                    .header("accept-encoding", "gzip");
                let answer = stage.call(listener, call).await?;
                // An observed chat stream is asked for its usage.
                let counts_usage = path == CHAT && routed["stream"] == true;
                ensure!(
                    counts_usage || answer.body == direct.body,
                    "{case}: {}",
                    answer.text()
                );
                ensure!(
                    answer.header("content-encoding") == encoding,
                    "{case}: encoded as {}",
                    answer.header("content-encoding")
                );
                let asked = stage.models.only(&case)?;
                ensure!(
                    asked.header("accept-encoding") == "gzip",
                    "{case}: asked for {}",
                    asked.header("accept-encoding")
                );
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_breaks_off_is_seen_to_break_off() -> Result<()> {
    let stage = stage(RESTORING).await?;
    for (listener, _) in MODES.into_iter().skip(1) {
        let name = format!("cut-{listener}");
        let gate = stage.models.small.gate(&name);
        let call = Call::json(CHAT, &streamed(chat("auto", "hello")))
            .header("x-script-cut", "2")
            .header("x-script-gate", &name);
        let mut client = stage.connect(listener, Version::Http1).await?;
        let mut events = Events::new(client.open(call).await?);
        for _ in 0..2 {
            let event = events.next().await?.context("no event")?;
            let text = String::from_utf8_lossy(&event).into_owned();
            ensure!(text.contains(r#""model":"auto""#), "{name}: {text}");
            gate.open(1);
        }
        ensure!(
            events.next().await.is_err(),
            "{name}: the cut answer looks whole"
        );
    }

    // Buffered, the client has seen nothing yet.
    let call = Call::json(CHAT, &streamed(chat("auto", "hello"))).header("x-script-cut", "2");
    let answer = stage.call("buffered", call).await;
    let is_whole = answer.is_ok_and(|answer| answer.status == 200);
    ensure!(!is_whole, "buffered: the cut answer looks whole");

    // A compressed answer that ends too early was cut as well.
    for (listener, _) in MODES {
        let call = Call::json(CHAT, &streamed(chat("auto", "hello")))
            .header("x-script-encoding", "gzip")
            .header("x-script-cut", "1");
        let answer = stage.call(listener, call).await;
        let is_whole = answer.is_ok_and(|answer| answer.status == 200);
        ensure!(!is_whole, "{listener}: the cut gzip looks whole");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_exchange() -> Result<()> {
    let stage = stage(RESTORING).await?;
    for (listener, _) in MODES.into_iter().skip(1) {
        for version in [Version::Http1, Version::Http2] {
            let name = format!("left-{listener}-{version:?}");
            let _held = stage.models.small.gate(&name);
            let mut client = stage.connect(listener, version).await?;
            let call = Call::json(CHAT, &streamed(chat("auto", "hello")));
            let call = call.header("x-script-gate", &name);
            let mut events = Events::holding(client.open(call).await?, client);
            events.next().await?.context("no event")?;
            drop(events);
            let patience = Duration::from_secs(10);
            until("the end of the exchange", patience, async || {
                let open = stage.merit.metric("merit_exchange_open").await?;
                Ok((open == 0.0).then_some(()))
            })
            .await
            .context(name)?;
        }
        let call = Call::json(CHAT, &chat("auto", "hello"));
        let answer = stage.call(listener, call).await?;
        ensure!(
            answer.status == 200,
            "{listener}: the next one got {}",
            answer.status
        );
    }
    let broken = "merit_exchange_broken_responses_total";
    ensure!(stage.merit.metric(broken).await? == 0.0, "{broken}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_shows_no_bodies_leaves_the_answer_visibly() -> Result<()> {
    let headers = Listener {
        response_headers: true,
        ..Listener::new("headers", "FULL_DUPLEX_STREAMED")
    };
    let settings = Settings {
        document: policy::with_server(RESTORING),
        ..Settings::default()
    };
    let stage = Stage::with(&[headers], &settings).await?;
    let call = Call::json(CHAT, &chat("auto", "hello")).header("accept-encoding", "gzip");
    let answer = stage
        .call("headers", call.header("x-case", "unseen"))
        .await?;
    ensure!(answer.json()["model"] == "small-1b", "{}", answer.text());
    ensure!(
        answer.header("x-merit-degraded") == "response=restore_model_not_run",
        "{:?}",
        answer.headers
    );
    let asked = stage.models.only("unseen")?;
    ensure!(asked.header("accept-encoding") == "gzip", "{asked:?}");
    Ok(())
}
