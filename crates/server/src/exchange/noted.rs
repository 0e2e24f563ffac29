//! What the record of a request is begun with, at the moment when it was decided on.

use super::{Head, replayed};
use crate::recording::{Begun, Kind, Reading};
use conversation::session::{SessionHints, Source, identity};
use conversation::shared_state::SharedState;
use dialects::Request;
use router::pipeline;
use router::plan::surface::ReplyHeader;
use router::plan::{Outcome, Trace};
use signals::families::Identity;
use std::sync::Arc;
use std::time::Duration;

/// A request that was decided on.
pub(super) struct Decided<'a, 'g> {
    /// What happens to it.
    pub(super) outcome: &'a Outcome,
    /// Why.
    pub(super) trace: &'a Arc<Trace>,
    /// What was read in it.
    pub(super) reading: pipeline::Reading<'g>,
    /// Who asks.
    pub(super) identity: &'a Identity,
    /// It is a call of a run, which has its own record.
    pub(super) is_own_call: bool,
    /// Time that reading took.
    pub(super) parse: Duration,
    /// Time that deciding took.
    pub(super) route: Duration,
}

/// Begins the record of a request, if it is kept. Values are moved; all work is the builder's.
pub(super) fn begin(head: &Head, request: &Request, decided: Decided<'_, '_>) {
    let Some(entry) = &head.entry else { return };
    let is_kept = !decided.is_own_call && decided.trace.replay.is_some();
    let begun = |seen| {
        let prompt = request.prompt();
        let reading = decided.reading;
        let found = reading.own.or(reading.outer);
        Begun {
            seen,
            kind: kind(decided.outcome, decided.trace),
            trace: Arc::clone(decided.trace),
            report: found.map(|found| (Arc::clone(&found.recipe.name), found.report)),
            requested_model: prompt.model.clone(),
            stream: prompt.stream,
            turn: prompt.conversation.assistant,
            session: session(head, request, decided.trace),
            previous_response: prompt.continuity.previous_response.clone(),
            conversation: prompt.continuity.conversation.clone(),
            caller: caller(head, decided.identity),
            body: entry.recording().hold(request.body()),
            read: Reading {
                service: head.service,
                content_type: header(head, "content-type"),
            },
            parse: decided.parse,
            route: decided.route,
        }
    };
    entry.begin(begun, is_kept);
}

fn kind(outcome: &Outcome, trace: &Trace) -> Kind {
    match outcome {
        Outcome::Forward(_) if trace.recipe.is_none() => Kind::PassedThrough,
        Outcome::Forward(_) => Kind::Routed,
        Outcome::Answer { .. } | Outcome::Count { .. } => Kind::Answered,
        Outcome::Refuse(_) => Kind::Refused,
        Outcome::Escalate(_) => Kind::Ran,
    }
}

/// Returns the name that the client gives its session. Under a boundary that keeps texts out of
/// records, only one that stands in a header.
fn session(head: &Head, request: &Request, trace: &Trace) -> Option<String> {
    let names = &head.serving.router.sessions.policy.identity_headers;
    let hints = SessionHints::of(names, |name| head.request.headers.get(name));
    let (source, name) = identity::named(request.prompt(), &hints)?;
    let is_shown = source == Source::Header || trace.verdict.sees_records();
    is_shown.then(|| name.to_owned())
}

fn caller(head: &Head, who: &Identity) -> String {
    let policy = &head.serving.router.sessions.policy;
    let hints = SessionHints::of(&policy.identity_headers, |name| {
        head.request.headers.get(name)
    });
    replayed::caller(&policy.keyer, who, &hints)
}

fn header(head: &Head, name: &str) -> String {
    head.request
        .headers
        .get(name)
        .unwrap_or_default()
        .to_owned()
}

/// Returns the header that tells the record's id, where a record is kept.
pub(super) fn id(head: &Head, trace: &Trace) -> Option<ReplyHeader> {
    trace.replay.as_ref()?;
    let entry = head.entry.as_ref()?;
    Some(("x-vsr-replay-id", entry.id()))
}

/// Returns what identifies the request on its way: its record goes by the same.
pub(super) fn key(head: &Head, state: &SharedState) -> u64 {
    let entry = head.entry.as_ref();
    entry.map_or_else(|| state.dispatches.next_id(), |entry| entry.key())
}
