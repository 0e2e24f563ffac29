//! From a request body to what Envoy is told: parse, route, edit.

use super::response::{self, ResponsePlan};
use super::{Head, forward, identity, immediate, internal};
use crate::engine::Generation;
use crate::looper;
use crate::metrics::Metrics;
use bytes::Bytes;
use dialects::refusal::CONTEXT_LENGTH_EXCEEDED;
use dialects::{Request, TokenFacts};
use extproc::{BodyReply, Immediate, ResponseInterest};
use immediate::Said;
use inference::ask::Ask;
use router::dispatch::Dispatch;
use router::eligible::Barrier;
use router::generation::Profile;
use router::learning::context::{Headers, RequestContext};
use router::pipeline::{Call, Routed};
use router::plan::surface::{ReplyHeader, ResponsePath};
use router::plan::{Escalation, Facts, Forward, Outcome, RoutePlan, body};
use router::signals::Identity;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;

/// What is to be done with a request.
pub(super) enum Planned {
    /// It goes on; the plan waits for the response.
    Forward(Box<BodyReply>, Box<ResponsePlan>),
    /// Merit answers.
    Respond(Immediate),
    /// Several models are asked.
    Run(Box<Ready>),
}

/// All that a run needs of its request.
pub(super) struct Ready {
    /// The request.
    pub(super) request: Request,
    /// Who asks.
    pub(super) identity: Identity,
    /// Why this decision.
    pub(super) facts: Facts,
    /// What to run.
    pub(super) escalation: Escalation,
    /// The decision's tier.
    pub(super) tier: i64,
    /// Debug headers were asked for, by somebody who may.
    pub(super) debug: bool,
}

/// Plans one request; waits for nothing but the answers of `models`, and for these no longer than
/// until the instant.
pub(super) async fn plan(
    head: &Head,
    body: Bytes,
    metrics: &Metrics,
    (models, deadline): (&dyn Ask, Instant),
) -> Planned {
    let started = Instant::now();
    let settings = &head.serving.router.settings;
    let request = match Request::parse(head.dialect, body, &settings.wrappers) {
        Ok(request) => request,
        Err(refused) => {
            metrics.refused("", "invalid_request");
            return Planned::Respond(turn_down(head, refused.status, &refused.message));
        }
    };
    let parsed = Instant::now();
    let back = internal::claims(head, metrics);
    let identity = match &back {
        Some(claims) => looper::identity(&claims.principal),
        None => identity::of(&head.request, settings),
    };
    let debug = back.is_none() && asks_debug(head) && settings.may_debug(&identity);
    let previous_response = request
        .text_member("previous_response_id")
        .is_some_and(|id| !id.is_empty());
    let call = Call {
        prompt: request.prompt(),
        dialect: head.dialect,
        identity: &identity,
        marks: router::session::SessionHints::of(
            &head.serving.router.sessions.identity_headers,
            |name| head.request.headers.get(name),
        ),
        observed: counts_usage(head),
        sent: RequestContext {
            headers: head,
            previous_response,
        },
        models,
        deadline,
        full: debug,
    };
    let router = &head.serving.router;
    let routing = async {
        match &back {
            Some(claims) => router.route_back(claims, &call).await,
            None => router.route(&call).await,
        }
    };
    let mut routed = routing.instrument(head.span.span().clone()).await;
    if let (true, Some(findings)) = (debug, routed.findings.as_ref().or(routed.bounding.as_ref())) {
        routed.plan.facts.detail(findings);
    }
    if let Outcome::Forward(forward) = &mut routed.plan.outcome {
        if back.is_some() {
            // The run that calls reads the answer, and gives its own.
            forward.response.clear();
        }
        response::drop_stages(&head.request, forward, &mut routed.plan.facts, metrics);
    }
    let routed_at = Instant::now();
    record(&head.serving, metrics, &routed);
    note(head, &routed.plan.facts);
    let tier = tier(&routed);
    let planned = execute(head, request, routed.plan, (identity, tier, debug));
    metrics.stages(parsed - started, routed_at - parsed, routed_at.elapsed());
    planned
}

fn execute(
    head: &Head,
    request: Request,
    plan: RoutePlan,
    (identity, tier, debug): (Identity, i64, bool),
) -> Planned {
    let facts = plan.facts;
    match plan.outcome {
        Outcome::Forward(plan) => go_on((head, tier), &request, &plan, &facts, debug),
        Outcome::Escalate(escalation) => Planned::Run(Box::new(Ready {
            request,
            identity,
            facts,
            escalation: *escalation,
            tier,
            debug,
        })),
        Outcome::Answer { message } => {
            let prompt = request.prompt();
            let model = facts.model.as_deref().unwrap_or(&prompt.model);
            let shown = surface(&facts, ResponsePath::FastResponse, debug);
            Planned::Respond(immediate::fast_response(
                &message,
                model,
                (head.dialect, prompt.stream),
                &shown,
            ))
        }
        Outcome::Refuse(refusal) => {
            let said = Said {
                status: refusal.status,
                message: &refusal.message,
                code: code(&facts),
            };
            let mut answer = immediate::said(
                &said,
                Some(head.dialect),
                head.request.headers.get("x-request-id"),
            );
            if debug {
                immediate::show(&mut answer, &facts.debug());
            }
            Planned::Respond(answer)
        }
    }
}

/// The code by which clients know the refusal.
fn code(facts: &Facts) -> Option<&'static str> {
    matches!(facts.refused_by, Some(Barrier::ContextWindow { .. }))
        .then_some(CONTEXT_LENGTH_EXCEEDED)
}

/// The winning decision's.
fn tier(routed: &Routed<'_>) -> i64 {
    let route = routed
        .findings
        .as_ref()
        .and_then(|it| it.recipe.routes.get(it.decided?.index));
    route.map_or(0, |route| route.tier)
}

/// The request goes on to a model.
pub(super) fn go_on(
    (head, tier): (&Head, i64),
    request: &Request,
    plan: &Forward,
    facts: &Facts,
    debug: bool,
) -> Planned {
    let settings = &head.serving.router.settings;
    let state = &head.serving.router.state;
    let dispatch = Dispatch {
        id: state.dispatches.next_id(),
        at: Instant::now(),
        model: facts.model.clone().unwrap_or_else(|| Arc::from("")),
        recipe: facts.recipe.clone(),
        decision: facts.decision.clone(),
        tier,
        session: facts.session.as_ref().and_then(|told| told.ticket),
        prompt_tokens: facts.context_tokens,
        learning: facts
            .lesson
            .as_ref()
            .and_then(|lesson| lesson.record.clone()),
    };
    let always = Facts::always(ResponsePath::Upstream).to_vec();
    let on_success = surface(facts, ResponsePath::Upstream, debug);
    let shown: Vec<ReplyHeader> = always.iter().chain(&on_success).cloned().collect();
    let mut headers = forward::headers(
        &head.serving,
        &head.request,
        plan,
        head.span.edits(),
        dispatch.id,
    );
    if !plan.response.is_empty() {
        response::ask_for_plain_text(&mut headers);
    }
    let reply = BodyReply {
        headers,
        body: body::apply(request, &plan.body),
        clear_route_cache: settings.clear_route_cache,
        metadata: forward::metadata(&shown, dispatch.id),
        response: interest(head, plan),
    };
    let plan = ResponsePlan {
        dialect: head.dialect,
        model: dispatch.model.clone(),
        always,
        on_success,
        stages: plan.response.clone(),
        since: head.since,
        text_bytes: text_bytes(&request.prompt().tokens),
        token_ratio: Arc::clone(&head.serving.router.token_ratio),
        sees_body: reply.response == ResponseInterest::Body,
        is_logged: head.serving.router.document.global.server.pool.access_log,
        state: Arc::clone(state),
        dispatch,
        chain: facts.session.as_ref().and_then(|told| told.chain.clone()),
    };
    Planned::Forward(Box::new(reply), Box::new(plan))
}

impl Headers for Head {
    fn value(&self, name: &str) -> Option<&str> {
        self.request.headers.get(name)
    }
}

/// Only text that was counted as text can teach how many bytes a token of text has.
fn text_bytes(facts: &TokenFacts) -> u64 {
    if facts.images == 0 && facts.structured_bytes == 0 {
        facts.text_bytes
    } else {
        0
    }
}

/// A chat stream is asked for its usage only where the operator wants responses observed: the
/// client that did not ask for it sees one more chunk, without choices.
fn counts_usage(head: &Head) -> bool {
    let observes = head.serving.router.settings.profile == Profile::Observe;
    observes && head.request.offer == ResponseInterest::Body
}

/// What of the response is wanted: by the plan and the document's profile, at most what makes sense
/// in the gateway's mode.
fn interest(head: &Head, plan: &Forward) -> ResponseInterest {
    if !plan.response.is_empty() {
        return ResponseInterest::Body;
    }
    match head.serving.router.settings.profile {
        Profile::Route => ResponseInterest::Nothing,
        Profile::Auto => head.request.offer,
        Profile::Observe => head.request.offer.max(ResponseInterest::Headers),
    }
}

/// Headers that tell what was decided.
pub(super) fn surface(facts: &Facts, path: ResponsePath, debug: bool) -> Vec<ReplyHeader> {
    let mut headers = facts.routing(path);
    if debug {
        headers.extend(facts.debug());
    }
    headers
}

fn asks_debug(head: &Head) -> bool {
    let asked = head.request.headers.get("x-vsr-debug");
    asked.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// An error for the client.
pub(super) fn turn_down(head: &Head, status: u16, message: &str) -> Immediate {
    immediate::refusal(
        status,
        message,
        Some(head.dialect),
        head.request.headers.get("x-request-id"),
    )
}

/// Counts what routing found.
fn record(serving: &Generation, metrics: &Metrics, routed: &Routed<'_>) {
    let facts = &routed.plan.facts;
    for findings in routed.findings.iter().chain(&routed.bounding) {
        serving.meters.findings(metrics, findings);
    }
    facts
        .verdict
        .names()
        .for_each(|name| metrics.boundaries.applied(name));
    metrics.session(facts);
    if facts.context_tokens > 0 {
        metrics.context_tokens(facts.context_tokens);
    }
    match &routed.plan.outcome {
        Outcome::Forward(_) => serving.meters.forwarded(metrics, facts),
        Outcome::Answer { .. } => metrics.answered(facts),
        // Counted when it is over.
        Outcome::Escalate(_) => {}
        Outcome::Refuse(refusal) => {
            let reason = match &facts.refused_by {
                Some(Barrier::Boundary(name)) => {
                    metrics.boundaries.refused(name);
                    "boundary"
                }
                Some(Barrier::ContextWindow { .. }) => CONTEXT_LENGTH_EXCEEDED,
                Some(Barrier::Ability(_)) => "ability",
                Some(Barrier::Resting) | None if refusal.status == 403 => "forbidden",
                Some(Barrier::Resting) | None => "unroutable",
            };
            metrics.refused(facts.model.as_deref().unwrap_or_default(), reason);
        }
    }
}

/// Puts the result on the request's span.
fn note(head: &Head, facts: &Facts) {
    let span = head.span.span();
    let fields = [
        ("routing.recipe", facts.recipe.as_deref()),
        ("routing.decision", facts.decision.as_deref()),
        ("routing.model", facts.model.as_deref()),
        ("routing.algorithm", facts.algorithm),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            span.record(field, value);
        }
    }
    if !facts.verdict.is_free() {
        span.record("routing.boundaries", facts.boundaries());
    }
    if !facts.dropped.is_empty() {
        span.record("routing.dropped", facts.dropped());
    }
    if !facts.degraded.is_empty() {
        span.record("routing.degraded", facts.degraded.join(","));
    }
    if !span.is_none() && !facts.forecasts.is_empty() {
        let forecasts: Vec<String> = facts.forecasts.iter().map(ToString::to_string).collect();
        span.record("routing.forecast", forecasts.join("\n"));
    }
}
