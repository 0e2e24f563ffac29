//! Where the routing domain plugs into the process: the only module here that knows what a document means.
//!
//! For now it reads the document as plain YAML and routes nothing.

use crate::admin::Refusal as AdminRefusal;
use crate::explain::Query;
use crate::metrics::Metrics;
use crate::problem::Diagnostic;
use crate::reload::{Live, Prepare, Refusal};
use crate::telemetry::{TraceSettings, Tracing};
use crate::trust::Exposure;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything made from one document.
pub struct Generation {
    document: Value,
}

impl Generation {
    /// A backend has a key, so that reaching us means spending it.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        let models = self.document.pointer("/providers/models").and_then(Value::as_array);
        let refs = models
            .into_iter()
            .flatten()
            .filter_map(|model| model["backend_refs"].as_array())
            .flatten();
        refs.into_iter()
            .any(|backend| ["api_key", "api_key_env"].iter().any(|key| backend[*key].is_string()))
    }

    /// Answers `POST /api/v1/eval`.
    ///
    /// # Errors
    /// In the shape of the admin API.
    pub fn eval(&self, body: &[u8], _trace: bool) -> Result<Value, AdminRefusal> {
        serde_json::from_slice::<Value>(body)
            .map_err(|error| AdminRefusal::invalid_input(format!("failed to parse JSON: {error}")))?;
        Err(AdminRefusal::internal("evaluation is not available"))
    }

    /// The document, secrets redacted.
    #[must_use]
    pub fn config(&self) -> Value {
        json!({"version": self.document["version"]})
    }

    /// The model list.
    #[must_use]
    pub fn models(&self) -> Value {
        json!({"object": "list", "data": null})
    }
}

/// Makes generations.
pub struct Preparer {
    /// How the listener is protected; decides whether credentials are acceptable.
    pub exposure: Exposure,
    /// Where generations count.
    pub metrics: Arc<Metrics>,
    /// Folder of installed models and word lists.
    pub assets: Option<PathBuf>,
}

impl Prepare for Preparer {
    type Built = Generation;

    fn prepare(&self, text: &str, _current: Option<&Generation>) -> Result<Generation, Refusal> {
        let document = parse(text).map_err(|problem| Refusal::Rejected(vec![problem]))?;
        let generation = Generation { document };
        self.exposure
            .check(generation.has_credentials())
            .map_err(|exposed| Refusal::Rejected(vec![Diagnostic::error(exposed.to_string())]))?;
        Ok(generation)
    }
}

/// What the ext_proc service is made of.
pub struct Routes {
    /// What serves.
    pub live: Arc<Live<Generation>>,
    /// Where exchanges count.
    pub metrics: Arc<Metrics>,
    /// Whether exchanges are traced.
    pub tracing: Tracing,
}

impl Routes {
    /// Adds the ext_proc service; returns how many exchanges are open, too.
    #[must_use]
    pub fn add_to(
        self,
        routes: tonic::service::Routes,
    ) -> (tonic::service::Routes, impl Fn() -> usize + Send + Sync + 'static) {
        (routes, || 0)
    }
}

/// Every finding in a document's text (`merit check`).
#[must_use]
pub fn check(text: &str) -> Vec<Diagnostic> {
    parse(text).err().into_iter().collect()
}

/// Where one request would go, for people (`merit explain`).
///
/// # Errors
/// What is wrong with the document or the request.
pub fn explain(document: &str, _query: &Query) -> Result<String, Vec<Diagnostic>> {
    parse(document).map_err(|problem| vec![problem])?;
    Err(vec![Diagnostic::error("evaluation is not available")])
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> String {
    "{}".to_owned()
}

/// Where the document sends traces; read before anything else, so that all of the start can be logged.
#[must_use]
pub fn trace_settings(_file: &Path) -> Option<TraceSettings> {
    None
}

fn parse(text: &str) -> Result<Value, Diagnostic> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| Diagnostic::error(error.to_string()))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Diagnostic::error("expected a mapping"))
    }
}
