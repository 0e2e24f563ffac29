//! An HTTP client that shows what a real one sees: status, headers, body, trailers, the moment of
//! each event.

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::channel::{Channel, Sender as ChannelSender};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// No answer of a test takes longer; a hang fails with what was waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request body.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The HTTP version a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge, no TLS.
    Http2,
}

/// A request before it is sent.
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
}

impl Call {
    /// A request without body.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::bare(Method::GET, path)
    }

    /// A JSON request.
    #[must_use]
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, path, full(body.into())).header("content-type", "application/json")
    }

    /// A JSON request of a value.
    #[must_use]
    pub fn json(path: &str, body: &serde_json::Value) -> Self {
        Self::post(path, body.to_string())
    }

    /// A JSON request that ends with trailers.
    #[must_use]
    pub fn with_trailers(path: &str, body: impl Into<Bytes>, trailers: HeaderMap) -> Self {
        let body = Full::new(body.into()).map_err(io::Error::other);
        let body = body.with_trailers(async move { Some(Ok(trailers)) });
        Self::new(Method::POST, path, body.boxed_unsync())
            .header("content-type", "application/json")
    }

    /// A JSON request whose body is handed over bit by bit.
    #[must_use]
    pub fn open(path: &str) -> (ChannelSender<Bytes, io::Error>, Self) {
        let (sender, channel) = Channel::new(8);
        let call = Self::new(Method::POST, path, channel.boxed_unsync());
        (sender, call.header("content-type", "application/json"))
    }

    /// A request of any method, without body.
    #[must_use]
    pub fn bare(method: Method, path: &str) -> Self {
        Self::new(method, path, full(Bytes::new()))
    }

    /// Any request.
    #[must_use]
    pub fn new(method: Method, path: &str, body: Body) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body,
        }
    }

    /// Adds a header; a name or value that HTTP does not know is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let pair = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
        if let (Ok(name), Ok(value)) = pair {
            self.headers.append(name, value);
        }
        self
    }

    fn into_request(self, address: SocketAddr, version: Version) -> Result<Request<Body>> {
        let path = self.path;
        let uri = match version {
            Version::Http1 => path,
            Version::Http2 => format!("http://{address}{path}"),
        };
        let mut request = Request::builder()
            .method(self.method)
            .uri(uri)
            .body(self.body)?;
        *request.headers_mut() = self.headers;
        if version == Version::Http1 {
            request
                .headers_mut()
                .insert("host", address.to_string().parse()?);
        }
        Ok(request)
    }
}

fn full(body: Bytes) -> Body {
    Full::new(body).map_err(io::Error::other).boxed_unsync()
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Trailers, if any came.
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// A header as text; empty if absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// One connection. Dropping it and all its forks closes it.
pub struct Client {
    address: SocketAddr,
    sender: Sender,
    connection: Arc<JoinSet<()>>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(address: SocketAddr, version: Version) -> Result<Self> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        let mut connection = JoinSet::new();
        let sender = match version {
            Version::Http1 => {
                let (sender, driver) = http1::handshake(io).await?;
                connection.spawn(async move { driver.await.unwrap_or_default() });
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
                connection.spawn(async move { driver.await.unwrap_or_default() });
                Sender::Http2(sender)
            }
        };
        Ok(Self {
            address,
            sender,
            connection: Arc::new(connection),
        })
    }

    /// Another stream on the same HTTP/2 connection; `None` on HTTP/1.1.
    #[must_use]
    pub fn fork(&self) -> Option<Self> {
        let Sender::Http2(sender) = &self.sender else {
            return None;
        };
        Some(Self {
            address: self.address,
            sender: Sender::Http2(sender.clone()),
            connection: Arc::clone(&self.connection),
        })
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// The connection broke, or nothing came in time.
    pub async fn open(&mut self, call: Call) -> Result<Response<Incoming>> {
        let sent = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                timeout(
                    PATIENCE,
                    sender.send_request(call.into_request(self.address, Version::Http1)?),
                )
                .await
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                timeout(
                    PATIENCE,
                    sender.send_request(call.into_request(self.address, Version::Http2)?),
                )
                .await
            }
        };
        Ok(sent.context("no answer in time")??)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// The connection broke or the answer was cut.
    pub async fn call(&mut self, call: Call) -> Result<Answer> {
        read(self.open(call).await?).await
    }
}

/// Reads the rest of an answer whose head has come.
///
/// # Errors
/// The connection broke or the answer was cut.
pub async fn read(response: Response<Incoming>) -> Result<Answer> {
    let (head, body) = response.into_parts();
    let body = timeout(PATIENCE, body.collect())
        .await
        .context("the answer did not end in time")??;
    let trailers = body.trailers().cloned();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
        trailers,
    })
}

/// One request on its own HTTP/1.1 connection.
///
/// # Errors
/// As [`Client::call`].
pub async fn call(address: SocketAddr, call: Call) -> Result<Answer> {
    Client::connect(address, Version::Http1)
        .await?
        .call(call)
        .await
}

/// Sends one more piece of an open body.
///
/// # Errors
/// The receiving side is gone.
pub async fn push(
    body: &mut ChannelSender<Bytes, io::Error>,
    piece: impl Into<Bytes>,
) -> Result<()> {
    let frame = Frame::data(piece.into());
    body.send(frame)
        .await
        .context("the request body is no longer wanted")
}

/// Reads server-sent events one at a time, as they come.
pub struct Events {
    body: Incoming,
    pending: BytesMut,
    _client: Option<Client>,
}

impl Events {
    /// The events of an answer.
    #[must_use]
    pub fn new(response: Response<Incoming>) -> Self {
        Self {
            body: response.into_body(),
            pending: BytesMut::new(),
            _client: None,
        }
    }

    /// The events of an answer, whose connection stays open as long as they are read.
    #[must_use]
    pub fn holding(response: Response<Incoming>, client: Client) -> Self {
        Self {
            _client: Some(client),
            ..Self::new(response)
        }
    }

    /// The next event with its blank line; `None` at the proper end.
    ///
    /// # Errors
    /// The stream was cut, or nothing came in time.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
                return Ok(Some(self.pending.split_to(end + 2).freeze()));
            }
            let frame = timeout(PATIENCE, self.body.frame())
                .await
                .context("no event in time")?;
            match frame {
                Some(frame) => self.keep(frame?),
                None if self.pending.is_empty() => return Ok(None),
                None => return Ok(Some(self.pending.split().freeze())),
            }
        }
    }

    fn keep(&mut self, frame: Frame<Bytes>) {
        if let Ok(data) = frame.into_data() {
            self.pending.extend_from_slice(&data);
        }
    }
}
