//! Partitions, scores and mappings.

use super::{Findings, Scope, declared, rules, unknown_signal};
use crate::config::problem::suggestion;
use crate::config::projections::{Mapping, Partition, Score, ScoreInput};
use crate::report::Kind;
use std::collections::HashMap;

pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    let projections = &scope.routing.projections;
    macro_rules! names {
        ($($list:ident),*) => {
            $(findings.names(&scope.at(concat!("projections.", stringify!($list))), projections.$list.iter().map(|part| part.name.as_str()));)*
        };
    }
    names!(partitions, scores, mappings);
    let mut owners = HashMap::new();
    for (index, partition) in projections.partitions.iter().enumerate() {
        self::partition(
            scope,
            &scope.at(&format!("projections.partitions[{index}]")),
            partition,
            findings,
        );
        for (number, member) in partition.members.iter().enumerate() {
            if let Some(owner) = owners.insert(member, &partition.name) {
                let path = scope.at(&format!(
                    "projections.partitions[{index}].members[{number}]"
                ));
                findings.warn(
                    path,
                    format!("`{member}` is a member of `{owner}` too; the partitions act one after the other"),
                );
            }
        }
    }
    for (index, score) in projections.scores.iter().enumerate() {
        self::score(
            scope,
            &scope.at(&format!("projections.scores[{index}]")),
            score,
            findings,
        );
    }
    cycles(scope, findings);
    mappings(scope, findings);
    if projections.scores.is_empty() != projections.mappings.is_empty() {
        findings.warn(
            scope.at("projections"),
            "scores and mappings act only together; nothing is computed",
        );
    }
}

fn partition(scope: &Scope<'_>, path: &str, partition: &Partition, findings: &mut Findings) {
    let semantics = ["exclusive", "softmax_exclusive"];
    if !semantics.contains(&partition.semantics.as_str()) {
        let hint = suggestion(&partition.semantics, semantics);
        findings.error(
            format!("{path}.semantics"),
            format!("`exclusive` or `softmax_exclusive` is wanted{hint}"),
        );
    }
    if partition.semantics == "softmax_exclusive" && partition.temperature <= 0.0 {
        findings.error(
            format!("{path}.temperature"),
            "`softmax_exclusive` needs a temperature above 0",
        );
    }
    let domains = declared(scope.routing, Kind::Domain);
    let embeddings = declared(scope.routing, Kind::Embedding);
    let count = |known: &[&str]| {
        partition
            .members
            .iter()
            .filter(|member| known.contains(&member.as_str()))
            .count()
    };
    let (in_domains, in_embeddings) = (count(&domains), count(&embeddings));
    let known = if in_domains >= in_embeddings {
        &domains
    } else {
        &embeddings
    };
    for (index, member) in partition.members.iter().enumerate() {
        let path = format!("{path}.members[{index}]");
        if !domains.contains(&member.as_str()) && !embeddings.contains(&member.as_str()) {
            let hint = suggestion(member, domains.iter().chain(&embeddings).copied());
            findings.error(
                path,
                format!("no domain or embedding rule is called `{member}`{hint}"),
            );
        } else if !known.contains(&member.as_str()) {
            findings.error(
                path,
                format!("the members are of one family, `{member}` is of the other"),
            );
        }
    }
    if partition.members.len() < 2 {
        findings.warn(
            format!("{path}.members"),
            "fewer than two members: the partition does nothing",
        );
    }
    if partition.default.is_empty() {
        findings.error(
            path,
            "`default` is missing: the member that stands in when none matched",
        );
    } else if !partition.members.contains(&partition.default) {
        findings.error(
            format!("{path}.default"),
            format!("`{}` is no member", partition.default),
        );
    }
}

fn score(scope: &Scope<'_>, path: &str, score: &Score, findings: &mut Findings) {
    if score.method != "weighted_sum" {
        findings.error(
            format!("{path}.method"),
            format!("the method is `weighted_sum`, not `{}`", score.method),
        );
    }
    for (index, input) in score.inputs.iter().enumerate() {
        self::input(scope, &format!("{path}.inputs[{index}]"), input, findings);
    }
}

fn input(scope: &Scope<'_>, path: &str, input: &ScoreInput, findings: &mut Findings) {
    let source = input.value_source.trim().to_lowercase();
    if !["", "confidence", "raw", "score", "binary"].contains(&source.as_str()) {
        findings.warn(
            format!("{path}.value_source"),
            format!("`{source}` is not known and counts as a match, 1 or 0"),
        );
    }
    if input.kind.trim().eq_ignore_ascii_case("kb_metric") {
        return metric(scope, path, input, findings);
    }
    let Some(kind) = Kind::parse(&input.kind) else {
        let known = Kind::ALL.map(Kind::as_str).into_iter().chain(["kb_metric"]);
        let hint = suggestion(&input.kind, known);
        findings.error(
            format!("{path}.type"),
            format!("no input type is called `{}`{hint}", input.kind),
        );
        return;
    };
    if kind == Kind::Projection && source != "confidence" {
        let scores = scope
            .routing
            .projections
            .scores
            .iter()
            .map(|score| score.name.as_str());
        if !scores.clone().any(|name| name == input.name) {
            let hint = suggestion(&input.name, scores);
            findings.error(
                format!("{path}.name"),
                format!("no score is called `{}`{hint}", input.name),
            );
        }
    } else if let Some(message) = unknown_signal(scope.routing, kind, &input.name) {
        findings.error(format!("{path}.name"), message);
    }
    match kind {
        Kind::Authz | Kind::Metadata | Kind::Classifier if source != "raw" => {
            findings.warn(
                path,
                format!("`{}` counts as not matched in scores", kind.as_str()),
            );
        }
        Kind::Complexity if source == "raw" => {
            findings.warn(path, "a complexity level has no raw value, so this is 0")
        }
        _ => {}
    }
    if input.weight == 0.0 {
        findings.warn(
            path,
            "a weight of 0 (or none) makes the input count nothing",
        );
    }
}

fn metric(scope: &Scope<'_>, path: &str, input: &ScoreInput, findings: &mut Findings) {
    let bases = &scope.document.global.model_catalog.kbs;
    let Some(base) = bases.iter().find(|base| base.name == input.kb) else {
        let hint = suggestion(&input.kb, bases.iter().map(|base| base.name.as_str()));
        findings.error(
            format!("{path}.kb"),
            format!("no knowledge base is called `{}`{hint}", input.kb),
        );
        return;
    };
    let known = base
        .metrics
        .iter()
        .map(|metric| metric.name.as_str())
        .chain(["best_score", "best_matched_score"]);
    if !known.clone().any(|name| name == input.metric) {
        let hint = suggestion(&input.metric, known);
        findings.error(
            format!("{path}.metric"),
            format!("`{}` has no metric `{}`{hint}", base.name, input.metric),
        );
    }
}

/// A score that depends on itself, through scores or mapping outputs.
fn cycles(scope: &Scope<'_>, findings: &mut Findings) {
    let scores = &scope.routing.projections.scores;
    for (index, score) in scores.iter().enumerate() {
        let mut pending = inputs_of(scope, &score.name);
        let mut seen: Vec<&str> = Vec::new();
        while let Some(name) = pending.pop() {
            if name == score.name {
                let path = scope.at(&format!("projections.scores[{index}]"));
                findings.error(path, format!("the score `{name}` depends on itself"));
                break;
            }
            if !seen.contains(&name) {
                seen.push(name);
                pending.extend(inputs_of(scope, name));
            }
        }
    }
}

fn inputs_of<'a>(scope: &Scope<'a>, name: &str) -> Vec<&'a str> {
    let projections = &scope.routing.projections;
    let inputs = projections
        .scores
        .iter()
        .filter(|score| score.name == name)
        .flat_map(|score| &score.inputs);
    let derived = inputs.filter(|input| Kind::parse(&input.kind) == Some(Kind::Projection));
    derived
        .filter_map(
            |input| match input.value_source.trim().eq_ignore_ascii_case("confidence") {
                true => {
                    let mut mappings = projections.mappings.iter();
                    let owner = mappings.find(|mapping| {
                        mapping
                            .outputs
                            .iter()
                            .any(|output| output.name == input.name)
                    });
                    owner.map(|mapping| mapping.source.as_str())
                }
                false => Some(input.name.as_str()),
            },
        )
        .collect()
}

fn mappings(scope: &Scope<'_>, findings: &mut Findings) {
    let mut outputs = HashMap::new();
    for (index, mapping) in scope.routing.projections.mappings.iter().enumerate() {
        let path = scope.at(&format!("projections.mappings[{index}]"));
        self::mapping(scope, &path, mapping, findings);
        for (number, output) in mapping.outputs.iter().enumerate() {
            let path = format!("{path}.outputs[{number}]");
            if output.name.trim().is_empty() {
                findings.error(&path, "`name` is missing");
            } else if let Some(owner) = outputs.insert(&output.name, &mapping.name) {
                findings.error(
                    format!("{path}.name"),
                    format!("`{}` is already an output of `{owner}`", output.name),
                );
            }
            rules::bounds(
                &path,
                [output.gt, output.gte, output.lt, output.lte],
                findings,
            );
        }
    }
}

fn mapping(scope: &Scope<'_>, path: &str, mapping: &Mapping, findings: &mut Findings) {
    let scores = scope
        .routing
        .projections
        .scores
        .iter()
        .map(|score| score.name.as_str());
    if !scores.clone().any(|name| name == mapping.source) {
        let hint = suggestion(&mapping.source, scores);
        findings.error(
            format!("{path}.source"),
            format!("no score is called `{}`{hint}", mapping.source),
        );
    }
    let methods = ["threshold_bands", "multi_emit"];
    if !methods.contains(&mapping.method.as_str()) {
        let hint = suggestion(&mapping.method, methods);
        findings.error(
            format!("{path}.method"),
            format!("`threshold_bands` or `multi_emit` is wanted{hint}"),
        );
    }
    if let Some(calibration) = &mapping.calibration {
        if !["", "sigmoid_distance"].contains(&calibration.method.as_str()) {
            findings.error(
                format!("{path}.calibration.method"),
                "the method is `sigmoid_distance`",
            );
        }
        if calibration.slope <= 0.0 {
            findings.warn(
                format!("{path}.calibration.slope"),
                "a slope of 0 or less (or none) means 12",
            );
        }
    }
    if mapping.outputs.is_empty() {
        findings.warn(path, "no outputs, so nothing is emitted");
    }
}
