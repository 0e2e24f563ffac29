//! Mappings: bands of a score become `projection` signals.

use super::section;
use super::trace::MappingTrace;
use crate::report::{Key, Keys, Kind, SignalReport};
use crate::rules::NumericPredicate;
use crate::scope::Scope;
use document::{Findings, suggestion};

const DEFAULT_SLOPE: f64 = 12.0;

/// A mapping of one score.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    /// Index of its score in the document.
    pub(super) source: usize,
    source_name: Box<str>,
    name: Box<str>,
    /// Every band that holds is emitted, not only the first.
    pub(super) multi: bool,
    slope: f64,
    pub(super) outputs: Vec<Output>,
}

/// A band.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) key: Key,
    gt: Option<f64>,
    gte: Option<f64>,
    lt: Option<f64>,
    lte: Option<f64>,
}

impl section::Mapping {
    pub(super) fn check(&self, scope: &Scope<'_>, at: &str, findings: &mut Findings) {
        let scores = scope.projections.scores.iter();
        let mut scores = scores.map(|score| score.name.as_str());
        if !scores.clone().any(|name| name == self.source) {
            let hint = suggestion(&self.source, &mut scores);
            findings.error(
                format!("{at}.source"),
                format!("no score is called `{}`{hint}", self.source),
            );
        }

        let methods = ["threshold_bands", "multi_emit"];
        if !methods.contains(&self.method.as_str()) {
            let hint = suggestion(&self.method, methods);
            findings.error(
                format!("{at}.method"),
                format!("`threshold_bands` or `multi_emit` is wanted{hint}"),
            );
        }
        if let Some(calibration) = &self.calibration {
            calibration.check(&format!("{at}.calibration"), findings);
        }
        if self.outputs.is_empty() {
            findings.warn(at, "no outputs, so nothing is emitted");
        }
    }
}

impl section::Calibration {
    fn check(&self, at: &str, findings: &mut Findings) {
        if !["", "sigmoid_distance"].contains(&self.method.as_str()) {
            findings.error(format!("{at}.method"), "the method is `sigmoid_distance`");
        }
        if self.slope <= 0.0 {
            findings.warn(
                format!("{at}.slope"),
                "a slope of 0 or less (or none) means 12",
            );
        }
    }
}

impl section::MappingOutput {
    pub(super) fn check(&self, at: &str, findings: &mut Findings) {
        if self.name.trim().is_empty() {
            findings.error(at, "`name` is missing");
        }
        let Self {
            gt, gte, lt, lte, ..
        } = *self;
        NumericPredicate { gt, gte, lt, lte }.check(at, findings);
    }
}

/// Compiles mappings in the order of the document; one without its score is left out.
pub(super) fn build(
    mappings: &[section::Mapping],
    scores: &[section::Score],
    keys: &mut Keys,
) -> Vec<Mapping> {
    let mut built = Vec::new();
    for mapping in mappings {
        let Some(source) = scores.iter().position(|score| score.name == mapping.source) else {
            continue;
        };
        built.push(Mapping {
            source,
            source_name: mapping.source.as_str().into(),
            name: mapping.name.as_str().into(),
            multi: mapping.method == "multi_emit",
            slope: slope(mapping.calibration.as_ref()),
            outputs: mapping
                .outputs
                .iter()
                .map(|output| Output::new(output, keys))
                .collect(),
        });
    }
    built
}

impl Mapping {
    /// Emits the bands that `score` falls in.
    pub(super) fn emit(&self, score: f64, report: &mut SignalReport) {
        for output in self.outputs.iter().filter(|output| output.holds(score)) {
            report.emit(output.key);
            report.set_confidence(output.key, self.confidence(output, score));
            if !self.multi {
                return;
            }
        }
    }

    /// Records that nothing is known of the bands, as an input of the score failed.
    pub(super) fn withhold(&self, input: &str, report: &mut SignalReport) {
        for output in &self.outputs {
            report.fail(output.key, format!("the input `{input}` failed"));
        }
    }

    /// `score` is `None` where it is withheld.
    pub(super) fn trace<'a>(&'a self, score: Option<f64>, keys: &'a Keys) -> MappingTrace<'a> {
        let score = score.unwrap_or(f64::NAN);
        let first = self.outputs.iter().find(|output| output.holds(score));
        MappingTrace {
            name: &self.name,
            source: &self.source_name,
            output: first.map(|output| keys.name(output.key)),
            confidence: first.map(|output| self.confidence(output, score)),
        }
    }

    /// One half at a bound, growing with the distance from it.
    fn confidence(&self, output: &Output, score: f64) -> f64 {
        self.rises_to(output.distance(score))
    }

    pub(super) fn rises_to(&self, distance: f64) -> f64 {
        1.0 / (1.0 + (-self.slope * distance).exp())
    }
}

impl Output {
    fn new(output: &section::MappingOutput, keys: &mut Keys) -> Self {
        Self {
            key: keys.intern(Kind::Projection, &output.name),
            gt: output.gt,
            gte: output.gte,
            lt: output.lt,
            lte: output.lte,
        }
    }

    fn holds(&self, score: f64) -> bool {
        self.is_above(score) && self.is_below(score)
    }

    pub(super) fn is_above(&self, score: f64) -> bool {
        self.gt.is_none_or(|bound| score > bound) && self.gte.is_none_or(|bound| score >= bound)
    }

    pub(super) fn is_below(&self, score: f64) -> bool {
        self.lt.is_none_or(|bound| score < bound) && self.lte.is_none_or(|bound| score <= bound)
    }

    pub(super) fn distance(&self, score: f64) -> f64 {
        self.bounds()
            .map(|bound| (score - bound).abs())
            .reduce(f64::min)
            .unwrap_or(1.0)
    }

    pub(super) fn bounds(&self) -> impl Iterator<Item = f64> {
        [self.gt, self.gte, self.lt, self.lte].into_iter().flatten()
    }
}

fn slope(calibration: Option<&section::Calibration>) -> f64 {
    calibration
        .map(|calibration| calibration.slope)
        .filter(|&slope| slope > 0.0)
        .unwrap_or(DEFAULT_SLOPE)
}
