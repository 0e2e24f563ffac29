//! Waits and processor time through Envoy: Merit's against those of a server that does nothing.

use crate::clients::{Bodies, Waits, ask_each};
use crate::stage::{Lane, MODES, Stage};
use crate::table;
use anyhow::Result;
use benches::{agent, mix};
use std::time::Duration;

/// A request that is measured, with its budgets.
struct Case {
    name: &'static str,
    bodies: Bodies,
    /// How much more processor time than nothing it may take, microseconds: on one connection, and
    /// on several, where a wake-up serves more than one request.
    alone: f64,
    crowded: f64,
    /// How much longer than with a server that does nothing the median request may take.
    wait: Option<f64>,
}

impl Case {
    fn all() -> [Self; 3] {
        [
            Self {
                name: "1 KB",
                bodies: Bodies::new([mix::body(1 << 10)]),
                alone: 40.0,
                crowded: 20.0,
                wait: Some(1.3),
            },
            Self {
                name: "16 KB",
                bodies: Bodies::new([mix::body(16 << 10)]),
                alone: 60.0,
                crowded: 60.0,
                wait: Some(1.4),
            },
            Self {
                name: "120 KB, agent",
                bodies: Bodies::sent_to("/v1/messages", [agent::body(agent::STEPS)]),
                alone: 400.0,
                crowded: 400.0,
                wait: None,
            },
        ]
    }
}

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
        for case in Case::all() {
            for &connections in connections {
                let both = measure(&lanes, connections, &case.bodies, plan).await?;
                report(name, &case, connections, &both)?;
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
    bodies: &Bodies,
    plan: Plan,
) -> Result<[Rounds; 2]> {
    let mut both = [Rounds::default(), Rounds::default()];
    for lane in lanes {
        ask_each(lane.clients, connections, bodies, plan.time / 4).await?;
    }
    for round in 0..plan.rounds {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for at in order {
            let lane = &lanes[at];
            let before = (lane.server.cpu_time()?, lane.envoy.cpu_time()?);
            let waits = ask_each(lane.clients, connections, bodies, plan.time).await?;
            both[at].0.push(Round {
                waits,
                server: lane.server.cpu_time()?.saturating_sub(before.0),
                envoy: lane.envoy.cpu_time()?.saturating_sub(before.1),
            });
        }
    }
    Ok(both)
}

fn report(mode: &str, case: &Case, connections: usize, [noop, merit]: &[Rounds; 2]) -> Result<()> {
    let ratios = noop.medians().into_iter().zip(merit.medians());
    let ratio = median(ratios.map(|(noop, merit)| merit / noop).collect());
    let [noop_server, merit_server] =
        [noop, merit].map(|rounds| rounds.per_request(|round| round.server));
    let [noop_envoy, merit_envoy] =
        [noop, merit].map(|rounds| rounds.per_request(|round| round.envoy));
    table::waits_row(&table::WaitsRow {
        mode,
        body: case.name,
        connections,
        p50: [noop, merit].map(|rounds| rounds.medians().into_iter().fold(f64::INFINITY, f64::min)),
        p99: [noop, merit].map(Rounds::worst),
        ratio,
        wait: case.wait,
        server: [noop_server, merit_server],
        envoy: [noop_envoy, merit_envoy],
        budget: if connections == 1 {
            case.alone
        } else {
            case.crowded
        },
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
