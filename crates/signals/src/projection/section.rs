//! `routing.projections`: signals derived from signals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Partitions, scores and mappings.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Projections {
    /// Winner-take-all groups of domain or embedding rules.
    pub partitions: Vec<Partition>,
    /// Weighted sums.
    pub scores: Vec<Score>,
    /// Bands of a score.
    pub mappings: Vec<Mapping>,
}

/// A winner-take-all group.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Partition {
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `exclusive` or `softmax_exclusive`.
    pub semantics: String,
    /// τ of the softmax.
    pub temperature: f64,
    /// Rule names of one family.
    pub members: Vec<String>,
    /// The member that stands in when none matched.
    pub default: String,
}

/// A weighted sum.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Score {
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `weighted_sum`.
    pub method: String,
    /// Summands.
    pub inputs: Vec<ScoreInput>,
}

/// One summand.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreInput {
    /// A signal type, `kb_metric` or `projection`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Rule, score or mapping-output name.
    pub name: String,
    /// Knowledge base of a `kb_metric`.
    pub kb: String,
    /// Metric of a `kb_metric`.
    pub metric: String,
    /// Factor.
    pub weight: f64,
    /// `confidence`, `raw`, `score`, or empty for binary.
    pub value_source: String,
    /// Value when matched; 0 means 1.
    #[serde(rename = "match")]
    pub on_match: f64,
    /// Value when not matched.
    pub miss: f64,
}

impl ScoreInput {
    /// Tells whether a `projection` input names a mapping output, not a score.
    #[must_use]
    pub fn names_output(&self) -> bool {
        self.value_source.trim().eq_ignore_ascii_case("confidence")
    }
}

/// Bands of a score.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The score.
    pub source: String,
    /// `threshold_bands` or `multi_emit`.
    pub method: String,
    /// Confidence of an output.
    pub calibration: Option<Calibration>,
    /// Bands.
    pub outputs: Vec<MappingOutput>,
}

/// How a band's confidence falls off.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calibration {
    /// `sigmoid_distance`.
    pub method: String,
    /// Slope; not positive means 12.
    pub slope: f64,
}

/// One band. Its name becomes a `projection` signal.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MappingOutput {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Greater than.
    pub gt: Option<f64>,
    /// Greater than or equal.
    pub gte: Option<f64>,
    /// Less than.
    pub lt: Option<f64>,
    /// Less than or equal.
    pub lte: Option<f64>,
}
