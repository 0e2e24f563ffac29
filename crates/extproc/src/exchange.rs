//! What a server says about one HTTP exchange: one method a phase, values in, values out.
//!
//! The protocol (frames, modes, order, deadlines, size limits, panics) is the service's business;
//! an [`Exchange`] only decides. Every method is called at most once per exchange, except
//! [`Exchange::response_chunk`] and [`Exchange::deadline`].

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Opens one [`Exchange`] per HTTP request. Shared by all streams.
pub trait Exchanges: Send + Sync + 'static {
    /// Called at the first frame of a stream.
    fn open(&self) -> Box<dyn Exchange>;
}

/// One HTTP exchange as the server sees it.
#[async_trait]
pub trait Exchange: Send {
    /// The request's headers have come. In a body-less exchange this is the only request phase.
    async fn request_headers(&mut self, head: RequestHead) -> HeadStep;

    /// The whole request body has come (asked for by [`HeadStep::NeedBody`]), decoded where it has
    /// content codings.
    async fn request_body(&mut self, body: Bytes) -> BodyStep;

    /// What became of the request after [`BodyStep::Wait`].
    async fn later(&mut self) -> BodyStep {
        BodyStep::Forward(BodyReply::default())
    }

    /// The response's headers have come (only if [`ResponseInterest`] asked and the mode sends
    /// them).
    async fn response_headers(&mut self, _head: ResponseHead) -> ResponseStep {
        ResponseStep::default()
    }

    /// A piece of the response body has come; `end` is set on the last one. What is returned counts
    /// where [`ResponseStep::rewrites`] announced it; otherwise the piece goes on as it came, unless
    /// it is [`ChunkStep::Broken`].
    fn response_chunk(&mut self, _chunk: &Bytes, _end: bool) -> ChunkStep {
        ChunkStep::Unchanged
    }

    /// The stream is over: completed, cut by the client, or failed.
    fn closed(&mut self) {}

    /// The instant by which the decision asked for next must be made; afterwards
    /// [`Fault::DeadlineExceeded`] is answered. Called before [`Exchange::request_headers`] and
    /// again before [`Exchange::request_body`].
    fn deadline(&mut self, _at: Instant) {}

    /// How this exchange's client must be told of a fault that the protocol layer found.
    fn fault(&mut self, fault: Fault) -> Immediate;

    /// As [`Exchange::fault`], where [`Exchange::request_headers`] was not called at all
    /// (overload): the head is shown only so that the answer has the client's shape.
    fn refuse(&mut self, _head: &RequestHead, fault: Fault) -> Immediate {
        self.fault(fault)
    }
}

/// The content codings of request bodies that are read, as `accept-encoding` lists them.
pub const ENCODINGS: &str = compression::Coding::NAMES;

/// A fault found by the protocol layer, before or instead of the exchange's own decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request body is larger than the configured cap (bytes).
    BodyTooLarge { limit: usize },
    /// All buffered bodies together would pass the configured cap.
    Overloaded,
    /// The exchange's own deadline passed before it decided.
    DeadlineExceeded,
    /// Envoy sent only the first part of the body (BUFFERED_PARTIAL over its limit).
    TruncatedBody,
    /// The body mode cannot carry what the decision needs: STREAMED or NONE although the body must
    /// be read, or a new body for a request that came without one.
    UnsupportedBodyMode,
    /// The body has a content coding that is not read (`content-encoding`).
    UnknownEncoding,
    /// The body is not in the content coding that it is said to be in.
    BrokenEncoding,
    /// The request body came slower than the least rate (bytes per second).
    UploadTooSlow { least: usize },
    /// The request body was the slowest of those coming in, and room was short.
    UploadDisplaced,
}

impl Fault {
    /// Every name that [`Fault::name`] gives, in the order of the variants.
    pub const NAMES: [&str; 9] = [
        "body_too_large",
        "overloaded",
        "deadline_exceeded",
        "truncated_body",
        "unsupported_body_mode",
        "unknown_encoding",
        "broken_encoding",
        "upload_too_slow",
        "upload_displaced",
    ];

    /// A stable name for metric labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::BodyTooLarge { .. } => 0,
            Self::Overloaded => 1,
            Self::DeadlineExceeded => 2,
            Self::TruncatedBody => 3,
            Self::UnsupportedBodyMode => 4,
            Self::UnknownEncoding => 5,
            Self::BrokenEncoding => 6,
            Self::UploadTooSlow { .. } => 7,
            Self::UploadDisplaced => 8,
        }
    }
}

/// Case-insensitive request or response headers, pseudo headers (`:path`) included, in wire order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Vec<(String, Bytes)>,
}

impl Headers {
    /// Builds from `(lower-case name, raw value)` pairs.
    #[must_use]
    pub fn new(entries: Vec<(String, Bytes)>) -> Self {
        Self { entries }
    }

    /// The first value of `name` (lower case) as text; `None` if absent or not UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.entries.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }

    /// All values of `name` (lower case) as one list, as RFC 9110 joins them; what is not UTF-8
    /// becomes U+FFFD.
    #[must_use]
    pub fn joined(&self, name: &str) -> String {
        let values = self.entries.iter().filter(|(key, _)| key == name);
        let values: Vec<_> = values
            .map(|(_, value)| String::from_utf8_lossy(value))
            .collect();
        values.join(", ")
    }

    /// All pairs in wire order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }
}

/// The head of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// Headers and pseudo headers.
    pub headers: Headers,
    /// No body follows.
    pub end_of_stream: bool,
    /// What of the response the gateway is known to show, or can be asked for at no cost. With
    /// BUFFERED requests and no response body it cannot be told whether response headers come, and
    /// waiting for them holds the stream: `Nothing`.
    pub offer: ResponseInterest,
    /// The gateway takes another response body in place of the one that it shows.
    pub rewritable: bool,
    /// The gateway has no timer of its own while it waits for the decision about the body: full
    /// duplex.
    pub unhurried: bool,
    /// The stream is of a filter of an upstream attempt (it says so in its gRPC metadata, which
    /// clients cannot write): the request was decided on before, and is about to be sent to one of
    /// several models.
    pub attempt: bool,
    /// Filter metadata that Envoy forwarded, by namespace (for example
    /// `envoy.filters.http.jwt_authn`).
    pub metadata: BTreeMap<String, serde_json::Value>,
}

/// The head of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// Headers and pseudo headers (`:status`).
    pub headers: Headers,
    /// No body follows.
    pub end_of_stream: bool,
    /// Filter metadata that Envoy forwarded, by namespace.
    pub metadata: BTreeMap<String, serde_json::Value>,
}

/// One change to a set of headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Sets, replacing every earlier value. Pseudo headers (`:path`) are allowed, hence the string
    /// name.
    Set(String, Bytes),
    /// Removes every value.
    Remove(String),
}

/// Changes to a set of headers, applied in order.
pub type HeaderEdits = Vec<HeaderEdit>;

/// Dynamic metadata to attach: namespace → JSON object.
pub type Metadata = BTreeMap<String, serde_json::Value>;

/// What follows the request headers.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadStep {
    /// The body is needed before anything can be said.
    NeedBody,
    /// The request goes on with these edits; its body is not looked at.
    Forward(BodyReply),
    /// Merit answers itself.
    Respond(Immediate),
}

/// What follows the request body.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyStep {
    /// The request goes on.
    Forward(BodyReply),
    /// Merit answers itself.
    Respond(Immediate),
    /// Deciding takes longer than the deadline, but no longer than this: [`Exchange::later`] is
    /// asked next.
    Wait(Duration),
}

/// How a request goes on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BodyReply {
    /// Header changes. `content-length` is the service's business: edits of it are ignored.
    pub headers: HeaderEdits,
    /// The new body, without content codings; `None` leaves it as it came.
    pub body: Option<Bytes>,
    /// Ask Envoy to match its routes again.
    pub clear_route_cache: bool,
    /// Dynamic metadata.
    pub metadata: Metadata,
    /// What of the response this exchange wants to see.
    pub response: ResponseInterest,
}

/// What follows the response headers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResponseStep {
    /// Header changes. `content-length` is the service's business: edits of it are ignored.
    pub headers: HeaderEdits,
    /// The exchange may change the body or hold back parts of it. Takes effect where
    /// [`ResponseInterest::Body`] was asked for and the request was [`RequestHead::rewritable`].
    pub rewrites: bool,
}

/// What becomes of a piece of the response body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChunkStep {
    /// It goes on as it came.
    #[default]
    Unchanged,
    /// These bytes go on in its place; none while the exchange holds it back.
    Replaced(Bytes),
    /// The response cannot go on. Its stream fails, so that the client sees it cut instead of
    /// taking a part for the whole.
    Broken,
}

/// What of the response an exchange wants to see, at most what the mode offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResponseInterest {
    /// Nothing: the stream may end early where that is safe.
    #[default]
    Nothing,
    /// The response headers.
    Headers,
    /// Headers and body.
    Body,
}

/// An answer that Merit gives itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Immediate {
    /// HTTP status.
    pub status: StatusCode,
    /// Response headers, `content-type` included.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Response body. Sent chunk by chunk when there is more than one piece and the mode allows it.
    pub body: Vec<Bytes>,
    /// Shows as `%RESPONSE_CODE_DETAILS%`.
    pub details: &'static str,
}
