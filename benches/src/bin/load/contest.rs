//! Waits and processor time through Envoy: Merit's against those of a server that does nothing.

use crate::clients::{Waits, ask};
use crate::stage::{Lane, MODES, Stage};
use crate::table;
use anyhow::Result;
use benches::mix;
use std::time::Duration;

/// Body sizes, and how much more processor time than nothing a request may take, microseconds.
const SIZES: [(usize, f64); 2] = [(1 << 10, 60.0), (16 << 10, 250.0)];
/// How much longer than with a server that does nothing the median request of 1 KB may take. One of
/// 16 KB may take more: its budget of processor time alone is more than the rest of its way.
const WAIT_BUDGET: f64 = 1.5;

/// How many rounds of each case, and how long each.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
}

/// One round on one way.
struct Round {
    waits: Waits,
    server: Duration,
    envoy: Duration,
}

/// All rounds on one way.
#[derive(Default)]
struct Rounds(Vec<Round>);

impl Rounds {
    fn medians(&self) -> Vec<f64> {
        self.0
            .iter()
            .map(|round| micros(round.waits.quantile(0.5)))
            .collect()
    }

    fn worst(&self) -> f64 {
        median(
            self.0
                .iter()
                .map(|round| micros(round.waits.quantile(0.99)))
                .collect(),
        )
    }

    /// Processor time of a request over all rounds, microseconds: the kernel's clock is too coarse
    /// for one.
    fn per_request(&self, of: impl Fn(&Round) -> Duration) -> f64 {
        let requests: usize = self.0.iter().map(|round| round.waits.count()).sum();
        micros(self.0.iter().map(of).sum()) / requests.max(1) as f64
    }
}

pub(crate) async fn run(plan: Plan, connections: &[usize]) -> Result<()> {
    let stage = Stage::start().await?;
    table::waits_head(plan.rounds, plan.time)?;
    for (mode, (_, name)) in MODES.iter().enumerate() {
        let lanes = stage.lanes(mode)?;
        for (size, budget) in SIZES {
            for &connections in connections {
                let both = measure(&lanes, connections, size, plan).await?;
                report(name, size, connections, &both, budget)?;
            }
        }
    }
    table::resident(
        "resident memory after that load",
        stage.merit.process().resident_bytes()?,
    )
}

/// Rounds that take turns; who begins changes too, and each way is warmed up first.
async fn measure(
    lanes: &[Lane<'_>; 2],
    connections: usize,
    size: usize,
    plan: Plan,
) -> Result<[Rounds; 2]> {
    let body = mix::body(size);
    let mut both = [Rounds::default(), Rounds::default()];
    for lane in lanes {
        ask(lane.clients, connections, &body, plan.time / 4).await?;
    }
    for round in 0..plan.rounds {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for at in order {
            let lane = &lanes[at];
            let before = (lane.server.cpu_time()?, lane.envoy.cpu_time()?);
            let waits = ask(lane.clients, connections, &body, plan.time).await?;
            both[at].0.push(Round {
                waits,
                server: lane.server.cpu_time()?.saturating_sub(before.0),
                envoy: lane.envoy.cpu_time()?.saturating_sub(before.1),
            });
        }
    }
    Ok(both)
}

fn report(
    mode: &str,
    size: usize,
    connections: usize,
    [noop, merit]: &[Rounds; 2],
    budget: f64,
) -> Result<()> {
    let ratios = noop.medians().into_iter().zip(merit.medians());
    let ratio = median(ratios.map(|(noop, merit)| merit / noop).collect());
    let [noop_server, merit_server] =
        [noop, merit].map(|rounds| rounds.per_request(|round| round.server));
    let [noop_envoy, merit_envoy] =
        [noop, merit].map(|rounds| rounds.per_request(|round| round.envoy));
    table::waits_row(&table::WaitsRow {
        mode,
        size,
        connections,
        p50: [noop, merit].map(|rounds| rounds.medians().into_iter().fold(f64::INFINITY, f64::min)),
        p99: [noop, merit].map(Rounds::worst),
        ratio,
        wait_kept: (size == SIZES[0].0).then_some(ratio <= WAIT_BUDGET),
        server: [noop_server, merit_server],
        envoy: [noop_envoy, merit_envoy],
        budget,
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The middle value; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
