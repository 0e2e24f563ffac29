//! `evaluation`: benchmarks, indices made of them, and what models achieved. The operators' own
//! ratings are read as `quality_score`; `multi_factor.quality` asks an index.

mod built_in;
mod check;
mod indices;

pub(super) use check::check;
pub(super) use indices::value;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What models achieved in benchmarks.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// Benchmarks of the operator.
    pub benchmarks: Vec<Benchmark>,
    /// Indices made of benchmarks.
    pub indices: Vec<BenchmarkIndex>,
    /// What models achieved.
    pub records: Vec<EvaluationRecord>,
}

impl Evidence {
    /// Returns an index of the operator.
    fn index(&self, id: &str) -> Option<&BenchmarkIndex> {
        self.indices.iter().find(|index| index.id == id)
    }

    /// Returns a benchmark of the operator.
    fn benchmark(&self, id: &str) -> Option<&Benchmark> {
        self.benchmarks.iter().find(|benchmark| benchmark.id == id)
    }

    fn metric(&self, benchmark: &str, id: &str) -> Option<&BenchmarkMetric> {
        let metrics = &self.benchmark(benchmark)?.metrics;
        metrics.iter().find(|metric| metric.id == id)
    }

    /// Returns what is wrong with the id of an index that nothing defines.
    pub(super) fn unknown_index(&self, id: &str) -> Option<String> {
        let id = id.trim();
        let built_in = built_in::INDICES.iter().map(|index| index.id);
        let own = self.indices.iter().map(|index| index.id.as_str());
        let known: Vec<&str> = built_in.clone().chain(own).collect();
        if known.contains(&id) {
            return None;
        }
        let listed = built_in.collect::<Vec<_>>().join(", ");
        Some(format!(
            "no index `{id}`; built in are {listed}; define it under `evaluation.indices`"
        ))
    }
}

/// A benchmark.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Benchmark {
    /// Id, `namespace/name@version`.
    pub id: String,
    /// Name for people.
    pub display_name: String,
    /// What it is about.
    pub domain: String,
    /// Words for filters.
    pub tags: Vec<String>,
    /// Where it is from.
    pub source: String,
    /// Profile of records that name none.
    pub default_profile: String,
    /// Ways to run it.
    pub profiles: Vec<BenchmarkProfile>,
    /// What it measures.
    pub metrics: Vec<BenchmarkMetric>,
}

/// A way to run a benchmark.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BenchmarkProfile {
    /// Id.
    pub id: String,
    /// Name for people.
    pub display_name: String,
    /// Free text.
    pub description: String,
}

/// What a benchmark measures.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BenchmarkMetric {
    /// Id.
    pub id: String,
    /// Unit.
    pub unit: String,
    /// Whether more is better.
    pub direction: String,
    /// Least and largest value.
    pub range: Vec<f64>,
    /// How a value becomes a number from 0 to 1.
    pub normalization: Option<Normalization>,
}

/// How a value becomes a number from 0 to 1.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Normalization {
    /// How.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["identity", "one_minus", "linear_clamp", "piecewise_linear", "logistic", "lookup"]))]
    pub kind: String,
    /// Value that becomes 0.
    pub min: Option<f64>,
    /// Value that becomes 1.
    pub max: Option<f64>,
    /// Slope of `logistic`.
    pub k: Option<f64>,
    /// Middle of `logistic`.
    pub x0: Option<f64>,
    /// Corners of `piecewise_linear`.
    pub points: Vec<NormalizationPoint>,
    /// Numbers of `lookup`.
    pub values: BTreeMap<String, f64>,
}

/// A corner of a curve.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NormalizationPoint {
    /// Value.
    pub input: f64,
    /// Number from 0 to 1.
    pub output: f64,
}

/// An index made of benchmarks.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BenchmarkIndex {
    /// Id, `namespace/name@version`.
    pub id: String,
    /// Name for people.
    pub display_name: String,
    /// Free text.
    pub description: String,
    /// How it came about.
    pub methodology: String,
    /// `weighted_mean`.
    #[schemars(extend("enum" = ["weighted_mean"]))]
    pub aggregation: String,
    /// Least and largest value.
    pub scale: Vec<f64>,
    /// What missing records mean.
    pub missing: Option<MissingPolicy>,
    /// Weights of domains.
    pub domains: BTreeMap<String, f64>,
    /// What it is made of.
    pub components: Vec<IndexComponent>,
}

/// What missing records mean for an index.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MissingPolicy {
    /// What is needed.
    #[schemars(extend("enum" = ["require_all", "require_coverage", "reported_only"]))]
    pub policy: String,
    /// Least share of the weights, for `require_coverage`.
    pub minimum: Option<f64>,
}

/// A part of an index: a metric of a benchmark, or another index.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IndexComponent {
    /// Benchmark.
    pub benchmark: String,
    /// Its metric.
    pub metric: String,
    /// Its profile.
    pub benchmark_profile: String,
    /// Its profiles; the first with a record counts.
    pub benchmark_profiles: Vec<String>,
    /// Another index.
    pub index: String,
    /// Weight, above 0.
    pub weight: f64,
    /// How a value becomes a number from 0 to 1.
    pub normalization: Option<Normalization>,
}

/// What a model achieved in a benchmark.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationRecord {
    /// Name of the model card, or its `catalog` id.
    pub model: String,
    /// Benchmark.
    pub benchmark: String,
    /// Its profile.
    pub benchmark_profile: String,
    /// Effort at which it was measured.
    pub reasoning_effort: String,
    /// Values by metric.
    pub metrics: BTreeMap<String, f64>,
    /// Where they are from.
    pub source: String,
    /// Day, `YYYY-MM-DD`.
    pub measured_at: String,
    /// Words for the operator.
    pub metadata: BTreeMap<String, Value>,
}
