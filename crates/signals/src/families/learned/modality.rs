//! Whether a text or an image is wanted: `AR`, `DIFFUSION` or `BOTH`. By words, by a head on the
//! evaluation text, or by both.
//!
//! ```yaml
//! global:
//!   model_catalog:
//!     modules:
//!       modality_detector: {enabled: true, method: hybrid, keywords: [image, picture], both_keywords: [explain and draw]}
//! routing:
//!   signals:
//!     modality: [{name: DIFFUSION}]
//! ```
//!
//! Nothing is emitted unless the detector is enabled. The label is emitted by the first rule of
//! that name in any case; its confidence shows in the family's metric only. Words are read in the
//! head, middle and tail of a long text; `both_keywords` count only beside one of `keywords`.

use super::label::check_labels;
use super::{Building, Head, Learned, SignalInput, answers, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::scope::Scope;
use crate::wanted::Asked;
use document::Findings;
use inference::ask::{Outcome, Over, Question, What};
use inference::catalog::Task;
use inference::handle::{Classifier, Cost};

const LABELS: [&str; 3] = ["AR", "DIFFUSION", "BOTH"];
const AR: usize = 0;
const DIFFUSION: usize = 1;
const BOTH: usize = 2;
/// Also the ratio, where the document says none.
const THRESHOLD: f32 = 0.7;

/// Reports names that are no label, and a detector that leaves the rules without effect.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    check_labels(scope, Kind::Modality, Task::Modality, findings);
    let detector = scope.models.modules.modality_detector.as_ref();
    let detects = detector.is_some_and(|module| module.enabled);
    if !scope.signals.modality.is_empty() && !detects {
        let message = "nothing is emitted unless `global.model_catalog.modules.modality_detector.enabled` is true";
        findings.warn(scope.at("signals.modality"), message);
    }
}

/// Compiles the family; nothing without rules or with the detector off.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = &building.scope.signals.modality;
    let detector = building.scope.models.modules.modality_detector.as_ref()?;
    if declared.is_empty() || !detector.enabled {
        return None;
    }
    let key = |label: &str, building: &mut Building<'_>| {
        let rule = declared
            .iter()
            .find(|rule| rule.name.eq_ignore_ascii_case(label))?;
        Some(building.keys.intern(Kind::Modality, &rule.name))
    };
    let rules = LABELS.map(|label| key(label, building));
    let lower = |words: &[String]| words.iter().map(|word| word.to_lowercase()).collect();
    let words = Words {
        image: lower(&detector.keywords),
        both: lower(&detector.both_keywords),
    };
    let asks = detector.method != "keyword";
    let model = asks.then(|| {
        let asked = Asked::classifier(building.scope.models, Task::Modality);
        let by = building.classifier(Kind::Modality, Task::Modality, &asked);
        let known = |label: &str| {
            LABELS
                .iter()
                .position(|known| known.eq_ignore_ascii_case(label.trim()))
        };
        let classes: Vec<Option<usize>> = by.labels.iter().map(|label| known(label)).collect();
        if classes.contains(&None) {
            building.findings.error(
                asked.path,
                format!("`{}` has other labels than AR, DIFFUSION and BOTH", by.name),
            );
        }
        let classes = classes
            .into_iter()
            .map(|label| label.unwrap_or(AR))
            .collect();
        Model { by, classes }
    });
    let cost = model.as_ref().map_or(Cost::Rules, |model| model.by.cost);
    let head = Head::new(Kind::Modality, cost, rules.into_iter().flatten());
    let usual = |number: f32| f64::from(if number > 0.0 { number } else { THRESHOLD });
    Some(Box::new(ModalitySignal {
        words: (detector.method != "classifier" && !detector.method.is_empty()).then_some(words),
        model,
        threshold: usual(detector.confidence_threshold),
        lower: usual(detector.confidence_threshold) * usual(detector.lower_threshold_ratio),
        rules,
        head,
    }))
}

/// The detector of one recipe.
struct ModalitySignal {
    /// `None` if only the model is asked.
    words: Option<Words>,
    /// `None` if only words count.
    model: Option<Model>,
    /// Probability at which the model decides, and that which suffices where the words differ.
    threshold: f64,
    lower: f64,
    /// In the order of [`LABELS`].
    rules: [Option<Key>; 3],
    head: Head,
}

struct Model {
    by: Classifier,
    /// The label of each class.
    classes: Vec<usize>,
}

/// Words, lower case.
struct Words {
    image: Vec<String>,
    both: Vec<String>,
}

impl Words {
    fn detect(&self, text: &str) -> (usize, f64) {
        let text = text.to_lowercase();
        let says = |words: &[String]| words.iter().any(|word| text.contains(word.as_str()));
        match (says(&self.image), says(&self.both)) {
            (false, _) => (AR, 0.8),
            (true, true) => (BOTH, 0.75),
            (true, false) => (DIFFUSION, 0.8),
        }
    }
}

impl Learned for ModalitySignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        let asks = |model: &Model| input.ask(What::Labels(model.by.clone(), Over::Sample));
        self.model.as_ref().map(asks).unwrap_or_default()
    }

    fn conclude(&self, input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let text = input.windowed();
        if input.is_sampled() {
            report.doubt(&self.head.keys);
        }
        let (label, confidence) = if text.is_empty() {
            (AR, 1.0)
        } else {
            let by_words = self.words.as_ref().map(|words| words.detect(text));
            self.weigh(by_words, self.hear(answers, by_words.is_some(), report))
        };
        if let Some(key) = self.rules[label] {
            if report.is_failed(key) {
                report.assume(key);
            } else {
                report.emit(key);
            }
        }
        ran(report, Kind::Modality, confidence);
    }
}

impl ModalitySignal {
    /// The model's label and its probability. Where words can stand in for it, a failure is noted
    /// and is none for leaves.
    fn hear(
        &self,
        answers: &[Outcome],
        has_words: bool,
        report: &mut SignalReport,
    ) -> Option<(usize, f64)> {
        let model = self.model.as_ref()?;
        if answers.is_empty() {
            return None;
        }
        match answers::row(Kind::Modality, answers.first(), model.classes.len(), report) {
            Ok(row) => {
                let (class, probability) = row.and_then(answers::top)?;
                Some((model.classes[class], f64::from(probability)))
            }
            Err(error) => {
                if !has_words {
                    answers::fail_all(&self.head.keys, &error, report);
                }
                None
            }
        }
    }

    fn weigh(&self, words: Option<(usize, f64)>, model: Option<(usize, f64)>) -> (usize, f64) {
        match (words, model) {
            (None, None) => (AR, 0.0),
            (Some(words), None) => words,
            (None, Some(model)) => model,
            (Some(_), Some(model)) if model.1 >= self.threshold => model,
            (Some(words), Some(model)) if words.0 == model.0 => {
                (words.0, f64::midpoint(words.1, model.1))
            }
            (Some(_), Some(model)) if model.1 >= self.lower => model,
            (Some(words), Some(_)) => words,
        }
    }
}
