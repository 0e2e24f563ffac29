//! Bodies that are large, wrong or nonsense: the first are carried, the others refused in the
//! client's own dialect before any backend sees them.

use crate::stage::{Stage, chat, check_refused, check_routed, message};
use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use std::io::Write;
use tests::client::{Call, Version};
use tests::listener::Listener;
use tests::policy;
use tests::prompt::{CHAT, MESSAGES, RESPONSES};

const MB: usize = 1 << 20;

async fn stage() -> Result<Stage> {
    let buffered = Listener {
        buffer_limit: Some(80 << 20),
        ..Listener::new("buffered", "BUFFERED")
    };
    Stage::new(&[Listener::new("duplex", "FULL_DUPLEX_STREAMED"), buffered]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn five_megabytes_are_routed() -> Result<()> {
    let stage = stage().await?;
    stage
        .merit
        .reload(&policy::two_models().replace("131072", "4000000"))
        .await?;
    let sent = chat(&"refactor ".repeat(5 * MB / 9));
    for (listener, version) in [
        ("duplex", Version::Http1),
        ("duplex", Version::Http2),
        ("buffered", Version::Http1),
    ] {
        let case = format!("{listener}-{version:?}");
        let call = Call::post(CHAT, sent.clone()).header("x-case", &case);
        let answer = stage
            .connect(listener, version)
            .await?
            .call(call)
            .await
            .with_context(|| case.clone())?;
        check_routed(&answer, &stage.models.only(&case)?, &sent, "large-70b").context(case)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_megabytes_are_refused_in_the_clients_dialect() -> Result<()> {
    let stage = stage().await?;
    let sent = chat(&"word ".repeat(64 * MB / 5));
    for (listener, version) in [
        ("duplex", Version::Http1),
        ("duplex", Version::Http2),
        ("buffered", Version::Http1),
    ] {
        for path in [CHAT, RESPONSES, MESSAGES] {
            let case = format!("{listener}-{version:?}-{path}");
            let call = Call::post(path, sent.clone()).header("x-case", &case);
            let answer = stage
                .connect(listener, version)
                .await?
                .call(call)
                .await
                .with_context(|| case.clone())?;
            check_refused(&answer, 413).with_context(|| case.clone())?;
            let is_anthropic = answer.json()["type"] == "error";
            ensure!(
                is_anthropic == (path == MESSAGES),
                "{case}: {}",
                answer.text()
            );
            stage.models.untouched_by(&case)?;
        }
    }
    let answer = stage
        .call("duplex", Call::post(CHAT, chat("hello")))
        .await?;
    ensure!(
        answer.status == 200,
        "the next request got {}",
        answer.status
    );
    Ok(())
}

/// What is posted, and words of the message where the semantics fix them. The status is 400.
const MALFORMED: [(&str, &str, &str); 14] = [
    (CHAT, r#"{"model":"auto","#, "malformed JSON body"),
    (CHAT, "", ""),
    (CHAT, "[]", ""),
    (CHAT, r#""auto""#, ""),
    (CHAT, r#"{"model":"auto"}"#, "messages field is required"),
    (
        CHAT,
        r#"{"model":"auto","messages":{}}"#,
        "messages field must be an array",
    ),
    (
        CHAT,
        r#"{"messages":[{"role":"user","content":"a"}]}"#,
        "missing required field: model",
    ),
    (
        CHAT,
        r#"{"model":7,"messages":[{"role":"user","content":"a"}]}"#,
        "model",
    ),
    (
        CHAT,
        r#"{"model":"auto","stream":"yes","messages":[{"role":"user"}]}"#,
        "stream",
    ),
    (
        CHAT,
        r#"{"model":"auto","metadata":[],"messages":[{"role":"user"}]}"#,
        "metadata",
    ),
    (
        CHAT,
        r#"{"model":"auto","model":"small","messages":[{"role":"user"}]}"#,
        "model",
    ),
    (
        CHAT,
        r#"{"model":"auto","messages":[],"messages":[{"role":"user"}]}"#,
        "messages",
    ),
    (
        MESSAGES,
        r#"{"max_tokens":1,"messages":[{"role":"user"}]}"#,
        "model field is required",
    ),
    (MESSAGES, r#"{"model":"auto""#, "malformed JSON body"),
];

/// Everything is sent through both modes, and no backend sees any of it.
async fn check_nonsense(
    stage: &Stage,
    call: impl Fn() -> Call,
    status: u16,
    says: &str,
) -> Result<()> {
    for listener in ["duplex", "buffered"] {
        let answer = stage
            .call(listener, call().header("x-case", "nonsense"))
            .await
            .context(listener)?;
        check_refused(&answer, status).context(listener)?;
        ensure!(
            message(&answer.json()).contains(says),
            "{listener}: {}",
            answer.text()
        );
        stage.models.untouched_by("nonsense").context(listener)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_are_refused_clearly() -> Result<()> {
    let stage = stage().await?;
    for (path, body, says) in MALFORMED {
        let checked = check_nonsense(&stage, || Call::post(path, body), 400, says).await;
        checked.with_context(|| format!("{path} {body}"))?;
    }
    let deep = format!(
        r#"{{"model":"auto","messages":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let checked = check_nonsense(&stage, || Call::post(CHAT, deep.clone()), 400, "").await;
    checked.context("deep nesting")?;
    let start = br#"{"model":"auto","messages":[{"role":"user","content":""#;
    let invalid = [start.as_slice(), &[0xff, 0xfe], b"\"}]}"].concat();
    let checked = check_nonsense(&stage, || Call::post(CHAT, invalid.clone()), 400, "").await;
    checked.context("invalid UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_refused_clearly() -> Result<()> {
    let stage = stage().await?;
    let nonsense = || Call::post("/v1/v1/chat/completions", r#"{"model":"auto"}"#);
    check_nonsense(&stage, nonsense, 404, "endpoint not found").await?;
    for method in [Method::GET, Method::DELETE] {
        check_nonsense(
            &stage,
            || Call::bare(method.clone(), CHAT),
            405,
            "method not allowed",
        )
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_but_valid_requests_are_routed() -> Result<()> {
    let stage = stage().await?;
    let bodies = [
        (r#"{"model":"auto","messages":[]}"#, "small-1b"),
        (
            r#" { "messages" : [ {"content":"refactor","role":"user"} ] , "model" : "auto" , "x" : 1e400 } "#,
            "large-70b",
        ),
        (
            r#"{"model":"auto","messages":[{"role":"user","content":"\ud83d\ude00 refactor 重构"}],"seed":12345678901234567890123}"#,
            "large-70b",
        ),
        (
            r#"{"model":"auto","messages":[{"role":"user","content":[{"type":"text","text":"refactor"},{"type":"new","a":[]}]}]}"#,
            "large-70b",
        ),
    ];
    for (number, (sent, model)) in bodies.into_iter().enumerate() {
        let case = format!("odd-{number}");
        let answer = stage
            .call("duplex", Call::post(CHAT, sent).header("x-case", &case))
            .await?;
        check_routed(&answer, &stage.models.only(&case)?, sent, model).context(case)?;
    }
    Ok(())
}

/// A body in gzip.
fn gzip(body: &str) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes())?;
    Ok(encoder.finish()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_are_routed() -> Result<()> {
    let stage = stage().await?;
    let sent = chat(&"please refactor this ".repeat(20_000));
    for listener in ["duplex", "buffered"] {
        let case = format!("gzip-{listener}");
        let call = Call::post(CHAT, gzip(&sent)?)
            .header("x-case", &case)
            .header("content-encoding", "gzip");
        let answer = stage.call(listener, call).await?;
        let seen = stage.models.only(&case)?;
        // The model's name changed, so the body goes on in the plain.
        check_routed(&answer, &seen, &sent, "large-70b").context(case)?;
        ensure!(
            seen.header("content-encoding").is_empty(),
            "{listener}: the plain body is said to be compressed"
        );

        let broken = || Call::post(CHAT, sent.clone()).header("content-encoding", "gzip");
        check_nonsense(&stage, broken, 400, "is not valid gzip").await?;
        let unknown = || Call::post(CHAT, sent.clone()).header("content-encoding", "compress");
        check_nonsense(&stage, unknown, 415, "is not supported").await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_understood_as_clients_spell_them() -> Result<()> {
    let stage = stage().await?;
    for (number, name) in ["AUTO", "openai/auto", "auto[1m]"].into_iter().enumerate() {
        let case = format!("name-{number}");
        let sent = tests::prompt::chat(name, "please refactor this").to_string();
        let call = Call::post(CHAT, sent).header("x-case", &case);
        let answer = stage.call("duplex", call).await?;
        ensure!(
            answer.header("x-backend") == "large",
            "{name}: {} {}",
            answer.status,
            answer.text()
        );
        ensure!(stage.models.only(&case)?.model() == "large-70b", "{name}");
    }

    // Each wire says in its own words that it has no such model.
    let unknown = tests::prompt::chat("gpt-17", "Hello").to_string();
    let answer = stage.call("duplex", Call::post(CHAT, unknown)).await?;
    check_refused(&answer, 404)?;
    let error = &answer.json()["error"];
    ensure!(
        error["code"] == "model_not_found" && error["param"] == "model",
        "{error}"
    );
    let unknown = tests::prompt::messages("claude-17", "Hello");
    let answer = stage.call("duplex", Call::json(MESSAGES, &unknown)).await?;
    check_refused(&answer, 404)?;
    ensure!(
        answer.json()["error"]["type"] == "not_found_error",
        "{}",
        answer.text()
    );

    // Codex asks with its version, and wants a member of its own.
    let list = stage
        .call("duplex", Call::get("/v1/models?client_version=0.169.0"))
        .await?;
    ensure!(
        list.json()["models"] == serde_json::json!([]) && list.json()["data"][0].is_object(),
        "{}",
        list.text()
    );
    Ok(())
}

/// A browser asks first whether it may. Envoy's cors filter answers where a route has a policy;
/// elsewhere the backend is asked, and nothing is read.
#[tokio::test(flavor = "multi_thread")]
async fn preflights_pass() -> Result<()> {
    let stage = Stage::shipped("route.yaml").await?;
    let call = Call::bare(Method::OPTIONS, CHAT)
        .header("x-case", "preflight")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST");
    let answer = stage.call("clients", call).await?;
    ensure!(
        stage.models.only("preflight")?.method == Method::OPTIONS,
        "answered {}",
        answer.status
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_explicit_choice_passes_through() -> Result<()> {
    let stage = stage().await?;
    for (asked, model) in [("small", "small-1b"), ("large", "large-70b")] {
        let sent = tests::prompt::chat(asked, "please refactor this").to_string();
        let answer = stage
            .call(
                "duplex",
                Call::post(CHAT, sent.clone()).header("x-case", asked),
            )
            .await?;
        ensure!(
            answer.header("x-backend") == asked,
            "{asked}: {} {}",
            answer.status,
            answer.text()
        );
        ensure!(
            stage.models.only(asked)?.model() == model,
            "{asked}: the provider's name is not in the body"
        );
    }
    Ok(())
}
