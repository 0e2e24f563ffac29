//! Endpoints beside those of conversations: the model that a request names gets it, under the name
//! that it has there.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use http::Method;
use http_body_util::{BodyExt, Full};
use std::io;
use tests::client::Call;
use tests::listener::Listener;
use tests::prompt::{RESPONSES, responses};

const MODES: [&str; 2] = ["FULL_DUPLEX_STREAMED", "BUFFERED"];

async fn stage() -> Result<Stage> {
    Stage::new(&MODES.map(|mode| Listener::new(mode, mode))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_model_gets_what_is_asked_beside_conversations() -> Result<()> {
    let stage = stage().await?;
    for mode in MODES {
        for (path, body) in [
            ("/v1/completions", r#"{"model":"large","prompt":"hi"}"#),
            ("/v1/embeddings?x=y", r#"{"model":"large","input":["hi"]}"#),
            (
                "/v2/rerank",
                r#"{"model":"large","query":"a","documents":["b"]}"#,
            ),
            (
                "/v1/images/generations",
                r#"{"model":"large","prompt":"a cat"}"#,
            ),
        ] {
            let case = format!("{mode} {path}");
            let call = Call::post(path, body.to_owned()).header("x-case", &case);
            let answer = stage.call(mode, call).await?;
            ensure!(answer.header("x-backend") == "large", "{case}");
            let seen = stage.models.only(&case)?;
            ensure!(seen.path == path, "{case}: {}", seen.path);
            let expected = body.replace("large", "large-70b");
            ensure!(seen.body == expected, "{case}: {:?}", seen.body);
        }
        let case = format!("{mode} auto");
        let call = Call::post(
            "/v1/embeddings",
            r#"{"model":"auto","input":"hi"}"#.to_owned(),
        );
        let answer = stage.call(mode, call.header("x-case", &case)).await?;
        ensure!(answer.status == 400, "{case}: {}", answer.status);
        stage.models.untouched_by(&case)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_names_its_model() -> Result<()> {
    let stage = stage().await?;
    let part = |name: &str, data: &str| {
        format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{data}\r\n")
    };
    let sound = "\0\u{1}sound".repeat(100_000);
    let form = |model: &str| part("file", &sound) + &part("model", model) + "--x--\r\n";
    for mode in MODES {
        let body = Full::new(form("large").into()).map_err(io::Error::other);
        let path = "/v1/audio/transcriptions";
        let call = Call::new(Method::POST, path, body.boxed_unsync());
        let call = call.header("content-type", "multipart/form-data; boundary=x");
        let answer = stage.call(mode, call.header("x-case", mode)).await?;
        ensure!(
            answer.header("x-backend") == "large",
            "{mode}: {}",
            answer.text()
        );
        let seen = stage.models.only(mode)?;
        ensure!(seen.body == form("large-70b"), "{mode}: another form");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_in_the_path_is_the_model() -> Result<()> {
    let stage = stage().await?;
    for mode in MODES {
        for (deployment, text, backend, path) in [
            ("large", "hi", "large", "large-70b"),
            ("auto", "hi", "small", "small-1b"),
            ("auto", "refactor this", "large", "large-70b"),
        ] {
            let case = format!("{mode} {deployment} {text}");
            let of =
                |name: &str| format!("/openai/deployments/{name}/chat/completions?api-version=1");
            let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
            let call = Call::post(&of(deployment), body.clone()).header("x-case", &case);
            let answer = stage.call(mode, call).await?;
            ensure!(answer.header("x-backend") == backend, "{case}");
            let seen = stage.models.only(&case)?;
            ensure!(seen.path == of(path), "{case}: {}", seen.path);
            ensure!(seen.body == body, "{case}: {:?}", seen.body);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_response_is_asked_for_where_it_lives() -> Result<()> {
    for (bootstrap, backend, degraded) in [
        ("observe.yaml", "large", ""),
        ("route.yaml", "small", "provider_state=unknown_owner"),
    ] {
        let stage = Stage::shipped(bootstrap).await?;
        let made = Call::json(RESPONSES, &responses("auto", "refactor this"));
        let answer = stage.call("clients", made).await?;
        ensure!(answer.header("x-backend") == "large", "{bootstrap}");
        let id = answer.json()["id"].as_str().unwrap_or_default().to_owned();
        for (method, end) in [
            (Method::GET, ""),
            (Method::POST, "/cancel"),
            (Method::DELETE, ""),
        ] {
            let path = format!("{RESPONSES}/{id}{end}");
            let case = format!("{bootstrap} {method} {path}");
            let answer = stage.call("clients", Call::bare(method, &path)).await?;
            ensure!(answer.header("x-backend") == backend, "{case}");
            let shown = answer.header("x-merit-degraded");
            ensure!(shown == degraded, "{case}: {shown}");
        }
        let other = Call::get(&format!("{RESPONSES}/{id}")).header("authorization", "Bearer other");
        let answer = stage.call("clients", other).await?;
        ensure!(
            answer.header("x-backend") == "small",
            "{bootstrap}: another caller's"
        );
        let shown = answer.header("x-merit-degraded");
        ensure!(
            shown == "provider_state=unknown_owner",
            "{bootstrap}: {shown}"
        );
    }
    Ok(())
}
