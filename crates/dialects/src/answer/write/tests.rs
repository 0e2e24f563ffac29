//! Answers written, read back and held against the order that clients rely on.

use super::*;
use crate::answer::{AnswerReader, DeltaKind, Part};
use crate::sse::{Segment, SseReader};

const DIALECTS: [Dialect; 3] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::AnthropicMessages,
];

fn writer(dialect: Dialect) -> AnswerWriter {
    let head = AnswerHead {
        id: "resp_1".to_owned(),
        model: "m".to_owned(),
        created: 7,
    };
    AnswerWriter::new(dialect, head)
}

const USAGE: Usage = Usage {
    prompt: 12,
    completion: 5,
    cached: Some(8),
    cache_write: None,
    reasoning: Some(2),
};

/// Reasoning, text in two pieces, a tool call in two, an end.
fn write(dialect: Dialect) -> String {
    let mut out = String::new();
    let mut writer = writer(dialect);
    writer.reasoning(&mut out, "hm");
    writer.text(&mut out, "Hé");
    writer.text(&mut out, "\n\"llo\"");
    let call = writer.tool_call(&mut out, "call_1", "weather");
    writer.arguments(&mut out, call, "{\"city\":");
    writer.arguments(&mut out, call, "\"Rome\"}");
    writer.end(&mut out, StopReason::ToolCalls, Some(USAGE));
    out
}

/// The data of every event that is JSON, and the names.
fn events(stream: &str) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    SseReader::new().push(stream.as_bytes(), |segment| {
        let Segment::Event(event) = segment else {
            panic!("{segment:?}")
        };
        let data = serde_json::from_slice(event.data).unwrap_or_default();
        events.push((event.name.to_owned(), data));
    });
    events
}

#[derive(Default)]
struct Read {
    text: String,
    reasoning: String,
    arguments: String,
    call: String,
    stop: String,
    model: String,
    usage: Option<Usage>,
    error: Option<ResponseError>,
    ended: bool,
}

fn read(dialect: Dialect, stream: &str) -> Read {
    let mut read = Read::default();
    let mut reader = AnswerReader::new(dialect);
    SseReader::new().push(stream.as_bytes(), |segment| {
        let Segment::Event(event) = segment else {
            return;
        };
        reader.event(event, |part| match part {
            Part::Delta(delta) => {
                let into = match delta.kind {
                    DeltaKind::Text => &mut read.text,
                    DeltaKind::Reasoning => &mut read.reasoning,
                    DeltaKind::ToolArguments => &mut read.arguments,
                    DeltaKind::Refusal | DeltaKind::Other => panic!("{delta:?}"),
                };
                into.push_str(&delta.text().unwrap());
            }
            Part::ToolCall(call) => read.call = format!("{:?} {:?}", call.id, call.name),
            Part::Stop(reason) => read.stop = reason.into_owned(),
            Part::Model(model) => read.model = model.into_owned(),
            Part::Usage(usage) => read.usage = Some(usage),
            Part::Error(error) => read.error = Some(error),
            Part::End => read.ended = true,
            _ => {}
        });
    });
    read
}

#[test]
fn every_wire_reads_back_what_was_written() {
    for dialect in DIALECTS {
        let read = read(dialect, &write(dialect));
        assert_eq!(read.text, "Hé\n\"llo\"", "{dialect}");
        assert_eq!(read.reasoning, "hm", "{dialect}");
        assert_eq!(read.arguments, r#"{"city":"Rome"}"#, "{dialect}");
        assert_eq!(read.call, r#"Some("call_1") Some("weather")"#, "{dialect}");
        assert_eq!(read.model, "m", "{dialect}");
        assert!(read.ended && read.error.is_none(), "{dialect}");
        let usage = read.usage.unwrap();
        assert_eq!(
            (usage.prompt, usage.completion, usage.cached),
            (12, 5, Some(8)),
            "{dialect}"
        );
    }
    let stops = DIALECTS.map(|dialect| read(dialect, &write(dialect)).stop);
    assert_eq!(stops, ["tool_calls", "completed", "tool_use"]);
}

#[test]
fn reasons_to_stop() {
    use StopReason::{Done, Filtered, Length, ToolCalls};
    let cases = [
        (Done, ["stop", "completed", "end_turn"]),
        (ToolCalls, ["tool_calls", "completed", "tool_use"]),
        (Length, ["length", "max_output_tokens", "max_tokens"]),
        (Filtered, ["content_filter", "content_filter", "refusal"]),
    ];
    for (reason, expected) in cases {
        let stops = DIALECTS.map(|dialect| {
            let mut out = String::new();
            let mut writer = writer(dialect);
            writer.text(&mut out, "a");
            writer.end(&mut out, reason, None);
            read(dialect, &out).stop
        });
        assert_eq!(stops, expected);
    }
}

#[test]
fn errors_end_an_answer() {
    let error = ResponseError {
        code: "overloaded_error".to_owned(),
        message: "no".to_owned(),
    };
    for dialect in DIALECTS {
        for begun in [false, true] {
            let mut out = String::new();
            let mut writer = writer(dialect);
            if begun {
                writer.text(&mut out, "a");
            }
            writer.error(&mut out, &error);
            let found = read(dialect, &out).error.unwrap();
            assert_eq!(found.message, error.message, "{dialect}");
            let expected = match dialect {
                Dialect::OpenAiResponses => "server_error",
                _ => "overloaded_error",
            };
            assert_eq!(found.code, expected, "{dialect}");
        }
    }
}

#[test]
fn chat_chunks_say_the_role_once() {
    let stream = write(Dialect::OpenAiChat);
    let roles = events(&stream)
        .iter()
        .filter(|(_, data)| data["choices"][0]["delta"]["role"] == "assistant")
        .count();
    assert_eq!(roles, 1);
    assert!(stream.ends_with("data: [DONE]\n\n"));
}

#[test]
fn messages_open_and_close_their_blocks() {
    let stream = write(Dialect::AnthropicMessages);
    let order: Vec<String> = events(&stream)
        .into_iter()
        .map(|(name, data)| match data["index"].as_u64() {
            Some(index) => format!("{name} {index}"),
            None => name,
        })
        .collect();
    let expected = [
        "message_start",
        "content_block_start 0",
        "content_block_delta 0",
        "content_block_stop 0",
        "content_block_start 1",
        "content_block_delta 1",
        "content_block_delta 1",
        "content_block_stop 1",
        "content_block_start 2",
        "content_block_delta 2",
        "content_block_delta 2",
        "content_block_stop 2",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(order, expected);
}

#[test]
fn responses_are_numbered_and_end_whole() {
    let stream = write(Dialect::OpenAiResponses);
    let events = events(&stream);
    for (number, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["sequence_number"], number);
        assert_eq!(data["type"], name.as_str());
    }
    let (last, data) = events.last().unwrap();
    assert_eq!(last, "response.completed");
    let output = data["response"]["output"].as_array().unwrap();
    let done: Vec<&Value> = events
        .iter()
        .filter(|(name, _)| name == "response.output_item.done")
        .map(|(_, data)| &data["item"])
        .collect();
    assert_eq!(output.iter().collect::<Vec<_>>(), done);
    assert_eq!(output.len(), 3);
    assert_eq!(output[1]["content"][0]["text"], "Hé\n\"llo\"");
    assert_eq!(output[2]["arguments"], r#"{"city":"Rome"}"#);
    let ids: Vec<&str> = output
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["rs_1", "msg_1_1", "fc_1_2"]);
}
