//! Clients that ask all the time, and what became of their requests.

use crate::stage::chat;
use anyhow::{Result, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tests::client::{self, Call};
use tests::prompt::CHAT;
use tokio::task::JoinSet;

/// Asks for `small` until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Outcomes>,
}

/// What clients got.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// Good answers.
    pub(crate) answered: usize,
    /// Why each other request failed.
    pub(crate) failed: Vec<String>,
}

impl Load {
    /// So many clients, each with one request at a time on a connection of its own.
    pub(crate) fn start(listener: SocketAddr, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let stop = Arc::clone(&stop);
            running.spawn(async move {
                let mut outcomes = Outcomes::default();
                while !stop.load(Ordering::Relaxed) {
                    match ask(listener).await {
                        Ok(()) => outcomes.answered += 1,
                        Err(error) => outcomes.failed.push(format!("{error:#}")),
                    }
                }
                outcomes
            });
        }
        Self {
            stop,
            clients: running,
        }
    }

    /// Stops; everything that was asked.
    pub(crate) async fn stop(self) -> Outcomes {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Outcomes::default();
        for outcomes in self.clients.join_all().await {
            all.answered += outcomes.answered;
            all.failed.extend(outcomes.failed);
        }
        all
    }

    /// Stops, and fails if any request did; how many there were.
    pub(crate) async fn stop_without_loss(self) -> Result<usize> {
        let Outcomes { answered, failed } = self.stop().await;
        let first = failed.first().map(String::as_str).unwrap_or_default();
        ensure!(
            failed.is_empty(),
            "{} of {} requests failed: {first}",
            failed.len(),
            failed.len() + answered
        );
        Ok(answered)
    }
}

async fn ask(listener: SocketAddr) -> Result<()> {
    let answer = client::call(listener, Call::post(CHAT, chat("hello"))).await?;
    ensure!(
        answer.status == 200,
        "answered {}: {}",
        answer.status,
        answer.text()
    );
    ensure!(
        answer.header("x-backend") == "small",
        "went to {:?}",
        answer.header("x-backend")
    );
    Ok(())
}
