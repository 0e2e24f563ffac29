//! Language of the evaluation text (head, middle and tail of a long one), by ISO-639-1 code.
//!
//! Use it to send a language to a model that speaks it well. One rule at most matches; an unsure
//! answer counts as English, as in the reference, and so does a line of code.
//!
//! ```yaml
//! routing:
//!   signals:
//!     language:
//!       - name: zh
//!       - name: fr
//!         threshold: 0.6
//! ```
//!
//! Without thresholds an answer needs 0.3. Norwegian is `nb` or `nn`.

mod line;
mod model;
mod script;
mod words;

use super::{Building, Signal, SignalError, SignalInput, Watch, beside, ran};
use crate::report::{Key, Kind, SignalReport};
use document::Findings;
pub use inference::language::{DetectLanguage, Detected};
use inference::legible;
pub use model::{LanguageDetector, LoadError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
pub use words::TABLES;

/// A rule that emits its language code.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LanguageRule {
    /// ISO-639-1 code, lower case.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Least confidence; 0 means the default of 0.3.
    pub threshold: f32,
}

/// The least confidence where no rule names one.
const DEFAULT_THRESHOLD: f32 = 0.3;
/// Scalars of a piece of what is read for boundaries alone.
const PIECE: usize = 200;
/// How sure a piece's language must be.
const SURE: f32 = 0.6;
/// Bytes that are read in pieces. Of longer texts nothing is certain.
const LONGEST: usize = 64 << 10;
/// What an unsure answer becomes.
const UNSURE: Detected = Detected {
    code: "en",
    confidence: 0.5,
};

/// Whether some text is found to be in a language, by its code.
#[must_use]
pub fn is_known(code: &str) -> bool {
    script::is_known(code)
}

/// Compiles the language rules; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.language;
    if declared.is_empty() {
        return None;
    }
    let least = declared
        .iter()
        .map(|rule| rule.threshold)
        .filter(|threshold| *threshold > 0.0)
        .reduce(f32::min);
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        let key = building.keys.intern(Kind::Language, &rule.name);
        let at = building.scope.rule(Kind::Language, index);
        rules.push(rule.compile(&at, key, building.findings));
    }
    Some(Box::new(LanguageSignal {
        rules,
        least: least.unwrap_or(DEFAULT_THRESHOLD),
        detector: Arc::clone(&building.deps.language),
    }))
}

impl LanguageRule {
    fn compile(&self, at: &str, key: Key, findings: &mut Findings) -> Rule {
        let code = self.name.as_str();
        let path = format!("{at}.name");
        if code == "no" {
            findings.warn(
                path,
                "Norwegian is reported as `nb` or `nn`, so `no` never matches",
            );
        } else if code.len() != 2 || !code.bytes().all(|letter| letter.is_ascii_lowercase()) {
            findings.warn(
                path,
                format!("`{code}` is no ISO-639-1 code in lower case and never matches; write `en`, `de`, `zh` …"),
            );
        }
        Rule {
            key,
            code: self.name.clone(),
            threshold: self.threshold,
        }
    }
}

/// The language family of one recipe.
struct LanguageSignal {
    rules: Vec<Rule>,
    least: f32,
    detector: Arc<dyn DetectLanguage>,
}

struct Rule {
    key: Key,
    code: String,
    threshold: f32,
}

impl Signal for LanguageSignal {
    fn kind(&self) -> Kind {
        Kind::Language
    }

    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        let detected = self.detect(input.windowed()).unwrap_or(UNSURE);
        if let Some(key) = self.matched(detected) {
            report.emit(key);
        }
        ran(report, Kind::Language, f64::from(detected.confidence));
        Ok(())
    }

    /// Reads what the sample leaves out and what stands beside the turn, piece by piece: a language
    /// that a piece is surely written in is not the turn's. The words of a line of code count as if
    /// they were no code, and letters of any width, with or without what nobody sees between them,
    /// as the words that a reader sees.
    fn doubt_unread(
        &self,
        input: &SignalInput<'_>,
        watched: &[Watch],
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        if beside::is_unread(input) {
            beside::doubt(watched, report);
            return Ok(());
        }
        let mut texts = beside::texts(input);
        if input.is_sampled() {
            texts.push(&input.prompt.texts.evaluation);
        }
        if texts.iter().map(|text| text.len()).sum::<usize>() > LONGEST {
            beside::doubt(watched, report);
            return Ok(());
        }

        let turn = self.matched(self.detect(input.windowed()).unwrap_or(UNSURE));
        let legible: Vec<String> = texts.iter().filter_map(|text| rewritten(text)).collect();
        let in_pieces = texts
            .into_iter()
            .chain(legible.iter().map(String::as_str))
            .flat_map(pieces)
            .filter_map(|piece| self.detect(piece).or_else(|| self.detect_in_code(piece)))
            .filter(|detected| detected.confidence >= SURE);
        let seen = rewritten(input.windowed());
        let seen = seen.as_deref().and_then(|seen| {
            let in_code = || self.detect_in_code(seen);
            self.detect(seen).or_else(in_code)
        });

        let mut differing = Vec::new();
        let in_code = self.detect_in_code(input.windowed());
        for detected in in_pieces.chain(seen).chain(in_code) {
            let matched = self.matched(detected);
            if matched != turn {
                differing.extend(matched);
                differing.extend(turn);
            }
        }
        let differing: Vec<Watch> = watched
            .iter()
            .filter(|watch| differing.contains(&watch.key))
            .cloned()
            .collect();
        beside::doubt(&differing, report);
        Ok(())
    }
}

impl LanguageSignal {
    /// The language of a text; nothing where it is not sure enough for any rule.
    fn detect(&self, text: &str) -> Option<Detected> {
        let text = text.trim();
        let detected = (!text.is_empty()).then(|| self.detector.detect(text))?;
        detected.filter(|detected| detected.confidence >= self.least)
    }

    /// The language of a line of code's words; nothing where it is not sure enough for any rule.
    fn detect_in_code(&self, text: &str) -> Option<Detected> {
        let detected = self.detector.detect_in_code(text.trim())?;
        Some(detected).filter(|detected| detected.confidence >= self.least)
    }

    /// The key of the rule that matches a language.
    fn matched(&self, detected: Detected) -> Option<Key> {
        let rule = self.rules.iter().find(|rule| rule.code == detected.code)?;
        let is_met = rule.threshold <= 0.0 || detected.confidence >= rule.threshold;
        is_met.then_some(rule.key)
    }
}

/// Returns a text as a reader sees it, where that differs from how it is written.
fn rewritten(text: &str) -> Option<String> {
    match legible::text(text) {
        Cow::Owned(seen) => Some(seen),
        Cow::Borrowed(_) => None,
    }
}

/// Cuts a text into pieces that overlap by half.
fn pieces(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = text
        .char_indices()
        .step_by(PIECE / 2)
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(2).copied().chain([text.len()]);
    let pieces = starts.iter().zip(ends);
    pieces
        .filter_map(|(start, end)| text.get(*start..end))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::tests::compiled;
    use crate::families::{Deps, Signals};
    use crate::report::Keys;
    use dialects::Prompt;

    fn signal(rules: Vec<LanguageRule>, keys: &mut Keys, fixed: Fixed) -> Box<dyn Signal> {
        let signals = Signals {
            language: rules,
            ..Signals::default()
        };
        let deps = Deps {
            language: Arc::new(fixed),
            ..Deps::default()
        };
        compiled(&signals, keys, &deps)
    }

    struct Fixed(Option<Detected>);

    impl DetectLanguage for Fixed {
        fn detect(&self, _: &str) -> Option<Detected> {
            self.0
        }
    }

    fn check(
        rules: &[(&str, f32)],
        detected: Option<(&'static str, f32)>,
        expected: (&[&str], f64),
    ) {
        let rules: Vec<LanguageRule> = rules
            .iter()
            .map(|(name, threshold)| LanguageRule {
                name: (*name).into(),
                threshold: *threshold,
                ..LanguageRule::default()
            })
            .collect();
        let mut keys = Keys::default();
        let fixed = Fixed(detected.map(|(code, confidence)| Detected { code, confidence }));
        let signal = signal(rules, &mut keys, fixed);
        let mut prompt = Prompt::default();
        prompt.texts.evaluation = "text".into();
        let mut report = SignalReport::new(&keys);
        signal
            .evaluate(&SignalInput::new(&prompt, None), &mut report)
            .unwrap();
        let names: Vec<_> = report.matches().map(|key| keys.name(key)).collect();
        assert_eq!(names, expected.0, "{detected:?}");
        assert!(report.matches().all(|key| report.confidence(key).is_none()));
        let metric = report.families[Kind::Language as usize];
        assert!(metric.ran && (metric.confidence - expected.1).abs() < 1e-6);
    }

    #[test]
    fn thresholds() {
        let plain = [("fr", 0.0), ("en", 0.0)];
        check(&plain, Some(("fr", 0.31)), (&["fr"], 0.31));
        check(&plain, Some(("fr", 0.3)), (&["fr"], 0.3));
        check(&plain, Some(("fr", 0.29)), (&["en"], 0.5));
        check(&plain, Some(("de", 0.9)), (&[], 0.9));
        check(&plain, None, (&["en"], 0.5));
        let strict = [("fr", 0.9), ("en", 0.0)];
        check(&strict, Some(("fr", 0.8)), (&["en"], 0.5));
        check(&strict, Some(("fr", 0.9)), (&["fr"], 0.9));
        let lowered = [("fr", 0.0), ("de", 0.1), ("es", 0.7)];
        check(&lowered, Some(("fr", 0.15)), (&["fr"], 0.15));
        check(&lowered, Some(("es", 0.6)), (&[], 0.6));
        check(&[("en", 0.6)], None, (&[], 0.5));
        check(&[("en", 0.6)], Some(("en", 0.7)), (&["en"], 0.7));
        check(&[("FR", 0.0)], Some(("fr", 0.9)), (&[], 0.9));
        check(&[("fr", 0.95), ("fr", 0.2)], Some(("fr", 0.5)), (&[], 0.5));
    }

    #[test]
    fn blank_text_is_english() {
        let fixed = Fixed(Some(Detected {
            code: "fr",
            confidence: 1.0,
        }));
        let mut keys = Keys::default();
        let rule = LanguageRule {
            name: "en".into(),
            ..LanguageRule::default()
        };
        let signal = signal(vec![rule], &mut keys, fixed);
        let mut prompt = Prompt::default();
        prompt.texts.evaluation = " \n".into();
        let mut report = SignalReport::new(&keys);
        signal
            .evaluate(&SignalInput::new(&prompt, None), &mut report)
            .unwrap();
        assert_eq!(
            report
                .matches()
                .map(|key| keys.name(key))
                .collect::<Vec<_>>(),
            ["en"]
        );
    }
}
