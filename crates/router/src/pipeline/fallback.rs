//! Upstream failure: which other candidate the gateway may try, and what an attempt at it must look
//! like.
//!
//! The plan names one further candidate in a header. A route that knows both models tries the
//! second where the first fails; a request without the header, because no other model is allowed or
//! able, has no such route. When the gateway tries again it asks Merit once more, for that attempt
//! alone: the body still names the first model, and the headers hold its credential.

use super::{Call, unavailable};
use crate::generation::Generation;
use crate::models::Model;
use crate::plan::{BodyEdit, Forward, HeaderOp, Refusal};
use crate::recipe::Route;
use crate::selection::upstream_name;
use dialects::{Dialect, Prompt};
use std::sync::Arc;

/// Names the candidate that may be tried where the chosen one fails.
pub const MODEL: &str = "x-merit-fallback-model";
/// The recipe that chose, for the attempt.
pub const RECIPE: &str = "x-merit-fallback-recipe";
/// The decision that chose, for the attempt.
pub const DECISION: &str = "x-merit-fallback-decision";
/// The dispatch that failed, for the attempt: so that the first model's failure is known although
/// another one answers.
pub const DISPATCH: &str = "x-merit-fallback-dispatch";
/// The model that an attempt is made at, as the gateway says it.
pub const ATTEMPT: &str = "x-merit-attempt-model";

/// A second attempt, as the headers tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The recipe that chose.
    pub recipe: &'a str,
    /// The decision that chose.
    pub decision: &'a str,
    /// The model that failed.
    pub from: &'a str,
    /// The model to try.
    pub to: &'a str,
}

impl Generation {
    /// Names the next candidate in the headers of a plan; whatever a plugin's header says.
    pub(super) fn name_next(
        &self,
        (recipe, route): (&str, &Route),
        kept: &[usize],
        forward: &mut Forward,
        call: &Call<'_>,
    ) {
        let named = self.fallback(recipe, route, kept, call);
        let plugins = |op: &HeaderOp| matches!(op, HeaderOp::Set(name, _) if &**name == MODEL);
        if named.is_empty() && forward.headers.iter().any(plugins) {
            forward.headers.push(HeaderOp::Remove(MODEL.into()));
        }
        forward.headers.extend(named);
    }

    /// Headers that name the first other candidate that may and can serve the request; none where
    /// there is no such.
    fn fallback(
        &self,
        recipe: &str,
        route: &Route,
        kept: &[usize],
        call: &Call<'_>,
    ) -> Vec<HeaderOp> {
        // A Responses request may rest on what its provider keeps, and so may the next one; sealed
        // state only its provider reads.
        let bound = call.dialect == Dialect::OpenAiResponses || call.prompt.continuity.sealed_state;
        if !self.settings.fallback || bound {
            return Vec::new();
        }
        let [chosen, others @ ..] = kept else {
            return Vec::new();
        };
        let Some(from) = self.model_of(route, *chosen) else {
            return Vec::new();
        };
        let (_, failed) = from;
        let fits = |index: &usize| {
            self.is_capable(route, *index, call)
                && self
                    .model_of(route, *index)
                    .is_some_and(|to| to.1.name != failed.name && keeps_path(failed, to.1))
        };
        let Some((name, _)) = others
            .iter()
            .find(|index| fits(index))
            .and_then(|&index| self.model_of(route, index))
        else {
            return Vec::new();
        };
        let pairs = [(MODEL, name), (RECIPE, recipe), (DECISION, &*route.name)];
        pairs
            .map(|(header, value)| HeaderOp::Set(header.into(), value.into()))
            .into()
    }

    /// The edits that make of a request for one model the same request for another.
    ///
    /// # Errors
    /// The policy knows no such step (any more).
    pub fn attempt(
        &self,
        attempt: Attempt<'_>,
        prompt: &Prompt,
        dialect: Dialect,
    ) -> Result<Forward, Refusal> {
        let unknown = || unavailable(attempt.to);
        let (_, route) = self
            .route_named(attempt.recipe, attempt.decision)
            .ok_or_else(unknown)?;
        let find = |name: &str| {
            let index = route
                .candidates
                .model_refs()
                .iter()
                .position(|it| upstream_name(it).trim() == name)?;
            Some((
                route.candidates.model_refs().get(index)?,
                route.backends.get(index)?.as_deref()?,
            ))
        };
        let (from_ref, from) = find(attempt.from).ok_or_else(unknown)?;
        let (to_ref, to) = find(attempt.to).ok_or_else(unknown)?;
        to.accepts(dialect, self.settings.fail_open)?;
        let chat = dialect == Dialect::OpenAiChat;
        let kept =
            |op: &&HeaderOp| chat || !matches!(op, HeaderOp::Set(name, _) if &**name == ":path");
        let mut headers: Vec<HeaderOp> = from.headers.iter().filter_map(withdrawn).collect();
        headers.extend(
            [MODEL, RECIPE, DECISION, DISPATCH, ATTEMPT].map(|name| HeaderOp::Remove(name.into())),
        );
        let routing = self.settings.routing_headers.iter();
        headers.extend(routing.map(|name| HeaderOp::Set(name.clone(), attempt.to.into())));
        headers.extend(to.headers.iter().filter(kept).cloned());
        let upstream = if to_ref.lora_name.trim().is_empty() {
            to.upstream_id.clone()
        } else {
            attempt.to.into()
        };
        let callers = prompt.reasoning_effort.as_deref();
        let edit = |model: &Model, model_ref: &crate::config::decisions::ModelRef| {
            model.reasoning.edit(
                model_ref.use_reasoning.unwrap_or(false),
                &model_ref.reasoning_effort,
                callers,
            )
        };
        let body = vec![
            BodyEdit::Model(upstream),
            BodyEdit::WithdrawReasoning(edit(from, from_ref)),
            BodyEdit::Reasoning(edit(to, to_ref)),
        ];
        Ok(Forward {
            body,
            headers,
            // The response is that of the stream that planned the request.
            response: Vec::new(),
        })
    }

    fn model_of<'r>(&self, route: &'r Route, index: usize) -> Option<(&'r str, &'r Arc<Model>)> {
        let name = upstream_name(route.candidates.model_refs().get(index)?).trim();
        Some((name, route.backends.get(index)?.as_ref()?))
    }
}

/// A path that was changed for one model cannot be taken back for the next.
fn keeps_path(from: &Model, to: &Model) -> bool {
    let sets = |model: &Model| {
        model
            .headers
            .iter()
            .any(|op| matches!(op, HeaderOp::Set(name, _) if &**name == ":path"))
    };
    !sets(from) || sets(to)
}

/// What was set for the model that failed must not reach the next one: its credential above all.
fn withdrawn(op: &HeaderOp) -> Option<HeaderOp> {
    match op {
        HeaderOp::Set(name, _) if &**name != ":path" => Some(HeaderOp::Remove(name.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
