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

use super::{Building, Signal, SignalError, SignalInput, Watch, beside, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::rules::NumericPredicate;
use document::Findings;
use inference::legible;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use source::{Source, Text};
pub use source::{SourceKind, StructureSource};

/// A measured feature of the user's turn.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StructureRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What is measured.
    pub feature: StructureFeature,
    /// Bounds of the measured value.
    pub predicate: Option<NumericPredicate>,
}

/// What a structure rule measures.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StructureFeature {
    /// `exists`, `count`, `density` or `sequence`.
    #[serde(rename = "type")]
    pub kind: Option<Feature>,
    /// Where it is read.
    pub source: StructureSource,
}

/// A feature of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "StructureFeatureKind", extend("x-any-case" = true))]
pub enum Feature {
    /// Whether the source occurs.
    Exists,
    /// How often it occurs.
    Count,
    /// How often it occurs per word.
    Density,
    /// Whether all markers of a list occur in order.
    Sequence,
}

impl Feature {
    fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Count => "count",
            Self::Density => "density",
            Self::Sequence => "sequence",
        }
    }

    /// The feature can be read from such a source.
    fn fits(self, source: SourceKind) -> bool {
        match self {
            Self::Exists => source != SourceKind::TextBytes,
            Self::Count => true,
            Self::Density => matches!(source, SourceKind::Regex | SourceKind::KeywordSet),
            Self::Sequence => source == SourceKind::Sequence,
        }
    }
}

/// Compiles the structure rules; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.structure;
    if declared.is_empty() {
        return None;
    }
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        let key = building.keys.intern(Kind::Structure, &rule.name);
        let at = building.scope.rule(Kind::Structure, index);
        rules.extend(rule.compile(&at, key, building.findings));
    }
    Some(Box::new(StructureSignal { rules }))
}

impl StructureRule {
    fn compile(&self, at: &str, key: Key, findings: &mut Findings) -> Option<Rule> {
        let (feature, kind) = (self.feature.kind, self.feature.source.kind);
        if feature.is_none() {
            findings.error(
                format!("{at}.feature.type"),
                "`type` is missing; known: exists, count, density, sequence",
            );
        }
        if let (Some(feature), Some(kind)) = (feature, kind)
            && !feature.fits(kind)
        {
            let key = match feature {
                Feature::Sequence => "source.type",
                _ => "type",
            };
            findings.error(
                format!("{at}.feature.{key}"),
                format!(
                    "the feature `{}` cannot be read from a `{}` source",
                    feature.as_str(),
                    kind.as_str()
                ),
            );
        }
        match &self.predicate {
            Some(_) if feature == Some(Feature::Exists) => findings.error(
                format!("{at}.predicate"),
                "`exists` takes no predicate; use `count`",
            ),
            Some(predicate) => predicate.check(&format!("{at}.predicate"), findings),
            None => {}
        }

        let source = self
            .feature
            .source
            .compile(&format!("{at}.feature.source"), findings);
        Some(Rule {
            key,
            feature: feature?,
            source: source?,
            predicate: self.predicate,
        })
    }
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
            if input.is_late() {
                report.doubt(&[rule.key]);
                beside::degrade(input, Kind::Structure, report);
                continue;
            }
            let value = rule.value(&text);
            if text.take_partly_read() {
                report.doubt(&[rule.key]);
                beside::degrade(input, Kind::Structure, report);
            }
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

    fn pace(&self) -> f64 {
        self.rules.iter().map(|rule| rule.source.pace()).sum()
    }

    fn doubt_unread(
        &self,
        input: &SignalInput<'_>,
        watched: &[Watch],
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        beside::reread_turn(self, input, watched, report)?;
        if beside::is_unread(input) || beside::is_too_long(input) {
            return Ok(());
        }
        let joined = beside::joined(input);
        let all = joined.as_ref().unwrap_or(&input.prompt.texts.evaluation);
        let worded = beside::of_phrases(watched, &self.keys(|source| !source.counts_bytes()));
        let phrases = beside::of_phrases(watched, &self.keys(Source::is_literal));
        // What nobody sees may stand within a word or between two.
        let apart = legible::apart(all);
        for written in std::iter::once(all).chain(&apart) {
            beside::reread_legible(self, input, written, &worded, &phrases, report)?;
        }
        Ok(())
    }
}

impl StructureSignal {
    /// Returns the keys of rules that read such a source.
    fn keys(&self, reads: impl Fn(&Source) -> bool) -> Vec<Key> {
        let rules = self.rules.iter().filter(|rule| reads(&rule.source));
        rules.map(|rule| rule.key).collect()
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
