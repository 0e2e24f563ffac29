//! Answers with a generated image. Known, and not run yet.

use super::{Configuration, NotRun};
use document::HiddenText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signals::catalog::modules::KeywordOrClassifier;

/// Answer with a generated image.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ImageGen")]
pub struct ImageGenConfig {
    /// Generate here.
    pub enabled: Option<bool>,
    /// Who generates.
    #[schemars(extend("enum" = ["openai", "vllm_omni"]))]
    pub backend: String,
    /// Parameters of the backend.
    pub backend_config: Option<ImageBackend>,
    /// How a request for an image is known.
    pub modality_detection: Option<KeywordOrClassifier>,
    /// Pixels.
    pub default_width: u32,
    /// Pixels.
    pub default_height: u32,
    /// Steps at most.
    pub max_inference_steps: u32,
    /// Time limit.
    pub timeout_seconds: u32,
}

impl Configuration for ImageGenConfig {
    const NAME: &'static str = "image_gen";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served("requests go on to the model as text"))
    }
}

/// Parameters of an image backend.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageBackend {
    /// URL.
    pub base_url: String,
    /// Credential, for `openai`.
    #[schemars(extend("writeOnly" = true))]
    pub api_key: HiddenText,
    /// Model.
    pub model: String,
    /// Quality, for `openai`.
    pub quality: String,
    /// Style, for `openai`.
    pub style: String,
    /// Steps, for `vllm_omni`.
    pub num_inference_steps: u32,
    /// Guidance, for `vllm_omni`.
    pub cfg_scale: f64,
    /// Seed, for `vllm_omni`.
    pub seed: Option<i64>,
}
