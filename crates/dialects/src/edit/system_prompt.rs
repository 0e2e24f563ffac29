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
        (_, Some(system)) if mode == PromptMode::Insert => in_system(system, text),
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

/// The system message with its content rewritten to one string; its other members stay.
fn with_content(message: &str, mode: PromptMode, text: &str) -> String {
    let object = Object::read(message);
    let old = object
        .get("content")
        .filter(|_| mode == PromptMode::Insert)
        .map(text_of)
        .unwrap_or_default();
    let content = if old.is_empty() {
        text.to_owned()
    } else {
        format!("{text}\n\n{old}")
    };
    object.splice(&[("content".to_owned(), Change::Set(json::quote(&content)))])
}

/// A content's text, text parts joined by newlines.
fn text_of(content: &str) -> String {
    if let Some(text) = json::string(content) {
        return text.into_owned();
    }
    let mut texts = Vec::new();
    json::elements(content, |part| {
        texts.extend(Object::read(part).get("text").and_then(json::string));
    });
    texts.join("\n")
}

/// A string is prolonged; a list of blocks gets one more in front, so that the others keep their
/// cache marks.
fn in_system(system: &str, text: &str) -> String {
    match Kind::of(system) {
        Kind::Array => {
            let comma = if json::is_empty_array(system) {
                ""
            } else {
                ","
            };
            let block = format!(r#"{{"type":"text","text":{}}}{comma}"#, json::quote(text));
            replace(system, 1..1, &block)
        }
        _ => match json::string(system) {
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
