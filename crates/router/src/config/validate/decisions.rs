//! Decisions and their candidates.

use super::models::known_model;
use super::{Scope, actions, learning, pool};
use crate::config::decisions::Decision;
use crate::plugins::PluginConfig;
use document::Findings;
use document::suggestion;
use selection::candidate::ModelRef;
use selection::card::ModelDescriptions;
use selection::providers::reasoning::{DISABLED, Reasoning, SwitchKind};
use signals::report::Kind;
use signals::rules::{RuleNode, check_tree};

pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    let routing = scope.routing;
    findings.names(
        &scope.at("decisions"),
        routing
            .decisions
            .iter()
            .map(|decision| decision.name.as_str()),
    );
    for (index, decision) in routing.decisions.iter().enumerate() {
        let path = scope.at(&format!("decisions[{index}]"));
        if let Some(tree) = &decision.rules {
            check_tree(&scope.signals, &format!("{path}.rules"), tree, findings);
        }
        candidates(scope, &path, decision, findings);
        pool::sources(scope, &path, decision, findings);
        actions::check(scope, &path, decision, findings);
        destination(scope, &path, decision, findings);
        fallbacks(scope, &path, decision, findings);
        learning::decision(scope, &path, decision, findings);
    }
    strategy(scope, findings);
}

fn strategy(scope: &Scope<'_>, findings: &mut Findings) {
    let strategy = scope.routing.strategy.trim();
    if !["", "priority", "confidence"].contains(&strategy) {
        let hint = suggestion(strategy, ["priority", "confidence"]);
        findings.warn(
            scope.at("strategy"),
            format!("`{strategy}` is no strategy and counts as `priority`{hint}"),
        );
    }
    let decisions = &scope.routing.decisions;
    let tiered = decisions
        .iter()
        .filter(|decision| decision.tier > 0)
        .count();
    if tiered > 0 && tiered < decisions.len() {
        let message = "some decisions have a tier and some have none: as soon as a tiered one matches, every matching decision without a tier beats it; give all a tier, or none";
        findings.warn(scope.at("decisions"), message);
    }
}

fn candidates(scope: &Scope<'_>, path: &str, decision: &Decision, findings: &mut Findings) {
    let answers = decision.plugins.iter().any(PluginConfig::answers);
    if decision.model_refs.is_empty()
        && !answers
        && scope.document.providers.defaults.default_model.is_empty()
    {
        findings.error(path, "no `modelRefs`, no `fast_response` plugin and no `providers.defaults.default_model`: nothing can be chosen");
    }
    for (index, candidate) in decision.model_refs.iter().enumerate() {
        let path = format!("{path}.modelRefs[{index}]");
        self::candidate(scope, &path, candidate, findings);
        let mut earlier = decision.model_refs.iter().take(index);
        if earlier.any(|other| other.model == candidate.model) {
            findings.warn(
                &path,
                format!(
                    "`{}` is a candidate already; algorithms can choose the first one only",
                    candidate.model
                ),
            );
        }
    }
    for (index, iteration) in decision.candidate_iterations.iter().enumerate() {
        for (number, model) in iteration.models.iter().enumerate() {
            let path = format!("{path}.candidateIterations[{index}].models[{number}].model");
            known_model(scope.document, &path, &model.model, findings);
        }
    }
}

/// Reports a destination of all requests that is no model, or that rests on no attack.
fn destination(scope: &Scope<'_>, path: &str, decision: &Decision, findings: &mut Findings) {
    let Some(action) = &decision.action else {
        return;
    };
    let path = format!("{path}.action");
    let name = action.destination.trim();
    if action.kind.trim() != "route" {
        findings.error(&path, "`type: route` is missing");
    }
    if name.is_empty() {
        findings.error(&path, "`destination` is missing");
    } else if scope.document.provider_model(name).is_none()
        && scope.document.lora_base(name).is_none()
    {
        let models = scope.document.providers.models.iter();
        let hint = suggestion(name, models.map(|model| model.name.as_str()));
        let message = format!("no configured model is called `{name}`{hint}");
        findings.error(format!("{path}.destination"), message);
    }
    if decision.rules.as_ref().is_some_and(asks_for_attacks) {
        let message = "holds for requests that name a model, too: their signals are read as those of `auto` are";
        findings.note(path, message);
    } else {
        let message = "overrides even a model that the client names; its rules must contain a `jailbreak` condition";
        findings.error(path, message);
    }
}

fn asks_for_attacks(tree: &RuleNode) -> bool {
    let is_attack = Kind::parse(&tree.kind) == Some(Kind::Jailbreak);
    is_attack || tree.conditions.iter().any(asks_for_attacks)
}

/// Warns of candidates whose second attempts would go out without any credential: a model before
/// them takes the caller's off, and they have none of their own.
fn fallbacks(scope: &Scope<'_>, path: &str, decision: &Decision, findings: &mut Findings) {
    let runs_several = decision
        .algorithm
        .as_ref()
        .is_some_and(|algorithm| algorithm.is_looper());
    if !scope.document.falls_back(scope.routing) || runs_several {
        return;
    }
    let replaces = |name: &str| {
        let model = scope.document.provider_model(name);
        model.is_some_and(|model| model.replaces_credential())
    };
    let names = || decision.model_refs.iter().map(|other| other.model.trim());
    for (index, name) in names().enumerate() {
        if scope.document.provider_model(name).is_none() || replaces(name) {
            continue;
        }
        let mut before: Vec<&str> = names().filter(|other| replaces(other)).collect();
        before.dedup();
        if before.is_empty() {
            continue;
        }
        let before = before.join("`, `");
        findings.warn(
            format!("{path}.modelRefs[{index}]"),
            format!(
                "`{name}` has no credential of its own, and `{before}` takes the caller's off: where `{before}` fails, `{name}` is tried only for requests that bear none; give it an `api_key`"
            ),
        );
    }
}

fn candidate(scope: &Scope<'_>, path: &str, candidate: &ModelRef, findings: &mut Findings) {
    let name = &candidate.model;
    if name.trim().is_empty() {
        findings.error(path, "`model` is missing");
        return;
    }
    known_model(scope.document, &format!("{path}.model"), name, findings);
    let lora = &candidate.lora_name;
    if let Some(card) = scope.document.model_card(name)
        && !lora.is_empty()
        && !card.loras.iter().any(|adapter| adapter.name == *lora)
    {
        let hint = suggestion(lora, card.loras.iter().map(|adapter| adapter.name.as_str()));
        findings.warn(
            format!("{path}.lora_name"),
            format!("the card of `{name}` lists no adapter `{lora}`{hint}"),
        );
    }
    let model = scope.document.provider_model(name);
    let family = model.map_or("", |model| &model.reasoning_family);
    if let Some(reasoning) = model.and_then(|model| model.reasoning.as_ref()) {
        reasons(path, candidate, reasoning, findings);
    } else if candidate.use_reasoning == Some(true) && family.is_empty() {
        let message = format!("has no effect: `{name}` has no `reasoning_family`");
        findings.warn(format!("{path}.use_reasoning"), message);
    }
    let has_modes = model.is_some_and(|model| model.reasoning.is_some());
    if !candidate.reasoning_mode.is_empty() && !has_modes {
        let message = format!("tells `{name}` on or off alone: it has no `reasoning` with modes");
        findings.warn(format!("{path}.reasoning_mode"), message);
    }
}

/// Reports what a candidate asks of its model's reasoning that the model cannot do.
fn reasons(path: &str, candidate: &ModelRef, reasoning: &Reasoning, findings: &mut Findings) {
    let Some(written) = reasoning.written_out() else {
        return;
    };
    let name = &candidate.model;
    if candidate.use_reasoning == Some(false) && written.is_always_on() {
        let message = format!("`{name}` always reasons; `use_reasoning: false` cannot hold");
        findings.error(format!("{path}.use_reasoning"), message);
    }
    let mode = candidate.reasoning_mode.as_str();
    if !mode.is_empty() {
        let path = format!("{path}.reasoning_mode");
        let modes = written.modes.join(", ");
        if candidate.use_reasoning == Some(mode == DISABLED) {
            findings.error(path, "contradicts `use_reasoning`");
        } else if !written.modes.is_empty() && !written.modes.iter().any(|it| it == mode) {
            let message = format!("`{name}` has no mode `{mode}`: modes are {modes}");
            findings.error(path, message);
        }
    }
    let effort = &candidate.reasoning_effort;
    if effort.is_empty() {
        return;
    }
    let path = format!("{path}.reasoning_effort");
    if written.kind == Some(SwitchKind::ReasoningMode) {
        findings.error(path, format!("`{name}` has modes and no efforts"));
    } else if !written.levels.is_empty() && !written.levels.contains(effort) {
        let levels = written.levels.join(", ");
        findings.error(
            path,
            format!("`{name}` has no effort `{effort}`: levels are {levels}"),
        );
    }
}
