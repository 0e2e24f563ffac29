//! Requests about stored responses and batches: they go where the object is, or as the gateway is
//! configured, which the answer then tells.

use super::{forward, identity, immediate};
use crate::engine::Generation;
use crate::metrics::Metrics;
use conversation::session::SessionHints;
use dialects::Stored;
use extproc::{BodyReply, HeaderEdit, HeaderEdits, Immediate, RequestHead, ResponseInterest};
use http::HeaderValue;
use router::generation::Profile;
use router::pipeline::stored::{Errand, errand};
use router::plan::Trace;
use router::plan::surface::{ReplyHeader, ResponsePath};
use std::time::Instant;

/// How a request goes on without a body that matters.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) reply: BodyReply,
    /// Headers for the answer, where the gateway shows it.
    pub(super) shown: Vec<ReplyHeader>,
}

impl Passing {
    /// The request goes on as it came.
    pub(super) fn untouched(serving: &Generation, head: &RequestHead) -> Self {
        Self {
            reply: forward::untouched(serving, head),
            shown: Vec::new(),
        }
    }

    fn showing(mut self, head: &RequestHead, profile: Profile, trace: &Trace) -> Self {
        self.shown = trace.routing(ResponsePath::Upstream);
        self.reply.metadata = forward::shown(&self.shown);
        if profile != Profile::Route {
            self.reply.response = head.offer.min(ResponseInterest::Headers);
        }
        self
    }
}

/// Plans a request about a stored object.
pub(super) async fn plan(
    serving: &Generation,
    head: &RequestHead,
    stored: &Stored,
    metrics: &Metrics,
    deadline: Instant,
) -> Result<Passing, Immediate> {
    let untouched = Passing::untouched(serving, head);
    let Some(id) = &stored.id else {
        return Ok(untouched);
    };
    let (router, settings) = (&serving.router, &serving.router.settings);
    let identity = identity::of(head, settings);
    let names = &router.sessions.policy.identity_headers;
    let asked = Errand {
        id,
        dialect: stored.dialect,
        identity: &identity,
        hints: SessionHints::of(names, |name| head.headers.get(name)),
        deadline,
    };
    match errand(router, &asked).await {
        Ok(Ok(plan)) => {
            let trace = Trace {
                model: Some(plan.model().clone()),
                ..Trace::default()
            };
            let reply = BodyReply {
                headers: forward::merged(forward::strip(serving, head), plan.headers()),
                clear_route_cache: settings.clear_route_cache,
                ..BodyReply::default()
            };
            let passing = Passing { reply, ..untouched };
            Ok(passing.showing(head, settings.profile, &trace))
        }
        Ok(Err(reason)) => {
            metrics.signals.degrade("provider_state", reason);
            let trace = Trace {
                degraded: vec![format!("provider_state={reason}").into()],
                ..Trace::default()
            };
            Ok(untouched.showing(head, settings.profile, &trace))
        }
        Err(refusal) => {
            metrics.refused("", "unroutable");
            let id = head.headers.get("x-request-id");
            let wire = Some(stored.dialect);
            Err(immediate::refusal(
                refusal.status,
                &refusal.message,
                wire,
                id,
            ))
        }
    }
}

/// Header edits of the answer.
pub(super) fn edits(shown: &[ReplyHeader]) -> HeaderEdits {
    let fit = shown
        .iter()
        .filter(|(_, value)| HeaderValue::from_str(value).is_ok());
    fit.map(|(name, value)| HeaderEdit::Set((*name).to_owned(), value.clone().into()))
        .collect()
}
