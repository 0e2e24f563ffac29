//! Work attached to a decision, done before the request leaves: one plugin, one file, one line of
//! the table.
//!
//! A plugin's file holds its configuration as the document writes it, its checks, the build step
//! and what it does. The order in which plugins act is fixed (see [`Turn`]), whatever order the
//! document lists them in.

pub mod context_compression;
pub mod fast_response;
pub mod hallucination;
pub mod header_mutation;
pub mod image_gen;
pub mod memory;
pub mod prompt_cache;
pub mod rag;
pub mod request_params;
pub mod response_cache;
pub mod response_jailbreak;
pub mod router_replay;
pub mod shadow_dispatch;
pub mod system_prompt;
mod table;
pub mod tool_selection;
pub mod tools;

use crate::boundary::Verdict;
use crate::plan::{Edits, HeaderOp, Refusal};
use async_trait::async_trait;
use dialects::{Dialect, Prompt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signals::families::Identity;
use std::time::Instant;
pub use table::{Checking, Configuration, NotRun, PluginType, Turn};

table::plugins! {
    /// Answer at once, without a model.
    FastResponse(fast_response::FastResponseConfig),
    /// Set or extend the system message.
    SystemPrompt(system_prompt::SystemPromptConfig),
    /// Change headers of the request sent upstream.
    HeaderMutation(header_mutation::HeaderMutationConfig),
    /// Limit or delete parameters.
    RequestParams(request_params::RequestParamsConfig),
    /// Answer from earlier answers. Also written `semantic-cache`, `semantic_cache`,
    /// `response-cache`.
    #[serde(
        alias = "semantic-cache",
        alias = "semantic_cache",
        alias = "response-cache"
    )]
    ResponseCache(response_cache::ResponseCacheConfig),
    /// Shorten tool outputs and history.
    ContextCompression(context_compression::ContextCompressionConfig),
    /// Bring back what was said in earlier conversations.
    Memory(memory::MemoryConfig),
    /// Add retrieved documents.
    Rag(Box<rag::RagConfig>),
    /// Allow and block tools.
    Tools(tools::ToolsConfig),
    /// Add tools from a database, or filter the request's.
    ToolSelection(tool_selection::ToolSelectionConfig),
    /// Record the request and its way.
    RouterReplay(router_replay::RouterReplayConfig),
    /// Check the answer against its context.
    Hallucination(hallucination::HallucinationConfig),
    /// Check the answer for signs of a jailbreak.
    ResponseJailbreak(response_jailbreak::ResponseJailbreakConfig),
    /// Answer with a generated image.
    ImageGen(Box<image_gen::ImageGenConfig>),
    /// Mark what a provider should cache of a prompt.
    PromptCache(prompt_cache::PromptCacheConfig),
    /// Send a copy of the request to another model.
    ShadowDispatch(shadow_dispatch::ShadowDispatchConfig),
}

impl PluginConfig {
    /// Returns the type as reports name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().name
    }
}

/// Returns the plugin that a `type:` means, in whichever spelling it is written.
#[must_use]
pub fn named(written: &str) -> Option<&'static PluginType> {
    PLUGINS
        .iter()
        .find(|plugin| plugin.spellings.contains(&written))
}

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
    /// The wire that its model gets it on.
    pub wire: Dialect,
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

/// Builds the enabled plugins of one decision, in the order in which they act. Types that are not
/// implemented are left out here; the document check has already named them.
#[must_use]
pub fn build(configured: &[PluginConfig]) -> Vec<Box<dyn Plugin>> {
    let mut built: Vec<(Turn, Box<dyn Plugin>)> = Vec::new();
    for config in configured {
        // Of several of one type the first acts; the document check has said so.
        let is_second = built.iter().any(|(_, first)| first.name() == config.name());
        if let Some(turn) = config.kind().turn
            && !is_second
        {
            built.extend(config.build().map(|plugin| (turn, plugin)));
        }
    }
    built.sort_by_key(|(turn, _)| *turn);
    built.into_iter().map(|(_, plugin)| plugin).collect()
}

#[cfg(test)]
mod tests;
