//! A Redis that fails in ten ways. Requests go on without it, in time, and it takes no memory.

use anyhow::{Context, Result, bail, ensure};
use extproc::{FakeEnvoy, FakeRequest, Outcome};
use std::time::{Duration, Instant};
use tests::listener::Address;
use tests::merit::Merit;
use tests::prompt::{CHAT, chat};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::stage::Attack;

/// The ways to fail.
const MODES: [Mode; 10] = [
    Mode::Away,
    Mode::Hanging,
    Mode::Closing,
    Mode::Garbage,
    Mode::Errors,
    Mode::WrongTypes,
    Mode::Trickle,
    Mode::Flood,
    Mode::EndlessArrays,
    Mode::HugeReply,
];

/// What a server does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nobody listens.
    Away,
    /// Commands are read and never answered.
    Hanging,
    /// Connections are closed at once.
    Closing,
    /// Answers are no Redis.
    Garbage,
    /// Each command is refused.
    Errors,
    /// Each command is answered with a number.
    WrongTypes,
    /// An answer comes byte by byte.
    Trickle,
    /// Answers come that nobody asked for.
    Flood,
    /// Arrays of arrays without end.
    EndlessArrays,
    /// One answer of 900 MB.
    HugeReply,
}

/// A request may take this long on a busy machine; the store's limit is 100 ms.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);

/// What resident memory may grow by.
const GROWTH_LIMIT: u64 = 96 << 20;

pub(crate) async fn attack(name: &'static str) -> Result<()> {
    let mut attack = Attack::begin(name)?;
    let outcome = fail(&mut attack).await;
    attack.end(outcome)
}

async fn fail(attack: &mut Attack) -> Result<String> {
    let mut modes = MODES.to_vec();
    let each = attack.length / 10;
    let mut requests = 0;
    while !modes.is_empty() {
        let next = usize::try_from(attack.below(u64::try_from(modes.len())?))?;
        let mode = modes.swap_remove(next);
        requests += fail_as(mode, each)
            .await
            .with_context(|| format!("{mode:?}"))?;
        attack.progress(|| format!("{requests} requests, last {mode:?}"))?;
    }
    Ok(format!("{requests} requests"))
}

async fn fail_as(mode: Mode, length: Duration) -> Result<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut serving = JoinSet::new();
    if mode == Mode::Away {
        drop(listener);
    } else {
        serving.spawn(accept(listener, mode));
    }
    let merit = Merit::start(&document(&address.to_string())).await?;
    let Address::Tcp(merit_at) = merit.address() else {
        bail!("merit listens on TCP here")
    };
    let envoy = FakeEnvoy::connect(merit_at).await?;
    let before = merit.process().resident_bytes()?;
    let (start, mut requests) = (Instant::now(), 0);
    while start.elapsed() < length || requests < 10 {
        let body = chat("auto", "Find the fault.").to_string();
        let request =
            FakeRequest::post(CHAT, body).header("x-session-id", &format!("session {requests}"));
        let asked = Instant::now();
        let outcome = envoy.exchange(request).await;
        ensure!(
            matches!(outcome, Outcome::Forwarded(_)),
            "request {requests}: {outcome:?}"
        );
        let took = asked.elapsed();
        ensure!(took < REQUEST_LIMIT, "request {requests} took {took:?}");
        let grown = merit.process().resident_bytes()?.saturating_sub(before);
        ensure!(
            grown < GROWTH_LIMIT,
            "memory grew by {} MB within {requests} requests",
            grown >> 20
        );
        requests += 1;
    }
    ensure!(
        merit.metric("merit_panic_total").await? == 0.0,
        "a request panicked"
    );
    Ok(requests)
}

fn document(address: &str) -> String {
    format!(
        r#"version: v0.3
providers:
  defaults: {{default_model: small}}
  models:
    - {{name: small, backend_refs: [{{endpoint: "127.0.0.1:8000"}}]}}
    - {{name: large, backend_refs: [{{endpoint: "127.0.0.1:8001"}}]}}
routing:
  modelCards: [{{name: small}}, {{name: large}}]
  decisions:
    - {{name: work, priority: 50, modelRefs: [{{model: large}}, {{model: small}}]}}
global:
  router:
    auto_model_names: [auto]
    sessions: {{redis: {{address: "{address}"}}, store_timeout_ms: 100}}
"#
    )
}

async fn accept(listener: TcpListener, mode: Mode) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // A connection that Merit gives up is what should happen.
        connections.spawn(async move { serve(stream, mode).await.unwrap_or_default() });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, mode: Mode) -> std::io::Result<()> {
    let mut command = [0; 4_096];
    if mode == Mode::Closing {
        return Ok(());
    }
    while stream.read(&mut command).await? > 0 {
        match mode {
            Mode::Away | Mode::Closing | Mode::Hanging => {}
            Mode::Garbage => stream.write_all(b"\x00\xffHTTP/1.1 200 OK\r\n\r\n").await?,
            Mode::Errors => stream.write_all(b"-ERR no such thing\r\n").await?,
            Mode::WrongTypes => stream.write_all(b":1\r\n").await?,
            Mode::Trickle => {
                stream.write_all(b"$100000\r\n").await?;
                loop {
                    stream.write_all(b"x").await?;
                    sleep(Duration::from_millis(5)).await;
                }
            }
            Mode::Flood => without_end(&mut stream, b"", b"+OK\r\n").await?,
            Mode::EndlessArrays => without_end(&mut stream, b"", b"*1000000\r\n").await?,
            Mode::HugeReply => without_end(&mut stream, b"$900000000\r\n", b"x").await?,
        }
    }
    Ok(())
}

async fn without_end(stream: &mut TcpStream, first: &[u8], again: &[u8]) -> std::io::Result<()> {
    stream.write_all(first).await?;
    let piece = again.repeat(64_000 / again.len());
    loop {
        stream.write_all(&piece).await?;
    }
}
