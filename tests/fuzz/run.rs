//! Runs one target until its time is up, and says how to run a failure again.

use std::io::{Write as _, stdout};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

use crate::AGAIN;

/// Bytes that a failure prints as text.
#[derive(Clone)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Inputs that one seed makes.
const BATCH: u32 = 32;

/// Seconds for a target where nothing else is said, as when all tests run.
const SECONDS: u64 = 1;

/// How often a long run says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// What one input may take, also on a busy machine: reading is linear in the input.
const INPUT_LIMIT: Duration = Duration::from_secs(5);

/// Checks inputs of `inputs` until the time of `MERIT_FUZZ_SECONDS` is up, from `MERIT_FUZZ_SEED` on.
///
/// # Errors
/// An input fails; the error holds the smallest one found and its seed.
pub(crate) fn run<S: Strategy>(
    target: &str,
    inputs: &S,
    check: impl Fn(S::Value) -> TestCaseResult,
) -> Result<()> {
    let (limit, first) = (length(), seed());
    writeln!(stdout(), "{target}: from seed {first} on, for {limit:?}")?;

    let start = Instant::now();
    let mut said = start;
    let mut seed = first;
    loop {
        let outcome = runner(seed).run(inputs, |input| timed(input, &check));
        outcome
            .map_err(|error| anyhow!("{target}: {error}\nagain: {AGAIN} {target} --seed {seed}"))?;
        seed = seed.wrapping_add(1);
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            writeln!(stdout(), "{target}: {:?}, seed {seed}", start.elapsed())?;
        }
        if start.elapsed() >= limit {
            break;
        }
    }

    let inputs = seed.wrapping_sub(first) * u64::from(BATCH);
    writeln!(stdout(), "{target}: passed with {inputs} inputs")?;
    Ok(())
}

/// Returns the time that a target has: `MERIT_FUZZ_SECONDS`.
pub(crate) fn length() -> Duration {
    Duration::from_secs(variable("MERIT_FUZZ_SECONDS").unwrap_or(SECONDS))
}

/// Returns where a target begins: `MERIT_FUZZ_SEED`, else somewhere else each time.
pub(crate) fn seed() -> u64 {
    variable("MERIT_FUZZ_SEED").unwrap_or_else(somewhere)
}

fn timed<T>(input: T, check: impl Fn(T) -> TestCaseResult) -> TestCaseResult {
    let start = Instant::now();
    check(input)?;
    let taken = start.elapsed();
    proptest::prop_assert!(taken < INPUT_LIMIT, "took {taken:?}");
    Ok(())
}

fn runner(seed: u64) -> TestRunner {
    let config = Config {
        cases: BATCH,
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    for (byte, digit) in bytes.iter_mut().zip(seed.to_le_bytes()) {
        *byte = digit;
    }
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Returns another seed each time, short enough to type.
fn somewhere() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::from(now.subsec_nanos()))
}
