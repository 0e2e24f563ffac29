//! A cascade on a real Envoy: Merit's own calls come back through the inner listener of
//! `envoy/escalate.yaml`.
//!
//! Both backends answer as `x-script-…` headers say; these travel with the calls, as all of a
//! client's headers do.

use crate::sdk;
use crate::stage::{Models, Stage, chat, chat_stream, check_refused};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use tests::client::{self, Answer, Call, Client, Version};
use tests::envoy::{Envoy, ShippedPorts, shipped};
use tests::listener::{Listener, bootstrap};
use tests::merit::Merit;
use tests::ports;
use tests::process::until;
use tests::prompt::{CHAT, MESSAGES, messages};

/// One decision: `small`, then `large`, judged by margin against 0.5.
fn policy(port: u16, server: &str, confidence: &str) -> String {
    format!(
        r#"version: v0.3
providers:
  defaults: {{default_model: small}}
  models:
    - {{name: small, provider_model_id: small-1b, backend_refs: [{{endpoint: "127.0.0.1:8000", api_key: key-of-small}}]}}
    - {{name: large, provider_model_id: large-70b, backend_refs: [{{endpoint: "127.0.0.1:8001"}}]}}
routing:
  modelCards: [{{name: large, param_size: 70b}}, {{name: small, param_size: 1b}}]
  signals:
    keywords: [{{name: never, operator: OR, keywords: [xyzzy]}}, {{name: secret, operator: OR, keywords: [secret]}}]
  boundaries: [{{name: secrets, when: {{type: keyword, name: secret}}, allow: {{models: [small]}}}}]
  decisions:
    - name: everyday
      priority: 10
      rules: {{operator: NOT, conditions: [{{type: keyword, name: never}}]}}
      modelRefs: [{{model: small}}, {{model: large}}]
      algorithm: {{type: confidence, confidence: {{{confidence}}}}}
      plugins: [{{type: system_prompt, configuration: {{system_prompt: "Be brief."}}}}]
global:
  server: {{profile: route, {server}}}
  integrations: {{looper: {{endpoint: "http://127.0.0.1:{port}/v1/chat/completions"}}}}
"#
    )
}

async fn stage(server: &str, confidence: &str) -> Result<Stage> {
    staged(server, confidence, |bootstrap| bootstrap).await
}

async fn staged(
    server: &str,
    confidence: &str,
    change: impl Fn(String) -> String,
) -> Result<Stage> {
    let models = Models::start().await?;
    let [port] = ports::free()?;
    let merit = Merit::start(&policy(port, server, confidence)).await?;
    let ports = ShippedPorts {
        merit: merit.port(),
        small: models.small.address().port(),
        large: models.large.address().port(),
        calls: Some(port),
        ..ShippedPorts::default()
    };
    let envoy = Envoy::start(&change(shipped("escalate.yaml", &ports)?)).await?;
    Ok(Stage {
        models,
        merit,
        envoy,
    })
}

const MARGIN: &str = "confidence_method: margin, threshold: 0.5";

async fn ask(stage: &Stage, case: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let call = Call::post(CHAT, chat("Hello there")).header("x-case", case);
    let call = headers
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value));
    stage.call("clients", call).await
}

fn check_headers(answer: &Answer, expected: &[(&str, &str)]) -> Result<()> {
    ensure!(
        answer.status.is_success(),
        "answered {}: {}",
        answer.status,
        answer.text()
    );
    for (name, value) in expected {
        ensure!(
            answer.header(name) == *value,
            "{name} is {:?}, not {value:?}: {:?}",
            answer.header(name),
            answer.headers
        );
    }
    Ok(())
}

/// The models that the backends were asked for, in order of backend.
fn asked(stage: &Stage, case: &str) -> Vec<String> {
    stage
        .models
        .seen_in(case)
        .iter()
        .map(|seen| seen.model())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_answer_leads_to_the_next_model() -> Result<()> {
    let stage = stage("", MARGIN).await?;
    let weak = [
        ("x-script-small-margin", "1.2"),
        ("x-script-large-margin", "2.5"),
        ("authorization", "Bearer mine"),
    ];
    let answer = ask(&stage, "weak", &weak).await?;
    check_headers(
        &answer,
        &[
            ("x-vsr-response-path", "looper"),
            ("x-vsr-looper-model", "large"),
            ("x-vsr-looper-models-used", "small,large"),
            ("x-vsr-looper-iterations", "2"),
            ("x-vsr-looper-algorithm", "confidence"),
            ("x-vsr-looper-prompt-tokens", "22"),
            ("x-vsr-looper-completion-tokens", "8"),
            ("x-vsr-looper-total-tokens", "30"),
            ("x-vsr-selected-model", "large"),
            ("x-vsr-selected-decision", "everyday"),
            ("x-vsr-selected-algorithm", "confidence"),
            ("x-merit-degraded", ""),
            ("content-type", "application/json"),
        ],
    )?;
    let body = answer.json();
    ensure!(
        body["choices"][0]["message"]["content"]
            == "1 from large. 2 from large. 3 from large. 4 from large. "
    );
    ensure!(
        body["usage"]["total_tokens"] == 30 && body["model"] == "large",
        "{body}"
    );
    ensure!(
        asked(&stage, "weak") == ["small-1b", "large-70b"],
        "{:?}",
        asked(&stage, "weak")
    );
    for seen in stage.models.seen_in("weak") {
        let body = seen.json();
        ensure!(
            body["logprobs"] == true && body["top_logprobs"] == 2 && body["stream"].is_null(),
            "{body}"
        );
        ensure!(
            body["messages"][0]["content"] == "Be brief.",
            "plugins act on calls: {body}"
        );
        ensure!(
            seen.header("x-vsr-internal-auth").is_empty(),
            "the credential reached a backend"
        );
        let own = if seen.backend == "small" {
            "Bearer key-of-small"
        } else {
            "Bearer mine"
        };
        ensure!(
            seen.header("authorization") == own,
            "{} got {:?}",
            seen.backend,
            seen.header("authorization")
        );
    }
    let sure = ask(&stage, "sure", &[("x-script-margin", "2.5")]).await?;
    check_headers(
        &sure,
        &[
            ("x-vsr-looper-model", "small"),
            ("x-vsr-looper-iterations", "1"),
        ],
    )?;
    ensure!(
        stage
            .merit
            .sample("merit_looper_run_total{outcome=\"accepted\"}")
            .await?
            == 2.0
    );
    ensure!(
        stage
            .merit
            .sample("merit_looper_call_total{outcome=\"answered\"}")
            .await?
            == 3.0
    );
    ensure!(stage.merit.sample("merit_looper_running").await? == 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_valid_in_one_message_and_in_pieces() -> Result<()> {
    for server in ["", "extproc: {streamed_immediate: true}"] {
        let stage = stage(server, MARGIN).await?;
        let call = Call::post(CHAT, chat_stream("Hello there")).header("x-script-margin", "2.5");
        let answer = stage.call("clients", call).await?;
        check_headers(
            &answer,
            &[
                ("content-type", "text/event-stream"),
                ("x-vsr-looper-model", "small"),
            ],
        )?;
        let text = answer.text();
        let events: Vec<&str> = text.split_terminator("\n\n").collect();
        ensure!(events.last() == Some(&"data: [DONE]"), "{text}");
        let chunks: Vec<Value> = events[..events.len() - 1]
            .iter()
            .map(|event| {
                Ok(serde_json::from_str(
                    event.strip_prefix("data: ").context("no data")?,
                )?)
            })
            .collect::<Result<_>>()?;
        let content: String = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
            .collect();
        ensure!(
            content == "1 from small. 2 from small. 3 from small. 4 from small. ",
            "{text}"
        );
        ensure!(
            chunks
                .last()
                .is_some_and(|last| last["usage"]["total_tokens"] == 15),
            "{text}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_sdk() -> Result<()> {
    sdk::converse(&stage("", MARGIN).await?, "escalation").await
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_a_run_lose_nothing() -> Result<()> {
    let stage = stage("", MARGIN).await?;
    let failing = [
        ("x-script-small-margin", "0.1"),
        ("x-script-large-status", "500"),
    ];
    let answer = ask(&stage, "large-fails", &failing).await?;
    check_headers(
        &answer,
        &[
            ("x-vsr-looper-model", "small"),
            ("x-vsr-looper-models-used", "small"),
            ("x-vsr-looper-iterations", "2"),
        ],
    )?;
    let plain = ask(&stage, "no-probabilities", &[]).await?;
    check_headers(
        &plain,
        &[
            ("x-vsr-looper-model", "large"),
            ("x-merit-degraded", "looper=unjudged"),
        ],
    )?;
    let broken = ask(&stage, "all-fail", &[("x-script-status", "503")]).await?;
    check_refused(&broken, 503)?;
    ensure!(
        broken.text().contains("scripted"),
        "what the model said is told: {}",
        broken.text()
    );
    ensure!(broken.header("x-vsr-response-path") == "error");
    ensure!(
        stage
            .merit
            .sample("merit_looper_run_total{outcome=\"status\"}")
            .await?
            == 1.0
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_run_ends_with_the_first_fault() -> Result<()> {
    let stage = stage("", "confidence_method: margin, on_error: fail").await?;
    let answer = ask(
        &stage,
        "strict",
        &[
            ("x-script-small-status", "429"),
            ("x-script-large-margin", "9"),
        ],
    )
    .await?;
    check_refused(&answer, 429)?;
    ensure!(asked(&stage, "strict") == ["small-1b"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn spent_budgets_show() -> Result<()> {
    let stage = stage("looper: {max_calls: 1}", MARGIN).await?;
    let answer = ask(&stage, "calls", &[("x-script-margin", "0.1")]).await?;
    check_headers(
        &answer,
        &[
            ("x-vsr-looper-model", "small"),
            ("x-merit-degraded", "looper=calls_exhausted"),
        ],
    )?;
    ensure!(asked(&stage, "calls") == ["small-1b"]);
    drop(stage);
    let stage = self::stage("looper: {max_runs: 0}", MARGIN).await?;
    let answer = ask(&stage, "runs", &[]).await?;
    check_headers(
        &answer,
        &[
            ("x-vsr-response-path", "upstream"),
            ("x-merit-degraded", "looper=busy"),
        ],
    )?;
    ensure!(asked(&stage, "runs") == ["small-1b"]);
    drop(stage);
    let stage = self::stage("looper: {max_seconds: 1}", MARGIN).await?;
    let answer = ask(&stage, "time", &[("x-script-gate", "never")]).await?;
    check_refused(&answer, 504)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_credential_gains_nothing() -> Result<()> {
    let stage = stage("", MARGIN).await?;
    let sent = [
        ("x-vsr-internal-auth", "AQIBAAAA.AAAA"),
        ("x-vsr-looper-request", "true"),
        ("x-vsr-looper-decision", "everyday"),
        ("x-script-margin", "9"),
    ];
    for listener in ["clients", "calls"] {
        let call = Call::post(CHAT, chat("Hello there")).header("x-case", listener);
        let call = sent
            .iter()
            .fold(call, |call, (name, value)| call.header(name, value));
        // Routed like any other request: the decision runs, and the call is one of ours.
        let answer = stage.call(listener, call).await?;
        check_headers(
            &answer,
            &[
                ("x-vsr-response-path", "looper"),
                ("x-vsr-looper-model", "small"),
            ],
        )?;
        ensure!(asked(&stage, listener) == ["small-1b"]);
    }
    // The outer listener removes it before Merit sees it; the inner one leaves that to Merit.
    ensure!(
        stage
            .merit
            .metric("merit_looper_credential_void_total")
            .await?
            == 1.0
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_run() -> Result<()> {
    let stage = stage("", MARGIN).await?;
    let mut client = Client::connect(stage.envoy.listener("clients")?, Version::Http1).await?;
    let call = Call::post(CHAT, chat("Hello there"))
        .header("x-case", "left")
        .header("x-script-gate", "left");
    let mut pending = tokio::task::JoinSet::new();
    pending.spawn(async move { client.open(call).await.map(drop) });
    let limit = Duration::from_secs(10);
    let arrived = until("the first call", limit, async || {
        Ok((!asked(&stage, "left").is_empty()).then_some(()))
    });
    arrived.await?;
    ensure!(stage.merit.sample("merit_looper_running").await? == 1.0);
    pending.abort_all();
    let cancelled = until("the end of the run", limit, async || {
        let ended = stage
            .merit
            .sample("merit_looper_run_total{outcome=\"cancelled\"}")
            .await?;
        Ok((ended == 1.0).then_some(()))
    });
    cancelled.await?;
    ensure!(stage.merit.sample("merit_looper_running").await? == 0.0);
    ensure!(
        asked(&stage, "left") == ["small-1b"],
        "the next model was asked for nobody"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_run_is_possible_the_first_candidate_serves_the_request() -> Result<()> {
    let stage = stage("", MARGIN).await?;
    let other_wire = Call::json(MESSAGES, &messages("auto", "Hello there"));
    let answer = stage.call("clients", other_wire).await?;
    check_headers(
        &answer,
        &[
            ("x-merit-degraded", "looper=chat_only"),
            ("x-backend", "small"),
        ],
    )?;
    let several = chat("Hello there").replacen('{', "{\"n\":2,", 1);
    let answer = stage.call("clients", Call::post(CHAT, several)).await?;
    check_headers(
        &answer,
        &[
            ("x-merit-degraded", "looper=several_choices"),
            ("x-backend", "small"),
        ],
    )?;
    drop(stage);
    // Under BUFFERED the gateway waits 200 ms; and nobody listens where calls should go.
    let models = Models::start().await?;
    let [port] = ports::free()?;
    let merit = Merit::start(&policy(port, "", MARGIN)).await?;
    let listeners = [
        Listener::new("buffered", "BUFFERED"),
        Listener::new("duplex", "FULL_DUPLEX_STREAMED"),
    ];
    let envoy = Envoy::start(&bootstrap(&listeners, &models.backends(merit.address()))).await?;
    for (listener, reason) in [
        ("buffered", "looper=no_time"),
        ("duplex", "looper=unreachable"),
    ] {
        let call = Call::post(CHAT, chat("Hello there")).header("x-case", listener);
        let answer = client::call(envoy.listener(listener)?, call).await?;
        ensure!(
            answer.header("x-backend") == "small",
            "{listener}: {}",
            answer.text()
        );
        let series = format!(
            "merit_degraded_total{{signal=\"looper\",reason=\"{}\"}}",
            reason.trim_start_matches("looper=")
        );
        ensure!(merit.sample(&series).await? == 1.0, "{series}");
        ensure!(models.only(listener)?.model() == "small-1b");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_gateway_makes_runs_possible_under_buffered() -> Result<()> {
    let patient = |bootstrap: String| {
        let bootstrap = bootstrap.replace("FULL_DUPLEX_STREAMED", "BUFFERED");
        let bootstrap =
            bootstrap.replace("request_trailer_mode: SEND", "request_trailer_mode: SKIP");
        bootstrap.replace("message_timeout: 1s", "message_timeout: 20s")
    };
    let stage = staged("extproc: {buffered_deadline_ms: 15000}", MARGIN, patient).await?;
    let answer = ask(
        &stage,
        "patient",
        &[
            ("x-script-small-margin", "1.2"),
            ("x-script-large-margin", "2.5"),
        ],
    )
    .await?;
    check_headers(
        &answer,
        &[("x-vsr-looper-model", "large"), ("x-merit-degraded", "")],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_may_grade_its_own_answer() -> Result<()> {
    let stage = stage("", "confidence_method: self_verify").await?;
    let answer = ask(&stage, "graded", &[("x-script-pieces", "1")]).await?;
    // The sample backend's answers begin with 1, which is a grade.
    check_headers(
        &answer,
        &[
            ("x-vsr-looper-model", "small"),
            ("x-vsr-looper-iterations", "2"),
        ],
    )?;
    let seen = stage.models.seen_in("graded");
    ensure!(
        asked(&stage, "graded") == ["small-1b", "small-1b"] && seen[0].json()["logprobs"].is_null()
    );
    let grading = seen[1].json();
    let shown = grading["messages"]
        .as_array()
        .and_then(|list| list.last())
        .map(|last| last["content"].to_string());
    let shown = shown.unwrap_or_default();
    ensure!(
        shown.contains("Hello there") && shown.contains("1 from small."),
        "{grading}"
    );
    ensure!(
        grading["temperature"] == 0.1 && grading["max_tokens"] == 256,
        "{grading}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boundary_keeps_a_cascade_from_a_model() -> Result<()> {
    let stage = stage("", MARGIN).await?;
    let call = Call::post(CHAT, chat("a secret"))
        .header("x-case", "secret")
        .header("x-script-margin", "0.1");
    let answer = stage.call("clients", call).await?;
    check_headers(
        &answer,
        &[
            ("x-vsr-looper-model", "small"),
            ("x-vsr-looper-iterations", "1"),
        ],
    )?;
    ensure!(asked(&stage, "secret") == ["small-1b"]);
    Ok(())
}
