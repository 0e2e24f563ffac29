//! Usage of every wire, streamed or not, however it is cut.

use proptest::prelude::*;

use super::*;

const CHAT: &str = concat!(
    "data: {\"id\":\"c\",\"model\":\"qwen\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\r\n\r\n",
    ": keep-alive\n\n",
    "data:{\"model\":\"qwen\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n",
    "data: {\"model\":\"qwen\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"model\":\"qwen\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":8},\"completion_tokens_details\":{\"reasoning_tokens\":1}}}\n\n",
    "data: [DONE]\n\n",
);

const ANTHROPIC: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\",\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":7,\"cache_creation_input_tokens\":2,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt\",\"status\":\"in_progress\",\"usage\":null}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt\",\"status\":\"completed\",\"usage\":{\"input_tokens\":4,\"output_tokens\":2,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens_details\":{\"reasoning_tokens\":0}}}}\n\n",
);

fn read<'a>(
    dialect: Dialect,
    kind: BodyKind,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut reader = UsageReader::new(dialect, kind);
    for chunk in chunks {
        reader.push(chunk);
    }
    reader.finish()
}

fn stream(dialect: Dialect, text: &str) -> Outcome {
    read(dialect, BodyKind::EventStream, [text.as_bytes()])
}

fn body(dialect: Dialect, text: &str) -> Outcome {
    read(dialect, BodyKind::Json, text.as_bytes().chunks(7))
}

fn outcome(usage: Usage, model: &str, finish_reason: &str) -> Outcome {
    Outcome {
        usage: Some(usage),
        model: Some(model.to_owned()),
        finish_reason: Some(finish_reason.to_owned()),
        content_started: true,
        complete: true,
        ..Outcome::default()
    }
}

fn usage(prompt: u64, completion: u64, details: [Option<u64>; 3]) -> Usage {
    let [cached, cache_write, reasoning] = details;
    Usage {
        prompt,
        completion,
        cached,
        cache_write,
        reasoning,
    }
}

#[test]
fn streams() {
    let expected = outcome(usage(10, 3, [Some(8), None, Some(1)]), "qwen", "stop");
    assert_eq!(stream(Dialect::OpenAiChat, CHAT), expected);
    let expected = outcome(usage(14, 9, [Some(7), Some(2), None]), "claude", "end_turn");
    assert_eq!(stream(Dialect::AnthropicMessages, ANTHROPIC), expected);
    let expected = outcome(usage(4, 2, [Some(1), None, Some(0)]), "gpt", "completed");
    assert_eq!(stream(Dialect::OpenAiResponses, RESPONSES), expected);
}

#[test]
fn bodies() {
    let chat = r#"{"model":"qwen","choices":[{"message":{"content":"Hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    assert_eq!(
        body(Dialect::OpenAiChat, chat),
        outcome(usage(1, 2, [None; 3]), "qwen", "length")
    );
    let anthropic = r#"{"type":"message","model":"claude","content":[{"type":"text","text":"Hi"}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}"#;
    assert_eq!(
        body(Dialect::AnthropicMessages, anthropic),
        outcome(usage(1, 2, [None; 3]), "claude", "tool_use")
    );
    let response = r#"{"object":"response","model":"gpt","status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"},"output":[{}],"usage":{"input_tokens":1,"output_tokens":2}}"#;
    assert_eq!(
        body(Dialect::OpenAiResponses, response),
        outcome(usage(1, 2, [None; 3]), "gpt", "max_output_tokens")
    );
    assert_eq!(body(Dialect::OpenAiChat, "<html>"), Outcome::default());
}

#[test]
fn errors_are_found_wherever_they_stand() {
    let cases = [
        (
            Dialect::OpenAiChat,
            "data: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":\"c\"}}\n\n",
            "c",
        ),
        (
            Dialect::OpenAiChat,
            "data: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":500}}\n\n",
            "500",
        ),
        (
            Dialect::OpenAiChat,
            "event: error\ndata: {\"message\":\"m\",\"type\":\"t\"}\n\n",
            "t",
        ),
        (Dialect::OpenAiChat, "data: {\"error\":\"m\"}\n\n", ""),
        (
            Dialect::AnthropicMessages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
            "overloaded_error",
        ),
        (
            Dialect::OpenAiResponses,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"c\",\"message\":\"m\"}\n\n",
            "c",
        ),
        (
            Dialect::OpenAiResponses,
            "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n",
            "server_error",
        ),
    ];
    for (dialect, text, code) in cases {
        let expected = ResponseError {
            code: code.to_owned(),
            message: "m".to_owned(),
        };
        assert_eq!(stream(dialect, text).error, Some(expected), "{text}");
    }
    let json = body(
        Dialect::AnthropicMessages,
        r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#,
    );
    assert_eq!(
        json.error.map(|error| error.code).as_deref(),
        Some("api_error")
    );
    assert!(!json.complete);
}

#[test]
fn counts_that_no_model_can_have_are_left_out() {
    for (prompt, is_read) in [
        (1_000_000_000, true),
        (1_000_000_001, false),
        (1 << 63, false),
        (u64::MAX, false),
    ] {
        let text = format!(
            r#"{{"model":"m","choices":[],"usage":{{"prompt_tokens":{prompt},"completion_tokens":1}}}}"#
        );
        let outcome = body(Dialect::OpenAiChat, &text);
        assert_eq!(
            (outcome.usage.is_some(), outcome.has_odd_usage),
            (is_read, !is_read),
            "{prompt}"
        );
    }
}

#[test]
fn a_stream_that_is_cut_off_is_not_complete() {
    let cut = CHAT.split("data: [DONE]").next().unwrap();
    let cut = stream(Dialect::OpenAiChat, cut);
    assert!(!cut.complete && cut.usage.is_some());
    assert!(
        !stream(
            Dialect::OpenAiChat,
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
        )
        .content_started
    );
}

#[test]
fn content_is_seen_as_soon_as_it_comes() {
    let mut reader = UsageReader::new(Dialect::OpenAiChat, BodyKind::EventStream);
    let events: Vec<&str> = CHAT.split_inclusive("\n\n").collect();
    let mut started = Vec::new();
    for event in events {
        reader.push(event.as_bytes());
        started.push(reader.content_started());
    }
    assert_eq!(
        started,
        [false, true, true, true, true],
        "an empty first delta is no content"
    );
}

#[test]
fn a_body_beyond_the_bound_is_let_go() {
    let chunk = vec![b' '; BODY_LIMIT / 2 + 1];
    let outcome = read(
        Dialect::OpenAiChat,
        BodyKind::Json,
        [chunk.as_slice(), &chunk, b"{}"],
    );
    assert_eq!(
        outcome,
        Outcome {
            truncated: true,
            ..Outcome::default()
        }
    );
    assert_eq!(
        BodyKind::of("Text/Event-Stream; charset=utf-8"),
        BodyKind::EventStream
    );
    assert_eq!(BodyKind::of("application/json"), BodyKind::Json);
}

proptest! {
    #[test]
    fn every_chunking_gives_the_same_usage(which in 0usize..3, cuts in prop::collection::vec(0usize..800, 0..12)) {
        let (dialect, text) = [
            (Dialect::OpenAiChat, CHAT),
            (Dialect::AnthropicMessages, ANTHROPIC),
            (Dialect::OpenAiResponses, RESPONSES),
        ][which];
        let bytes = text.as_bytes();
        let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(dialect, BodyKind::EventStream, chunks), stream(dialect, text));
        let bytewise = read(dialect, BodyKind::EventStream, bytes.chunks(1));
        prop_assert_eq!(bytewise, stream(dialect, text));
    }
}
