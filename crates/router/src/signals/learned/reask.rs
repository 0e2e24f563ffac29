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

use super::models::Building;
use super::{Learned, SignalInput, answers, ran};
use crate::report::{Key, Kind, SignalReport};
use inference::ask::{Outcome, Question, What};
use inference::handle::{Cost, Embedder};
use inference::prototypes::similarity;
use std::sync::Arc;

const THRESHOLD: f32 = 0.8;
/// Earlier turns that are looked at, the newest.
const MAX_TURNS: usize = 64;

/// Compiles the rules; nothing without any.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = &building.routing.signals.reasks;
    if declared.is_empty() {
        return None;
    }
    let by = building.encoder(Kind::Reask);
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        let lookback = rule.lookback_turns.max(1) as usize;
        if lookback > MAX_TURNS {
            let path = format!("routing.signals.reasks[{index}].lookback_turns");
            building.problem(
                path,
                format!("at most {MAX_TURNS} earlier turns are looked at"),
            );
        }
        let threshold = if rule.threshold == 0.0 {
            THRESHOLD
        } else {
            rule.threshold
        };
        let key = building.keys.intern(Kind::Reask, &rule.name);
        rules.push(Rule {
            key,
            threshold: f64::from(threshold),
            lookback,
        });
    }
    let keys = rules.iter().map(|rule| rule.key).collect();
    Some(Box::new(ReaskSignal { by, rules, keys }))
}

/// The rules of one recipe.
struct ReaskSignal {
    by: Embedder,
    rules: Vec<Rule>,
    keys: Vec<Key>,
}

struct Rule {
    key: Key,
    threshold: f64,
    lookback: usize,
}

impl Learned for ReaskSignal {
    fn kind(&self) -> Kind {
        Kind::Reask
    }

    fn cost(&self) -> Cost {
        self.by.cost
    }

    fn keys(&self) -> &[Key] {
        &self.keys
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
            Err(error) => return answers::fail_all(&self.keys, &error, report),
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
