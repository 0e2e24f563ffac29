//! `global.router.learning` and `decisions[].adaptations`: learning as the document writes it.

use crate::databases::RedisStore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Learning from outcomes.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtectionIdentity {
    /// Their names.
    pub headers: Option<ProtectionHeaders>,
}

/// Names of the session and conversation headers.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtectionHeaders {
    /// Session; empty means `x-session-id`.
    pub session: String,
    /// Conversation; empty means `x-conversation-id`.
    pub conversation: String,
}

/// Weights of staying and switching.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtectionTuning {
    /// Pause after which a conversation may start over; omitted means 300.
    pub idle_timeout_seconds: Option<u64>,
    /// Turns before a switch; omitted means 1.
    pub min_turns_before_switch: Option<u32>,
    /// Lead that a switch needs; omitted means 0.05.
    pub switch_margin: Option<f64>,
    /// Factor of the prompt cache, handover, earlier switches and tool loops; omitted means 1.
    pub stability_weight: Option<f64>,
    /// Lets a conversation switch where its outcomes get worse. Known, and not run.
    pub progress_gate: Option<ProgressGate>,
}

/// Lets a conversation switch where its outcomes get worse.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProgressGate {
    /// Watch outcomes.
    pub enabled: bool,
    /// `observe` (the default) or `enforce`.
    #[schemars(extend("enum" = ["observe", "enforce"]))]
    pub mode: String,
    /// Name of the calibration.
    pub calibration_id: String,
    /// Outcomes looked at; 0 means 8.
    pub window_size: u32,
    /// How long they count; 0 means 900.
    pub window_ttl_seconds: u64,
    /// Outcomes needed; 0 means 3.
    pub min_window_outcomes: u32,
    /// Bad ones in a row; 0 means 2.
    pub min_consecutive_regressions: u32,
    /// Good ones in a row; 0 means 2.
    pub min_consecutive_recoveries: u32,
    /// Pause after a switch; 0 means 120.
    pub cooldown_seconds: f64,
    /// Switches at most; 0 means 2.
    pub max_switches_per_window: u32,
}

/// Where learning state is kept.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearningStore {
    /// `local` (the default; also `memory`) or `redis`.
    #[schemars(extend("enum" = ["memory", "local", "redis"]))]
    pub backend: String,
    /// How long conversations and requests that can be judged are remembered; 0 and omitted mean a
    /// day.
    pub ttl_seconds: u64,
    /// Time limit of a look into a shared store while a request waits; 0 and omitted mean 20.
    pub timeout_ms: u64,
    /// Redis.
    pub redis: Option<RedisStore>,
}

/// How learning may change the choice.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adaptations {
    /// `apply`, `observe` or `bypass`, for both parts.
    #[schemars(extend("enum" = ["apply", "observe", "bypass"]))]
    pub mode: String,
    /// Choice by outcomes.
    pub adaptation: Option<AdaptationMode>,
    /// Staying with a conversation's model.
    pub protection: Option<ProtectionMode>,
}

/// How choice by outcomes acts on a decision.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptationMode {
    /// `apply`, `observe` or `bypass`.
    #[schemars(extend("enum" = ["apply", "observe", "bypass"]))]
    pub mode: String,
    /// Models to choose among. Known, without effect:
    /// `global.router.learning.adaptation.candidate_set` holds.
    #[schemars(extend("enum" = ["decision", "tier", "global"]))]
    pub candidate_set: String,
}

/// How staying with a conversation's model acts on a decision.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtectionMode {
    /// `apply`, `observe` or `bypass`.
    #[schemars(extend("enum" = ["apply", "observe", "bypass"]))]
    pub mode: String,
    /// Factor of the reasons to stay.
    pub stability_weight: Option<f64>,
    /// Lead that a switch needs.
    pub switch_margin: Option<f64>,
}
