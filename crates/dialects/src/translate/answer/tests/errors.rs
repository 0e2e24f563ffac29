//! Failures of backends, as the clients get them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

proptest! {
    /// Whatever a backend sends, the client gets events that it can read, with an end, and a body
    /// that is JSON.
    #[test]
    fn any_bytes_give_an_end(
        seed in 0..3usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..9),
    ) {
        for reply in directions() {
            let mut bytes = super::streams::sample(DIALECTS[seed]).as_bytes().to_vec();
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let events = events(&stream(&reply, [bytes.as_slice()]));
            prop_assert!(!events.is_empty());
            let (Ok(body) | Err(body)) = reply.body(&bytes, 7);
            prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
            let error = reply.error(500, &bytes, None);
            prop_assert!(serde_json::from_slice::<Value>(&error).is_ok());
        }
    }
}

/// Returns the message of the error that a stream ends with.
fn last_error(client: Dialect, stream: &str) -> String {
    let events = events(stream);
    let (name, last) = events.last().unwrap();
    let error = match client {
        Dialect::OpenAiChat => {
            assert!(stream.ends_with("data: [DONE]\n\n"));
            &last["error"]
        }
        Dialect::OpenAiResponses => {
            assert_eq!(name, "response.failed");
            assert_eq!(last["response"]["status"], "failed");
            &last["response"]["error"]
        }
        Dialect::AnthropicMessages => {
            assert_eq!(name, "error");
            &last["error"]
        }
    };
    error["message"].as_str().unwrap_or("nothing").to_owned()
}

#[test]
fn bad_streams_end_with_an_error() {
    let chunk = r#"{"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let cut = "ended the stream before its answer was complete";
    let huge = format!("data: {}\n\n", "x".repeat(2 << 20));
    let cases = [
        (String::new(), "holds no answer"),
        ("<html>502</html>".to_owned(), "holds no answer"),
        (data(&["[DONE]"]), "before it began"),
        (data(&[chunk]), cut),
        (data(&[chunk, "{\"choices\""]), "cannot be read"),
        (
            data(&[chunk, r#"{"error":{"message":"broke","code":"e"}}"#]),
            "broke",
        ),
        (
            format!(
                "{}event: error\ndata: {{\"message\":\"broke\"}}\n\n",
                data(&[chunk])
            ),
            "broke",
        ),
        (
            data(&[
                chunk,
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}"#,
            ]),
            "failed before",
        ),
        (huge, "too large"),
    ];
    for client in [Dialect::AnthropicMessages, Dialect::OpenAiResponses] {
        let reply = reply(Dialect::OpenAiChat, client);
        for (text, expected) in &cases {
            let found = last_error(client, &whole_stream(&reply, text));
            assert!(found.contains(expected), "{found}");
        }
    }
}

#[test]
fn errors_within_streams() {
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let chat = whole_stream(
        &reply(Dialect::AnthropicMessages, Dialect::OpenAiChat),
        overloaded,
    );
    assert_eq!(
        events(&chat).last().unwrap().1,
        json!({"error": {"message": "Overloaded", "type": "server_error", "param": null, "code": "overloaded_error"}})
    );

    let failed = data(&[
        r#"{"type":"response.created","response":{"id":"resp_1"}}"#,
        r#"{"type":"response.failed","response":{"id":"resp_1","status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"}}}"#,
    ]);
    let message = whole_stream(
        &reply(Dialect::OpenAiResponses, Dialect::AnthropicMessages),
        &failed,
    );
    assert_eq!(
        events(&message).last().unwrap().1,
        json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
    );

    let overflow = data(&[r#"{"error":{"message":"maximum context length is 8","code":400}}"#]);
    let response = whole_stream(
        &reply(Dialect::OpenAiChat, Dialect::OpenAiResponses),
        &overflow,
    );
    let (_, last) = events(&response).pop().unwrap();
    assert_eq!(last["response"]["error"]["code"], "context_length_exceeded");
}

#[test]
fn bad_bodies() {
    let cases = [
        ("", "an empty body"),
        (" \n", "an empty body"),
        ("<html><body>Bad gateway</body></html>", "HTML"),
        ("{\"id\":\"x\",\"choices\":[{\"mess", "cut off or broken"),
        ("upstream connect error", "not JSON"),
        ("{}", "no answer"),
        ("[]", "cannot be read"),
        ("{\"error\":{\"message\":\"broke\"}}", "broke"),
        (
            "data: {\"id\":\"x\",\"choices\":[]}\n\n",
            "before its answer was complete",
        ),
    ];
    for reply in directions() {
        for (body, expected) in cases {
            let error = reply.body(body.as_bytes(), 7).unwrap_err();
            let error: Value = serde_json::from_slice(&error).unwrap();
            let message = error["error"]["message"].as_str().unwrap();
            let gathered = body.starts_with("data") && reply.backend != Dialect::OpenAiChat;
            assert!(message.contains(expected) || gathered, "{body}: {message}");
            assert!(!message.contains("Bad gateway"));
            assert_eq!(
                error["type"] == "error",
                reply.client == Dialect::AnthropicMessages
            );

            let mut out = String::new();
            reply.stream(7).whole(body.as_bytes(), &mut out);
            assert!(!last_error(reply.client, &out).is_empty());
        }
    }
}

#[test]
fn every_status_has_its_type() {
    let anthropic = r#"{"type":"error","error":{"type":"api_error","message":"why"}}"#;
    let openai = r#"{"error":{"message":"why","type":"BadRequestError","param":null,"code":400}}"#;
    let cases = [
        (400, "invalid_request_error", json!("invalid_request_error")),
        (401, "authentication_error", json!("invalid_api_key")),
        (403, "permission_error", json!("permission_error")),
        (404, "not_found_error", json!("not_found_error")),
        (408, "invalid_request_error", json!("invalid_request_error")),
        (409, "invalid_request_error", json!("invalid_request_error")),
        (413, "request_too_large", json!("request_too_large")),
        (422, "invalid_request_error", json!("invalid_request_error")),
        (429, "rate_limit_error", json!("rate_limit_exceeded")),
        (500, "api_error", json!("api_error")),
        (502, "api_error", json!("api_error")),
        (503, "overloaded_error", json!("overloaded_error")),
        (504, "timeout_error", json!("timeout_error")),
        (529, "overloaded_error", json!("overloaded_error")),
    ];
    for (status, kind, code) in cases {
        let to_messages = reply(Dialect::OpenAiChat, Dialect::AnthropicMessages);
        let body = to_messages.error(status, openai.as_bytes(), Some("req_1"));
        let body: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({"type": "error", "error": {"type": kind, "message": "why"}, "request_id": "req_1"});
        assert_eq!(body, expected, "{status}");

        let to_chat = reply(Dialect::AnthropicMessages, Dialect::OpenAiChat);
        let own = anthropic.replace("api_error", kind);
        let body: Value =
            serde_json::from_slice(&to_chat.error(status, own.as_bytes(), None)).unwrap();
        assert_eq!(body["error"]["message"], "why", "{status}");
        let numeric = kind == "invalid_request_error";
        let expected = if numeric { json!(status) } else { code };
        assert_eq!(body["error"]["code"], expected, "{status}");
        assert_eq!(Reply::status(status), status);
    }
    assert_eq!(Reply::status(302), 502);
}

#[test]
fn words_that_clients_act_on() {
    let to_responses = reply(Dialect::OpenAiChat, Dialect::OpenAiResponses);
    let says = |reply: &Reply, status: u16, body: &str| -> Value {
        serde_json::from_slice(&reply.error(status, body.as_bytes(), None)).unwrap()
    };
    let vllm = r#"{"object":"error","message":"This model's maximum context length is 8 tokens.","type":"BadRequestError","param":null,"code":400}"#;
    let error = says(&to_responses, 400, vllm);
    assert_eq!(error["error"]["code"], "context_length_exceeded");
    assert_eq!(error["error"]["type"], "BadRequestError");

    let to_messages = reply(Dialect::OpenAiChat, Dialect::AnthropicMessages);
    let error = says(&to_messages, 400, vllm);
    let message = error["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("prompt is too long: This model's"),
        "{message}"
    );

    let to_chat = reply(Dialect::AnthropicMessages, Dialect::OpenAiChat);
    let error = says(
        &to_chat,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}"#,
    );
    assert_eq!(error["error"]["code"], "context_length_exceeded");
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("maximum context length")
    );

    let cases = [
        (r#"{"detail":"Not here"}"#, "Not here"),
        (
            r#"{"detail":[{"msg":"field required"}]}"#,
            r#"[{"msg":"field required"}]"#,
        ),
        (r#"{"error":"plain"}"#, "plain"),
        (r#"{"message":"flat"}"#, "flat"),
        (
            "<html>secret</html>",
            "The model's server answered with status 404 and HTML in place of JSON.",
        ),
        (
            "",
            "The model's server answered with status 404 and an empty body.",
        ),
        (
            "{}",
            "The model's server answered with status 404 and no message.",
        ),
    ];
    for (body, expected) in cases {
        for reply in [&to_messages, &to_chat, &to_responses] {
            assert_eq!(says(reply, 404, body)["error"]["message"], expected);
        }
    }
}
