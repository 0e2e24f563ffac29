//! What a Responses client finds repeated in the response object.

use std::borrow::Cow;
use std::sync::Arc;

use super::out::Out;
use crate::endpoint::Dialect;
use crate::json;

/// Members that are repeated, with what stands for one that was not sent.
const REPEATED: [(&str, Option<&str>); 20] = [
    ("background", None),
    ("conversation", None),
    ("instructions", Some("null")),
    ("max_output_tokens", Some("null")),
    ("max_tool_calls", None),
    ("metadata", Some("{}")),
    ("parallel_tool_calls", Some("true")),
    ("previous_response_id", Some("null")),
    ("prompt_cache_key", None),
    ("prompt_cache_retention", None),
    ("reasoning", Some(r#"{"effort":null,"summary":null}"#)),
    ("safety_identifier", None),
    ("service_tier", None),
    ("store", None),
    ("temperature", Some("1.0")),
    ("text", Some(r#"{"format":{"type":"text"}}"#)),
    ("tool_choice", Some("\"auto\"")),
    ("tools", Some("[]")),
    ("top_p", Some("1.0")),
    ("truncation", Some("\"disabled\"")),
];

/// Returns them as one object; empty for clients of other wires. The body is known to be valid.
pub(super) fn echo(body: &[u8], from: Dialect) -> Arc<str> {
    let body = std::str::from_utf8(body).unwrap_or_default();
    if from != Dialect::OpenAiResponses {
        return Arc::from("");
    }
    let mut found: [Option<&str>; REPEATED.len()] = [None; REPEATED.len()];
    json::members(body.trim_start(), |name: Cow<'_, str>, value| {
        let known = REPEATED.iter().position(|(known, _)| *known == name);
        if let Some(place) = known.and_then(|at| found.get_mut(at)) {
            *place = json::present(Some(value));
        }
    });
    let mut out = Out::default();
    out.begin('{');
    for ((name, absent), value) in REPEATED.iter().zip(found) {
        if let Some(value) = value.or(*absent) {
            out.member(name, value);
        }
    }
    out.end('}');
    Arc::from(out.finish())
}
