//! A sample model backend: answers chat completions, Responses and Messages, streamed or not, and
//! remembers what came.
//!
//! A request scripts its own answer by headers, so that many cases can share one backend:
//! `x-script-status` (answer with this error), `x-script-retry-after` (which says so), `x-script-pieces` (number of text pieces),
//! `x-script-delay-ms` (before each event), `x-script-gate` (each event waits for [`Gate::open`],
//! and so does a whole answer), `x-script-cut` (break off after so many events), `x-script-margin`
//! (tokens have probabilities, this far between first and second choice), `x-script-split` (a
//! stream comes in two pieces, the first so many bytes long, in place of its events),
//! `x-script-trim` (its last bytes are left out, so that no blank line ends it),
//! `x-script-encoding` (`gzip` or `deflate`, whatever was asked for; others are only said). A
//! header that names the backend, like `x-script-small-status`, is for that backend alone.

mod answers;

use crate::client::Body;
use answers::Asked;
use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A running backend. Dropping it closes its connections.
pub struct Upstream {
    state: Arc<State>,
    address: SocketAddr,
    _accepting: JoinSet<()>,
}

/// One request as the backend got it.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, as far as it came.
    pub body: Bytes,
    /// The body came to its proper end.
    pub complete: bool,
    /// Trailers, if any came.
    pub trailers: Option<HeaderMap>,
    /// Name of the backend that got it.
    pub backend: String,
}

impl Seen {
    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body's `model`; empty if there is none.
    #[must_use]
    pub fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }

    /// A header as text; empty if absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Holds back the events of an answer until they are let through.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// Lets `count` more events through.
    pub fn open(&self, count: usize) {
        self.0.add_permits(count);
    }
}

struct State {
    name: String,
    seen: Mutex<Vec<Seen>>,
    gates: Mutex<HashMap<String, Gate>>,
}

impl Upstream {
    /// Starts on `port` (0: any free one).
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(name: &str, port: u16) -> Result<Self> {
        let listener = TcpListener::bind(crate::ports::loopback(port)).await;
        let listener =
            listener.with_context(|| format!("cannot start backend {name} on port {port}"))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            name: name.to_owned(),
            seen: Mutex::default(),
            gates: Mutex::default(),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            state,
            address,
            _accepting: accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that came since the start or the last [`Upstream::forget`].
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// What came with `x-case: case`.
    #[must_use]
    pub fn seen_in(&self, case: &str) -> Vec<Seen> {
        let seen = lock(&self.state.seen);
        seen.iter()
            .filter(|seen| seen.header("x-case") == case)
            .cloned()
            .collect()
    }

    /// Everything that came since the last time, which is then forgotten.
    #[must_use]
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.state.seen))
    }

    /// Forgets what came.
    pub fn forget(&self) {
        lock(&self.state.seen).clear();
    }

    /// The gate that `x-script-gate: name` waits at.
    #[must_use]
    pub fn gate(&self, name: &str) -> Gate {
        self.state.gate(name)
    }
}

impl State {
    fn gate(&self, name: &str) -> Gate {
        let mut gates = lock(&self.gates);
        let gate = gates
            .entry(name.to_owned())
            .or_insert_with(|| Gate(Arc::new(Semaphore::new(0))));
        gate.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            connections.spawn(serve(stream, Arc::clone(&state)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(|request| answer(request, Arc::clone(&state)));
    let builder = auto::Builder::new(TokioExecutor::new());
    // A connection that a peer cuts is an ordinary end here: what came was recorded.
    builder
        .serve_connection(TokioIo::new(stream), service)
        .await
        .unwrap_or_default();
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> io::Result<Response<Body>> {
    let mut seen = receive(request).await;
    seen.backend.clone_from(&state.name);
    if seen.path == "/__seen" {
        return Ok(state.report());
    }
    lock(&state.seen).push(seen.clone());
    if !seen.complete {
        return Err(io::Error::other("the request was cut"));
    }
    let asked = Asked::read(&state.name, &seen);
    if let Some(status) = script(&seen, "x-script-status") {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = state.reply(status, "application/json", full(asked.error().to_string()));
        if let Some(Ok(after)) = scripted(&seen, "x-script-retry-after").map(str::parse) {
            reply.headers_mut().insert("retry-after", after);
        }
        return Ok(reply);
    }
    if asked.stream {
        let events = state.paced(&seen, pieces(&seen, asked.events())?);
        let reply = state.reply(StatusCode::OK, "text/event-stream", events);
        return Ok(encoded(&seen, reply));
    }
    if let Some(name) = scripted(&seen, "x-script-gate") {
        let Gate(gate) = state.gate(name);
        gate.acquire().await.map_err(io::Error::other)?.forget();
    }
    let body = encode(&seen, asked.whole().to_string().into_bytes())?;
    let reply = state.reply(StatusCode::OK, "application/json", full(body));
    Ok(encoded(&seen, reply))
}

/// The pieces in which a stream is sent: its events, or what is scripted instead.
fn pieces(seen: &Seen, events: Vec<String>) -> io::Result<Vec<Bytes>> {
    let split = script(seen, "x-script-split").map(usize::from);
    if split.is_none() && scripted(seen, "x-script-encoding").is_none() {
        return Ok(events.into_iter().map(Bytes::from).collect());
    }
    let mut stream = events.concat().into_bytes();
    let trim = script(seen, "x-script-trim").map_or(0, usize::from);
    stream.truncate(stream.len().saturating_sub(trim));
    let mut first = Bytes::from(encode(seen, stream)?);
    let rest = first.split_off(split.unwrap_or(first.len() / 2).min(first.len()));
    Ok([first, rest]
        .into_iter()
        .filter(|piece| !piece.is_empty())
        .collect())
}

fn encode(seen: &Seen, body: Vec<u8>) -> io::Result<Vec<u8>> {
    match scripted(seen, "x-script-encoding") {
        Some("gzip") => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&body)?;
            encoder.finish()
        }
        Some("deflate") => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&body)?;
            encoder.finish()
        }
        _ => Ok(body),
    }
}

/// Says how the body is encoded.
fn encoded(seen: &Seen, mut reply: Response<Body>) -> Response<Body> {
    if let Some(Ok(encoding)) = scripted(seen, "x-script-encoding").map(str::parse) {
        reply.headers_mut().insert("content-encoding", encoding);
    }
    reply
}

/// Reads a whole request, however it ends.
async fn receive(request: Request<Incoming>) -> Seen {
    let (head, mut body) = request.into_parts();
    let mut seen = Seen {
        method: head.method,
        path: head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: head.headers,
        complete: true,
        ..Seen::default()
    };
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            seen.complete = false;
            break;
        };
        match frame.into_data() {
            Ok(data) => pieces.push(data),
            Err(frame) => seen.trailers = frame.into_trailers().ok(),
        }
    }
    seen.body = pieces.concat().into();
    seen
}

impl State {
    fn reply(&self, status: StatusCode, kind: &str, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [("content-type", kind), ("x-backend", &self.name)] {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
        response
    }

    fn report(&self) -> Response<Body> {
        let seen = lock(&self.seen);
        let list: Vec<Value> = seen
            .iter()
            .map(|seen| json!({"method": seen.method.as_str(), "path": seen.path, "model": seen.model(), "body": seen.json()}))
            .collect();
        self.reply(
            StatusCode::OK,
            "application/json",
            full(json!(list).to_string()),
        )
    }

    fn paced(&self, seen: &Seen, events: Vec<Bytes>) -> Body {
        let gate = scripted(seen, "x-script-gate").map(|name| self.gate(name));
        let delay =
            script(seen, "x-script-delay-ms").map(|delay| Duration::from_millis(delay.into()));
        let cut = script(seen, "x-script-cut").map(usize::from);
        let paced = stream::iter(events.into_iter().enumerate()).then(move |(index, event)| {
            let gate = gate.clone();
            async move {
                // Some Envoys (1.39.3) keep a response's headers until its body begins, so the
                // first event always comes.
                if let (Some(Gate(gate)), 1..) = (gate, index) {
                    gate.acquire().await.map_err(io::Error::other)?.forget();
                }
                if let Some(delay) = delay {
                    tokio::time::sleep(delay).await;
                }
                match cut {
                    Some(cut) if index >= cut => Err(io::Error::other("cut as scripted")),
                    _ => Ok(event),
                }
            }
        });
        StreamBody::new(paced.map_ok(Frame::data)).boxed_unsync()
    }
}

fn script(seen: &Seen, name: &str) -> Option<u16> {
    scripted(seen, name)?.parse().ok()
}

/// What a header scripts for this backend: its own, else the one for all.
fn scripted<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    let own = name.replacen("x-script-", &format!("x-script-{}-", seen.backend), 1);
    [own.as_str(), name]
        .into_iter()
        .map(|name| seen.header(name))
        .find(|value| !value.is_empty())
}

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into())
        .map_err(io::Error::other)
        .boxed_unsync()
}
