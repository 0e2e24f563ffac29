//! Upstream failure on a real Envoy, on `envoy/fallback.yaml`: the next allowed model answers, and
//! gets nothing of the first's.

use crate::stage::{Models, Stage, chat, chat_stream, check_refused};
use anyhow::{Result, ensure};
use serde_json::Value;
use tests::client::{Answer, Call, Events, Version};
use tests::envoy::{Envoy, ShippedPorts, shipped};
use tests::merit::Merit;
use tests::ports;
use tests::prompt::{CHAT, MESSAGES, RESPONSES, messages, responses};

/// `code` prefers `large`, `everyday` prefers `small`; both know both. `alone` knows `small` only.
const POLICY: &str = r#"version: v0.3
providers:
  defaults:
    default_model: small
    reasoning_families: {qwen3: {type: chat_template_kwargs, parameter: enable_thinking}}
  models:
    - name: small
      provider_model_id: small-1b
      reasoning_family: qwen3
      backend_refs: [{endpoint: "127.0.0.1:8000", api_key: key-of-small, extra_headers: {x-org: org-of-small}}]
    - name: large
      provider_model_id: large-70b
      backend_refs: [{endpoint: "127.0.0.1:8001", api_key: key-of-large, auth_header: x-api-key}]
routing:
  modelCards: [{name: small}, {name: large}]
  signals:
    keywords:
      - {name: code_words, operator: OR, keywords: [refactor]}
      - {name: alone_words, operator: OR, keywords: [alone]}
      - {name: secret_words, operator: OR, keywords: [secret]}
  boundaries:
    - {name: secrets, when: {type: keyword, name: secret_words}, allow: {models: [small]}}
  decisions:
    - name: alone
      priority: 200
      rules: {operator: AND, conditions: [{type: keyword, name: alone_words}]}
      modelRefs: [{model: small}]
    - name: code
      priority: 100
      rules: {operator: AND, conditions: [{type: keyword, name: code_words}]}
      modelRefs: [{model: large}, {model: small}]
    - name: everyday
      priority: 10
      rules: {operator: NOT, conditions: [{type: keyword, name: code_words}]}
      modelRefs: [{model: small, use_reasoning: false}, {model: large}]
global:
  server: {profile: route, fallback: {enabled: true}}
"#;

async fn stage_with(policy: &str, dead: Option<u16>) -> Result<Stage> {
    stage_on(policy, dead, Ok).await
}

/// The same on a bootstrap that `edit` makes of `envoy/fallback.yaml`.
async fn stage_on(
    policy: &str,
    dead: Option<u16>,
    edit: impl FnOnce(String) -> Result<String>,
) -> Result<Stage> {
    let models = Models::start().await?;
    let merit = Merit::start(policy).await?;
    let ports = ShippedPorts {
        merit: merit.port(),
        small: dead.unwrap_or(models.small.address().port()),
        large: models.large.address().port(),
        ..ShippedPorts::default()
    };
    let bootstrap = edit(shipped("fallback.yaml", &ports)?)?;
    let envoy = Envoy::start(&bootstrap).await?;
    Ok(Stage {
        models,
        merit,
        envoy,
    })
}

async fn ask(stage: &Stage, case: &str, call: Call, headers: &[(&str, &str)]) -> Result<Answer> {
    let call = headers
        .iter()
        .fold(call.header("x-case", case), |call, (name, value)| {
            call.header(name, value)
        });
    stage.call("clients", call).await
}

/// What both backends got in a case, as `backend: model`.
fn asked(stage: &Stage, case: &str) -> Vec<String> {
    stage
        .models
        .seen_in(case)
        .iter()
        .map(|seen| format!("{}: {}", seen.backend, seen.model()))
        .collect()
}

fn check(answer: &Answer, backend: &str) -> Result<()> {
    ensure!(
        answer.status.is_success(),
        "answered {}: {}",
        answer.status,
        answer.text()
    );
    ensure!(
        answer.header("x-backend") == backend,
        "{:?} answered, not {backend}",
        answer.header("x-backend")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_model_answers_as_itself() -> Result<()> {
    let stage = stage_with(POLICY, None).await?;
    for status in ["500", "503", "429"] {
        let answer = ask(
            &stage,
            status,
            Call::post(CHAT, chat("Hello")),
            &[("x-script-small-status", status)],
        )
        .await?;
        check(&answer, "large")?;
        ensure!(
            asked(&stage, status) == ["small: small-1b", "large: large-70b"],
            "{:?}",
            asked(&stage, status)
        );
        let seen = stage.models.large.seen_in(status).remove(0);
        ensure!(
            seen.body == chat("Hello").replacen("auto", "large-70b", 1),
            "{}",
            String::from_utf8_lossy(&seen.body)
        );
        ensure!(seen.header("x-api-key") == "key-of-large");
        let headers = format!("{:?}", seen.headers);
        ensure!(
            !headers.contains("key-of-small") && !headers.contains("org-of-small"),
            "of small: {headers}"
        );
        ensure!(!headers.contains("x-merit-"), "{headers}");
        let first = stage.models.small.seen_in(status).remove(0);
        ensure!(first.header("authorization") == "Bearer key-of-small");
        // What the second attempt is told by does not reach the first backend, and replies name
        // the model that answers.
        let headers = format!("{:?}", first.headers);
        ensure!(!headers.contains("x-merit-"), "{headers}");
        ensure!(
            answer.header("x-vsr-selected-model") == "large",
            "{:?}",
            answer.header("x-vsr-selected-model")
        );
        ensure!(first.json()["chat_template_kwargs"]["enable_thinking"] == false);
    }
    let answer = ask(
        &stage,
        "code",
        Call::post(CHAT, chat("refactor")),
        &[("x-script-large-status", "502")],
    )
    .await?;
    check(&answer, "small")?;
    let seen = stage.models.small.seen_in("code").remove(0);
    ensure!(
        seen.header("authorization") == "Bearer key-of-small"
            && seen.header("x-api-key").is_empty()
    );
    ensure!(
        seen.json()["chat_template_kwargs"]["enable_thinking"] == false,
        "its own switch: {}",
        seen.json()
    );
    // Nothing fails, nothing is tried again.
    let answer = ask(&stage, "well", Call::post(CHAT, chat("Hello")), &[]).await?;
    check(&answer, "small")?;
    ensure!(answer.header("x-vsr-selected-model") == "small");
    ensure!(asked(&stage, "well") == ["small: small-1b"]);
    let seen = stage.models.only("well")?;
    let headers = format!("{:?}", seen.headers);
    ensure!(!headers.contains("x-merit-"), "{headers}");
    // A client's error is the client's.
    let answer = ask(
        &stage,
        "400",
        Call::post(CHAT, chat("Hello")),
        &[("x-script-status", "400")],
    )
    .await?;
    check_refused(&answer, 400)?;
    ensure!(asked(&stage, "400") == ["small: small-1b"]);
    ensure!(
        stage
            .merit
            .sample("merit_fallback_attempt_total{model=\"large\",outcome=\"sent\"}")
            .await?
            == 3.0
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_model_gets_what_the_client_asked_for() -> Result<()> {
    let stage = stage_with(POLICY, None).await?;
    let body = |model: &str| {
        let sent = chat("Hello").replacen("auto", model, 1);
        let open = sent.strip_suffix('}').unwrap_or_default();
        format!(r#"{open},"reasoning_effort":"high"}}"#)
    };
    let failing = [("x-script-small-status", "500")];
    let answer = ask(&stage, "wish", Call::post(CHAT, body("auto")), &failing).await?;
    check(&answer, "large")?;
    let first = stage.models.small.seen_in("wish").remove(0).json();
    ensure!(
        first["chat_template_kwargs"]["enable_thinking"] == false
            && first["reasoning_effort"].is_null(),
        "{first}"
    );
    let seen = stage.models.large.seen_in("wish").remove(0);
    ensure!(
        seen.body == body("large-70b"),
        "{}",
        String::from_utf8_lossy(&seen.body)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_model_is_tried_without_the_callers_credential() -> Result<()> {
    let policy = POLICY.replace(", api_key: key-of-large, auth_header: x-api-key", "");
    let stage = stage_with(&policy, None).await?;
    let failing = ("x-script-small-status", "500");
    for header in ["authorization", "x-api-key"] {
        let sent = [failing, (header, "of-the-caller")];
        let answer = ask(&stage, header, Call::post(CHAT, chat("Hello")), &sent).await?;
        check_refused(&answer, 500)?;
        ensure!(answer.header("x-merit-degraded") == "fallback=headers_replaced");
        ensure!(
            asked(&stage, header) == ["small: small-1b"],
            "{:?}",
            asked(&stage, header)
        );
    }

    // A caller without one loses none.
    let answer = ask(&stage, "none", Call::post(CHAT, chat("Hello")), &[failing]).await?;
    check(&answer, "large")?;
    let seen = stage.models.large.seen_in("none").remove(0);
    ensure!(seen.header("authorization").is_empty() && seen.header("x-org").is_empty());

    // The other way round the second model has a key of its own.
    let sent = [
        ("x-script-large-status", "500"),
        ("authorization", "of-the-caller"),
    ];
    let answer = ask(&stage, "own", Call::post(CHAT, chat("refactor")), &sent).await?;
    check(&answer, "small")?;
    let first = stage.models.large.seen_in("own").remove(0);
    let second = stage.models.small.seen_in("own").remove(0);
    ensure!(first.header("authorization") == "of-the-caller");
    ensure!(second.header("authorization") == "Bearer key-of-small");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_model_is_passed_over_by_streams_and_large_bodies_too() -> Result<()> {
    let [dead] = ports::free()?;
    let stage = stage_with(POLICY, Some(dead)).await?;
    let answer = ask(
        &stage,
        "stream",
        Call::post(CHAT, chat_stream("Hello")),
        &[],
    )
    .await?;
    check(&answer, "large")?;
    ensure!(answer.text().ends_with("data: [DONE]\n\n") && answer.text().contains("4 from large"));
    let long = "word ".repeat(400_000);
    let answer = ask(&stage, "long", Call::post(CHAT, chat(&long)), &[]).await?;
    check(&answer, "large")?;
    ensure!(stage.models.only("long")?.body.len() > 2_000_000);
    let answer = ask(
        &stage,
        "messages",
        Call::json(MESSAGES, &messages("auto", "Hello")),
        &[],
    )
    .await?;
    check(&answer, "large")?;
    ensure!(stage.models.only("messages")?.model() == "large-70b");
    Ok(())
}

/// Waits a second where the shipped bootstrap waits five minutes.
async fn impatient_stage() -> Result<Stage> {
    stage_on(POLICY, None, |bootstrap| {
        let waits = "per_try_idle_timeout: 300s";
        ensure!(bootstrap.contains(waits), "the bootstrap has no `{waits}`");
        Ok(bootstrap.replace(waits, "per_try_idle_timeout: 1s"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_goes_silent_is_left() -> Result<()> {
    let stage = impatient_stage().await?;
    let silent = ("x-script-small-gate", "never opened");

    // Before its first byte: the next model answers.
    let answer = ask(&stage, "before", Call::post(CHAT, chat("Hello")), &[silent]).await?;
    check(&answer, "large")?;
    ensure!(
        asked(&stage, "before") == ["small: small-1b", "large: large-70b"],
        "{:?}",
        asked(&stage, "before")
    );

    // After it: the client has a part of an answer, which no other model may go on with.
    let call = Call::post(CHAT, chat_stream("Hello"))
        .header("x-case", "after")
        .header(silent.0, silent.1);
    let mut client = stage.connect("clients", Version::Http1).await?;
    let mut events = Events::new(client.open(call).await?);
    ensure!(events.next().await?.is_some(), "no first event came");
    ensure!(
        events.next().await.is_err(),
        "the answer that was cut looks whole"
    );
    ensure!(
        asked(&stage, "after") == ["small: small-1b"],
        "{:?}",
        asked(&stage, "after")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_other_model_may_serve_the_error_comes_through() -> Result<()> {
    let [dead] = ports::free()?;
    let stage = stage_with(POLICY, Some(dead)).await?;
    // One candidate; a boundary; an explicit choice; a wire whose history may lie with the
    // provider.
    let calls = [
        ("boundary", Call::post(CHAT, chat("a secret"))),
        ("alone", Call::post(CHAT, chat("alone"))),
        (
            "explicit",
            Call::post(CHAT, chat("Hello").replacen("auto", "small", 1)),
        ),
        (
            "responses",
            Call::json(RESPONSES, &responses("auto", "Hello")),
        ),
    ];
    for (case, call) in calls {
        let answer = ask(&stage, case, call, &[]).await?;
        check_refused(&answer, 503)?;
        ensure!(
            answer.json()["error"]["type"] == "server_error",
            "{}",
            answer.text()
        );
        stage.models.untouched_by(case)?;
    }
    // A client cannot ask for it, nor pose as an attempt.
    let forged = [
        ("x-merit-fallback-model", "large"),
        ("x-merit-attempt-model", "large"),
        ("x-merit-fallback-recipe", "default"),
        ("x-merit-fallback-decision", "everyday"),
        ("x-merit-attempt", "true"),
    ];
    let answer = ask(&stage, "forged", Call::post(CHAT, chat("alone")), &forged).await?;
    check_refused(&answer, 503)?;
    stage.models.untouched_by("forged")
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_fail_the_last_error_is_told() -> Result<()> {
    let stage = stage_with(POLICY, None).await?;
    let failing = [
        ("x-script-small-status", "500"),
        ("x-script-large-status", "429"),
    ];
    let answer = ask(&stage, "both", Call::post(CHAT, chat("Hello")), &failing).await?;
    check_refused(&answer, 429)?;
    ensure!(asked(&stage, "both") == ["small: small-1b", "large: large-70b"]);
    drop(stage);
    let [dead] = ports::free()?;
    let stage = stage_with(POLICY, Some(dead)).await?;
    let answer = ask(
        &stage,
        "dead",
        Call::json(MESSAGES, &messages("auto", "alone")),
        &[],
    )
    .await?;
    let body: Value = answer.json();
    ensure!(
        answer.status == 503 && body["type"] == "error" && body["error"]["type"] == "api_error",
        "{}",
        answer.text()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_token_counts_are_tried_elsewhere_too() -> Result<()> {
    let stage = stage_with(POLICY, None).await?;
    let failing = [("x-script-small-status", "500")];
    let counted = r#"{"model":"auto","messages":[{"role":"user","content":"Hello"}]}"#;
    for (case, path, body) in [
        (
            "completions",
            "/v1/completions",
            r#"{"model":"auto","prompt":"Hello"}"#,
        ),
        ("count", "/v1/messages/count_tokens", counted),
    ] {
        let call = Call::post(path, body.to_owned());
        let answer = ask(&stage, case, call, &failing).await?;
        check(&answer, "large")?;
        ensure!(
            asked(&stage, case) == ["small: small-1b", "large: large-70b"],
            "{:?}",
            asked(&stage, case)
        );
        let seen = stage.models.large.seen_in(case).remove(0);
        ensure!(
            seen.header("x-api-key") == "key-of-large" && seen.header("authorization").is_empty()
        );
        ensure!(seen.body == body.replacen("auto", "large-70b", 1));
    }
    // Vectors of two models do not compare.
    let named = r#"{"model":"small","input":"Hello"}"#;
    let call = Call::post("/v1/embeddings", named.to_owned());
    let answer = ask(&stage, "vectors", call, &failing).await?;
    check_refused(&answer, 500)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_that_headers_cannot_carry_is_told() -> Result<()> {
    let stage = stage_with(POLICY, None).await?;
    let sent = chat("Hello");
    let open = sent.strip_suffix('}').unwrap_or_default();
    let long = "x".repeat(9_000);
    let body = format!(r#"{open},"chat_template_kwargs":{{"a":"{long}"}}}}"#);
    let failing = [("x-script-small-status", "500")];
    let answer = ask(&stage, "long", Call::post(CHAT, body), &failing).await?;
    check_refused(&answer, 500)?;
    ensure!(
        answer.header("x-merit-degraded") == "fallback=body_too_long",
        "{:?}",
        answer.header("x-merit-degraded")
    );
    ensure!(asked(&stage, "long") == ["small: small-1b"]);
    Ok(())
}

/// A gateway whose filter of attempts does not share Merit's metadata tries again all the same.
#[tokio::test(flavor = "multi_thread")]
async fn headers_carry_an_attempt_where_metadata_is_not_shared() -> Result<()> {
    let stage = stage_on(POLICY, None, |bootstrap| {
        let shared = "forwarding_namespaces: {untyped: [merit]}";
        ensure!(
            bootstrap.contains(shared),
            "the bootstrap has no `{shared}`"
        );
        Ok(bootstrap.replace(shared, "forwarding_namespaces: {untyped: [other]}"))
    })
    .await?;
    let failing = [("x-script-small-status", "500")];
    let answer = ask(&stage, "apart", Call::post(CHAT, chat("Hello")), &failing).await?;
    check(&answer, "large")?;
    let seen = stage.models.large.seen_in("apart").remove(0);
    ensure!(!format!("{:?}", seen.headers).contains("x-merit-"));
    Ok(())
}
