//! `global.router`: model names, body handling, learning.

use super::fallback::FallbackPolicy;
use super::integrations::Integrations;
use super::server::{Energy, Evaluation, Server};
use super::services::Services;
use super::stores::Stores;
use conversation::learning::settings::Learning;
use conversation::session::settings::Sessions;
use schemars::JsonSchema;
use selection::algorithms::process::ModelSelection;
use serde::{Deserialize, Serialize};
use signals::catalog::ModelCatalog;

/// What holds for the process and all recipes.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Global {
    /// Model names, body handling, learning.
    pub router: GlobalRouter,
    /// Services around routing.
    pub services: Services,
    /// Databases.
    pub stores: Stores,
    /// Tools and multi-model runs.
    pub integrations: Integrations,
    /// Models that signals use.
    pub model_catalog: ModelCatalog,
    /// Merit's own: listeners, limits, trust.
    pub server: Server,
    /// Merit's own: the energy ledger.
    pub energy: Option<Energy>,
}

/// Model names, body handling, learning.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GlobalRouter {
    /// Where the document comes from: `file` (the default) or `kubernetes`.
    #[schemars(extend("enum" = ["file", "kubernetes"]))]
    pub config_source: String,
    /// Known, without effect: a recipe's own `strategy` counts.
    pub strategy: String,
    /// A name that asks for routing, beside `vllm-sr/auto` and `auto`, where `auto_model_names` is
    /// omitted.
    pub auto_model_name: String,
    /// All names that ask for routing by the default recipe. Written, even empty, it is the exact
    /// list.
    pub auto_model_names: Option<Vec<String>>,
    /// List configured models in `GET /v1/models`.
    pub include_config_models_in_list: bool,
    /// Let Envoy choose the route again after routing.
    pub clear_route_cache: bool,
    /// Streamed request bodies; Merit takes the mode from Envoy.
    pub streamed_body: Option<StreamedBody>,
    /// Let callers skip routing by a header.
    pub skip_processing: Option<SkipProcessing>,
    /// Parameters of selection algorithms.
    pub model_selection: Option<ModelSelection>,
    /// Learning from outcomes.
    pub learning: Option<Learning>,
    /// Merit's own: how conversations stay with a model.
    pub sessions: Sessions,
    /// Merit's own: how signals are evaluated.
    pub evaluation: Evaluation,
    /// Which models are tried after a failure, for all recipes: Merit names the next one to the
    /// gateway, which tries it. Wins over `global.server.fallback`.
    pub fallback: Option<FallbackPolicy>,
}

impl Default for GlobalRouter {
    fn default() -> Self {
        Self {
            config_source: String::new(),
            strategy: String::new(),
            auto_model_name: "MoM".to_owned(),
            auto_model_names: None,
            include_config_models_in_list: false,
            clear_route_cache: true,
            streamed_body: None,
            skip_processing: None,
            model_selection: None,
            learning: None,
            sessions: Sessions::default(),
            evaluation: Evaluation::default(),
            fallback: None,
        }
    }
}

/// Streamed request bodies.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StreamedBody {
    /// Accept them.
    pub enabled: bool,
    /// Largest body.
    pub max_bytes: u64,
    /// Time limit of a body.
    pub timeout_sec: u32,
}

/// Let callers skip routing by `x-vsr-skip-processing`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SkipProcessing {
    /// Honour the header.
    pub enabled: bool,
}
