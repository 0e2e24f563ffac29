//! Signal rules that need a model.

use super::{Findings, Scope, rules};
use crate::config::problem::suggestion;
use crate::report::Kind;
use inference::catalog::{self, Task};
use std::collections::HashMap;

pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    macro_rules! names {
        ($($list:ident),*) => {
            $(findings.names(&scope.at(concat!("signals.", stringify!($list))), scope.routing.signals.$list.iter().map(|rule| rule.name.as_str()));)*
        };
    }
    names!(
        embeddings,
        domains,
        fact_check,
        user_feedbacks,
        reasks,
        preferences,
        complexity,
        modality,
        jailbreak,
        pii,
        kb,
        classifiers
    );
    for (kind, task) in [
        (Kind::FactCheck, Task::FactCheck),
        (Kind::UserFeedback, Task::UserFeedback),
        (Kind::Modality, Task::Modality),
    ] {
        labels(scope, kind, catalog::labels(task), findings);
    }
    embeddings(scope, findings);
    domains(scope, findings);
    complexity(scope, findings);
    safety(scope, findings);
    modules(scope, findings);
    knowledge(scope, findings);
    classifiers(scope, findings);
}

fn labels(scope: &Scope<'_>, kind: Kind, known: &[&str], findings: &mut Findings) {
    let section = crate::config::unimplemented::section(kind);
    for (index, name) in super::declared(scope.routing, kind).into_iter().enumerate() {
        let any_case =
            kind == Kind::Modality && known.iter().any(|label| label.eq_ignore_ascii_case(name));
        if !name.is_empty() && !any_case && !known.contains(&name) {
            let path = scope.at(&format!("signals.{section}[{index}].name"));
            let hint = suggestion(name, known.iter().copied());
            findings.error(path, format!("`{name}` is no label of this family{hint}"));
        }
    }
}

fn embeddings(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.routing.signals.embeddings.iter().enumerate() {
        let path = scope.at(&format!("signals.embeddings[{index}]"));
        if rule.candidates.is_empty() {
            findings.warn(&path, "no candidates, so the rule never matches");
        }
        match rule.query_modality.as_str() {
            "audio" => findings.warn(
                format!("{path}.query_modality"),
                "`audio` is known and never runs",
            ),
            "image" => {
                let message = "there is no encoder of images, so the rule never matches";
                findings.warn(format!("{path}.query_modality"), message);
            }
            _ => {}
        }
        unit(&format!("{path}.threshold"), rule.threshold, findings);
    }
    for (index, rule) in scope.routing.signals.reasks.iter().enumerate() {
        unit(
            &scope.at(&format!("signals.reasks[{index}].threshold")),
            rule.threshold,
            findings,
        );
    }
    preferences(scope, findings);
}

fn preferences(scope: &Scope<'_>, findings: &mut Findings) {
    let rules = &scope.routing.signals.preferences;
    for (index, rule) in rules.iter().enumerate() {
        let path = scope.at(&format!("signals.preferences[{index}]"));
        unit(&format!("{path}.threshold"), rule.threshold, findings);
        if rule.description.trim().is_empty() && rule.examples.is_empty() {
            findings.warn(
                path,
                "neither description nor examples, so the rule is like nothing",
            );
        }
    }
    let module = scope
        .document
        .global
        .model_catalog
        .modules
        .classifier
        .preference
        .as_ref();
    let margin = module
        .and_then(|module| module.prototype_scoring.as_ref())
        .map_or(0.0, |scoring| scoring.margin_threshold);
    if rules.len() == 1 && margin > 0.0 {
        let message = format!(
            "a lead of {margin} over the second is wanted (`modules.classifier.preference.prototype_scoring`), and there is no second rule: it never matches"
        );
        findings.warn(scope.at("signals.preferences[0]"), message);
    }
}

fn unit(path: &str, threshold: f32, findings: &mut Findings) {
    if !(-1.0..=1.0).contains(&threshold) {
        findings.warn(
            path,
            format!("a threshold of {threshold} lies outside the scores' range"),
        );
    }
}

fn domains(scope: &Scope<'_>, findings: &mut Findings) {
    let mut owners: HashMap<String, &str> = HashMap::new();
    for (index, rule) in scope.routing.signals.domains.iter().enumerate() {
        let path = scope.at(&format!("signals.domains[{index}]"));
        for (index, label) in rule.mmlu_categories.iter().enumerate() {
            let path = format!("{path}.mmlu_categories[{index}]");
            let lower = label.to_lowercase();
            if !catalog::labels(Task::Domain).contains(&lower.as_str()) {
                let hint = suggestion(label, catalog::labels(Task::Domain).iter().copied());
                findings.warn(
                    &path,
                    format!("`{label}` is no label of the standard topic model{hint}"),
                );
            }
            if let Some(owner) = owners.insert(lower, &rule.name) {
                findings.warn(
                    path,
                    format!("takes `{label}` away from the domain `{owner}`, which then never matches by it"),
                );
            }
        }
        for (index, score) in rule.model_scores.iter().enumerate() {
            super::models::known_model(
                scope.document,
                &format!("{path}.model_scores[{index}].model"),
                &score.model,
                findings,
            );
        }
        let decided = scope
            .routing
            .decisions
            .iter()
            .any(|decision| decision.name == rule.name);
        if !rule.model_scores.is_empty() && !decided {
            let message = format!(
                "is read only by a decision that is called `{}`, and there is none",
                rule.name
            );
            findings.note(format!("{path}.model_scores"), message);
        }
    }
}

fn complexity(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.routing.signals.complexity.iter().enumerate() {
        let path = scope.at(&format!("signals.complexity[{index}]"));
        if rule.hard.candidates.is_empty() && rule.easy.candidates.is_empty() {
            findings.warn(&path, "no candidates, so every turn is `medium`");
        }
        for (side, examples) in [("hard", &rule.hard), ("easy", &rule.easy)] {
            if !examples.image_candidates.is_empty() {
                let message = "there is no encoder of images, so these have no effect";
                findings.warn(format!("{path}.{side}.image_candidates"), message);
            }
        }
        if rule.threshold < 0.0 {
            findings.error(
                format!("{path}.threshold"),
                "a negative threshold makes turns hard and easy at once",
            );
        } else if rule.threshold > 0.5 {
            let message = format!(
                "the difference of two similarities seldom exceeds 0.4, so at {} nearly every turn is `medium`; 0.05 to 0.2 is usual",
                rule.threshold
            );
            findings.note(format!("{path}.threshold"), message);
        }
        if let Some(composer) = &rule.composer {
            if rule.name.contains(':') {
                findings.warn(
                    format!("{path}.name"),
                    "with a composer, a name with `:` never matches",
                );
            }
            rules::composer(scope, &format!("{path}.composer"), composer, findings);
        }
    }
}

fn safety(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.routing.signals.jailbreak.iter().enumerate() {
        let path = scope.at(&format!("signals.jailbreak[{index}]"));
        if rule.method == "hybrid" {
            findings.note(
                format!("{path}.method"),
                "`hybrid` runs the model alone, as in the reference; the pattern lists are not read",
            );
        }
        if rule.method == "contrastive" && rule.benign_patterns.is_empty() {
            findings
                .warn(&path, "without `benign_patterns` the score is the similarity plus 1, so every request matches");
        }
        if rule.method == "contrastive" && rule.jailbreak_patterns.is_empty() {
            findings.warn(&path, "without `jailbreak_patterns` nothing matches");
        }
        if rule.threshold == 0.0 && rule.method != "contrastive" {
            findings.note(
                &path,
                "`threshold` is omitted: the module's is taken, where the reference takes 0",
            );
        }
        unit(&format!("{path}.threshold"), rule.threshold, findings);
    }
    for (index, rule) in scope.routing.signals.pii.iter().enumerate() {
        let path = scope.at(&format!("signals.pii[{index}]"));
        if rule.threshold == 0.0 {
            findings.note(
                &path,
                "`threshold` is omitted: the module's is taken, where the reference takes 0",
            );
        }
        unit(&format!("{path}.threshold"), rule.threshold, findings);
    }
}

/// Settings of the modules that leave rules of this recipe without effect, or mean something else
/// here.
fn modules(scope: &Scope<'_>, findings: &mut Findings) {
    let signals = &scope.routing.signals;
    let modules = &scope.document.global.model_catalog.modules;
    let facts = modules
        .hallucination_mitigation
        .as_ref()
        .and_then(|module| module.fact_check.as_ref());
    let switches = [
        (
            "jailbreak",
            signals.jailbreak.is_empty(),
            modules.prompt_guard.as_ref(),
            "prompt_guard",
        ),
        (
            "pii",
            signals.pii.is_empty(),
            modules.classifier.pii.as_ref(),
            "classifier.pii",
        ),
        (
            "domains",
            signals.domains.is_empty(),
            modules.classifier.domain.as_ref(),
            "classifier.domain",
        ),
        (
            "fact_check",
            signals.fact_check.is_empty(),
            facts,
            "hallucination_mitigation.fact_check",
        ),
        (
            "user_feedbacks",
            signals.user_feedbacks.is_empty(),
            modules.feedback_detector.as_ref(),
            "feedback_detector",
        ),
    ];
    for (section, without_rules, module, name) in switches {
        let Some(module) = module.filter(|_| !without_rules) else {
            continue;
        };
        let path = scope.at(&format!("signals.{section}"));
        if module.enabled == Some(false) {
            findings.warn(
                path,
                format!("`global.model_catalog.modules.{name}` is off, so these rules never match"),
            );
        } else if matches!(section, "jailbreak" | "pii") && module.on_error == "allow" {
            let message = format!(
                "`global.model_catalog.modules.{name}.on_error: allow` lets pass what could not be read; omitted, it would match"
            );
            findings.note(path, message);
        }
    }
    let detects = modules
        .modality_detector
        .as_ref()
        .is_some_and(|module| module.enabled);
    if !signals.modality.is_empty() && !detects {
        let message = "nothing is emitted unless `global.model_catalog.modules.modality_detector.enabled` is true";
        findings.warn(scope.at("signals.modality"), message);
    }
    if !signals.domains.is_empty()
        && modules
            .classifier
            .mcp
            .as_ref()
            .is_some_and(|mcp| mcp.enabled)
    {
        let message = "`global.model_catalog.modules.classifier.mcp` is known and not asked: topics come from the model here";
        findings.note(scope.at("signals.domains"), message);
    }
}

fn knowledge(scope: &Scope<'_>, findings: &mut Findings) {
    let bases = &scope.document.global.model_catalog.kbs;
    for (index, rule) in scope.routing.signals.kb.iter().enumerate() {
        let path = scope.at(&format!("signals.kb[{index}]"));
        let Some(base) = bases.iter().find(|base| base.name == rule.kb) else {
            let hint = suggestion(&rule.kb, bases.iter().map(|base| base.name.as_str()));
            findings.error(
                format!("{path}.kb"),
                format!("no knowledge base is called `{}`{hint}", rule.kb),
            );
            continue;
        };
        let value = &rule.target.value;
        match rule.target.kind.as_str() {
            "" => findings.error(
                format!("{path}.target"),
                "`kind` is missing; known: label, group",
            ),
            "group" if !base.groups.contains_key(value) => {
                let hint = suggestion(value, base.groups.keys().map(String::as_str));
                findings.error(
                    format!("{path}.target.value"),
                    format!("`{}` has no group `{value}`{hint}", base.name),
                );
            }
            _ => {}
        }
    }
}

fn classifiers(scope: &Scope<'_>, findings: &mut Findings) {
    let external = &scope.document.global.model_catalog.external;
    for (index, rule) in scope.routing.signals.classifiers.iter().enumerate() {
        let path = scope.at(&format!("signals.classifiers[{index}]"));
        match rule.kind.as_str() {
            "" => findings.error(&path, "`type` is missing; known: local, llm"),
            "local" if rule.model_path.is_empty() => {
                findings.error(&path, "a `local` classifier needs `model_path`")
            }
            "llm" if !external.iter().any(|model| model.name == rule.model) => {
                let hint = suggestion(
                    &rule.model,
                    external.iter().map(|model| model.name.as_str()),
                );
                findings.error(
                    format!("{path}.model"),
                    format!("no external model is called `{}`{hint}", rule.model),
                );
            }
            _ => {}
        }
        if rule.labels.len() < 2 {
            findings.error(&path, "`labels` names at least two labels");
        }
    }
}
