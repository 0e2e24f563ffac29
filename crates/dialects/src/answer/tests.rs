//! Answers of every wire, taken apart.

use super::*;
use crate::sse::{Segment, SseReader};
use crate::usage::BodyKind;

/// The parts of a stream as text: texts decoded, the rest as it debugs.
fn stream(dialect: Dialect, text: &str) -> Vec<String> {
    let mut reader = AnswerReader::new(dialect);
    let mut parts = Vec::new();
    SseReader::new().push(text.as_bytes(), |segment| {
        if let Segment::Event(event) = segment {
            reader.event(event, |part| parts.extend(show(&part)));
        }
    });
    parts
}

fn body(dialect: Dialect, text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    AnswerReader::new(dialect).body(text.as_bytes(), |part| parts.extend(show(&part)));
    parts
}

/// What only translation needs is shown by its tests.
fn show(part: &Part<'_>) -> Option<String> {
    let word = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or("-").to_owned();
    let shown = match part {
        Part::Id(id) => format!("id {id}"),
        Part::Model(model) => format!("model {model}"),
        Part::Delta(delta) => format!(
            "{:?} {} {}",
            delta.kind,
            delta.index,
            delta.text().unwrap_or(Cow::Borrowed(delta.raw))
        ),
        Part::ToolCall(call) => {
            format!(
                "call {} {} {}",
                call.index,
                word(&call.id),
                word(&call.name)
            )
        }
        Part::Usage(usage) => format!("usage {}+{}", usage.prompt, usage.completion),
        Part::Stop(reason) => format!("stop {reason}"),
        Part::Error(error) => format!("error {} {}", error.code, error.message),
        Part::End => "end".to_owned(),
        _ => return None,
    };
    Some(shown)
}

#[test]
fn chat_streams() {
    let text = concat!(
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"H\\u00e9\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"hm\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":2,\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":2,\"function\":{\"arguments\":\"{\\\"a\\\"\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
        "data: [DONE]\n\n",
    );
    let expected = [
        "id c",
        "model m",
        "Text 1 Hé",
        "Reasoning 0 hm",
        "call 2 t f",
        "ToolArguments 2 ",
        "ToolArguments 2 {\"a\"",
        "stop tool_calls",
        "usage 3+4",
        "end",
    ];
    assert_eq!(stream(Dialect::OpenAiChat, text), expected);
}

#[test]
fn responses_streams() {
    let text = concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"status\":\"in_progress\"}}\n\n",
        "data: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"id\":\"fc\",\"call_id\":\"t\",\"name\":\"f\"}}\n\n",
        "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":1,\"delta\":\"{}\"}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"Hi\"}\n\n",
        "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"c\",\"message\":\"m\"}}}\n\n",
    );
    let expected = [
        "model m",
        "id r",
        "call 1 t f",
        "ToolArguments 1 {}",
        "Text 0 Hi",
        "error c m",
        "stop failed",
        "end",
    ];
    assert_eq!(stream(Dialect::OpenAiResponses, text), expected);
}

#[test]
fn messages_streams() {
    let text = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
        "data: {\"type\":\"message_stop\"}\n\n",
    );
    let expected = [
        "id msg",
        "model m",
        "usage 5+1",
        "call 0 t f",
        "ToolArguments 0 {",
        "Other 1 null",
        "Text 2 Hi",
        "usage 5+9",
        "stop end_turn",
        "end",
    ];
    assert_eq!(stream(Dialect::AnthropicMessages, text), expected);
}

#[test]
fn whole_bodies() {
    let chat = r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"content":"Hi","tool_calls":[{"id":"t","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}"#;
    let expected = [
        "id c",
        "model m",
        "Text 0 Hi",
        "call 0 t f",
        "ToolArguments 0 {}",
        "stop stop",
    ];
    assert_eq!(body(Dialect::OpenAiChat, chat), expected);
    let responses = r#"{"id":"r","model":"m","status":"completed","output":[{"type":"reasoning","summary":[]},
        {"type":"message","content":[{"type":"output_text","text":"Hi"},{"type":"refusal","refusal":"No"}]},
        {"type":"function_call","call_id":"t","name":"f","arguments":"{}"}]}"#;
    let expected = [
        r#"Other 0 {"type":"reasoning","summary":[]}"#,
        "Text 1 Hi",
        "Refusal 1 No",
        "call 2 t f",
        "ToolArguments 2 {}",
        "model m",
        "id r",
        "stop completed",
    ];
    assert_eq!(body(Dialect::OpenAiResponses, responses), expected);
    let messages = r#"{"id":"msg","model":"m","content":[{"type":"thinking","thinking":"hm","signature":"s"},
        {"type":"text","text":"Hi"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],"stop_reason":"tool_use"}"#;
    let expected = [
        "Reasoning 0 hm",
        "Text 1 Hi",
        "call 2 t f",
        r#"ToolArguments 2 {"a":1}"#,
        "id msg",
        "model m",
        "stop tool_use",
    ];
    assert_eq!(body(Dialect::AnthropicMessages, messages), expected);
}

#[test]
fn a_delta_lies_within_its_event() {
    let raw = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    SseReader::new().push(raw, |segment| {
        let Segment::Event(event) = segment else {
            panic!("{segment:?}")
        };
        AnswerReader::new(Dialect::OpenAiChat).event(event, |part| {
            if let Part::Delta(delta) = part {
                assert!(raw.as_ptr_range().contains(&delta.raw.as_ptr()));
                assert_eq!(delta.raw, "\"Hi\"");
            }
        });
    });
}

#[test]
fn models_are_found_where_each_wire_names_them() {
    use BodyKind::{EventStream, Json};
    use Dialect::{AnthropicMessages, OpenAiChat, OpenAiResponses};
    let cases: &[(Dialect, BodyKind, &str, &[&str])] = &[
        (
            OpenAiChat,
            EventStream,
            r#"{"model": "m", "choices": [{"model": "x"}]}"#,
            &["m"],
        ),
        (
            OpenAiChat,
            Json,
            r#"{"id": 1, "model":"m", "model" : "n"}"#,
            &["m", "n"],
        ),
        (OpenAiChat, Json, r#"{"model": null}"#, &[]),
        (OpenAiChat, Json, r#"{"model": "m", "#, &[]),
        (OpenAiResponses, Json, r#"{"model": "m"}"#, &["m"]),
        (
            OpenAiResponses,
            EventStream,
            r#"{"response": {"model": "m"}, "model": "x"}"#,
            &["m"],
        ),
        (AnthropicMessages, Json, r#"{"model": "m"}"#, &["m"]),
        (
            AnthropicMessages,
            EventStream,
            r#"{"message": {"model": "m"}}"#,
            &["m"],
        ),
        (
            AnthropicMessages,
            EventStream,
            r#"{"delta": {"text": "\"model\": \"x\""}}"#,
            &[],
        ),
    ];
    for (dialect, kind, data, expected) in cases {
        let spans = model_spans(*dialect, *kind, data.as_bytes());
        let found: Vec<&str> = spans
            .into_iter()
            .map(|span| data.get(span).unwrap().trim_matches('"'))
            .collect();
        assert_eq!(found, *expected, "{dialect} {kind:?} {data}");
    }
}
