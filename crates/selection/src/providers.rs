//! `providers` and `routing.modelCards`: which models there are, where they run, what they cost.

pub mod reasoning;
pub mod wires;

use document::HiddenText;
use reasoning::Reasoning;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Models and what they have in common.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Providers {
    /// What holds for all models.
    pub defaults: ProviderDefaults,
    /// The models that requests can be sent to.
    pub models: Vec<ProviderModel>,
}

/// What holds for all models.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderDefaults {
    /// Model of a request that no decision matched.
    pub default_model: String,
    /// Reasoning effort where a candidate names none; empty means `medium`.
    pub default_reasoning_effort: String,
    /// How models are switched to reasoning, by family name.
    pub reasoning_families: BTreeMap<String, ReasoningFamily>,
}

/// How the models of a family are switched to reasoning.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReasoningFamily {
    /// Where the switch goes.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["chat_template_kwargs", "reasoning_effort", "top_level_reasoning_effort"]))]
    pub kind: String,
    /// Name of the switch there.
    pub parameter: String,
}

/// A model that requests can be sent to.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderModel {
    /// Name used everywhere in this document.
    pub name: String,
    /// Model id in the body sent upstream; empty means the name.
    pub provider_model_id: String,
    /// API that the model's backend speaks: `openai` (chat completions, and Responses at OpenAI's own
    /// hosts), `responses` or `anthropic`. Requests of clients that speak another one are translated.
    /// Omitted means the one that the client speaks, except at hosts that are known to speak certain
    /// ones: those of OpenAI, Azure, Anthropic, Google and DeepSeek.
    #[schemars(extend("enum" = ["openai", "anthropic", "responses"]))]
    pub api_format: String,
    /// A family of `providers.defaults.reasoning_families`.
    pub reasoning_family: String,
    /// Model ids by kind of provider; wins over `provider_model_id`.
    pub external_model_ids: BTreeMap<String, String>,
    /// Prices.
    pub pricing: Option<Pricing>,
    /// Load balancing and retries, which are the gateway's work.
    pub reliability: Option<Reliability>,
    /// Endpoints and their credentials.
    pub backend_refs: Vec<BackendRef>,
    /// Merit's own: where the model runs, as a word of the operator's choice (`on-premises`, `eu`,
    /// `cloud`), for `routing.boundaries`.
    pub location: String,
    /// Id `publisher/model` in a catalog of models: under it the evidence of `evaluation.records`
    /// is found.
    pub catalog: String,
    /// How the model is switched to reasoning; takes the place of `reasoning_family`.
    pub reasoning: Option<Reasoning>,
}

/// Prices per million tokens. A price below 0 counts as 0.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pricing {
    /// ISO 4217 code; for display.
    pub currency: String,
    /// Prompt tokens.
    pub prompt_per_1m: f64,
    /// Prompt tokens read from the provider's cache; omitted means free.
    pub cached_input_per_1m: f64,
    /// Prompt tokens written to the provider's cache; omitted means the prompt price.
    pub cache_write_per_1m: f64,
    /// Completion tokens.
    pub completion_per_1m: f64,
}

/// Load balancing and retries of a model's endpoints.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reliability {
    /// Load balancing policy of the cluster.
    pub lb_policy: String,
    /// Retries, at most 5.
    pub retry_count: u32,
    /// Conditions of a retry.
    pub retry_on: String,
    /// Failures in a row that eject an endpoint.
    pub consecutive_5xx: u32,
    /// Time of the first ejection, for example `30s`.
    pub base_ejection_time: String,
    /// Share of endpoints that may be ejected, percent.
    pub max_ejection_percent: u32,
    /// Path of the health check.
    pub health_check_path: String,
    /// Time between health checks.
    pub health_check_interval: String,
    /// Time limit of a health check.
    pub health_check_timeout: String,
}

/// An endpoint of a model.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackendRef {
    /// Name, for display.
    pub name: String,
    /// `host:port`; this or `base_url`.
    pub endpoint: String,
    /// `http` (the default) or `https`, of `endpoint`.
    #[schemars(extend("enum" = ["http", "https", "grpc"]))]
    pub protocol: String,
    /// Share of the traffic.
    pub weight: Option<u32>,
    /// What the endpoint serves, for example `chat`.
    #[serde(rename = "type")]
    pub kind: String,
    /// URL with scheme and path prefix; this or `endpoint`.
    pub base_url: String,
    /// Kind of provider, for example `openai`; selects the entry of `external_model_ids`.
    pub provider: String,
    /// Header that carries the credential; empty means the provider's usual one.
    pub auth_header: String,
    /// Word before the credential, for example `Bearer`.
    pub auth_prefix: String,
    /// Headers added to every request.
    #[schemars(extend("writeOnly" = true))]
    pub extra_headers: BTreeMap<String, String>,
    /// Version of the provider's API, sent as it asks for it.
    pub api_version: String,
    /// Path of chat completions behind `base_url`.
    pub chat_path: String,
    /// Credential, preferably written as `${NAME}`.
    #[schemars(extend("writeOnly" = true))]
    pub api_key: HiddenText,
    /// Environment variable that holds the credential.
    pub api_key_env: String,
}

/// Headers that carry a client's credential; they go no further once Merit sets a backend's.
pub const CLIENT_CREDENTIALS: &[&str] = &[
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "proxy-authorization",
    "cookie",
];

impl ProviderModel {
    /// Returns the backend that tells how the model is reached: the first one with a credential.
    #[must_use]
    pub fn backend(&self) -> Option<&BackendRef> {
        let own = self
            .backend_refs
            .iter()
            .find(|backend| backend.has_credential());
        own.or(self.backend_refs.first())
    }

    /// Returns whether requests to the model bear a credential of the document in place of the
    /// caller's.
    #[must_use]
    pub fn replaces_credential(&self) -> bool {
        self.backend().is_some_and(BackendRef::replaces_credential)
    }
}

impl BackendRef {
    /// Returns whether a credential of its own is configured.
    #[must_use]
    pub fn has_credential(&self) -> bool {
        !self.api_key.is_empty() || !self.api_key_env.is_empty()
    }

    /// Returns whether requests bear a credential of the document in place of the caller's; a
    /// further header may hold it, too.
    #[must_use]
    pub fn replaces_credential(&self) -> bool {
        let is_credential =
            |name: &String| CLIENT_CREDENTIALS.contains(&name.to_ascii_lowercase().as_str());
        self.has_credential() || self.extra_headers.keys().any(is_credential)
    }

    /// Returns whether the backend is at a provider's host or at a subdomain of it.
    #[must_use]
    pub fn is_at(&self, provider: &str) -> bool {
        let host = self.host();
        let sub = host.strip_suffix(provider);
        sub.is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
    }

    /// Returns the host and port that are written, in lower case; `None` without a port that is
    /// known.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let (address, scheme) = if self.base_url.is_empty() {
            (&self.endpoint, self.protocol.as_str())
        } else {
            let scheme = self.base_url.split_once("://").map(|(scheme, _)| scheme);
            (&self.base_url, scheme.unwrap_or_default())
        };
        let rest = address
            .split_once("://")
            .map_or(&**address, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default().trim();
        let named = authority
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok());
        let (host, port) = match (named, scheme) {
            (Some(named), _) => named,
            (None, "https") => (authority, "443"),
            (None, "http") => (authority, "80"),
            (None, _) => return None,
        };
        let host = host
            .trim_matches(['[', ']'])
            .trim_end_matches('.')
            .to_ascii_lowercase();
        (!host.is_empty()).then(|| format!("{host}:{port}"))
    }

    /// Returns the host that is written, in lower case; empty without an address.
    fn host(&self) -> String {
        let address = if self.base_url.is_empty() {
            &self.endpoint
        } else {
            &self.base_url
        };
        let rest = address
            .split_once("://")
            .map_or(&**address, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        host.trim().trim_end_matches('.').to_ascii_lowercase()
    }
}

/// What is known of a model.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelCard {
    /// Name of the model.
    pub name: String,
    /// Size, for example `8B`.
    pub param_size: String,
    /// Context window, tokens; 0 means unknown. Requests that do not fit, the answer's reserve
    /// included, do not go there.
    pub context_window_size: u64,
    /// What it is good at; read by selection algorithms.
    pub description: String,
    /// Abilities, for example `chat`, `tools`, `vision`. Three are enforced as soon as some card of
    /// the document names one: requests that define tools do not go to a card that lists abilities
    /// without `tools` (or `tool_use`, `tool_calling`, `function_calling`, `functions`), requests
    /// with images not without `vision` (or `image_input`, `multimodal`), and requests that ask for
    /// reasoning effort prefer `reasoning` (or `thinking`). A card that lists none may serve all.
    /// Other endpoints must be declared to be chosen for `auto`: `embeddings`, `rerank`,
    /// `moderation`, `image_generation`, `text_to_speech`, `transcription`.
    pub capabilities: Vec<String>,
    /// Adapters.
    pub loras: Vec<Lora>,
    /// Quality from 0 to 1; 0 means unknown.
    pub quality_score: f64,
    /// `ar` (text), `diffusion` (images) or `omni`.
    #[schemars(extend("examples" = ["ar", "diffusion", "omni"]))]
    pub modality: String,
    /// Words for filters.
    pub tags: Vec<String>,
    /// Merit's own: the measured energy curve of the pool that serves the model.
    pub energy: Option<EnergyCurve>,
    /// Name for people. Known, without effect, as the next keys to `distribution`.
    pub display_name: String,
    /// Who publishes the model.
    pub publisher: String,
    /// Family of models.
    pub family: String,
    /// Revision of the weights.
    pub revision: String,
    /// Date of the release.
    pub released_at: String,
    /// Date up to which the model knows.
    pub knowledge_cutoff: String,
    /// Stage of its life, for example `preview` or `deprecated`.
    pub lifecycle: String,
    /// How pages show it.
    pub presentation: Option<Presentation>,
    /// How it is distributed.
    pub distribution: Option<Distribution>,
    /// Most tokens of an answer; 0 means unknown.
    pub max_output_tokens: u64,
    /// Kinds of content that go in and come out.
    pub modalities: Option<Modalities>,
}

/// How pages show a model. Known, without effect.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Presentation {
    /// Picture.
    pub logo: String,
    /// Letters in its place.
    pub monogram: String,
    /// The picture has one colour.
    pub monochrome: bool,
}

/// How a model is distributed. Known, without effect.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Distribution {
    /// `open_weights`, `proprietary_api` or `router_recipe`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["open_weights", "proprietary_api", "router_recipe"]))]
    pub kind: String,
    /// Where it is from.
    pub source: String,
    /// Its licence.
    pub license: String,
}

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ContentKind")]
pub enum Modality {
    /// Text.
    Text,
    /// Pictures.
    Image,
    /// Sounds.
    Audio,
    /// Films.
    Video,
    /// PDF files.
    Pdf,
    /// Other documents.
    Document,
}

/// Kinds of content that a model takes and gives.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Modalities {
    /// What goes in.
    pub input: Vec<Modality>,
    /// What comes out.
    pub output: Vec<Modality>,
}

/// An adapter of a model.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lora {
    /// Name; becomes the upstream model.
    pub name: String,
    /// What it is good at.
    pub description: String,
}

/// Power and time per token of a pool at `b` requests in flight: `P(b) = c + a·ln b` watts,
/// `TPOT(b) = j + i·b` milliseconds.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnergyCurve {
    /// Slope of the power curve, watts.
    pub a: f64,
    /// Power at one request, watts.
    pub c: f64,
    /// Slope of the time per output token, milliseconds.
    pub i: f64,
    /// Time per output token at no load, milliseconds.
    pub j: f64,
    /// Relative error of the figures, for example 0.1.
    pub uncertainty: f64,
    /// How the figures came about: `measured`, `fitted`, `estimated` or `vendor`.
    #[schemars(extend("enum" = ["measured", "fitted", "estimated", "vendor"]))]
    pub method: String,
    /// Where they are from.
    pub source: String,
    /// When they were taken, ISO 8601.
    pub date: String,
    /// Number of accelerators that the curve is for.
    pub accelerators: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_backends() {
        for (base_url, endpoint, expected) in [
            ("", "localhost:8000", Some("localhost:8000")),
            ("", "[::1]:8000", Some("::1:8000")),
            ("", "small", None),
            ("", "", None),
            (
                "https://API.example.com/v1",
                "",
                Some("api.example.com:443"),
            ),
            ("http://user@small/v1?x=y:1", "", Some("small:80")),
            ("http://small.:8000", "other:1", Some("small:8000")),
        ] {
            let backend = BackendRef {
                base_url: base_url.into(),
                endpoint: endpoint.into(),
                ..BackendRef::default()
            };
            assert_eq!(
                backend.place().as_deref(),
                expected,
                "{base_url} {endpoint}"
            );
        }
    }
}
