//! Where an answer names its model.

use std::ops::Range;

use crate::endpoint::Dialect;
use crate::json::{self, Kind};
use crate::request::span;
use crate::usage::BodyKind;

/// Finds the strings that name the model, in an event's data or in a whole body. Duplicates
/// count: readers disagree about which of them they take.
#[must_use]
pub fn model_spans(dialect: Dialect, kind: BodyKind, data: &[u8]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    // Most events of two wires do not name it. Nobody writes the key with escapes.
    if memchr::memmem::find(data, b"\"model\"").is_none() {
        return spans;
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return spans;
    };
    let outer = match (dialect, kind) {
        (Dialect::OpenAiChat, _) | (_, BodyKind::Json) => None,
        (Dialect::OpenAiResponses, BodyKind::EventStream) => Some("response"),
        (Dialect::AnthropicMessages, BodyKind::EventStream) => Some("message"),
    };
    let mut found = |raw: &str| {
        if Kind::of(raw) == Kind::String {
            spans.push(span(text, raw));
        }
    };
    // Text that is no JSON is left as it is, also where it begins like JSON.
    let read = json::each_member(text, |name, raw| match outer {
        None if name == "model" => found(raw),
        Some(outer) if name == outer => json::members(raw, |name, raw| {
            if name == "model" {
                found(raw);
            }
        }),
        _ => {}
    });
    if read.is_err() {
        spans.clear();
    }
    spans
}
