//! What is printed: figures, budgets, and whether they were kept.

use anyhow::Result;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

/// One case of waits; pairs are of the server that does nothing, then Merit. Times in microseconds.
pub(crate) struct WaitsRow<'a> {
    pub(crate) mode: &'a str,
    pub(crate) body: &'a str,
    pub(crate) connections: usize,
    pub(crate) p50: [f64; 2],
    pub(crate) p99: [f64; 2],
    pub(crate) ratio: f64,
    pub(crate) wait: Option<f64>,
    pub(crate) server: [f64; 2],
    pub(crate) envoy: [f64; 2],
    pub(crate) budget: f64,
}

/// Says on what is measured.
pub(crate) fn title() -> Result<()> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let cores = std::thread::available_parallelism()?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    line(&format!(
        "{cores} cores of {model}, load average {load} at the start"
    ))
}

/// The head of the table of waits.
pub(crate) fn waits_head(rounds: usize, time: Duration) -> Result<()> {
    line(&format!(
        "\nThrough Envoy, Merit against a server that does nothing: {rounds} rounds of {} ms each, taking turns.",
        time.as_millis()
    ))?;
    line(
        "p50: of the best round; p50 ratio: median over the rounds; CPU: mean over all requests. Microseconds.\n",
    )?;
    line(
        "| mode | body | conns | p50 | p50 Merit | ratio | budget | p99 | p99 Merit | CPU | CPU Merit | added | budget | Envoy CPU | with Merit |",
    )?;
    line("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
}

/// One row of it.
pub(crate) fn waits_row(row: &WaitsRow<'_>) -> Result<()> {
    let added = row.server[1] - row.server[0];
    line(&format!(
        "| {} | {} | {} | {:.0} | {:.0} | {:.2} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {added:.0} | ≤ {:.0} {} | {:.0} | {:.0} |",
        row.mode,
        row.body,
        row.connections,
        row.p50[0],
        row.p50[1],
        row.ratio,
        row.wait.map_or_else(
            || "–".to_owned(),
            |most| format!("≤ {most} {}", kept(row.ratio <= most))
        ),
        row.p99[0],
        row.p99[1],
        row.server[0],
        row.server[1],
        row.budget,
        kept(added <= row.budget),
        row.envoy[0],
        row.envoy[1],
    ))
}

/// Resident memory, whose budget is 40 MB.
pub(crate) fn resident(what: &str, bytes: u64) -> Result<()> {
    memory(what, bytes, 40.0)
}

/// Resident memory with its budget in megabytes.
pub(crate) fn memory(what: &str, bytes: u64, budget: f64) -> Result<()> {
    let megabytes = bytes as f64 / 1e6;
    line(&format!(
        "{what}: {megabytes:.1} MB (≤ {budget:.0} MB {})",
        kept(megabytes <= budget)
    ))
}

/// Memory before and after reloads of a long document, whose budget is that of the suite.
pub(crate) fn growth(before: u64, after: u64) -> Result<()> {
    let [before, after] = [before, after].map(|bytes| bytes as f64 / 1e6);
    line(&format!(
        "resident memory with that document: {before:.1} MB at first, {after:.1} MB after these reloads"
    ))
}

/// Memory of open streams, for which there is no budget.
pub(crate) fn streams(bytes: u64, idle: u64, streams: usize) -> Result<()> {
    let each = bytes.saturating_sub(idle) / streams as u64 / 1000;
    line(&format!(
        "resident memory with them open: {:.1} MB, {each} KB a stream",
        bytes as f64 / 1e6
    ))
}

/// A time with its budget.
pub(crate) fn time(what: &str, found: Duration, budget: Duration) -> Result<()> {
    line(&format!(
        "{what}: {:.1} ms (≤ {} ms {})",
        found.as_secs_f64() * 1e3,
        budget.as_millis(),
        kept(found <= budget)
    ))
}

/// A line as it is.
pub(crate) fn line(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// How a budget fared.
pub(crate) fn kept(is_kept: bool) -> &'static str {
    if is_kept { "kept" } else { "MISSED" }
}
