//! How projections came about, for replay and `explain`.

use serde::Serialize;

/// Everything the projections of one request computed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ProjectionTrace<'a> {
    /// Partitions in the order they ran.
    pub partitions: Vec<PartitionTrace<'a>>,
    /// Scores in the order they ran.
    pub scores: Vec<ScoreTrace<'a>>,
    /// Mappings in the order they ran.
    pub mappings: Vec<MappingTrace<'a>>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartitionTrace<'a> {
    /// Name of the partition.
    pub name: &'a str,
    /// `domain` or `embedding`.
    pub signal_type: &'static str,
    /// Matched members with their confidence, in match order.
    pub contenders: Vec<(&'a str, f64)>,
    /// The best contender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<&'a str>,
    /// Its confidence afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Nothing competed, so the default was made a match.
    pub default_used: bool,
}

/// One score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreTrace<'a> {
    /// Name of the score.
    pub name: &'a str,
    /// An input failed, so neither the sum nor its bands count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
    /// The sum.
    pub score: f64,
    /// Its summands.
    pub inputs: Vec<InputTrace<'a>>,
}

/// One summand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputTrace<'a> {
    /// Type as written.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Name, or `kb:metric`.
    pub name: &'a str,
    /// Factor.
    pub weight: f64,
    /// What was read.
    pub value: f64,
    /// Weight times value.
    pub contribution: f64,
}

/// One mapping.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MappingTrace<'a> {
    /// Name of the mapping.
    pub name: &'a str,
    /// The score it maps.
    pub source: &'a str,
    /// The first band that holds; of several only this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<&'a str>,
    /// Confidence of that band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}
