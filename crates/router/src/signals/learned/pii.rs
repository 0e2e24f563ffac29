//! Personal data: entities in the texts in scope, less the types that a rule allows. Recognizers
//! with checksums and a head on the token states, over the whole of every text.
//!
//! ```yaml
//! routing:
//!   signals:
//!     pii:
//!       - {name: strict, threshold: 0.8, pii_types_allowed: [EMAIL_ADDRESS], scan: [current, tool_results]}
//! ```
//!
//! A match has no confidence and counts 1.0. What differs from the reference, for safety's sake: an
//! omitted threshold is the module's (0.9 without one), not 0; tool results can be read at all;
//! user texts that look like a wrapper are read; and unless the document says
//! `modules.classifier.pii.on_error: allow`, a text that could not be read, or not to its end,
//! matches. So does a file whose text cannot be read, where the rule reads its place.

use super::models::Building;
use super::scan::{Scope, blocks, files, parts, truncation};
use super::{Learned, SignalInput, answers, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::wanted::Asked;
use inference::ask::{Entity, Outcome, Question, What};
use inference::handle::{Cost, Tagger};

/// Compiles the rules; nothing without any, or with the module off.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = &building.routing.signals.pii;
    let asked = Asked::tagger(&building.document.global.model_catalog);
    if declared.is_empty() || asked.is_off() {
        return None;
    }
    let by = building.tagger(Kind::Pii, &asked);
    let usual = asked.threshold(None);
    let rules = declared.iter().map(|rule| Rule {
        key: building.keys.intern(Kind::Pii, &rule.name),
        threshold: if rule.threshold == 0.0 {
            usual
        } else {
            rule.threshold
        },
        allowed: rule
            .pii_types_allowed
            .iter()
            .map(|kind| kind.trim().to_uppercase())
            .collect(),
        scope: Scope::new(&rule.scan, rule.include_history),
    });
    let rules: Vec<Rule> = rules.collect();
    let scope = Scope::all(rules.iter().map(|rule| rule.scope));
    let keys = rules.iter().map(|rule| rule.key).collect();
    Some(Box::new(PiiSignal {
        by,
        rules,
        scope,
        blocks: blocks(asked.module),
        keys,
    }))
}

/// The rules of one recipe.
struct PiiSignal {
    by: Tagger,
    rules: Vec<Rule>,
    /// What any rule reads.
    scope: Scope,
    blocks: bool,
    keys: Vec<Key>,
}

struct Rule {
    key: Key,
    threshold: f32,
    /// Upper case.
    allowed: Vec<String>,
    scope: Scope,
}

impl Rule {
    fn denies(&self, entity: &Entity) -> bool {
        entity.confidence >= self.threshold && !self.allowed.contains(&entity.kind.to_uppercase())
    }
}

impl Learned for PiiSignal {
    fn kind(&self) -> Kind {
        Kind::Pii
    }

    fn cost(&self) -> Cost {
        self.by.cost
    }

    fn keys(&self) -> &[Key] {
        &self.keys
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        let asked = parts(input, self.scope);
        let what = || What::Entities(self.by.clone());
        asked
            .iter()
            .map(|part| Question::new(part.shared(input), what()).for_safety())
            .collect()
    }

    fn conclude(&self, input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let parts = parts(input, self.scope);
        let answers = answers.iter().map(Some).chain(std::iter::repeat(None));
        let (mut found, mut gaps) = (Vec::new(), Vec::new());
        for (part, outcome) in parts.iter().zip(answers) {
            match answers::entities(outcome, report) {
                Ok(entities) => found.push((part.scope, entities)),
                Err(error) => gaps.push((part.scope, error)),
            }
            gaps.extend(truncation(outcome).map(|error| (part.scope, error)));
        }
        for scope in files(input).filter(|scope| scope.meets(self.scope)) {
            report.degrade(Kind::Pii, "unread");
            gaps.push((scope, "a file is not read".to_owned()));
        }
        let mut best: f64 = 0.0;
        for rule in &self.rules {
            let read = found
                .iter()
                .filter(|(scope, _)| scope.meets(rule.scope))
                .flat_map(|(_, entities)| *entities);
            let denied = read
                .filter(|entity| rule.denies(entity))
                .map(|entity| f64::from(entity.confidence));
            if let Some(confidence) = denied.max_by(f64::total_cmp) {
                report.emit(rule.key);
                best = best.max(confidence);
            } else if let Some((_, error)) = gaps.iter().find(|(scope, _)| scope.meets(rule.scope))
            {
                report.fail(rule.key, error.as_str());
                if self.blocks {
                    report.emit(rule.key);
                }
            }
        }
        ran(report, Kind::Pii, best);
    }
}
