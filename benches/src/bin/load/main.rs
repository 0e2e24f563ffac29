//! `load`: Merit under load, through a real Envoy, against an ext_proc server that does nothing.
//!
//! Both servers run as processes of their own behind the same bootstrap, in short rounds that take
//! turns, so that a noisy machine disturbs both alike. What is printed is a comparison within this
//! run, with the budgets beside it.

mod backend;
mod clients;
mod contest;
mod learned;
mod process;
mod reload;
mod share;
mod slow;
mod stage;
mod table;

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Merit through a real Envoy against an ext_proc server that does nothing.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Arguments {
    /// Rounds of each case
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Length of a round in milliseconds
    #[arg(long, default_value_t = 700)]
    millis: u64,
    /// Connections at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    connections: Vec<usize>,
    /// Only the cases through Envoy
    #[arg(long)]
    only_waits: bool,
    /// All but the cases through Envoy
    #[arg(long, conflicts_with = "only_waits")]
    no_waits: bool,
    /// Only the learned signals: throughput against the encoder alone, waits, memory
    #[arg(long, conflicts_with_all = ["only_waits", "no_waits"])]
    learned: bool,
    /// Only the share of requests of each example policy that need the encoder
    #[arg(long, conflicts_with_all = ["only_waits", "no_waits", "learned"])]
    share: bool,
    /// Be the server that does nothing; write its address to FILE
    #[arg(long, value_name = "FILE", hide = true)]
    noop: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.noop {
        Some(file) => tokio::runtime::Runtime::new()?.block_on(stage::be_noop(file)),
        // Clients and backend share one thread, so that they take no more of the machine than they
        // must.
        None => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(measure(&arguments)),
    }
}

async fn measure(arguments: &Arguments) -> Result<()> {
    table::title()?;
    let rounds = contest::Plan {
        rounds: arguments.rounds,
        time: Duration::from_millis(arguments.millis),
    };
    if arguments.share {
        return share::run().await;
    }
    if arguments.learned {
        return learned::run(rounds).await;
    }
    if !arguments.no_waits {
        contest::run(rounds, &arguments.connections).await?;
    }
    if arguments.only_waits {
        return Ok(());
    }
    process::run().await?;
    reload::run().await?;
    slow::run().await
}
