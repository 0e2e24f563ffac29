//! Memory and time of the table of sessions while millions of ids pass through it.

use conversation::session::{SessionOutcome, Sessions, Ticket};
use conversation::{ConversationKey, Timestamp};
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

/// Passes `ids` sessions through a table of `capacity`, reporting ten times, then times looking up
/// what is there.
pub(crate) fn run(out: &mut impl Write, ids: u64, capacity: u32) -> anyhow::Result<()> {
    let sessions = Sessions::default();
    sessions.limit(capacity);
    writeln!(
        out,
        "capacity {capacity}; resident before {} MiB",
        resident()?
    )?;
    let started = Instant::now();
    for id in 0..ids {
        let ticket = Ticket {
            key: key(id),
            thread: id as u32,
            billed: 1,
        };
        sessions.sent(
            &SessionOutcome::first(ticket),
            if id % 3 == 0 { "large" } else { "small" },
            Timestamp::from_seconds(id),
        );
        if (id + 1) % (ids / 10).max(1) == 0 {
            let (entries, forgotten) = (sessions.len(), sessions.forgotten());
            writeln!(
                out,
                "{:>10} ids: {entries} remembered, {forgotten} forgotten, resident {} MiB",
                id + 1,
                resident()?
            )?;
        }
    }
    let each = started.elapsed().as_nanos() as f64 / ids as f64;
    writeln!(out, "noting a new session: {each:.0} ns")?;
    let known = ids - u64::from(capacity / 2).min(ids);
    let rounds = 2_000_000_u64;
    let started = Instant::now();
    let mut found = 0_u64;
    for round in 0..rounds {
        let id = known + round.wrapping_mul(7_919) % (ids - known).max(1);
        found +=
            u64::from(black_box(sessions.find(key(id), id as u32, Timestamp(0)).record).is_some());
    }
    let each = started.elapsed().as_nanos() as f64 / rounds as f64;
    writeln!(
        out,
        "looking one up: {each:.0} ns ({found} of {rounds} found)"
    )?;
    Ok(())
}

/// Spread as keyed digests are.
fn key(id: u64) -> ConversationKey {
    let mix = |number: u64| {
        let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        number ^ (number >> 31)
    };
    ConversationKey(
        u128::from(mix(id.wrapping_add(1))) << 64
            | u128::from(mix(id.wrapping_add(0x9E37_79B9_7F4A_7C15))),
    )
}

/// Resident memory of this process, MiB.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    let kilobytes: u64 = line.split_whitespace().next().unwrap_or("0").parse()?;
    Ok(kilobytes / 1024)
}
