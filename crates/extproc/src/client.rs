//! A fake Envoy for tests: sends one request the way Envoy does in a given mode, and says what
//! Envoy would have done.
//!
//! It is strict. A reply out of order, a length that Envoy would refuse, a piece too large, a reply
//! too many: each is [`Outcome::Broken`], never papered over.

mod drive;
mod request;
mod response;
mod wire;

use crate::exchange::Metadata;
use crate::options::BodyMode;
use bytes::Bytes;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Error};

/// A connection to an external processor.
#[derive(Debug, Clone)]
pub struct FakeEnvoy {
    client: ExternalProcessorClient<Channel>,
}

impl FakeEnvoy {
    /// Connects over TCP, in clear.
    ///
    /// # Errors
    /// If nothing listens there.
    pub async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        Ok(Self::over(endpoint.tcp_nodelay(true).connect().await?))
    }

    /// Connects over a Unix socket.
    ///
    /// # Errors
    /// If nothing listens there.
    pub async fn connect_unix(path: &Path) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(format!("unix:{}", path.display()))?;
        Ok(Self::over(endpoint.connect().await?))
    }

    /// Speaks over a channel made elsewhere (TLS, for one).
    #[must_use]
    pub fn over(channel: Channel) -> Self {
        let client = ExternalProcessorClient::new(channel);
        Self {
            client: client
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX),
        }
    }

    /// Sends one request, and its response where it has one, to the end.
    pub async fn exchange(&self, request: FakeRequest) -> Outcome {
        match drive::run(self.client.clone(), request).await {
            Ok(forwarded) => Outcome::Forwarded(Box::new(forwarded)),
            Err(outcome) => outcome,
        }
    }

    /// Sends the headers and `pieces` pieces of the body, then ends the stream as if its client had
    /// lost patience. In the modes where Envoy would wait for the headers' reply, so does this.
    ///
    /// # Errors
    /// What the server answered, if it answered instead of waiting.
    pub async fn abandon(&self, request: FakeRequest, pieces: usize) -> Result<(), Outcome> {
        drive::abandon(self.client.clone(), request, pieces).await
    }

    /// Sends the headers and `pieces` pieces of the body in full duplex, then nothing more.
    ///
    /// # Errors
    /// The stream could not be opened.
    pub async fn stall(&self, request: FakeRequest, pieces: usize) -> Result<Stalled, Outcome> {
        let wire = drive::stall(self.client.clone(), request, pieces).await?;
        Ok(Stalled { wire })
    }
}

/// A request whose body has stopped coming. The stream is reset when this is dropped.
pub struct Stalled {
    wire: wire::Wire,
}

impl Stalled {
    /// Waits for what the processor makes of it.
    pub async fn ended(mut self) -> Outcome {
        match self.wire.next().await {
            Err(outcome) => outcome,
            Ok(reply) => Outcome::Broken(Violation(format!(
                "a stalled request is answered by {}",
                reply.name()
            ))),
        }
    }
}

impl fmt::Debug for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stalled")
    }
}

/// A request, and how Envoy is configured to show it.
#[derive(Debug, Clone)]
pub struct FakeRequest {
    /// Headers and pseudo headers.
    pub headers: Vec<(String, Bytes)>,
    /// The body; empty and without trailers means that the headers are all.
    pub body: Bytes,
    /// Request body mode.
    pub mode: BodyMode,
    /// Response body mode.
    pub response_mode: BodyMode,
    /// Send `protocol_config`.
    pub declare: bool,
    /// Largest piece of a body in the modes that send pieces.
    pub piece: usize,
    /// Mark the end by an empty piece of its own, as Envoy often does.
    pub empty_end: bool,
    /// Send trailers.
    pub trailers: bool,
    /// In BUFFERED_PARTIAL, the buffer limit.
    pub partial: usize,
    /// Send, and wait for nothing.
    pub observe: bool,
    /// Filter metadata.
    pub metadata: Metadata,
    /// The response, in a configuration that sends its headers; `None` in one that does not.
    pub response: Option<FakeResponse>,
}

impl FakeRequest {
    /// A `POST` of `body` as JSON with its `content-length`, in full duplex, response NONE.
    #[must_use]
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self {
            body: body.clone(),
            ..Self::bare("POST", path)
        }
        .header("content-type", "application/json")
        .header("content-length", &body.len().to_string())
    }

    /// A `GET`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::bare("GET", path)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_owned(), Bytes::copy_from_slice(value.as_bytes())));
        self
    }

    fn bare(method: &str, path: &str) -> Self {
        let request = Self {
            headers: Vec::new(),
            body: Bytes::new(),
            mode: BodyMode::FullDuplex,
            response_mode: BodyMode::None,
            declare: true,
            piece: 16 << 10,
            empty_end: false,
            trailers: false,
            partial: 1 << 20,
            observe: false,
            metadata: Metadata::new(),
            response: None,
        };
        request
            .header(":method", method)
            .header(":path", path)
            .header(":scheme", "http")
            .header(":authority", "llm.example")
    }
}

/// What an upstream answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeResponse {
    /// Headers, `:status` included.
    pub headers: Vec<(String, Bytes)>,
    /// The body as it comes.
    pub chunks: Vec<Bytes>,
    /// Send trailers.
    pub trailers: bool,
}

impl FakeResponse {
    /// A 200 with `chunks` as its body.
    #[must_use]
    pub fn ok<const N: usize>(chunks: [&'static str; N]) -> Self {
        let headers = vec![(":status".to_owned(), Bytes::from_static(b"200"))];
        Self {
            headers,
            chunks: chunks.map(Bytes::from).to_vec(),
            trailers: false,
        }
    }
}

/// What Envoy would have done with a request.
#[derive(Debug)]
pub enum Outcome {
    /// Passed on.
    Forwarded(Box<Forwarded>),
    /// Answered by the processor.
    Immediate(Answer),
    /// The stream failed: 500, or passed on under `failure_mode_allow`.
    Failed(Status),
    /// The stream ended OK before any reply: passed on as it came, even when failing closed. Always
    /// a fault of ours.
    Unprocessed,
    /// The processor broke the protocol.
    Broken(Violation),
}

/// A request as the upstream sees it, and the response as the client does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forwarded {
    /// Request headers after all edits.
    pub headers: Vec<(String, Bytes)>,
    /// Request body.
    pub body: Bytes,
    /// Routes are matched again.
    pub clear_route_cache: bool,
    /// Dynamic metadata by namespace.
    pub metadata: Metadata,
    /// The response, if the request had one.
    pub response: Option<FakeResponse>,
    /// The processor ended the stream OK while Envoy had more to show.
    pub ended_early: bool,
}

impl Forwarded {
    /// The first value of a request header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }
}

/// An immediate response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, without `:status`.
    pub headers: Vec<(String, Bytes)>,
    /// The whole body.
    pub body: Bytes,
    /// `%RESPONSE_CODE_DETAILS%`.
    pub details: String,
    /// In how many messages the body came.
    pub messages: usize,
}

impl Answer {
    /// The first value of a header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }
}

/// How the processor broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

fn value<'a>(headers: &'a [(String, Bytes)], name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().find(|(key, _)| key == name)?;
    std::str::from_utf8(value).ok()
}
