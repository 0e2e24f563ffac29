//! Work attached to a decision, done before the request leaves: one plugin, one file, one line in
//! [`build`].
//!
//! The order is fixed (SEMANTICS: fast response, system prompt, request parameters, header
//! mutation), whatever order the document lists them in.

mod fast_response;
mod header_mutation;
mod request_params;
mod system_prompt;

use crate::boundary::Verdict;
use crate::config::plugins::Plugin as PluginConfig;
use crate::plan::{Edits, HeaderOp, Refusal};
use crate::signals::Identity;
use async_trait::async_trait;
use dialects::{Dialect, Prompt};
use std::time::Instant;

/// One configured plugin of one decision.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// The `type:` in the document, also the metric label.
    fn name(&self) -> &'static str;

    /// Returns its edits of headers that are the same for every request and every model.
    fn headers(&self) -> &[HeaderOp] {
        &[]
    }

    /// Says what to do with a request that goes on to a model.
    ///
    /// May ask a store or a service, until [`PluginInput::deadline`] and within
    /// [`PluginInput::boundaries`]; a plugin that only edits does not wait.
    async fn on_request(&self, input: &PluginInput<'_>) -> Action;
}

/// What a plugin sees.
#[derive(Clone, Copy)]
pub struct PluginInput<'a> {
    /// The request.
    pub prompt: &'a Prompt,
    /// The wire it came by.
    pub dialect: Dialect,
    /// The caller.
    pub caller: &'a Identity,
    /// The recipe that was asked.
    pub recipe: &'a str,
    /// The decision that won.
    pub decision: &'a str,
    /// The model that was chosen, as the policy names it; `None` if it cannot be reached, so that
    /// the request is refused unless a plugin answers it.
    pub model: Option<&'a str>,
    /// The boundaries that hold: the request's text must not go where they do not allow.
    pub boundaries: &'a Verdict,
    /// Until when a plugin may wait.
    pub deadline: Instant,
}

/// What a plugin does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Edits the request and goes on to the next plugin.
    Edit(Edits),
    /// Answers the request with this text; no model is asked.
    Answer(String),
    /// Refuses the request.
    Refuse(Refusal),
}

/// A plugin ended the request's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It answered with this text.
    Answer(String),
    /// It refused the request.
    Refuse(Refusal),
}

/// Asks plugins in their order and collects their edits.
///
/// # Errors
/// A plugin answers or refuses the request; later ones are not asked.
pub async fn run(plugins: &[Box<dyn Plugin>], input: &PluginInput<'_>) -> Result<Edits, Stop> {
    let mut all = Edits::default();
    for plugin in plugins {
        match plugin.on_request(input).await {
            Action::Edit(edits) => all.append(edits),
            Action::Answer(message) => return Err(Stop::Answer(message)),
            Action::Refuse(refusal) => return Err(Stop::Refuse(refusal)),
        }
    }
    Ok(all)
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

#[cfg(test)]
mod tests;
