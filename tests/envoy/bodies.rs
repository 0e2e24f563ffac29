//! Bodies that are large, wrong or nonsense: the first are carried, the others refused in the client's own dialect before
//! any backend sees them.

use crate::stage::{Stage, chat, check_refused, check_routed, message};
use anyhow::{Context, Result, ensure};
use http::Method;
use tests::client::{Call, Version};
use tests::listener::Listener;
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
            ensure!(is_anthropic == (path == MESSAGES), "{case}: {}", answer.text());
            stage.models.untouched_by(&case)?;
        }
    }
    let answer = stage.call("duplex", Call::post(CHAT, chat("hello"))).await?;
    ensure!(answer.status == 200, "the next request got {}", answer.status);
    Ok(())
}

/// Method, path, body, status, and words of the message where the semantics fix them.
type Refusal = (Method, &'static str, Vec<u8>, u16, &'static str);

fn refusals() -> Vec<Refusal> {
    let post = |path, body: &str, status, says| (Method::POST, path, body.as_bytes().to_vec(), status, says);
    let deep = format!(
        r#"{{"model":"auto","messages":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let invalid = [
        br#"{"model":"auto","messages":[{"role":"user","content":""#.as_slice(),
        &[0xff, 0xfe],
        b"\"}]}",
    ]
    .concat();
    vec![
        post(CHAT, r#"{"model":"auto","#, 400, "malformed JSON body"),
        post(CHAT, "", 400, ""),
        post(CHAT, "[]", 400, ""),
        post(CHAT, "\"auto\"", 400, ""),
        post(CHAT, r#"{"model":"auto"}"#, 400, "messages field is required"),
        post(
            CHAT,
            r#"{"model":"auto","messages":{}}"#,
            400,
            "messages field must be an array",
        ),
        post(
            CHAT,
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
            400,
            "missing required field: model",
        ),
        post(
            CHAT,
            r#"{"model":7,"messages":[{"role":"user","content":"a"}]}"#,
            400,
            "model",
        ),
        post(
            CHAT,
            r#"{"model":"auto","stream":"yes","messages":[{"role":"user","content":"a"}]}"#,
            400,
            "stream",
        ),
        post(
            CHAT,
            r#"{"model":"auto","metadata":[],"messages":[{"role":"user","content":"a"}]}"#,
            400,
            "metadata",
        ),
        post(
            CHAT,
            r#"{"model":"auto","model":"small","messages":[{"role":"user","content":"a"}]}"#,
            400,
            "model",
        ),
        post(
            CHAT,
            r#"{"model":"auto","messages":[],"messages":[{"role":"user","content":"a"}]}"#,
            400,
            "messages",
        ),
        post(
            CHAT,
            r#"{"model":"no-such","messages":[{"role":"user","content":"a"}]}"#,
            400,
            "no-such",
        ),
        post(CHAT, &deep, 400, ""),
        (Method::POST, CHAT, invalid, 400, ""),
        post(
            MESSAGES,
            r#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}]}"#,
            400,
            "model field is required",
        ),
        post(MESSAGES, r#"{"model":"auto""#, 400, "malformed JSON body"),
        post("/v1/nonsense", r#"{"model":"auto"}"#, 404, "endpoint not found"),
        (Method::GET, CHAT, Vec::new(), 405, "method not allowed"),
        (Method::DELETE, CHAT, Vec::new(), 405, "method not allowed"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_clearly() -> Result<()> {
    let stage = stage().await?;
    for (number, (method, path, body, status, says)) in refusals().into_iter().enumerate() {
        for listener in ["duplex", "buffered"] {
            let start: String = String::from_utf8_lossy(&body).chars().take(60).collect();
            let case = format!("{listener}-{number} {method} {path} {}", start.escape_debug());
            let call = if method == Method::POST {
                Call::post(path, body.clone())
            } else {
                Call::bare(method.clone(), path)
            };
            let answer = stage
                .call(listener, call.header("x-case", &number.to_string()))
                .await
                .with_context(|| case.clone())?;
            check_refused(&answer, status).with_context(|| case.clone())?;
            ensure!(message(&answer.json()).contains(says), "{case}: {}", answer.text());
            stage.models.untouched_by(&number.to_string()).context(case)?;
        }
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

#[tokio::test(flavor = "multi_thread")]
async fn the_users_explicit_choice_passes_through() -> Result<()> {
    let stage = stage().await?;
    for (asked, model) in [("small", "small-1b"), ("large", "large-70b")] {
        let sent = tests::prompt::chat(asked, "please refactor this").to_string();
        let answer = stage
            .call("duplex", Call::post(CHAT, sent.clone()).header("x-case", asked))
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
