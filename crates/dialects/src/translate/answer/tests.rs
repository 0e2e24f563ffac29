//! Answers of every wire, as the clients of the others get them.

mod errors;
mod generated;
mod reassembled;
mod streams;

use serde_json::Value;

use super::*;
use crate::sse::SseReader;

const DIALECTS: [Dialect; 3] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::AnthropicMessages,
];

fn reply(backend: Dialect, client: Dialect) -> Reply {
    Reply {
        client,
        backend,
        model: "auto".into(),
        streams: true,
        wants_usage: true,
        echo: r#"{"instructions":"Be brief.","metadata":{"a":"b"},"id":"no"}"#.into(),
    }
}

/// Returns every direction that is translated.
fn directions() -> impl Iterator<Item = Reply> {
    DIALECTS.into_iter().flat_map(|backend| {
        let others = DIALECTS
            .into_iter()
            .filter(move |client| *client != backend);
        others.map(move |client| reply(backend, client))
    })
}

/// Translates a stream that comes in these chunks.
fn stream<'a>(reply: &Reply, chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut translator = reply.stream(7);
    let mut out = String::new();
    let mut reader = SseReader::new();
    for chunk in chunks {
        reader.push(chunk, |segment| translator.segment(segment, &mut out));
    }
    reader.finish(|segment| translator.segment(segment, &mut out));
    translator.finish(&mut out);
    assert!(translator.is_done());
    out
}

fn whole_stream(reply: &Reply, text: &str) -> String {
    stream(reply, [text.as_bytes()])
}

/// Returns the names and the data of a stream's events.
fn events(stream: &str) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    let mut reader = SseReader::new();
    let mut take = |segment: Segment<'_>| match segment {
        Segment::Event(event) if event.data == b"[DONE]" => {}
        Segment::Event(event) => {
            let data = serde_json::from_slice(event.data).unwrap();
            events.push((event.name.to_owned(), data));
        }
        Segment::Filler(bytes) => assert!(matches!(bytes, b": keep-alive\n" | b"\n")),
        Segment::Unread(_) => panic!("an event is too large"),
    };
    reader.push(stream.as_bytes(), &mut take);
    reader.finish(&mut take);
    events
}

fn data(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| format!("data: {line}\n\n"))
        .collect()
}
