//! A document that is asked of requests without being served.

use super::{EVALUATION, Shared, build, inference, language, variable};
use crate::models::Open;
use dialects::{EvalError, EvalRequest};
use document::Problem;
use futures_executor::block_on;
use inference::ask::Ask;
use router::config;
use router::evaluation::{EvalRefused, eval};
use router::generation::{Generation, Settings};
use serde_json::{Map, Value};
use signals::families::Identity;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A document, built.
pub struct Evaluator {
    pub(super) generation: Generation,
    shared: Shared,
}

impl Evaluator {
    /// Builds a document. Without `models`, learned signals find no answer.
    ///
    /// # Errors
    /// What is wrong with the document, or with the folder of assets.
    pub fn open(
        document: &str,
        assets: Option<&Path>,
        models: Option<Arc<dyn Open>>,
    ) -> Result<Self, Vec<Problem>> {
        let checked = config::check(document, &variable);
        let language = language(assets).map_err(|problem| vec![problem])?;
        let shared = match models {
            Some(models) => Shared::new(language, models, inference(&checked)),
            None => Shared {
                language: Arc::new(language),
                ..Shared::bare()
            },
        };
        let (generation, found) = build(checked, &shared);
        Ok(Self {
            generation: generation.ok_or(found)?,
            shared,
        })
    }

    /// Answers what becomes of a request, in the form of `POST /api/v1/eval`, with the trace.
    ///
    /// # Errors
    /// Why the request is not evaluated.
    pub fn answer(
        &self,
        body: &Map<String, Value>,
        headers: &[(String, String)],
    ) -> Result<Value, String> {
        let request = self.request(body).map_err(|error| error.to_string())?;
        let identity = identity(headers, &self.generation.settings);
        self.evaluate(&request, identity.as_ref())
            .map_err(|error| error.to_string())
    }

    pub(super) fn request(&self, body: &Map<String, Value>) -> Result<EvalRequest, EvalError> {
        let body = Value::Object(body.clone()).to_string();
        EvalRequest::parse(body.as_bytes(), true, &self.generation.settings.reading)
    }

    pub(super) fn evaluate(
        &self,
        request: &EvalRequest,
        identity: Option<&Identity>,
    ) -> Result<Value, EvalRefused> {
        let deadline = Instant::now() + EVALUATION;
        block_on(eval(
            &self.generation,
            request,
            identity,
            self.asker(),
            deadline,
        ))
    }

    /// Who answers the questions of learned signals.
    pub(super) fn asker(&self) -> &dyn Ask {
        &*self.shared.models
    }
}

/// Returns the caller that a header names: explaining a policy for any identity is allowed.
pub(super) fn identity(headers: &[(String, String)], settings: &Settings) -> Option<Identity> {
    let header = |name: &str| {
        headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    let user = header(&settings.user_header)?.trim().to_owned();
    let groups = header(&settings.groups_header)
        .unwrap_or_default()
        .split(',');
    let groups = groups
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect();
    Some(Identity { user, groups })
}
