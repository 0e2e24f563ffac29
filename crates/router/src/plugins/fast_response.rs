//! Answers at once, without a model. This is how a policy refuses: a decision on unsafe or unwanted
//! requests carries it.
//!
//! ```yaml
//! plugins:
//!   - type: fast_response
//!     configuration: {message: "This desk cannot help with that."}
//! ```

use super::{Action, Plugin, PluginInput};
use crate::config::plugins::FastResponse as Config;
use async_trait::async_trait;

struct FastResponse {
    message: String,
}

/// Always on: the type has no `enabled`.
pub(super) fn build(config: &Config) -> Option<Box<dyn Plugin>> {
    Some(Box::new(FastResponse {
        message: config.message.clone(),
    }))
}

#[async_trait]
impl Plugin for FastResponse {
    fn name(&self) -> &'static str {
        "fast_response"
    }

    async fn on_request(&self, _input: &PluginInput<'_>) -> Action {
        Action::Answer(self.message.clone())
    }
}
