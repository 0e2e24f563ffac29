//! What an HTTP path asks for: one of the wires, the model list, or something the router lets
//! through or refuses.
//!
//! A path is recognised in every spelling that some server might accept: letters of either case,
//! percent-encoded, with repeated slashes or dot segments, behind a known prefix. It is forwarded
//! as it was sent.

mod paths;
mod pattern;
mod segments;
mod service;

use std::fmt;

pub use paths::{DEFAULT_PREFIXES, InvalidPrefix, Paths, routed_paths};
pub use pattern::{InvalidPattern, PathPattern};
pub use service::Service;

/// An LLM wire the router reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `POST /v1/chat/completions`.
    OpenAiChat,
    /// `POST /v1/responses`.
    OpenAiResponses,
    /// `POST /v1/messages`.
    AnthropicMessages,
}

impl Dialect {
    /// The path under which a backend of this dialect takes requests.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::OpenAiChat => "/v1/chat/completions",
            Self::OpenAiResponses => "/v1/responses",
            Self::AnthropicMessages => "/v1/messages",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::AnthropicMessages => "anthropic-messages",
        })
    }
}

/// What a method and a path ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A request to be routed.
    Inference(Dialect),
    /// The list of models.
    Models,
    /// One model; the id is percent-decoded (`vllm-sr%2Fauto` is `vllm-sr/auto`).
    Model(String),
    /// A request of another endpoint that carries text or media for a model.
    Service(Service),
    /// Responses or batches that a provider keeps: where they live is no matter of what they say.
    Stored(Stored),
    /// None of the router's business, passed on: a path outside `/v1` and its prefixes, or a
    /// browser's `OPTIONS`.
    Foreign,
    /// An inference endpoint behind a base that is wrong, such as `/chat/completions` or
    /// `/v1/v1/messages`: 404.
    WrongBase(WrongBase),
    /// An unknown path under `/v1`: 404 where the request has a body and a policy guards text.
    NotFound,
    /// A known path with a method it does not have: 405.
    MethodNotAllowed,
}

/// What a request asks of the objects that a provider keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The wire that errors are written in.
    pub dialect: Dialect,
    /// The object, percent-decoded; `None` for all of them, and for one that is yet to be made.
    pub id: Option<String>,
}

/// An inference endpoint whose base URL was configured wrongly in the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongBase {
    /// The wire that was meant, which the refusal is written in.
    pub dialect: Dialect,
    /// The path that was meant.
    pub meant: &'static str,
    /// What stands before the endpoint may be a prefix that nobody configured.
    pub unknown_prefix: bool,
}

impl WrongBase {
    /// Returns what the client is told.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { meant, .. } = self;
        let base = if self.dialect == Dialect::AnthropicMessages {
            "the client's base URL must contain neither /v1 nor the endpoint"
        } else {
            "the client's base URL must end in /v1, once, and not contain the endpoint"
        };
        let prefix = if self.unknown_prefix {
            "; a prefix before /v1 must be listed in global.server.path_prefixes"
        } else {
            ""
        };
        format!("endpoint not found: {base}, so that the path is {meant}{prefix}")
    }
}

impl Endpoint {
    /// Reads `method` and `:path` with the prefixes that are known by default.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Self {
        Paths::usual().endpoint(method, path)
    }
}

#[cfg(test)]
mod tests;
