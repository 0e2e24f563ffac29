//! `global.router`: model names, body handling, learning.

use super::databases::RedisStore;
use super::integrations::Integrations;
use super::server::{Energy, Evaluation, Server};
use super::services::Services;
use super::sessions::Sessions;
use super::stores::Stores;
use crate::catalog::ModelCatalog;
use crate::selection::process::ModelSelection;
use schemars::JsonSchema;
use serde::Deserialize;

/// What holds for the process and all recipes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Deserialize, JsonSchema)]
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
        }
    }
}

/// Streamed request bodies.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SkipProcessing {
    /// Honour the header.
    pub enabled: bool,
}

/// Learning from outcomes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Learning {
    /// Learn.
    pub enabled: bool,
    /// Choose by outcomes.
    pub adaptation: Option<Adaptation>,
    /// Stay with a conversation's model.
    pub protection: Option<Protection>,
    /// Where state is kept.
    pub state_store: Option<LearningStore>,
}

/// Choose by outcomes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adaptation {
    /// Omitted means on.
    pub enabled: Option<bool>,
    /// Models to choose among: `decision` (the default), `tier` or `global`.
    #[schemars(extend("enum" = ["decision", "tier", "global"]))]
    pub candidate_set: String,
    /// `routing_sampling`.
    #[schemars(extend("enum" = ["routing_sampling"]))]
    pub strategy: String,
}

/// Stay with a conversation's model.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Protection {
    /// Omitted means on.
    pub enabled: Option<bool>,
    /// `conversation` (the default) or `session`.
    #[schemars(extend("enum" = ["conversation", "session"]))]
    pub scope: String,
    /// Headers that say who and what.
    pub identity: Option<ProtectionIdentity>,
    /// Weights.
    pub tuning: Option<ProtectionTuning>,
}

/// Headers that say which session and conversation a request belongs to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtectionIdentity {
    /// Their names.
    pub headers: Option<ProtectionHeaders>,
}

/// Names of the session and conversation headers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtectionHeaders {
    /// Session; empty means `x-session-id`.
    pub session: String,
    /// Conversation; empty means `x-conversation-id`.
    pub conversation: String,
}

/// Weights of staying and switching.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtectionTuning {
    /// Pause after which a conversation may start anew; omitted means 300.
    pub idle_timeout_seconds: Option<u64>,
    /// Turns before a switch; omitted means 1.
    pub min_turns_before_switch: Option<u32>,
    /// Lead that a switch needs; omitted means 0.05.
    pub switch_margin: Option<f64>,
    /// Factor of the prompt cache, handover, earlier switches and tool loops; omitted means 1.
    pub stability_weight: Option<f64>,
}

/// Where learning state is kept.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearningStore {
    /// `memory` (the default) or `redis`.
    #[schemars(extend("enum" = ["memory", "redis"]))]
    pub backend: String,
    /// How long conversations and requests that can be judged are remembered; 0 and omitted mean a
    /// day.
    pub ttl_seconds: u64,
    /// Time limit of a look into a shared store while a request waits; 0 and omitted mean 20.
    pub timeout_ms: u64,
    /// Redis.
    pub redis: Option<RedisStore>,
}
