//! Upstream failure: which other candidate the gateway may try, and what an attempt at it must look
//! like.
//!
//! The plan names one further candidate in a header. A route that knows both models tries the
//! second where the first fails; a request without the header, because no other model is allowed or
//! able, has no such route. When the gateway tries again it asks Merit once more, for that attempt
//! alone: the body still names the first model, and the headers hold its credential. They also tell
//! which boundaries held, so that the attempt asks them again like every other way to a model.
//!
//! An attempt is made of what the client sent, not of what the first model got. Only the wire is that
//! of the first model: a candidate of another one is not named. What the switch of
//! reasoning changed in the body goes along in a header. A caller's credential that was taken off
//! for the first model cannot: that model's provider would get it. So a candidate that would need
//! it is not named.

use super::choice::Choice;
use super::escalation::{is_capable, position, route_named};
use crate::boundary::Verdict;
use crate::generation::Generation;
use crate::plan::{self, Forward, HeaderOp, Made, Refusal, body};
use crate::recipe::Route;
use crate::stages::request::Refused;
use crate::stages::selection::Matched;
use crate::stages::targets::{Target, Targets, Wire, Wish, sets_path};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use conversation::learning::context::Headers;
use dialects::{Asked, Dialect, Edits, Prompt, ReadOptions, Request};
use selection::providers::wires::{Carriage, Untranslatable};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

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
/// Names of the headers that are set for the first model, for the attempt: they must not reach the
/// next one, even if the policy has changed meanwhile.
pub const HEADERS: &str = "x-merit-fallback-headers";
/// What the first model's switch of reasoning changed in the body, as it was before, for the
/// attempt.
pub const BODY: &str = "x-merit-fallback-body";
/// The model that an attempt is made at, as the gateway says it.
pub const ATTEMPT: &str = "x-merit-attempt-model";

/// All of them: they end at Merit. The gateway keeps them for an attempt in the request's dynamic
/// metadata as well, where it is set up so, and then the first backend does not get them.
pub const OWN: [&str; 8] = [
    MODEL, RECIPE, DECISION, BOUNDARIES, DISPATCH, HEADERS, BODY, ATTEMPT,
];

/// Most bytes of [`BODY`]: gateways bound the headers of a request. One that has more to tell has
/// no fallback.
const LONGEST: usize = 8 * 1024;

/// What a second attempt needs of a request beside the headers of its plan.
#[derive(Debug, Default)]
pub struct Carried {
    /// Further headers.
    pub headers: Vec<HeaderOp>,
    /// Why there is no second attempt after all.
    pub lost: Option<&'static str>,
}

/// A second attempt, as the headers tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The recipe that chose.
    pub recipe: &'a str,
    /// The decision that chose.
    pub decision: &'a str,
    /// The boundaries that held; without the header all are taken to hold.
    pub boundaries: Option<&'a str>,
    /// Names of the headers that were set for the model that failed.
    pub headers: Option<&'a str>,
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

/// What a request may be tried with next.
#[derive(Debug, Default)]
pub(super) struct Next {
    /// Headers that name the candidate; empty where there is none.
    pub(super) headers: Vec<HeaderOp>,
    /// Why there is none, although another candidate may and can serve the request.
    pub(super) lost: Option<&'static str>,
}

/// Finds the first other candidate that may and can serve the request.
pub(super) fn next(targets: &Targets, choice: &Choice<'_>, matched: &Matched<'_>) -> Next {
    let (route, request) = (matched.route, matched.request);
    let (verdict, carriage) = (&matched.reading.verdict, request.carriage());

    let [chosen, others @ ..] = choice.in_turn.as_slice() else {
        return Next::default();
    };
    let Ok(failed) = targets.candidate(route, *chosen) else {
        return Next::default();
    };
    // A Responses request may rest on what its provider keeps, and so may the next one; sealed
    // state only its provider reads.
    let wire = failed.wire(request.dialect);
    let is_tied = wire == Dialect::OpenAiResponses || request.prompt.continuity.sealed_state;
    if is_tied || choice.looper.is_some() {
        return Next::default();
    }

    let capable: Vec<Target<'_>> = others
        .iter()
        .filter(|&&index| is_capable(targets, route, index, verdict, carriage))
        .filter_map(|&index| targets.candidate(route, index).ok())
        .filter(|target| target.model().name != failed.model().name)
        .filter(|target| request.service.is_some() || keeps_path(&failed, target))
        .collect();
    // An attempt is made of the body that the first model got, on the wire of that model.
    let (capable, others): (Vec<_>, Vec<_>) = capable
        .into_iter()
        .partition(|target| target.wire(request.dialect) == wire && is_told(&failed, wire));
    let sent = request.context.headers;
    // Plugins are for conversations.
    let of_plugins = || plugin_headers(route).filter(|_| request.service.is_none());
    let next = capable
        .iter()
        .find(|target| keeps_headers(&failed, target, of_plugins, sent));
    let Some(next) = next else {
        return Next {
            lost: match (capable.is_empty(), others.is_empty()) {
                (false, _) => Some("headers_replaced"),
                (true, false) => Some("other_wire"),
                (true, true) => None,
            },
            ..Next::default()
        };
    };

    let boundaries = verdict.to_header();
    let set: Vec<&str> = failed.set_headers().collect();
    let set = set.join(",");
    let pairs = [
        (MODEL, next.shown()),
        (RECIPE, &*matched.recipe.name),
        (DECISION, &*route.name),
        (BOUNDARIES, &*boundaries),
        (HEADERS, &*set),
    ];
    Next {
        headers: pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(header, value)| HeaderOp::Set(header.into(), value.into()))
            .collect(),
        lost: None,
    }
}

/// Returns what a second attempt needs beside the headers of the plan: what the switch of reasoning
/// changes in the body that was made, as it was before. Where that is too long no candidate is named.
#[must_use]
pub fn carried(request: &Request, forward: &Forward, made: &Made) -> Carried {
    let named = forward
        .headers()
        .iter()
        .rfind(|op| op.name() == MODEL)
        .is_some_and(|op| matches!(op, HeaderOp::Set(..)));
    let request = made.translated.as_ref().unwrap_or(request);
    let before = body::before_reasoning(request, forward.sent_edits());
    if !named || before.is_empty() {
        return Carried::default();
    }
    let members: Option<BTreeMap<&str, Option<Box<RawValue>>>> = before
        .iter()
        .map(|(name, raw)| {
            let raw = raw.clone().map(RawValue::from_string).transpose();
            Some((name.as_str(), raw.ok()?))
        })
        .collect();
    let encoded = members
        .and_then(|members| serde_json::to_vec(&members).ok())
        .map(|text| BASE64.encode(text))
        .filter(|encoded| encoded.len() <= LONGEST);
    match encoded {
        Some(encoded) => Carried {
            headers: vec![HeaderOp::Set(BODY.into(), encoded.into())],
            lost: None,
        },
        None => Carried {
            headers: vec![HeaderOp::Remove(MODEL.into())],
            lost: Some("body_too_long"),
        },
    }
}

/// Reads the body of a second attempt as it was before the first model was told how to reason.
/// `before` is what the headers say of that.
///
/// # Errors
/// It is no request, or the header is not Merit's.
pub fn restored(
    asked: &Asked<'_>,
    bytes: Bytes,
    before: Option<&str>,
    options: &ReadOptions,
) -> Result<Request, Refusal> {
    let read = |bytes: Bytes| {
        Request::read(asked, bytes, options)
            .map_err(|refused| Refusal::new(refused.status, refused.message))
    };
    let request = read(bytes)?;
    let Some(before) = before else {
        return Ok(request);
    };
    let members = BASE64
        .decode(before)
        .ok()
        .and_then(|text| {
            serde_json::from_slice::<BTreeMap<String, Option<Box<RawValue>>>>(&text).ok()
        })
        .ok_or_else(|| Refusal::new(400, format!("the header {BODY} cannot be read")))?;
    let mut edits = Edits::new();
    for (name, raw) in members {
        match raw {
            Some(raw) => edits.set(&name, raw.get()),
            None => edits.remove(&name),
        }
    }
    read(edits.apply(&request))
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
    asked: &Asked<'_>,
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
    let set = attempt.headers.unwrap_or_default().split(',');
    let withdrawn: Vec<HeaderOp> = failed
        .set_headers()
        .chain(set.filter(|name| !name.is_empty() && !name.starts_with(':')))
        .map(|name| HeaderOp::Remove(name.into()))
        .collect();
    let is_conversation = asked.service.is_none();
    let next = if is_conversation { next } else { next.untold() };
    let wire = Wire {
        carriage: Carriage {
            wire: asked.dialect,
            untranslatable: Some(Untranslatable::Attempt),
        },
        strict: false,
        has_version: false,
        is_conversation,
        wish: Wish::of(prompt),
        // The response is that of the stream that planned the request.
        asked: None,
        // The first attempt has asked for it already.
        counts_usage: false,
        unsigned_thinking: prompt.continuity.unsigned_thinking,
        withdrawn: &withdrawn,
    };
    let forward = targets
        .forward(&next, &verdict, wire)
        .map_err(|refused: Refused| refused.refusal)?;

    // Those of plugins stand above a model's own, as on the first way.
    let of_plugins = plan::Edits {
        headers: plugin_headers(route)
            .filter(|_| is_conversation)
            .cloned()
            .collect(),
        ..plan::Edits::default()
    };
    Ok(forward
        .edited(of_plugins)
        .with_headers(OWN.map(|name| HeaderOp::Remove(name.into()))))
}

fn find<'a>(targets: &Targets, route: &'a Route, name: &str) -> Option<Target<'a>> {
    targets.candidate(route, position(route, name)?).ok()
}

/// A path that was changed for one model cannot be taken back for the next.
fn keeps_path(from: &Target<'_>, to: &Target<'_>) -> bool {
    let sets = |target: &Target<'_>| target.model().headers.iter().any(sets_path);
    !sets(from) || sets(to)
}

/// Tells whether an attempt can see which wire the failed model's request is on: by its path, unless
/// that is the model's own and none of chat completions.
fn is_told(failed: &Target<'_>, wire: Dialect) -> bool {
    wire == Dialect::OpenAiChat || !failed.model().headers.iter().any(sets_path)
}

/// Returns whether an attempt can carry the headers that a first one there would: what the caller
/// sent and the failed model's edits took off cannot be put back, so the next model's must edit the
/// same.
fn keeps_headers<'a, P: Iterator<Item = &'a HeaderOp>>(
    failed: &Target<'_>,
    next: &Target<'_>,
    of_plugins: impl Fn() -> P,
    sent: &dyn Headers,
) -> bool {
    failed
        .headers()
        .map(HeaderOp::name)
        .filter(|name| sent.value(name).is_some())
        .all(|name| {
            let sets = |op: &HeaderOp| op.name() == name;
            next.headers().any(sets) || of_plugins().any(sets)
        })
}

fn plugin_headers(route: &Route) -> impl Iterator<Item = &HeaderOp> {
    route.plugins.iter().flat_map(|plugin| plugin.headers())
}

#[cfg(test)]
mod tests;
