//! Reading takes work in proportion to a body's length, whatever its shape.

use crate::deadline::{self, looks};
use crate::json::work;
use crate::request::{Asked, ReadOptions, RefusedKind, Request};
use crate::{Conversation, Dialect};
use std::time::{Duration, Instant};

const WIRES: [Dialect; 3] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::AnthropicMessages,
];

/// How often each byte of a body may be passed over: once to check it, and once for each level at
/// which a reader looks.
const PASSES: usize = 12;

/// Reads a body and checks the work that it took.
#[track_caller]
fn read(dialect: Dialect, body: &str) -> (Result<Request, RefusedKind>, usize) {
    work::take();
    let read = Request::parse(dialect, body.to_owned().into(), &ReadOptions::default());
    let work = work::take();
    assert!(
        work <= PASSES * body.len(),
        "{work} bytes passed over of {}",
        body.len()
    );
    (read.map_err(|refused| refused.kind), work)
}

/// Reads a body that is refused or not, and one with ten times as many of `piece`.
#[track_caller]
fn check(dialect: Dialect, count: usize, body: impl Fn(usize) -> String) -> Request {
    let (_, small) = read(dialect, &body(count / 10));
    let (large, work) = read(dialect, &body(count));
    assert!(
        work <= 11 * small,
        "{work} bytes passed over, {small} of a tenth"
    );
    large.unwrap()
}

/// Makes a request of one user message with this content.
fn user(dialect: Dialect, content: &str, rest: &str) -> String {
    let list = if dialect == Dialect::OpenAiResponses {
        "input"
    } else {
        "messages"
    };
    format!(r#"{{"model":"auto","{list}":[{{"role":"user","content":{content}}}]{rest}}}"#)
}

#[test]
fn a_million_parts() {
    for dialect in WIRES {
        let part = r#"{"type":"text","text":"a"}"#;
        let request = check(dialect, 1_000_000, |count| {
            user(
                dialect,
                &format!("[{}]", [part].repeat(count).join(",")),
                "",
            )
        });
        assert_eq!(request.prompt().texts.current.len(), 1_999_999);
    }
}

#[test]
fn a_hundred_thousand_messages() {
    for dialect in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
        let message = r#"{"role":"user","content":"a"}"#;
        let request = check(dialect, 100_000, |count| {
            let messages = [message].repeat(count).join(",");
            format!(r#"{{"model":"auto","messages":[{messages}]}}"#)
        });
        assert_eq!(request.prompt().conversation.user, 100_000);
    }
}

#[test]
fn ten_thousand_tools() {
    for dialect in WIRES {
        let tool =
            r#"{"name":"t","parameters":{"type":"object","properties":{"a":{"enum":["b"]}}}}"#;
        let request = check(dialect, 10_000, |count| {
            let tools = format!(r#","tools":[{}]"#, [tool].repeat(count).join(","));
            user(dialect, r#""a""#, &tools)
        });
        let counted = Conversation {
            user: 1,
            tool_definitions: 10_000,
            ..Conversation::default()
        };
        assert_eq!(request.prompt().conversation, counted);
    }
}

#[test]
fn a_text_of_nothing_but_escapes() {
    for dialect in WIRES {
        let request = check(dialect, 100_000, |count| {
            user(dialect, &format!("\"{}\"", r"\n\u00e9\\".repeat(count)), "")
        });
        assert_eq!(request.prompt().texts.current.len(), 400_000);
    }
}

#[test]
fn deep_nesting_is_refused_after_one_pass() {
    for dialect in WIRES {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let depth = 1_000_000;
            let content = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            let body = user(dialect, &content, "");
            let (read, work) = read(dialect, &body);
            assert_eq!(read.err(), Some(RefusedKind::TooDeep));
            assert!(work <= 2 * body.len(), "{work} bytes passed over");
        }
    }
}

/// A body that is read until its deadline, which passes at any of the looks at the clock: what is
/// done afterwards is a tenth of what was done before, or as much as lies between two looks.
#[test]
fn a_deadline_ends_the_work() {
    let part = r#"{"type":"text","text":"a few words"}"#;
    let bodies = [
        format!("[{}]", [part].repeat(100_000).join(",")),
        format!("\"{}\"", "a long text ".repeat(400_000)),
        format!("\"x{}\"", "数".repeat(1_500_000)),
    ];
    let until = Some(Instant::now() + Duration::from_secs(3_600));
    for dialect in WIRES {
        for content in &bodies {
            let body = user(dialect, content, "");
            let asked = Asked::conversation(dialect);
            let read = || {
                let body = body.clone().into();
                Request::read_until(&asked, body, &ReadOptions::default(), until)
            };
            looks::end_at(usize::MAX);
            assert!(read().is_ok());
            let (left, _) = looks::take();
            let all = usize::MAX - left.unwrap();
            assert!(all > 30, "{all} looks");

            for look in (1..=all).step_by(7) {
                work::take();
                looks::end_at(look);
                assert_eq!(read().err().map(|it| it.kind), Some(RefusedKind::Late));
                let (_, before) = looks::take();
                let after = work::take() - before;
                assert!(
                    after <= before / 10 + PASSES * deadline::LOOK,
                    "{after} bytes after {before}, look {look} of {all}"
                );
            }
        }
    }
}
