//! Operational events named in the evaluation text (head, middle and tail of a long one).
//!
//! Use it for alerts and pipelines that write requests themselves: event words, severities, action
//! codes, urgency.
//!
//! ```yaml
//! routing:
//!   signals:
//!     events:
//!       - name: payment_incident
//!         event_types: [payment_failed]
//!         severities: [critical, high]
//!         temporal: true
//! ```
//!
//! One of up to four criteria is enough to match; each further one raises the confidence. All words
//! of all rules are one pattern set.

use super::keyword::bounded_pattern;
use super::pattern::PatternSet;
use super::{Building, Signal, SignalError, SignalInput, Watch, beside, ran};
use crate::report::{Key, Kind, SignalReport};
use document::suggestion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const TEMPORAL: &str =
    r"(?i)(?-u:\b)(?:urgent|immediate|asap|deadline|time.sensitive|now|critical.window)(?-u:\b)";

/// An operational event.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Event words.
    pub event_types: Vec<String>,
    /// `critical`, `high`, `medium`, `low`.
    #[schemars(with = "Vec<String>")]
    pub severities: Vec<Severity>,
    /// Action codes.
    pub action_codes: Vec<String>,
    /// Look for words of urgency.
    pub temporal: bool,
}

/// A severity that an event rule looks for, in any case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "String", into = "String")]
pub enum Severity {
    /// `critical`.
    Critical,
    /// `high`.
    High,
    /// `medium`.
    Medium,
    /// `low`.
    Low,
    /// No severity; it is passed over, as in the reference.
    Unknown(String),
}

impl Severity {
    const WORDS: [(&'static str, Self); 4] = [
        ("critical", Self::Critical),
        ("high", Self::High),
        ("medium", Self::Medium),
        ("low", Self::Low),
    ];

    /// Returns the word that is looked for.
    fn word(&self) -> Option<&'static str> {
        let mut words = Self::WORDS.into_iter();
        words.find_map(|(word, severity)| (severity == *self).then_some(word))
    }
}

impl From<String> for Severity {
    fn from(written: String) -> Self {
        let folded = written.trim().to_lowercase();
        let known = Self::WORDS.into_iter().find(|(word, _)| *word == folded);
        known.map_or(Self::Unknown(written), |(_, severity)| severity)
    }
}

impl From<Severity> for String {
    fn from(severity: Severity) -> Self {
        match (severity.word(), severity) {
            (Some(word), _) => word.to_owned(),
            (None, Severity::Unknown(written)) => written,
            (None, _) => Self::new(),
        }
    }
}

/// Compiles the event rules; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.events;
    if declared.is_empty() {
        return None;
    }

    let mut patterns = Vec::new();
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        let at = building.scope.rule(Kind::Event, index);
        rules.push(rule.compile(&at, building, &mut patterns));
    }

    let slots = patterns.len();
    match PatternSet::build(&patterns) {
        Ok(patterns) => Some(Box::new(EventSignal {
            rules,
            slots,
            patterns,
        })),
        Err(error) => {
            let path = building.scope.at("signals.events");
            building.findings.error(path, error.to_string());
            None
        }
    }
}

impl EventRule {
    /// Adds the rule's patterns to those of all rules, each with a slot of its own.
    fn compile(
        &self,
        at: &str,
        building: &mut Building<'_>,
        patterns: &mut Vec<(String, usize)>,
    ) -> Rule {
        self.check(at, building);

        let named = |list: &[String]| -> Vec<String> {
            let words = list.iter().map(|word| word.trim());
            let words = words.filter(|word| !word.is_empty());
            words.map(bounded_pattern).collect()
        };
        let severities = self.severities.iter().filter_map(Severity::word);
        let severities = severities.map(bounded_pattern).collect();
        let temporal = self.temporal.then(|| TEMPORAL.to_owned());

        let key = building.keys.intern(Kind::Event, &self.name);
        let mut value = |suffix: &str| {
            let name = format!("{}:{suffix}", self.name);
            Some(building.keys.intern(Kind::Event, &name))
        };
        let sources = [
            (named(&self.event_types), None),
            (severities, value("severity")),
            (named(&self.action_codes), None),
            (temporal.into_iter().collect(), value("temporal")),
        ];

        let mut criteria = Vec::new();
        for (list, value) in sources.into_iter().filter(|(list, _)| !list.is_empty()) {
            let first = patterns.len();
            for pattern in list {
                patterns.push((pattern, patterns.len()));
            }
            criteria.push(Criterion {
                slots: first..patterns.len(),
                value,
            });
        }
        Rule { key, criteria }
    }

    fn check(&self, at: &str, building: &mut Building<'_>) {
        let findings = &mut *building.findings;
        if self.event_types.is_empty()
            && self.severities.is_empty()
            && self.action_codes.is_empty()
            && !self.temporal
        {
            findings.warn(at, "no criterion is given, so the rule never matches");
        }
        for (index, severity) in self.severities.iter().enumerate() {
            let Severity::Unknown(written) = severity else {
                continue;
            };
            let hint = suggestion(written, Severity::WORDS.map(|(word, _)| word));
            findings.warn(
                format!("{at}.severities[{index}]"),
                format!("`{written}` is no severity and is passed over{hint}"),
            );
        }
    }
}

/// The event family of one recipe.
struct EventSignal {
    rules: Vec<Rule>,
    slots: usize,
    patterns: PatternSet,
}

struct Rule {
    key: Key,
    /// Criteria that are configured: the slots of their patterns; one must be found.
    criteria: Vec<Criterion>,
}

struct Criterion {
    slots: std::ops::Range<usize>,
    /// Where its own value is stored, if it has one.
    value: Option<Key>,
}

impl Signal for EventSignal {
    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        let mut hits = vec![false; self.slots];
        let unread = self
            .patterns
            .mark(input.windowed(), || input.is_late(), &mut hits);
        if input.is_sampled() || !unread.is_empty() {
            let keys: Vec<Key> = self.rules.iter().map(|rule| rule.key).collect();
            report.doubt(&keys);
        }
        let mut best: f64 = 0.0;
        for rule in &self.rules {
            let is_met = |criterion: &&Criterion| {
                hits.get(criterion.slots.clone())
                    .unwrap_or_default()
                    .contains(&true)
            };
            let met: Vec<&Criterion> = rule.criteria.iter().filter(is_met).collect();
            if met.is_empty() {
                continue;
            }
            let confidence = 0.5 + 0.5 * met.len() as f64 / rule.criteria.len() as f64;
            report.emit(rule.key);
            report.set_confidence(rule.key, confidence);
            for value in met.iter().filter_map(|criterion| criterion.value) {
                report.set_value(value, 1.0);
            }
            best = best.max(confidence);
        }
        ran(report, Kind::Event, best);
        Ok(())
    }

    fn doubt_unread(
        &self,
        input: &SignalInput<'_>,
        watched: &[Watch],
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        beside::reread_turn(self, input, watched, report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::tests::compiled;
    use crate::families::{Deps, Signals};
    use crate::report::Keys;
    use dialects::Prompt;

    fn rule(types: &[&str], severities: &[&str], codes: &[&str], temporal: bool) -> EventRule {
        let list =
            |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).into()).collect() };
        EventRule {
            name: "r".into(),
            event_types: list(types),
            severities: list(severities).into_iter().map(Severity::from).collect(),
            action_codes: list(codes),
            temporal,
            ..EventRule::default()
        }
    }

    /// Confidence of a match, and whether severity and temporal values are stored.
    fn check(rule: &EventRule, text: &str, expected: Option<(f64, bool, bool)>) {
        let mut keys = Keys::default();
        let signals = Signals {
            events: vec![rule.clone()],
            ..Signals::default()
        };
        let signal = compiled(&signals, &mut keys, &Deps::default());
        let mut prompt = Prompt::default();
        prompt.texts.evaluation = text.into();
        let mut report = SignalReport::new(&keys);
        signal
            .evaluate(&SignalInput::new(&prompt, None), &mut report)
            .unwrap();
        let key = |name| keys.get(Kind::Event, name).unwrap();
        assert_eq!(report.is_matched(key("r")), expected.is_some(), "{text}");
        let confidence = report.confidence(key("r"));
        let (wanted, severity, temporal) =
            expected.map_or((None, false, false), |(c, s, t)| (Some(c), s, t));
        assert_eq!(
            confidence.map(|c| (c * 1e6).round()),
            wanted.map(|c| (c * 1e6).round()),
            "{text}"
        );
        assert_eq!(
            report.value(key("r:severity")),
            severity.then_some(1.0),
            "{text}"
        );
        assert_eq!(
            report.value(key("r:temporal")),
            temporal.then_some(1.0),
            "{text}"
        );
        assert_eq!(report.value(key("r")), None);
    }

    #[test]
    fn criteria() {
        let incident = rule(&["payment_failed"], &["critical", "high"], &[], true);
        check(
            &incident,
            "HIGH: payment_failed at node 3",
            Some((0.833_333, true, false)),
        );
        check(
            &incident,
            "payment_failed, critical, now",
            Some((1.0, true, true)),
        );
        check(
            &incident,
            "do it time-sensitive",
            Some((0.666_667, false, true)),
        );
        check(&incident, "highly payment_failed2", None);
        check(&incident, "", None);
        check(
            &rule(&[], &[" LOW ", "unknown"], &[], false),
            "low",
            Some((1.0, true, false)),
        );
        check(&rule(&[], &["unknown"], &[], false), "unknown", None);
        check(
            &rule(&["", " "], &[], &["PAY-01"], false),
            "see pay-01.",
            Some((1.0, false, false)),
        );
        check(&rule(&[], &[], &["ERR!"], false), "xERR! now", None);
        for text in ["ERR! now", "ERR!x"] {
            let found = Some((1.0, false, false));
            check(&rule(&[], &[], &["ERR!"], false), text, found);
        }
        check(&rule(&["x"], &[], &[], true), "immediately", None);
        check(&rule(&["x"], &[], &[], true), "critical\nwindow", None);
        check(&rule(&[], &[], &[], false), "anything", None);
    }

    #[test]
    fn words_of_other_scripts_have_boundaries_of_their_own() {
        check(
            &rule(&["ошибка"], &[], &[], false),
            "Ошибка!",
            Some((1.0, false, false)),
        );
        check(
            &rule(&["支付失败"], &[], &[], false),
            "节点支付失败了",
            Some((1.0, false, false)),
        );
    }

    #[test]
    fn long_texts_are_sampled() {
        let incident = rule(&["boom"], &[], &[], false);
        check(
            &incident,
            &format!("{} boom", "x".repeat(3000)),
            Some((1.0, false, false)),
        );
        check(
            &incident,
            &format!("{} boom {}", "x".repeat(1000), "x".repeat(9000)),
            None,
        );
    }
}
