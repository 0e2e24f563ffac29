//! What eval says of the model that a request would get, without executing anything.

use crate::algorithms::{self, AlgorithmType};
use selection::algorithms::{Candidates, Fallback};
use selection::candidate::{ModelRef, upstream_name};
use serde::Serialize;
use std::borrow::Cow;

/// Longest reason in bytes.
const MAX_REASON: usize = 1_024;

/// What chooses among a decision's candidates, as configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Algorithm<'a> {
    /// `algorithm.type`; empty if the decision has none.
    pub kind: &'a str,
    /// The model that writes the final answer of a multi-model algorithm: `fusion.model`,
    /// `workflows.final.model` or `remom.synthesis_model`; empty if not set.
    pub final_model: &'a str,
    /// Router learning is enabled, and its adaptation or protection applies to the decision.
    pub learns: bool,
    /// The model that the decision sends every request to; empty if there is none, or if it cannot
    /// serve the request.
    pub destination: &'a str,
}

impl<'a> Algorithm<'a> {
    /// The algorithm as eval names it: `static` if the decision configures no algorithm.
    #[must_use]
    pub fn reported(&self) -> &'a str {
        if self.kind.is_empty() {
            "static"
        } else {
            self.kind
        }
    }
}

/// The model of the winning decision, as far as it can be said beforehand. Empty fields are left
/// out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Preview<'a> {
    /// Adapter or model.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub selected_model: &'a str,
    /// `selected`, `fallback`, `planned_final`, `execution_required` or `unavailable`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub selection_status: &'static str,
    /// The algorithm, or `single`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub selection_method: &'a str,
    /// Why, for people; at most 1,024 bytes.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub selection_reason: Cow<'a, str>,
}

impl<'a> Preview<'a> {
    /// The first row of the reference's table that applies.
    #[must_use]
    pub fn new(algorithm: &Algorithm<'a>, candidates: &'a Candidates, eligible: &[usize]) -> Self {
        let row = |status, model, method, reason: &'static str| Self {
            selected_model: model,
            selection_status: status,
            selection_method: method,
            selection_reason: reason.into(),
        };
        if !algorithm.destination.is_empty() {
            let reason = "the decision sends every request to this model";
            return row("selected", algorithm.destination, "route_action", reason);
        }
        let kind = algorithm.kind.trim();
        let final_model = algorithm.final_model.trim();
        let several = algorithms::named(kind).and_then(AlgorithmType::several_models);
        if let Some(several) = several {
            if several.has_final_model && !final_model.is_empty() {
                let reason = "configured final-output model for the multi-model algorithm";
                return row("planned_final", final_model, kind, reason);
            }
            let reason = "final model is produced only when the multi-model algorithm executes";
            return row("execution_required", "", kind, reason);
        }
        if algorithm.learns {
            let reason = "Router Learning can adapt or protect the base selector only during request execution";
            return row("execution_required", "", algorithm.reported(), reason);
        }
        let method = algorithms::method(kind);
        let one_model = algorithms::named(method).and_then(AlgorithmType::one_model);
        if !one_model.is_some_and(|one_model| one_model.is_previewed) {
            let reason = "selector depends on request-time state that Eval does not mutate";
            return row("execution_required", "", method, reason);
        }
        Self::dry_run(candidates, eligible)
    }

    /// The client names the model itself.
    #[must_use]
    pub fn named(model: &'a str) -> Self {
        let reason = "the client names the model".into();
        Self {
            selected_model: model,
            selection_status: "selected",
            selection_method: "",
            selection_reason: reason,
        }
    }

    fn dry_run(candidates: &'a Candidates, eligible: &[usize]) -> Self {
        let selection = candidates.preview(eligible);
        let chosen: Option<&ModelRef> = selection
            .candidate
            .and_then(|index| candidates.model_refs().get(index));
        let Some(chosen) = chosen else {
            return Self {
                selection_status: "unavailable",
                selection_reason: "decision has no selectable model".into(),
                ..Self::default()
            };
        };
        Self {
            selected_model: upstream_name(chosen),
            selection_status: if selection.fallback.is_some() {
                "fallback"
            } else {
                "selected"
            },
            selection_method: selection.method,
            selection_reason: match selection.fallback {
                Some(fallback) => said(fallback).into(),
                None => shortened(&selection.reason).to_owned().into(),
            },
        }
    }
}

fn said(fallback: Fallback) -> &'static str {
    match fallback {
        Fallback::Unavailable => "selector is unavailable",
        Fallback::InvalidOutput => "selector returned an invalid candidate",
        Fallback::UndeclaredCandidate => "selected candidate is not declared",
        Fallback::InvalidContext | Fallback::Error | Fallback::Timeout | Fallback::Cancelled => {
            "selector failed during dry-run"
        }
    }
}

/// The longest prefix of whole characters that fits.
fn shortened(reason: &str) -> &str {
    let end = reason.floor_char_boundary(MAX_REASON);
    reason.get(..end).unwrap_or(reason)
}
