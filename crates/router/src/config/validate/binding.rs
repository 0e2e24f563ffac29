//! Whether a boundary can bind: what it reads must be able to match, and what it allows must be able
//! to serve.

use super::Scope;
use crate::config::decisions::{Allowed, Boundary, Decision};
use document::{Findings, suggestion};
use inference::catalog::{Task, labels};
use inference::{recognizers, token_head};
use selection::card::ModelDescriptions;
use signals::catalog::modules::ClassifierModule;
use signals::families::keyword::{Method, Operator};
use signals::families::language;
use signals::family::Bounds;
use signals::report::Kind;
use signals::rules::RuleNode;
use signals::scope::base;
use std::ops::RangeInclusive;

/// Types of entities that the reference's model knows and ours does not.
const FOREIGN_TYPES: [&str; 1] = ["NRP"];

/// Checks what a boundary reads, by the family and name of a rule.
pub(super) fn rule(scope: &Scope<'_>, kind: Kind, name: &str, findings: &mut Findings) {
    let Some(index) = scope
        .signals
        .names(kind)
        .iter()
        .position(|own| own.eq_ignore_ascii_case(base(name)))
    else {
        return module(scope, kind, findings);
    };
    let at = scope.signals.rule(kind, index);
    let signals = &scope.routing.signals;
    match kind {
        Kind::Pii => {
            let rule = &signals.pii[index];
            threshold(&at, rule.threshold, 0.0..=1.0, findings);
            entity_types(scope, &at, &rule.pii_types_allowed, findings);
        }
        Kind::Jailbreak if signals.jailbreak[index].is_contrastive() => {
            let rule = &signals.jailbreak[index];
            threshold(&at, rule.threshold, -2.0..=2.0, findings);
            if rule.jailbreak_patterns.is_empty() {
                never(
                    &at,
                    "without `jailbreak_patterns` nothing matches",
                    findings,
                );
            }
        }
        Kind::Jailbreak => threshold(&at, signals.jailbreak[index].threshold, 0.0..=1.0, findings),
        Kind::Embedding => threshold(
            &at,
            signals.embeddings[index].threshold,
            -1.0..=1.0,
            findings,
        ),
        Kind::Reask => threshold(&at, signals.reasks[index].threshold, -1.0..=1.0, findings),
        Kind::Preference => threshold(
            &at,
            signals.preferences[index].threshold,
            -1.0..=1.0,
            findings,
        ),
        Kind::Language => {
            let rule = &signals.language[index];
            threshold(&at, rule.threshold, 0.0..=1.0, findings);
            if !language::is_known(&rule.name) {
                let message = format!("no text is ever found to be in `{}`", rule.name);
                never(&format!("{at}.name"), &message, findings);
            }
        }
        Kind::Keyword => {
            let rule = &signals.keywords[index];
            if rule.keywords.is_empty() && rule.operator == Some(Operator::Or) {
                never(&at, "without `keywords` nothing matches", findings);
            }
            if rule.method == Method::Ngram && !(0.0..=1.0).contains(&rule.ngram_threshold) {
                let at = format!("{at}.ngram_threshold");
                out_of_range(&at, rule.ngram_threshold, &(0.0..=1.0), findings);
            }
        }
        Kind::FactCheck | Kind::UserFeedback | Kind::Modality if !has_label(kind, name) => {
            let message = format!("`{name}` is not a label that the model has");
            never(&format!("{at}.name"), &message, findings);
        }
        Kind::Domain => categories(
            scope,
            &at,
            &signals.domains[index].mmlu_categories,
            findings,
        ),
        _ => {}
    }
    module(scope, kind, findings);
}

/// Tells whether a family's model has a label of this name.
fn has_label(kind: Kind, name: &str) -> bool {
    let known = match kind {
        Kind::FactCheck => labels(Task::FactCheck),
        Kind::UserFeedback => labels(Task::UserFeedback),
        _ => labels(Task::Modality),
    };
    known.iter().any(|label| label.eq_ignore_ascii_case(name))
}

/// Checks the threshold that a family's module has for all rules.
fn module(scope: &Scope<'_>, kind: Kind, findings: &mut Findings) {
    let modules = &scope.document.global.model_catalog.modules;
    let facts = modules.hallucination_mitigation.as_ref();
    let (path, module) = match kind {
        Kind::Pii => ("classifier.pii", modules.classifier.pii.as_ref()),
        Kind::Jailbreak => ("prompt_guard", modules.prompt_guard.as_ref()),
        Kind::Domain => ("classifier.domain", modules.classifier.domain.as_ref()),
        Kind::FactCheck => (
            "hallucination_mitigation.fact_check",
            facts.and_then(|module| module.fact_check.as_ref()),
        ),
        Kind::UserFeedback => ("feedback_detector", modules.feedback_detector.as_ref()),
        _ => return,
    };
    let written = module.and_then(|module| module.threshold);
    let at = format!("global.model_catalog.modules.{path}");
    threshold(&at, written.unwrap_or_default(), 0.0..=1.0, findings);
}

/// Whether a family asks the model that is built in: what another one knows is not known here.
fn is_built_in(module: Option<&ClassifierModule>, own: &str) -> bool {
    own.trim().is_empty()
        && module.is_none_or(|module| {
            let labels = [&module.pii_mapping_path, &module.category_mapping_path];
            let named = [&module.model_id, &module.model_ref]
                .into_iter()
                .chain(labels);
            named.into_iter().all(|name| name.trim().is_empty())
        })
}

fn threshold(at: &str, written: f32, range: RangeInclusive<f32>, findings: &mut Findings) {
    if !range.contains(&written) {
        out_of_range(&format!("{at}.threshold"), written, &range, findings);
    }
}

fn out_of_range(at: &str, written: f32, range: &RangeInclusive<f32>, findings: &mut Findings) {
    let (low, high) = (range.start(), range.end());
    let hint = if (1.0..=100.0).contains(&written) {
        format!("; did you mean {}?", written / 100.0)
    } else {
        String::new()
    };
    let message = format!(
        "a boundary relies on this threshold, and {written} is not from {low} to {high}{hint}"
    );
    findings.error_instead(at, message);
}

fn never(at: &str, why: &str, findings: &mut Findings) {
    findings.error_instead(
        at,
        format!("{why}, so the boundary that relies on it never binds"),
    );
}

/// Types that do not count must be types that can be found, and leave some that do.
fn entity_types(scope: &Scope<'_>, at: &str, allowed: &[String], findings: &mut Findings) {
    let models = &scope.document.global.model_catalog;
    if !is_built_in(
        models.modules.classifier.pii.as_ref(),
        &models.system.pii_classifier,
    ) {
        return;
    }
    let own = || recognizers::KINDS.into_iter().chain(token_head::KINDS);
    let allows = |kind: &str| {
        allowed
            .iter()
            .any(|written| written.trim().eq_ignore_ascii_case(kind))
    };
    for (index, written) in allowed.iter().enumerate() {
        let mut known = own().chain(FOREIGN_TYPES);
        if !known.any(|kind| written.trim().eq_ignore_ascii_case(kind)) {
            let upper = written.trim().to_uppercase();
            let hint = suggestion(&upper, own());
            findings.error(
                format!("{at}.pii_types_allowed[{index}]"),
                format!("no model finds entities of the type `{written}`{hint}"),
            );
        }
    }
    if own().all(allows) {
        let at = format!("{at}.pii_types_allowed");
        never(&at, "all types of entities are allowed", findings);
    }
}

/// Labels that a topic stands for must be labels of the model.
fn categories(scope: &Scope<'_>, at: &str, categories: &[String], findings: &mut Findings) {
    let models = &scope.document.global.model_catalog;
    let module = models.modules.classifier.domain.as_ref();
    if !is_built_in(module, &models.system.domain_classifier) {
        return;
    }
    for (index, written) in categories.iter().enumerate() {
        let known = labels(Task::Domain);
        if !known.contains(&written.to_lowercase().as_str()) {
            let hint = suggestion(written, known.iter().copied());
            findings.error(
                format!("{at}.mmlu_categories[{index}]"),
                format!("a boundary relies on the label `{written}`, which the topic model does not have{hint}"),
            );
        }
    }
}

/// Checks bounds in a boundary's tree that no number of the family can meet.
pub(super) fn predicates(path: &str, node: &RuleNode, findings: &mut Findings) {
    let kind = Kind::parse(&node.kind);
    if let Some((kind, predicate)) = kind.zip(node.predicate)
        && let Some((low, high)) = range(kind)
        && !predicate.can_hold_between(low, high)
    {
        let message = format!(
            "the numbers of `{}` lie between {low} and {high}, so the boundary never binds",
            kind.as_str()
        );
        findings.error(format!("{path}.predicate"), message);
    }
    for (index, child) in node.conditions.iter().enumerate() {
        predicates(&format!("{path}.conditions[{index}]"), child, findings);
    }
}

/// Range of the numbers that a predicate on a family reads.
fn range(kind: Kind) -> Option<(f64, f64)> {
    let of = |bounds| match bounds {
        Bounds::Any => None,
        Bounds::Share => Some((0.0, 1.0)),
        Bounds::Cosine => Some((-1.0, 1.0)),
        Bounds::Difference => Some((-2.0, 2.0)),
    };
    match kind {
        Kind::Classifier => Some((0.0, 1.0)),
        Kind::Embedding => None,
        _ => of(kind.family().value),
    }
}

/// Checks that some decision of the recipe has a model that the boundary allows.
pub(super) fn served(scope: &Scope<'_>, path: &str, boundary: &Boundary, findings: &mut Findings) {
    let document = scope.document;
    let is_allowed = |name: &str| allows(scope, &boundary.allow, name);
    let serves = |decision: &&Decision| {
        let mut models = decision.model_refs.iter();
        models.any(|candidate| is_allowed(&candidate.model))
    };
    let decisions = &scope.routing.decisions;
    let default = &document.providers.defaults.default_model;
    if decisions.is_empty() || is_allowed(default) || decisions.iter().any(|it| serves(&it)) {
        return;
    }
    let message = "no decision has a model that this boundary allows, so every request within it would be refused; add an allowed model to the `modelRefs` of the decisions";
    findings.error(format!("{path}.allow"), message);
}

fn allows(scope: &Scope<'_>, allow: &Allowed, name: &str) -> bool {
    let is_named = |list: &[String], name: &str| {
        !name.trim().is_empty() && list.iter().any(|own| own.trim() == name.trim())
    };
    let provider = scope.document.provider_model(name.trim());
    is_named(&allow.models, name)
        || provider.is_some_and(|model| is_named(&allow.locations, &model.location))
}
