//! Session policies side by side on a simulator with stated assumptions: `cargo xtask bench
//! sessions`.
//!
//! Each cell of a grid of assumptions plays the same sessions, by seed, under every policy, so
//! differences are paired; the intervals are 95 % over sessions.

mod churn;
mod policies;
mod world;

use clap::Parser;
use conversation::session::Phase;
use conversation::session::budget::Rules;
use fastrand::Rng;
use policies::{NAMES, policy};
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
    /// Budgets of Merit's switches, percent of the bill, beside the default's.
    #[arg(long, value_delimiter = ',')]
    budgets: Vec<f64>,
    /// Lead that Merit's switches to a dearer model need, with these budgets.
    #[arg(long, default_value_t = Rules::default().lead)]
    lead: f64,
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
        let solved = if refused {
            0.0
        } else {
            solves(model, request.difficulty)
        };
        turns[request.turn].0 += solved;
        turns[request.turn].1 += 1.0;
    }
    score.quality = turns
        .iter()
        .map(|(solved, steps)| solved / steps)
        .sum::<f64>()
        / turns.len() as f64;
    score
}

/// Mean and half of the 95 % interval.
fn interval(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, 1.96 * (variance / count).sqrt())
}

/// Every combination, the first assumption varying slowest.
fn grid() -> Vec<Assumptions> {
    let conversations = [(4.0, 4.0), (12.0, 4.0), (12.0, 12.0), (30.0, 8.0)];
    let difficulties = [(0.1, 0.05), (0.25, 0.05), (0.25, 0.15)];
    let mut cells = Vec::new();
    for (turns, steps) in conversations {
        // The digits of a mixed number choose the rest.
        for number in 0..2 * 2 * 2 * 3 * 2 {
            let digit = |worth: usize, values: usize| number / worth % values;
            let (spread, noise) = difficulties[digit(2, 3)];
            cells.push(Assumptions {
                turns,
                steps,
                system: [6_000.0, 25_000.0][digit(24, 2)],
                cached: [0.1, 0.5][digit(12, 2)],
                pause: [60.0, 600.0][digit(6, 2)],
                lifetime: 300.0,
                spread,
                noise,
                sealed: [0.0, 0.5][digit(1, 2)],
            });
        }
    }
    cells
}

/// All sessions of all cells under one policy, in order.
fn run(cells: &[Assumptions], arguments: &Arguments, name: &str, rules: Rules) -> Vec<Vec<Score>> {
    let sessions = |(number, world): (usize, &Assumptions)| {
        let play_one = |index: u64| {
            let seed = arguments
                .seed
                .wrapping_mul(1_000_003)
                .wrapping_add(number as u64 * 100_003 + index);
            play(
                &session(&mut Rng::with_seed(seed), world),
                name,
                rules,
                world,
            )
        };
        (0..arguments.sessions).map(play_one).collect()
    };
    cells.iter().enumerate().map(sessions).collect()
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    if let Some(ids) = arguments.churn {
        return churn::run(&mut out, ids, arguments.capacity);
    }
    let cells = grid();
    let rules = Rules::default();
    let mut results: Vec<(String, Vec<Vec<Score>>)> = Vec::new();
    for name in NAMES {
        results.push((name.to_owned(), run(&cells, &arguments, name, rules)));
    }
    for budget in &arguments.budgets {
        let rules = Rules {
            budget: budget / 100.0,
            lead: arguments.lead,
            ..rules
        };
        results.push((
            format!("merit {budget}%"),
            run(&cells, &arguments, "merit", rules),
        ));
    }
    writeln!(
        out,
        "{} cells of {} sessions, seed {}; intervals are 95 %",
        cells.len(),
        arguments.sessions,
        arguments.seed
    )?;
    world::assumptions(&mut out)?;
    writeln!(out, "merit by default: {rules:?}\n")?;
    for (name, scores) in &results {
        let all = || scores.iter().flatten();
        let (cost, cost_half) = interval(all().map(|score| score.cost / 1e6));
        let (quality, quality_half) = interval(all().map(|score| score.quality));
        let broken: u64 = all().map(|score| score.unsafe_switches).sum();
        let (switches, _) = interval(all().map(|score| score.switches as f64));
        writeln!(
            out,
            "{name:13} cost per session {cost:.4} ±{cost_half:.4}  quality {quality:.4} ±{quality_half:.4}  \
             switches {switches:.2}  unsafe switches {broken}"
        )?;
    }
    for base in &NAMES[..NAMES.len() - 1] {
        against(&mut out, &cells, &results, base)?;
    }
    if arguments.cells {
        print_cells(&mut out, &cells, &results)
    } else {
        Ok(())
    }
}

type Results = [(String, Vec<Vec<Score>>)];

fn of<'a>(results: &'a Results, name: &str) -> &'a [Vec<Score>] {
    results
        .iter()
        .find(|(other, _)| other == name)
        .map_or(&[], |(_, scores)| scores)
}

/// Differences of the same sessions: other minus one.
fn paired(one: &[Score], other: &[Score], read: impl Fn(&Score) -> f64 + Copy) -> (f64, f64) {
    interval(
        one.iter()
            .zip(other)
            .map(move |(one, other)| read(other) - read(one)),
    )
}

/// Merit against one policy: over all sessions, and in how many cells it is dearer or worse beyond
/// the interval.
fn against(
    out: &mut impl std::io::Write,
    cells: &[Assumptions],
    results: &Results,
    base: &str,
) -> anyhow::Result<()> {
    writeln!(out, "\nagainst {base}")?;
    let ones = of(results, base);
    for (name, others) in results.iter().filter(|(name, _)| name.starts_with("merit")) {
        let (one, other): (Vec<Score>, Vec<Score>) = (ones.concat(), others.concat());
        let (cost, cost_half) = paired(&one, &other, |score| score.cost / 1e6);
        let (quality, quality_half) = paired(&one, &other, |score| score.quality);
        let usual = interval(one.iter().map(|score| score.cost / 1e6)).0;
        let (mut dearer, mut worse, mut neither) = (0, 0, 0);
        for (one, other) in ones.iter().zip(others) {
            let (cost, cost_half) = paired(one, other, |score| score.cost);
            let (quality, quality_half) = paired(one, other, |score| score.quality);
            let (is_dearer, is_worse) = (cost - cost_half > 0.0, quality + quality_half < 0.0);
            dearer += u64::from(is_dearer);
            worse += u64::from(is_worse);
            neither += u64::from(!is_dearer && !is_worse);
        }
        writeln!(
            out,
            "  {name:11} cost {cost:+.4} ±{cost_half:.4} ({:+.1} %)  quality {quality:+.4} ±{quality_half:.4}  \
             of {} cells dearer in {dearer}, worse in {worse}, neither in {neither}",
            100.0 * cost / usual,
            cells.len()
        )?;
    }
    Ok(())
}

/// Every cell: each policy, and its difference from the formula.
fn print_cells(
    out: &mut impl std::io::Write,
    cells: &[Assumptions],
    results: &Results,
) -> anyhow::Result<()> {
    let formula = of(results, "formula");
    for ((number, world), base) in cells.iter().enumerate().zip(formula) {
        writeln!(out, "{world:?}")?;
        for (name, scores) in results {
            let (cost, half) = paired(base, &scores[number], |score| score.cost / 1e6);
            let (quality, quality_half) = paired(base, &scores[number], |score| score.quality);
            let own = interval(scores[number].iter().map(|score| score.cost / 1e6)).0;
            let good = interval(scores[number].iter().map(|score| score.quality)).0;
            writeln!(
                out,
                "  {name:13} cost {own:.4} ({cost:+.4} ±{half:.4})  quality {good:.4} ({quality:+.4} ±{quality_half:.4})"
            )?;
        }
    }
    Ok(())
}
