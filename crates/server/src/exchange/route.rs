//! From a request body to what Envoy is told: parse, route, edit.

use super::noted::{self, Decided};
use super::response::{self, ResponsePlan};
use super::{Head, forward, identity, immediate, internal};
use crate::engine::Generation;
use crate::looper;
use crate::metrics::Metrics;
use bytes::Bytes;
use conversation::dispatch::Dispatch;
use conversation::learning::context::{Headers, RequestContext};
use conversation::objects::Keeper;
use conversation::session::SessionHints;
use dialects::refusal::CONTEXT_LENGTH_EXCEEDED;
use dialects::translate::loss::{WARNINGS_HEADER, warnings};
use dialects::{Asked, Dialect, RefusedKind, Request, Service};
use extproc::{BodyReply, Immediate, ResponseInterest};
use immediate::Said;
use inference::ask::Ask;
use router::generation::Profile;
use router::pipeline::{self, Routed, RoutingRequest, fallback};
use router::plan::surface::{ReplyHeader, ResponsePath};
use router::plan::{Escalation, Forward, MAX_OUTPUT_TOKENS_EXCEEDED, Outcome, Trace, make};
use selection::eligible::Barrier;
use signals::families::Identity;
use std::borrow::Cow;
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
    pub(super) trace: Arc<Trace>,
    /// What to run.
    pub(super) escalation: Escalation,
    /// Debug headers were asked for, by somebody who may.
    pub(super) debug: bool,
}

/// Until when a request is worked on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Models answer by then; texts that were not read count as unread.
    pub(super) models: Instant,
    /// Somebody waits for the plan until then.
    pub(super) plan: Option<Instant>,
}

/// Plans one request; waits for nothing but the answers of `models`.
pub(super) async fn plan(
    head: &Head,
    body: Bytes,
    metrics: &Metrics,
    models: &dyn Ask,
    limits: Limits,
) -> Planned {
    let started = Instant::now();
    let router = &head.serving.router;
    let settings = &router.settings;
    let request = match read(head, body, metrics, limits.plan) {
        Ok(request) => request,
        Err(refusal) => return Planned::Respond(refusal),
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
    let routing = RoutingRequest {
        prompt: request.prompt(),
        more: request.more(),
        dialect: head.dialect,
        service: head.service,
        identity: &identity,
        hints: SessionHints::of(&router.sessions.policy.identity_headers, |name| {
            head.request.headers.get(name)
        }),
        observed: counts_usage(head),
        context: RequestContext {
            headers: head,
            previous_response,
        },
        models,
        deadline: limits.models,
        full: debug,
        traced: !head.span.span().is_none(),
        rewritable: head.request.rewritable,
    };
    let routed = async {
        match &back {
            Some(claims) => pipeline::route_call(router, claims, &routing).await,
            None => pipeline::route(router, &routing).await,
        }
    };
    let routed = routed.instrument(head.span.span().clone()).await;
    let routed_at = Instant::now();

    if back.is_none() {
        // What a call of a run says was read when its client's request was.
        for recipe in routed.reading.recipes() {
            head.serving.meters.recipe_read(metrics, recipe);
        }
    }
    record(&head.serving, metrics, &routed, &request.prompt().model);
    record_span(head, &routed.trace);
    let Routed {
        outcome,
        trace,
        reading,
    } = routed;
    let decided = Decided {
        outcome: &outcome,
        trace: &trace,
        reading,
        identity: &identity,
        is_own_call: back.is_some(),
        parse: parsed - started,
        route: routed_at - parsed,
    };
    noted::begin(head, &request, decided);
    let planned = execute(head, metrics, request, outcome, trace, identity, debug);
    metrics.stages(parsed - started, routed_at - parsed, routed_at.elapsed());
    planned
}

/// Reads a request's body.
fn read(
    head: &Head,
    body: Bytes,
    metrics: &Metrics,
    until: Option<Instant>,
) -> Result<Request, Immediate> {
    let settings = &head.serving.router.settings;
    let path = head.request.headers.get(":path").unwrap_or_default();
    let deployment = settings.paths.deployment(path);
    let asked = Asked {
        dialect: head.dialect,
        service: head.service,
        content_type: head.request.headers.get("content-type").unwrap_or_default(),
        model: deployment.as_deref(),
    };
    Request::read_until(&asked, body, &settings.reading, until).map_err(|refused| {
        // The protocol layer counts what came too late.
        if refused.kind != RefusedKind::Late {
            metrics.refused("", "invalid_request");
        }
        turn_down(head, refused.status, &refused.message)
    })
}

fn execute(
    head: &Head,
    metrics: &Metrics,
    request: Request,
    outcome: Outcome,
    trace: Arc<Trace>,
    identity: Identity,
    debug: bool,
) -> Planned {
    match outcome {
        Outcome::Forward(plan) => forward(head, &request, &plan, &trace, debug, metrics),
        Outcome::Escalate(escalation) => Planned::Run(Box::new(Ready {
            request,
            identity,
            trace,
            escalation: *escalation,
            debug,
        })),
        Outcome::Answer { message } => {
            let prompt = request.prompt();
            let model = trace.model.as_deref().unwrap_or(&prompt.model);
            let mut shown = surface(&trace, ResponsePath::FastResponse, debug);
            shown.extend(noted::id(head, &trace));
            Planned::Respond(immediate::fast_response(
                &message,
                model,
                (head.dialect, prompt.stream),
                &shown,
            ))
        }
        Outcome::Count { tokens, .. } => {
            let shown = surface(&trace, ResponsePath::Upstream, debug);
            Planned::Respond(immediate::count(tokens, &shown))
        }
        Outcome::Refuse(refusal) => {
            let said = Said {
                status: refusal.status,
                message: &refusal.message,
                code: refusal.code,
            };
            let mut answer = immediate::said(
                &said,
                Some(head.dialect),
                head.request.headers.get("x-request-id"),
            );
            if let Some(applied) = trace.applied_unknown() {
                immediate::show(&mut answer, &[applied]);
            }
            if let Some(id) = noted::id(head, &trace) {
                immediate::show(&mut answer, &[id]);
            }
            if debug {
                immediate::show(&mut answer, &trace.debug());
            }
            Planned::Respond(answer)
        }
    }
}

/// The request goes on to a model.
pub(super) fn forward(
    head: &Head,
    request: &Request,
    plan: &Forward,
    trace: &Trace,
    debug: bool,
    metrics: &Metrics,
) -> Planned {
    let settings = &head.serving.router.settings;
    let state = &head.serving.router.state;
    let path = match forward::path(settings, &head.request, plan) {
        Ok(path) => path,
        Err(message) => return Planned::Respond(turn_down(head, 400, message)),
    };
    let made = match make(request, plan) {
        Ok(made) => made,
        Err(refusal) => {
            metrics.refused(plan.model(), "untranslatable");
            return Planned::Respond(turn_down(head, refusal.status, &refusal.message));
        }
    };
    let carried = fallback::carried(request, plan, &made);
    let trace = match carried.lost {
        Some(reason) => {
            let trace = trace.without_fallback(reason);
            let span = head.span.span();
            span.record("routing.degraded", trace.degraded.join(","));
            Cow::Owned(trace)
        }
        None => Cow::Borrowed(trace),
    };
    let dispatch = dispatch(head, plan, &trace);
    let mut always = Trace::always(ResponsePath::Upstream).to_vec();
    always.extend(warnings(&made.losses).map(|value| (WARNINGS_HEADER, value)));
    always.extend(noted::id(head, &trace));
    let on_success = surface(&trace, ResponsePath::Upstream, debug);
    let shown: Vec<ReplyHeader> = always.iter().chain(&on_success).cloned().collect();
    let planned = [plan.headers(), &carried.headers].concat();
    let mut headers = forward::headers(
        &head.serving,
        &head.request,
        &planned,
        head.span.edits(),
        dispatch.id,
    );
    headers.extend(path);
    if plan.changes_response() {
        response::ask_for_plain_text(&mut headers);
    }
    let metadata = forward::metadata(&shown, dispatch.id, &headers);
    let reply = BodyReply {
        headers,
        body: made.body,
        clear_route_cache: settings.clear_route_cache,
        metadata,
        response: interest(head, plan),
    };
    let plan = ResponsePlan {
        dialect: head.dialect,
        model: dispatch.model.clone(),
        always,
        on_success,
        stages: made
            .answer
            .into_iter()
            .chain(plan.response().iter().cloned())
            .collect(),
        since: head.since,
        text_bytes: text_bytes(request),
        token_ratio: Arc::clone(&head.serving.router.token_ratio),
        sees_body: reply.response == ResponseInterest::Body,
        is_logged: head.serving.router.document.global.server.pool.access_log,
        state: Arc::clone(state),
        dispatch,
        chain: trace
            .session
            .as_ref()
            .and_then(|outcome| outcome.chain.clone())
            .filter(|_| plan.translation().is_none()),
        keeper: keeper(head, request, plan),
        entry: head.entry.clone().filter(|_| trace.replay.is_some()),
        tariff: Arc::clone(&head.serving.tariff),
        turn: turn(&trace),
    };
    Planned::Forward(Box::new(reply), Box::new(plan))
}

/// Returns what the pool, sessions and learning are told of a request that goes out now.
fn dispatch(head: &Head, plan: &Forward, trace: &Trace) -> Dispatch {
    Dispatch {
        id: noted::key(head, &head.serving.router.state),
        at: Instant::now(),
        model: Arc::clone(plan.model()),
        recipe: trace.recipe.clone(),
        decision: trace.decision.clone(),
        tier: trace.tier,
        session: trace.session.as_ref().and_then(|outcome| outcome.ticket),
        prompt_tokens: trace.context_tokens,
        learning: trace
            .learned
            .as_ref()
            .and_then(|learned| learned.record.clone()),
    }
}

/// Returns the domain of a session's turn; `None` outside of sessions.
fn turn(trace: &Trace) -> Option<Arc<str>> {
    let session = trace.session.as_ref()?;
    session.ticket?;
    Some(trace.category.clone().unwrap_or_default())
}

/// Returns who records the answer of a request that a provider keeps: a response, unless the client
/// forbids it, or a batch.
fn keeper(head: &Head, request: &Request, plan: &Forward) -> Option<Keeper> {
    let is_kept = match request.service() {
        // The ids of a translated answer are not the provider's.
        None if plan.translation().is_some() => false,
        None => {
            head.dialect == Dialect::OpenAiResponses && request.member("store") != Some("false")
        }
        Some(service) => service == Service::MessageBatches,
    };
    let router = &head.serving.router;
    let policy = &router.sessions.policy;
    is_kept.then(|| {
        let hints = SessionHints::of(&policy.identity_headers, |name| {
            head.request.headers.get(name)
        });
        let identity = identity::of(&head.request, &router.settings);
        let principal = policy.keyer.principal(&identity, &hints);
        Keeper::new(&policy.keyer, principal, plan.model())
    })
}

impl Headers for Head {
    fn value(&self, name: &str) -> Option<&str> {
        self.request.headers.get(name)
    }
}

/// Only text that was counted as text can teach how many bytes a token of text has.
fn text_bytes(request: &Request) -> u64 {
    let facts = &request.prompt().tokens;
    let is_counted = matches!(request.service(), None | Some(Service::Completions));
    if is_counted && facts.images == 0 && facts.attached == 0 && facts.structured_bytes == 0 {
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
    if plan.changes_response() {
        return ResponseInterest::Body;
    }
    let interest = match head.serving.router.settings.profile {
        Profile::Route => ResponseInterest::Nothing,
        Profile::Auto => head.request.offer,
        Profile::Observe => head.request.offer.max(ResponseInterest::Headers),
    };
    match head.service {
        None | Some(Service::Completions | Service::Compact | Service::MessageBatches) => interest,
        // Vectors, pictures and sounds are large, and say nothing that is counted.
        Some(_) => interest.min(ResponseInterest::Headers),
    }
}

/// Headers that tell what was decided.
pub(super) fn surface(trace: &Trace, path: ResponsePath, debug: bool) -> Vec<ReplyHeader> {
    let mut headers = trace.routing(path);
    if debug {
        headers.extend(trace.debug());
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
fn record(serving: &Generation, metrics: &Metrics, routed: &Routed<'_>, asked: &str) {
    let trace = &routed.trace;
    trace
        .verdict
        .names()
        .for_each(|name| metrics.boundaries.applied(name));
    metrics.session(trace);
    if trace.context_tokens > 0 {
        metrics.context_tokens(trace.context_tokens);
    }
    match &routed.outcome {
        Outcome::Forward(plan) => {
            response::count_dropped(plan, metrics);
            serving.meters.forwarded(metrics, trace);
            // What clients write is no label, unless the document knows it.
            let listed = serving.router.names.listed().iter();
            let mut named = listed.chain(serving.router.names.unlisted());
            let asked = named.find(|line| line.id == asked).map(|line| &*line.id);
            metrics.sent_to(plan.model(), asked, trace.recipe.is_some());
        }
        Outcome::Answer { .. } => metrics.answered(trace),
        // Counted when it is over.
        Outcome::Escalate(_) => {}
        // It is no use of the model.
        Outcome::Count { .. } => {}
        Outcome::Refuse(refusal) => {
            let reason = match &trace.refused_by {
                Some(Barrier::Boundary(name)) => {
                    metrics.boundaries.refused(name);
                    "boundary"
                }
                Some(Barrier::ContextWindow { .. }) => CONTEXT_LENGTH_EXCEEDED,
                Some(Barrier::OutputLimit { .. }) => MAX_OUTPUT_TOKENS_EXCEEDED,
                Some(Barrier::Ability(_) | Barrier::Capability(_)) => "ability",
                Some(Barrier::Wire(_)) => "untranslatable",
                Some(Barrier::UnknownLimits | Barrier::Mixed | Barrier::TooFew { .. }) => {
                    "requirements"
                }
                Some(Barrier::Resting) | None if refusal.status == 403 => "forbidden",
                Some(Barrier::Resting) | None => "unroutable",
            };
            metrics.refused(trace.model.as_deref().unwrap_or_default(), reason);
        }
    }
}

/// Puts the result on the request's span.
fn record_span(head: &Head, trace: &Trace) {
    let span = head.span.span();
    let fields = [
        ("routing.recipe", trace.recipe.as_deref()),
        ("routing.decision", trace.decision.as_deref()),
        ("routing.model", trace.model.as_deref()),
        ("routing.algorithm", trace.algorithm),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            span.record(field, value);
        }
    }
    if !trace.verdict.is_free() {
        span.record("routing.boundaries", trace.boundaries());
    }
    if !trace.dropped.is_empty() {
        span.record("routing.dropped", trace.dropped());
    }
    if !trace.degraded.is_empty() {
        span.record("routing.degraded", trace.degraded.join(","));
    }
    if !span.is_none() && !trace.forecasts.is_empty() {
        let forecasts: Vec<String> = trace.forecasts.iter().map(ToString::to_string).collect();
        span.record("routing.forecast", forecasts.join("\n"));
    }
}
