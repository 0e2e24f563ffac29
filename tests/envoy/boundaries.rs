//! Boundaries behind a real Envoy: a forbidden request reaches no model, whatever its wire and
//! however it names its model, and its client is told in its own protocol, once.

use crate::stage::{Models, Stage, chat, check_routed};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::client::{Answer, Call, push};
use tests::listener::Listener;
use tests::merit::Settings;
use tests::policy;
use tests::prompt::{CHAT, MESSAGES, messages};

const LISTENER: &str = "duplex";

/// `small` runs in the house and `large` does not. Secrets stay; so does what a judge calls risky,
/// who does not answer.
fn document() -> String {
    let placed = policy::two_models()
        .replace(
            "provider_model_id: small-1b",
            "provider_model_id: small-1b\n      location: house",
        )
        .replace(
            "provider_model_id: large-70b",
            "provider_model_id: large-70b\n      location: cloud",
        );
    let words = "      - {name: secret_words, operator: OR, keywords: [secret]}\n      - {name: doubt_words, operator: OR, keywords: [assess]}\n";
    let signals =
        "    classifiers:\n      - {name: risk, type: llm, model: judge, labels: [low, high]}\n";
    let boundaries = "  boundaries:
    - {name: secrets_stay, when: {type: keyword, name: secret_words}, allow: {locations: [house]}}
    - name: risks_stay
      when:
        operator: AND
        conditions:
          - {type: keyword, name: doubt_words}
          - {operator: NOT, conditions: [{type: classifier, name: risk, label: low, predicate: {gte: 0.5}}]}
      allow: {locations: [house]}
";
    let judge = "global: {model_catalog: {external: [{name: judge, location: house, llm_endpoint: {address: 127.0.0.1, port: 1}}]}}\n";
    let placed = placed.replace(
        "  decisions:\n",
        &format!("{words}{signals}{boundaries}  decisions:\n"),
    );
    format!("{placed}{judge}")
}

async fn stage() -> Result<Stage> {
    let settings = Settings {
        document: document(),
        ..Settings::default()
    };
    Stage::with(
        &[Listener::new(LISTENER, "FULL_DUPLEX_STREAMED")],
        &settings,
    )
    .await
}

/// 403, not to be tried again, with the name of the boundary and in the shape of the wire; no model
/// saw the request.
fn check_forbidden(answer: &Answer, models: &Models, case: &str, boundary: &str) -> Result<Value> {
    models.untouched_by(case)?;
    ensure!(
        answer.status == 403,
        "answered {}: {}",
        answer.status,
        answer.text()
    );
    ensure!(
        answer.header("x-should-retry") == "false",
        "would be tried again"
    );
    let body = answer.json();
    let message = body["error"]["message"].as_str().unwrap_or_default();
    ensure!(
        message.contains(&format!("\"{boundary}\"")),
        "does not name {boundary}: {message}"
    );
    ensure!(!message.contains("please"), "repeats the prompt: {message}");
    Ok(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forbidden_reaches_no_model() -> Result<()> {
    let stage = stage().await?;
    let concrete = |text: &str| tests::prompt::chat("large", text).to_string();
    let cases = [
        (
            "a candidate",
            chat("please refactor this secret"),
            "secrets_stay",
        ),
        (
            "a concrete name",
            concrete("please keep this secret"),
            "secrets_stay",
        ),
        (
            "a judge who does not answer",
            concrete("please assess this"),
            "risks_stay",
        ),
    ];
    for (case, sent, boundary) in cases {
        let answer = stage
            .call(LISTENER, Call::post(CHAT, sent).header("x-case", case))
            .await?;
        let body = check_forbidden(&answer, &stage.models, case, boundary).context(case)?;
        ensure!(
            body["error"]["type"] == "invalid_request_error",
            "{case}: not OpenAI's shape: {body}"
        );
    }
    let case = "anthropic";
    let call =
        Call::json(MESSAGES, &messages("large", "please keep this secret")).header("x-case", case);
    let answer = stage.call(LISTENER, call).await?;
    let body = check_forbidden(&answer, &stage.models, case, "secrets_stay")?;
    ensure!(
        body["type"] == "error" && body["error"]["type"] == "permission_error",
        "not Anthropic's shape: {body}"
    );
    let refused = stage
        .merit
        .sample("merit_boundary_refused_total{boundary=\"secrets_stay\"}")
        .await?;
    ensure!(refused == 3.0, "{refused} refusals were counted");
    let applied = stage
        .merit
        .sample("merit_boundary_applied_total{boundary=\"risks_stay\"}")
        .await?;
    ensure!(applied == 1.0, "risks_stay was applied {applied} times");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allowed_goes_on() -> Result<()> {
    let stage = stage().await?;
    let small = tests::prompt::chat("small", "keep this secret").to_string();
    let cases = [
        ("free", chat("please refactor this"), "large-70b"),
        ("stays", chat("keep this secret"), "small-1b"),
        ("named and allowed", small, "small-1b"),
        (
            "named and free",
            tests::prompt::chat("large", "hello").to_string(),
            "large-70b",
        ),
    ];
    for (case, sent, model) in cases {
        let answer = stage
            .call(
                LISTENER,
                Call::post(CHAT, sent.clone()).header("x-case", case),
            )
            .await?;
        let (name, _) = model.split_once('-').context("a model id has a size")?;
        let sent = sent.replacen(&format!("\"{name}\""), "\"auto\"", 1);
        check_routed(&answer, &stage.models.only(case)?, &sent, model).context(case)?;
    }
    Ok(())
}

/// No mode lets a body go on where nobody reads it; what has none does.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_on_paths_that_are_not_read_are_refused() -> Result<()> {
    let settings = Settings {
        document: document(),
        ..Settings::default()
    };
    let modes = [
        "FULL_DUPLEX_STREAMED",
        "BUFFERED",
        "BUFFERED_PARTIAL",
        "STREAMED",
        "NONE",
    ];
    let stage = Stage::with(&modes.map(|mode| Listener::new(mode, mode)), &settings).await?;
    for mode in modes {
        for path in ["/invocations", "/v1/batches"] {
            let case = format!("{mode} {path}");
            let call = Call::post(path, chat("keep this secret")).header("x-case", &case);
            let answer = stage.call(mode, call).await?;
            ensure!(answer.status == 404, "{case}: {}", answer.status);
            stage.models.untouched_by(&case)?;

            let case = format!("{mode} {path} without a length");
            let (mut body, call) = Call::open(path);
            push(&mut body, chat("keep this secret")).await?;
            drop(body);
            let answer = stage.call(mode, call.header("x-case", &case)).await?;
            let expected = if matches!(mode, "STREAMED" | "NONE") {
                500
            } else {
                404
            };
            ensure!(answer.status == expected, "{case}: {}", answer.status);
            stage.models.untouched_by(&case)?;
        }
        let case = format!("{mode} nothing");
        let call = Call::get("/version").header("x-case", &case);
        let answer = stage.call(mode, call).await?;
        ensure!(answer.status.is_success(), "{case}: {}", answer.status);
        stage.models.only(&case)?;
    }
    Ok(())
}
