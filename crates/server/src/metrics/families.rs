//! The families, grouped as the request meets them. A field's doc comment is its help text.

use super::bounded::{Bounded, BoundedHistograms, bounded, bounded_histograms};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use std::sync::Arc;

/// A family of histograms, all with the same buckets.
pub type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// A model's label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Model {
    /// Name in the document.
    pub model: Arc<str>,
}

/// Why a request failed, and for which model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ModelError {
    /// Name in the document; empty if none was chosen.
    pub model: Arc<str>,
    /// A word of the code.
    pub reason: &'static str,
}

/// A signal family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SignalType {
    /// For example `keyword`.
    pub signal_type: &'static str,
}

/// One rule of a signal family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Signal {
    /// For example `keyword`.
    pub signal_type: &'static str,
    /// Name in the document.
    pub signal_name: Arc<str>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Decision {
    /// Name in the document.
    pub decision_name: Arc<str>,
}

/// A decision that a failure leaves open.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UnknownDecision {
    /// Name in the document.
    pub decision: Arc<str>,
    /// What that means for it.
    pub policy: &'static str,
}

/// A boundary.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Boundary {
    /// Name in the document.
    pub boundary: Arc<str>,
}

/// A selection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Selected {
    /// Algorithm.
    pub method: &'static str,
    /// Name in the document.
    pub model: Arc<str>,
    /// Name in the document.
    pub decision: Arc<str>,
}

/// A selection that fell back to the first candidate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Fallback {
    /// Algorithm.
    pub method: &'static str,
    /// A word of the code.
    pub reason: &'static str,
}

/// What a session did with a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Session {
    /// `new`, `same`, `hold`, `switch`, `helper`.
    pub outcome: &'static str,
    /// A word of the code; empty where there is nothing to say.
    pub reason: &'static str,
    /// `user_turn`, `tool_loop`, `helper`, `compaction`.
    pub phase: &'static str,
}

/// A turn state that a client sent and that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VoidTurnState {
    /// `malformed`, `forged`, `expired`, `other_principal`.
    pub reason: &'static str,
}

/// Money that requests to a model are predicted to cost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PredictedMoney {
    /// Name in the document.
    pub model: Arc<str>,
    /// ISO 4217 code in the document; empty if it has none.
    pub currency: Arc<str>,
}

/// Energy that requests to a model are predicted to take.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PredictedEnergy {
    /// Name in the document.
    pub model: Arc<str>,
    /// `measured`, `fitted`, `regression` …
    pub method: &'static str,
}

/// One run of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Plugin {
    /// For example `system_prompt`.
    pub plugin_type: &'static str,
    /// Name in the document.
    pub decision_name: Arc<str>,
    /// `success`, `error`, `skipped` …
    pub status: &'static str,
}

/// What became of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reload {
    /// `swapped`, `unchanged`, `rejected`, `needs_restart`.
    pub outcome: &'static str,
}

/// A stage of a request's way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Stage {
    /// `parse`, `signals`, `decision`, `plan` …
    pub stage: &'static str,
}

/// A fault of the protocol layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Fault {
    /// For example `body_too_large`.
    pub fault: &'static str,
}

/// A signal that did not do its whole work.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Degraded {
    /// Signal family.
    pub signal: &'static str,
    /// `unready`, `shed`, `timeout`, `truncated` …
    pub reason: &'static str,
}

/// What a part of learning did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Lesson {
    /// `adaptation`, `protection` or `outcome`.
    pub part: &'static str,
    /// A word of the code: `keep_base`, `hold_current`, `good_fit`, `unknown` …
    pub action: &'static str,
}

/// A stage of asking models, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Asking {
    /// `rules`, `encoder`, `model` or `remote`.
    pub stage: &'static str,
    /// `run`, or `avoided`: the outcome was settled without it.
    pub outcome: &'static str,
}

/// Requests, by model.
pub struct Models {
    pub requests: Bounded<Model, Counter>,
    pub errors: Bounded<ModelError, Counter>,
    pub prompt_tokens: Bounded<Model, Counter>,
    pub completion_tokens: Bounded<Model, Counter>,
    pub ttft: BoundedHistograms<Model>,
    pub routing_latency: Histogram,
}

impl Models {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            requests: bounded(
                to,
                "llm_model_requests",
                "Requests by the model that they were sent to",
            ),
            errors: bounded(
                to,
                "llm_request_errors",
                "Requests that Merit answered with an error",
            ),
            prompt_tokens: bounded(
                to,
                "llm_model_prompt_tokens",
                "Prompt tokens reported by the model",
            ),
            completion_tokens: bounded(
                to,
                "llm_model_completion_tokens",
                "Completion tokens reported by the model",
            ),
            ttft: bounded_histograms(
                to,
                "llm_model_ttft_seconds",
                "Time from request to the first response token",
                slow,
            ),
            routing_latency: histogram(
                to,
                "llm_model_routing_latency_seconds",
                "Time to route one request",
                fast,
            ),
        }
    }
}

/// Signal evaluation.
pub struct Signals {
    pub extractions: Bounded<Signal, Counter>,
    pub latency: Histograms<SignalType>,
    pub matches: Bounded<Signal, Counter>,
    pub context_tokens: Histogram,
    pub degraded: Family<Degraded, Counter>,
    pub stages: Family<Asking, Counter>,
}

impl Signals {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            extractions: bounded(to, "llm_signal_extraction", "Evaluations of a signal rule"),
            latency: histograms(
                to,
                "llm_signal_extraction_latency_seconds",
                "Time to evaluate a signal family",
                fast,
            ),
            matches: bounded(to, "llm_signal_match", "Matches of a signal rule"),
            context_tokens: histogram(
                to,
                "llm_context_token_count",
                "Estimated tokens of a request",
                tokens,
            ),
            degraded: add(
                to,
                "merit_degraded",
                "Signals that did not do their whole work",
            ),
            stages: add(
                to,
                "merit_signal_stage",
                "Stages of asking models, run or avoided",
            ),
        }
    }

    /// A stage of asking models was run, or could be avoided.
    pub fn stage(&self, stage: &'static str, outcome: &'static str) {
        self.stages.get_or_create(&Asking { stage, outcome }).inc();
    }

    /// `signal` did not do its whole work.
    pub fn degrade(&self, signal: &'static str, reason: &'static str) {
        self.degraded
            .get_or_create(&Degraded { signal, reason })
            .inc();
    }
}

/// Boundaries.
pub struct Boundaries {
    pub applied: Bounded<Boundary, Counter>,
    pub refused: Bounded<Boundary, Counter>,
}

impl Boundaries {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            applied: bounded(
                to,
                "merit_boundary_applied",
                "Requests on which a boundary held",
            ),
            refused: bounded(
                to,
                "merit_boundary_refused",
                "Requests refused as a boundary left no model",
            ),
        }
    }

    /// A boundary held.
    pub fn applied(&self, name: &Arc<str>) {
        self.applied
            .get_or_create(&Boundary {
                boundary: Arc::clone(name),
            })
            .inc();
    }

    /// A boundary left no model.
    pub fn refused(&self, name: &Arc<str>) {
        self.refused
            .get_or_create(&Boundary {
                boundary: Arc::clone(name),
            })
            .inc();
    }
}

/// Decision evaluation.
pub struct Decisions {
    pub evaluations: Counter,
    pub latency: Histogram,
    pub matches: Bounded<Decision, Counter>,
    pub confidence: BoundedHistograms<Decision>,
    pub unknown: Bounded<UnknownDecision, Counter>,
}

impl Decisions {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            evaluations: add(
                to,
                "llm_decision_evaluation",
                "Requests whose decisions were evaluated",
            ),
            latency: histogram(
                to,
                "llm_decision_evaluation_latency_seconds",
                "Time to evaluate all decisions",
                fast,
            ),
            matches: bounded(
                to,
                "llm_decision_match",
                "Requests by the decision that won",
            ),
            confidence: bounded_histograms(
                to,
                "llm_decision_confidence",
                "Confidence of the decision that won",
                unit,
            ),
            unknown: bounded(
                to,
                "llm_decision_unknown",
                "Decisions that a failure left open, by what that means for them",
            ),
        }
    }

    /// Counts a decision that a failure leaves open.
    pub fn leave_open(&self, decision: &Arc<str>, policy: &'static str) {
        let label = UnknownDecision {
            decision: Arc::clone(decision),
            policy,
        };
        self.unknown.get_or_create(&label).inc();
    }
}

/// Model selection.
pub struct Selection {
    pub selections: Bounded<Selected, Counter>,
    pub fallbacks: Family<Fallback, Counter>,
    pub sessions: Family<Session, Counter>,
    pub void_turn_states: Family<VoidTurnState, Counter>,
    pub lessons: Family<Lesson, Counter>,
    pub predicted_money: Bounded<PredictedMoney, Counter>,
    pub predicted_energy: Bounded<PredictedEnergy, Counter>,
}

impl Selection {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            selections: bounded(
                to,
                "llm_model_selection",
                "Selections by method, model and decision",
            ),
            fallbacks: add(
                to,
                "llm_model_selection_fallback",
                "Selections that fell back to the first candidate",
            ),
            sessions: add(to, "merit_session", "Requests by what their session did"),
            void_turn_states: add(
                to,
                "merit_turn_state_void",
                "Turn states of clients that were ignored",
            ),
            lessons: add(
                to,
                "merit_learning",
                "What learning did to requests, and the outcomes that were reported",
            ),
            predicted_money: bounded(
                to,
                "merit_predicted_microcurrency",
                "Price that requests sent were predicted to have, in millionths of the currency",
            ),
            predicted_energy: bounded(
                to,
                "merit_predicted_millijoules",
                "Energy that requests sent were predicted to take, as their share of the pool's power",
            ),
        }
    }
}

/// Plugins.
pub struct Plugins {
    pub executions: Bounded<Plugin, Counter>,
}

impl Plugins {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            executions: bounded(
                to,
                "llm_plugin_execution",
                "Plugin runs by type, decision and status",
            ),
        }
    }
}

/// The process itself.
pub struct Process {
    pub reloads: Family<Reload, Counter>,
    pub generation: Gauge,
    pub successful: Gauge,
    pub overhead: Histograms<Stage>,
    pub faults: Family<Fault, Counter>,
}

impl Process {
    pub(super) fn register(to: &mut Registry) -> Self {
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        to.register("merit_build", "The version that runs", build);
        Self {
            reloads: add(
                to,
                "merit_config_reload",
                "Attempts to load the configuration",
            ),
            generation: add(
                to,
                "merit_config_generation",
                "Number of the configuration that serves, from 1",
            ),
            successful: add(
                to,
                "merit_config_last_reload_successful",
                "1 while the file is what serves, 0 if it is refused",
            ),
            overhead: histograms(
                to,
                "merit_request_overhead_seconds",
                "Time that Merit adds, waits excluded",
                fast,
            ),
            faults: add(to, "merit_fault", "Faults found by the protocol layer"),
        }
    }

    /// One attempt to load the configuration, after which `generation` serves. Every outcome but a
    /// refusal means that the file says what serves.
    pub fn reloaded(&self, outcome: &'static str, generation: u64) {
        self.reloads.get_or_create(&Reload { outcome }).inc();
        self.generation
            .set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.successful
            .set(i64::from(matches!(outcome, "swapped" | "unchanged")));
    }

    /// The protocol layer found a fault.
    pub fn faulted(&self, fault: &'static str) {
        self.faults.get_or_create(&Fault { fault }).inc();
    }
}

pub(super) fn add<M: Metric + Clone + Default>(to: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    to.register(name, help, metric.clone());
    metric
}

pub(super) fn histogram(
    to: &mut Registry,
    name: &str,
    help: &str,
    make: fn() -> Histogram,
) -> Histogram {
    let metric = make();
    to.register(name, help, metric.clone());
    metric
}

fn histograms<L>(
    to: &mut Registry,
    name: &str,
    help: &str,
    make: fn() -> Histogram,
) -> Histograms<L>
where
    Histograms<L>: Metric,
    L: Clone + std::hash::Hash + Eq,
{
    let metric = Histograms::new_with_constructor(make);
    to.register(name, help, metric.clone());
    metric
}

/// Heuristics take microseconds, encoders milliseconds: 5 µs to 0.5 s.
fn fast() -> Histogram {
    Histogram::new([
        5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.1, 0.5,
    ])
}

/// What a model makes a user wait.
fn slow() -> Histogram {
    Histogram::new([
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    ])
}

fn unit() -> Histogram {
    Histogram::new((0..=10).map(|tenth| f64::from(tenth) / 10.0))
}

fn tokens() -> Histogram {
    Histogram::new([
        64.0,
        256.0,
        1024.0,
        4096.0,
        16_384.0,
        32_768.0,
        65_536.0,
        131_072.0,
        262_144.0,
        1_048_576.0,
    ])
}
