//! Clients that ask again as soon as they are answered, each on its own connection.

use anyhow::{Result, ensure};
use benches::mix;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Waits of one round, sorted.
pub(crate) struct Waits(Vec<Duration>);

impl Waits {
    /// How many requests were answered.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The wait that this share of requests does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at).or(self.0.last()).copied().unwrap_or_default()
    }
}

/// Asks on `connections` connections for `time`.
pub(crate) async fn ask(address: SocketAddr, connections: usize, body: &Bytes, time: Duration) -> Result<Waits> {
    let mut clients = JoinSet::new();
    let stop = Instant::now() + time;
    for _ in 0..connections {
        clients.spawn(ask_alone(address, body.clone(), stop));
    }
    let mut waits = Vec::new();
    while let Some(client) = clients.join_next().await {
        waits.append(&mut client??);
    }
    waits.sort_unstable();
    Ok(Waits(waits))
}

async fn ask_alone(address: SocketAddr, body: Bytes, stop: Instant) -> Result<Vec<Duration>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move { connection.await.unwrap_or_default() });
    let mut waits = Vec::with_capacity(1 << 14);
    while Instant::now() < stop {
        let start = Instant::now();
        ask_once(&mut sender, body.clone()).await?;
        waits.push(start.elapsed());
    }
    Ok(waits)
}

async fn ask_once(sender: &mut SendRequest<Full<Bytes>>, body: Bytes) -> Result<()> {
    let request =
        http::Request::post("/v1/chat/completions").header("host", "models").header("content-type", "application/json");
    let request = mix::CALLER.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    sender.ready().await?;
    let response = sender.send_request(request.body(Full::new(body))?).await?;
    let status = response.status();
    let answer = response.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "answered {status}: {}", String::from_utf8_lossy(&answer));
    Ok(())
}
