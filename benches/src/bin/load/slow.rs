//! Three thousand clients at once that send their requests bit by bit.

use crate::backend::Backend;
use crate::stage::envoy;
use crate::table;
use anyhow::{Context as _, Result, ensure};
use benches::mix;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tests::client::{Call, Client, Version, push};
use tests::merit::Merit;
use tests::process::until;
use tests::prompt::CHAT;
use tokio::task::JoinSet;
use tokio::time::sleep;

const CONNECTIONS: usize = 30;
const STREAMS_EACH: usize = 100;
const STREAMS: usize = CONNECTIONS * STREAMS_EACH;
/// Pieces of a body, and the pause after each.
const PIECES: usize = 8;
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn run() -> Result<()> {
    let backend = Backend::start().await?;
    let merit = Merit::start(mix::DOCUMENT).await?;
    let idle = merit.process().resident_bytes()?;
    let envoy = envoy("route.yaml", merit.port(), &backend).await?;
    let start = Instant::now();
    let mut clients = connect(envoy.listener("clients")?).await?;
    let open = until("3,000 open streams", Duration::from_secs(60), async || {
        let open = merit.metric("merit_exchange_open").await?;
        Ok((open >= STREAMS as f64).then_some(open))
    });
    let resident = async {
        let open = open.await?;
        anyhow::Ok((open, merit.process().resident_bytes()?))
    };
    let finished = async {
        let mut answered = 0;
        while let Some(client) = clients.join_next().await {
            client??;
            answered += 1;
        }
        anyhow::Ok(answered)
    };
    let ((open, resident), answered) = tokio::try_join!(resident, finished)?;
    ensure!(
        answered == STREAMS,
        "only {answered} of {STREAMS} were answered"
    );
    table::line(&format!(
        "slow streams: {open} open at once, all {answered} answered in {:.1} s",
        start.elapsed().as_secs_f64()
    ))?;
    table::streams(resident, idle, STREAMS)
}

async fn connect(listener: SocketAddr) -> Result<JoinSet<Result<()>>> {
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let first = Client::connect(listener, Version::Http2).await?;
        for at in 0..STREAMS_EACH {
            let client = first.fork().context("HTTP/2 forks")?;
            clients.spawn(ask_slowly(client, at));
        }
    }
    Ok(clients)
}

async fn ask_slowly(mut client: Client, at: usize) -> Result<()> {
    let body = mix::body(1 << 10);
    let (mut sender, call) = Call::open(CHAT);
    let call = mix::CALLER
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value));
    // Not all in step: real clients are not.
    let offset = PAUSE * u32::try_from(at)? / u32::try_from(STREAMS_EACH)?;
    let send = async move {
        for piece in body.chunks(body.len().div_ceil(PIECES)) {
            push(&mut sender, Bytes::copy_from_slice(piece)).await?;
            sleep(PAUSE).await;
        }
        sleep(offset).await;
        drop(sender);
        anyhow::Ok(())
    };
    let (answer, ()) = tokio::try_join!(client.call(call), send)?;
    ensure!(
        answer.status.is_success(),
        "answered {}: {}",
        answer.status,
        answer.text()
    );
    Ok(())
}
