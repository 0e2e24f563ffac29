//! `POST /api/v1/eval` and `merit explain`: the same recipe, every signal, nothing sent.

use crate::explain::{Algorithm, EvalAnswer, EvalView, Winner};
use crate::generation::Generation;
use crate::names::Target;
use crate::recipe::Extent;
use crate::signals::{Identity, SignalError, SignalInput};
use dialects::EvalRequest;
use inference::ask::Ask;
use serde_json::Value;
use std::time::Instant;

/// The name that an evaluation without a model asks for.
const UNNAMED: &str = "vllm-sr/auto";

/// Why a request cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvalRefused {
    /// The name belongs to no recipe. A configured model is such a name too: nothing is evaluated for it.
    #[error("unknown routing model \"{0}\"")]
    UnknownModel(String),
    /// A signal refuses the request.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The answer cannot be written.
    #[error("cannot write the answer")]
    Answer(#[from] serde_json::Error),
}

impl Generation {
    /// Evaluates a request by the recipe that its model name asks for. The admin API knows no caller, so roles are not
    /// evaluated there; with an `identity` they are.
    ///
    /// # Errors
    /// [`EvalRefused::UnknownModel`] if there is no such recipe, [`EvalRefused::Signal`] if roles need a caller who has no name.
    pub async fn eval(
        &self,
        request: &EvalRequest,
        identity: Option<&Identity>,
        models: &dyn Ask,
        deadline: Instant,
    ) -> Result<Value, EvalRefused> {
        let asked = match request.requested_model.as_str() {
            "" => UNNAMED,
            name => name,
        };
        let Target::Recipe { recipe, .. } = self.names.resolve(asked) else {
            return Err(EvalRefused::UnknownModel(asked.to_owned()));
        };
        let recipe = &self.recipes[recipe];
        let input = SignalInput::new(&request.prompt, identity);
        let report = recipe.read(&input, Extent::All, models, deadline).await?;
        let winner = recipe.decide(&report, None).map(|decided| {
            let route = &recipe.routes[decided.index];
            let algorithm =
                Algorithm { kind: &route.algorithm, final_model: &route.final_model, learns: route.learns() };
            Winner { index: decided.index, algorithm, plugins: &route.plugin_names, candidates: &route.candidates }
        });
        let view = EvalView {
            original_text: &request.original_text,
            requested_model: &request.requested_model,
            recipe: &recipe.name,
            keys: &recipe.keys,
            declared: &recipe.declared,
            report: &report,
            decisions: &recipe.decisions,
            winner,
            trace: request.trace,
        };
        Ok(serde_json::to_value(EvalAnswer::new(&view))?)
    }
}
