//! Session policies side by side on a simulator with stated assumptions: `cargo xtask bench sessions`.
//!
//! Each cell of a grid of assumptions plays the same sessions, by seed, under every policy, so differences are paired; the
//! intervals are 95 % over sessions.

mod churn;
mod policies;
mod world;

use clap::Parser;
use fastrand::Rng;
use policies::{NAMES, policy};
use router::session::Phase;
use router::session::stay::Rules;
use std::io::Write as _;
use world::{Assumptions, Caches, Request, prices, session, solves};

/// Plays sessions under every policy.
#[derive(Debug, Parser)]
struct Arguments {
    /// Sessions per cell.
    #[arg(long, default_value_t = 1000)]
    sessions: u64,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Budgets of Merit's switches, percent of the bill; the first is the one that is compared.
    #[arg(long, value_delimiter = ',')]
    budgets: Vec<f64>,
    /// Shares of the way back.
    #[arg(long, value_delimiter = ',')]
    way_backs: Vec<f64>,
    /// Leads.
    #[arg(long, value_delimiter = ',')]
    leads: Vec<f64>,
    /// Instead: pass so many session ids through the table, and report its memory and time.
    #[arg(long)]
    churn: Option<u64>,
    /// Size of that table.
    #[arg(long, default_value_t = 100_000)]
    capacity: u32,
    /// Print every cell.
    #[arg(long)]
    cells: bool,
}

/// What one session came to under one policy.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    /// Millionths of the currency.
    cost: f64,
    /// Share of turns solved, expected.
    quality: f64,
    /// Switches that break something.
    unsafe_switches: u64,
    /// All switches.
    switches: u64,
}

fn play(requests: &[Request], name: &str, rules: Rules, world: &Assumptions) -> Score {
    let mut policy = policy(name, rules, world);
    let mut caches = Caches::default();
    let mut score = Score::default();
    let mut before: Option<(u32, usize)> = None;
    let mut turns: Vec<(f64, f64)> = Vec::new();
    for request in requests {
        let model = policy.choose(request, &caches, world);
        let tokens = caches.answer(model, request, world);
        let cost = prices(model, world).cost(tokens) * 1e6;
        score.cost += cost;
        policy.answered(request, model, tokens, cost);
        if request.phase == Phase::Helper {
            continue;
        }
        let switched = before.is_some_and(|(_, last)| last != model);
        let same_thread = before.is_some_and(|(thread, _)| thread == request.thread);
        let locked = request.phase != Phase::UserTurn || (request.sealed && same_thread);
        score.switches += u64::from(switched);
        score.unsafe_switches += u64::from(switched && locked);
        before = Some((request.thread, model));
        if request.phase == Phase::Compaction {
            continue;
        }
        turns.resize(turns.len().max(request.turn + 1), (0.0, 0.0));
        // A provider refuses state that another one sealed: what was asked stays undone.
        let refused = switched && request.sealed && same_thread;
        let solved = if refused { 0.0 } else { solves(model, request.difficulty) };
        turns[request.turn].0 += solved;
        turns[request.turn].1 += 1.0;
    }
    score.quality = turns.iter().map(|(solved, steps)| solved / steps).sum::<f64>() / turns.len() as f64;
    score
}

/// Mean and half of the 95 % interval.
fn interval(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, 1.96 * (variance / count).sqrt())
}

fn grid() -> Vec<Assumptions> {
    let mut cells = Vec::new();
    for (turns, steps) in [(4.0, 4.0), (12.0, 4.0), (12.0, 12.0), (30.0, 8.0)] {
        for system in [6_000.0, 25_000.0] {
            for cached in [0.1, 0.5] {
                for pause in [60.0, 600.0] {
                    for (spread, noise) in [(0.1, 0.05), (0.25, 0.05), (0.25, 0.15)] {
                        for sealed in [0.0, 0.5] {
                            cells.push(Assumptions {
                                turns,
                                steps,
                                system,
                                cached,
                                pause,
                                lifetime: 300.0,
                                spread,
                                noise,
                                sealed,
                            });
                        }
                    }
                }
            }
        }
    }
    cells
}

/// All sessions of all cells under one policy, in order.
fn run(cells: &[Assumptions], arguments: &Arguments, name: &str, rules: Rules) -> Vec<Vec<Score>> {
    let sessions = |(number, world): (usize, &Assumptions)| {
        let play_one = |index: u64| {
            let seed = arguments.seed.wrapping_mul(1_000_003).wrapping_add(number as u64 * 100_003 + index);
            play(&session(&mut Rng::with_seed(seed), world), name, rules, world)
        };
        (0..arguments.sessions).map(play_one).collect()
    };
    cells.iter().enumerate().map(sessions).collect()
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let cells = grid();
    let mut out = std::io::stdout().lock();
    if let Some(ids) = arguments.churn {
        return churn::run(&mut out, ids, arguments.capacity);
    }
    writeln!(out, "{} cells of {} sessions, seed {}", cells.len(), arguments.sessions, arguments.seed)?;
    let budgets =
        if arguments.budgets.is_empty() { vec![Rules::default().budget * 100.0] } else { arguments.budgets.clone() };
    let mut results: Vec<(String, Vec<Vec<Score>>)> = Vec::new();
    for name in &NAMES[..4] {
        results.push(((*name).to_owned(), run(&cells, &arguments, name, Rules::default())));
    }
    for budget in budgets {
        for &lead in &arguments.leads {
            for &way_back in &arguments.way_backs {
                let rules = Rules { budget: budget / 100.0, lead, way_back, ..Rules::default() };
                for kind in ["merit", "merit-fresh"] {
                    let name = format!("{kind} {budget}% {lead} {way_back}");
                    results.push((name, run(&cells, &arguments, kind, rules)));
                }
            }
        }
    }
    let formula = results.iter().position(|(name, _)| name == "formula").unwrap_or_default();
    for (name, scores) in &results {
        let all = || scores.iter().flatten();
        let (cost, cost_half) = interval(all().map(|score| score.cost / 1e6));
        let (quality, quality_half) = interval(all().map(|score| score.quality));
        let broken: u64 = all().map(|score| score.unsafe_switches).sum();
        let (switches, _) = interval(all().map(|score| score.switches as f64));
        let (cheaper, better, both) = compare(&results[formula].1, scores);
        writeln!(
            out,
            "{name:14} cost {cost:.4} ±{cost_half:.4}  quality {quality:.4} ±{quality_half:.4}  unsafe {broken}  switches {switches:.2}  \
             cells no dearer {cheaper} no worse {better} both {both}"
        )?;
    }
    if arguments.cells {
        print_cells(&mut out, &cells, &results, formula)?;
    }
    Ok(())
}

fn paired(one: &[Score], other: &[Score], read: impl Fn(&Score) -> f64 + Copy) -> (f64, f64) {
    interval(one.iter().zip(other).map(move |(one, other)| read(other) - read(one)))
}

/// In how many cells a policy is not dearer, not worse, and both, up to the interval.
fn compare(base: &[Vec<Score>], scores: &[Vec<Score>]) -> (usize, usize, usize) {
    let mut counts = (0, 0, 0);
    for (one, other) in base.iter().zip(scores) {
        let (cost, cost_half) = paired(one, other, |score| score.cost);
        let (quality, quality_half) = paired(one, other, |score| score.quality);
        let (cheaper, better) = (cost - cost_half <= 0.0, quality + quality_half >= 0.0);
        counts.0 += usize::from(cheaper);
        counts.1 += usize::from(better);
        counts.2 += usize::from(cheaper && better);
    }
    counts
}

fn print_cells(
    out: &mut impl std::io::Write,
    cells: &[Assumptions],
    results: &[(String, Vec<Vec<Score>>)],
    formula: usize,
) -> std::io::Result<()> {
    for (number, world) in cells.iter().enumerate() {
        writeln!(out, "{world:?}")?;
        for (name, scores) in results {
            let (cost, half) = paired(&results[formula].1[number], &scores[number], |score| score.cost / 1e6);
            let (quality, quality_half) = paired(&results[formula].1[number], &scores[number], |score| score.quality);
            let own = interval(scores[number].iter().map(|score| score.cost / 1e6)).0;
            let good = interval(scores[number].iter().map(|score| score.quality)).0;
            writeln!(
                out,
                "  {name:14} cost {own:.4} ({cost:+.4} ±{half:.4})  quality {good:.4} ({quality:+.4} ±{quality_half:.4})"
            )?;
        }
    }
    Ok(())
}
