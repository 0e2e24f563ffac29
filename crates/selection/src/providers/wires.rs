//! Which of the LLM wires a model's backend speaks, and what stands between a request and a backend
//! that speaks another one.

use super::{BackendRef, ProviderModel};
use dialects::Dialect;

/// The wires that a model's backend speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wires {
    /// Not said: the backend gets the wire that the client speaks, as servers like vLLM take all
    /// three.
    #[default]
    Any,
    /// Chat completions and Responses: OpenAI's own hosts.
    OpenAi,
    /// Chat completions alone.
    Chat,
    /// Responses alone.
    Responses,
    /// Messages.
    Anthropic,
}

/// Hosts that are known to speak certain wires; their subdomains do so too.
const HOSTS: &[(&str, Wires)] = &[
    ("api.openai.com", Wires::OpenAi),
    ("openai.azure.com", Wires::OpenAi),
    ("services.ai.azure.com", Wires::OpenAi),
    ("api.anthropic.com", Wires::Anthropic),
    ("generativelanguage.googleapis.com", Wires::Chat),
    ("api.deepseek.com", Wires::Chat),
];

impl Wires {
    /// Returns whether a request of this wire goes to the backend as it came.
    #[must_use]
    pub fn takes(self, wire: Dialect) -> bool {
        self.of(wire) == wire
    }

    /// Returns the wire that a client's request goes to the backend on: its own where the backend
    /// speaks it.
    #[must_use]
    pub fn of(self, client: Dialect) -> Dialect {
        match self {
            Self::Any => client,
            Self::OpenAi if client == Dialect::OpenAiResponses => client,
            Self::OpenAi | Self::Chat => Dialect::OpenAiChat,
            Self::Responses => Dialect::OpenAiResponses,
            Self::Anthropic => Dialect::AnthropicMessages,
        }
    }

    /// Returns the wire that a path of the document (`chat_path`) is meant for.
    #[must_use]
    pub fn own(self) -> Dialect {
        self.of(Dialect::OpenAiChat)
    }

    /// Returns what `api_format` says of the backend, in the document's words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::OpenAi | Self::Chat => "openai",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
        }
    }
}

impl ProviderModel {
    /// Returns the wires that the model's backend speaks: what `api_format` says, else what its host
    /// is known for.
    #[must_use]
    pub fn wires(&self) -> Wires {
        let host = self.backend().and_then(known);
        match (self.api_format.trim(), host) {
            ("anthropic", _) => Wires::Anthropic,
            ("responses", _) => Wires::Responses,
            ("", host) => host.unwrap_or_default(),
            (_, Some(Wires::OpenAi)) => Wires::OpenAi,
            _ => Wires::Chat,
        }
    }
}

fn known(backend: &BackendRef) -> Option<Wires> {
    let found = HOSTS.iter().find(|(host, _)| backend.is_at(host));
    found.map(|(_, wires)| *wires)
}

/// How a request can reach a backend: on the client's wire, or translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carriage {
    /// The client's wire.
    pub wire: Dialect,
    /// Why it cannot be translated; `None` where it can.
    pub untranslatable: Option<Untranslatable>,
}

impl Carriage {
    /// Returns why a request cannot go to a backend; `None` where it can.
    #[must_use]
    pub fn refused_by(self, wires: Wires) -> Option<Untranslatable> {
        self.untranslatable.filter(|_| !wires.takes(self.wire))
    }
}

/// Why a request reaches only backends of its own wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Untranslatable {
    /// The gateway does not let Merit change the answer.
    Response,
    /// The endpoint is not one of conversations.
    Endpoint,
    /// It goes on from what its provider keeps.
    ProviderState,
    /// It is a second attempt: the body that the first model got is all that there is.
    Attempt,
}

impl Untranslatable {
    /// Returns its word in traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response_not_rewritable",
            Self::Endpoint => "other_endpoint",
            Self::ProviderState => "provider_state",
            Self::Attempt => "second_attempt",
        }
    }

    /// Returns the reason in words that follow "this request cannot be translated: ".
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Response => {
                "the gateway does not let the answer be changed (its ext_proc filter must show response headers and bodies)"
            }
            Self::Endpoint => "only conversations are, and this is another endpoint",
            Self::ProviderState => {
                "it goes on from a response that another provider keeps; send the whole conversation"
            }
            Self::Attempt => "it is a second attempt",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wires(api_format: &str, base_url: &str) -> Wires {
        let backend = BackendRef {
            base_url: base_url.into(),
            ..BackendRef::default()
        };
        ProviderModel {
            api_format: api_format.into(),
            backend_refs: vec![backend],
            ..ProviderModel::default()
        }
        .wires()
    }

    #[test]
    fn what_backends_speak() {
        use Wires::{Anthropic, Any, Chat, OpenAi, Responses};
        let local = "http://127.0.0.1:8000/v1";
        let openai = "https://api.openai.com/v1";
        let azure = "https://eu.openai.azure.com";
        let anthropic = "https://api.anthropic.com";
        let google = "https://generativelanguage.googleapis.com/v1beta/openai";
        for (api_format, base_url, expected) in [
            ("", local, Any),
            ("", openai, OpenAi),
            ("", azure, OpenAi),
            ("", anthropic, Anthropic),
            ("", google, Chat),
            ("", "https://api.openai.com.example.org", Any),
            ("openai", local, Chat),
            ("openai", openai, OpenAi),
            ("openai", azure, OpenAi),
            ("openai", anthropic, Chat),
            ("responses", local, Responses),
            ("responses", openai, Responses),
            ("anthropic", local, Anthropic),
            ("anthropic", openai, Anthropic),
        ] {
            assert_eq!(
                wires(api_format, base_url),
                expected,
                "{api_format} {base_url}"
            );
        }
    }

    #[test]
    fn the_wire_of_each_client_at_each_backend() {
        use Dialect::{AnthropicMessages as M, OpenAiChat as C, OpenAiResponses as R};
        for (wires, expected) in [
            (Wires::Any, [C, R, M]),
            (Wires::OpenAi, [C, R, C]),
            (Wires::Chat, [C, C, C]),
            (Wires::Responses, [R, R, R]),
            (Wires::Anthropic, [M, M, M]),
        ] {
            let got = [C, R, M].map(|client| wires.of(client));
            assert_eq!(got, expected, "{wires:?}");
        }
    }
}
