//! What the user thinks of the last answer. One head on the evaluation text, and only after an assistant's message.
//!
//! ```yaml
//! routing:
//!   signals:
//!     user_feedbacks: [{name: wrong_answer}, {name: need_clarification}]
//! ```
//!
//! Kept from the reference: below the threshold, and for a class that it does not know, the label is `satisfied`. A threshold
//! of 0 or less means 0.5; where the module sets none, that of the model's card is taken, then 0.7.

use super::models::{Building, Source};
use super::{Learned, SignalInput, answers, ran};
use crate::report::{Key, Kind, SignalReport};
use inference::ask::{Outcome, Over, Question, What};
use inference::catalog::Task;
use inference::handle::{Classifier, Cost};

const LABELS: [&str; 4] = ["satisfied", "need_clarification", "wrong_answer", "want_different"];
const THRESHOLD: f32 = 0.7;
const THRESHOLD_OF_ZERO: f32 = 0.5;

/// Compiles the family; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let rules = &building.routing.signals.user_feedbacks;
    let catalog = &building.document.global.model_catalog;
    let module = catalog.modules.feedback_detector.as_ref();
    if rules.is_empty() || module.is_some_and(|module| module.enabled == Some(false)) {
        return None;
    }
    let source = Source {
        path: "global.model_catalog.modules.feedback_detector",
        module,
        system: &catalog.system.feedback_detector,
        mapping: module.map_or("", |module| &module.feedback_mapping_path),
    };
    let by = building.classifier(Kind::UserFeedback, Task::UserFeedback, &source);
    let threshold = match module.and_then(|module| module.threshold) {
        Some(threshold) if threshold <= 0.0 => THRESHOLD_OF_ZERO,
        Some(threshold) => threshold,
        None => by.threshold.unwrap_or(THRESHOLD),
    };
    let mut key = |label: &str| {
        rules.iter().any(|rule| rule.name == label).then(|| building.keys.intern(Kind::UserFeedback, label))
    };
    let satisfied = key(LABELS[0]);
    let classes: Vec<Option<Key>> = by.labels.iter().map(|label| key(known(label))).collect();
    let mut keys: Vec<Key> = classes.iter().flatten().copied().chain(satisfied).collect();
    keys.sort_unstable();
    keys.dedup();
    Some(Box::new(FeedbackSignal { by, classes, satisfied, threshold, keys }))
}

/// The document's name of a model's label.
fn known(label: &str) -> &'static str {
    let label = label.trim().to_lowercase();
    LABELS.into_iter().find(|known| *known == label).unwrap_or(LABELS[0])
}

/// The labels, as far as they are declared.
struct FeedbackSignal {
    by: Classifier,
    classes: Vec<Option<Key>>,
    satisfied: Option<Key>,
    threshold: f32,
    keys: Vec<Key>,
}

impl Learned for FeedbackSignal {
    fn kind(&self) -> Kind {
        Kind::UserFeedback
    }

    fn cost(&self) -> Cost {
        self.by.cost
    }

    fn keys(&self) -> &[Key] {
        &self.keys
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        let text = input.evaluation();
        if !input.prompt.texts.assistant_replied || text.trim().is_empty() {
            return Vec::new();
        }
        vec![Question::new(text.clone(), What::Labels(self.by.clone(), Over::Sample))]
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        if answers.is_empty() {
            return ran(report, Kind::UserFeedback, 0.0);
        }
        let best = match answers::row(Kind::UserFeedback, answers.first(), self.classes.len(), report) {
            Ok(row) => row.and_then(answers::top),
            Err(error) => return answers::fail_all(&self.keys, &error, report),
        };
        let Some((class, probability)) = best else {
            return ran(report, Kind::UserFeedback, 0.0);
        };
        let label = if probability < self.threshold { self.satisfied } else { self.classes[class] };
        if let Some(key) = label {
            report.emit(key);
        }
        ran(report, Kind::UserFeedback, f64::from(probability));
    }
}
