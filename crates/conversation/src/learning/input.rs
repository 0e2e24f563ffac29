//! The input of learning: a request whose model was chosen by an algorithm.

use super::context::RequestContext;
use super::policy::{Mode, Policy};
use super::reference::ConversationState;
use crate::ConversationKey;
use selection::algorithms::Candidates;
use std::sync::Arc;
use std::time::Instant;

/// A request whose model was chosen by an algorithm.
pub struct LearningInput<'a> {
    /// How learning acts here.
    pub policy: &'a Policy,
    /// Name of the recipe.
    pub recipe: &'a Arc<str>,
    /// Name of the decision.
    pub decision: &'a Arc<str>,
    /// The decision's tier.
    pub tier: i64,
    /// The decision's candidates.
    pub candidates: &'a Candidates,
    /// Indices of those that may serve the request.
    pub eligible: &'a [usize],
    /// Whether a model, candidate or not, may serve the request: boundaries, abilities, wire,
    /// backend.
    pub allows: &'a (dyn Fn(&str) -> bool + Sync),
    /// The authenticated caller; empty if there is none.
    pub caller: &'a str,
    /// What the request says beside its body.
    pub request: RequestContext<'a>,
    /// What the body says of the conversation.
    pub state: ConversationState,
    /// When the request came.
    pub now: Instant,
}

impl LearningInput<'_> {
    /// Returns the key of the conversation; `None` without protection, and if the client names
    /// none.
    pub(super) fn key(&self) -> Option<ConversationKey> {
        match self.policy.protection {
            Mode::Off | Mode::Bypass => None,
            Mode::Observe | Mode::Apply => {
                self.policy
                    .key(self.recipe, self.caller, self.request.headers)
            }
        }
    }
}
