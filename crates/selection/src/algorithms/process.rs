//! `global.router.model_selection`: what holds for the algorithms of all decisions.

use super::automix::AutomixConfig;
use super::hybrid::HybridConfig;
use super::kmeans::KMeansConfig;
use super::knn::KnnConfig;
use super::method::NO_EFFECT;
use super::mlp::MlpConfig;
use super::router_dc::RouterDcConfig;
use super::svm::SvmConfig;
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Path of the section.
pub(super) const PATH: &str = "global.router.model_selection";

/// Algorithms of the whole process.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSelection {
    /// Known, without effect: decisions name their algorithm, and `static` is the default.
    pub method: String,
    /// Known, without effect.
    pub enabled: Option<bool>,
    /// Defaults of `router_dc`.
    pub router_dc: Option<RouterDcConfig>,
    /// Parameters of `automix`.
    pub automix: Option<AutomixConfig>,
    /// Defaults of `hybrid`.
    pub hybrid: Option<HybridConfig>,
    /// Inertia of a choice.
    pub momentum: Option<Momentum>,
    /// Trained selectors.
    pub ml: Option<MlSelection>,
}

/// Inertia of a choice.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlSelection {
    /// Known, without effect: each selector names its own file.
    pub models_path: String,
    /// Dimensions of the query embedding.
    pub embedding_dim: u32,
    /// Nearest neighbours.
    pub knn: Option<KnnConfig>,
    /// Centroids.
    pub kmeans: Option<KMeansConfig>,
    /// Support vectors.
    pub svm: Option<SvmConfig>,
    /// A small network.
    pub mlp: Option<MlpConfig>,
    /// Known, without effect: a decision names its algorithm.
    pub model_type: String,
}

impl ModelSelection {
    /// Reports what is wrong with the section.
    pub fn check(&self, findings: &mut Findings) {
        if !self.method.is_empty() {
            let message = "has no effect: a decision names its algorithm, and one without takes its first candidate";
            findings.warn(format!("{PATH}.method"), message);
        }
        if self.enabled.is_some() {
            findings.warn(format!("{PATH}.enabled"), NO_EFFECT);
        }
        if self.momentum.is_some() {
            findings.warn(format!("{PATH}.momentum"), NO_EFFECT);
        }

        if let Some(block) = &self.router_dc {
            block.check(&format!("{PATH}.router_dc"), findings);
        }
        if let Some(block) = &self.hybrid {
            block.check(&format!("{PATH}.hybrid"), findings);
        }
        if let Some(block) = &self.automix {
            block.check_process(&format!("{PATH}.automix"), findings);
        }
        if let Some(block) = &self.ml {
            block.check(&format!("{PATH}.ml"), findings);
        }
    }
}

impl MlSelection {
    fn check(&self, path: &str, findings: &mut Findings) {
        if !self.models_path.is_empty() {
            findings.warn(
                format!("{path}.models_path"),
                "has no effect: each algorithm names its own `pretrained_path`",
            );
        }
        if self.embedding_dim != 0 {
            findings.warn(
                format!("{path}.embedding_dim"),
                "has no effect: the encoder says how long its vectors are",
            );
        }

        if let Some(block) = &self.kmeans {
            block.check(&format!("{path}.kmeans"), findings);
        }
        if let Some(block) = &self.svm {
            block.check(&format!("{path}.svm"), findings);
        }
        if let Some(block) = &self.mlp {
            block.check(&format!("{path}.mlp"), findings);
        }
    }
}
