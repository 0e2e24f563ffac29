//! Every request body mode with every response mode: routed by what the body says, or refused
//! clearly where the mode cannot be routed; never passed on unprocessed.

use crate::stage::{Stage, chat, chat_stream, check_refused, check_routed};
use anyhow::{Context, Result, ensure};
use tests::client::Call;
use tests::listener::Listener;
use tests::merit::Settings;
use tests::policy;
use tests::prompt::{CHAT, MESSAGES, RESPONSES, messages, responses};

const ROUTED: [&str; 3] = ["FULL_DUPLEX_STREAMED", "BUFFERED", "BUFFERED_PARTIAL"];
const RESPONSES_SEEN: [&str; 5] = [
    "NONE",
    "HEADERS",
    "BUFFERED",
    "STREAMED",
    "FULL_DUPLEX_STREAMED",
];

fn name(request: &str, response: &str) -> String {
    format!("{request}-{response}")
}

fn matrix() -> Vec<Listener> {
    let pairs = ROUTED
        .iter()
        .flat_map(|request| RESPONSES_SEEN.map(|response| (*request, response)));
    pairs
        .map(|(request, response)| Listener {
            response_headers: response == "HEADERS",
            response_body: if response == "HEADERS" {
                "NONE"
            } else {
                response
            },
            buffer_limit: (request == "BUFFERED_PARTIAL").then_some(32 << 10),
            ..Listener::new(&name(request, response), request)
        })
        .collect()
}

/// One text to each backend, answered whole and as a stream.
async fn check_both_backends(stage: &Stage, listener: &str) -> Result<()> {
    for (text, model) in [
        ("Hello there", "small-1b"),
        ("Please refactor this", "large-70b"),
    ] {
        for sent in [chat(text), chat_stream(text)] {
            let case = format!("{listener}-{model}-{}", sent.len());
            let answer = stage
                .call(
                    listener,
                    Call::post(CHAT, sent.clone()).header("x-case", &case),
                )
                .await?;
            check_routed(&answer, &stage.models.only(&case)?, &sent, model)
                .with_context(|| case.clone())?;
            let (alias, _) = model.split_once('-').unwrap_or_default();
            ensure!(
                answer.header("x-vsr-selected-model") == alias,
                "{case}: reply headers {:?}",
                answer.headers
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_in_every_mode_that_can() -> Result<()> {
    let document = policy::with_server("profile: observe");
    let stage = Stage::with(
        &matrix(),
        &Settings {
            document,
            ..Settings::default()
        },
    )
    .await?;
    for listener in matrix() {
        check_both_backends(&stage, &listener.name).await?;
    }
    Ok(())
}

/// Where the document wants nothing of responses, streams end as soon as the request is on its way:
/// also in full duplex, and although the gateway would show the response's headers.
#[tokio::test(flavor = "multi_thread")]
async fn leaves_early_where_nothing_more_is_wanted() -> Result<()> {
    let document = policy::with_server("profile: route");
    let showing = |request| Listener {
        response_headers: true,
        ..Listener::new(request, request)
    };
    let listeners = [showing(ROUTED[0]), showing(ROUTED[1])];
    let stage = Stage::with(
        &listeners,
        &Settings {
            document,
            ..Settings::default()
        },
    )
    .await?;
    for (index, listener) in listeners.iter().enumerate() {
        for text in ["Hello there", "Please refactor this"] {
            let (sent, case) = (chat(text), format!("{}-{text}", listener.name));
            let answer = stage
                .call(
                    &listener.name,
                    Call::post(CHAT, sent.clone()).header("x-case", &case),
                )
                .await?;
            let model = if text == "Hello there" {
                "small-1b"
            } else {
                "large-70b"
            };
            check_routed(&answer, &stage.models.only(&case)?, &sent, model)
                .with_context(|| case)?;
        }
        let left = stage
            .merit
            .metric("merit_exchange_early_close_total")
            .await?;
        ensure!(
            left >= 2.0 * (index + 1) as f64,
            "{}: {left} streams were left early",
            listener.name
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_through_the_shipped_bootstraps() -> Result<()> {
    for bootstrap in ["route.yaml", "observe.yaml", "buffered.yaml"] {
        let stage = Stage::shipped(bootstrap).await?;
        check_both_backends(&stage, "clients")
            .await
            .with_context(|| bootstrap.to_owned())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_over_a_unix_socket() -> Result<()> {
    let listeners = [
        Listener::new("duplex", ROUTED[0]),
        Listener::new("buffered", ROUTED[1]),
    ];
    let settings = Settings {
        document: policy::two_models(),
        unix: true,
        ..Settings::default()
    };
    let stage = Stage::with(&listeners, &settings).await?;
    check_both_backends(&stage, "duplex").await?;
    check_both_backends(&stage, "buffered").await
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_every_dialect() -> Result<()> {
    let stage = Stage::new(&[Listener::new("duplex", ROUTED[0])]).await?;
    let calls = [
        (RESPONSES, responses("auto", "Please refactor this")),
        (MESSAGES, messages("auto", "Please refactor this")),
        (
            "/v1/messages?beta=true",
            messages("auto", "Please refactor this"),
        ),
    ];
    for (path, body) in calls {
        let sent = body.to_string();
        let answer = stage
            .call(
                "duplex",
                Call::post(path, sent.clone()).header("x-case", path),
            )
            .await?;
        let seen = stage.models.only(path)?;
        check_routed(&answer, &seen, &sent, "large-70b").with_context(|| path.to_owned())?;
        ensure!(seen.path == path, "the path became {}", seen.path);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_where_the_mode_cannot_route() -> Result<()> {
    let partial = Listener {
        buffer_limit: Some(32 << 10),
        ..Listener::new("partial", "BUFFERED_PARTIAL")
    };
    let listeners = [
        Listener::new("none", "NONE"),
        Listener::new("streamed", "STREAMED"),
        partial,
    ];
    let stage = Stage::new(&listeners).await?;
    let long = chat(&"many words ".repeat(20_000));
    for (listener, sent) in [
        ("none", chat("hello")),
        ("streamed", chat("hello")),
        ("partial", long),
    ] {
        let answer = stage
            .call(listener, Call::post(CHAT, sent).header("x-case", listener))
            .await?;
        let status = answer.status.as_u16();
        ensure!(status >= 400, "{listener}: answered {status}");
        check_refused(&answer, status).with_context(|| listener.to_owned())?;
        stage.models.untouched_by(listener)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_the_model_list_in_every_mode() -> Result<()> {
    let modes = [
        "NONE",
        "STREAMED",
        "BUFFERED",
        "BUFFERED_PARTIAL",
        "FULL_DUPLEX_STREAMED",
    ];
    let stage = Stage::new(&modes.map(|mode| Listener::new(mode, mode))).await?;
    for mode in modes {
        let answer = stage
            .call(mode, Call::get("/v1/models").header("x-case", mode))
            .await?;
        let list = answer.json();
        let names: Vec<&str> = list["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|model| model["id"].as_str())
            .collect();
        ensure!(
            answer.status == 200 && names.contains(&"auto"),
            "{mode}: {} {}",
            answer.status,
            answer.text()
        );
        stage.models.untouched_by(mode)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_blocked_requests_itself() -> Result<()> {
    let stage = Stage::new(&ROUTED.map(|mode| Listener::new(mode, mode))).await?;
    for mode in ROUTED {
        let whole = stage
            .call(
                mode,
                Call::post(CHAT, chat("a forbidden topic")).header("x-case", mode),
            )
            .await?;
        let said = whole.json()["choices"][0]["message"]["content"].clone();
        ensure!(
            whole.status == 200 && said == policy::BLOCKED_TEXT,
            "{mode}: {} {}",
            whole.status,
            whole.text()
        );
        let stream = stage
            .call(
                mode,
                Call::post(CHAT, chat_stream("a forbidden topic")).header("x-case", mode),
            )
            .await?;
        ensure!(
            stream
                .header("content-type")
                .starts_with("text/event-stream"),
            "{mode}: {:?}",
            stream.headers
        );
        ensure!(
            stream.text().ends_with("data: [DONE]\n\n"),
            "{mode}: {}",
            stream.text()
        );
        stage.models.untouched_by(mode)?;
    }
    Ok(())
}
