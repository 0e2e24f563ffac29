//! Runs of several models, and attempts at another model.

use super::bounded::{Bounded, bounded};
use super::families::{add, histogram};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    /// A word of the code.
    pub outcome: &'static str,
}

/// The side that tokens are of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Side {
    /// `prompt` or `completion`.
    pub side: &'static str,
}

/// An attempt at another model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Attempted {
    /// Name in the document; empty where the policy does not know it.
    pub model: Arc<str>,
    /// `sent` or `refused`.
    pub outcome: &'static str,
}

/// Runs of several models, and attempts at another model.
pub struct Looper {
    pub runs: Family<Outcome, Counter>,
    pub calls: Family<Outcome, Counter>,
    pub tokens: Family<Side, Counter>,
    pub seconds: Histogram,
    pub void: Family<Outcome, Counter>,
    pub attempts: Bounded<Attempted, Counter>,
}

impl Looper {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            runs: add(
                to,
                "merit_looper_run",
                "Runs of several models, by how they ended",
            ),
            calls: add(
                to,
                "merit_looper_call",
                "Calls of runs, by what they came to",
            ),
            tokens: add(to, "merit_looper_tokens", "Tokens of all answers of runs"),
            seconds: histogram(to, "merit_looper_run_seconds", "Time that runs took", long),
            void: add(
                to,
                "merit_looper_credential_void",
                "Credentials of calls back that are worth nothing",
            ),
            attempts: bounded(
                to,
                "merit_fallback_attempt",
                "Attempts at another model after one failed",
            ),
        }
    }

    /// A run ended.
    pub fn ended(&self, outcome: &'static str) {
        self.runs.get_or_create(&Outcome { outcome }).inc();
    }

    /// A call of a run ended.
    pub fn called(&self, outcome: &'static str) {
        self.calls.get_or_create(&Outcome { outcome }).inc();
    }

    /// What a run took.
    pub fn spent(&self, prompt: u64, completion: u64, time: Duration) {
        self.tokens
            .get_or_create(&Side { side: "prompt" })
            .inc_by(prompt);
        self.tokens
            .get_or_create(&Side { side: "completion" })
            .inc_by(completion);
        self.seconds.observe(time.as_secs_f64());
    }

    /// A request came with a credential that is worth nothing.
    pub fn void(&self, outcome: &'static str) {
        self.void.get_or_create(&Outcome { outcome }).inc();
    }

    /// The gateway tries another model, a name of the document.
    pub fn attempted(&self, model: &str, outcome: &'static str) {
        self.attempts
            .get_or_create(&Attempted {
                model: model.into(),
                outcome,
            })
            .inc();
    }
}

fn long() -> Histogram {
    Histogram::new([
        0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
    ])
}
