//! A client that writes Merit's own headers gains nothing by it, whether Merit is there or not.

use crate::stage::{Models, Stage, chat, check_routed};
use anyhow::{Context, Result, ensure};
use tests::client::{Answer, Call};
use tests::listener::Listener;
use tests::policy;
use tests::process::Signal;
use tests::prompt::CHAT;

const BOOTSTRAPS: [&str; 5] = [
    "route.yaml",
    "observe.yaml",
    "buffered.yaml",
    "escalate.yaml",
    "fallback.yaml",
];

const SPOOFED: [(&str, &str); 6] = [
    ("x-selected-model", "large"),
    ("x-gateway-model-name", "large"),
    ("x-ai-eg-model", "large"),
    ("x-vsr-selected-model", "large"),
    ("x-vsr-selected-decision", "code"),
    ("X-Selected-Model", "large"),
];

fn spoofed(case: &str, sent: &str) -> Call {
    let call = Call::post(CHAT, sent.to_owned()).header("x-case", case);
    SPOOFED
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoofed_choice_is_not_obeyed() -> Result<()> {
    for bootstrap in BOOTSTRAPS {
        let stage = Stage::shipped(bootstrap).await?;
        let sent = chat("Hello there");
        let answer = stage.call("clients", spoofed(bootstrap, &sent)).await?;
        let seen = stage.models.only(bootstrap)?;
        check_routed(&answer, &seen, &sent, "small-1b").with_context(|| bootstrap.to_owned())?;
        let values: Vec<_> = seen.headers.get_all("x-selected-model").iter().collect();
        ensure!(
            values == ["small"],
            "{bootstrap}: the backend saw {values:?}"
        );
        ensure!(
            seen.header("x-vsr-selected-decision").is_empty(),
            "{bootstrap}: a forged verdict came through"
        );
        check_reply(&answer).with_context(|| bootstrap.to_owned())?;
    }
    Ok(())
}

fn check_reply(answer: &Answer) -> Result<()> {
    ensure!(
        answer.header("x-vsr-selected-model") == "small",
        "{:?}",
        answer.headers
    );
    ensure!(
        answer.header("x-vsr-selected-decision") == "everyday",
        "{:?}",
        answer.headers
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoofed_choice_gains_nothing_while_merit_is_down() -> Result<()> {
    for bootstrap in BOOTSTRAPS {
        let mut stage = Stage::shipped(bootstrap).await?;
        stage.merit.process().signal(Signal::Kill)?;
        stage
            .merit
            .process_mut()
            .ended(std::time::Duration::from_secs(5))
            .await?;
        let answer = stage
            .call("clients", spoofed(bootstrap, &chat("hello")))
            .await?;
        ensure!(
            answer.status.is_server_error(),
            "{bootstrap}: answered {}",
            answer.status
        );
        stage.models.untouched_by(bootstrap)?;
    }
    Ok(())
}

/// Envoy chose a route before Merit saw the request; taking the header off without choosing again
/// would be too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_spoofed_choice_gains_nothing_where_merit_does_not_route() -> Result<()> {
    let stage = Stage::new(&[Listener::new("unguarded", "FULL_DUPLEX_STREAMED")]).await?;
    for path in ["/v1/batches", "/somewhere"] {
        let call =
            Call::post(path, r#"{"model":"large","input":"hi"}"#.to_owned()).header("x-case", path);
        let answer = stage
            .call("unguarded", call.header("x-selected-model", "large"))
            .await?;
        ensure!(
            answer.header("x-backend") == "small",
            "{path}: {:?}",
            answer.headers
        );
        let seen = stage.models.only(path)?;
        ensure!(
            seen.header("x-selected-model").is_empty(),
            "{path}: the backend saw it"
        );
    }
    Ok(())
}

/// What Merit chose may be all that a boundary allows: no other model gets the request.
#[tokio::test(flavor = "multi_thread")]
async fn a_choice_without_a_route_is_served_by_nobody() -> Result<()> {
    let vault = "    - {name: vault, backend_refs: [{endpoint: \"127.0.0.1:8002\"}]}\n";
    let document = policy::two_models().replacen("  models:\n", &format!("  models:\n{vault}"), 1);
    for bootstrap in BOOTSTRAPS {
        let models = Models::start().await?;
        let stage = Stage::shipped_with(bootstrap, &document, models).await?;
        let sent = tests::prompt::chat("vault", "Hello there").to_string();
        let call = Call::post(CHAT, sent).header("x-case", bootstrap);
        let answer = stage.call("clients", call).await?;
        ensure!(
            answer.status == 503 && answer.text().contains("no route"),
            "{bootstrap}: answered {}: {}",
            answer.status,
            answer.text()
        );
        ensure!(
            answer.header("content-type") == "application/json",
            "{bootstrap}: {:?}",
            answer.headers
        );
        stage.models.untouched_by(bootstrap)?;
    }
    Ok(())
}
