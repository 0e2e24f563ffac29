//! Errors, from the words of any wire to the client's.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::endpoint::Dialect;
use crate::json;
use crate::refusal::{
    CONTEXT_LENGTH_EXCEEDED, MODEL_NOT_FOUND, Refusal, anthropic_type, openai_type,
};
use crate::usage::ResponseError;

/// Words by which backends say that a prompt is too long.
const OVERFLOW: [&str; 6] = [
    "maximum context length",
    "prompt is too long",
    "context_length_exceeded",
    "context window",
    "maximum model length",
    "input is too long",
];

/// What an error says, on whatever wire.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    message: String,
    kind: Option<String>,
    code: Option<Value>,
    param: Option<Value>,
    request_id: Option<String>,
}

/// Returns an error of the backend's server.
pub(super) fn server(message: &str) -> ResponseError {
    ResponseError {
        code: "server_error".to_owned(),
        message: message.to_owned(),
    }
}

/// Returns an error that came in an answer, in the words that clients act on.
pub(super) fn event(client: Dialect, mut error: ResponseError) -> ResponseError {
    if is_overflow(&error.message, &error.code) {
        error.code = CONTEXT_LENGTH_EXCEEDED.to_owned();
        error.message = overflow_message(client, &error.message);
    }
    if error.message.is_empty() {
        error.message = "The model's server failed and does not say why.".to_owned();
    }
    error
}

/// Returns the body of an error.
pub(super) fn body(client: Dialect, status: u16, body: &[u8], request_id: Option<&str>) -> Vec<u8> {
    if let Some(problem) = no_json(body) {
        let message = format!("The model's server answered with status {status} and {problem}.");
        return refusal(client, status, &message, request_id);
    }
    let mut said = read(body);
    if said.message.is_empty() {
        said.message = format!("The model's server answered with status {status} and no message.");
    }
    let code = said.code.as_ref().and_then(Value::as_str);
    let is_overflow =
        matches!(status, 400 | 413 | 422) && is_overflow(&said.message, code.unwrap_or_default());
    if is_overflow {
        said.message = overflow_message(client, &said.message);
        said.code = Some(json!(CONTEXT_LENGTH_EXCEEDED));
    }
    match client {
        Dialect::AnthropicMessages => {
            let id = said.request_id.as_deref().or(request_id);
            refusal(client, status, &said.message, id)
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses => said.openai(status),
    }
}

fn refusal(client: Dialect, status: u16, message: &str, request_id: Option<&str>) -> Vec<u8> {
    let refusal = Refusal {
        status,
        message,
        code: None,
        request_id,
    };
    refusal.body(Some(client)).to_vec()
}

impl Said {
    /// Returns the body of both OpenAI wires. Words of an Anthropic backend become the code.
    fn openai(self, status: u16) -> Vec<u8> {
        let is_anthropic = self
            .kind
            .as_deref()
            .is_some_and(|kind| kind == anthropic_type(status) && kind != openai_type(status));
        let code = match (self.code, status) {
            (Some(code), _) if code.is_string() => code,
            (_, 401) => json!("invalid_api_key"),
            (_, 404) if self.message.to_ascii_lowercase().contains("model") => {
                json!(MODEL_NOT_FOUND)
            }
            (_, 429) => json!("rate_limit_exceeded"),
            (Some(code), _) => code,
            (None, _) if is_anthropic => json!(self.kind),
            (None, _) => json!(status),
        };
        let param = match self.param {
            None if code == MODEL_NOT_FOUND => json!("model"),
            param => json!(param),
        };
        let kind = match self.kind {
            Some(kind) if !is_anthropic => Cow::Owned(kind),
            _ => Cow::Borrowed(openai_type(status)),
        };
        let error = json!({"message": self.message, "type": kind, "param": param, "code": code});
        json!({"error": error}).to_string().into_bytes()
    }
}

/// Tells whether an error says that the prompt does not fit.
fn is_overflow(message: &str, code: &str) -> bool {
    let message = message.to_ascii_lowercase();
    code == CONTEXT_LENGTH_EXCEEDED || OVERFLOW.iter().any(|words| message.contains(words))
}

/// Adds the words that the client's agents know an overflow by.
fn overflow_message(client: Dialect, message: &str) -> String {
    let words = match client {
        Dialect::AnthropicMessages => "prompt is too long",
        Dialect::OpenAiChat | Dialect::OpenAiResponses => "maximum context length",
    };
    if message.to_ascii_lowercase().contains(words) {
        return message.to_owned();
    }
    match client {
        Dialect::AnthropicMessages => format!("prompt is too long: {message}"),
        _ => format!("The prompt exceeds the model's maximum context length: {message}"),
    }
}

/// Tells what a body is that is no JSON; `None` if it is JSON.
pub(super) fn no_json(body: &[u8]) -> Option<&'static str> {
    let text = body.trim_ascii();
    if text.is_empty() {
        return Some("an empty body");
    }
    if text.starts_with(b"<") {
        return Some("HTML in place of JSON");
    }
    // Text that is no JSON is passed over as a reader does: without keeping it.
    if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() {
        return None;
    }
    if matches!(text.first(), Some(b'{' | b'[')) {
        return Some("JSON that is cut off or broken");
    }
    Some("a body that is not JSON")
}

/// Tells whether a body is an event stream, by its first line.
pub(super) fn is_event_stream(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = body.trim_ascii_start();
    [&b"data:"[..], b"event:", b"id:", b"retry:", b":"]
        .iter()
        .any(|field| text.starts_with(field))
}

/// Reads an error in the shapes that backends give it.
fn read(body: &[u8]) -> Said {
    let Ok(outer) = serde_json::from_slice::<Shape<'_>>(body.trim_ascii()) else {
        return Said::default();
    };
    let request_id = outer.request_id.and_then(text);
    let mut said = match outer.error {
        Some(inner) if inner.get().starts_with('{') => {
            let inner = serde_json::from_str::<Shape<'_>>(inner.get()).unwrap_or_default();
            inner.said()
        }
        Some(inner) if inner.get().starts_with('"') && outer.message.is_none() => Said {
            message: text(inner).unwrap_or_default(),
            ..Said::default()
        },
        _ => outer.said(),
    };
    said.request_id = request_id;
    said
}

#[derive(Deserialize, Default)]
struct Shape<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    param: Option<&'a RawValue>,
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
}

impl Shape<'_> {
    fn said(&self) -> Said {
        // FastAPI's `detail` may be a list of what is wrong.
        let detail = |raw: &RawValue| text(raw).unwrap_or_else(|| raw.get().to_owned());
        let message = self.message.and_then(text);
        Said {
            message: message.or(self.detail.map(detail)).unwrap_or_default(),
            kind: self.kind.and_then(text).filter(|kind| kind != "error"),
            code: self.code.and_then(value),
            param: self.param.and_then(value),
            request_id: None,
        }
    }
}

fn text(raw: &RawValue) -> Option<String> {
    json::string(raw.get())
        .filter(|text| !text.is_empty())
        .map(Cow::into_owned)
}

fn value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}
