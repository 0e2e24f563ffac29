//! How the terms of `multi_factor` are compared where v0.4 says so: one after the other instead of
//! by weights, and quality by an index of benchmarks.

use super::{MultiFactorConfig, Observed};
use crate::algorithms::method::Checking;
use crate::card::IndexValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// How the terms of `multi_factor` are compared.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    /// `weighted` (the default): a sum by `weights`. `lexicographic`: one factor after the other.
    #[schemars(extend("enum" = ["weighted", "lexicographic"]))]
    pub strategy: String,
    /// Stages of `lexicographic`: each keeps the candidates that are close to its best.
    pub priorities: Vec<FactorPriority>,
}

/// A stage of a lexicographic choice.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactorPriority {
    /// What counts.
    #[schemars(extend("enum" = ["quality", "latency", "cost", "load"]))]
    pub factor: String,
    /// Share of the best that still counts as the best, 0 to 1.
    pub tolerance: f64,
}

/// Index of `evaluation` that tells quality, at the reasoning effort of each candidate.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QualityEvidence {
    /// Id of the index.
    pub index: String,
    /// What a missing value means: `exclude` (the default) drops the candidate, `disable_quality`
    /// lets quality count for nobody.
    #[schemars(extend("enum" = ["exclude", "disable_quality"]))]
    pub on_missing: String,
    /// Least share of its components that records must cover, 0 to 1.
    pub min_coverage: Option<f64>,
    /// Least value on the index's scale.
    pub min_score: Option<f64>,
}

/// What a stage compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    Quality,
    Latency,
    Cost,
    Load,
}

/// A stage, ready for use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage {
    factor: Factor,
    tolerance: f64,
}

/// The quality of candidates by an index.
#[derive(Debug)]
pub(super) struct Evidence {
    /// By the candidate's index; `None` where it is missing or below what is wanted.
    values: Vec<Option<f64>>,
    /// A missing value lets quality count for nobody.
    disables: bool,
}

impl Factor {
    const ALL: [Self; 4] = [Self::Quality, Self::Latency, Self::Cost, Self::Load];

    fn as_str(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Latency => "latency",
            Self::Cost => "cost",
            Self::Load => "load",
        }
    }

    fn of(observed: &Observed, factor: Self) -> Option<f64> {
        let term = match factor {
            Self::Quality => 0,
            Self::Latency => 1,
            Self::Cost => 2,
            Self::Load => 3,
        };
        observed.term(term).filter(|number| number.is_finite())
    }
}

impl Stage {
    /// Returns the stages of a lexicographic objective; none where weights decide.
    pub(super) fn list(config: &MultiFactorConfig) -> Vec<Self> {
        let Some(objective) = config.objective.as_ref().filter(|it| it.is_lexicographic()) else {
            return Vec::new();
        };
        let stage = |priority: &FactorPriority| {
            let known = Factor::ALL.into_iter();
            let mut known = known.filter(|factor| factor.as_str() == priority.factor);
            Some(Self {
                factor: known.next()?,
                tolerance: priority.tolerance.clamp(0.0, 1.0),
            })
        };
        objective.priorities.iter().filter_map(stage).collect()
    }

    pub(super) fn reads_latency(self) -> bool {
        self.factor == Factor::Latency
    }

    pub(super) fn reads_load(self) -> bool {
        self.factor == Factor::Load
    }

    /// Keeps the candidates that are close to the best. Those without a number drop out, unless
    /// nobody has one.
    pub(super) fn keep(self, observed: &mut Vec<Observed>) {
        let number = |it: &Observed| Factor::of(it, self.factor);
        let numbers = observed.iter().filter_map(number);
        let most = self.factor == Factor::Quality;
        let best = numbers.reduce(if most { f64::max } else { f64::min });
        let Some(best) = best else { return };
        observed.retain(|it| match number(it) {
            Some(number) if most => number >= best * (1.0 - self.tolerance),
            Some(number) => number <= best * (1.0 + self.tolerance),
            None => false,
        });
    }

    pub(super) fn shown(stages: &[Self]) -> String {
        let each = stages.iter();
        let each = each.map(|stage| format!("{}~{}", stage.factor.as_str(), stage.tolerance));
        each.collect::<Vec<_>>().join(" > ")
    }
}

impl Evidence {
    /// Judges what an index says of each candidate.
    pub(super) fn new(config: &QualityEvidence, values: Vec<Option<IndexValue>>) -> Self {
        let coverage = config.min_coverage.unwrap_or(0.0);
        let least = config.min_score.unwrap_or(f64::NEG_INFINITY);
        let is_enough = |value: &IndexValue| value.coverage >= coverage && value.score >= least;
        let values = values.into_iter();
        Self {
            values: values
                .map(|value| value.filter(is_enough).map(|value| value.score))
                .collect(),
            disables: config.on_missing.trim() == "disable_quality",
        }
    }

    /// Tells each candidate its quality, and drops those without one if the document says so.
    pub(super) fn apply(&self, observed: &mut Vec<Observed>) {
        let value = |index: usize| self.values.get(index).copied().flatten();
        for candidate in observed.iter_mut() {
            candidate.quality = value(candidate.index);
        }
        if !self.disables {
            observed.retain(|candidate| candidate.quality.is_some());
        } else if observed.iter().any(|candidate| candidate.quality.is_none()) {
            observed.iter_mut().for_each(|it| it.quality = None);
        }
    }
}

impl Objective {
    pub(super) fn is_lexicographic(&self) -> bool {
        self.strategy.trim() == "lexicographic"
    }

    /// Reports stages that cannot be meant.
    pub(super) fn check(&self, has_weights: bool, checking: &mut Checking<'_>) {
        let path = checking.at("multi_factor.objective.priorities");
        let weights = checking.at("multi_factor.weights");
        let findings = &mut *checking.findings;
        if !self.is_lexicographic() {
            if !self.priorities.is_empty() {
                findings.error(path, "belongs to `strategy: lexicographic`");
            }
            return;
        }
        if has_weights {
            findings.error(
                weights,
                "is not for `strategy: lexicographic`, which walks `priorities`",
            );
        }
        if self.priorities.is_empty() {
            findings.error(&path, "`strategy: lexicographic` needs at least one factor");
        }
        let mut seen = HashSet::new();
        for (index, priority) in self.priorities.iter().enumerate() {
            let factor = priority.factor.as_str();
            if factor.is_empty() {
                findings.error(format!("{path}[{index}]"), "`factor` is missing");
            } else if !seen.insert(factor) {
                let message = format!("`{factor}` is a stage already");
                findings.error(format!("{path}[{index}].factor"), message);
            }
            if !(0.0..=1.0).contains(&priority.tolerance) {
                let path = format!("{path}[{index}].tolerance");
                findings.error(path, "a number from 0 to 1 is wanted");
            }
        }
    }
}

impl QualityEvidence {
    /// Reports an index that is not known, or that no candidate has a value of.
    pub(super) fn check(&self, checking: &mut Checking<'_>) {
        let path = checking.at("multi_factor.quality");
        if self.index.trim().is_empty() {
            checking.findings.error(path, "`index` is missing");
            return;
        }
        if let Some(message) = checking.models.unknown_index(&self.index) {
            checking.findings.error(format!("{path}.index"), message);
            return;
        }
        let has_least = self.min_coverage.is_some() || self.min_score.is_some();
        if has_least && self.on_missing.trim() == "disable_quality" {
            let message = "`min_coverage` and `min_score` need `on_missing: exclude`";
            checking.findings.error(&path, message);
        }
        if self
            .min_coverage
            .is_some_and(|it| !(0.0..=1.0).contains(&it))
        {
            let path = format!("{path}.min_coverage");
            checking
                .findings
                .error(path, "a number from 0 to 1 is wanted");
        }

        let models = checking.models;
        let value = |candidate| models.index_value(&self.index, candidate);
        let missing = checking.model_refs.iter().filter(|it| value(it).is_none());
        let missing: Vec<String> = missing
            .map(|candidate| match candidate.reasoning_effort.as_str() {
                "" => format!("`{}`", candidate.model),
                effort => format!("`{}` (effort {effort})", candidate.model),
            })
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let message = format!(
                "no record gives {missing} a value for this index at that effort; quality counts as missing"
            );
            checking.findings.warn(format!("{path}.index"), message);
        }
    }
}
