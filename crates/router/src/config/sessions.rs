//! `global.router.sessions`: how conversations stay with a model. Merit's own.

use super::databases::RedisStore;
use schemars::JsonSchema;
use serde::Deserialize;

/// How conversations stay with a model.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// `apply` (the default) stays with a session's model where switching would break or cost too much, `observe` only reports
    /// what it would do, `off` does neither.
    #[schemars(extend("enum" = ["apply", "observe", "off"]))]
    pub mode: String,
    /// What may be stayed with: `candidates` (the default), models that the winning decision lists too; `any`, every model
    /// that boundaries and abilities allow.
    #[schemars(extend("enum" = ["candidates", "any"]))]
    pub hold: String,
    /// Request headers that name a session, the first that is there. Without one the body's own marks are read.
    pub identity_headers: Vec<String>,
    /// Pause after which a session starts anew, seconds.
    pub idle_timeout_seconds: u64,
    /// Sessions that are remembered, at most; the longest unused are forgotten first.
    pub capacity: u32,
    /// What switches may cost, percent of the session's bill so far: prefix tokens at the price above the cached one.
    pub switch_budget_percent: f64,
    /// Advantage that a switch needs beyond its cost, as a share of what staying costs.
    pub switch_margin: f64,
    /// How long a turn state (`x-codex-turn-state`) is honoured, seconds.
    pub turn_state_seconds: u64,
    /// Where sessions are shared between replicas; omitted keeps them in each process.
    pub redis: Option<RedisStore>,
    /// Time limit of an access to that store, milliseconds.
    pub store_timeout_ms: u64,
}

/// Header names that clients use for a session, most specific first.
const IDENTITY_HEADERS: [&str; 7] = [
    "x-session-id",
    "x-claude-code-session-id",
    "x-session-affinity",
    "session-id",
    "session_id",
    "agent-session-id",
    "x-inferoa-session-id",
];

impl Default for Sessions {
    fn default() -> Self {
        Self {
            mode: "apply".to_owned(),
            hold: "candidates".to_owned(),
            identity_headers: IDENTITY_HEADERS.map(str::to_owned).to_vec(),
            idle_timeout_seconds: 300,
            capacity: 100_000,
            switch_budget_percent: 10.0,
            switch_margin: 0.05,
            turn_state_seconds: 3_600,
            redis: None,
            store_timeout_ms: 20,
        }
    }
}
