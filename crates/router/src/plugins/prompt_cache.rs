//! Marks what a provider should cache of a prompt: the last text of the instructions and the last
//! tool, in Anthropic's form. A request whose caller marks something itself is left as it is.
//!
//! ```yaml
//! plugins:
//!   - type: prompt_cache
//!     configuration: {ttl: 1h, targets: [instructions, tools]}
//! ```

use super::{Action, Configuration, Plugin, PluginInput, Turn};
use crate::plan::{BodyEdit, CacheMarks, Edits, Refusal};
use async_trait::async_trait;
use dialects::Dialect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The code of a request whose wire has no marks, where the document wants them.
const UNSUPPORTED: &str = "prompt_cache_target_unsupported";

/// Mark what a provider should cache of a prompt.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PromptCachePlugin")]
pub struct PromptCacheConfig {
    /// Act here; omitted means on.
    pub enabled: Option<bool>,
    /// Lifetime of the cache: `5m` (the default) or `1h`.
    #[schemars(extend("enum" = ["5m", "1h"]))]
    pub ttl: String,
    /// What is marked; omitted means both.
    pub targets: Vec<CacheTarget>,
    /// What happens to requests of a wire without marks: `skip` (the default) or `reject`.
    #[schemars(extend("enum" = ["skip", "reject"]))]
    pub on_unsupported: String,
}

/// A part of a prompt that a provider can cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheTarget {
    /// The last text of the instructions.
    Instructions,
    /// The last tool.
    Tools,
}

impl Configuration for PromptCacheConfig {
    const NAME: &'static str = "prompt_cache";
    const TURN: Option<Turn> = Some(Turn::PromptCache);

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn build(&self) -> Option<Box<dyn Plugin>> {
        if !self.is_enabled() {
            return None;
        }
        let marks = |target| self.targets.is_empty() || self.targets.contains(&target);
        Some(Box::new(PromptCache {
            marks: CacheMarks {
                instructions: marks(CacheTarget::Instructions),
                tools: marks(CacheTarget::Tools),
                for_an_hour: self.ttl.trim() == "1h",
            },
            rejects: self.on_unsupported.trim() == "reject",
        }))
    }
}

struct PromptCache {
    marks: CacheMarks,
    /// Refuses requests of a wire without marks.
    rejects: bool,
}

#[async_trait]
impl Plugin for PromptCache {
    fn name(&self) -> &'static str {
        PromptCacheConfig::NAME
    }

    async fn on_request(&self, input: &PluginInput<'_>) -> Action {
        if input.wire == Dialect::AnthropicMessages {
            return Action::Edit(Edits {
                body: vec![BodyEdit::CacheMarks(self.marks)],
                ..Edits::default()
            });
        }
        if !self.rejects {
            return Action::Edit(Edits::default());
        }
        let message =
            "the policy wants this prompt to be cached, and its API has no marks for that";
        Action::Refuse(Refusal {
            code: Some(UNSUPPORTED),
            ..Refusal::new(400, message)
        })
    }
}
