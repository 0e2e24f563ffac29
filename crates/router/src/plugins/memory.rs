//! Brings back what was said in earlier conversations. Known, and not run yet.

use super::{Configuration, NotRun};
use crate::config::stores::Reflection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bring back what was said in earlier conversations.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MemoryPlugin")]
pub struct MemoryConfig {
    /// Use memory here.
    pub enabled: Option<bool>,
    /// Texts brought back.
    pub retrieval_limit: u32,
    /// Least similarity.
    pub similarity_threshold: f64,
    /// Remember this conversation.
    pub auto_store: Option<bool>,
    /// Combine words and embeddings.
    pub hybrid_search: Option<bool>,
    /// How they are combined.
    pub hybrid_mode: String,
    /// Choice among what was found.
    pub reflection: Option<Reflection>,
}

impl Configuration for MemoryConfig {
    const NAME: &'static str = "memory";

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served(
            "nothing is brought back from earlier conversations",
        ))
    }
}
