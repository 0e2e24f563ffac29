//! Clients that ask all the time through Envoy.

use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::client::{self, Answer, Call};
use tests::prompt::{CHAT, chat};
use tokio::task::JoinSet;

/// What a client asks next, by the client's number and the number of its request.
pub(crate) type Text = fn(usize, usize) -> String;

/// Judges an answer, of the text that was sent.
pub(crate) type Judge = fn(&str, &Answer) -> Result<()>;

/// Clients, each with one request at a time.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Result<Asked>>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) requests: usize,
    pub(crate) answered: usize,
    pub(crate) slowest: Duration,
}

impl Load {
    /// Starts so many clients.
    pub(crate) fn start(address: SocketAddr, clients: usize, text: Text, judge: Judge) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for client in 0..clients {
            running.spawn(ask_until(address, client, text, judge, Arc::clone(&stop)));
        }
        Self {
            stop,
            clients: running,
        }
    }

    /// Fails if a client has failed meanwhile.
    pub(crate) fn check(&mut self) -> Result<()> {
        while let Some(ended) = self.clients.try_join_next() {
            ended??;
        }
        Ok(())
    }

    /// Stops, and fails if any client did.
    pub(crate) async fn stop(mut self) -> Result<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Asked::default();
        while let Some(ended) = self.clients.join_next().await {
            let asked = ended??;
            all.requests += asked.requests;
            all.answered += asked.answered;
            all.slowest = all.slowest.max(asked.slowest);
        }
        Ok(all)
    }
}

async fn ask_until(
    address: SocketAddr,
    client: usize,
    text: Text,
    judge: Judge,
    stop: Arc<AtomicBool>,
) -> Result<Asked> {
    let mut asked = Asked::default();
    while !stop.load(Ordering::Relaxed) {
        let text = text(client, asked.requests);
        let start = Instant::now();
        let body = chat("auto", &text).to_string();
        let answer = client::call(address, Call::post(CHAT, body)).await?;
        asked.slowest = asked.slowest.max(start.elapsed());
        asked.requests += 1;
        asked.answered += usize::from(answer.status.is_success());
        judge(&text, &answer).with_context(|| format!("request {}", asked.requests))?;
    }
    Ok(asked)
}

/// The answer is a good one of this backend.
pub(crate) fn check_answered(answer: &Answer, backend: &str) -> Result<()> {
    ensure!(
        answer.status == 200 && answer.header("x-backend") == backend,
        "{} from {:?}: {}",
        answer.status,
        answer.header("x-backend"),
        answer.text()
    );
    Ok(())
}
