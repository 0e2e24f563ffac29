//! What a model's answer says, whatever wire it comes by: the contract with those who read
//! responses. [`prompt`](crate::prompt) is the same for requests.
//!
//! [`AnswerReader`] takes the events of a stream, or a whole body, apart; [`AnswerWriter`] makes
//! events. What cannot be read is passed over: it is the client's to complain about.

mod chat;
mod messages;
mod model;
mod responses;
pub mod write;

pub use model::model_spans;
pub use write::{AnswerHead, AnswerWriter, StopReason};

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::endpoint::Dialect;
use crate::json::{self, Kind};
use crate::sse::Event;
use crate::usage::{ResponseError, Usage};

/// A part of an answer. One event, and all the more a whole body, may have several.
#[derive(Debug, Clone, PartialEq)]
pub enum Part<'a> {
    /// The answer's id.
    Id(Cow<'a, str>),
    /// The model that the backend says it is.
    Model(Cow<'a, str>),
    /// More of what the model writes.
    Delta(Delta<'a>),
    /// A tool call begins; its arguments come as deltas.
    ToolCall(ToolCall<'a>),
    /// Tokens so far.
    Usage(Usage),
    /// Why the model stopped, in the wire's own words.
    Stop(Cow<'a, str>),
    /// The client's stop sequence that the model stopped at.
    StopSequence(Cow<'a, str>),
    /// When the answer began, seconds since the Unix epoch.
    Created(u64),
    /// The choice that the following parts of this event belong to; 0 until this is said.
    Choice(u64),
    /// A source that the text so far rests on.
    Citation(Citation<'a>),
    /// The whole of what deltas have given in pieces: of use where none came.
    Whole(Delta<'a>),
    /// A content block or output item is complete.
    BlockEnd(u64),
    /// The provider has signed the reasoning, so that it can be sent back.
    Signature,
    /// A part of a kind that the other wires do not have: its type.
    Foreign(Cow<'a, str>),
    /// Nothing but a sign of life.
    Ping,
    /// The event, or the body, is not of its wire.
    Unreadable,
    /// The answer failed, perhaps after it had begun well.
    Error(ResponseError),
    /// Nothing more comes.
    End,
}

/// More of what a model writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delta<'a> {
    /// The choice, output item or content block that it belongs to; for a tool call of a chat
    /// completion, which call.
    pub index: u64,
    /// What it is.
    pub kind: DeltaKind,
    /// Its JSON value, within the event's data: what is edited there leaves the rest as it came.
    pub raw: &'a str,
}

impl<'a> Delta<'a> {
    /// Returns the text, decoded; `None` if it is no text.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, str>> {
        json::string(self.raw)
    }
}

/// What a model writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeltaKind {
    /// The answer.
    Text,
    /// Reasoning that the server shows apart from it.
    Reasoning,
    /// A refusal in the model's own words.
    Refusal,
    /// A piece of a tool call's arguments; of a whole Messages body, all of them as an object.
    ToolArguments,
    /// Something that has no name here.
    Other,
}

/// A page that an answer cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation<'a> {
    /// As [`Delta::index`].
    pub index: u64,
    /// Where the page is; empty for a source without an address.
    pub url: Cow<'a, str>,
    /// The page's title; may be empty.
    pub title: Cow<'a, str>,
    /// The page's words that the answer rests on; empty if not told.
    pub cited: Cow<'a, str>,
    /// The answer's characters that rest on it, first and one past the last, within their block or
    /// item. Without it, all that the block has.
    pub span: Option<(u64, u64)>,
}

/// The beginning of a tool call. Servers may send a call's id and name in parts of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall<'a> {
    /// As [`Delta::index`].
    pub index: u64,
    /// The id by which its result is sent.
    pub id: Option<Cow<'a, str>>,
    /// The tool.
    pub name: Option<Cow<'a, str>>,
}

/// Reads an answer's events in order, or its body.
#[derive(Debug)]
pub struct AnswerReader {
    dialect: Dialect,
    /// The Messages wire reports its counts in two events.
    counts: messages::Counts,
}

impl AnswerReader {
    /// Begins an answer.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            counts: messages::Counts::default(),
        }
    }

    /// Gives the parts of an event to `sink`.
    pub fn event<'a>(&mut self, event: Event<'a>, mut sink: impl FnMut(Part<'a>)) {
        if event.data == b"[DONE]" {
            sink(Part::End);
            return;
        }
        match self.dialect {
            Dialect::OpenAiChat => chat::read(event.data, event.name == "error", &mut sink),
            Dialect::OpenAiResponses => responses::event(event.data, &mut sink),
            Dialect::AnthropicMessages => {
                messages::event(event.data, &mut self.counts, &mut sink);
            }
        }
    }

    /// Gives the parts of a whole body to `sink`.
    pub fn body<'a>(&mut self, body: &'a [u8], mut sink: impl FnMut(Part<'a>)) {
        match self.dialect {
            Dialect::OpenAiChat => chat::read(body, false, &mut sink),
            Dialect::OpenAiResponses => responses::body(body, &mut sink),
            Dialect::AnthropicMessages => messages::body(body, &mut self.counts, &mut sink),
        }
    }
}

/// Takes the parts of one wire.
type Sink<'s, 'a> = &'s mut dyn FnMut(Part<'a>);

/// Gives a delta if its value holds something.
fn delta<'a>(kind: DeltaKind, index: u64, raw: Option<&'a RawValue>, sink: Sink<'_, 'a>) {
    if let Some(raw) = raw.map(RawValue::get).filter(|raw| holds_something(raw)) {
        sink(Part::Delta(Delta { index, kind, raw }));
    }
}

/// Gives the deltas of a content that is a text, or a list of parts with texts.
fn content<'a>(kind: DeltaKind, index: u64, raw: Option<&'a RawValue>, sink: Sink<'_, 'a>) {
    match raw.map(RawValue::get) {
        Some(parts) if Kind::of(parts) == Kind::Array => json::elements(parts, |part| {
            let part = serde_json::from_str::<ContentPart<'a>>(part).unwrap_or_default();
            match (part.text, part.thinking) {
                (Some(text), _) => delta(kind, index, Some(text), sink),
                (None, Some(thinking)) if kind != DeltaKind::Reasoning => {
                    content(DeltaKind::Reasoning, index, Some(thinking), sink);
                }
                _ => foreign(part.kind, sink),
            }
        }),
        _ => delta(kind, index, raw, sink),
    }
}

#[derive(Deserialize, Default)]
struct ContentPart<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

/// Says that a part has no like on the other wires.
fn foreign<'a>(kind: Option<&'a RawValue>, sink: Sink<'_, 'a>) {
    sink(Part::Foreign(text(kind).unwrap_or_default()));
}

/// Reads a place in a text, or a time; `None` if it is no whole number.
fn offset(raw: Option<&RawValue>) -> Option<u64> {
    raw?.get().parse().ok()
}

/// Tells whether a value is neither `null` nor an empty string, list or object.
fn holds_something(raw: &str) -> bool {
    !matches!(raw, "null" | "\"\"" | "[]" | "{}")
}

/// Reads an index as the wires write it; 0 if it cannot be read.
fn number(raw: Option<&RawValue>) -> u64 {
    raw.and_then(|raw| raw.get().parse().ok())
        .unwrap_or_default()
}

/// Reads the text of a member that should be a string.
fn text<'a>(raw: Option<&'a RawValue>) -> Option<Cow<'a, str>> {
    json::string(raw?.get()).filter(|text| !text.is_empty())
}

fn read_error(raw: &str) -> ResponseError {
    if let Some(message) = json::string(raw) {
        return ResponseError {
            code: String::new(),
            message: message.into_owned(),
        };
    }
    let Ok(error) = serde_json::from_str::<ErrorBody<'_>>(raw) else {
        return ResponseError::default();
    };
    let code = error
        .code
        .map(RawValue::get)
        .and_then(|code| match json::string(code) {
            Some(code) => Some(code.into_owned()),
            None => (code != "null").then(|| code.to_owned()),
        });
    let kind = error
        .kind
        .filter(|kind| kind != "error")
        .map(Cow::into_owned);
    ResponseError {
        code: code.or(kind).unwrap_or_default(),
        message: error.message.map(Cow::into_owned).unwrap_or_default(),
    }
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests;
