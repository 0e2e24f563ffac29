//! `global.router.sessions`: how conversations stay with a model. Merit's own.

use crate::databases::RedisStore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How conversations stay with a model.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// `apply` (the default) stays with a session's model where switching would break or cost too
    /// much, `observe` only reports what it would do, `off` does neither.
    #[schemars(extend("enum" = ["apply", "observe", "off"]))]
    pub mode: String,
    /// What may be stayed with: `candidates` (the default), models that the winning decision lists
    /// too; `any`, every model that boundaries and abilities allow.
    #[schemars(extend("enum" = ["candidates", "any"]))]
    pub hold: String,
    /// Request headers that name a session, the first that is there. Without one the body's own
    /// marks are read.
    pub identity_headers: Vec<String>,
    /// Pause after which a session starts over, seconds.
    pub idle_timeout_seconds: u64,
    /// Sessions that are remembered, at most; the longest unused are forgotten first.
    pub capacity: u32,
    /// What switches may cost, percent of the session's bill so far: prefix tokens at the price
    /// above the cached one. A switch that would exceed it waits. Without prices, or with 0 seen of
    /// the bill so far, see `pricing` of the models: no prices at all means that only tool loops,
    /// provider state and compactions stay; prices mean that the bill grows by the tokens that
    /// models report, or, where their answers are not seen, by a low estimate at the cached price.
    pub switch_budget_percent: f64,
    /// Advantage that a switch to save money needs beyond its cost, as a share of what staying
    /// costs.
    pub switch_margin: f64,
    /// Lead that a switch to a dearer model needs in the algorithm's scores, as a share of the
    /// distance between its best and its worst candidate. Algorithms without scores need none.
    pub switch_lead: f64,
    /// Share of the way back that a session must be able to afford when it leaves its model for a
    /// cheaper one.
    pub switch_reserve: f64,
    /// How long providers keep a prompt's prefix in their caches, seconds.
    pub cache_lifetime_seconds: u64,
    /// Where requests that an agent asks beside the conversation go (titles, topics): `select` (the
    /// default), where the algorithm sends them; `cheapest`, to the cheapest candidate. Either way
    /// they move no session.
    #[schemars(extend("enum" = ["select", "cheapest"]))]
    pub helpers: String,
    /// Regular expressions of such requests' system prompts; they also have neither tools nor
    /// answers.
    pub helper_patterns: Vec<String>,
    /// Regular expressions of the last user text of requests that shorten a conversation. They stay
    /// with its model, which has the text in its cache.
    pub compaction_patterns: Vec<String>,
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

/// OpenCode and Claude Code ask for titles and topics.
const HELPERS: [&str; 3] = [
    r"\AYou are a title generator",
    r"\AAnalyze if this message indicates a new conversation topic",
    r"\AGenerate a (?:concise|short|brief)[^.]{0,60} title",
];

/// Inferoa and Claude Code ask for summaries.
const COMPACTIONS: [&str; 2] = [
    r"\A\s*<context\.compaction\.request>",
    r"\A\s*Your task is to create a detailed summary of (?:the|this) conversation",
];

impl Default for Sessions {
    fn default() -> Self {
        Self {
            mode: "apply".to_owned(),
            hold: "candidates".to_owned(),
            identity_headers: IDENTITY_HEADERS.map(str::to_owned).to_vec(),
            idle_timeout_seconds: 300,
            capacity: 100_000,
            switch_budget_percent: 25.0,
            switch_margin: 0.05,
            switch_lead: 0.7,
            switch_reserve: 0.5,
            cache_lifetime_seconds: 300,
            helpers: "select".to_owned(),
            helper_patterns: HELPERS.map(str::to_owned).to_vec(),
            compaction_patterns: COMPACTIONS.map(str::to_owned).to_vec(),
            turn_state_seconds: 3_600,
            redis: None,
            store_timeout_ms: 20,
        }
    }
}
