//! Parameters of the algorithms that choose one candidate, local to a decision or in
//! `global.router.model_selection`.

use schemars::JsonSchema;
use serde::Deserialize;

/// Nearest model description by embedding.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterDc {
    /// τ of the softmax; 0 means 0.07.
    pub temperature: f64,
    /// Dimensions of the embedding.
    pub dimension_size: u32,
    /// Least similarity of a winner; only the global value is read.
    pub min_similarity: f64,
    /// Contrast between queries.
    pub use_query_contrastive: bool,
    /// Contrast between models.
    pub use_model_contrastive: bool,
    /// Fail without model descriptions.
    pub require_descriptions: bool,
    /// Read capabilities beside descriptions. Omitted in a decision, this turns them off; omitted
    /// for the process, on.
    pub use_capabilities: Option<bool>,
}

/// Cost-aware value with a verification probability.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Automix {
    /// Probability of verification below which escalation counts.
    pub verification_threshold: f64,
    /// Escalations.
    pub max_escalations: u32,
    /// Let price count.
    pub cost_aware_routing: bool,
    /// Weight of price against quality.
    pub cost_quality_tradeoff: f64,
    /// γ.
    pub discount_factor: f64,
    /// Verify by log probabilities.
    pub use_logprob_verification: bool,
}

/// Weighted mean of experience, `router_dc` and `automix`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hybrid {
    /// Weight of experience; 0 means 0.3.
    pub experience_weight: f64,
    /// Weight of `router_dc`; 0 means 0.3.
    pub router_dc_weight: f64,
    /// Weight of `automix`; 0 means 0.2.
    pub automix_weight: f64,
    /// Weight of price; 0 means 0.2.
    pub cost_weight: f64,
    /// Known, without effect.
    pub quality_gap_threshold: f64,
    /// Known; scores are always normalised.
    pub normalize_scores: Option<bool>,
}

/// Fastest candidate by measured latency.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyAware {
    /// Percentile of the time per output token, 1 to 100.
    pub tpot_percentile: u32,
    /// Percentile of the time to the first token, 1 to 100.
    pub ttft_percentile: u32,
    /// Free text.
    pub description: String,
}

/// Weighted sum of quality, latency, price and load under ceilings.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MultiFactor {
    /// Weights; omitted means 0.25 each.
    pub weights: Option<FactorWeights>,
    /// Ceilings that exclude candidates.
    pub slo: Option<Slo>,
    /// Percentile of latency; 0 means 95.
    pub latency_percentile: u32,
    /// What happens when the ceilings exclude everyone.
    #[schemars(extend("enum" = ["cheapest", "first", "fail"]))]
    pub on_no_candidates: String,
}

/// Weights of `multi_factor`; an omitted one is 0.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactorWeights {
    /// Of the model card's `quality_score`.
    pub quality: f64,
    /// Of measured latency.
    pub latency: f64,
    /// Of the prompt price.
    pub cost: f64,
    /// Of requests in flight.
    pub load: f64,
    /// Merit's own: of the joules that the request is predicted to take.
    pub energy: f64,
}

/// Ceilings of `multi_factor`; 0 means none.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Slo {
    /// Time per output token, milliseconds.
    pub max_tpot_ms: f64,
    /// Time to the first token, milliseconds.
    pub max_ttft_ms: f64,
    /// Prompt price per million tokens.
    pub max_cost_per_1m: f64,
    /// Requests in flight.
    pub max_inflight: u64,
}

/// A helper model chooses.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSelection {
    /// The helper.
    pub model: String,
    /// What it is told.
    pub instructions: String,
    /// Time limit; 0 means 5.
    pub timeout_seconds: u32,
}

/// Algorithms of the whole process.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSelection {
    /// Known, without effect: decisions name their algorithm, and `static` is the default.
    pub method: String,
    /// Known, without effect.
    pub enabled: Option<bool>,
    /// Defaults of `router_dc`.
    pub router_dc: Option<RouterDc>,
    /// Parameters of `automix`.
    pub automix: Option<Automix>,
    /// Defaults of `hybrid`.
    pub hybrid: Option<Hybrid>,
    /// Inertia of a choice.
    pub momentum: Option<Momentum>,
    /// Trained selectors.
    pub ml: Option<MlSelection>,
}

/// Inertia of a choice.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Momentum {
    /// Use it.
    pub enabled: bool,
    /// Rise per turn.
    pub attack: f64,
    /// Fall per turn.
    pub release: f64,
    /// Level that switches.
    pub threshold: f64,
}

/// Trained selectors.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlSelection {
    /// Known, without effect: each selector names its own file.
    pub models_path: String,
    /// Dimensions of the query embedding.
    pub embedding_dim: u32,
    /// Nearest neighbours.
    pub knn: Option<Knn>,
    /// Centroids.
    pub kmeans: Option<KMeans>,
    /// Support vectors.
    pub svm: Option<Svm>,
    /// A small network.
    pub mlp: Option<Mlp>,
}

impl MlSelection {
    /// Returns the file of what was fitted for an algorithm, if one is named.
    #[must_use]
    pub fn artifact(&self, algorithm: &str) -> Option<&str> {
        let path = match algorithm {
            "knn" => &self.knn.as_ref()?.pretrained_path,
            "kmeans" => &self.kmeans.as_ref()?.pretrained_path,
            "svm" => &self.svm.as_ref()?.pretrained_path,
            "mlp" => &self.mlp.as_ref()?.pretrained_path,
            _ => return None,
        };
        Some(path.trim()).filter(|path| !path.is_empty())
    }
}

/// Nearest neighbours.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Knn {
    /// Neighbours.
    pub k: u32,
    /// Artifact.
    pub pretrained_path: String,
}

/// Centroids.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KMeans {
    /// Clusters.
    pub num_clusters: u32,
    /// Weight of efficiency in training.
    pub efficiency_weight: f64,
    /// Artifact.
    pub pretrained_path: String,
}

/// Support vectors.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Svm {
    /// Kernel.
    #[schemars(extend("enum" = ["linear", "rbf"]))]
    pub kernel: String,
    /// γ of the kernel.
    pub gamma: f64,
    /// Artifact.
    pub pretrained_path: String,
}

/// A small network.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mlp {
    /// Device.
    pub device: String,
    /// Artifact.
    pub pretrained_path: String,
}
