//! Blocks and caps parameters of the request.
//!
//! ```yaml
//! plugins:
//!   - type: request_params
//!     configuration: {blocked_params: [logprobs], max_tokens_limit: 1024, max_n: 1}
//! ```

use super::{Flow, Plugin};
use crate::config::plugins::RequestParams as Config;
use crate::plan::{BodyEdit, Forward, RequestParams as Limits};
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

impl Plugin for RequestParams {
    fn name(&self) -> &'static str {
        "request_params"
    }

    fn on_request(&self, plan: &mut Forward) -> Flow {
        plan.body.push(BodyEdit::Params(self.limits.clone()));
        Flow::Continue
    }
}
