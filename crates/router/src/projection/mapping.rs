//! Mappings: bands of a score become `projection` signals.

use super::trace::MappingTrace;
use crate::config::projections as config;
use crate::report::{Key, Keys, Kind, SignalReport};
use crate::signals::Problem;

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

/// Compiles mappings in the order of the document.
pub(super) fn build(
    mappings: &[config::Mapping],
    scores: &[config::Score],
    keys: &mut Keys,
    problems: &mut Vec<Problem>,
) -> Vec<Mapping> {
    let mut built = Vec::new();
    for (index, mapping) in mappings.iter().enumerate() {
        let mut problem = |field: &str, message: String| {
            problems.push(Problem {
                path: format!("routing.projections.mappings[{index}]{field}"),
                message,
            });
        };
        for (output_index, output) in mapping.outputs.iter().enumerate() {
            if [output.gt, output.gte, output.lt, output.lte]
                .iter()
                .all(Option::is_none)
            {
                problem(
                    &format!(".outputs[{output_index}]"),
                    format!(
                        "output \"{}\" needs at least one of gt, gte, lt, lte",
                        output.name
                    ),
                );
            }
        }
        if !matches!(
            mapping.method.as_str(),
            "" | "threshold_bands" | "multi_emit"
        ) {
            problem(
                ".method",
                format!(
                    "unknown method \"{}\"; use threshold_bands or multi_emit",
                    mapping.method
                ),
            );
        }
        let Some(source) = scores.iter().position(|score| score.name == mapping.source) else {
            problem(
                ".source",
                format!("no score is named \"{}\"", mapping.source),
            );
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

    pub(super) fn trace<'a>(&'a self, score: f64, keys: &'a Keys) -> MappingTrace<'a> {
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
    fn new(output: &config::MappingOutput, keys: &mut Keys) -> Self {
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

fn slope(calibration: Option<&config::Calibration>) -> f64 {
    calibration
        .map(|calibration| calibration.slope)
        .filter(|&slope| slope > 0.0)
        .unwrap_or(DEFAULT_SLOPE)
}
