//! What an HTTP path asks for: one of the wires, the model list, or something the router lets
//! through or refuses.

use std::fmt;

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
    /// A known LLM endpoint that is not routed by content (embeddings, token counting, stored
    /// responses …): passed on as it is.
    Passthrough,
    /// A path outside `/v1`: none of the router's business, passed on.
    Foreign,
    /// An unknown path under `/v1`: 404.
    NotFound,
    /// A known path with a method it does not have: 405.
    MethodNotAllowed,
}

impl Endpoint {
    /// Reads `method` and `:path`. The query and one trailing `/` do not matter.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Self {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = path.strip_suffix('/').unwrap_or(path);
        let Some(rest) = path
            .strip_prefix("/v1")
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return Self::Foreign;
        };
        let get = matches!(method, "GET" | "HEAD");
        let (allowed, endpoint) = match rest.strip_prefix('/').unwrap_or_default() {
            "chat/completions" => (method == "POST", Self::Inference(Dialect::OpenAiChat)),
            "responses" => (method == "POST", Self::Inference(Dialect::OpenAiResponses)),
            "messages" => (
                method == "POST",
                Self::Inference(Dialect::AnthropicMessages),
            ),
            "models" => (get, Self::Models),
            "embeddings" | "messages/count_tokens" => (method == "POST", Self::Passthrough),
            other => return Self::of_item(other, method),
        };
        if allowed {
            endpoint
        } else {
            Self::MethodNotAllowed
        }
    }

    /// Endpoints whose path ends in an id.
    fn of_item(path: &str, method: &str) -> Self {
        let get = matches!(method, "GET" | "HEAD");
        if let Some(id) = path.strip_prefix("models/").filter(|id| !id.is_empty()) {
            let id = percent_encoding::percent_decode_str(id)
                .decode_utf8_lossy()
                .into_owned();
            return if get {
                Self::Model(id)
            } else {
                Self::MethodNotAllowed
            };
        }
        // Stored responses and message batches live where the request that made them went; their
        // paths have no model to route by.
        let stored = path
            .strip_prefix("responses/")
            .is_some_and(|id| !id.is_empty());
        let batches = path == "messages/batches" || path.starts_with("messages/batches/");
        match (stored || batches, method) {
            (true, "GET" | "HEAD" | "POST" | "DELETE") => Self::Passthrough,
            (true, _) => Self::MethodNotAllowed,
            (false, _) => Self::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect::{AnthropicMessages, OpenAiChat, OpenAiResponses};
    use super::Endpoint::{
        self, Foreign, Inference, MethodNotAllowed, Model, Models, NotFound, Passthrough,
    };

    #[test]
    fn paths_say_what_is_asked() {
        let cases = [
            ("POST", "/v1/chat/completions", Inference(OpenAiChat)),
            ("POST", "/v1/chat/completions/", Inference(OpenAiChat)),
            ("POST", "/v1/chat/completions//", NotFound),
            ("GET", "/v1/chat/completions", MethodNotAllowed),
            (
                "POST",
                "/v1/messages?beta=true",
                Inference(AnthropicMessages),
            ),
            (
                "POST",
                "/v1/messages/?beta=true",
                Inference(AnthropicMessages),
            ),
            ("POST", "/v1/messages/count_tokens?beta=true", Passthrough),
            ("GET", "/v1/messages/batches", Passthrough),
            ("POST", "/v1/responses", Inference(OpenAiResponses)),
            ("GET", "/v1/responses/resp_1", Passthrough),
            ("DELETE", "/v1/responses/resp_1", Passthrough),
            ("POST", "/v1/responses/resp_1/cancel", Passthrough),
            ("PUT", "/v1/responses/resp_1", MethodNotAllowed),
            ("POST", "/v1/embeddings", Passthrough),
            ("GET", "/v1/models", Models),
            ("GET", "/v1/models?limit=1000", Models),
            ("HEAD", "/v1/models", Models),
            ("POST", "/v1/models", MethodNotAllowed),
            (
                "GET",
                "/v1/models/vllm-sr%2Fauto",
                Model("vllm-sr/auto".to_owned()),
            ),
            (
                "GET",
                "/v1/models/vllm-sr/auto",
                Model("vllm-sr/auto".to_owned()),
            ),
            ("DELETE", "/v1/models/x", MethodNotAllowed),
            ("GET", "/v1/router_replay/abc", NotFound),
            ("POST", "/v1/chat/completion", NotFound),
            ("GET", "/v1", NotFound),
            ("GET", "/v1beta/models", Foreign),
            ("GET", "/health", Foreign),
            ("GET", "/", Foreign),
            ("OPTIONS", "*", Foreign),
        ];
        for (method, path, expected) in cases {
            assert_eq!(Endpoint::of(method, path), expected, "{method} {path}");
        }
    }
}
