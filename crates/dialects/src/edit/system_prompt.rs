//! Puts an operator's system prompt where each wire has it.

use std::ops::Range;

use super::Edits;
use super::splice::{Change, Object};
use crate::endpoint::Dialect;
use crate::json::{self, Kind};
use crate::request::{Request, span};

/// How a system prompt meets the one that the request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PromptMode {
    /// Before it, with a blank line between them.
    #[default]
    Insert,
    /// In its place.
    Replace,
}

pub(super) fn insert(edits: &mut Edits, request: &Request, mode: PromptMode, text: &str) {
    let member = match request.dialect() {
        Dialect::OpenAiChat => "messages",
        Dialect::OpenAiResponses => "instructions",
        Dialect::AnthropicMessages => "system",
    };
    let current = json::present(edits.current(request, member));
    let edited = match (request.dialect(), current) {
        (Dialect::OpenAiChat, Some(messages)) => in_messages(messages, mode, text),
        (Dialect::OpenAiChat, None) => return,
        (_, Some(system)) if mode == PromptMode::Insert => before(system, text),
        _ => json::quote(text),
    };
    edits.set(member, edited);
}

/// Only the first message counts as the system message; without one, one is put before it.
fn in_messages(messages: &str, mode: PromptMode, text: &str) -> String {
    let mut first = None;
    json::elements(messages, |message| first = first.or(Some(message)));
    let (at, replacement) = match first {
        Some(message) if is_system(message) => {
            (span(messages, message), with_content(message, mode, text))
        }
        Some(message) => {
            let start = span(messages, message).start;
            (start..start, format!("{},", system_message(text)))
        }
        None => {
            let start = messages.len().min(1);
            (start..start, system_message(text))
        }
    };
    replace(messages, at, &replacement)
}

fn is_system(message: &str) -> bool {
    Object::read(message)
        .get("role")
        .and_then(json::string)
        .as_deref()
        == Some("system")
}

fn system_message(text: &str) -> String {
    format!(r#"{{"role":"system","content":{}}}"#, json::quote(text))
}

/// Writes the content of a system message; its other members stay.
fn with_content(message: &str, mode: PromptMode, text: &str) -> String {
    let object = Object::read(message);
    let content = match json::present(object.get("content")) {
        Some(content) if mode == PromptMode::Insert => before(content, text),
        _ => json::quote(text),
    };
    object.splice(&[("content".to_owned(), Change::Set(content))])
}

/// Puts a text before a content. A string is prolonged; a list gets one more part in front, so that
/// the others keep their cache marks.
fn before(content: &str, text: &str) -> String {
    match Kind::of(content) {
        Kind::Array => {
            let comma = if json::is_empty_array(content) {
                ""
            } else {
                ","
            };
            let part = format!(r#"{{"type":"text","text":{}}}{comma}"#, json::quote(text));
            replace(content, 1..1, &part)
        }
        _ => match json::string(content) {
            Some(old) if !old.is_empty() => json::quote(&format!("{text}\n\n{old}")),
            _ => json::quote(text),
        },
    }
}

fn replace(text: &str, at: Range<usize>, with: &str) -> String {
    let before = text.get(..at.start).unwrap_or_default();
    let after = text.get(at.end..).unwrap_or_default();
    [before, with, after].concat()
}
