//! What the projections of a recipe get wrong.

use super::score::needs;
use super::section::{Projections, Score, ScoreInput};
use crate::catalog::find_base;
use crate::report::Kind;
use crate::scope::Scope;
use document::{Findings, suggestion};
use std::collections::HashMap;

/// Reports everything that is wrong with the projections of a recipe.
pub fn check(scope: &Scope<'_>, findings: &mut Findings) {
    let projections = scope.projections;
    let partitions = projections.partitions.iter();
    let scores = projections.scores.iter();
    let mappings = projections.mappings.iter();
    findings.names(
        &scope.at("projections.partitions"),
        partitions.map(|it| it.name.as_str()),
    );
    findings.names(
        &scope.at("projections.scores"),
        scores.map(|it| it.name.as_str()),
    );
    findings.names(
        &scope.at("projections.mappings"),
        mappings.map(|it| it.name.as_str()),
    );

    partitions_of(scope, findings);
    for (index, score) in projections.scores.iter().enumerate() {
        let at = scope.at(&format!("projections.scores[{index}]"));
        score.check(scope, &at, findings);
    }
    cycles(scope, projections, findings);
    mappings_of(scope, findings);
    if projections.scores.is_empty() != projections.mappings.is_empty() {
        findings.warn(
            scope.at("projections"),
            "scores and mappings act only together; nothing is computed",
        );
    }
}

fn partitions_of(scope: &Scope<'_>, findings: &mut Findings) {
    let mut owners = HashMap::new();
    for (index, partition) in scope.projections.partitions.iter().enumerate() {
        let at = scope.at(&format!("projections.partitions[{index}]"));
        partition.check(scope, &at, findings);
        for (number, member) in partition.members.iter().enumerate() {
            if let Some(owner) = owners.insert(member, &partition.name) {
                findings.warn(
                    format!("{at}.members[{number}]"),
                    format!("`{member}` is a member of `{owner}` too; the partitions act one after the other"),
                );
            }
        }
    }
}

fn mappings_of(scope: &Scope<'_>, findings: &mut Findings) {
    let mut outputs = HashMap::new();
    for (index, mapping) in scope.projections.mappings.iter().enumerate() {
        let at = scope.at(&format!("projections.mappings[{index}]"));
        mapping.check(scope, &at, findings);
        for (number, output) in mapping.outputs.iter().enumerate() {
            let at = format!("{at}.outputs[{number}]");
            output.check(&at, findings);
            if output.name.trim().is_empty() {
                continue;
            }
            if let Some(owner) = outputs.insert(&output.name, &mapping.name) {
                findings.error(
                    format!("{at}.name"),
                    format!("`{}` is already an output of `{owner}`", output.name),
                );
            }
        }
    }
}

/// Reports scores that depend on themselves, through scores or mapping outputs.
fn cycles(scope: &Scope<'_>, projections: &Projections, findings: &mut Findings) {
    let needs = needs(&projections.scores, &projections.mappings);
    for (index, score) in projections.scores.iter().enumerate() {
        let mut pending = needs[index].clone();
        let mut seen = Vec::new();
        while let Some(next) = pending.pop() {
            if next == index {
                let at = scope.at(&format!("projections.scores[{index}]"));
                findings.error(at, format!("the score `{}` depends on itself", score.name));
                break;
            }
            if !seen.contains(&next) {
                seen.push(next);
                pending.extend(&needs[next]);
            }
        }
    }
}

impl Score {
    fn check(&self, scope: &Scope<'_>, at: &str, findings: &mut Findings) {
        if self.method != "weighted_sum" {
            findings.error(
                format!("{at}.method"),
                format!("the method is `weighted_sum`, not `{}`", self.method),
            );
        }
        for (index, input) in self.inputs.iter().enumerate() {
            input.check(scope, &format!("{at}.inputs[{index}]"), findings);
        }
    }
}

impl ScoreInput {
    fn check(&self, scope: &Scope<'_>, at: &str, findings: &mut Findings) {
        let source = self.value_source.trim().to_lowercase();
        if !["", "confidence", "raw", "score", "binary"].contains(&source.as_str()) {
            findings.warn(
                format!("{at}.value_source"),
                format!("`{source}` is not known and counts as a match, 1 or 0"),
            );
        }
        if self.kind.trim().eq_ignore_ascii_case("kb_metric") {
            return self.check_metric(scope, at, findings);
        }
        let Some(kind) = Kind::parse(&self.kind) else {
            let known = Kind::ALL.map(Kind::as_str).into_iter().chain(["kb_metric"]);
            let hint = suggestion(&self.kind, known);
            findings.error(
                format!("{at}.type"),
                format!("no input type is called `{}`{hint}", self.kind),
            );
            return;
        };

        self.check_name(scope, at, kind, findings);
        match kind {
            Kind::Authz | Kind::Metadata | Kind::Classifier if source != "raw" => {
                findings.warn(
                    at,
                    format!("`{}` counts as not matched in scores", kind.as_str()),
                );
            }
            Kind::Complexity if source == "raw" => {
                findings.warn(at, "a complexity level has no raw value, so this is 0");
            }
            _ => {}
        }
        if self.weight == 0.0 {
            findings.warn(at, "a weight of 0 (or none) makes the input count nothing");
        }
    }

    fn check_name(&self, scope: &Scope<'_>, at: &str, kind: Kind, findings: &mut Findings) {
        if kind == Kind::Projection && !self.names_output() {
            let scores = scope.projections.scores.iter();
            let mut scores = scores.map(|score| score.name.as_str());
            if !scores.clone().any(|name| name == self.name) {
                let hint = suggestion(&self.name, &mut scores);
                findings.error(
                    format!("{at}.name"),
                    format!("no score is called `{}`{hint}", self.name),
                );
            }
        } else if let Some(message) = scope.unknown_name(kind, &self.name) {
            findings.error(format!("{at}.name"), message);
        }
    }

    fn check_metric(&self, scope: &Scope<'_>, at: &str, findings: &mut Findings) {
        let bases = &scope.models.kbs;
        let Some(base) = find_base(bases, &self.kb, format!("{at}.kb"), findings) else {
            return;
        };
        let metrics = base.metrics.iter().map(|metric| metric.name.as_str());
        let mut known = metrics.chain(["best_score", "best_matched_score"]);
        if !known.clone().any(|name| name == self.metric) {
            let hint = suggestion(&self.metric, &mut known);
            findings.error(
                format!("{at}.metric"),
                format!("`{}` has no metric `{}`{hint}", base.name, self.metric),
            );
        }
    }
}
