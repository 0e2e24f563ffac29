//! Takes out thinking that no provider signed.

use std::borrow::Cow;

use super::Edits;
use super::splice::{Change, Object};
use crate::json::{self, Kind};
use crate::request::{Request, span};

/// Removes thinking without a signature from the assistant's turns, and turns that it leaves empty.
pub(super) fn drop_unsigned(edits: &mut Edits, request: &Request) {
    if !request.prompt().continuity.unsigned_thinking {
        return;
    }
    if let Some(messages) = edits.current(request, "messages") {
        let edited = filtered(messages, turn).unwrap_or_else(|| "[]".to_owned());
        edits.set("messages", edited);
    }
}

/// Returns what is left of a turn, if anything is.
fn turn(message: &str) -> Option<Cow<'_, str>> {
    let object = Object::read(message);
    let content = object.get("content");
    let role = object.get("role").and_then(json::string);
    let is_assistant = role.is_some_and(|role| role.eq_ignore_ascii_case("assistant"));
    match content.filter(|raw| Kind::of(raw) == Kind::Array) {
        Some(content) if is_assistant && has_unsigned(content) => {
            let edited = filtered(content, |block| {
                (!is_unsigned(block)).then_some(block.into())
            })?;
            let change = ("content".to_owned(), Change::Set(edited));
            Some(object.splice(&[change]).into())
        }
        _ => Some(message.into()),
    }
}

fn has_unsigned(content: &str) -> bool {
    let mut found = false;
    json::elements(content, |block| found |= is_unsigned(block));
    found
}

fn is_unsigned(block: &str) -> bool {
    let block = Object::read(block);
    let text = |name: &str| block.get(name).and_then(json::string).unwrap_or_default();
    text("type") == "thinking" && text("signature").is_empty()
}

/// Returns an array with its elements edited, and what stands between those that are left; `None`
/// where no element is.
fn filtered<'a>(array: &'a str, edit: impl Fn(&'a str) -> Option<Cow<'a, str>>) -> Option<String> {
    let mut out = String::with_capacity(array.len());
    let mut is_empty = true;
    let mut end = 0;
    json::elements(array, |element| {
        let place = span(array, element);
        if let Some(edited) = edit(element) {
            let before = if is_empty {
                "["
            } else {
                array.get(end..place.start).unwrap_or(",")
            };
            out.push_str(before);
            out.push_str(&edited);
            is_empty = false;
        }
        end = place.end;
    });
    out.push_str(array.get(end..).unwrap_or("]"));
    (!is_empty).then_some(out)
}
