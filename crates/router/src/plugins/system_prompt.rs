//! Puts a system prompt before the caller's, or in its place.
//!
//! ```yaml
//! plugins:
//!   - type: system_prompt
//!     configuration: {mode: insert, system_prompt: "Answer in one paragraph."}
//! ```

use super::{Action, Checking, Configuration, Plugin, PluginInput, Turn};
use crate::plan::{BodyEdit, Edits, PromptMode};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Set or extend the system message.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "SystemPrompt")]
pub struct SystemPromptConfig {
    /// Omitted means on.
    pub enabled: Option<bool>,
    /// `insert` (the default) puts the text before the client's; `replace` drops the client's.
    #[schemars(extend("enum" = ["insert", "replace"]))]
    pub mode: String,
    /// The text.
    pub system_prompt: String,
}

impl Configuration for SystemPromptConfig {
    const NAME: &'static str = "system_prompt";
    const TURN: Option<Turn> = Some(Turn::SystemPrompt);

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn check(&self, checking: &mut Checking<'_>) {
        if self.is_enabled() && self.system_prompt.is_empty() {
            checking.findings.warn(
                checking.path,
                "`system_prompt` is empty, so nothing is done",
            );
        }
    }

    /// Builds nothing without text or when switched off. Any mode text but `insert` (or an empty
    /// one) replaces, as the reference has it.
    fn build(&self) -> Option<Box<dyn Plugin>> {
        if !self.is_enabled() || self.system_prompt.is_empty() {
            return None;
        }
        let mode = if matches!(self.mode.as_str(), "" | "insert") {
            PromptMode::Insert
        } else {
            PromptMode::Replace
        };
        Some(Box::new(SystemPrompt {
            mode,
            text: self.system_prompt.as_str().into(),
        }))
    }
}

struct SystemPrompt {
    mode: PromptMode,
    text: Arc<str>,
}

#[async_trait]
impl Plugin for SystemPrompt {
    fn name(&self) -> &'static str {
        SystemPromptConfig::NAME
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
