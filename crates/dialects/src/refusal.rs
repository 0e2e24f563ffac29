//! An error as each wire says it.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::json;

use crate::endpoint::Dialect;

/// The content type of every error body.
pub const CONTENT_TYPE: &str = "application/json";

/// The code that clients recognise a context overflow by; its message should contain the words
/// "maximum context length".
pub const CONTEXT_LENGTH_EXCEEDED: &str = "context_length_exceeded";

/// The code that clients recognise an unknown model by.
pub const MODEL_NOT_FOUND: &str = "model_not_found";

/// An error answered by the router itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// HTTP status.
    pub status: u16,
    /// The text for the client.
    pub message: &'a str,
    /// A code that clients know, in place of the status ([`CONTEXT_LENGTH_EXCEEDED`],
    /// [`MODEL_NOT_FOUND`]).
    pub code: Option<&'a str>,
    /// The request's id, which Anthropic's shape carries.
    pub request_id: Option<&'a str>,
}

/// The most of a message that is sent, bytes: some repeat what the client wrote.
const LONGEST: usize = 2_048;

/// Cuts a long message between two characters.
fn cut(message: &str) -> Cow<'_, str> {
    if message.len() <= LONGEST {
        return message.into();
    }
    let end = message.floor_char_boundary(LONGEST);
    format!("{}…", message.get(..end).unwrap_or_default()).into()
}

impl Refusal<'_> {
    /// The JSON body in the shape of the wire; OpenAI's where there is none.
    #[must_use]
    pub fn body(&self, dialect: Option<Dialect>) -> Bytes {
        let message = cut(self.message);
        let body = match dialect {
            Some(Dialect::AnthropicMessages) => {
                let kind = anthropic_type(self.status);
                let mut body =
                    json!({"type": "error", "error": {"type": kind, "message": message}});
                if let (Some(id), Some(body)) = (self.request_id, body.as_object_mut()) {
                    body.insert("request_id".to_owned(), id.into());
                }
                body
            }
            _ => {
                let kind = openai_type(self.status);
                let code = self
                    .code
                    .map_or_else(|| json!(self.status), |code| json!(code));
                if self.code == Some(MODEL_NOT_FOUND) {
                    json!({"error": {"message": message, "type": kind, "code": code, "param": "model"}})
                } else {
                    json!({"error": {"message": message, "type": kind, "code": code}})
                }
            }
        };
        body.to_string().into()
    }
}

/// Content type and body of an error, see [`Refusal`].
#[must_use]
pub fn error_body(
    dialect: Option<Dialect>,
    status: u16,
    message: &str,
    code: Option<&str>,
) -> (&'static str, Bytes) {
    (
        CONTENT_TYPE,
        Refusal {
            status,
            message,
            code,
            request_id: None,
        }
        .body(dialect),
    )
}

/// Whether the same request can never succeed, so that the answer should carry `x-should-retry:
/// false`: SDKs obey it before they look at the status, and they retry some statuses that are final.
#[must_use]
pub fn is_final(status: u16) -> bool {
    matches!(status, 400..=499 if !matches!(status, 408 | 409 | 425 | 429)) || status == 501
}

/// Returns the type that both OpenAI wires give an error of a status.
pub(crate) fn openai_type(status: u16) -> &'static str {
    match status {
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// Returns the status that an error's code or type stands for, on whatever wire; `None` for words
/// that are not known.
pub(crate) fn status_of(word: &str) -> Option<u16> {
    Some(match word {
        "invalid_request_error"
        | "invalid_prompt"
        | CONTEXT_LENGTH_EXCEEDED
        | "BadRequestError"
        | "content_policy_violation" => 400,
        "authentication_error" | "invalid_api_key" => 401,
        "billing_error" => 402,
        "permission_error" | "permission_denied" => 403,
        "not_found_error" | MODEL_NOT_FOUND | "NotFoundError" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" => 429,
        "api_error" | "server_error" | "internal_error" | "InternalServerError" => 500,
        "overloaded_error" | "service_unavailable" => 503,
        "timeout_error" => 504,
        number => {
            return number
                .parse()
                .ok()
                .filter(|status| (400..600).contains(status));
        }
    })
}

/// Returns the type that Anthropic gives an error of a status.
pub(crate) fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wire_has_its_own_shape() {
        let openai = Some(Dialect::OpenAiChat);
        let anthropic = Some(Dialect::AnthropicMessages);
        let is = |kind: &str, code: &str| {
            format!(r#"{{"error":{{"message":"m","type":"{kind}","code":{code}}}}}"#)
        };
        let says =
            |kind: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
        let overflow = Some(CONTEXT_LENGTH_EXCEEDED);
        let cases = [
            (openai, 404, None, is("invalid_request_error", "404")),
            (None, 500, None, is("server_error", "500")),
            (openai, 503, None, is("server_error", "503")),
            (openai, 429, None, is("rate_limit_error", "429")),
            (
                openai,
                400,
                overflow,
                is("invalid_request_error", "\"context_length_exceeded\""),
            ),
            (
                openai,
                404,
                Some(MODEL_NOT_FOUND),
                r#"{"error":{"message":"m","type":"invalid_request_error","code":"model_not_found","param":"model"}}"#.to_owned(),
            ),
            (anthropic, 404, Some(MODEL_NOT_FOUND), says("not_found_error")),
            (anthropic, 400, None, says("invalid_request_error")),
            (anthropic, 413, None, says("request_too_large")),
            (anthropic, 503, None, says("overloaded_error")),
            (anthropic, 500, None, says("api_error")),
        ];
        for (dialect, status, code, expected) in cases {
            assert_eq!(
                error_body(dialect, status, "m", code).1,
                expected,
                "{dialect:?} {status}"
            );
        }
        let refusal = Refusal {
            status: 403,
            message: "m",
            code: None,
            request_id: Some("req_1"),
        };
        let expected = r#"{"type":"error","error":{"type":"permission_error","message":"m"},"request_id":"req_1"}"#;
        assert_eq!(refusal.body(anthropic), expected);
    }

    #[test]
    fn long_messages_are_cut() {
        let message = "é".repeat(5_000_000);
        for dialect in [None, Some(Dialect::AnthropicMessages)] {
            let (_, body) = error_body(dialect, 400, &message, None);
            assert!(body.len() < LONGEST + 200, "{}", body.len());
            let text = std::str::from_utf8(&body).unwrap();
            assert!(text.contains("é…"), "{text}");
        }
    }

    #[test]
    fn only_what_cannot_succeed_later_is_final() {
        let retried: Vec<u16> = (400..600)
            .filter(|status| !is_final(*status))
            .take(5)
            .collect();
        assert_eq!(retried, [408, 409, 425, 429, 500]);
    }
}
