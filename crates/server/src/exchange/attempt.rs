//! The gateway tries another model: the request was planned for one model, and is now made fit for
//! the next.
//!
//! Such a stream comes from a filter of an upstream attempt. What its headers say was written by
//! Merit, when the request was planned, and by the gateway's own configuration; clients' copies
//! were removed before.

use super::forward::{FALLBACK, NAMESPACE};
use super::{forward, immediate};
use crate::engine::Generation;
use crate::metrics::Metrics;
use crate::recording::Recording;
use crate::reload::Loaded;
use bytes::Bytes;
use dialects::{Asked, Dialect, Endpoint, Service};
use extproc::{
    BodyReply, BodyStep, HeadStep, HeaderEdit, HeaderEdits, Immediate, Metadata, RequestHead,
};
use router::pipeline::fallback::{
    ATTEMPT, Attempt, BODY, BOUNDARIES, DECISION, DISPATCH, HEADERS, MODEL, OWN, RECIPE,
    attempt as plan_attempt, restored,
};
use router::plan::{Refusal, body};
use selection::served::Served;
use serde_json::{Value, json};
use std::sync::Arc;

/// An attempt whose body is awaited.
pub(super) struct Attempting {
    serving: Arc<Loaded<Generation>>,
    dialect: Dialect,
    /// The endpoint, where it is not that of conversations.
    service: Option<Service>,
    request: RequestHead,
}

/// What an attempt's headers come to: the first one is left as it is.
pub(super) fn open(
    serving: Arc<Loaded<Generation>>,
    request: RequestHead,
) -> Result<Attempting, HeadStep> {
    let told = Told(&request);
    let headers = &request.headers;
    let planned = serving
        .router
        .settings
        .routing_headers
        .first()
        .and_then(|name| headers.get(name));
    let at = headers.get(ATTEMPT);
    if at.is_some() && at == planned {
        return Err(HeadStep::Forward(BodyReply {
            headers: told.stripped(),
            ..BodyReply::default()
        }));
    }
    let endpoint = serving.router.settings.paths.endpoint(
        headers.get(":method").unwrap_or_default(),
        headers.get(":path").unwrap_or_default(),
    );
    match endpoint {
        // The path may be the failed model's own, which only chat completions have.
        _ if at.is_none() || at != told.get(MODEL) => Err(HeadStep::Respond(refuse(
            &request,
            &Refusal::new(503, "no attempt is planned at this model"),
        ))),
        Endpoint::Service(service) => Ok(Attempting {
            serving,
            dialect: service.dialect(),
            service: Some(service),
            request,
        }),
        Endpoint::Inference(dialect) => Ok(Attempting {
            serving,
            dialect,
            service: None,
            request,
        }),
        _ => Ok(Attempting {
            serving,
            dialect: Dialect::OpenAiChat,
            service: None,
            request,
        }),
    }
}

/// What Merit told of a second attempt when the request was planned: in the request's dynamic
/// metadata where the gateway forwards it, in headers elsewhere.
struct Told<'a>(&'a RequestHead);

impl<'a> Told<'a> {
    fn metadata(&self) -> Option<&'a Value> {
        self.0.metadata.get(NAMESPACE)?.get(FALLBACK)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        match self.metadata() {
            Some(told) => told.get(name).and_then(Value::as_str),
            None => self.0.headers.get(name),
        }
    }

    /// Takes the headers off that no backend need see, unless the next attempt needs them: the
    /// gateway keeps what is changed for one attempt.
    fn stripped(&self) -> HeaderEdits {
        let sent = |name: &&str| self.metadata().is_some() && self.0.headers.get(name).is_some();
        let removed = OWN.into_iter().filter(sent);
        removed
            .map(|name| HeaderEdit::Remove(name.to_owned()))
            .collect()
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
    pub(super) fn body(
        &self,
        bytes: Bytes,
        metrics: &Metrics,
        recording: Option<&Recording>,
    ) -> BodyStep {
        let header = |name: &str| self.request.headers.get(name).unwrap_or_default();
        let told = Told(&self.request);
        let said = |name: &str| told.get(name).unwrap_or_default();
        let router = &self.serving.router;
        if let Ok(dispatch) = said(DISPATCH).parse() {
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
            recipe: said(RECIPE),
            decision: said(DECISION),
            boundaries: told.get(BOUNDARIES),
            headers: told.get(HEADERS),
            from,
            to: said(MODEL),
        };
        let settings = &router.settings;
        let deployment = settings.paths.deployment(header(":path"));
        let asked = Asked {
            dialect: self.dialect,
            service: self.service,
            content_type: header("content-type"),
            model: deployment.as_deref(),
        };
        let before = told.get(BODY);
        let made = restored(&asked, bytes, before, &settings.reading).and_then(|request| {
            let plan = plan_attempt(router, attempt, request.prompt(), &asked)?;
            let path = forward::path(settings, &self.request, &plan);
            let path = path.map_err(|message| Refusal::new(400, message))?;
            let body = body::apply(&request, plan.body());
            Ok((body.unwrap_or_else(|| request.body().clone()), plan, path))
        });
        match made {
            Ok((body, plan, path)) => {
                metrics.looper.attempted(attempt.to, "sent");
                if let (Some(recording), Ok(dispatch)) = (recording, said(DISPATCH).parse()) {
                    recording.attempted(dispatch, attempt.to);
                }
                let mut headers = forward::merged(Vec::new(), plan.headers());
                headers.extend(path);
                // Replies name the model that answers.
                let model = json!({"x-vsr-selected-model": attempt.to});
                BodyStep::Forward(BodyReply {
                    headers,
                    body: Some(body),
                    metadata: Metadata::from([(NAMESPACE.to_owned(), model)]),
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
