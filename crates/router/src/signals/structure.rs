//! Counts, densities and sequences in the evaluation text.
//!
//! Use it for the shape of a request: many questions, numbered steps, dense constraints, a long
//! turn.
//!
//! ```yaml
//! routing:
//!   signals:
//!     structure:
//!       - name: many_questions
//!         feature:
//!           type: count
//!           source: {type: regex, pattern: '[?？]'}
//!         predicate: {gte: 4}
//!       - name: ordered_steps
//!         feature:
//!           type: sequence
//!           source: {type: sequence, sequences: [[first, then], [首先, 然后]]}
//! ```
//!
//! The value and the confidence of every rule are stored, matched or not. Words of a `keyword_set`
//! have their own idea of a boundary: `_` is none, and scripts without ASCII letters work.

mod source;

use super::{Problem, Signal, SignalError, SignalInput, check_predicate, ran};
use crate::config::signals::{NumericPredicate, StructureRule};
use crate::report::{Key, Keys, Kind, SignalReport};
use source::{Source, Text};

/// Compiles the structure rules; nothing without rules.
pub(super) fn build(
    rules: &[StructureRule],
    keys: &mut Keys,
    problems: &mut Vec<Problem>,
) -> Option<Box<dyn Signal>> {
    if rules.is_empty() {
        return None;
    }
    let compile = |(at, rule): (usize, &StructureRule)| {
        let path = format!("routing.signals.structure[{at}]");
        let key = keys.intern(Kind::Structure, &rule.name);
        let feature = Feature::build(&path, rule, problems);
        let source = Source::build(
            &format!("{path}.feature.source"),
            &rule.feature.source,
            problems,
        );
        Some(Rule {
            key,
            feature: feature?,
            source: source?,
            predicate: rule.predicate,
        })
    };
    let rules = rules.iter().enumerate().filter_map(compile).collect();
    Some(Box::new(StructureSignal { rules }))
}

/// The structure family of one recipe.
struct StructureSignal {
    rules: Vec<Rule>,
}

struct Rule {
    key: Key,
    feature: Feature,
    source: Source,
    predicate: Option<NumericPredicate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feature {
    Count,
    Exists,
    Density,
    Sequence,
}

impl Feature {
    fn build(path: &str, rule: &StructureRule, problems: &mut Vec<Problem>) -> Option<Self> {
        let feature = match rule.feature.kind.trim().to_lowercase().as_str() {
            "count" => Some(Self::Count),
            "exists" => Some(Self::Exists),
            "density" => Some(Self::Density),
            "sequence" => Some(Self::Sequence),
            _ => None,
        };
        let source = rule.feature.source.kind.trim().to_lowercase();
        let complaint = match feature {
            None => Some((
                ".feature.type",
                "must be count, exists, density or sequence",
            )),
            Some(Self::Sequence) if source != "sequence" => Some((
                ".feature.source.type",
                "must be sequence for a sequence feature",
            )),
            Some(other) if source == "text_bytes" && other != Self::Count => {
                Some((".feature.type", "must be count for a text_bytes source"))
            }
            Some(Self::Exists) if rule.predicate.is_some() => Some((
                ".predicate",
                "an exists feature takes no predicate; use count",
            )),
            _ => None,
        };
        if let Some((tail, message)) = complaint {
            problems.push(Problem {
                path: format!("{path}{tail}"),
                message: message.into(),
            });
        }
        check_predicate(path, rule.predicate, problems);
        feature
    }
}

impl Signal for StructureSignal {
    fn kind(&self) -> Kind {
        Kind::Structure
    }

    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        let text = Text::new(input);
        let mut best: f64 = 0.0;
        for rule in &self.rules {
            let value = rule.value(&text);
            let matched = rule
                .predicate
                .map_or(value > 0.0, |predicate| predicate.holds(value));
            let confidence = if matched { rule.confidence(value) } else { 0.0 };
            report.set_value(rule.key, value);
            report.set_confidence(rule.key, confidence);
            if matched {
                report.emit(rule.key);
                best = best.max(confidence);
            }
        }
        ran(report, Kind::Structure, best);
        Ok(())
    }
}

impl Rule {
    fn value(&self, text: &Text<'_>) -> f64 {
        match self.feature {
            Feature::Count => self.source.count(text) as f64,
            Feature::Exists | Feature::Sequence => f64::from(u8::from(self.source.occurs(text))),
            Feature::Density => match text.units() {
                0 => 0.0,
                units => self.source.count(text) as f64 / units as f64,
            },
        }
    }

    /// Of a match: how far the value is from the first bound, squeezed into 0.5 to 1.
    fn confidence(&self, value: f64) -> f64 {
        let bound = self
            .predicate
            .and_then(|p| p.gt.or(p.gte).or(p.lt).or(p.lte));
        bound.map_or(1.0, |bound| {
            (1.0 / (1.0 + (-4.0 * (value - bound).abs()).exp())).max(0.5)
        })
    }
}

#[cfg(test)]
mod tests;
