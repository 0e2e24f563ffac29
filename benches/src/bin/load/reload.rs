//! From SIGHUP to the moment when a new document of 2,000 lines serves.

use crate::contest::median;
use crate::table;
use anyhow::Result;
use benches::mix;
use std::time::{Duration, Instant};
use tests::merit::Merit;

const LINES: usize = 2000;
const RELOADS: usize = 15;

pub(crate) async fn run() -> Result<()> {
    let merit = Merit::start(&mix::long_document(LINES, "word")).await?;
    let before = merit.process().resident_bytes()?;
    let mut times = Vec::new();
    for number in 0..RELOADS {
        let document = mix::long_document(LINES, &format!("word{number}"));
        let start = Instant::now();
        merit.reload(&document).await?;
        times.push(start.elapsed().as_secs_f64());
    }
    let time = Duration::from_secs_f64(median(times));
    table::time(
        "reload of 2,000 lines, median of 15",
        time,
        Duration::from_millis(100),
    )?;
    table::growth(before, merit.process().resident_bytes()?)
}
