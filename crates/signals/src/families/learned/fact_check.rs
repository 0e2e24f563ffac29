//! Whether an answer rests on facts that can be checked. One head on the evaluation text; exactly
//! one of two labels.
//!
//! ```yaml
//! routing:
//!   signals:
//!     fact_check: [{name: needs_fact_check}]
//! ```
//!
//! Also a request without text needs no check. A threshold of 0 or less means 0.7, as in the
//! reference; where the module sets none, that of the model's card is taken, then 0.6. When the
//! model fails, neither label is emitted.

use super::label::check_labels;
use super::models::check_module;
use super::{Building, Head, Learned, SignalInput, answers, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::scope::Scope;
use crate::wanted::Asked;
use document::Findings;
use inference::ask::{Outcome, Over, Question, What};
use inference::catalog::Task;
use inference::handle::Classifier;

const NEEDED: &str = "needs_fact_check";
const NOT_NEEDED: &str = "no_fact_check_needed";

/// Reports names that are no label, and a module that leaves the rules without effect.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    check_labels(scope, Kind::FactCheck, Task::FactCheck, findings);
    let asked = Asked::classifier(scope.models, Task::FactCheck);
    check_module(scope, Kind::FactCheck, &asked, findings);
}

/// Compiles the family; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let rules = &building.scope.signals.fact_check;
    let asked = Asked::classifier(building.scope.models, Task::FactCheck);
    if rules.is_empty() || asked.is_off() {
        return None;
    }
    let by = building.classifier(Kind::FactCheck, Task::FactCheck, &asked);
    if by.labels.len() != 2 {
        let message = format!(
            "`{}` has {} labels; a fact check has two, and the second one asks for it",
            by.name,
            by.labels.len()
        );
        building.findings.error(asked.path, message);
    }
    let named = by
        .labels
        .iter()
        .position(|label| label.eq_ignore_ascii_case(NEEDED));
    let threshold = asked.threshold(by.threshold);
    let mut key = |name: &str| {
        rules
            .iter()
            .any(|rule| rule.name == name)
            .then(|| building.keys.intern(Kind::FactCheck, name))
    };
    let (needed, not_needed) = (key(NEEDED), key(NOT_NEEDED));
    let keys = needed.into_iter().chain(not_needed);
    let head = Head::new(Kind::FactCheck, by.cost, keys);
    Some(Box::new(FactCheckSignal {
        by,
        class: named.unwrap_or(1),
        threshold,
        needed,
        not_needed,
        head,
    }))
}

/// The two labels, as far as they are declared.
struct FactCheckSignal {
    by: Classifier,
    /// The class that asks for a check.
    class: usize,
    threshold: f32,
    needed: Option<Key>,
    not_needed: Option<Key>,
    head: Head,
}

impl Learned for FactCheckSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        input.ask(What::Labels(self.by.clone(), Over::Sample))
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let mut best = None;
        if !answers.is_empty() {
            match answers::row(
                Kind::FactCheck,
                answers.first(),
                self.by.labels.len(),
                report,
            ) {
                Ok(row) => best = row.and_then(answers::top),
                Err(error) => return answers::fail_all(&self.head.keys, &error, report),
            }
        }
        let needs = best.is_some_and(|(class, probability)| {
            class == self.class && probability >= self.threshold
        });
        if let Some(key) = if needs { self.needed } else { self.not_needed } {
            report.emit(key);
        }
        ran(
            report,
            Kind::FactCheck,
            best.map_or(0.0, |(_, probability)| f64::from(probability)),
        );
    }
}
