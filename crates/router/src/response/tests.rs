//! Stages over streams and bodies, however they are cut.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::Write as _;

const CHAT: &str = concat!(
    ": wait\n",
    "data: {\"id\":\"c\",\"model\":\"small-1b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\\"model\\\"\"}}]}\n\n",
    "data:{\"model\" : \"small-1b\",\"choices\":[]}\r\n\r\n",
    "data: [DONE]\n\n",
);
const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"small-1b\"}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"small-1b\",\"status\":\"completed\"}}\n\n",
);
const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\ndata: \"message\":{\"model\":\"small-1b\",\"usage\":{\"input_tokens\":5}}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}",
);
const STREAMS: [(Dialect, &str); 3] = [
    (Dialect::OpenAiChat, CHAT),
    (Dialect::OpenAiResponses, RESPONSES),
    (Dialect::AnthropicMessages, MESSAGES),
];
const SSE: BodyHead<'_> = BodyHead {
    content_type: "text/event-stream; charset=utf-8",
    content_encoding: "",
};
const JSON: BodyHead<'_> = BodyHead {
    content_type: "application/json",
    content_encoding: "",
};

fn restored() -> [ResponseStage; 1] {
    let name = "a \"b\"".into();
    [ResponseStage::RestoreModel { name }]
}

fn expected(stream: &str) -> String {
    stream.replace("\"small-1b\"", "\"a \\\"b\\\"\"")
}

fn chunks<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Bytes> {
    pieces.into_iter().map(Bytes::copy_from_slice).collect()
}

/// Sends `pieces`, the last one marked as the end, and returns what goes on.
fn send(mut response: Response, pieces: &[Bytes]) -> (Vec<u8>, Outcome) {
    let mut sent = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        match response.chunk(piece, at + 1 == pieces.len()) {
            Chunk::Unchanged => sent.extend_from_slice(piece),
            Chunk::Replaced(new) => sent.extend_from_slice(&new),
            Chunk::Broken => panic!("broken at {at}"),
        }
    }
    (sent, response.into_outcome())
}

#[test]
fn every_split_restores_the_same() {
    for (dialect, stream) in STREAMS {
        for at in 0..=stream.len() {
            let (first, rest) = stream.as_bytes().split_at(at);
            let response = Response::begin(dialect, SSE, &restored());
            let (sent, outcome) = send(response, &chunks([first, rest]));
            assert_eq!(
                String::from_utf8(sent).unwrap(),
                expected(stream),
                "{dialect} at {at}"
            );
            assert_eq!(outcome.model.as_deref(), Some("small-1b"), "the backend's");
            assert!(outcome.complete, "{dialect} at {at}");
        }
    }
}

#[test]
fn chunks_without_a_change_go_on_as_they_came() {
    let (dialect, stream) = (Dialect::AnthropicMessages, MESSAGES);
    let mut response = Response::begin(dialect, SSE, &restored());
    let events: Vec<Bytes> = stream
        .split_inclusive("\n\n")
        .map(|event| Bytes::copy_from_slice(event.as_bytes()))
        .collect();
    let [start, ping, stop] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert!(matches!(response.chunk(start, false), Chunk::Replaced(_)));
    assert_eq!(response.chunk(ping, false), Chunk::Unchanged);
    assert_eq!(response.chunk(stop, true), Chunk::Unchanged);
}

#[test]
fn only_an_incomplete_event_is_held_back() {
    let mut response = Response::begin(Dialect::OpenAiChat, SSE, &restored());
    let mut take = |text: &str, end| response.chunk(&Bytes::copy_from_slice(text.as_bytes()), end);
    assert_eq!(
        take("data: 1\n\ndata: ", false),
        Chunk::Replaced("data: 1\n\n".into())
    );
    assert_eq!(take("2", false), Chunk::Replaced(Bytes::new()));
    assert_eq!(take("\n\n", false), Chunk::Replaced("data: 2\n\n".into()));
    assert_eq!(take(": still there\n", false), Chunk::Unchanged);
    assert_eq!(take("", true), Chunk::Unchanged);
}

#[test]
fn whole_bodies_wait_for_their_end() {
    for dialect in [
        Dialect::OpenAiChat,
        Dialect::OpenAiResponses,
        Dialect::AnthropicMessages,
    ] {
        let body = r#"{ "id":1, "model" : "small-1b", "text":"\"model\":\"x\"", "n":1e400 }"#;
        for at in 0..=body.len() {
            let (first, rest) = body.as_bytes().split_at(at);
            let response = Response::begin(dialect, JSON, &restored());
            let (sent, _) = send(response, &chunks([first, rest]));
            assert_eq!(
                String::from_utf8(sent).unwrap(),
                expected(body),
                "{dialect}"
            );
        }
    }
    for odd in [
        "",
        "<html>\"model\"",
        "{\"model\": \"a\"",
        "[]",
        "\u{FEFF}{\"model\":\"m\"}",
    ] {
        let response = Response::begin(Dialect::OpenAiChat, JSON, &restored());
        let (sent, _) = send(response, &chunks([odd.as_bytes()]));
        assert_eq!(sent, odd.as_bytes());
    }
}

#[test]
fn a_body_too_large_to_be_read_passes() {
    let body = format!(
        "{{\"model\":\"small-1b\",\"text\":\"{}\"}}",
        "x".repeat(BODY_LIMIT)
    );
    let mut response = Response::begin(Dialect::OpenAiChat, JSON, &restored());
    let mut sent = Vec::new();
    let pieces = chunks(body.as_bytes().chunks(1 << 20));
    for (at, piece) in pieces.iter().enumerate() {
        match response.chunk(piece, at + 1 == pieces.len()) {
            Chunk::Unchanged => sent.extend_from_slice(piece),
            Chunk::Replaced(new) => sent.extend_from_slice(&new),
            Chunk::Broken => panic!("broken"),
        }
    }
    assert!(sent == body.as_bytes());
    assert_eq!(response.unread(), Some("too_large"));
    assert!(response.into_outcome().truncated);
}

#[test]
fn compressed_bodies_go_on_in_clear() {
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    for (dialect, stream) in STREAMS {
        let compressed = gzip(stream);
        let head = BodyHead {
            content_encoding: "gzip",
            ..SSE
        };
        for size in [1, 7, compressed.len()] {
            let response = Response::begin(dialect, head, &restored());
            assert!(response.decodes() && response.rewrites());
            let (sent, _) = send(response, &chunks(compressed.chunks(size)));
            assert_eq!(String::from_utf8(sent).unwrap(), expected(stream));
        }
        let mut response = Response::begin(dialect, head, &restored());
        let cut = Bytes::copy_from_slice(&compressed[..compressed.len() / 2]);
        assert_eq!(response.chunk(&cut, true), Chunk::Broken);

        // Nobody reads it, so it stays as it is.
        let response = Response::begin(dialect, head, &[]);
        assert!(!response.decodes() && !response.rewrites());
        let (sent, _) = send(response, &chunks([compressed.as_slice()]));
        assert_eq!(sent, compressed);
    }
    let head = BodyHead {
        content_encoding: "compress",
        ..SSE
    };
    for stages in [&restored()[..], &[]] {
        let response = Response::begin(Dialect::OpenAiChat, head, stages);
        assert!(!response.decodes() && !response.rewrites());
        assert_eq!(response.unread(), Some("unknown_encoding"));
    }
}

#[test]
fn compressed_answers_that_nothing_changes_are_counted() {
    let text = br#"{"usage":{"prompt_tokens":11,"completion_tokens":5}}"#;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    let gzip = encoder.finish().unwrap();
    let zstd = zstd::encode_all(&text[..], 3).unwrap();
    for (encoding, body, completion, unread) in [
        ("gzip", &gzip, Some(5), None),
        ("zstd", &zstd, Some(5), None),
        ("br", &zstd, None, Some("broken_encoding")),
    ] {
        let head = BodyHead {
            content_encoding: encoding,
            ..JSON
        };
        let mut response = Response::begin(Dialect::OpenAiChat, head, &[]);
        let chunks = chunks(body.chunks(9));
        for (at, chunk) in chunks.iter().enumerate() {
            let end = at + 1 == chunks.len();
            assert_eq!(response.chunk(chunk, end), Chunk::Unchanged, "{encoding}");
        }
        assert_eq!(response.unread(), unread, "{encoding}");
        let usage = response.into_outcome().usage;
        assert_eq!(usage.map(|it| it.completion), completion, "{encoding}");
    }
}

/// Holds one event back, and numbers what it lets go.
struct HoldOne(Vec<u8>);

impl Stage for HoldOne {
    fn segment(&mut self, segment: Segment<'_>, next: &mut Next<'_>) {
        let held = std::mem::replace(&mut self.0, segment.raw().to_vec());
        next.write(&held);
    }

    fn finish(&mut self, next: &mut Next<'_>) {
        next.write(&std::mem::take(&mut self.0));
    }

    fn body(&mut self, _body: &[u8]) -> Whole {
        Whole::Unchanged
    }
}

#[test]
fn stages_follow_one_another() {
    for (dialect, stream) in STREAMS {
        let mut response = Response::begin(dialect, SSE, &restored());
        let Way::Staged(staged) = &mut response.way else {
            panic!("no stages")
        };
        staged.stages.insert(0, Box::new(HoldOne(Vec::new())));
        staged.stages.push(Box::new(HoldOne(Vec::new())));
        let (sent, _) = send(response, &chunks(stream.as_bytes().chunks(5)));
        assert_eq!(String::from_utf8(sent).unwrap(), expected(stream));
    }
}

#[test]
fn stages_are_planned_where_a_name_was_changed() {
    let document = crate::config::Document::default();
    assert!(
        !document.global.server.response.restore_model,
        "off by default"
    );
    let name = || ResponseStage::RestoreModel {
        name: "auto".into(),
    };
    assert_eq!(stages(true, "auto", "small-1b"), [name()]);
    assert!(stages(true, "small-1b", "small-1b").is_empty());
    assert!(stages(false, "auto", "small-1b").is_empty());
}

proptest! {
    #[test]
    fn any_chunking_restores_the_same(which in 0usize..3, cuts in prop::collection::vec(0usize..400, 0..12)) {
        let (dialect, stream) = STREAMS[which];
        let bytes = stream.as_bytes();
        let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces = chunks(at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]));
        let (sent, restored_outcome) = send(Response::begin(dialect, SSE, &restored()), &pieces);
        prop_assert_eq!(String::from_utf8(sent).unwrap(), expected(stream));
        let (sent, outcome) = send(Response::begin(dialect, SSE, &[]), &pieces);
        prop_assert_eq!(sent, bytes);
        prop_assert_eq!(outcome, restored_outcome);
    }
}

fn reply(client: Dialect, backend: Dialect, streams: bool) -> [ResponseStage; 1] {
    let reply = Reply {
        client,
        backend,
        model: "auto".into(),
        streams,
        wants_usage: true,
        echo: "".into(),
    };
    [ResponseStage::Translate {
        reply: Arc::new(reply),
    }]
}

const WIRES: [Dialect; 3] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::AnthropicMessages,
];

/// A whole stream of a wire.
fn stream_of(backend: Dialect) -> String {
    let data = |text: &str| format!("data: {text}\n\n");
    match backend {
        Dialect::OpenAiChat => [
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#,
            "[DONE]",
        ]
        .map(data)
        .concat(),
        Dialect::OpenAiResponses => [
            r#"{"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","created_at":1,"status":"in_progress","model":"m","output":[]}}"#,
            r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"i","role":"assistant","status":"in_progress","content":[]}}"#,
            r#"{"type":"response.output_text.delta","sequence_number":2,"item_id":"i","output_index":0,"content_index":0,"delta":"Hi"}"#,
            r#"{"type":"response.completed","sequence_number":3,"response":{"id":"r","object":"response","created_at":1,"status":"completed","model":"m","output":[{"type":"message","id":"i","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi","annotations":[]}]}],"usage":{"input_tokens":5,"output_tokens":1,"total_tokens":6}}}"#,
        ]
        .map(data)
        .concat(),
        Dialect::AnthropicMessages => [
            r#"{"type":"message_start","message":{"id":"a","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":5,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}}"#,
            r#"{"type":"message_stop"}"#,
        ]
        .map(data)
        .concat(),
    }
}

#[test]
fn a_translated_stream_is_the_same_however_it_is_cut() {
    for backend in WIRES {
        let stream = stream_of(backend);
        for client in WIRES.into_iter().filter(|client| *client != backend) {
            let stages = reply(client, backend, true);
            let begin = || Response::begin(client, SSE, &stages);
            let (whole, outcome) = send(begin(), &chunks([stream.as_bytes()]));
            let whole = String::from_utf8(whole).unwrap();
            assert!(whole.contains("Hi") && !whole.contains("\"m\""), "{whole}");
            let usage = outcome.usage.unwrap();
            assert_eq!(
                (usage.prompt, usage.completion),
                (5, 1),
                "{backend} {client}"
            );
            for size in [1, 7, 64] {
                let (sent, _) = send(begin(), &chunks(stream.as_bytes().chunks(size)));
                let sent = String::from_utf8(sent).unwrap();
                // Times of the translation's own may differ.
                assert_eq!(
                    sent.matches("data: ").count(),
                    whole.matches("data: ").count()
                );
            }
        }
    }
}

#[test]
fn a_stream_that_nobody_asked_for_is_gathered() {
    for backend in WIRES {
        let client = WIRES.into_iter().find(|client| *client != backend).unwrap();
        let response = Response::begin(client, SSE, &reply(client, backend, false));
        assert!(response.becomes_json() && response.rewrites());
        let (sent, _) = send(response, &chunks(stream_of(backend).as_bytes().chunks(50)));
        let answer: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        assert!(answer.to_string().contains("Hi"), "{answer}");
    }
}

#[test]
fn errors_are_translated_whatever_they_are() {
    let (client, backend) = (Dialect::AnthropicMessages, Dialect::OpenAiChat);
    let stages = reply(client, backend, false);
    for (body, says) in [
        (
            r#"{"error":{"message":"slow down","type":"x","code":null}}"#,
            "slow down",
        ),
        ("<html>nginx</html>", ""),
        ("", ""),
    ] {
        let response = Response::begin_error(429, Some("req-1"), JSON, &stages).unwrap();
        assert_eq!(response.status(), None);
        let (sent, outcome) = send(
            response,
            &chunks(body.as_bytes().chunks(9).chain([&b""[..]])),
        );
        let error: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(error["type"], "error", "{error}");
        assert_eq!(error["error"]["type"], "rate_limit_error", "{error}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(
            message.contains(says) && !message.is_empty() && !message.contains("<html>"),
            "{message}"
        );
        assert!(outcome.usage.is_none());
    }
    assert!(Response::begin_error(429, None, JSON, &restored()).is_none());
}

#[test]
fn a_page_in_place_of_an_answer_is_an_error_of_the_gateway() {
    let (client, backend) = (Dialect::OpenAiChat, Dialect::AnthropicMessages);
    let stages = reply(client, backend, false);
    for (content_type, content_encoding) in [
        ("text/html; charset=utf-8", ""),
        ("application/json", "zstd2"),
    ] {
        let head = BodyHead {
            content_type,
            content_encoding,
        };
        let response = Response::begin(client, head, &stages);
        assert_eq!(response.status(), Some(502));
        let (sent, _) = send(response, &chunks([&b"<html>"[..], b"</html>"]));
        let error: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        assert!(error["error"]["message"].is_string(), "{error}");
    }
}

#[test]
fn what_cannot_be_translated_does_not_go_on() {
    let (client, backend) = (Dialect::OpenAiChat, Dialect::AnthropicMessages);
    let stages = reply(client, backend, false);
    for body in ["{\"id\":", "", "nonsense"] {
        let mut response = Response::begin(client, JSON, &stages);
        assert_eq!(
            response.chunk(&Bytes::from(body), true),
            Chunk::Broken,
            "{body}"
        );
        assert_eq!(response.unread(), Some("untranslatable"));
    }
    let mut response = Response::begin(client, JSON, &stages);
    let large = Bytes::from(vec![b' '; BODY_LIMIT + 1]);
    assert_eq!(response.chunk(&large, false), Chunk::Broken);
}
