//! What most tests begin with: two backends, Merit between, Envoy in front.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use tests::client::{self, Answer, Call, Client, Version};
use tests::envoy::{Envoy, ShippedPorts, shipped};
use tests::listener::{Address, Backends, Listener, bootstrap};
use tests::merit::{Merit, Settings};
use tests::policy;
use tests::prompt::{streamed, with_usage};
use tests::upstream::{Seen, Upstream};

/// Everything on the way of a request.
pub(crate) struct Stage {
    pub(crate) models: Models,
    pub(crate) merit: Merit,
    pub(crate) envoy: Envoy,
}

/// The two model backends.
pub(crate) struct Models {
    pub(crate) small: Upstream,
    pub(crate) large: Upstream,
}

impl Models {
    pub(crate) async fn start() -> Result<Self> {
        let small = Upstream::start("small", 0).await?;
        let large = Upstream::start("large", 0).await?;
        Ok(Self { small, large })
    }

    pub(crate) fn backends(&self, merit: Address) -> Backends {
        Backends {
            merit,
            second: None,
            small: self.small.address(),
            large: self.large.address(),
        }
    }

    /// What reached a backend with `x-case: case`, whichever backend it was.
    pub(crate) fn seen_in(&self, case: &str) -> Vec<Seen> {
        let mut seen = self.small.seen_in(case);
        seen.extend(self.large.seen_in(case));
        seen
    }

    /// The one request of a case, as its backend got it.
    pub(crate) fn only(&self, case: &str) -> Result<Seen> {
        let mut seen = self.seen_in(case);
        ensure!(
            seen.len() == 1,
            "{case}: {} requests reached a backend",
            seen.len()
        );
        seen.pop().context("no request")
    }

    /// Nothing of a case reached a backend.
    pub(crate) fn untouched_by(&self, case: &str) -> Result<()> {
        let seen = self.seen_in(case);
        ensure!(
            seen.is_empty(),
            "{case}: reached a backend: {:?}",
            seen.first()
        );
        Ok(())
    }
}

impl Stage {
    /// Merit with [`policy::two_models`] behind these listeners.
    pub(crate) async fn new(listeners: &[Listener]) -> Result<Self> {
        Self::with(
            listeners,
            &Settings {
                document: policy::two_models(),
                ..Settings::default()
            },
        )
        .await
    }

    /// Merit started as told behind these listeners.
    pub(crate) async fn with(listeners: &[Listener], settings: &Settings) -> Result<Self> {
        let models = Models::start().await?;
        let merit = Merit::with(settings).await?;
        let envoy = Envoy::start(&bootstrap(listeners, &models.backends(merit.address()))).await?;
        Ok(Self {
            models,
            merit,
            envoy,
        })
    }

    /// Merit with [`policy::two_models`] behind a bootstrap of `envoy/`.
    pub(crate) async fn shipped(name: &str) -> Result<Self> {
        let models = Models::start().await?;
        let profile = if name == "observe.yaml" {
            "observe"
        } else {
            "route"
        };
        let document = policy::with_server(&format!("profile: {profile}"));
        Self::shipped_with(name, &document, models).await
    }

    /// Merit with a document of its own behind a bootstrap of `envoy/`.
    pub(crate) async fn shipped_with(name: &str, document: &str, models: Models) -> Result<Self> {
        let merit = Merit::start(document).await?;
        let ports = ShippedPorts {
            merit: merit.port(),
            small: models.small.address().port(),
            large: models.large.address().port(),
            calls: Some(0),
            ..ShippedPorts::default()
        };
        let envoy = Envoy::start(&shipped(name, &ports)?).await?;
        Ok(Self {
            models,
            merit,
            envoy,
        })
    }

    /// One request on its own HTTP/1.1 connection.
    pub(crate) async fn call(&self, listener: &str, call: Call) -> Result<Answer> {
        client::call(self.envoy.listener(listener)?, call).await
    }

    /// A connection to a listener.
    pub(crate) async fn connect(&self, listener: &str, version: Version) -> Result<Client> {
        Client::connect(self.envoy.listener(listener)?, version).await
    }
}

/// The request was routed, answered and forwarded as `model` wants it, and not one byte beside the
/// model name was touched.
pub(crate) fn check_routed(answer: &Answer, seen: &Seen, sent: &str, model: &str) -> Result<()> {
    let (backend, _) = model
        .split_once('-')
        .context("a provider's model id has a size")?;
    ensure!(
        answer.status.is_success(),
        "answered {}: {}",
        answer.status,
        answer.text()
    );
    ensure!(
        answer.header("x-backend") == backend,
        "went to {:?}, not to {backend}",
        answer.header("x-backend")
    );
    let wanted = sent.replacen("\"auto\"", &format!("\"{model}\""), 1);
    let got = String::from_utf8_lossy(&seen.body);
    ensure!(
        got == wanted,
        "the backend got {} bytes {}, not {}",
        got.len(),
        head(&got),
        head(&wanted)
    );
    ensure!(seen.complete, "the request was cut");
    Ok(())
}

/// Merit refused with this status, in OpenAI's error shape.
pub(crate) fn check_refused(answer: &Answer, status: u16) -> Result<()> {
    ensure!(
        answer.status == status,
        "answered {} instead of {status}: {}",
        answer.status,
        answer.text()
    );
    let message = &answer.json()["error"]["message"];
    let is_said = message.as_str().is_some_and(|message| !message.is_empty());
    ensure!(is_said, "the refusal does not say why: {}", answer.text());
    Ok(())
}

/// The first characters of a long text.
pub(crate) fn head(text: &str) -> String {
    text.chars().take(200).collect()
}

/// A chat request as text, its model to be chosen by Merit.
pub(crate) fn chat(text: &str) -> String {
    tests::prompt::chat("auto", text).to_string()
}

/// The same, streamed, with the usage at the end.
pub(crate) fn chat_stream(text: &str) -> String {
    with_usage(streamed(tests::prompt::chat("auto", text))).to_string()
}

/// A file of this package.
pub(crate) fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The message of an error body in either dialect.
pub(crate) fn message(body: &Value) -> &str {
    body["error"]["message"].as_str().unwrap_or_default()
}
