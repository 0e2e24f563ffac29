//! Clients that ask again as soon as they are answered, each on its own connection.

use anyhow::{Result, ensure};
use benches::mix;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Bodies that requests take turns in, and the path to which they are sent.
#[derive(Clone)]
pub(crate) struct Bodies {
    path: &'static str,
    all: Arc<[Bytes]>,
    taken: Arc<AtomicUsize>,
}

impl Bodies {
    /// Of chat requests, in this order, and again from the first.
    pub(crate) fn new(all: impl IntoIterator<Item = Bytes>) -> Self {
        Self::sent_to("/v1/chat/completions", all)
    }

    /// Of requests to `path`, in this order, and again from the first.
    pub(crate) fn sent_to(path: &'static str, all: impl IntoIterator<Item = Bytes>) -> Self {
        Self {
            path,
            all: all.into_iter().collect(),
            taken: Arc::default(),
        }
    }

    /// Whether no body was sent twice.
    pub(crate) fn were_enough(&self) -> bool {
        self.taken.load(Ordering::Relaxed) <= self.all.len()
    }

    fn next(&self) -> Bytes {
        let at = self.taken.fetch_add(1, Ordering::Relaxed) % self.all.len().max(1);
        self.all.get(at).cloned().unwrap_or_default()
    }
}

/// Waits of one round, sorted.
pub(crate) struct Waits {
    all: Vec<Duration>,
    degraded: usize,
}

impl Waits {
    /// How many requests were answered.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// How many answers said that some signal did not do its whole work.
    pub(crate) fn degraded(&self) -> usize {
        self.degraded
    }

    /// The wait that this share of requests does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let at = (self.all.len() as f64 * share) as usize;
        self.all
            .get(at)
            .or(self.all.last())
            .copied()
            .unwrap_or_default()
    }
}

/// Asks the same on `connections` connections for `time`.
pub(crate) async fn ask(
    address: SocketAddr,
    connections: usize,
    body: &Bytes,
    time: Duration,
) -> Result<Waits> {
    ask_each(address, connections, &Bodies::new([body.clone()]), time).await
}

/// Asks on `connections` connections for `time`, one body after the other.
pub(crate) async fn ask_each(
    address: SocketAddr,
    connections: usize,
    bodies: &Bodies,
    time: Duration,
) -> Result<Waits> {
    let mut clients = JoinSet::new();
    let stop = Instant::now() + time;
    for _ in 0..connections {
        clients.spawn(ask_alone(address, bodies.clone(), stop));
    }
    let mut waits = Waits {
        all: Vec::new(),
        degraded: 0,
    };
    while let Some(client) = clients.join_next().await {
        let mut own = client??;
        waits.all.append(&mut own.all);
        waits.degraded += own.degraded;
    }
    waits.all.sort_unstable();
    Ok(waits)
}

async fn ask_alone(address: SocketAddr, bodies: Bodies, stop: Instant) -> Result<Waits> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move { connection.await.unwrap_or_default() });
    let mut waits = Waits {
        all: Vec::with_capacity(1 << 14),
        degraded: 0,
    };
    while Instant::now() < stop {
        let start = Instant::now();
        let degraded = ask_once(&mut sender, bodies.path, bodies.next()).await?;
        waits.degraded += usize::from(degraded);
        waits.all.push(start.elapsed());
    }
    Ok(waits)
}

/// Whether the answer says that some signal did not do its whole work.
async fn ask_once(sender: &mut SendRequest<Full<Bytes>>, path: &str, body: Bytes) -> Result<bool> {
    let request = http::Request::post(path)
        .header("host", "models")
        .header("content-type", "application/json");
    let request = mix::CALLER.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    sender.ready().await?;
    let response = sender.send_request(request.body(Full::new(body))?).await?;
    let status = response.status();
    let degraded = response.headers().contains_key("x-merit-degraded");
    let answer = response.into_body().collect().await?.to_bytes();
    ensure!(
        status.is_success(),
        "answered {status}: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(degraded)
}
