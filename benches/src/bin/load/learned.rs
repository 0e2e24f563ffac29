//! Five learned signals through Envoy: what they cost beside the encoder alone, who waits, and what
//! is kept of a history.

mod bare;

use crate::backend::Backend;
use crate::clients::{Bodies, Waits, ask, ask_each};
use crate::contest::{Plan, median};
use crate::stage::envoy;
use crate::table::{self, kept};
use anyhow::{Context as _, Result, ensure};
use bare::Bare;
use benches::models::Models;
use benches::{mix, prompts};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tests::client::{Call, call};
use tests::envoy::Envoy;
use tests::merit::Merit;
use tests::prompt::CHAT;

/// The policy: domain, jailbreak, pii, fact_check and embedding.
const DOCUMENT: &str = include_str!("../../../data/learned.yaml");
/// Counts the windows that a graph read.
pub(crate) const RUNS: &str = "merit_encoder_windows_total";
/// Tokens of a prompt, and as many prompts a second as no machine asks for.
const LENGTHS: [(usize, f64); 2] = [(60, 1200.0), (500, 200.0)];
/// Enough for every lane to be busy while others wait.
const CONNECTIONS: usize = 8;
/// Of the encoder's own throughput.
const SHARE_BUDGET: f64 = 0.85;
const TURNS: u64 = 20;
const STARTS: usize = 5;
/// Answered by a keyword, whatever else there is to read.
const HEURISTIC: &str = "Please sort this request by-keyword-alone and nothing else.";

/// Merit with the policy, behind Envoy.
struct Scene {
    merit: Merit,
    _envoy: Envoy,
    clients: SocketAddr,
    _backend: Backend,
}

impl Scene {
    async fn start() -> Result<Self> {
        let backend = Backend::start().await?;
        let merit = Merit::start(DOCUMENT).await?;
        let envoy = envoy("route.yaml", merit.port(), &backend).await?;
        Ok(Self {
            clients: envoy.listener("clients")?,
            merit,
            _envoy: envoy,
            _backend: backend,
        })
    }
}

pub(crate) async fn run(plan: Plan) -> Result<()> {
    mix::read(DOCUMENT)?;
    // A window of 254 tokens takes tens of milliseconds: rounds are longer than where nothing is
    // read.
    let plan = Plan {
        time: plan.time * 6,
        ..plan
    };
    let bare = Bare::open(Models::open(0)?)?;
    start().await?;
    let scene = Scene::start().await?;
    table::memory(
        "resident memory when ready",
        scene.merit.process().resident_bytes()?,
        250.0,
    )?;
    head(plan, bare.lanes())?;
    for (tokens, rate) in LENGTHS {
        throughput(&scene, &bare, tokens, rate, plan).await?;
    }
    table::line("")?;
    heuristics(&scene, plan).await?;
    agent(&scene, &bare).await?;
    table::memory(
        "resident memory after that load",
        scene.merit.process().resident_bytes()?,
        250.0,
    )
}

/// From the start of the process until it is ready, models and examples read.
async fn start() -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        drop(Merit::start(DOCUMENT).await?);
        times.push(begin.elapsed().as_secs_f64());
    }
    let ready = Duration::from_secs_f64(median(times));
    table::time(
        "ready after the start, models read, median of 5",
        ready,
        Duration::from_secs(2),
    )
}

fn head(plan: Plan, lanes: usize) -> Result<()> {
    table::line(&format!(
        "\ndomain + jailbreak + pii + fact_check + embedding through Envoy, {CONNECTIONS} connections, against the encoder \
         alone on {lanes} lanes: {} rounds of {} ms each, taking turns. No text comes twice.\n",
        plan.rounds,
        plan.time.as_millis()
    ))?;
    table::line(
        "| tokens | windows | encoder alone, texts/s | Merit, requests/s | ratio | ≥ 0.85 | a core | p50 ms | p99 ms | p99/p50 | ≤ 3 | runs a request | degraded |",
    )?;
    table::line("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
}

/// Rounds that take turns; one row.
async fn throughput(
    scene: &Scene,
    bare: &Bare,
    tokens: usize,
    rate: f64,
    plan: Plan,
) -> Result<()> {
    let count = (rate * plan.time.as_secs_f64()) as u64;
    let texts = |round: usize| {
        let first = (tokens as u64) << 32 | (round as u64) << 24;
        (first..first + count)
            .map(move |number| prompts::text(number, tokens))
            .collect::<Vec<_>>()
    };
    let (mut alone, mut through, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    let (mut windows, mut runs, mut requests) = (0.0, 0.0, 0);
    for round in 0..=plan.rounds {
        let texts = texts(round);
        // The first round warms up; it is short and does not count.
        let time = if round == 0 { plan.time / 8 } else { plan.time };
        let read = bare.read(&texts, time)?;
        let bodies = Bodies::new(texts.iter().map(|text| body(text)));
        let before = scene.merit.metric(RUNS).await?;
        let begin = Instant::now();
        let waited = ask_each(scene.clients, CONNECTIONS, &bodies, time).await?;
        let took = begin.elapsed().as_secs_f64();
        ensure!(bodies.were_enough(), "texts came twice");
        if round == 0 {
            continue;
        }
        runs += scene.merit.metric(RUNS).await? - before;
        requests += waited.count();
        windows = read.windows_a_text;
        alone.push(read.texts_a_second);
        through.push(waited.count() as f64 / took);
        waits.push(waited);
    }
    let ratio = median(
        through
            .iter()
            .zip(&alone)
            .map(|(merit, alone)| merit / alone)
            .collect(),
    );
    let through = median(through);
    let [p50, p99] = [0.5, 0.99].map(|share| middle(&waits, share));
    let degraded: usize = waits.iter().map(Waits::degraded).sum();
    table::line(&format!(
        "| {tokens} | {windows:.1} | {:.1} | {through:.1} | {ratio:.2} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {:.2} | {degraded} of {requests} |",
        median(alone),
        kept(ratio >= SHARE_BUDGET),
        through / bare.lanes() as f64,
        p50 * 1e3,
        p99 * 1e3,
        p99 / p50,
        kept(p99 <= 3.0 * p50),
        runs / requests.max(1) as f64,
    ))
}

/// Requests that a keyword decides, alone and while the encoder has more to read than it can.
async fn heuristics(scene: &Scene, plan: Plan) -> Result<()> {
    let quick = body(HEURISTIC);
    let (mut calm, mut busy) = (Vec::new(), Vec::new());
    let before = scene.merit.metric(RUNS).await?;
    ask(scene.clients, 1, &quick, plan.time / 4).await?;
    for round in 0..plan.rounds {
        calm.push(ask(scene.clients, 1, &quick, plan.time).await?);
        if round == 0 {
            let runs = scene.merit.metric(RUNS).await? - before;
            table::line(&format!(
                "a request that a keyword decides needs the encoder: {runs} runs"
            ))?;
        }
        let first = (1 << 48) | (round as u64) << 24;
        let long =
            Bodies::new((first..first + 4096).map(|number| body(&prompts::text(number, 500))));
        let saturating = ask_each(scene.clients, CONNECTIONS, &long, plan.time);
        let (quick, _) = tokio::try_join!(ask(scene.clients, 1, &quick, plan.time), saturating)?;
        busy.push(quick);
    }
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let [calm, busy] = [&calm, &busy].map(|waits| middle(waits, share) * 1e3);
        let ratio = busy / calm;
        let verdict = if name == "p99" {
            format!(" (≤ 3 {})", kept(ratio <= 3.0))
        } else {
            String::new()
        };
        table::line(&format!(
            "heuristics only, {name}: {calm:.2} ms unloaded, {busy:.2} ms while the encoder is saturated, ratio {ratio:.1}{verdict}"
        ))?;
    }
    Ok(())
}

/// A conversation that sends all its turns each time: what is read of each turn is what is new.
async fn agent(scene: &Scene, bare: &Bare) -> Result<()> {
    let (mut waits, mut runs, mut repeated) = (Vec::new(), Vec::new(), 0);
    let (mut fresh, mut known) = (0, 0);
    for turn in 1..=TURNS {
        let request = prompts::agent(1 << 40, turn);
        let messages = request["messages"].as_array().context("no messages")?;
        // With their history, the safety rules of the policy read all that is said but results of
        // tools.
        for message in messages
            .iter()
            .skip(known)
            .filter(|message| message["role"] != "tool")
        {
            fresh += bare.windows(message["content"].as_str().unwrap_or_default())?;
        }
        known = messages.len();
        repeated += fresh;
        let before = scene.merit.metric(RUNS).await?;
        let begin = Instant::now();
        let answer = call(scene.clients, Call::json(CHAT, &request)).await?;
        waits.push(begin.elapsed().as_secs_f64() * 1e3);
        ensure!(
            answer.status.is_success(),
            "turn {turn} answered {}: {}",
            answer.status,
            answer.text()
        );
        runs.push(scene.merit.metric(RUNS).await? - before);
    }
    let all: f64 = runs.iter().sum();
    let (first, last) = (
        waits.first().context("no turn")?,
        waits.last().context("no turn")?,
    );
    table::line(&format!(
        "agent of {TURNS} turns: {all} runs for {fresh} new windows ({repeated} without a cache), {} at the last turn; \
         first turn {first:.1} ms, last {last:.1} ms",
        runs.last().copied().unwrap_or_default(),
    ))
}

/// The middle over the rounds, in seconds.
fn middle(rounds: &[Waits], share: f64) -> f64 {
    median(
        rounds
            .iter()
            .map(|round| round.quantile(share).as_secs_f64())
            .collect(),
    )
}

fn body(text: &str) -> Bytes {
    prompts::chat(text).to_string().into()
}
