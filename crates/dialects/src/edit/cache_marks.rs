//! Marks what Anthropic should cache of a prompt, as callers mark it themselves.

use super::Edits;
use super::splice::{Change, Object};
use crate::endpoint::Dialect;
use crate::json::{self, Kind};
use crate::request::{Request, span};

const MARK: &str = "cache_control";

/// What is to be marked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheMarks {
    /// The last text of the instructions.
    pub instructions: bool,
    /// The last tool.
    pub tools: bool,
    /// The cache lives for an hour instead of five minutes.
    pub for_an_hour: bool,
}

impl CacheMarks {
    fn mark(self) -> Change {
        let mark = match self.for_an_hour {
            true => r#"{"type":"ephemeral","ttl":"1h"}"#,
            false => r#"{"type":"ephemeral"}"#,
        };
        Change::Set(mark.to_owned())
    }
}

/// Sets the marks. A request whose caller has set one keeps its own alone.
pub(super) fn mark(edits: &mut Edits, request: &Request, marks: CacheMarks) {
    if request.dialect() != Dialect::AnthropicMessages || is_marked(request) {
        return;
    }
    let system = json::present(edits.current(request, "system")).filter(|_| marks.instructions);
    if let Some(system) = system.and_then(|raw| instructions(raw, marks)) {
        edits.set("system", system);
    }
    let tools = json::present(edits.current(request, "tools")).filter(|_| marks.tools);
    if let Some(tools) = tools.and_then(|raw| last_marked(raw, marks, |_| true)) {
        edits.set("tools", tools);
    }
}

/// Tells whether the caller marks something. In a text of JSON quotes are escaped, so a quoted name
/// is a key, or a value that says nothing else.
fn is_marked(request: &Request) -> bool {
    let quoted = json::quote(MARK);
    let places = ["system", "tools", "messages"];
    let mut places = places.iter().filter_map(|name| request.member(name));
    request.member(MARK).is_some() || places.any(|raw| raw.contains(&quoted))
}

fn instructions(raw: &str, marks: CacheMarks) -> Option<String> {
    if Kind::of(raw) == Kind::Array {
        let is_text = |block: &str| {
            let kind = Object::read(block).get("type").and_then(json::string);
            kind.as_deref() == Some("text")
        };
        return last_marked(raw, marks, is_text);
    }
    let text = json::string(raw).filter(|text| !text.is_empty())?;
    let block = format!(r#"{{"type":"text","text":{}}}"#, json::quote(&text));
    let block = Object::read(&block).splice(&[(MARK.to_owned(), marks.mark())]);
    Some(format!("[{block}]"))
}

/// Marks the last object of a list that fits.
fn last_marked(raw: &str, marks: CacheMarks, fits: impl Fn(&str) -> bool) -> Option<String> {
    let mut last = None;
    json::elements(raw, |element| {
        if Kind::of(element) == Kind::Object && fits(element) {
            last = Some(element);
        }
    });
    let at = span(raw, last?);
    let marked = Object::read(last?).splice(&[(MARK.to_owned(), marks.mark())]);
    let before = raw.get(..at.start)?;
    let after = raw.get(at.end..)?;
    Some([before, &marked, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ReadOptions;

    #[track_caller]
    fn check(dialect: Dialect, body: &str, expected: &str) {
        let request =
            Request::parse(dialect, body.to_owned().into(), &ReadOptions::default()).unwrap();
        let mut edits = Edits::new();
        let marks = CacheMarks {
            instructions: true,
            tools: true,
            for_an_hour: false,
        };
        mark(&mut edits, &request, marks);
        let edited = edits.apply(&request);
        assert_eq!(String::from_utf8_lossy(&edited), expected);
    }

    #[test]
    fn the_last_text_and_the_last_tool() {
        let messages = Dialect::AnthropicMessages;
        check(
            messages,
            r#"{"model":"m","system":"Be kind.","tools":[{"name":"a"}, {"name":"b"}],"messages":[]}"#,
            r#"{"model":"m","system":[{"type":"text","text":"Be kind.","cache_control":{"type":"ephemeral"}}],"tools":[{"name":"a"}, {"name":"b","cache_control":{"type":"ephemeral"}}],"messages":[]}"#,
        );
        check(
            messages,
            r#"{"model":"m","system":[{"type":"text","text":"a"}],"messages":[]}"#,
            r#"{"model":"m","system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"messages":[]}"#,
        );
        // The caller's marks stand alone; other wires have none.
        for (dialect, body) in [
            (
                messages,
                r#"{"model":"m","system":"a","messages":[{"role":"user","content":[{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]}]}"#,
            ),
            (messages, r#"{"model":"m","system":"","messages":[]}"#),
            (
                Dialect::OpenAiChat,
                r#"{"model":"m","tools":[{"type":"function"}],"messages":[]}"#,
            ),
        ] {
            check(dialect, body, body);
        }
    }
}
