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
use super::{Problem, Signal, SignalError, SignalInput, ran};
use crate::config::signals::EventRule;
use crate::report::{Key, Keys, Kind, SignalReport};

const SEVERITIES: [&str; 4] = ["critical", "high", "medium", "low"];
const TEMPORAL: &str =
    r"(?i)(?-u:\b)(?:urgent|immediate|asap|deadline|time.sensitive|now|critical.window)(?-u:\b)";

/// Compiles the event rules; nothing without rules.
pub(super) fn build(
    rules: &[EventRule],
    keys: &mut Keys,
    problems: &mut Vec<Problem>,
) -> Option<Box<dyn Signal>> {
    if rules.is_empty() {
        return None;
    }
    let mut patterns = Vec::new();
    let rules = rules
        .iter()
        .map(|rule| Rule::build(rule, keys, &mut patterns))
        .collect();
    let slots = patterns.len();
    match PatternSet::build(&patterns) {
        Ok(patterns) => Some(Box::new(EventSignal {
            rules,
            slots,
            patterns,
        })),
        Err(error) => {
            problems.push(Problem {
                path: "routing.signals.events".into(),
                message: error.to_string(),
            });
            None
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
    /// Criteria that are configured: the slots of their patterns, one of which must be found.
    criteria: Vec<Criterion>,
}

struct Criterion {
    slots: std::ops::Range<usize>,
    /// Where its own value is stored, if it has one.
    value: Option<Key>,
}

impl Rule {
    fn build(rule: &EventRule, keys: &mut Keys, patterns: &mut Vec<(String, usize)>) -> Self {
        let known = |severity: &String| {
            SEVERITIES
                .into_iter()
                .find(|known| *known == severity.trim().to_lowercase())
        };
        let words = |list: &[String]| {
            list.iter()
                .map(|word| bounded_pattern(word.trim()))
                .collect::<Vec<_>>()
        };
        let named = |list: &[String]| {
            let kept: Vec<String> = list
                .iter()
                .filter(|word| !word.trim().is_empty())
                .cloned()
                .collect();
            words(&kept)
        };
        let severities = rule
            .severities
            .iter()
            .filter_map(known)
            .map(bounded_pattern)
            .collect();
        let temporal = if rule.temporal {
            vec![TEMPORAL.to_owned()]
        } else {
            Vec::new()
        };
        let key = keys.intern(Kind::Event, &rule.name);
        let value = |suffix: &str, keys: &mut Keys| {
            Some(keys.intern(Kind::Event, &format!("{}:{suffix}", rule.name)))
        };
        let sources = [
            (named(&rule.event_types), None),
            (severities, value("severity", keys)),
            (named(&rule.action_codes), None),
            (temporal, value("temporal", keys)),
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
        Self { key, criteria }
    }
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
        self.patterns.mark(input.windowed(), &mut hits);
        if input.is_sampled() {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialects::Prompt;

    fn rule(types: &[&str], severities: &[&str], codes: &[&str], temporal: bool) -> EventRule {
        let list = |words: &[&str]| words.iter().map(|word| (*word).into()).collect();
        EventRule {
            name: "r".into(),
            event_types: list(types),
            severities: list(severities),
            action_codes: list(codes),
            temporal,
            ..EventRule::default()
        }
    }

    /// Confidence of a match, and whether severity and temporal values are stored.
    fn check(rule: &EventRule, text: &str, expected: Option<(f64, bool, bool)>) {
        let (mut keys, mut problems) = (Keys::default(), Vec::new());
        let signal = build(std::slice::from_ref(rule), &mut keys, &mut problems).unwrap();
        assert_eq!(problems, []);
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
        check(&rule(&[], &[], &["ERR!"], false), "ERR! now", None);
        check(
            &rule(&[], &[], &["ERR!"], false),
            "ERR!x",
            Some((1.0, false, false)),
        );
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
