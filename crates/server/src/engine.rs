//! Where the routing domain plugs into the process: the only module here that knows what a document
//! means.

mod classifiers;
mod classify;
mod evaluator;
mod explain;
mod meters;
mod outcome;
mod settings;

use classifiers::Classifiers;
pub use evaluator::Evaluator;
pub use explain::explain;
use selection::card::ModelDescriptions;
use selection::providers::BackendRef;
use selection::providers::wires::Wires;
pub use settings::trace_settings;

use crate::admin::Refusal as AdminRefusal;
use crate::exchange::LlmExchanges;
use crate::metrics::Metrics;
use crate::models::{Models, Open};
use crate::probes::Probes;
use crate::recording::Opened;
use crate::recording::tariff::Tariff;
use crate::reload::{Live, Prepare, Refusal};
use crate::telemetry::Tracing;
use crate::trust::Exposure;
use conversation::shared_state::SharedState;
use dialects::{EvalRequest, ListShape, ModelEntry};
use document::{Problem, Severity, has_errors};
use extproc::{Options, Processor, Settings};
use futures_executor::block_on;
use inference::ask::{Ask, Nobody};
use inference::catalog::{Bare, Catalog};
use inference::engine::Statistics;
use meters::Meters;
use router::config::server::Inference;
use router::config::{self, Checked};
use router::evaluation::{EvalRefused, eval};
use router::generation::{Deps, Runs};
use serde_json::Value;
use signals::families::TokenRatio;
use signals::families::language::{DetectLanguage, LanguageDetector};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The language model's file in the folder of assets.
const LANGUAGE_MODEL: &str = "lid.176.ftz";
/// How long an evaluation may wait for models: people wait, not clients.
const EVALUATION: Duration = Duration::from_secs(10);
/// Probes in one request; a file with more is for `merit test`.
const MOST_PROBES: usize = 1_000;

/// Everything made from one document.
pub struct Generation {
    /// Routing.
    pub router: router::generation::Generation,
    /// The protocol layer's limits.
    pub options: Arc<Options>,
    /// `GET /v1/models`.
    pub models: Vec<ModelEntry>,
    /// Models that `GET /v1/models/{id}` describes as well, since requests may name them.
    pub unlisted: Vec<ModelEntry>,
    /// Resolved metrics.
    pub(crate) meters: Meters,
    /// What its models cost.
    pub(crate) tariff: Arc<Tariff>,
    /// What the classification API answers with.
    classifiers: Classifiers,
    config: Value,
    shared: Shared,
}

/// What outlives generations.
#[derive(Clone)]
struct Shared {
    language: Arc<dyn DetectLanguage>,
    token_ratio: Arc<TokenRatio>,
    state: Arc<SharedState>,
    models: Arc<dyn Ask>,
    catalog: Arc<dyn Catalog>,
    /// The same two, if they count what they do.
    opened: Option<Arc<Models>>,
}

impl Shared {
    /// With models, which are opened on demand.
    fn new(language: LanguageDetector, open: Arc<dyn Open>, settings: Inference) -> Self {
        let language: Arc<dyn DetectLanguage> = Arc::new(language);
        let models = Models::new(open, settings).with_languages(Arc::clone(&language));
        let models = Arc::new(models);
        Self {
            language,
            models: models.clone(),
            catalog: models.clone(),
            opened: Some(models),
            ..Self::bare()
        }
    }

    /// What needs nothing installed.
    fn bare() -> Self {
        Self {
            language: Arc::new(LanguageDetector::small()),
            token_ratio: Arc::default(),
            state: Arc::default(),
            models: Arc::new(Nobody),
            catalog: Arc::new(Bare),
            opened: None,
        }
    }
}

impl Generation {
    /// Who answers the questions of learned signals.
    pub(crate) fn asker(&self) -> &dyn Ask {
        &*self.shared.models
    }

    /// What the engine of the models has done; nothing before it starts.
    #[must_use]
    pub fn statistics(&self) -> Option<Statistics> {
        self.shared.opened.as_ref()?.statistics()
    }

    /// A backend has a key, so that reaching us means spending it.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.router.targets.models().any_credential()
    }

    /// Answers `POST /api/v1/eval`.
    ///
    /// # Errors
    /// In the shape of the admin API.
    pub fn eval(&self, body: &[u8], trace: bool) -> Result<Value, AdminRefusal> {
        let request = EvalRequest::parse(body, trace, &self.router.settings.reading)
            .map_err(|error| AdminRefusal::invalid_input(error.to_string()))?;
        let deadline = Instant::now() + EVALUATION;
        let models = &*self.shared.models;
        block_on(eval(&self.router, &request, None, models, deadline)).map_err(|refused| {
            match refused {
                EvalRefused::UnknownModel(name) => AdminRefusal::unknown_model(&name),
                EvalRefused::Signal(_) | EvalRefused::Answer(_) => {
                    AdminRefusal::internal(refused.to_string())
                }
            }
        })
    }

    /// Evaluates a file of probes, as `merit test` does.
    ///
    /// # Errors
    /// The body is no file of probes.
    pub fn probes(&self, body: &[u8]) -> Result<Value, AdminRefusal> {
        let refused = |error: &dyn Display| AdminRefusal::invalid_input(error.to_string());
        let text = std::str::from_utf8(body).map_err(|error| refused(&error))?;
        let probes = Probes::read(text).map_err(|error| refused(&format_args!("{error:#}")))?;
        if probes.probes.len() > MOST_PROBES {
            let message = format!(
                "the file has {} probes; at most {MOST_PROBES}: `merit test` takes more",
                probes.probes.len()
            );
            return Err(refused(&message));
        }
        let report = probes.evaluate(Path::new("probes"), |request| {
            let body = Value::Object(request.clone()).to_string();
            self.eval(body.as_bytes(), true)
                .map_err(|refusal| refusal.message)
        });
        serde_json::to_value(report).map_err(|error| AdminRefusal::internal(error.to_string()))
    }

    /// The document, secrets redacted.
    #[must_use]
    pub fn config(&self) -> Value {
        self.config.clone()
    }

    /// The model list.
    #[must_use]
    pub fn models(&self) -> Value {
        serde_json::from_slice(&dialects::models::list(&self.models, ListShape::OpenAi))
            .unwrap_or_default()
    }
}

/// Makes generations.
pub struct Preparer {
    /// How the listener is protected; decides whether credentials are acceptable.
    pub exposure: Exposure,
    /// Where generations count.
    pub metrics: Arc<Metrics>,
    /// Folder of installed word lists.
    pub assets: Option<PathBuf>,
    /// Opens the models of learned signals.
    pub models: Arc<dyn Open>,
}

impl Prepare for Preparer {
    type Built = Generation;

    fn prepare(&self, text: &str, current: Option<&Generation>) -> Result<Generation, Refusal> {
        let checked = config::check(text, &variable);
        let shared = match current {
            // Before anything is built: what cannot change must not load models.
            Some(current) => {
                let fixed = settings::restart_only(&current.router.value, &checked.value);
                if checked.is_servable() && !fixed.is_empty() {
                    return Err(Refusal::NeedsRestart(fixed));
                }
                current.shared.clone()
            }
            None => {
                let language = language(self.assets.as_deref());
                let language = language.map_err(|problem| Refusal::Rejected(vec![problem]))?;
                Shared::new(language, self.models.clone(), inference(&checked))
            }
        };

        let (generation, found) = build(checked, &shared);
        let Some(generation) = generation else {
            return Err(Refusal::Rejected(found));
        };
        report(&found);
        let classifiers = Classifiers::load(&generation, &*shared.catalog)
            .map_err(|missing| Refusal::Rejected(vec![Problem::error("", missing.to_string())]))?;
        let meters = Meters::new(&generation, &self.metrics);
        let generation = Generation {
            options: Arc::new(settings::options(&generation.document)),
            models: settings::listing(generation.names.listed()),
            unlisted: settings::listing(generation.names.unlisted()),
            meters,
            tariff: Arc::new(Tariff::of(&generation.document, &generation.value)),
            classifiers,
            config: document::redact(&generation.value, config::schema()),
            router: generation,
            shared,
        };
        self.exposure
            .check(generation.has_credentials())
            .map_err(|exposed| Refusal::Rejected(vec![Problem::error("", exposed.to_string())]))?;
        Ok(generation)
    }
}

/// Builds what was checked, and joins what is found on the way to what the check said. There is no
/// generation if any of it is an error.
fn build(
    checked: Checked,
    shared: &Shared,
) -> (Option<router::generation::Generation>, Vec<Problem>) {
    let Some(document) = checked.document else {
        return (None, checked.problems);
    };
    let deps = Deps {
        env: &variable,
        language: shared.language.clone(),
        token_ratio: shared.token_ratio.clone(),
        catalog: &*shared.catalog,
        state: shared.state.clone(),
    };
    let built = router::generation::Generation::build(document, checked.value, &deps);
    let (generation, found) = match built {
        Ok(generation) => {
            let warnings = generation.warnings.clone();
            (Some(generation), warnings)
        }
        Err(problems) => (None, problems),
    };
    let problems = document::joined(checked.problems, found, &checked.places);
    (generation.filter(|_| !has_errors(&problems)), problems)
}

/// Loads the language model. A folder of assets without it is a mistake of the installation.
fn language(assets: Option<&Path>) -> Result<LanguageDetector, Problem> {
    let model = assets.map(|folder| folder.join(LANGUAGE_MODEL));
    let language = LanguageDetector::load(model.as_deref()).map_err(|error| {
        Problem::error(
            "",
            format!("{error}; install it with `cargo xtask setup` or leave --assets out"),
        )
    })?;
    if model.is_none() {
        tracing::info!("no language model installed; the built-in one tells 16 languages apart");
    }
    Ok(language)
}

/// How the document wants its models to run.
fn inference(checked: &Checked) -> Inference {
    checked
        .document
        .as_ref()
        .map(|document| document.global.server.inference.clone())
        .unwrap_or_default()
}

/// What the ext_proc service is made of.
pub struct Routes {
    /// What serves.
    pub live: Arc<Live<Generation>>,
    /// Where exchanges count.
    pub metrics: Arc<Metrics>,
    /// Whether exchanges are traced.
    pub tracing: Tracing,
    /// Where their records are.
    pub(crate) recorded: Option<Opened>,
}

impl Routes {
    /// The ext_proc service under the generation that is live.
    #[must_use]
    pub fn processor(self) -> Processor {
        let live = Arc::clone(&self.live);
        let current = Settings::dynamic(move || Arc::clone(&live.load().options));
        extproc::service(
            Arc::new(
                LlmExchanges::new(self.live, self.metrics, self.tracing).recorded(self.recorded),
            ),
            current,
        )
    }
}

/// Reads a document, whatever else is wrong with it.
pub(crate) fn document(text: &str) -> Option<config::Document> {
    config::load(text, &variable).document
}

/// Returns a document with its defaults filled in, as YAML.
pub(crate) fn effective(text: &str) -> Option<String> {
    config::effective(&config::load(text, &variable))
}

/// What documents ask of a gateway.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The header that names the chosen model.
    pub header: String,
    /// Models and adapters that requests may be sent to, each once.
    pub models: Vec<String>,
    /// Where the models are, `host:port`, by the names in [`models`](Self::models).
    pub places: BTreeMap<String, BTreeSet<String>>,
    /// The URLs at which Merit itself calls several models, one after the other.
    pub calls: Vec<String>,
    /// Whether boundaries decide which models may be asked.
    pub has_boundaries: bool,
    /// Models whose backend speaks only some of the wires: requests of the others are translated, for
    /// which the answer must be shown.
    pub translated: Vec<String>,
}

impl Wanted {
    /// Adds what a document asks.
    pub fn add(&mut self, document: &config::Document) {
        let header = document.global.server.routing_headers.first();
        self.header = header.cloned().unwrap_or_default();

        let served = document
            .providers
            .models
            .iter()
            .filter(|model| !model.backend_refs.is_empty());
        for model in served {
            if model.wires() != Wires::Any && !self.translated.contains(&model.name) {
                self.translated.push(model.name.clone());
            }
            let card = document.model_card(&model.name);
            let adapters = card.into_iter().flat_map(|card| &card.loras);
            let names = std::iter::once(&model.name).chain(adapters.map(|adapter| &adapter.name));
            for name in names {
                let places = model.backend_refs.iter().filter_map(BackendRef::place);
                self.places.entry(name.clone()).or_default().extend(places);
                if !self.models.contains(name) {
                    self.models.push(name.clone());
                }
            }
        }

        let asks_several = |decision: &config::decisions::Decision| {
            let algorithm = decision.algorithm.as_ref();
            algorithm.is_some_and(|algorithm| algorithm.name() == "confidence")
        };
        let mut policies = document.policies();
        if policies.any(|(_, _, routing)| routing.decisions.iter().any(asks_several)) {
            self.calls.push(Runs::of(document).endpoint.to_string());
        }

        let mut policies = document.policies();
        self.has_boundaries |= policies.any(|(_, _, routing)| !routing.boundaries.is_empty());
    }
}

/// Every problem of a document's text (`merit check`). With `models` they are loaded, too.
#[must_use]
pub fn check(text: &str, models: Option<Arc<dyn Open>>) -> Vec<Problem> {
    let checked = config::check(text, &variable);
    let settings = inference(&checked);
    let shared = models.map_or_else(Shared::bare, |open| {
        Shared::new(LanguageDetector::small(), open, settings)
    });
    let places = checked.places.clone();
    let (generation, found) = build(checked, &shared);
    let Some(generation) = generation else {
        return found;
    };
    let resolved = classifiers::resolutions(&generation.document, &*shared.catalog);
    document::joined(found, resolved, &places)
}

/// Says what is odd about a document that serves all the same.
fn report(found: &[Problem]) {
    for problem in found {
        let Problem { line, column, .. } = problem;
        match problem.severity {
            Severity::Note => tracing::debug!(line, column, %problem, "in the configuration"),
            _ => tracing::warn!(line, column, %problem, "in the configuration"),
        }
    }
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> String {
    config::schema().text()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
pub(crate) mod tests;
