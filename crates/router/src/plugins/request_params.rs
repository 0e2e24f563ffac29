//! Blocks and caps parameters of the request.
//!
//! ```yaml
//! plugins:
//!   - type: request_params
//!     configuration: {blocked_params: [logprobs], max_tokens_limit: 1024, max_n: 1}
//! ```

use super::{Action, Checking, Configuration, Plugin, PluginInput, Turn};
use crate::plan::{BodyEdit, Edits, RequestParams as Limits};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Limit or delete parameters of the body.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RequestParams")]
pub struct RequestParamsConfig {
    /// Top-level keys to delete.
    pub blocked_params: Vec<String>,
    /// Cap of `max_tokens`; 0 means none.
    pub max_tokens_limit: u64,
    /// Cap of `n`; 0 means none.
    pub max_n: u64,
    /// Delete every key of the client's that is not in the short list of OpenAI's first chat API.
    /// What Merit itself adds stays.
    pub strip_unknown: bool,
    /// Limit of the answer where the client sets none, in tokens. `auto` is known, and not run.
    pub default_max_tokens: String,
}

/// Always on: the type has no `enabled`.
impl Configuration for RequestParamsConfig {
    const NAME: &'static str = "request_params";
    const TURN: Option<Turn> = Some(Turn::Parameters);

    fn check(&self, checking: &mut Checking<'_>) {
        let path = checking.path;
        let findings = &mut *checking.findings;

        if self.strip_unknown {
            let message = "also deletes `max_completion_tokens`, `stream_options` and `chat_template_kwargs` of clients; what Merit itself adds stays";
            findings.note(format!("{path}.strip_unknown"), message);
        }
        if self.max_tokens_limit > 0 && !self.strip_unknown {
            findings.note(
                format!("{path}.max_tokens_limit"),
                "caps `max_tokens`, not `max_completion_tokens`",
            );
        }

        let default = self.default_max_tokens.trim();
        if !matches!(default, "" | "auto") && self.default_limit().is_none() {
            findings.error(
                format!("{path}.default_max_tokens"),
                "a whole number of at least 1, or `auto`, is wanted",
            );
        }

        for (index, name) in self.blocked_params.iter().enumerate() {
            if ["model", "messages"].contains(&name.as_str()) {
                findings.error(
                    format!("{path}.blocked_params[{index}]"),
                    format!("no backend takes a request without `{name}`"),
                );
            }
        }
    }

    fn build(&self) -> Option<Box<dyn Plugin>> {
        let limits = Limits {
            blocked: self.blocked_params.clone(),
            max_tokens: cap(self.max_tokens_limit),
            default_max_tokens: self.default_limit(),
            max_n: cap(self.max_n),
            strip_unknown: self.strip_unknown,
            also_known: Vec::new(),
        };
        Some(Box::new(RequestParams {
            limits: Arc::new(limits),
        }))
    }
}

impl RequestParamsConfig {
    /// Returns the cap of answers, if there is one.
    pub(crate) fn cap(&self) -> Option<u64> {
        cap(self.max_tokens_limit)
    }

    /// Returns the output limit of a request that has none, if it is a number.
    pub(crate) fn default_limit(&self) -> Option<u64> {
        let limit = self.default_max_tokens.trim().parse().ok();
        limit.filter(|&limit: &u64| limit > 0)
    }
}

/// Returns a cap as written; 0 means that there is no cap.
fn cap(limit: u64) -> Option<u64> {
    (limit > 0).then_some(limit)
}

struct RequestParams {
    limits: Arc<Limits>,
}

#[async_trait]
impl Plugin for RequestParams {
    fn name(&self) -> &'static str {
        RequestParamsConfig::NAME
    }

    async fn on_request(&self, _input: &PluginInput<'_>) -> Action {
        Action::Edit(Edits {
            body: vec![BodyEdit::Params(self.limits.clone())],
            ..Edits::default()
        })
    }
}
