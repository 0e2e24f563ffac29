//! Puts a system prompt before the caller's, or in its place.
//!
//! ```yaml
//! plugins:
//!   - type: system_prompt
//!     configuration: {mode: insert, system_prompt: "Answer in one paragraph."}
//! ```

use super::{Action, Plugin, PluginInput};
use crate::config::plugins::SystemPrompt as Config;
use crate::plan::{BodyEdit, Edits, PromptMode};
use async_trait::async_trait;
use std::sync::Arc;

struct SystemPrompt {
    mode: PromptMode,
    text: Arc<str>,
}

/// Nothing to do without text or when switched off. Any mode text but `insert` (or none) replaces,
/// as the reference has it.
pub(super) fn build(config: &Config) -> Option<Box<dyn Plugin>> {
    if config.enabled == Some(false) || config.system_prompt.is_empty() {
        return None;
    }
    let mode = if matches!(config.mode.as_str(), "" | "insert") {
        PromptMode::Insert
    } else {
        PromptMode::Replace
    };
    Some(Box::new(SystemPrompt {
        mode,
        text: config.system_prompt.as_str().into(),
    }))
}

#[async_trait]
impl Plugin for SystemPrompt {
    fn name(&self) -> &'static str {
        "system_prompt"
    }

    async fn on_request(&self, _input: &PluginInput<'_>) -> Action {
        let edit = BodyEdit::SystemPrompt {
            mode: self.mode,
            text: self.text.clone(),
        };
        Action::Edit(Edits {
            body: vec![edit],
            ..Edits::default()
        })
    }
}
