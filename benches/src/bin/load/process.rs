//! The process by itself: how soon it is ready, how much memory it takes.

use crate::contest::median;
use crate::table;
use anyhow::Result;
use benches::mix;
use std::time::{Duration, Instant};
use tests::merit::Merit;

const STARTS: usize = 9;

pub(crate) async fn run() -> Result<()> {
    let (mut times, mut resident) = (Vec::new(), 0);
    for _ in 0..STARTS {
        let start = Instant::now();
        let merit = Merit::start(mix::DOCUMENT).await?;
        times.push(start.elapsed().as_secs_f64());
        resident = merit.process().resident_bytes()?.max(resident);
    }
    table::line("")?;
    let ready = Duration::from_secs_f64(median(times));
    table::time(
        "ready after the start, median of 9",
        ready,
        Duration::from_secs(1),
    )?;
    table::resident("resident memory when ready", resident)
}
