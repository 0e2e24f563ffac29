//! A request to be routed, and a refusal on its way.

use super::reading::Reading;
use crate::plan::Refusal;
use conversation::learning::context::RequestContext;
use conversation::session::SessionHints;
use dialects::{Dialect, Prompt, Service};
use inference::ask::Ask;
use selection::eligible::{Barrier, Dropped};
use selection::providers::wires::{Carriage, Untranslatable};
use signals::families::{Identity, SignalError};
use std::time::Instant;

/// A request to be routed.
pub struct RoutingRequest<'a> {
    /// What it says.
    pub prompt: &'a Prompt,
    /// What the further requests of a batch say. Each is read for itself, and all go to one model.
    pub more: &'a [Prompt],
    /// The wire it came by.
    pub dialect: Dialect,
    /// The endpoint, where it is not that of conversations.
    pub service: Option<Service>,
    /// The caller.
    pub identity: &'a Identity,
    /// What its headers say of its session.
    pub hints: SessionHints<'a>,
    /// The response's body will be seen, so its usage is worth asking for.
    pub observed: bool,
    /// Answers the questions of learned signals.
    pub models: &'a dyn Ask,
    /// Until when models and stores may be waited for.
    pub deadline: Instant,
    /// What it says beside its body.
    pub context: RequestContext<'a>,
    /// Debug headers are wanted: evaluate all that a decision can reach, even what cannot change
    /// the outcome any more, and name what matched.
    pub full: bool,
    /// Its trace is recorded: forecast what it would cost at every candidate.
    pub traced: bool,
    /// The gateway lets the response's body be replaced.
    pub rewritable: bool,
}

impl RoutingRequest<'_> {
    /// Returns the API of the wire, as headers name it.
    pub(crate) fn protocol(&self) -> &'static str {
        protocol(self.dialect)
    }

    /// Returns how it can reach a backend: on its own wire, or translated.
    pub(crate) fn carriage(&self) -> Carriage {
        let untranslatable = match self.service {
            // Merit counts itself where the model has no endpoint for that.
            Some(Service::CountTokens) => None,
            Some(_) => Some(Untranslatable::Endpoint),
            None if !self.rewritable => Some(Untranslatable::Response),
            None if self.prompt.continuity.previous_response.is_some() => {
                Some(Untranslatable::ProviderState)
            }
            None => None,
        };
        Carriage {
            wire: self.dialect,
            untranslatable,
        }
    }
}

/// Returns the API of a wire, as headers name it.
pub(crate) fn protocol(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::AnthropicMessages => "anthropic",
        Dialect::OpenAiChat | Dialect::OpenAiResponses => "openai",
    }
}

/// A refusal, and what is known of its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What the client is outcome.
    pub(crate) refusal: Refusal,
    /// What keeps the request from every model that might serve it.
    pub(crate) barrier: Option<Barrier>,
    /// The models that it keeps the request from.
    pub(crate) dropped: Vec<Dropped>,
}

impl Refused {
    /// Refuses a request that `barrier` keeps from the last model, after these were dropped.
    pub(crate) fn by(barrier: Barrier, dropped: Vec<Dropped>) -> Self {
        Self {
            refusal: Refusal::from(&barrier),
            barrier: Some(barrier),
            dropped,
        }
    }

    /// Lets the client try again where the boundary that refuses holds for one reason alone: the
    /// request was not read in time.
    pub(crate) fn or_later(self, reading: &Reading<'_>) -> Self {
        match &self.barrier {
            Some(Barrier::Boundary(name)) if reading.verdict.is_unread(name) => Self {
                refusal: Refusal::unread(name, &reading.degraded),
                ..self
            },
            _ => self,
        }
    }

    /// Refuses a request that `barrier` keeps from this model.
    pub(crate) fn at(model: &str, barrier: Barrier) -> Self {
        let dropped = Dropped {
            model: model.into(),
            by: barrier.clone(),
        };
        Self::by(barrier, vec![dropped])
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            barrier: None,
            dropped: Vec::new(),
        }
    }
}

impl From<SignalError> for Refused {
    fn from(error: SignalError) -> Self {
        Refusal::new(403, error.to_string()).into()
    }
}
