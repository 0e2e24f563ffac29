//! Merit behind a shipped bootstrap, with two backends, and the dice of an attack.

use anyhow::Result;
use std::io::{Write as _, stdout};
use std::time::{Duration, Instant};
use tests::envoy::{Envoy, ShippedPorts, shipped};
use tests::merit::{Merit, Settings};
use tests::upstream::Upstream;

use crate::{AGAIN, run};

/// Everything that a request passes.
pub(crate) struct Stage {
    pub(crate) merit: Merit,
    pub(crate) envoy: Envoy,
    pub(crate) small: Upstream,
    pub(crate) large: Upstream,
}

impl Stage {
    /// Starts Merit with this document behind `envoy/route.yaml`.
    pub(crate) async fn start(document: &str) -> Result<Self> {
        let settings = Settings {
            document: document.to_owned(),
            ..Settings::default()
        };
        let merit = Merit::with(&settings).await?;
        let small = Upstream::start("small", 0).await?;
        let large = Upstream::start("large", 0).await?;
        let ports = ShippedPorts {
            merit: merit.port(),
            small: small.address().port(),
            large: large.address().port(),
            ..ShippedPorts::default()
        };
        let envoy = Envoy::start(&shipped("route.yaml", &ports)?).await?;
        Ok(Self {
            merit,
            envoy,
            small,
            large,
        })
    }

    /// Where clients connect.
    pub(crate) fn clients(&self) -> Result<std::net::SocketAddr> {
        self.envoy.listener("clients")
    }
}

/// An attack's time and its dice.
pub(crate) struct Attack {
    name: &'static str,
    seed: u64,
    state: u64,
    start: Instant,
    pub(crate) length: Duration,
    said: Instant,
}

impl Attack {
    /// Begins, and prints the seed.
    pub(crate) fn begin(name: &'static str) -> Result<Self> {
        let (seed, length) = (run::seed(), run::length());
        writeln!(stdout(), "{name}: seed {seed}, for {length:?}")?;
        let start = Instant::now();
        Ok(Self {
            name,
            seed,
            state: seed,
            start,
            length,
            said: start,
        })
    }

    /// Returns whether there is time left.
    pub(crate) fn goes_on(&self) -> bool {
        self.start.elapsed() < self.length
    }

    /// Returns a number below `bound`, the same for the same seed (SplitMix64).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    /// Prints how far it has come, now and then.
    pub(crate) fn progress(&mut self, what: impl FnOnce() -> String) -> Result<()> {
        if self.said.elapsed() >= Duration::from_secs(10) {
            self.said = Instant::now();
            let seconds = self.start.elapsed().as_secs();
            writeln!(stdout(), "{}: {seconds} s, {}", self.name, what())?;
        }
        Ok(())
    }

    /// Adds the way to repeat a failure, or prints what held.
    pub(crate) fn end(&self, outcome: Result<String>) -> Result<()> {
        let Self { name, seed, .. } = self;
        let held = outcome.map_err(|error| {
            error.context(format!("{name}: again: {AGAIN} {name} --seed {seed}"))
        })?;
        writeln!(stdout(), "{name}: held; {held}")?;
        Ok(())
    }
}
