//! A generation's own view of the metrics: every label set resolved when it is built, so that a
//! request hashes no labels.

use super::Metrics;
use super::bounded::SERIES_MAX;
use super::families::{Decision, Model, Signal, SignalType};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

/// Names, of all documents so far, that the metrics keep before they start over. Beyond it a new
/// document's names would find the places of [`Bounded`](super::bounded::Bounded) families taken.
const NAMES_MAX: usize = SERIES_MAX;

/// Names that have series: family (empty for models and decisions) and name.
pub(super) type Known = HashSet<(&'static str, Box<str>)>;

/// The names of one generation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// Models.
    pub models: &'a [&'a str],
    /// Decisions, in an order that the caller remembers.
    pub decisions: &'a [&'a str],
    /// Signal rules as (family, name), in an order that the caller remembers.
    pub signals: &'a [(&'static str, &'a str)],
    /// Boundaries.
    pub boundaries: &'a [&'a str],
}

/// Resolved metrics of one generation.
pub struct Handles {
    /// By name.
    pub models: HashMap<Arc<str>, ModelHandles>,
    /// In the order of [`Names::decisions`].
    pub decisions: Vec<DecisionHandles>,
    /// In the order of [`Names::signals`].
    pub signals: Vec<SignalHandles>,
    /// By family.
    pub families: HashMap<&'static str, FamilyHandles>,
}

/// One model's.
pub struct ModelHandles {
    /// Requests sent to it.
    pub requests: Counter,
    /// Prompt tokens.
    pub prompt_tokens: Counter,
    /// Completion tokens.
    pub completion_tokens: Counter,
    /// Time to the first token, in seconds.
    pub ttft: Histogram,
}

/// One decision's.
pub struct DecisionHandles {
    /// It won.
    pub matches: Counter,
    /// With this confidence.
    pub confidence: Histogram,
}

/// One signal rule's.
pub struct SignalHandles {
    /// It was evaluated.
    pub extractions: Counter,
    /// It matched.
    pub matches: Counter,
}

/// One signal family's.
pub struct FamilyHandles {
    /// Evaluation time, in seconds.
    pub latency: Histogram,
}

impl Metrics {
    /// Resolves the names of a generation.
    #[must_use]
    pub fn handles(&self, names: &Names<'_>) -> Handles {
        self.bound(names);
        let family = |&(kind, _): &(&'static str, &str)| (kind, self.family_handles(kind));
        Handles {
            models: names
                .models
                .iter()
                .map(|name| self.model_handles(name))
                .collect(),
            decisions: names
                .decisions
                .iter()
                .map(|name| self.decision_handles(name))
                .collect(),
            signals: names
                .signals
                .iter()
                .map(|(kind, name)| self.signal_handles(kind, name))
                .collect(),
            families: names.signals.iter().map(family).collect(),
        }
    }

    fn model_handles(&self, name: &str) -> (Arc<str>, ModelHandles) {
        let label = Model { model: name.into() };
        let handles = ModelHandles {
            requests: self.models.requests.get_or_create(&label),
            prompt_tokens: self.models.prompt_tokens.get_or_create(&label),
            completion_tokens: self.models.completion_tokens.get_or_create(&label),
            ttft: self.models.ttft.get_or_create(&label),
        };
        (label.model, handles)
    }

    fn decision_handles(&self, name: &str) -> DecisionHandles {
        let label = Decision {
            decision_name: name.into(),
        };
        DecisionHandles {
            matches: self.decisions.matches.get_or_create(&label),
            confidence: self.decisions.confidence.get_or_create(&label),
        }
    }

    fn signal_handles(&self, signal_type: &'static str, name: &str) -> SignalHandles {
        let label = Signal {
            signal_type,
            signal_name: name.into(),
        };
        SignalHandles {
            extractions: self.signals.extractions.get_or_create(&label),
            matches: self.signals.matches.get_or_create(&label),
        }
    }

    fn family_handles(&self, signal_type: &'static str) -> FamilyHandles {
        FamilyHandles {
            latency: self
                .signals
                .latency
                .get_or_create_owned(&SignalType { signal_type }),
        }
    }

    /// Documents that come and go would otherwise leave their names here for ever. A counter that
    /// starts over is what Prometheus expects of a restart.
    fn bound(&self, names: &Names<'_>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = names
            .models
            .iter()
            .chain(names.decisions)
            .chain(names.boundaries)
            .map(|name| ("", *name));
        let current: Known = plain
            .chain(names.signals.iter().copied())
            .map(|(kind, name)| (kind, Box::from(name)))
            .collect();
        let before = known.len();
        known.extend(current.iter().cloned());
        if known.len() <= NAMES_MAX || known.len() == before {
            return;
        }
        let kinds =
            |kind: &dyn Fn(&str) -> bool| current.iter().filter(|(family, _)| kind(family)).count();
        let most = kinds(&str::is_empty).max(kinds(&|family| !family.is_empty()));
        if most > SERIES_MAX {
            tracing::warn!(
                names = most,
                limit = SERIES_MAX,
                "the document has more names than a metric has series; the rest are counted as `other`"
            );
        }
        *known = current;
        self.models.requests.clear();
        self.models.errors.clear();
        self.models.prompt_tokens.clear();
        self.models.completion_tokens.clear();
        self.models.ttft.clear();
        self.usage.clear();
        self.boundaries.applied.clear();
        self.boundaries.refused.clear();
        self.decisions.matches.clear();
        self.decisions.confidence.clear();
        self.decisions.unknown.clear();
        self.signals.extractions.clear();
        self.signals.matches.clear();
        self.selection.selections.clear();
        self.selection.predicted_money.clear();
        self.selection.predicted_energy.clear();
        self.plugins.executions.clear();
        self.looper.attempts.clear();
    }
}
