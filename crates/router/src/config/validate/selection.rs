//! Parameters of the algorithms that choose: those out of range, and those that nothing reads, each
//! by its name.

use super::Scope;
use super::models::known_model;
use crate::config::Document;
use crate::config::algorithms::Algorithm;
use crate::config::decisions::Decision;
use crate::config::selectors::{Automix, Hybrid, MlSelection, MultiFactor, RouterDc};
use crate::report::Kind;
use document::Findings;

const GLOBAL: &str = "global.router.model_selection";
const NO_EFFECT: &str = "has no effect, as in the reference";

/// What a recipe's decisions say.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    scored(scope, findings);
    let mut descriptions_set_by: Option<&str> = None;
    for (index, decision) in scope.routing.decisions.iter().enumerate() {
        let Some(algorithm) = &decision.algorithm else {
            continue;
        };
        let path = scope.at(&format!("decisions[{index}].algorithm"));
        if let Some(block) = &algorithm.multi_factor {
            factors(&format!("{path}.multi_factor"), block, findings);
        }
        if let Some(block) = algorithm
            .router_dc
            .as_ref()
            .filter(|_| algorithm.name() == "router_dc")
        {
            let path = format!("{path}.router_dc");
            nearest(&path, block, findings);
            if block.min_similarity != 0.0 {
                findings.warn(
                    format!("{path}.min_similarity"),
                    format!("is read from `{GLOBAL}.router_dc` only"),
                );
            }
            match descriptions_set_by {
                Some(first) => {
                    let message = format!(
                        "is not read: the block of the decision `{first}` holds for the whole recipe"
                    );
                    findings.warn(&path, message);
                }
                None => descriptions_set_by = Some(&decision.name),
            }
        }
        if let Some(block) = &algorithm.hybrid {
            mean(&format!("{path}.hybrid"), block, findings);
        }
        trained(scope, &path, decision, algorithm, findings);
        described(scope, &path, decision, algorithm, findings);
    }
}

/// The scores of domains, which `static` reads: of models that are there, in a decision that has
/// the domain's name.
fn scored(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.routing.signals.domains.iter().enumerate() {
        let path = format!("{}.model_scores", scope.signals.rule(Kind::Domain, index));
        for (index, score) in rule.model_scores.iter().enumerate() {
            let path = format!("{path}[{index}].model");
            known_model(scope.document, &path, &score.model, findings);
        }

        let mut decisions = scope.routing.decisions.iter();
        let decided = decisions.any(|decision| decision.name == rule.name);
        if !rule.model_scores.is_empty() && !decided {
            let message = format!(
                "is read only by a decision that is called `{}`, and there is none",
                rule.name
            );
            findings.note(path, message);
        }
    }
}

/// What `global.router.model_selection` says.
pub(super) fn process(document: &Document, findings: &mut Findings) {
    let Some(selection) = &document.global.router.model_selection else {
        return;
    };
    if !selection.method.is_empty() {
        let message = "has no effect: a decision names its algorithm, and one without takes its first candidate";
        findings.warn(format!("{GLOBAL}.method"), message);
    }
    if selection.enabled.is_some() {
        findings.warn(format!("{GLOBAL}.enabled"), NO_EFFECT);
    }
    if selection.momentum.is_some() {
        findings.warn(format!("{GLOBAL}.momentum"), NO_EFFECT);
    }
    if let Some(block) = &selection.router_dc {
        nearest(&format!("{GLOBAL}.router_dc"), block, findings);
    }
    if let Some(block) = &selection.hybrid {
        mean(&format!("{GLOBAL}.hybrid"), block, findings);
    }
    if let Some(block) = &selection.automix {
        value(&format!("{GLOBAL}.automix"), block, findings);
    }
    if let Some(block) = &selection.ml {
        artifacts(block, findings);
    }
}

/// Warns of parameters that are written and that nothing reads.
fn unread(path: &str, parameters: &[(&str, bool)], why: &str, findings: &mut Findings) {
    for (key, _) in parameters.iter().filter(|(_, written)| *written) {
        findings.warn(format!("{path}.{key}"), why);
    }
}

fn factors(path: &str, block: &MultiFactor, findings: &mut Findings) {
    if block.latency_percentile > 100 {
        findings.warn(
            format!("{path}.latency_percentile"),
            "is not from 1 to 100 and counts as 95",
        );
    }
    let Some(weights) = &block.weights else {
        return;
    };
    let written = [
        ("quality", weights.quality),
        ("latency", weights.latency),
        ("cost", weights.cost),
        ("load", weights.load),
        ("energy", weights.energy),
    ];
    for (key, weight) in written {
        if weight < 0.0 {
            findings.warn(
                format!("{path}.weights.{key}"),
                "a weight below 0 counts as 0",
            );
        }
    }
    if written.iter().all(|(_, weight)| *weight <= 0.0) {
        let message = "no weight is above 0, so quality, latency, cost and load count 0.25 each";
        findings.warn(format!("{path}.weights"), message);
    }
}

fn nearest(path: &str, block: &RouterDc, findings: &mut Findings) {
    let parameters = [
        ("dimension_size", block.dimension_size != 0),
        ("use_query_contrastive", block.use_query_contrastive),
        ("use_model_contrastive", block.use_model_contrastive),
    ];
    unread(path, &parameters, NO_EFFECT, findings);
    if block.temperature < 0.0 {
        findings.error(
            format!("{path}.temperature"),
            "a temperature is a number above 0",
        );
    }
}

fn mean(path: &str, block: &Hybrid, findings: &mut Findings) {
    if block.experience_weight != 0.0 {
        let message = "experience (elo) gives every candidate the same share for ever, as in the reference: its weight only dampens the others";
        findings.warn(format!("{path}.experience_weight"), message);
    }
    if block.quality_gap_threshold != 0.0 {
        findings.warn(format!("{path}.quality_gap_threshold"), NO_EFFECT);
    }
    if block.normalize_scores == Some(false) {
        findings.warn(
            format!("{path}.normalize_scores"),
            "cannot be switched off: scores are always normalised",
        );
    }
}

fn value(path: &str, block: &Automix, findings: &mut Findings) {
    let parameters = [
        ("max_escalations", block.max_escalations != 0),
        ("use_logprob_verification", block.use_logprob_verification),
        ("discount_factor", block.discount_factor != 0.0),
    ];
    unread(path, &parameters, NO_EFFECT, findings);
    if !block.cost_aware_routing {
        let parameters = [
            ("cost_quality_tradeoff", block.cost_quality_tradeoff != 0.0),
            (
                "verification_threshold",
                block.verification_threshold != 0.0,
            ),
        ];
        unread(
            path,
            &parameters,
            "is read with `cost_aware_routing: true` only",
            findings,
        );
    }
}

fn artifacts(block: &MlSelection, findings: &mut Findings) {
    let path = format!("{GLOBAL}.ml");
    if !block.models_path.is_empty() {
        findings.warn(
            format!("{path}.models_path"),
            "has no effect: each algorithm names its own `pretrained_path`",
        );
    }
    if block.embedding_dim != 0 {
        findings.warn(
            format!("{path}.embedding_dim"),
            "has no effect: the encoder says how long its vectors are",
        );
    }
    let kmeans = block.kmeans.clone().unwrap_or_default();
    let svm = block.svm.clone().unwrap_or_default();
    let parameters = [
        ("kmeans.num_clusters", kmeans.num_clusters != 0),
        ("kmeans.efficiency_weight", kmeans.efficiency_weight != 0.0),
        ("svm.kernel", !svm.kernel.is_empty()),
        ("svm.gamma", svm.gamma != 0.0),
        (
            "mlp.device",
            block.mlp.as_ref().is_some_and(|mlp| !mlp.device.is_empty()),
        ),
    ];
    unread(
        &path,
        &parameters,
        "has no effect: what was fitted is in the artifact",
        findings,
    );
}

/// An algorithm that was fitted needs what was fitted.
fn trained(
    scope: &Scope<'_>,
    path: &str,
    decision: &Decision,
    algorithm: &Algorithm,
    findings: &mut Findings,
) {
    if decision.model_refs.len() < 2 {
        return;
    }
    let ml = scope
        .document
        .global
        .router
        .model_selection
        .as_ref()
        .and_then(|selection| selection.ml.as_ref());
    let name = algorithm.name();
    let fitted = matches!(name, "knn" | "kmeans" | "svm" | "mlp");
    if fitted && ml.and_then(|ml| ml.artifact(name)).is_none() {
        let message = format!(
            "`{name}` is not trained, so every request falls back to the first candidate: `{GLOBAL}.ml.{name}.pretrained_path` is missing"
        );
        findings.warn(path, message);
    }
}

/// A candidate of `router_dc` that nothing is known of cannot win.
fn described(
    scope: &Scope<'_>,
    path: &str,
    decision: &Decision,
    algorithm: &Algorithm,
    findings: &mut Findings,
) {
    if algorithm.name() != "router_dc" || decision.model_refs.len() < 2 {
        return;
    }
    let blank = |name: &str| {
        let card = scope
            .document
            .model_card(name)
            .or_else(|| scope.document.lora_base(name));
        card.is_none_or(|card| card.description.is_empty() && card.capabilities.is_empty())
    };
    let models = decision
        .model_refs
        .iter()
        .map(|candidate| candidate.model.trim());
    let blank: Vec<&str> = models
        .filter(|name| !name.is_empty() && blank(name))
        .collect();
    if !blank.is_empty() {
        findings.warn(
            path,
            format!(
                "cannot choose what has no `description` on its card: {}",
                blank.join(", ")
            ),
        );
    }
}
