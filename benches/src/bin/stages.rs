//! `stages`: carries out one stage of one request over and over, for a profiler that counts
//! instructions; and says how long the fastest run took, which a busy machine disturbs least.
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*repeat*' target/release/stages 'chat 16 KB' parse 50
//! ```

use anyhow::{Result, bail};
use benches::stages::Stages;
use clap::Parser;
use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Carries out one stage of one request over and over.
#[derive(Debug, Parser)]
#[command(name = "stages")]
struct Arguments {
    /// `chat 1 KB`, `chat 16 KB` or `agent 120 KB`
    request: String,
    /// `parse`, `signals`, `decide`, `route`, `edit` or `whole`
    stage: String,
    /// How often
    #[arg(default_value_t = 100)]
    times: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let stages = Stages::new(&arguments.request)?;
    // What is made at the first use, as caches of patterns are, is not what is looked for.
    warm_up(&stages, &arguments.stage)?;
    let fastest = repeat(&stages, &arguments.stage, arguments.times)?;
    let micros = fastest.as_secs_f64() * 1e6;
    let (request, stage) = (&arguments.request, &arguments.stage);
    Ok(writeln!(
        std::io::stdout().lock(),
        "{request}, {stage}: {micros:.1} µs"
    )?)
}

fn warm_up(stages: &Stages, stage: &str) -> Result<()> {
    (0..3).try_for_each(|_| run(stages, stage))
}

/// The part to be counted.
#[inline(never)]
fn repeat(stages: &Stages, stage: &str, times: usize) -> Result<Duration> {
    let mut fastest = Duration::MAX;
    for _ in 0..times {
        let started = Instant::now();
        run(stages, stage)?;
        fastest = fastest.min(started.elapsed());
    }
    Ok(fastest)
}

fn run(stages: &Stages, stage: &str) -> Result<()> {
    match stage {
        "parse" => drop(black_box(stages.parse())),
        "signals" => drop(black_box(stages.signals())),
        "decide" => drop(black_box(stages.decide())),
        "route" => drop(black_box(stages.route())),
        "edit" => drop(black_box(stages.edit())),
        "whole" => drop(black_box(stages.whole())),
        other => bail!("no stage `{other}`"),
    }
    Ok(())
}
