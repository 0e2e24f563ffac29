//! What a request says of reasoning, in the words of any provider.

use std::borrow::Cow;

use crate::json::{self, Kind};
use crate::request::Fields;

/// Switches among the variables of chat templates.
const TEMPLATE_SWITCHES: &[&str] = &["enable_thinking", "thinking"];

/// Switches beside the messages.
const SWITCHES: &[&str] = &["enable_thinking", "think"];

/// Returns the effort in the object `reasoning`, which some chat servers take.
pub(crate) fn effort(fields: &Fields<'_>) -> Option<String> {
    let effort = find(fields, "reasoning", |key, raw| {
        (key == "effort").then(|| json::string(raw))?
    });
    effort.map(Cow::into_owned)
}

/// Returns whether the client switches reasoning on or off.
pub(crate) fn switch(fields: &Fields<'_>) -> Option<bool> {
    find(fields, "thinking", by_type)
        .or_else(|| find(fields, "chat_template_kwargs", in_template))
        .or_else(|| find(fields, "reasoning", by_budget))
        .or_else(|| SWITCHES.iter().find_map(|name| flag(fields.get(name)?)))
}

/// Reads a member of `thinking` (Anthropic, DeepSeek).
fn by_type(key: &str, raw: &str) -> Option<bool> {
    if key != "type" {
        return None;
    }
    match json::string(raw)?.as_ref() {
        "enabled" | "adaptive" => Some(true),
        "disabled" => Some(false),
        _ => None,
    }
}

/// Reads a member of `chat_template_kwargs` (vLLM, SGLang).
fn in_template(key: &str, raw: &str) -> Option<bool> {
    TEMPLATE_SWITCHES.contains(&key).then(|| flag(raw))?
}

/// Reads a member of `reasoning` (OpenRouter).
fn by_budget(key: &str, raw: &str) -> Option<bool> {
    match key {
        "enabled" => flag(raw),
        "max_tokens" => raw.parse::<f64>().ok().map(|tokens| tokens > 0.0),
        _ => None,
    }
}

fn flag(raw: &str) -> Option<bool> {
    match raw {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Returns the first thing that `read` finds among the members of an object.
fn find<'a, T>(
    fields: &Fields<'a>,
    object: &str,
    read: impl Fn(&str, &'a str) -> Option<T>,
) -> Option<T> {
    let raw = fields.get(object)?;
    let mut found = None;
    if Kind::of(raw) == Kind::Object {
        json::members(raw, |key, value| {
            if found.is_none() {
                found = read(&key, value);
            }
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::{Dialect, ReadOptions, Request};

    /// Checks whether a chat request asks for reasoning, and with which effort.
    #[track_caller]
    fn check(members: &str, asks: Option<bool>, effort: Option<&str>) {
        let body = format!(r#"{{"model":"m","messages":[],{members}}}"#);
        let options = ReadOptions::default();
        let request = Request::parse(Dialect::OpenAiChat, body.into(), &options).unwrap();
        let prompt = request.prompt();
        assert_eq!(prompt.asks_reasoning(), asks, "{members}");
        assert_eq!(prompt.reasoning_effort.as_deref(), effort, "{members}");
    }

    #[test]
    fn each_providers_words_are_read() {
        check(r#""reasoning_effort":"high""#, Some(true), Some("high"));
        check(
            r#""reasoning_effort":" None ""#,
            Some(false),
            Some(" None "),
        );
        check(r#""reasoning_effort":"""#, None, Some(""));
        check(r#""reasoning_effort":null"#, None, None);
        check(r#""reasoning":{"effort":"low"}"#, Some(true), Some("low"));
        check(r#""reasoning":{"max_tokens":2000}"#, Some(true), None);
        check(r#""reasoning":{"enabled":false}"#, Some(false), None);
        check(r#""reasoning":{"summary":"auto"}"#, None, None);
        check(r#""thinking":{"type":"adaptive"}"#, Some(true), None);
        check(r#""thinking":{"type":"disabled"}"#, Some(false), None);
        check(r#""thinking":{"type":"new"}"#, None, None);
        check(r#""thinking":null"#, None, None);
        let kwargs = r#""chat_template_kwargs":{"a":1,"enable_thinking":false}"#;
        check(kwargs, Some(false), None);
        check(
            r#""chat_template_kwargs":{"thinking":true}"#,
            Some(true),
            None,
        );
        check(r#""enable_thinking":true"#, Some(true), None);
        check(
            r#""think":false,"reasoning_effort":"high""#,
            Some(false),
            Some("high"),
        );
    }
}
