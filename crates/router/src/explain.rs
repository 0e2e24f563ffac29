//! The answer of `POST /api/v1/eval`: what was found, what was decided and why.
//!
//! Field names, presence and order are the reference's. Everything is borrowed from one request's
//! [`EvalView`].

mod candidates;
mod error;
mod groups;
mod preview;

#[cfg(test)]
mod tests;

pub use candidates::{BoundaryLine, CandidateLine, Eligibility, Refused};
pub use error::{ErrorBody, ErrorDetail};
pub use groups::SignalGroups;
pub use preview::{Algorithm, Preview};

use crate::plan::{DECISION_UNRESOLVED, Refusal};
use crate::plugins;
use selection::algorithms::Candidates;
use serde::Serialize;
use signals::decision::{DecisionRanking, DecisionTrace, Decisions};
use signals::declared::Declared;
use signals::report::{Key, Keys, Kind, SignalReport};
use signals::rules::OnUnknown;
use std::collections::BTreeMap;

/// What the pipeline knows of one evaluated request.
#[derive(Clone, Copy)]
pub struct EvalView<'a> {
    /// The evaluation text, trimmed, not windowed.
    pub original_text: &'a str,
    /// The request's model, trimmed; empty if it named none.
    pub requested_model: &'a str,
    /// Name of the recipe.
    pub recipe: &'a str,
    /// The recipe's names.
    pub keys: &'a Keys,
    /// What the recipe declares.
    pub declared: &'a Declared,
    /// What was found, after projections.
    pub report: &'a SignalReport,
    /// The recipe's decisions.
    pub decisions: &'a Decisions,
    /// The decision that won.
    pub winner: Option<Winner<'a>>,
    /// Decisions that a failure leaves open, each with what that means.
    pub unknown: &'a [(usize, OnUnknown)],
    /// What fails the request, as a signal that it relies on failed.
    pub unresolved: Option<&'a str>,
    /// The model that the client names, if that is the one which gets the request.
    pub named: Option<&'a str>,
    /// The caller asked for `eval_trace`.
    pub trace: bool,
    /// Which models may get the request.
    pub eligibility: &'a Eligibility,
}

/// The winning decision.
#[derive(Clone, Copy)]
pub struct Winner<'a> {
    /// Its index in the recipe.
    pub index: usize,
    /// What chooses among its candidates.
    pub algorithm: Algorithm<'a>,
    /// Types of its configured plugins in order, disabled ones included.
    pub plugins: &'a [&'a str],
    /// Its candidates.
    pub candidates: &'a Candidates,
    /// Indices of those that may serve the request.
    pub eligible: &'a [usize],
}

/// The body of a successful eval.
#[derive(Debug, Serialize)]
pub struct EvalAnswer<'a> {
    original_text: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    requested_model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    recipe: &'a str,
    decision_result: DecisionResult<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    eval_trace: Vec<DecisionTrace<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recommended_models: Vec<&'a str>,
    #[serde(flatten)]
    preview: Preview<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    routing_decision: &'a str,
    /// Only with the trace, so that the answer otherwise stays the reference's.
    #[serde(skip_serializing_if = "str::is_empty")]
    session: &'a str,
    metrics: Metrics,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    signal_confidences: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    signal_values: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    signal_errors: BTreeMap<String, &'a str>,
    #[serde(flatten)]
    eligibility: &'a Eligibility,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    applied_unknown_policies: BTreeMap<&'a str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_error: Option<DecisionError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_ranking: Option<DecisionRanking<'a>>,
}

/// Why a request would fail, as a decision stays open.
#[derive(Debug, Serialize)]
struct DecisionError {
    status: u16,
    code: &'static str,
    message: String,
}

impl DecisionError {
    fn new(name: &str) -> Self {
        let Refusal {
            status, message, ..
        } = Refusal::unresolved(name);
        Self {
            status,
            code: DECISION_UNRESOLVED,
            message,
        }
    }
}

/// The winning decision and the signals around it.
#[derive(Debug, Serialize)]
struct DecisionResult<'a> {
    decision_name: &'a str,
    algorithm: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plugins: Vec<&'a str>,
    used_signals: SignalGroups<'a>,
    matched_signals: SignalGroups<'a>,
    unmatched_signals: SignalGroups<'a>,
}

/// Time and confidence of every family but projection, whether or not it ran.
#[derive(Debug)]
struct Metrics(Vec<(Kind, Metric)>);

#[derive(Debug, Serialize)]
struct Metric {
    execution_time_ms: f64,
    confidence: f64,
}

/// A question without headers belongs to no session.
pub const SESSION_UNKNOWN: &str = "not known here: a request of a session stays with the session's model in tool loops, \
    for provider state and compactions, and where a switch costs more than the session can afford";

impl<'a> EvalAnswer<'a> {
    /// The answer for one request.
    #[must_use]
    pub fn new(view: &EvalView<'a>) -> Self {
        let name = view
            .winner
            .map_or("", |winner| view.decisions.name(winner.index));
        let model_refs = view
            .winner
            .map_or(&[][..], |winner| winner.candidates.model_refs());
        Self {
            original_text: view.original_text,
            requested_model: view.requested_model,
            recipe: view.recipe,
            decision_result: DecisionResult::new(view, name),
            eval_trace: if view.trace {
                view.decisions.trace(view.report)
            } else {
                Vec::new()
            },
            recommended_models: model_refs
                .iter()
                .map(|model_ref| model_ref.model.as_str())
                .collect(),
            preview: match (view.winner, view.named) {
                (Some(winner), _) => {
                    Preview::new(&winner.algorithm, winner.candidates, winner.eligible)
                }
                (None, named) => named.map_or_else(Preview::default, Preview::named),
            },
            routing_decision: if model_refs.is_empty() { "" } else { name },
            session: if view.trace { SESSION_UNKNOWN } else { "" },
            metrics: Metrics::new(view.report),
            signal_confidences: numbers(view.keys, |key| view.report.confidence(key)),
            signal_values: numbers(view.keys, |key| view.report.value(key)),
            signal_errors: view
                .report
                .errors()
                .map(|(key, error)| (written(view.keys, key), error))
                .collect(),
            eligibility: view.eligibility,
            applied_unknown_policies: view
                .unknown
                .iter()
                .map(|(index, policy)| (view.decisions.name(*index), policy.as_str()))
                .collect(),
            decision_error: view.unresolved.map(DecisionError::new),
            decision_ranking: view.decisions.explain(view.report),
        }
    }
}

impl<'a> DecisionResult<'a> {
    fn new(view: &EvalView<'a>, decision_name: &'a str) -> Self {
        let matched_signals = SignalGroups::matched(view.keys, view.report);
        let unmatched_signals = SignalGroups::unmatched(view.declared, &matched_signals);
        Self {
            decision_name,
            algorithm: view.winner.map_or("", |winner| winner.algorithm.reported()),
            plugins: view
                .winner
                .map_or(&[][..], |winner| winner.plugins)
                .iter()
                .map(|plugin| plugin_name(plugin))
                .collect(),
            used_signals: match view.winner {
                Some(winner) => SignalGroups::used(view.decisions, winner.index),
                None => SignalGroups::default(),
            },
            matched_signals,
            unmatched_signals,
        }
    }
}

impl Metrics {
    fn new(report: &SignalReport) -> Self {
        // Families of v0.4 are named where they ran: answers on older documents stay as they were.
        let is_listed = |kind: &Kind| match kind {
            Kind::Projection => false,
            Kind::Safety | Kind::InputModality => report.families[*kind as usize].ran,
            _ => true,
        };
        let families = Kind::ALL.into_iter().filter(is_listed);
        Self(
            families
                .map(|kind| {
                    let family = &report.families[kind as usize];
                    // These two report certainty whenever they run, also without a match.
                    let certain = family.ran && matches!(kind, Kind::Keyword | Kind::Context);
                    let metric = Metric {
                        execution_time_ms: family.elapsed.as_secs_f64() * 1e3,
                        confidence: if certain { 1.0 } else { family.confidence },
                    };
                    (kind, metric)
                })
                .collect(),
        )
    }
}

impl Serialize for Metrics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(kind, metric)| (kind.as_str(), metric)))
    }
}

/// Returns the name of a plugin that may have several spellings.
fn plugin_name(written: &str) -> &str {
    plugins::named(written).map_or(written, |plugin| plugin.name)
}

/// JSON knows neither NaN nor infinities, so those are left out.
fn numbers(keys: &Keys, read: impl Fn(Key) -> Option<f64>) -> BTreeMap<String, f64> {
    keys.iter()
        .filter_map(|key| {
            let number = read(key).filter(|number| number.is_finite())?;
            Some((written(keys, key), number))
        })
        .collect()
}

/// `type:name`; metrics of knowledge bases bring their own type.
fn written(keys: &Keys, key: Key) -> String {
    let (kind, name) = (keys.kind(key), keys.name(key));
    if kind == Kind::Kb && name.starts_with("kb_metric:") {
        return name.to_owned();
    }
    format!("{}:{name}", kind.as_str())
}
