//! Work attached to a decision, done before the request leaves: one plugin, one file, one line in
//! [`build`].
//!
//! The order is fixed (SEMANTICS: fast response, system prompt, request parameters, header
//! mutation), whatever order the document lists them in.

mod fast_response;
mod header_mutation;
mod request_params;
mod system_prompt;

use crate::config::plugins::Plugin as PluginConfig;
use crate::plan::Forward;

/// One configured plugin of one decision.
pub trait Plugin: Send + Sync {
    /// The `type:` in the document, also the metric label.
    fn name(&self) -> &'static str;

    /// Adds its edits to the plan, or answers the request itself.
    fn on_request(&self, plan: &mut Forward) -> Flow;
}

/// Whether the request goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// On to the next plugin.
    Continue,
    /// The request is answered with this text, no model is asked.
    Answer(String),
}

/// Builds the enabled plugins of one decision, in their fixed order. Types that are not implemented
/// are left out here; the document check has already named them.
#[must_use]
pub fn build(configured: &[PluginConfig]) -> Vec<Box<dyn Plugin>> {
    let mut built: Vec<(u8, Box<dyn Plugin>)> = configured.iter().filter_map(build_one).collect();
    built.sort_by_key(|(rank, _)| *rank);
    // Of several of one type the first acts; the document check has said so.
    built.dedup_by_key(|(rank, _)| *rank);
    built.into_iter().map(|(_, plugin)| plugin).collect()
}

fn build_one(configured: &PluginConfig) -> Option<(u8, Box<dyn Plugin>)> {
    match configured {
        PluginConfig::FastResponse(config) => Some((0, fast_response::build(config)?)),
        PluginConfig::SystemPrompt(config) => Some((1, system_prompt::build(config)?)),
        PluginConfig::RequestParams(config) => Some((2, request_params::build(config)?)),
        PluginConfig::HeaderMutation(config) => Some((3, header_mutation::build(config)?)),
        _ => None,
    }
}
