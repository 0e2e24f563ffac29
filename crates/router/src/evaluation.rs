//! `POST /api/v1/eval` and `merit explain`: the same recipe, every signal, nothing sent.

use crate::boundary::{Guarded, Verdict};
use crate::capability::Demand;
use crate::card::Tokens;
use crate::decision::Decisions;
use crate::eligible::{Barrier, Eligible};
use crate::explain::{
    Algorithm, BoundaryLine, CandidateLine, Eligibility, EvalAnswer, EvalView, Refused, Winner,
};
use crate::generation::Generation;
use crate::names::Target;
use crate::recipe::{Extent, Reading, Recipe, Route};
use crate::signals::{Identity, SignalError, SignalInput, estimate};
use dialects::EvalRequest;
use inference::ask::Ask;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

/// The name that an evaluation without a model asks for.
const UNNAMED: &str = "vllm-sr/auto";

/// Why a request cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvalRefused {
    /// The name belongs to no recipe. A configured model is such a name too where no boundary could
    /// forbid it: nothing is evaluated for it.
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
    /// Evaluates a request by the recipe that its model name asks for. The admin API knows no
    /// caller, so roles are not evaluated there; with an `identity` they are. For the name of a
    /// configured model, the boundaries of the document are evaluated, if it has any.
    ///
    /// # Errors
    /// [`EvalRefused::UnknownModel`] if there is no such recipe, [`EvalRefused::Signal`] if roles
    /// need a caller who has no name.
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
        let input = SignalInput::new(&request.prompt, identity);
        let outer = self
            .recipes
            .first()
            .filter(|outer| !outer.boundaries.is_empty());
        let recipe = match (self.names.resolve(asked), outer) {
            (Target::Recipe { recipe, .. }, _) => &self.recipes[recipe],
            (Target::Concrete, Some(outer)) if self.serves(asked) => {
                let reading = outer
                    .read(&input, Extent::Bounding, models, deadline)
                    .await?;
                return self.eval_concrete(request, (asked, outer), &reading);
            }
            (Target::Concrete, _) => return Err(EvalRefused::UnknownModel(asked.to_owned())),
        };
        let outer = match outer.filter(|outer| !std::ptr::eq(*outer, recipe)) {
            Some(outer) => (
                Some(outer),
                outer
                    .read(&input, Extent::Bounding, models, deadline)
                    .await?
                    .verdict,
            ),
            None => (None, Verdict::default()),
        };
        let guarded = Guarded::new(models, &outer.1);
        let Reading { report, verdict } =
            recipe.read(&input, Extent::All, &guarded, deadline).await?;
        let lines = outer.0.map_or_else(Vec::new, |recipe| {
            BoundaryLine::list(&recipe.boundaries, &outer.1)
        });
        let boundaries = lines
            .into_iter()
            .chain(BoundaryLine::list(&recipe.boundaries, &verdict))
            .collect();
        let verdict = outer.1.clone().and(verdict);
        let decided = recipe.decide(&report, None);
        let (eligible, mut eligibility) = self.eligibility(
            decided.map(|it| &recipe.routes[it.index]),
            request,
            &verdict,
        );
        eligibility.boundaries = boundaries;
        let winner = decided.map(|decided| {
            let route = &recipe.routes[decided.index];
            let algorithm = Algorithm {
                kind: &route.algorithm,
                final_model: &route.final_model,
                learns: route.learns(),
            };
            let (plugins, candidates) = (route.plugin_names.as_slice(), &route.candidates);
            Winner {
                index: decided.index,
                algorithm,
                plugins,
                candidates,
                eligible: eligible.kept(),
            }
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
            named: None,
            trace: request.trace,
            eligibility: &eligibility,
        };
        Ok(serde_json::to_value(EvalAnswer::new(&view))?)
    }

    /// The name is that of a model, or of an adapter of one.
    fn serves(&self, name: &str) -> bool {
        let adapter = || {
            self.document
                .lora_base(name)
                .is_some_and(|base| self.models.get(&base.name).is_some())
        };
        self.models.get(name).is_some() || adapter()
    }

    /// Which models may get a request that a decision's candidates, or the default model, would
    /// serve.
    fn eligibility(
        &self,
        route: Option<&Route>,
        request: &EvalRequest,
        verdict: &Verdict,
    ) -> (Eligible, Eligibility) {
        let demand = Demand::of(&request.prompt, &self.token_ratio);
        let mut found = Eligibility {
            allowed_models: names(verdict),
            ..Eligibility::default()
        };
        let candidates = route.map_or(&[][..], |route| route.candidates.candidates());
        let (eligible, barrier) = match route.map(|route| self.narrow(route, verdict, &demand)) {
            Some(Ok(eligible)) => (eligible, None),
            Some(Err((eligible, barrier))) => (eligible, Some(barrier)),
            None => (Eligible::default(), None),
        };
        let default = self
            .settings
            .default_model
            .as_deref()
            .filter(|_| candidates.is_empty());
        let barrier = barrier.or_else(|| self.barrier(default?, verdict, &demand));
        let answers = route.is_some_and(|route| route.candidates.answers_itself());
        found.refused = barrier
            .filter(|_| !answers)
            .map(|barrier| Refused::by(&barrier));
        if request.trace || !eligible.dropped().is_empty() {
            found.candidates = CandidateLine::list(candidates, &eligible);
        }
        if let Some(route) = route.filter(|_| request.trace) {
            let reserve = request.prompt.tokens.output_reserve;
            let prompt = estimate(&request.prompt, &self.token_ratio).saturating_sub(reserve);
            CandidateLine::foresee(
                &mut found.candidates,
                route,
                &eligible,
                Tokens {
                    prompt,
                    ..Tokens::default()
                },
            );
        }
        (eligible, found)
    }

    /// The user's explicit choice, which only boundaries may forbid.
    fn eval_concrete(
        &self,
        request: &EvalRequest,
        (name, recipe): (&str, &Recipe),
        Reading { report, verdict }: &Reading,
    ) -> Result<Value, EvalRefused> {
        let base = self
            .document
            .lora_base(name)
            .filter(|_| self.models.get(name).is_none());
        let forbidden = verdict.forbids_candidate(base.map_or(name, |base| &base.name), name);
        let barrier = forbidden.map(|boundary| Barrier::Boundary(boundary.clone()));
        let eligibility = Eligibility {
            boundaries: BoundaryLine::list(&recipe.boundaries, verdict),
            allowed_models: names(verdict),
            candidates: Vec::new(),
            refused: barrier.as_ref().map(Refused::by),
        };
        let decisions = Decisions::default();
        let view = EvalView {
            original_text: &request.original_text,
            requested_model: &request.requested_model,
            recipe: "",
            keys: &recipe.keys,
            declared: &recipe.declared,
            report,
            decisions: &decisions,
            winner: None,
            named: Some(name).filter(|_| barrier.is_none()),
            trace: request.trace,
            eligibility: &eligibility,
        };
        Ok(serde_json::to_value(EvalAnswer::new(&view))?)
    }
}

fn names(verdict: &Verdict) -> Option<BTreeSet<String>> {
    Some(verdict.allowed()?.iter().map(ToString::to_string).collect())
}
