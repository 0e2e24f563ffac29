//! Classifiers of the operator's own: a model folder, or an external model that is asked for a
//! label. One question each, on the evaluation text.
//!
//! ```yaml
//! routing:
//!   signals:
//!     classifiers:
//!       - {name: tool_risk, type: local, model_path: models/tool-risk, labels: [SAFE, RISKY]}
//! ```
//!
//! Never a match by itself: decisions compare the probability of a label (`label` and `predicate`).
//! Any number of local classifiers is allowed, with any number of labels, where the reference has
//! one binary one. Declared labels that the model does not have are refused when the document is
//! loaded. Failures are recorded under the rule's name, for leaves with `on_error`.

use super::models::remote_classifier;
use super::{Building, Head, Learned, SignalInput, answers, ran};
use crate::catalog::ExternalModel;
use crate::report::{Key, Kind, SignalReport};
use crate::scope::Scope;
use document::{Findings, suggestion};
use inference::ask::{Failure, Outcome, Over, Question, What};
use inference::handle::Classifier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A classifier of the operator's own.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `local` (a model folder) or `llm` (an external model that is asked).
    #[serde(rename = "type")]
    pub kind: Option<ClassifierKind>,
    /// Folder of a `local` classifier.
    pub model_path: String,
    /// Name in `global.model_catalog.external` of an `llm` classifier.
    pub model: String,
    /// All labels.
    pub labels: Vec<String>,
    /// What the `llm` classifier is told.
    pub instructions: String,
    /// Run on the CPU.
    pub use_cpu: bool,
    /// Known, without effect: a model is never asked for its reasons.
    pub disable_rationale: bool,
}

/// What classifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassifierKind {
    /// A model folder.
    Local,
    /// An external model that is asked.
    Llm,
    /// A deployment of `global.model_catalog`. Known, and not run: it never gives a label.
    SequenceClassifier,
}

impl ClassifierRule {
    fn check(&self, at: &str, external: &[ExternalModel], findings: &mut Findings) {
        match self.kind {
            None => findings.error(at, "`type` is missing; known: local, llm"),
            Some(ClassifierKind::Local) if self.model_path.is_empty() => {
                findings.error(at, "a `local` classifier needs `model_path`");
            }
            Some(ClassifierKind::Llm) if !external.iter().any(|it| it.name == self.model) => {
                let hint = suggestion(&self.model, external.iter().map(|it| it.name.as_str()));
                findings.error(
                    format!("{at}.model"),
                    format!("no external model is called `{}`{hint}", self.model),
                );
            }
            Some(_) => {}
        }
        if self.labels.len() < 2 {
            findings.error(at, "`labels` names at least two labels");
        }
    }
}

/// Reports what is wrong with the rules.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.signals.classifiers.iter().enumerate() {
        let at = scope.rule(Kind::Classifier, index);
        rule.check(&at, &scope.models.external, findings);
    }
}

/// Compiles each rule into a group of its own, as each has its own model.
pub(super) fn build(building: &mut Building<'_>) -> Vec<Box<dyn Learned>> {
    let rules = building.scope.signals.classifiers.iter().enumerate();
    rules
        .filter_map(|(index, rule)| one(building, index, rule))
        .collect()
}

fn one(
    building: &mut Building<'_>,
    index: usize,
    rule: &ClassifierRule,
) -> Option<Box<dyn Learned>> {
    if rule.kind == Some(ClassifierKind::SequenceClassifier) {
        return None;
    }
    let path = building.scope.rule(Kind::Classifier, index);
    let by = if rule.kind == Some(ClassifierKind::Llm) {
        let external = &building.scope.models.external;
        let model = external.iter().find(|model| model.name == rule.model)?;
        let wanted = remote_classifier(model, rule.labels.clone(), &rule.instructions);
        building.remote_classifier(Kind::Classifier, &path, &wanted)
    } else {
        building.own_classifier(
            Kind::Classifier,
            &format!("{path}.model_path"),
            &rule.model_path,
        )
    };
    let mut labels = Vec::new();
    for label in &rule.labels {
        let class = by.labels.iter().position(|known| **known == **label);
        // Without a model nothing is known of its labels.
        if class.is_none() && (by.backing.is_some() || !by.labels.is_empty()) {
            let known = by.labels.join(", ");
            building.findings.error(
                format!("{path}.labels"),
                format!("`{}` has no label `{label}`; it has {known}", by.name),
            );
        }
        let key = building
            .keys
            .intern(Kind::Classifier, &format!("{}:{label}", rule.name));
        labels.push((key, class));
    }
    let key = building.keys.intern(Kind::Classifier, &rule.name);
    let keys = labels.iter().map(|(key, _)| *key).chain([key]);
    let head = Head::new(Kind::Classifier, by.cost, keys);
    Some(Box::new(ClassifierSignal {
        by,
        key,
        labels,
        head,
    }))
}

/// One classifier.
struct ClassifierSignal {
    by: Classifier,
    /// Where failures are recorded.
    key: Key,
    /// The declared labels, each with its class.
    labels: Vec<(Key, Option<usize>)>,
    head: Head,
}

impl Learned for ClassifierSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        input.ask(What::Labels(self.by.clone(), Over::Sample))
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        if answers.is_empty() {
            return ran(report, Kind::Classifier, 0.0);
        }
        let row = match answers::row(
            Kind::Classifier,
            answers.first(),
            self.by.labels.len(),
            report,
        ) {
            Ok(row) => row.unwrap_or_default(),
            Err(_) => return report.fail(self.key, reason(answers.first())),
        };
        if row.iter().any(|score| !score.is_finite()) {
            report.degrade(Kind::Classifier, "failed");
            return report.fail(self.key, "classifier_invalid_score");
        }
        if row.is_empty() {
            return ran(report, Kind::Classifier, 0.0);
        }
        for &(key, class) in &self.labels {
            let score = class
                .and_then(|class| row.get(class))
                .map_or(0.0, |score| f64::from(*score));
            report.set_value(key, score);
            report.set_confidence(key, score);
        }
        let highest = report.families[Kind::Classifier as usize].confidence;
        let own = answers::top(row).map_or(0.0, |(_, score)| f64::from(score));
        ran(report, Kind::Classifier, highest.max(own));
    }
}

/// The error's name in the reports of the reference. A question that was shed was withdrawn.
fn reason(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        Some(Err(Failure::TimedOut)) => "classifier_evaluation_timeout",
        Some(Err(Failure::Shed)) => "classifier_evaluation_cancelled",
        _ => "classifier_evaluation_failed",
    }
}
