//! A steady load: conversations and reloads at an even rate. Memory, descriptors and threads stay
//! level.

use anyhow::{Context as _, Result, ensure};
use std::time::Duration;
use tests::policy;
use tests::process::{Process, Signal};
use tokio::time::{Instant, interval, sleep_until};

use crate::load::{Load, check_answered};
use crate::stage::{Attack, Stage};

/// Shorter runs show nothing: allocators and pools are still filling.
const LEVEL_FROM: Duration = Duration::from_secs(120);

const CLIENTS: usize = 2;

/// What a process holds.
#[derive(Debug, Clone, Copy, Default)]
struct Holdings {
    bytes: u64,
    descriptors: usize,
    threads: usize,
}

pub(crate) async fn attack(name: &'static str) -> Result<()> {
    let mut attack = Attack::begin(name)?;
    let outcome = soak(&mut attack).await;
    attack.end(outcome)
}

async fn soak(attack: &mut Attack) -> Result<String> {
    let stage = Stage::start(&policy::with_server("profile: auto")).await?;
    let mut load = Load::start(
        stage.clients()?,
        CLIENTS,
        // The same texts again and again: what is kept by text or by session has its bound elsewhere.
        |client, request| format!("hello number {} of client {client}", request % 500),
        |_, answer| check_answered(answer, "small"),
    );
    let mut samples = Vec::new();
    let mut second = interval(Duration::from_secs(1));
    while attack.goes_on() {
        second.tick().await;
        stage.small.forget();
        samples.push(Holdings::of(stage.merit.process())?);
        if samples.len().is_multiple_of(5) {
            stage.merit.process().signal(Signal::Hup)?;
        }
        load.check()?;
        let now = samples.last().copied().unwrap_or_default();
        attack.progress(|| now.to_string())?;
    }
    let asked = load.stop().await?;
    // What requests held is given back when they are over.
    sleep_until(Instant::now() + Duration::from_millis(200)).await;
    let end = Holdings::of(stage.merit.process())?;
    let table = table(&samples);
    if attack.length >= LEVEL_FROM {
        check_level(&samples).with_context(|| table.clone())?;
    }
    Ok(format!(
        "{} requests, at the end {end}\n{table}",
        asked.requests
    ))
}

/// Shows what was held in each quarter of the time, at least and at most.
fn table(samples: &[Holdings]) -> String {
    let mut lines = String::from("quarter  memory, MB  descriptors  threads\n");
    for (number, quarter) in samples.chunks(samples.len().div_ceil(4).max(1)).enumerate() {
        let range = |what: fn(&Holdings) -> u64| {
            let least = quarter.iter().map(what).min().unwrap_or_default();
            let most = quarter.iter().map(what).max().unwrap_or_default();
            format!("{least} to {most}")
        };
        lines.push_str(&format!(
            "{:<7}  {:>10}  {:>11}  {:>7}\n",
            number + 1,
            range(|it| it.bytes >> 20),
            range(|it| it.descriptors as u64),
            range(|it| it.threads as u64),
        ));
    }
    lines
}

/// Compares the last quarter with the second one.
fn check_level(samples: &[Holdings]) -> Result<()> {
    let quarter = samples.len() / 4;
    let early = samples.get(quarter..2 * quarter).unwrap_or_default();
    let late = samples.get(3 * quarter..).unwrap_or_default();
    // The lowest memory counts: requests under way add to the others.
    let lowest = |samples: &[Holdings]| samples.iter().map(|it| it.bytes).min();
    let (before, after) = lowest(early).zip(lowest(late)).context("too few samples")?;
    ensure!(
        after <= before + before / 20 + (4 << 20),
        "memory grew from {before} to {after} bytes"
    );
    check_most("descriptors", early, late, |it| it.descriptors)?;
    check_most("threads", early, late, |it| it.threads)
}

fn check_most(
    name: &str,
    early: &[Holdings],
    late: &[Holdings],
    what: fn(&Holdings) -> usize,
) -> Result<()> {
    let before = early.iter().map(what).max().unwrap_or_default();
    let after = late.iter().map(what).max().unwrap_or_default();
    ensure!(after <= before + 4, "{name} grew from {before} to {after}");
    Ok(())
}

impl Holdings {
    fn of(process: &Process) -> Result<Self> {
        Ok(Self {
            bytes: process.resident_bytes()?,
            descriptors: process.descriptors()?,
            threads: process.threads()?,
        })
    }
}

impl std::fmt::Display for Holdings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            bytes,
            descriptors,
            threads,
        } = self;
        write!(
            f,
            "{} MB, {descriptors} descriptors, {threads} threads",
            bytes >> 20
        )
    }
}
