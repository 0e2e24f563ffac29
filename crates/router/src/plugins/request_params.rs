//! Blocks and caps parameters of the request.
//!
//! ```yaml
//! plugins:
//!   - type: request_params
//!     configuration: {blocked_params: [logprobs], max_tokens_limit: 1024, max_n: 1}
//! ```

use super::{Action, Plugin, PluginInput};
use crate::config::plugins::RequestParams as Config;
use crate::plan::{BodyEdit, Edits, RequestParams as Limits};
use async_trait::async_trait;
use std::sync::Arc;

struct RequestParams {
    limits: Arc<Limits>,
}

/// Always on: the type has no `enabled`.
pub(super) fn build(config: &Config) -> Option<Box<dyn Plugin>> {
    let cap = |limit: u64| (limit > 0).then_some(limit);
    let limits = Limits {
        blocked: config.blocked_params.clone(),
        max_tokens: cap(config.max_tokens_limit),
        max_n: cap(config.max_n),
        strip_unknown: config.strip_unknown,
        also_known: Vec::new(),
    };
    Some(Box::new(RequestParams {
        limits: Arc::new(limits),
    }))
}

#[async_trait]
impl Plugin for RequestParams {
    fn name(&self) -> &'static str {
        "request_params"
    }

    async fn on_request(&self, _input: &PluginInput<'_>) -> Action {
        Action::Edit(Edits {
            body: vec![BodyEdit::Params(self.limits.clone())],
            ..Edits::default()
        })
    }
}
