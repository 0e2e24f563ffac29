//! How example texts become a score.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How example texts become a score.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrototypeScoring {
    /// Cluster examples; omitted means yes.
    pub enabled: Option<bool>,
    /// Similarity that makes a cluster; 0 means 0.9.
    pub cluster_similarity_threshold: f32,
    /// Clusters kept; 0 means 8.
    pub max_prototypes: u32,
    /// Weight of the best against its neighbours; 0 means 0.75.
    pub best_weight: f32,
    /// Neighbours; 0 means 2.
    pub top_m: u32,
    /// Lead over the second, for preferences.
    pub margin_threshold: f32,
}
