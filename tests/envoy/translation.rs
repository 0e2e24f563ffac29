//! Every client reaches every backend: requests, answers, streams and errors of each wire, translated
//! in each mode that shows the answer, and refused where none does.

use crate::sdk::converse;
use crate::stage::{Models, Stage};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::client::{Answer, Call, Events, Version};
use tests::listener::Listener;
use tests::merit::Settings;
use tests::policy;
use tests::prompt::{CHAT, MESSAGES, RESPONSES, chat, messages, responses, streamed, with_usage};

const MODES: [(&str, &str); 3] = [
    ("buffered", "BUFFERED"),
    ("streamed", "STREAMED"),
    ("duplex", "FULL_DUPLEX_STREAMED"),
];
const TEXT: &str = "1 from small. 2 from small. 3 from small. 4 from small. ";

/// The two models speak this API.
fn speaking(api_format: &str, server: &str) -> String {
    policy::with_server(server).replace(
        "      provider_model_id: ",
        &format!("      api_format: {api_format}\n      provider_model_id: "),
    )
}

/// Listeners of every mode that shows answers, and one of the mode that does not.
async fn stage(api_format: &str) -> Result<Stage> {
    let mut listeners = MODES
        .map(|(name, response_body)| Listener {
            response_body,
            ..Listener::new(name, "FULL_DUPLEX_STREAMED")
        })
        .to_vec();
    listeners.push(Listener {
        response_body: "STREAMED",
        ..Listener::new("buffered-request", "BUFFERED")
    });
    listeners.push(Listener::new("hidden", "FULL_DUPLEX_STREAMED"));
    let settings = Settings {
        document: speaking(api_format, "response: {restore_model: true}"),
        ..Settings::default()
    };
    Stage::with(&listeners, &settings).await
}

const SHOWN: [&str; 4] = ["buffered", "streamed", "duplex", "buffered-request"];

/// The wires that are not the backend's, by `api_format`.
fn foreign(api_format: &str) -> Vec<(&'static str, Value)> {
    let text = "Say something";
    let own = match api_format {
        "anthropic" => MESSAGES,
        "responses" => RESPONSES,
        _ => CHAT,
    };
    [
        (CHAT, chat("auto", text)),
        (RESPONSES, responses("auto", text)),
        (MESSAGES, messages("auto", text)),
    ]
    .into_iter()
    .filter(|(path, _)| *path != own)
    .collect()
}

const FORMATS: [(&str, &str); 3] = [
    ("anthropic", MESSAGES),
    ("openai", CHAT),
    ("responses", RESPONSES),
];

/// The text of a whole answer, and its prompt tokens, as the client's wire has them.
fn read(path: &str, answer: &Value) -> (String, Value) {
    let (text, tokens) = match path {
        CHAT => (
            &answer["choices"][0]["message"]["content"],
            &answer["usage"]["prompt_tokens"],
        ),
        RESPONSES => (
            &answer["output"][0]["content"][0]["text"],
            &answer["usage"]["input_tokens"],
        ),
        _ => (
            &answer["content"][0]["text"],
            &answer["usage"]["input_tokens"],
        ),
    };
    (text.as_str().unwrap_or_default().to_owned(), tokens.clone())
}

/// The data of a stream's events.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

/// The text of a stream, as the client's wire has it.
fn streamed_text(path: &str, events: &[Value]) -> String {
    let delta = |event: &Value| {
        let text = match (path, event["type"].as_str()) {
            (CHAT, _) => &event["choices"][0]["delta"]["content"],
            (RESPONSES, Some("response.output_text.delta")) => &event["delta"],
            (MESSAGES, Some("content_block_delta")) => &event["delta"]["text"],
            _ => &Value::Null,
        };
        text.as_str().map(str::to_owned)
    };
    events.iter().filter_map(delta).collect()
}

async fn ask(
    stage: &Stage,
    listener: &str,
    case: &str,
    path: &str,
    body: &Value,
) -> Result<Answer> {
    let call = Call::json(path, body)
        .header("x-case", case)
        .header("x-vsr-debug", "true")
        .header("accept-encoding", "gzip, br");
    stage.call(listener, call).await
}

/// The whole answer is on the client's wire, and the backend was asked on its own.
async fn check_answer(
    stage: &Stage,
    listener: &str,
    wire: &str,
    path: &str,
    body: &Value,
) -> Result<()> {
    let case = format!("{path} {wire} {listener}");
    let answer = ask(stage, listener, &case, path, body).await?;
    ensure!(answer.status == 200, "{case}: {}", answer.text());
    let (text, _) = read(path, &answer.json());
    ensure!(text == TEXT, "{case}: {}", answer.text());
    ensure!(
        answer.json()["model"] == "auto",
        "{case}: {}",
        answer.text()
    );
    ensure!(
        answer
            .header("content-type")
            .starts_with("application/json"),
        "{case}: {}",
        answer.header("content-type")
    );
    let length = answer.header("content-length");
    ensure!(
        length.is_empty() || length == answer.body.len().to_string(),
        "{case}: {length} bytes announced"
    );

    let seen = stage.models.only(&case)?;
    ensure!(seen.path == wire, "{case}: went to {}", seen.path);
    ensure!(seen.model() == "small-1b", "{case}: {}", seen.model());
    ensure!(seen.header("accept-encoding") == "identity", "{case}");
    let version = if wire == MESSAGES { "2023-06-01" } else { "" };
    ensure!(seen.header("anthropic-version") == version, "{case}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_answers_come_back_on_the_clients_wire() -> Result<()> {
    for (api_format, wire) in FORMATS {
        let stage = stage(api_format).await?;
        for (path, body) in foreign(api_format) {
            for listener in SHOWN {
                check_answer(&stage, listener, wire, path, &body).await?;
            }
        }
    }
    Ok(())
}

/// The stream is whole, and on the client's wire.
async fn check_stream(
    stage: &Stage,
    listener: &str,
    wire: &str,
    path: &str,
    body: &Value,
) -> Result<()> {
    let case = format!("{path} {wire} {listener}");
    let answer = ask(stage, listener, &case, path, body).await?;
    ensure!(answer.status == 200, "{case}: {}", answer.text());
    ensure!(
        answer
            .header("content-type")
            .starts_with("text/event-stream"),
        "{case}: {}",
        answer.header("content-type")
    );
    let events = events(&answer);
    ensure!(
        streamed_text(path, &events) == TEXT,
        "{case}: {}",
        answer.text()
    );
    let last = events.last().context("no event")?;
    let is_whole = match path {
        CHAT => last["usage"]["completion_tokens"] == 4,
        RESPONSES => last["type"] == "response.completed",
        _ => last["type"] == "message_stop",
    };
    ensure!(is_whole, "{case}: ends with {last}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_come_back_on_the_clients_wire() -> Result<()> {
    for (api_format, wire) in FORMATS {
        let stage = stage(api_format).await?;
        for (path, body) in foreign(api_format) {
            let mut body = streamed(body);
            if path == CHAT {
                body = with_usage(body);
            }
            for listener in SHOWN {
                check_stream(&stage, listener, wire, path, &body).await?;
            }
        }
    }
    Ok(())
}

/// Each event reaches the client before the backend sends the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_translated_event_by_event() -> Result<()> {
    let stage = stage("anthropic").await?;
    for listener in ["streamed", "duplex"] {
        let call =
            Call::json(CHAT, &streamed(chat("auto", "hello"))).header("x-script-gate", listener);
        let gate = stage.models.small.gate(listener);
        // The start of the message, its block, a ping and the first text.
        gate.open(4);
        let mut client = stage.connect(listener, Version::Http1).await?;
        let mut events = Events::new(client.open(call).await?);
        let mut got = String::new();
        while !got.contains("1 from small. ") {
            let event = events.next().await?.context("ended early")?;
            got.push_str(&String::from_utf8_lossy(&event));
        }
        ensure!(!got.contains("2 from small. "), "{listener}: {got}");
        gate.open(100);
        while let Some(event) = events.next().await? {
            got.push_str(&String::from_utf8_lossy(&event));
        }
        ensure!(got.ends_with("data: [DONE]\n\n"), "{listener}: {got}");
    }
    Ok(())
}

/// The error is on the client's wire, with what tells it when to come again.
async fn check_error(
    stage: &Stage,
    listener: &str,
    wire: &str,
    path: &str,
    body: &Value,
) -> Result<()> {
    let case = format!("{path} {wire} {listener}");
    let call = Call::json(path, body)
        .header("x-script-status", "429")
        .header("x-script-retry-after", "7");
    let answer = stage.call(listener, call).await?;
    ensure!(answer.status == 429, "{case}: {}", answer.status);
    ensure!(answer.header("retry-after") == "7", "{case}");
    let error = answer.json();
    let is_of_wire = match path {
        MESSAGES => error["type"] == "error" && error["error"]["type"] == "rate_limit_error",
        _ => error["type"].is_null() && error["error"].is_object(),
    };
    ensure!(is_of_wire, "{case}: {error}");
    let message = error["error"]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("scripted"), "{case}: {error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_back_on_the_clients_wire() -> Result<()> {
    for (api_format, wire) in FORMATS {
        let stage = stage(api_format).await?;
        for (path, body) in foreign(api_format) {
            for listener in SHOWN {
                check_error(&stage, listener, wire, path, &body).await?;
            }
        }
    }
    Ok(())
}

/// A stream that its backend cuts does not end as if it were whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_is_no_whole_answer() -> Result<()> {
    for (api_format, path, body, end) in [
        (
            "openai",
            MESSAGES,
            messages("auto", "hello"),
            "message_stop",
        ),
        (
            "openai",
            RESPONSES,
            responses("auto", "hello"),
            "response.completed",
        ),
        ("anthropic", CHAT, chat("auto", "hello"), "[DONE]"),
    ] {
        let stage = stage(api_format).await?;
        for listener in ["streamed", "duplex"] {
            let call = Call::json(path, &streamed(body.clone())).header("x-script-cut", "3");
            let mut client = stage.connect(listener, Version::Http1).await?;
            let mut events = Events::new(client.open(call).await?);
            let mut got = String::new();
            while let Ok(Some(event)) = events.next().await {
                got.push_str(&String::from_utf8_lossy(&event));
            }
            ensure!(!got.contains(end), "{path} {listener}: {got}");
        }
    }
    Ok(())
}

/// Losses are named to the client, and a translation that cannot be made is refused before anything
/// is sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_named() -> Result<()> {
    let stage = stage("anthropic").await?;
    let mut body = chat("auto", "hello");
    body["seed"] = json!(1);
    let answer = ask(&stage, "streamed", "lossy", CHAT, &body).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let warnings = answer.header("x-vsr-protocol-warnings");
    ensure!(warnings.contains(";seed"), "{warnings:?}");

    body["n"] = json!(2);
    let answer = ask(&stage, "streamed", "unfit", CHAT, &body).await?;
    ensure!(answer.status == 400, "{}: {}", answer.status, answer.text());
    stage.models.untouched_by("unfit")
}

/// Where answers are not shown nothing is translated, and nothing is sent on the wrong wire.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_translated_where_answers_are_hidden() -> Result<()> {
    for (api_format, wire) in FORMATS {
        let stage = stage(api_format).await?;
        for (path, body) in foreign(api_format) {
            let case = format!("{path} {wire}");
            let answer = ask(&stage, "hidden", &case, path, &body).await?;
            ensure!(
                answer.status == 400,
                "{case}: {} {}",
                answer.status,
                answer.text()
            );
            let message = answer.json()["error"]["message"].to_string();
            ensure!(
                message.contains("does not let the answer be changed"),
                "{case}: {message}"
            );
            stage.models.untouched_by(&case)?;
        }
        // The backend's own clients are served, byte for byte.
        let (path, body) = match wire {
            MESSAGES => (MESSAGES, messages("auto", "hello")),
            RESPONSES => (RESPONSES, responses("auto", "hello")),
            _ => (CHAT, chat("auto", "hello")),
        };
        let answer = ask(&stage, "hidden", wire, path, &body).await?;
        ensure!(answer.status == 200, "{wire}: {}", answer.text());
        let sent = body.to_string().replace("\"auto\"", "\"small-1b\"");
        let seen = stage.models.only(wire)?;
        ensure!(
            seen.body == sent,
            "{wire}: {}",
            String::from_utf8_lossy(&seen.body)
        );
    }
    Ok(())
}

/// Merit counts tokens itself where the model has no endpoint for it.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_without_the_backend() -> Result<()> {
    let stage = stage("openai").await?;
    let body =
        json!({"model": "auto", "messages": [{"role": "user", "content": "How many tokens?"}]});
    for listener in ["streamed", "hidden"] {
        let call = Call::json("/v1/messages/count_tokens", &body).header("x-case", listener);
        let answer = stage.call(listener, call).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        let tokens = answer.json()["input_tokens"].as_u64().context("no count")?;
        ensure!((3..60).contains(&tokens), "{tokens}");
        ensure!(answer.header("x-merit-estimated") == "input_tokens");
        stage.models.untouched_by(listener)?;
    }
    Ok(())
}

/// The SDKs hold the same conversations as with backends of their own wire.
async fn check_sdk(sdk: &'static str, api_format: &str) -> Result<()> {
    let document = speaking(api_format, "profile: observe");
    let stage = Stage::shipped_with("observe.yaml", &document, Models::start().await?).await?;
    converse(&stage, sdk).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_sdk_at_an_anthropic_backend() -> Result<()> {
    check_sdk("openai", "anthropic").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_sdk_at_a_responses_backend() -> Result<()> {
    check_sdk("openai", "responses").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_sdk_at_a_chat_backend() -> Result<()> {
    check_sdk("openai", "openai").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anthropic_sdk_at_a_chat_backend() -> Result<()> {
    check_sdk("anthropic", "openai").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anthropic_sdk_at_a_responses_backend() -> Result<()> {
    check_sdk("anthropic", "responses").await
}
