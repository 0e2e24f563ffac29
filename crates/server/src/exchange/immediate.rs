//! Answers that Merit gives itself: refusals in the client's own protocol, fixed answers, the model
//! list.

use crate::engine::Generation;
use bytes::Bytes;
use dialects::{Dialect, Endpoint, FastResponse, ListShape, ModelEntry, refusal as wire};
use extproc::{ENCODINGS, Fault, Immediate, RequestHead};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use router::plan::surface::{ReplyHeader, ResponsePath};
use router::plan::{Refusal, Trace};
use std::time::{SystemTime, UNIX_EPOCH};

/// What Envoy's log says of a caller's own record.
pub(super) const REPLAY: &str = "merit_replay";

/// The wire that a request's path speaks, for errors found before its body.
pub(super) fn wire(head: &RequestHead) -> Option<Dialect> {
    let path = head.headers.get(":path").unwrap_or_default();
    match Endpoint::of("POST", path) {
        Endpoint::Inference(dialect) => Some(dialect),
        Endpoint::Service(service) => Some(service.dialect()),
        Endpoint::Stored(stored) => Some(stored.dialect),
        Endpoint::WrongBase(wrong) => Some(wrong.dialect),
        _ if path.to_ascii_lowercase().contains("/v1/messages") => Some(Dialect::AnthropicMessages),
        _ if head.headers.get("anthropic-version").is_some() => Some(Dialect::AnthropicMessages),
        _ => None,
    }
}

/// What a client is told.
pub(super) struct Said<'a> {
    pub(super) status: u16,
    pub(super) message: &'a str,
    /// A code that clients know, in place of the status.
    pub(super) code: Option<&'static str>,
}

/// A refusal in the shape of the client's wire.
pub(super) fn refusal(
    status: u16,
    message: &str,
    dialect: Option<Dialect>,
    request_id: Option<&str>,
) -> Immediate {
    said(
        &Said {
            status,
            message,
            code: None,
        },
        dialect,
        request_id,
    )
}

/// The same, with a code that clients know.
pub(super) fn said(
    said: &Said<'_>,
    dialect: Option<Dialect>,
    request_id: Option<&str>,
) -> Immediate {
    let &Said {
        status,
        message,
        code,
    } = said;
    let body = wire::Refusal {
        status,
        message,
        code,
        request_id,
    }
    .body(dialect);
    let mut answer = answer(status, wire::CONTENT_TYPE, body, ResponsePath::Error);
    answer.details = "merit_refused";
    if wire::is_final(status) {
        answer.headers.push((
            HeaderName::from_static("x-should-retry"),
            HeaderValue::from_static("false"),
        ));
    }
    // SDKs take an exception's request id from one header or the other.
    if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        let name = if dialect == Some(Dialect::AnthropicMessages) {
            "request-id"
        } else {
            "x-request-id"
        };
        answer.headers.push((HeaderName::from_static(name), id));
    }
    if status == 503 {
        answer
            .headers
            .push((RETRY_AFTER, HeaderValue::from_static("1")));
    }
    answer
}

/// Adds reply headers.
pub(super) fn show(answer: &mut Immediate, headers: &[ReplyHeader]) {
    answer.headers.extend(headers.iter().filter_map(header));
}

/// What the protocol layer found wrong, as the client is told.
pub(super) fn fault(
    fault: Fault,
    dialect: Option<Dialect>,
    request: Option<&RequestHead>,
) -> Immediate {
    let (status, message) = match fault {
        Fault::BodyTooLarge { limit } => (413, format!("request body exceeds the limit of {limit} bytes")),
        Fault::Overloaded => (503, "the router is overloaded; try again shortly".to_owned()),
        Fault::DeadlineExceeded => (504, "the router could not decide in time".to_owned()),
        Fault::TruncatedBody => (
            413,
            "the gateway sent only the first part of the request body; a truncated body cannot be routed".to_owned(),
        ),
        Fault::UnsupportedBodyMode => {
            let message = "the gateway's request body mode cannot route on the body; \
                           configure FULL_DUPLEX_STREAMED or BUFFERED for this ext_proc filter";
            (500, message.to_owned())
        }
        Fault::UnknownEncoding => {
            let encoding = encoding(request);
            (415, format!("content-encoding \"{encoding}\" is not supported; send the body as it is, or as {ENCODINGS}"))
        }
        Fault::UploadTooSlow { least } => (
            408,
            format!(
                "the request body came slower than {least} bytes per second; \
                 send it again over a faster connection, or a smaller one"
            ),
        ),
        Fault::UploadDisplaced => (
            503,
            "the router's memory for request bodies is used up, and this was the slowest upload; \
             try again shortly"
                .to_owned(),
        ),
        Fault::BrokenEncoding => {
            let encoding = encoding(request);
            (400, format!("the request body is not valid {encoding}, as its content-encoding says"))
        }
    };
    let request_id = request.and_then(|request| request.headers.get("x-request-id"));
    let mut answer = refusal(status, &message, dialect, request_id);
    if fault == Fault::UnknownEncoding {
        let value = HeaderValue::from_static(ENCODINGS);
        answer.headers.push((ACCEPT_ENCODING, value));
    }
    answer.details = match fault {
        Fault::BodyTooLarge { .. } => "merit_body_too_large",
        Fault::Overloaded => "merit_overloaded",
        Fault::DeadlineExceeded => "merit_deadline_exceeded",
        Fault::TruncatedBody => "merit_truncated_body",
        Fault::UnsupportedBodyMode => "merit_unsupported_body_mode",
        Fault::UnknownEncoding => "merit_unknown_encoding",
        Fault::BrokenEncoding => "merit_broken_encoding",
        Fault::UploadTooSlow { .. } => "merit_upload_too_slow",
        Fault::UploadDisplaced => "merit_upload_displaced",
    };
    answer
}

/// Returns the content coding that a request names, cut to a length fit for a message.
fn encoding(request: Option<&RequestHead>) -> String {
    let named = request.map(|request| request.headers.joined("content-encoding"));
    named.unwrap_or_default().chars().take(64).collect()
}

/// A decision's fixed answer, streamed where the client asked for a stream.
pub(super) fn fast_response(
    message: &str,
    model: &str,
    wire: (Dialect, bool),
    facts: &[ReplyHeader],
) -> Immediate {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let unix_nanos = u64::try_from(now).unwrap_or(u64::MAX);
    let (dialect, stream) = wire;
    let (content_type, body) = FastResponse {
        message,
        model,
        unix_nanos,
    }
    .render(dialect, stream);
    let mut answer = answer(200, content_type, body, ResponsePath::FastResponse);
    answer.details = "merit_fast_response";
    answer.headers.push((
        HeaderName::from_static("x-vsr-fast-response"),
        HeaderValue::from_static("true"),
    ));
    answer.headers.extend(facts.iter().filter_map(header));
    answer
}

/// Merit's own count of a prompt's tokens, as Anthropic's API gives one; a header says that it is an
/// estimate.
pub(super) fn count(tokens: u64, facts: &[ReplyHeader]) -> Immediate {
    let body = serde_json::json!({ "input_tokens": tokens }).to_string();
    let path = ResponsePath::Upstream;
    let mut answer = answer(200, wire::CONTENT_TYPE, body.into(), path);
    answer.details = "merit_count_tokens";
    answer.headers.push((
        HeaderName::from_static("x-merit-estimated"),
        HeaderValue::from_static("input_tokens"),
    ));
    answer.headers.extend(facts.iter().filter_map(header));
    answer
}

/// The answer of a run: a completion, or the events of one.
pub(super) fn run(stream: bool, body: Vec<Bytes>, facts: &[ReplyHeader]) -> Immediate {
    let content_type = if stream {
        dialects::sse::CONTENT_TYPE
    } else {
        wire::CONTENT_TYPE
    };
    let mut answer = answer(200, content_type, Bytes::new(), ResponsePath::Looper);
    answer.body = body;
    answer.details = "merit_looper";
    answer.headers.extend(facts.iter().filter_map(header));
    answer
}

/// `GET /v1/models`. It carries no routing headers.
pub(super) fn models(serving: &Generation, head: &RequestHead) -> Immediate {
    listing(dialects::models::list(&serving.models, shape(head)))
}

/// `GET /v1/models/{id}`.
pub(super) fn model(serving: &Generation, head: &RequestHead, id: &str) -> Immediate {
    let single = |entries: &[ModelEntry]| dialects::models::single(entries, id, shape(head));
    match single(&serving.models).or_else(|| single(&serving.unlisted)) {
        Some(body) => listing(body),
        None => {
            let dialect =
                (shape(head) == ListShape::Anthropic).then_some(Dialect::AnthropicMessages);
            let refusal = Refusal::unknown_model(id, &serving.router.names);
            let told = Said {
                status: refusal.status,
                message: &refusal.message,
                code: refusal.code,
            };
            said(&told, dialect, head.headers.get("x-request-id"))
        }
    }
}

fn shape(head: &RequestHead) -> ListShape {
    let path = head.headers.get(":path").unwrap_or_default();
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let names_client_version = query
        .split('&')
        .any(|pair| pair.starts_with("client_version="));
    if head.headers.get("anthropic-version").is_some() {
        ListShape::Anthropic
    } else if names_client_version {
        // Only Codex asks with its version.
        ListShape::Codex
    } else {
        ListShape::OpenAi
    }
}

fn listing(body: Bytes) -> Immediate {
    let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(wire::CONTENT_TYPE))];
    Immediate {
        status: StatusCode::OK,
        headers,
        body: vec![body],
        details: "merit_models",
    }
}

fn answer(status: u16, content_type: &'static str, body: Bytes, path: ResponsePath) -> Immediate {
    let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
    headers.extend(Trace::always(path).iter().filter_map(header));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Immediate {
        status,
        headers,
        body: vec![body],
        details: "",
    }
}

/// Names and texts of a document may hold what a header cannot; such a header is left out.
fn header((name, value): &ReplyHeader) -> Option<(HeaderName, HeaderValue)> {
    Some((
        HeaderName::from_static(name),
        HeaderValue::from_str(value).ok()?,
    ))
}
