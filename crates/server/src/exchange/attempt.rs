//! The gateway tries another model: the request was planned for one model, and is now made fit for
//! the next.
//!
//! Such a stream comes from a filter of an upstream attempt. What its headers say was written by
//! Merit, when the request was planned, and by the gateway's own configuration; clients' copies
//! were removed before.

use super::{forward, immediate};
use crate::engine::Generation;
use crate::metrics::Metrics;
use crate::reload::Loaded;
use bytes::Bytes;
use dialects::{Asked, Dialect, Endpoint};
use extproc::{BodyReply, BodyStep, HeadStep, Immediate, RequestHead};
use router::pipeline::fallback::{
    ATTEMPT, Attempt, BODY, BOUNDARIES, DECISION, DISPATCH, HEADERS, MODEL, RECIPE,
    attempt as plan_attempt, restored,
};
use router::plan::{Refusal, body};
use selection::served::Served;
use std::sync::Arc;

/// An attempt whose body is awaited.
pub(super) struct Attempting {
    serving: Arc<Loaded<Generation>>,
    dialect: Dialect,
    request: RequestHead,
}

/// What an attempt's headers come to: the first one is left as it is.
pub(super) fn open(
    serving: Arc<Loaded<Generation>>,
    request: RequestHead,
) -> Result<Attempting, HeadStep> {
    let headers = &request.headers;
    let planned = serving
        .router
        .settings
        .routing_headers
        .first()
        .and_then(|name| headers.get(name));
    let at = headers.get(ATTEMPT);
    if at.is_some() && at == planned {
        return Err(HeadStep::Forward(BodyReply::default()));
    }
    let endpoint = serving.router.settings.paths.endpoint(
        headers.get(":method").unwrap_or_default(),
        headers.get(":path").unwrap_or_default(),
    );
    match endpoint {
        // The path may be the failed model's own, which only chat completions have.
        _ if at.is_none() || at != headers.get(MODEL) => Err(HeadStep::Respond(refuse(
            &request,
            &Refusal::new(503, "no attempt is planned at this model"),
        ))),
        Endpoint::Inference(dialect) => Ok(Attempting {
            serving,
            dialect,
            request,
        }),
        _ => Ok(Attempting {
            serving,
            dialect: Dialect::OpenAiChat,
            request,
        }),
    }
}

fn refuse(request: &RequestHead, refusal: &Refusal) -> Immediate {
    let id = request.headers.get("x-request-id");
    immediate::refusal(
        refusal.status,
        &refusal.message,
        immediate::wire(request),
        id,
    )
}

impl Attempting {
    /// Makes the request fit for the next model.
    pub(super) fn body(&self, bytes: Bytes, metrics: &Metrics) -> BodyStep {
        let header = |name: &str| self.request.headers.get(name).unwrap_or_default();
        let router = &self.serving.router;
        if let Ok(dispatch) = header(DISPATCH).parse() {
            // Why it failed is the gateway's knowledge; that it did is enough for a model to be
            // rested.
            router.state.end(
                dispatch,
                &Served {
                    status: 503,
                    ..Served::default()
                },
            );
        }
        let from = router
            .settings
            .routing_headers
            .first()
            .map_or("", |name| header(name));
        let attempt = Attempt {
            recipe: header(RECIPE),
            decision: header(DECISION),
            boundaries: self.request.headers.get(BOUNDARIES),
            headers: self.request.headers.get(HEADERS),
            from,
            to: header(MODEL),
        };
        let settings = &router.settings;
        let deployment = settings.paths.deployment(header(":path"));
        let asked = Asked {
            model: deployment.as_deref(),
            ..Asked::conversation(self.dialect)
        };
        let before = self.request.headers.get(BODY);
        let made = restored(&asked, bytes, before, &settings.reading).and_then(|request| {
            let plan = plan_attempt(router, attempt, request.prompt(), self.dialect)?;
            let path = forward::deployment(settings, &self.request, &plan);
            let path = path.map_err(|message| Refusal::new(400, message))?;
            let body = body::apply(&request, plan.body());
            Ok((body.unwrap_or_else(|| request.body().clone()), plan, path))
        });
        match made {
            Ok((body, plan, path)) => {
                metrics.looper.attempted(attempt.to, "sent");
                let mut headers = forward::merged(Vec::new(), plan.headers());
                headers.extend(path);
                BodyStep::Forward(BodyReply {
                    headers,
                    body: Some(body),
                    ..BodyReply::default()
                })
            }
            Err(refusal) => {
                metrics.looper.attempted("", "refused");
                BodyStep::Respond(refuse(&self.request, &refusal))
            }
        }
    }
}
