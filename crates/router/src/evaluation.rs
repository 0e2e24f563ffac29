//! `POST /api/v1/eval` and `merit explain`: the pipeline's reading with every signal; nothing is
//! sent.

use crate::boundary::Verdict;
use crate::explain::{
    Algorithm, BoundaryLine, CandidateLine, Eligibility, EvalAnswer, EvalView, Refused, Winner,
};
use crate::generation::Generation;
use crate::names::Target;
use crate::recipe::{Extent, Recipe, Route};
use crate::stages::Reading;
use crate::stages::reading::{Scope, Subject, read};
use dialects::EvalRequest;
use inference::ask::Ask;
use selection::card::Tokens;
use selection::eligible::Eligible;
use serde_json::Value;
use signals::decision::Decisions;
use signals::families::{Identity, SignalError};
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

/// Evaluates a request by the recipe that its model name asks for. The admin API knows no caller,
/// so roles are not evaluated there; with an `identity` they are. For the name of a configured
/// model, the boundaries of the document are evaluated, if it has any.
///
/// # Errors
/// [`EvalRefused::UnknownModel`] if there is no such recipe, [`EvalRefused::Signal`] if roles need a
/// caller who has no name.
pub async fn eval(
    generation: &Generation,
    request: &EvalRequest,
    identity: Option<&Identity>,
    models: &dyn Ask,
    deadline: Instant,
) -> Result<Value, EvalRefused> {
    let asked = match request.requested_model.as_str() {
        "" => UNNAMED,
        name => name,
    };
    let diverting = generation.recipes.first().filter(|first| first.diverts());
    let target = generation.names.resolve(asked);
    let is_concrete = matches!(target, Target::Concrete);
    let recipe = match target {
        Target::Recipe { recipe, .. } => Some(&generation.recipes[recipe]),
        Target::Concrete if generation.targets.named(asked).is_ok() => diverting,
        Target::Concrete => return Err(EvalRefused::UnknownModel(asked.to_owned())),
    };
    if recipe.is_none() && !is_bound(generation, asked) {
        return Err(EvalRefused::UnknownModel(asked.to_owned()));
    }
    let subject = Subject {
        prompt: &request.prompt,
        identity,
        models,
        deadline,
    };
    let scope = Scope {
        recipe,
        extent: Extent::All,
        only: None,
    };
    let reading = read(
        &generation.recipes,
        &generation.token_ratio,
        scope,
        &subject,
    )
    .await
    .map_err(|unread| unread.error)?;
    match recipe {
        Some(recipe) if !is_concrete || reading.is_diverted() => {
            by_recipe(generation, request, recipe, &reading)
        }
        _ if !is_bound(generation, asked) => Err(EvalRefused::UnknownModel(asked.to_owned())),
        _ => concrete(generation, request, asked, &reading),
    }
}

/// The name is that of a model or an adapter, and the document has boundaries that may forbid it.
fn is_bound(generation: &Generation, name: &str) -> bool {
    let outer = generation.recipes.first();
    outer.is_some_and(|outer| !outer.boundaries.is_empty())
        && generation.targets.named(name).is_ok()
}

/// The recipe's decision, and which of its candidates may serve the request.
fn by_recipe(
    generation: &Generation,
    request: &EvalRequest,
    recipe: &Recipe,
    reading: &Reading<'_>,
) -> Result<Value, EvalRefused> {
    let Some(own) = &reading.own else {
        return Err(EvalRefused::UnknownModel(request.requested_model.clone()));
    };
    let decided = reading.decided();
    let route = decided.map(|(_, route)| route);
    let (eligible, eligibility) = eligibility(generation, route, request, reading);
    let winner = decided.map(|(decided, route)| Winner {
        index: decided.index,
        algorithm: Algorithm {
            kind: &route.algorithm,
            final_model: &route.final_model,
            learns: route.learns(),
            destination: destination(generation, route, reading).unwrap_or_default(),
        },
        plugins: route.plugin_names.as_slice(),
        candidates: &route.candidates,
        eligible: eligible.kept(),
    });
    let view = EvalView {
        original_text: &request.original_text,
        requested_model: &request.requested_model,
        recipe: &recipe.name,
        keys: &recipe.keys,
        declared: &recipe.declared,
        report: &own.report,
        decisions: &recipe.decisions,
        winner,
        unknown: &own.unknown,
        unresolved: reading.unresolved.as_deref(),
        named: None,
        trace: request.trace,
        eligibility: &eligibility,
    };
    Ok(serde_json::to_value(EvalAnswer::new(&view))?)
}

/// The client's explicit choice, which only boundaries may forbid.
fn concrete(
    generation: &Generation,
    request: &EvalRequest,
    name: &str,
    reading: &Reading<'_>,
) -> Result<Value, EvalRefused> {
    let unknown = || EvalRefused::UnknownModel(name.to_owned());
    let outer = reading.outer.as_ref().or(reading.own.as_ref());
    let outer = outer.ok_or_else(unknown)?;
    let target = generation.targets.named(name).map_err(|_| unknown())?;
    let barrier = reading
        .verdict
        .admit(&target.model().name, target.shown())
        .err();
    let eligibility = Eligibility {
        boundaries: boundaries(reading),
        allowed_models: names(&reading.verdict),
        candidates: Vec::new(),
        refused: barrier.as_ref().map(Refused::by),
    };
    let decisions = Decisions::default();
    let view = EvalView {
        original_text: &request.original_text,
        requested_model: &request.requested_model,
        recipe: "",
        keys: &outer.recipe.keys,
        declared: &outer.recipe.declared,
        report: &outer.report,
        decisions: &decisions,
        winner: None,
        unknown: &[],
        unresolved: None,
        named: Some(name).filter(|_| barrier.is_none()),
        trace: request.trace,
        eligibility: &eligibility,
    };
    Ok(serde_json::to_value(EvalAnswer::new(&view))?)
}

/// Returns the model that a decision sends every request to, if it can serve this one.
fn destination<'a>(
    generation: &Generation,
    route: &'a Route,
    reading: &Reading<'_>,
) -> Option<&'a str> {
    let name = route.destination.as_deref()?;
    let (verdict, demand) = (&reading.verdict, &reading.demand);
    let barrier = generation.eligibility.barrier(name, verdict, demand);
    barrier.is_none().then_some(name)
}

/// Which models may get a request that a decision's candidates, or the default model, would serve.
fn eligibility(
    generation: &Generation,
    route: Option<&Route>,
    request: &EvalRequest,
    reading: &Reading<'_>,
) -> (Eligible, Eligibility) {
    let (verdict, demand) = (&reading.verdict, &reading.demand);
    let stage = &generation.eligibility;
    let candidates = route.map_or(&[][..], |route| route.candidates.candidates());
    let (eligible, barrier) = match route.map(|route| stage.candidates(route, verdict, demand)) {
        Some(Ok(eligible)) => (eligible, None),
        Some(Err(none)) => (none.eligible, Some(none.barrier)),
        None => (Eligible::default(), None),
    };

    let default = generation
        .targets
        .default_model()
        .filter(|_| candidates.is_empty());
    let barrier = barrier.or_else(|| stage.barrier(default?, verdict, demand));
    let needs_none = |route: &Route| {
        route.candidates.answers_itself() || destination(generation, route, reading).is_some()
    };
    let answers = route.is_some_and(needs_none);
    let mut lines = Vec::new();
    if request.trace || !eligible.dropped().is_empty() {
        lines = CandidateLine::list(candidates, &eligible);
    }
    if let Some(route) = route.filter(|_| request.trace) {
        let reserve = request.prompt.tokens.output_reserve;
        let tokens = Tokens {
            prompt: demand.tokens.saturating_sub(reserve),
            ..Tokens::default()
        };
        CandidateLine::foresee(&mut lines, route, &eligible, tokens);
    }
    let eligibility = Eligibility {
        boundaries: boundaries(reading),
        allowed_models: names(verdict),
        candidates: lines,
        refused: barrier
            .filter(|_| !answers)
            .map(|barrier| Refused::by(&barrier)),
    };
    (eligible, eligibility)
}

/// A line per boundary, those of the document first.
fn boundaries(reading: &Reading<'_>) -> Vec<BoundaryLine> {
    let findings = reading.outer.iter().chain(&reading.own);
    findings
        .flat_map(|found| BoundaryLine::list(&found.recipe.boundaries, &found.verdict))
        .collect()
}

fn names(verdict: &Verdict) -> Option<BTreeSet<String>> {
    Some(verdict.allowed()?.iter().map(ToString::to_string).collect())
}
