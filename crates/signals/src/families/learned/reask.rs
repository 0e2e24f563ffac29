//! Repetition: the user asks again what was asked before. One vector of the current turn and one of
//! each earlier user turn; the earlier ones were asked for in earlier requests of the conversation
//! and come from the cache.
//!
//! ```yaml
//! routing:
//!   signals:
//!     reasks:
//!       - {name: dissatisfied, threshold: 0.8, lookback_turns: 1}
//! ```
//!
//! The streak counts similar turns from the newest back; of several matching rules only those that
//! look back furthest count. Confidence is the least similarity within the lookback, the value is
//! the streak. At most 64 earlier turns are looked at.

use super::{Building, Head, Learned, SignalInput, answers, check_threshold, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::scope::Scope;
use document::Findings;
use inference::ask::{Outcome, Question, What};
use inference::handle::Embedder;
use inference::prototypes::similarity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const THRESHOLD: f32 = 0.8;
/// Earlier turns that are looked at, the newest.
const MAX_TURNS: usize = 64;

/// A rule over repetition: the user asks again what was asked before.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReaskRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Least similarity; 0 means 0.8.
    pub threshold: f32,
    /// How many earlier user turns in a row must be similar; 0 means 1.
    pub lookback_turns: u32,
}

impl ReaskRule {
    fn check(&self, at: &str, findings: &mut Findings) {
        check_threshold(&format!("{at}.threshold"), self.threshold, findings);
        if self.lookback_turns as usize > MAX_TURNS {
            findings.error(
                format!("{at}.lookback_turns"),
                format!("at most {MAX_TURNS} earlier turns are looked at"),
            );
        }
    }

    fn compile(&self, key: Key) -> Rule {
        let threshold = if self.threshold == 0.0 {
            THRESHOLD
        } else {
            self.threshold
        };
        Rule {
            key,
            threshold: f64::from(threshold),
            lookback: self.lookback_turns.max(1) as usize,
        }
    }
}

/// Reports what is wrong with the rules.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.signals.reasks.iter().enumerate() {
        rule.check(&scope.rule(Kind::Reask, index), findings);
    }
}

/// Compiles the rules; nothing without any.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = &building.scope.signals.reasks;
    if declared.is_empty() {
        return None;
    }
    let by = building.encoder(Kind::Reask);
    let mut rules = Vec::new();
    for rule in declared {
        let key = building.keys.intern(Kind::Reask, &rule.name);
        rules.push(rule.compile(key));
    }
    let head = Head::new(Kind::Reask, by.cost, rules.iter().map(|rule| rule.key));
    Some(Box::new(ReaskSignal { by, rules, head }))
}

/// The rules of one recipe.
struct ReaskSignal {
    by: Embedder,
    rules: Vec<Rule>,
    head: Head,
}

struct Rule {
    key: Key,
    threshold: f64,
    lookback: usize,
}

impl Learned for ReaskSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    /// The current turn, then earlier ones from the newest back.
    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        let texts = &input.prompt.texts;
        let current = texts.current.trim();
        let earlier = texts
            .prior_user
            .iter()
            .rev()
            .map(|turn| turn.trim())
            .filter(|turn| !turn.is_empty());
        let mut earlier = earlier.take(MAX_TURNS).peekable();
        if current.is_empty() || earlier.peek().is_none() {
            return Vec::new();
        }
        let whole = input.evaluation();
        let current = if **whole == *current {
            whole.clone()
        } else {
            Arc::from(current)
        };
        let asked = std::iter::once(current).chain(earlier.map(Arc::from));
        asked
            .map(|text| Question::new(text, What::Vector(self.by.clone())))
            .collect()
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let Some((current, earlier)) = answers.split_first() else {
            return ran(report, Kind::Reask, 0.0);
        };
        let current = match answers::vector(Kind::Reask, Some(current), report) {
            Ok(current) => current,
            Err(error) => return answers::fail_all(&self.head.keys, &error, report),
        };
        let mut similarities = Vec::new();
        let mut broken = None;
        for outcome in earlier {
            match answers::vector(Kind::Reask, Some(outcome), report) {
                Ok(turn) => similarities.push(similarity(current, turn, &self.by.scale)),
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        self.compare(&similarities, broken.as_deref(), report);
    }
}

impl ReaskSignal {
    /// `similarities` run from the newest turn back, up to the first that is not known (`broken`).
    fn compare(&self, similarities: &[f64], broken: Option<&str>, report: &mut SignalReport) {
        let mut found = Vec::new();
        for rule in &self.rules {
            let streak = similarities
                .iter()
                .take_while(|&&value| value >= rule.threshold)
                .count();
            if streak >= rule.lookback {
                let least = similarities
                    .iter()
                    .take(rule.lookback)
                    .copied()
                    .fold(1.0, f64::min);
                found.push((rule, streak, least));
            } else if let Some(error) = broken.filter(|_| streak == similarities.len()) {
                report.fail(rule.key, error);
            }
        }
        let furthest = found
            .iter()
            .map(|(rule, ..)| rule.lookback)
            .max()
            .unwrap_or(0);
        let mut best: f64 = 0.0;
        for (rule, streak, least) in found
            .into_iter()
            .filter(|(rule, ..)| rule.lookback == furthest)
        {
            report.emit(rule.key);
            report.set_confidence(rule.key, least);
            report.set_value(rule.key, streak as f64);
            best = best.max(least);
        }
        ran(report, Kind::Reask, best);
    }
}
