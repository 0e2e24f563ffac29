//! Upstream failure: which other candidate the gateway may try, and what an attempt at it must look
//! like.
//!
//! The plan names one further candidate in a header. A route that knows both models tries the
//! second where the first fails; a request without the header, because no other model is allowed or
//! able, has no such route. When the gateway tries again it asks Merit once more, for that attempt
//! alone: the body still names the first model, and the headers hold its credential. They also tell
//! which boundaries held, so that the attempt asks them again like every other way to a model.

use super::choice::Choice;
use super::escalation::{is_capable, position, route_named};
use crate::boundary::Verdict;
use crate::generation::Generation;
use crate::plan::{Forward, HeaderOp, Refusal};
use crate::recipe::Route;
use crate::stages::request::Refused;
use crate::stages::selection::Matched;
use crate::stages::targets::{Target, Targets, Wire, sets_path};
use dialects::{Dialect, Prompt};

/// Names the candidate that may be tried where the chosen one fails.
pub const MODEL: &str = "x-merit-fallback-model";
/// The recipe that chose, for the attempt.
pub const RECIPE: &str = "x-merit-fallback-recipe";
/// The decision that chose, for the attempt.
pub const DECISION: &str = "x-merit-fallback-decision";
/// The boundaries that hold, for the attempt; see [`Verdict::to_header`].
pub const BOUNDARIES: &str = "x-merit-fallback-boundaries";
/// The dispatch that failed, for the attempt: so that the first model's failure is known although
/// another one answers.
pub const DISPATCH: &str = "x-merit-fallback-dispatch";
/// The model that an attempt is made at, as the gateway says it.
pub const ATTEMPT: &str = "x-merit-attempt-model";

/// All of them: they end at Merit.
const OWN: [&str; 6] = [MODEL, RECIPE, DECISION, BOUNDARIES, DISPATCH, ATTEMPT];

/// A second attempt, as the headers tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The recipe that chose.
    pub recipe: &'a str,
    /// The decision that chose.
    pub decision: &'a str,
    /// The boundaries that held; without the header all are taken to hold.
    pub boundaries: Option<&'a str>,
    /// The model that failed.
    pub from: &'a str,
    /// The model to try.
    pub to: &'a str,
}

/// Names the next candidate in the headers of a plan, whatever a plugin's header says.
pub(super) fn name_next(forward: Forward, next: Vec<HeaderOp>) -> Forward {
    let sets_model = |op: &HeaderOp| matches!(op, HeaderOp::Set(name, _) if &**name == MODEL);
    let is_forged = next.is_empty() && forward.headers().iter().any(sets_model);
    let removed = is_forged.then(|| HeaderOp::Remove(MODEL.into()));
    forward.with_headers(removed.into_iter().chain(next))
}

/// Returns headers that name the first other candidate that may and can serve the request; none
/// where there is no such.
pub(super) fn next(targets: &Targets, choice: &Choice<'_>, matched: &Matched<'_>) -> Vec<HeaderOp> {
    let (route, request) = (matched.route, matched.request);
    let (verdict, dialect) = (&matched.reading.verdict, request.dialect);

    // A Responses request may rest on what its provider keeps, and so may the next one; sealed
    // state only its provider reads.
    let is_tied = dialect == Dialect::OpenAiResponses || request.prompt.continuity.sealed_state;
    let [chosen, others @ ..] = choice.in_turn.as_slice() else {
        return Vec::new();
    };
    let Ok(failed) = targets.candidate(route, *chosen) else {
        return Vec::new();
    };
    if is_tied || choice.looper.is_some() {
        return Vec::new();
    }

    let fits = |target: &Target<'_>| {
        target.model().name != failed.model().name && keeps_path(&failed, target)
    };
    let next = others
        .iter()
        .filter(|&&index| is_capable(targets, route, index, verdict, dialect))
        .filter_map(|&index| targets.candidate(route, index).ok())
        .find(fits);
    let Some(next) = next else {
        return Vec::new();
    };
    let boundaries = verdict.to_header();
    let pairs = [
        (MODEL, next.shown()),
        (RECIPE, &*matched.recipe.name),
        (DECISION, &*route.name),
        (BOUNDARIES, &*boundaries),
    ];
    pairs
        .map(|(header, value)| HeaderOp::Set(header.into(), value.into()))
        .into()
}

/// Plans the second attempt: the edits that make of a request for one model the same request for
/// another.
///
/// # Errors
/// The policy knows no such step (any more), or a boundary that held does not allow it.
pub fn attempt(
    generation: &Generation,
    attempt: Attempt<'_>,
    prompt: &Prompt,
    dialect: Dialect,
) -> Result<Forward, Refusal> {
    let unknown = || Refusal::unavailable(attempt.to);
    let targets = &generation.targets;
    let (recipe, route) =
        route_named(&generation.recipes, attempt.recipe, attempt.decision).ok_or_else(unknown)?;
    let outer = generation.recipes.iter().take(1);
    let boundaries: Vec<_> = outer
        .filter(|outer| !std::ptr::eq(*outer, recipe))
        .chain([recipe])
        .map(|recipe| &recipe.boundaries)
        .collect();
    let verdict = Verdict::from_header(attempt.boundaries, &boundaries).ok_or_else(unknown)?;

    let failed = find(targets, route, attempt.from).ok_or_else(unknown)?;
    let next = find(targets, route, attempt.to).ok_or_else(unknown)?;
    let wire = Wire {
        dialect,
        effort: prompt.reasoning_effort.as_deref(),
        // The response is that of the stream that planned the request.
        asked: None,
        // The first attempt has asked for it already.
        counts_usage: false,
        failed: Some(&failed),
    };
    let forward = targets
        .forward(&next, &verdict, wire)
        .map_err(|refused: Refused| refused.refusal)?;
    Ok(forward.with_headers(OWN.map(|name| HeaderOp::Remove(name.into()))))
}

fn find<'a>(targets: &Targets, route: &'a Route, name: &str) -> Option<Target<'a>> {
    targets.candidate(route, position(route, name)?).ok()
}

/// A path that was changed for one model cannot be taken back for the next.
fn keeps_path(from: &Target<'_>, to: &Target<'_>) -> bool {
    let sets = |target: &Target<'_>| target.model().headers.iter().any(sets_path);
    !sets(from) || sets(to)
}

#[cfg(test)]
mod tests;
