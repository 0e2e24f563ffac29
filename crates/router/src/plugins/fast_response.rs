//! Answers at once, without a model. This is how a policy refuses: a decision on unsafe or unwanted
//! requests carries it.
//!
//! ```yaml
//! plugins:
//!   - type: fast_response
//!     configuration: {message: "This desk cannot help with that."}
//! ```

use super::{Action, Checking, Configuration, Plugin, PluginInput, Turn};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer at once, without a model. This is how a policy refuses.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "FastResponse")]
pub struct FastResponseConfig {
    /// The answer.
    pub message: String,
}

/// Always on: the type has no `enabled`.
impl Configuration for FastResponseConfig {
    const NAME: &'static str = "fast_response";
    const TURN: Option<Turn> = Some(Turn::Answer);

    fn answers(&self) -> bool {
        true
    }

    fn check(&self, checking: &mut Checking<'_>) {
        if self.message.trim().is_empty() {
            checking
                .findings
                .warn(checking.path, "`message` is empty, so the answer is");
        }
    }

    fn build(&self) -> Option<Box<dyn Plugin>> {
        Some(Box::new(FastResponse {
            message: self.message.clone(),
        }))
    }
}

struct FastResponse {
    message: String,
}

#[async_trait]
impl Plugin for FastResponse {
    fn name(&self) -> &'static str {
        FastResponseConfig::NAME
    }

    async fn on_request(&self, _input: &PluginInput<'_>) -> Action {
        Action::Answer(self.message.clone())
    }
}
