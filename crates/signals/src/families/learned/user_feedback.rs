//! What the user thinks of the last answer. One head on the evaluation text, and only after an
//! assistant's message.
//!
//! ```yaml
//! routing:
//!   signals:
//!     user_feedbacks: [{name: wrong_answer}, {name: need_clarification}]
//! ```
//!
//! Kept from the reference: below the threshold, and for a class that it does not know, the label
//! is `satisfied`. A threshold of 0 or less means 0.5; where the module sets none, that of the
//! model's card is taken, then 0.7.

use super::label::check_labels;
use super::models::check_module;
use super::{Building, Head, Learned, SignalInput, answers, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::scope::Scope;
use crate::wanted::Asked;
use document::Findings;
use inference::ask::{Outcome, Over, Question, What};
use inference::catalog::{Task, labels};
use inference::handle::Classifier;

const SATISFIED: &str = "satisfied";

/// Reports names that are no label, and a module that leaves the rules without effect.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    check_labels(scope, Kind::UserFeedback, Task::UserFeedback, findings);
    let asked = Asked::classifier(scope.models, Task::UserFeedback);
    check_module(scope, Kind::UserFeedback, &asked, findings);
}

/// Compiles the family; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let rules = &building.scope.signals.user_feedbacks;
    let asked = Asked::classifier(building.scope.models, Task::UserFeedback);
    if rules.is_empty() || asked.is_off() {
        return None;
    }
    let by = building.classifier(Kind::UserFeedback, Task::UserFeedback, &asked);
    let threshold = asked.threshold(by.threshold);
    let mut key = |label: &str| {
        rules
            .iter()
            .any(|rule| rule.name == label)
            .then(|| building.keys.intern(Kind::UserFeedback, label))
    };
    let satisfied = key(SATISFIED);
    let classes: Vec<Option<Key>> = by.labels.iter().map(|label| key(known(label))).collect();
    let mut keys: Vec<Key> = classes.iter().flatten().copied().chain(satisfied).collect();
    keys.sort_unstable();
    keys.dedup();
    let head = Head::new(Kind::UserFeedback, by.cost, keys);
    Some(Box::new(FeedbackSignal {
        by,
        classes,
        satisfied,
        threshold,
        head,
    }))
}

/// The document's name of a model's label.
fn known(label: &str) -> &'static str {
    let label = label.trim().to_lowercase();
    labels(Task::UserFeedback)
        .iter()
        .copied()
        .find(|known| *known == label)
        .unwrap_or(SATISFIED)
}

/// The labels, as far as they are declared.
struct FeedbackSignal {
    by: Classifier,
    classes: Vec<Option<Key>>,
    satisfied: Option<Key>,
    threshold: f32,
    head: Head,
}

impl Learned for FeedbackSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        if !input.prompt.texts.assistant_replied {
            return Vec::new();
        }
        input.ask(What::Labels(self.by.clone(), Over::Sample))
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        if answers.is_empty() {
            return ran(report, Kind::UserFeedback, 0.0);
        }
        let best = match answers::row(
            Kind::UserFeedback,
            answers.first(),
            self.classes.len(),
            report,
        ) {
            Ok(row) => row.and_then(answers::top),
            Err(error) => return answers::fail_all(&self.head.keys, &error, report),
        };
        let Some((class, probability)) = best else {
            return ran(report, Kind::UserFeedback, 0.0);
        };
        let label = if probability < self.threshold {
            self.satisfied
        } else {
            self.classes[class]
        };
        if let Some(key) = label {
            report.emit(key);
        }
        ran(report, Kind::UserFeedback, f64::from(probability));
    }
}
