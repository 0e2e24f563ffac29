//! The models that requests can be sent to, as the gateway must see them: upstream id, credential,
//! headers, path.

use crate::plan::HeaderOp;
use crate::reasoning::Switch;
use dialects::Dialect;
use dialects::translate::Backend;
use document::Findings;
use selection::providers::wires::Wires;
use selection::providers::{BackendRef, CLIENT_CREDENTIALS, ProviderModel, Providers};
use std::collections::HashMap;
use std::sync::Arc;

/// Reads a variable of the process environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Every configured model by name.
#[derive(Debug, Default)]
pub struct Models {
    by_name: HashMap<String, Arc<Model>>,
}

/// One model.
#[derive(Debug)]
pub struct Model {
    /// Name in the document.
    pub name: Arc<str>,
    /// The id that its backend knows it by.
    pub upstream_id: Arc<str>,
    /// The wires that its backend speaks.
    pub wires: Wires,
    /// What a translation for its backend depends on beside the wire.
    habits: Habits,
    /// Its reasoning switch.
    pub reasoning: Switch,
    /// Its provider signs thinking, and refuses what it has not signed.
    pub signs_thinking: bool,
    /// Credential, extra headers and `:path`, in order.
    pub headers: Vec<HeaderOp>,
    /// What stands between this model and its use.
    pub credential: Credential,
    /// Some backend is configured.
    pub routable: bool,
}

/// What a backend takes beyond its wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Habits {
    /// Reasoning of earlier turns.
    replays_reasoning: bool,
    /// Members that only vLLM and its like know.
    is_vllm: bool,
}

/// Whether a model's credential is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The client's own credential goes on.
    Callers,
    /// Merit sets the backend's.
    Ours,
    /// The named environment variable is not set.
    Missing {
        /// Its name.
        variable: String,
    },
}

impl Models {
    /// Compiles the providers section. Warns of what leaves a model unusable, but not the document.
    pub fn build(providers: &Providers, env: Env<'_>, findings: &mut Findings) -> Self {
        let mut by_name = HashMap::new();
        for (index, configured) in providers.models.iter().enumerate() {
            let model = Model::build(configured, providers, env);
            if let Credential::Missing { variable } = &model.credential {
                let message = match variable.as_str() {
                    "" => "`api_key` is empty; requests to this model get a 401".to_owned(),
                    _ => format!(
                        "environment variable {variable} is not set; requests to this model get a 401"
                    ),
                };
                findings.warn(format!("providers.models[{index}].backend_refs"), message);
            }
            by_name.insert(configured.name.clone(), Arc::new(model));
        }
        Self { by_name }
    }

    /// The model of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Model>> {
        self.by_name.get(name)
    }

    /// Some model is used with a credential of ours.
    #[must_use]
    pub fn any_credential(&self) -> bool {
        self.by_name
            .values()
            .any(|model| model.credential == Credential::Ours)
    }
}

impl Model {
    fn build(configured: &ProviderModel, providers: &Providers, env: Env<'_>) -> Self {
        let backend = configured.backend();
        let wires = configured.wires();
        let (headers, credential) = match backend {
            Some(backend) => backend_headers(backend, wires, env),
            None => (Vec::new(), Credential::Callers),
        };
        Self {
            name: configured.name.as_str().into(),
            upstream_id: upstream_id(configured, backend).into(),
            wires,
            habits: Habits::of(configured, backend),
            reasoning: Switch::of(configured, backend, &providers.defaults),
            signs_thinking: backend.is_some_and(|backend| provider(backend) == "anthropic"),
            headers,
            credential,
            routable: !configured.backend_refs.is_empty(),
        }
    }

    /// Returns the backend of a request that is translated for it.
    #[must_use]
    pub fn translates(&self, client: Dialect) -> Option<Backend> {
        let dialect = self.wires.of(client);
        (dialect != client).then_some(Backend {
            dialect,
            replays_reasoning: self.habits.replays_reasoning,
            is_vllm: self.habits.is_vllm,
        })
    }
}

impl Habits {
    /// Reads what is known of a backend's server: vendors' own APIs refuse what they do not know.
    fn of(model: &ProviderModel, backend: Option<&BackendRef>) -> Self {
        let is_vllm = backend.is_some_and(|backend| {
            let is_public = backend.base_url.starts_with("https://");
            let says_so = ["vllm", "sglang"].contains(&backend.provider.trim());
            says_so || (!is_public && Switch::is_generic(backend))
        });
        let reasons = !model.reasoning_family.is_empty() || model.reasoning.is_some();
        Self {
            replays_reasoning: is_vllm && reasons,
            is_vllm,
        }
    }
}

fn upstream_id<'a>(model: &'a ProviderModel, backend: Option<&BackendRef>) -> &'a str {
    let external = backend.and_then(|backend| model.external_model_ids.get(&backend.provider));
    match external {
        Some(id) if !id.is_empty() => id,
        _ if !model.provider_model_id.is_empty() => &model.provider_model_id,
        _ => &model.name,
    }
}

fn backend_headers(
    backend: &BackendRef,
    wires: Wires,
    env: Env<'_>,
) -> (Vec<HeaderOp>, Credential) {
    let mut headers = Vec::new();
    let mut credential = credential(backend, wires, env, &mut headers);
    if credential == Credential::Callers && backend.replaces_credential() {
        // A credential by another door: the client's must not travel beside it.
        headers.extend(CLIENT_CREDENTIALS.iter().map(|name| remove(name)));
        credential = Credential::Ours;
    }
    for (name, value) in &backend.extra_headers {
        headers.push(set(&name.to_ascii_lowercase(), value));
    }
    if let Some(path) = chat_path(backend) {
        headers.push(set(":path", &path));
    }
    (headers, credential)
}

fn credential(
    backend: &BackendRef,
    wires: Wires,
    env: Env<'_>,
    headers: &mut Vec<HeaderOp>,
) -> Credential {
    if !backend.has_credential() {
        return Credential::Callers;
    }
    let key = if backend.api_key.is_empty() {
        env(&backend.api_key_env)
    } else {
        Some(backend.api_key.to_string())
    };
    // Mounted secrets tend to end in a line feed.
    let Some(key) = key
        .map(|key| key.trim().to_owned())
        .filter(|key| !key.is_empty())
    else {
        return Credential::Missing {
            variable: backend.api_key_env.clone(),
        };
    };
    let (name, prefix) = auth_header(backend, wires);
    headers.extend(
        CLIENT_CREDENTIALS
            .iter()
            .filter(|other| **other != name)
            .map(|other| remove(other)),
    );
    let value = if prefix.is_empty() {
        key
    } else {
        format!("{prefix} {key}")
    };
    headers.push(set(&name, &value));
    Credential::Ours
}

/// Hosts whose providers take keys in a header of their own; their subdomains do so too.
const PROVIDERS: &[(&str, &str)] = &[
    ("api.anthropic.com", "anthropic"),
    ("openai.azure.com", "azure-openai"),
    ("services.ai.azure.com", "azure-openai"),
];

/// Returns the kind of provider: as written, else by its host.
fn provider(backend: &BackendRef) -> &str {
    let by_host = || PROVIDERS.iter().find(|(host, _)| backend.is_at(host));
    match backend.provider.as_str() {
        "" => by_host().map_or("", |(_, provider)| provider),
        written => written,
    }
}

/// The header and the word before the key: as configured, else the provider's usual ones.
fn auth_header(backend: &BackendRef, wires: Wires) -> (String, String) {
    let (name, prefix) = match (provider(backend), wires) {
        ("anthropic", _) | ("", Wires::Anthropic) => ("x-api-key", ""),
        ("azure-openai" | "azure", _) => ("api-key", ""),
        ("gemini", _) => ("x-goog-api-key", ""),
        _ => ("authorization", "Bearer"),
    };
    let name = if backend.auth_header.is_empty() {
        name.to_owned()
    } else {
        backend.auth_header.to_ascii_lowercase()
    };
    let prefix = match (backend.auth_prefix.as_str(), name.as_str()) {
        ("", "authorization") => "Bearer",
        ("", _) if !backend.auth_header.is_empty() => "",
        ("", _) => prefix,
        (configured, _) => configured,
    };
    (name, prefix.to_owned())
}

/// The upstream path where the profile sets one: the base URL's own path, then `chat_path`.
fn chat_path(backend: &BackendRef) -> Option<String> {
    if backend.chat_path.is_empty() {
        return None;
    }
    let base = backend
        .base_url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'));
    let base = base.map_or("", |(_, path)| path.trim_end_matches('/'));
    let separator = if base.is_empty() { "" } else { "/" };
    let version = match backend.api_version.as_str() {
        version if backend.provider.starts_with("azure") && !version.is_empty() => {
            format!("?api-version={version}")
        }
        _ => String::new(),
    };
    Some(format!(
        "{separator}{base}/{}{version}",
        backend.chat_path.trim_start_matches('/')
    ))
}

fn set(name: &str, value: &str) -> HeaderOp {
    HeaderOp::Set(name.into(), value.into())
}

fn remove(name: &str) -> HeaderOp {
    HeaderOp::Remove(name.into())
}

#[cfg(test)]
mod tests;
