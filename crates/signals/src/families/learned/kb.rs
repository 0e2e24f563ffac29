//! Knowledge bases: labelled examples, groups of labels, and numbers for projections. One vector of
//! the evaluation text.
//!
//! ```yaml
//! global:
//!   model_catalog:
//!     kbs:
//!       - name: privacy_kb
//!         source: {path: knowledge_bases/privacy/, manifest: labels.json}
//!         threshold: 0.55
//!         groups: {private: [pii, customer_data]}
//! routing:
//!   signals:
//!     kb:
//!       - {name: private, kb: privacy_kb, target: {kind: group, value: private}, match: best}
//! ```
//!
//! A group scores as its best label, but not below 0. `match: best` takes the best label or group
//! whatever its score (the reference's rule). The manifest is a file of `{"labels": {name:
//! {"exemplars": [..]}}}`; the folders `knowledge_bases/privacy` and `knowledge_bases/mmlu` are
//! built in where they are not on disk. Unlike the reference, a rule for a label or a group that
//! the base does not have is refused.

use super::examples::{Examples, Scoring};
use super::{Building, Head, Learned, SignalInput, answers, ran};
use crate::catalog::{KnowledgeBase, find_base};
use crate::report::{Key, Kind, SignalReport, kb_metric};
use crate::scope::Scope;
use document::{Findings, suggestion};
use inference::ask::{Outcome, Question, What};
use inference::handle::Embedder;
use inference::knowledge_bases::{Manifest, built_in};
use inference::prototypes::{Bank, Weighting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const MANIFEST: &str = "labels.json";

/// A rule over a knowledge base of labelled examples.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KbRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Name of a knowledge base in `global.model_catalog.kbs`.
    pub kb: String,
    /// The label or group that must be found.
    pub target: KbTarget,
    /// When the label or group counts as found; omitted means `threshold`.
    #[serde(rename = "match")]
    pub match_by: KbMatch,
}

/// A label or a group of a knowledge base.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KbTarget {
    /// `label` or `group`.
    pub kind: Option<KbTargetKind>,
    /// Its name.
    pub value: String,
}

/// What a rule over a knowledge base looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KbTargetKind {
    /// One label.
    Label,
    /// A group of labels.
    Group,
}

/// When a label or group of a knowledge base counts as found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KbMatch {
    /// From its threshold on.
    #[default]
    Threshold,
    /// Where it is the best label or group, whatever its score.
    Best,
}

impl KbRule {
    /// Checks what can be seen without the manifest: labels are known only when it is read.
    fn check(&self, at: &str, bases: &[KnowledgeBase], findings: &mut Findings) {
        let Some(base) = find_base(bases, &self.kb, format!("{at}.kb"), findings) else {
            return;
        };
        let value = &self.target.value;
        match self.target.kind {
            None => findings.error(
                format!("{at}.target"),
                "`kind` is missing; known: label, group",
            ),
            Some(KbTargetKind::Group) if !base.groups.contains_key(value) => {
                let hint = suggestion(value, base.groups.keys().map(String::as_str));
                findings.warn(
                    format!("{at}.target.value"),
                    format!(
                        "`{}` has no group `{value}`, so the rule never matches{hint}",
                        base.name
                    ),
                );
            }
            Some(_) => {}
        }
    }
}

/// Reports what is wrong with the rules.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.signals.kb.iter().enumerate() {
        rule.check(&scope.rule(Kind::Kb, index), &scope.models.kbs, findings);
    }
}

/// Why a rule for something that its knowledge base does not have says nothing.
const NO_TARGET: &str = "no such label or group";

/// Compiles the knowledge bases that rules or projections of the recipe name; nothing without any.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = &building.scope.models.kbs;
    let rules = &building.scope.signals.kb;
    let inputs = building
        .scope
        .projections
        .scores
        .iter()
        .flat_map(|score| &score.inputs);
    let metrics = inputs.filter(|input| input.kind.trim().eq_ignore_ascii_case("kb_metric"));
    let metrics: Vec<String> = metrics
        .map(|input| input.kb.trim().to_lowercase())
        .collect();
    let is_named = |base: &KnowledgeBase| {
        rules.iter().any(|rule| rule.kb == base.name)
            || metrics.contains(&base.name.trim().to_lowercase())
    };
    let named: Vec<_> = declared
        .iter()
        .enumerate()
        .filter(|(_, base)| is_named(base))
        .collect();
    if named.is_empty() {
        return None;
    }
    let by = building.encoder(Kind::Kb);
    let mut bases = Vec::new();
    for (index, base) in named {
        bases.extend(Base::build(building, &by, index, base));
    }
    for (index, rule) in rules.iter().enumerate() {
        let Some(base) = bases.iter_mut().find(|base| *base.name == *rule.kb) else {
            continue;
        };
        let key = building.keys.intern(Kind::Kb, &rule.name);
        let target = base.target(rule);
        base.rules.push(Rule {
            key,
            target,
            best: rule.match_by == KbMatch::Best,
        });
        if target.is_none() {
            let kind = match rule.target.kind {
                Some(KbTargetKind::Group) => "group",
                Some(KbTargetKind::Label) | None => "label",
            };
            let (kb, value) = (&rule.kb, &rule.target.value);
            let message = format!("`{kb}` has no {kind} `{value}`, so the rule never matches");
            let at = building.scope.rule(Kind::Kb, index);
            building
                .findings
                .warn(format!("{at}.target.value"), message);
        }
    }
    let head = Head::new(Kind::Kb, by.cost, bases.iter().flat_map(Base::keys));
    Some(Box::new(KbSignal { by, bases, head }))
}

/// The knowledge bases of one recipe.
struct KbSignal {
    by: Embedder,
    bases: Vec<Base>,
    head: Head,
}

struct Base {
    name: Box<str>,
    /// In the order of their names.
    labels: Vec<Label>,
    /// In the order of their names.
    groups: Vec<Group>,
    weighting: Weighting,
    rules: Vec<Rule>,
    best_score: Key,
    best_matched_score: Key,
    margins: Vec<Margin>,
}

struct Label {
    name: String,
    bank: Bank,
    threshold: f64,
}

struct Group {
    name: String,
    /// Labels by index.
    members: Vec<usize>,
}

/// The lead of one group over another.
struct Margin {
    key: Key,
    positive: Option<usize>,
    negative: Option<usize>,
}

struct Rule {
    key: Key,
    /// `None` for what the knowledge base does not have.
    target: Option<Target>,
    best: bool,
}

/// A label or a group, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Label(usize),
    Group(usize),
}

impl Base {
    fn build(
        building: &mut Building<'_>,
        by: &Embedder,
        index: usize,
        base: &KnowledgeBase,
    ) -> Option<Self> {
        let path = format!("global.model_catalog.kbs[{index}]");
        let manifest = manifest(building, &path, base)?;
        let scoring = Scoring::new(base.prototype_scoring.as_ref());
        // One call for the whole base: it is embedded in parallel and stored once.
        let texts: Vec<String> = manifest
            .labels
            .values()
            .flat_map(|label| label.exemplars.clone())
            .collect();
        let mut vectors = building.vectors(Kind::Kb, &path, by, &texts).into_iter();
        let mut labels = Vec::new();
        for (name, label) in manifest.labels {
            let own = vectors.by_ref().take(label.exemplars.len()).collect();
            let bank =
                Examples::new(&label.exemplars, own)
                    .bank(by, scoring.clustering, |index, _| index.to_string());
            let threshold = f64::from(*base.label_thresholds.get(&name).unwrap_or(&base.threshold));
            labels.push(Label {
                name,
                bank,
                threshold,
            });
        }
        let groups = groups(building, &path, &base.groups, &labels);
        let group = |name: &str| groups.iter().position(|group| group.name == name);
        let mut margins = Vec::new();
        for metric in base
            .metrics
            .iter()
            .filter(|metric| metric.kind == "group_margin")
        {
            let key = kb_metric(building.keys, &base.name, &metric.name);
            let (positive, negative) =
                (group(&metric.positive_group), group(&metric.negative_group));
            margins.push(Margin {
                key,
                positive,
                negative,
            });
        }
        let mut metric = |name: &str| kb_metric(building.keys, &base.name, name);
        Some(Self {
            name: base.name.as_str().into(),
            labels,
            groups,
            weighting: scoring.weighting,
            rules: Vec::new(),
            best_score: metric("best_score"),
            best_matched_score: metric("best_matched_score"),
            margins,
        })
    }

    fn target(&self, rule: &KbRule) -> Option<Target> {
        let value = &rule.target.value;
        match rule.target.kind? {
            KbTargetKind::Label => self
                .labels
                .iter()
                .position(|label| label.name == *value)
                .map(Target::Label),
            KbTargetKind::Group => self
                .groups
                .iter()
                .position(|group| group.name == *value)
                .map(Target::Group),
        }
    }

    fn keys(&self) -> Vec<Key> {
        let rules = self.rules.iter().map(|rule| rule.key);
        rules
            .chain([self.best_score, self.best_matched_score])
            .chain(self.margins.iter().map(|margin| margin.key))
            .collect()
    }

    fn conclude(&self, query: &[f32], by: &Embedder, report: &mut SignalReport) -> f64 {
        let score = |label: &Label| label.bank.score(query, self.weighting, &by.scale).score;
        let labels: Vec<f64> = self.labels.iter().map(score).collect();
        let found: Vec<bool> = self
            .labels
            .iter()
            .zip(&labels)
            .map(|(label, score)| *score >= label.threshold)
            .collect();
        let groups: Vec<f64> = self
            .groups
            .iter()
            .map(|group| {
                group
                    .members
                    .iter()
                    .map(|&member| labels[member])
                    .fold(0.0, f64::max)
            })
            .collect();
        for rule in &self.rules {
            let Some(target) = rule.target else {
                // A boundary must not take this for an answer.
                report.fail(rule.key, NO_TARGET);
                continue;
            };
            let (score, holds) = match target {
                Target::Label(at) if rule.best => (labels[at], first_highest(&labels) == Some(at)),
                Target::Group(at) if rule.best => (groups[at], first_highest(&groups) == Some(at)),
                Target::Label(at) => (labels[at], found[at]),
                Target::Group(at) => (
                    groups[at],
                    self.groups[at].members.iter().any(|&member| found[member]),
                ),
            };
            if holds {
                report.emit(rule.key);
                report.set_confidence(rule.key, score);
            }
        }
        let best = first_highest(&labels).map_or(0.0, |at| labels[at]);
        let matched = labels
            .iter()
            .zip(&found)
            .filter(|(_, found)| **found)
            .map(|(score, _)| *score);
        report.set_value(self.best_score, best);
        report.set_value(
            self.best_matched_score,
            matched.max_by(f64::total_cmp).unwrap_or(0.0),
        );
        for margin in &self.margins {
            let score = |group: Option<usize>| group.map_or(0.0, |at| groups[at]);
            report.set_value(margin.key, score(margin.positive) - score(margin.negative));
        }
        best
    }
}

impl Learned for KbSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        input.ask(What::Vector(self.by.clone()))
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let bases = self.bases.iter();
        let keys = bases.clone().flat_map(|base| {
            let rules = base.rules.iter().map(|rule| &rule.key);
            let margins = base.margins.iter().map(|margin| &margin.key);
            let scores = [&base.best_score, &base.best_matched_score];
            rules.chain(scores).chain(margins)
        });
        let Some(query) = answers::only_vector(Kind::Kb, answers, keys, report) else {
            return;
        };

        let scores = bases.map(|base| base.conclude(query, &self.by, report));
        let best = scores.fold(0.0, f64::max);
        ran(report, Kind::Kb, best);
    }
}

/// The index of the highest score, of equals the first.
fn first_highest(scores: &[f64]) -> Option<usize> {
    let scores = scores.iter().enumerate();
    scores
        .reduce(|held, next| if next.1 > held.1 { next } else { held })
        .map(|(at, _)| at)
}

fn groups(
    building: &mut Building<'_>,
    path: &str,
    groups: &BTreeMap<String, Vec<String>>,
    labels: &[Label],
) -> Vec<Group> {
    let mut built = Vec::new();
    for (name, members) in groups {
        let mut known = Vec::new();
        for member in members {
            match labels.iter().position(|label| label.name == *member) {
                Some(at) => known.push(at),
                None => building.findings.warn(
                    format!("{path}.groups.{name}"),
                    format!("no label is called `{member}`"),
                ),
            }
        }
        built.push(Group {
            name: name.clone(),
            members: known,
        });
    }
    built
}

/// The labels on disk, or those built in under the same path.
fn manifest(building: &mut Building<'_>, path: &str, base: &KnowledgeBase) -> Option<Manifest> {
    let folder = base.source.path.trim();
    let name = Some(base.source.manifest.trim())
        .filter(|name| !name.is_empty())
        .unwrap_or(MANIFEST);
    let text = match building.deps.catalog.text(&Path::new(folder).join(name)) {
        Ok(text) => text,
        Err(error) => match built_in(folder).filter(|_| name == MANIFEST) {
            Some(text) => text.to_owned(),
            None => {
                building
                    .findings
                    .error(format!("{path}.source"), error.to_string());
                return None;
            }
        },
    };
    let parsed = serde_json::from_str(&text);
    parsed
        .map_err(|error| {
            building.findings.error(
                format!("{path}.source"),
                format!("`{name}` is no manifest: {error}"),
            )
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_is_best() {
        assert_eq!(first_highest(&[0.1, 0.5, 0.5]), Some(1));
        assert_eq!(first_highest(&[-0.2]), Some(0));
        assert_eq!(first_highest(&[]), None);
    }
}
