//! A stream, put together again, is the answer that a body would have been: for generated answers,
//! in all directions, however the stream's bytes are cut. `MERIT_TRANSLATION_CASES` sets how many.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::reassembled::reassembled;
use super::*;
use crate::answer::write::{ResponsesWriter, Source, Whole};
use crate::answer::{AnswerHead, AnswerWriter, StopReason};
use crate::usage::Usage;

#[derive(Debug, Clone)]
enum Section {
    Reasoning(Vec<String>),
    Text(Vec<String>, bool),
    Refusal(Vec<String>),
    Call(String, Vec<String>),
}

#[derive(Debug, Clone)]
struct Answer {
    sections: Vec<Section>,
    reason: StopReason,
    sequence: Option<String>,
    usage: Usage,
}

fn pieces() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-zé🦀\"\\\\\n\t\u{0}\u{2028} ]{1,8}", 1..4)
}

fn section() -> impl Strategy<Value = Section> {
    let arguments = prop_oneof![
        Just(String::new()),
        "[a-z\"{}\\\\\n🦀]{0,12}"
            .prop_map(|text| json!({"q": text, "deep": [{"n": 1}]}).to_string()),
        Just("{}".to_owned()),
    ];
    let call = (("[a-z_]{1,9}"), arguments, any::<prop::sample::Index>());
    prop_oneof![
        pieces().prop_map(Section::Reasoning),
        (pieces(), any::<bool>()).prop_map(|(text, cites)| Section::Text(text, cites)),
        pieces().prop_map(Section::Refusal),
        call.prop_map(|(name, arguments, at)| {
            let cut = arguments.floor_char_boundary(at.index(arguments.len() + 1));
            let (one, other) = arguments.split_at(cut);
            Section::Call(name, vec![one.to_owned(), other.to_owned()])
        }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let reason = prop::sample::select(vec![
        StopReason::Done,
        StopReason::ToolCalls,
        StopReason::Length,
        StopReason::Filtered,
    ]);
    let tokens = (0..9u64, 0..9u64, 0..9u64, 0..9u64);
    let sections = prop::collection::vec(section(), 0..6);
    (sections, reason, prop::option::of("[a-z]{1,3}"), tokens).prop_map(
        |(sections, reason, sequence, (fresh, cached, written, out))| Answer {
            sections,
            reason,
            sequence,
            usage: Usage {
                prompt: fresh + cached + written,
                completion: out + cached,
                cached: Some(cached),
                cache_write: Some(written),
                reasoning: Some(out),
            },
        },
    )
}

/// What the backends' writers take, whichever it is.
struct Written {
    events: AnswerWriter,
    stream: String,
    whole: Whole,
}

fn head() -> AnswerHead {
    AnswerHead {
        id: "up-1".to_owned(),
        model: "backend-7b".to_owned(),
        created: 9,
    }
}

/// Returns the answer as a backend streams it, and as it says it in one body.
fn written(backend: Dialect, answer: &Answer) -> (String, String) {
    let mut all = Written {
        events: AnswerWriter::new(backend, head()),
        stream: String::new(),
        whole: Whole::default(),
    };
    for (number, section) in answer.sections.iter().enumerate() {
        all.write(section, number);
    }
    if let Some(sequence) = &answer.sequence {
        all.events.stopped_at(sequence);
        all.whole.stopped_at(sequence);
    }
    all.events
        .end(&mut all.stream, answer.reason, Some(answer.usage));
    let usage = Some(answer.usage);
    let body = match (backend, all.events) {
        (Dialect::OpenAiChat, _) => all.whole.completion(&head(), answer.reason, usage),
        (_, AnswerWriter::Responses(writer)) => ResponsesWriter::into_response(*writer),
        _ => all.whole.message(&head(), answer.reason, usage),
    };
    (all.stream, body.to_string())
}

impl Written {
    fn write(&mut self, section: &Section, number: usize) {
        let Self {
            events,
            stream,
            whole,
        } = self;
        match section {
            Section::Reasoning(texts) => texts.iter().for_each(|text| {
                events.reasoning(stream, text);
                whole.reasoning(text);
            }),
            Section::Refusal(texts) => texts.iter().for_each(|text| {
                events.refusal(stream, text);
                whole.refusal(text);
            }),
            Section::Text(texts, cites) => {
                for text in texts {
                    events.text(stream, text);
                    whole.text(text);
                }
                let source = Source {
                    url: "https://example.org/\"a\"",
                    title: "A",
                    cited: "",
                    begins_back: 1,
                    ends_back: 0,
                };
                if *cites {
                    events.citation(stream, &source);
                    whole.citation(&source);
                }
            }
            Section::Call(name, texts) => {
                let id = format!("call_{number}");
                let call = events.tool_call(stream, &id, name);
                let also = whole.tool_call(&id, name);
                for text in texts.iter().filter(|text| !text.is_empty()) {
                    events.arguments(stream, call, text);
                    whole.arguments(also, text);
                }
                events.close_call(stream, call);
            }
        }
    }
}

/// A chat completion has no order of its parts, and one of each: the order that it is read in.
fn in_order(answer: &Answer) -> Answer {
    let place = |section: &Section| match section {
        Section::Reasoning(_) => 0,
        Section::Text(..) => 1,
        Section::Refusal(_) => 2,
        Section::Call(..) => 3,
    };
    let mut ordered = answer.clone();
    ordered.sections.sort_by_key(place);
    // Where text is cited twice, the places are told of all of it.
    ordered
        .sections
        .dedup_by(|b, a| place(a) == place(b) && place(a) == 1);
    ordered
}

fn cases() -> u32 {
    let set = std::env::var("MERIT_TRANSLATION_CASES").ok();
    set.and_then(|set| set.parse().ok()).unwrap_or(500)
}

#[test]
fn a_stream_says_what_the_body_says() {
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    };
    let cut = any::<prop::sample::Index>();
    let checked = TestRunner::new(config).run(&(answer(), cut), |(answer, cut)| {
        for reply in directions() {
            let answer = match reply.backend {
                Dialect::OpenAiChat => in_order(&answer),
                _ => answer.clone(),
            };
            let (events, body) = written(reply.backend, &answer);
            let whole: Value = serde_json::from_slice(
                &reply
                    .body(body.as_bytes(), 7)
                    .map_err(|error| TestCaseError::fail(String::from_utf8(error).unwrap()))?,
            )
            .unwrap();

            let (one, other) = events.as_bytes().split_at(cut.index(events.len() + 1));
            let streamed = stream(&reply, [one, other]);
            let says = |name: &str| format!("{name} of {} for {}", reply.backend, reply.client);
            prop_assert_eq!(
                sorted(&reassembled(reply.client, &streamed)),
                sorted(&whole),
                "{}",
                says("stream")
            );

            let mut from_body = String::new();
            reply.stream(7).whole(body.as_bytes(), &mut from_body);
            prop_assert_eq!(
                sorted(&reassembled(reply.client, &from_body)),
                sorted(&whole),
                "{}",
                says("body as a stream")
            );

            let gathered = reply.body(events.as_bytes(), 7).unwrap();
            let gathered: Value = serde_json::from_slice(&gathered).unwrap();
            prop_assert_eq!(
                sorted(&gathered),
                sorted(&whole),
                "{}",
                says("stream as a body")
            );
        }
        Ok(())
    });
    checked.unwrap();
}

/// Returns a value with its members in order, as a text.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name}: {}", sorted(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(sorted).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}
