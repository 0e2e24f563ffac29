//! Answers of the router itself, read back as clients read them.

use super::*;
use crate::usage::{BodyKind, UsageReader};

const ANSWER: FastResponse<'_> = FastResponse {
    message: "Not  here,\nsorry.",
    model: "auto",
    unix_nanos: 1_790_000_000_000_000_007,
};

fn render(dialect: Dialect, stream: bool) -> String {
    let (content_type, body) = ANSWER.render(dialect, stream);
    assert_eq!(
        content_type,
        if stream {
            "text/event-stream"
        } else {
            "application/json"
        }
    );
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn chat() {
    let expected = concat!(
        r#"{"id":"chatcmpl-fast-1790000000","object":"chat.completion","created":1790000000,"model":"router","choices":[{"index":0,"#,
        r#""message":{"role":"assistant","content":"Not  here,\nsorry."},"finish_reason":"stop"}],"#,
        r#""usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#
    );
    assert_eq!(render(Dialect::OpenAiChat, false), expected);
}

#[test]
fn chat_streams_word_by_word() {
    let chunk = |rest: &str| {
        format!(
            r#"data: {{"id":"chatcmpl-fast-1790000000","object":"chat.completion.chunk","created":1790000000,"model":"router","choices":[{{"index":0,{rest}}}]}}"#
        )
    };
    let expected = [
        chunk(r#""delta":{"role":"assistant","content":"Not "},"finish_reason":null"#),
        chunk(r#""delta":{"content":"here, "},"finish_reason":null"#),
        chunk(r#""delta":{"content":"sorry."},"finish_reason":null"#),
        chunk(r#""delta":{},"finish_reason":"stop""#),
        "data: [DONE]".to_owned(),
        String::new(),
    ];
    assert_eq!(render(Dialect::OpenAiChat, true), expected.join("\n\n"));
    let (_, blank) = FastResponse {
        message: "  ",
        ..ANSWER
    }
    .render(Dialect::OpenAiChat, true);
    assert!(
        String::from_utf8_lossy(&blank).contains(r#""content":"  ""#),
        "a blank message is sent as it is"
    );
}

#[test]
fn anthropic() {
    let expected = concat!(
        r#"{"id":"msg_fast_1790000000000000007","type":"message","role":"assistant","model":"auto","#,
        r#""content":[{"type":"text","text":"Not  here,\nsorry."}],"stop_reason":"end_turn","stop_sequence":null,"#,
        r#""usage":{"input_tokens":0,"output_tokens":0}}"#
    );
    assert_eq!(render(Dialect::AnthropicMessages, false), expected);
    let stream = render(Dialect::AnthropicMessages, true);
    let names: Vec<&str> = stream
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected);
}

#[test]
fn responses_are_numbered() {
    let stream = render(Dialect::OpenAiResponses, true);
    let events: Vec<Value> = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert!(
        events
            .iter()
            .enumerate()
            .all(|(number, event)| event["sequence_number"] == number)
    );
    let whole: Value = serde_json::from_str(&render(Dialect::OpenAiResponses, false)).unwrap();
    assert_eq!(events.last().unwrap()["response"], whole);
    assert_eq!(whole["output"][0]["content"][0]["text"], ANSWER.message);
}

#[test]
fn our_own_reader_takes_them_for_complete_answers() {
    for dialect in [
        Dialect::OpenAiChat,
        Dialect::OpenAiResponses,
        Dialect::AnthropicMessages,
    ] {
        for (stream, kind) in [(false, BodyKind::Json), (true, BodyKind::EventStream)] {
            let mut reader = UsageReader::new(dialect, kind);
            reader.push(render(dialect, stream).as_bytes());
            let outcome = reader.finish();
            assert!(
                outcome.complete && outcome.content_started && outcome.error.is_none(),
                "{dialect} {stream}"
            );
            assert!(
                outcome
                    .usage
                    .is_none_or(|usage| usage.prompt + usage.completion == 0)
            );
        }
    }
}
