//! The response's way: reply headers where the gateway shows us the response, usage where it shows
//! us the body.

use super::sent::Sent;
use crate::metrics::Metrics;
use bytes::Bytes;
use dialects::{BodyKind, Dialect, Usage, UsageReader};
use extproc::{HeaderEdit, HeaderEdits, ResponseHead};
use http::HeaderValue;
use router::card::Tokens;
use router::dispatch::Dispatch;
use router::plan::surface::ReplyHeader;
use router::served::Served;
use router::session::Chain;
use router::shared_state::SharedState;
use router::signals::TokenRatio;
use std::sync::Arc;
use std::time::Instant;

/// What the response's way needs of a plan. Independent of the generation that made it.
pub(super) struct ResponsePlan {
    /// The wire.
    pub(super) dialect: Dialect,
    /// The model as the policy names it; metric label.
    pub(super) model: Arc<str>,
    /// Headers whatever the status.
    pub(super) always: Vec<ReplyHeader>,
    /// Headers of a 2xx reply.
    pub(super) on_success: Vec<ReplyHeader>,
    /// When the request came.
    pub(super) since: Instant,
    /// Bytes of a request that is text alone, whose tokens teach the estimate of others; 0
    /// otherwise.
    pub(super) text_bytes: u64,
    /// What is taught.
    pub(super) token_ratio: Arc<TokenRatio>,
    /// The response's body will pass by.
    pub(super) sees_body: bool,
    /// Envoy's access log will tell how the request ended.
    pub(super) is_logged: bool,
    /// Where it is kept that the request is under way.
    pub(super) state: Arc<SharedState>,
    /// The request that goes out.
    pub(super) dispatch: Dispatch,
    /// How a later request finds this one's session by the response's id.
    pub(super) chain: Option<Chain>,
}

/// A response passing by.
pub(super) struct Responding {
    plan: ResponsePlan,
    metrics: Arc<Metrics>,
    sent: Sent,
    served: Served,
    usage: Option<UsageReader>,
    first_token: bool,
}

impl Responding {
    /// The request goes out.
    pub(super) fn new(plan: ResponsePlan, metrics: Arc<Metrics>) -> Self {
        let sent = Sent::begin(&plan.state, plan.dispatch.clone(), plan.is_logged);
        Self {
            plan,
            metrics,
            sent,
            served: Served::default(),
            usage: None,
            first_token: false,
        }
    }

    /// The request did not go out after all.
    pub(super) fn withdraw(&mut self) {
        self.sent.withdraw();
    }

    /// Notes the status and gives the reply headers.
    pub(super) fn headers(&mut self, head: &ResponseHead) -> HeaderEdits {
        let status = head.headers.get(":status").unwrap_or_default();
        let success = status.starts_with('2');
        self.served.status = status.parse().unwrap_or(0);
        if success {
            let kind = BodyKind::of(head.headers.get("content-type").unwrap_or_default());
            self.usage = Some(UsageReader::new(self.plan.dialect, kind));
            self.first_token = kind == BodyKind::EventStream;
            self.served.streamed = self.first_token && self.plan.sees_body;
            if !self.served.streamed {
                self.served.first_token = Some(self.sent.elapsed());
            }
            if kind == BodyKind::Json {
                self.metrics
                    .first_token(&self.plan.model, self.plan.since.elapsed());
            }
        } else {
            self.metrics.refused(&self.plan.model, "upstream_status");
        }
        if head.end_of_stream {
            self.finish(true);
        }
        let facts = if success {
            self.plan.on_success.as_slice()
        } else {
            &[]
        };
        let all = self
            .plan
            .always
            .iter()
            .chain(facts)
            .filter(|(_, value)| HeaderValue::from_str(value).is_ok());
        all.map(|(name, value)| HeaderEdit::Set((*name).to_owned(), value.clone().into()))
            .collect()
    }

    /// Reads a piece of the body.
    pub(super) fn chunk(&mut self, chunk: &Bytes, end: bool) {
        if let Some(usage) = &mut self.usage {
            usage.push(chunk);
            if self.first_token && usage.content_started() {
                self.first_token = false;
                self.served.first_token = Some(self.sent.elapsed());
                self.metrics
                    .first_token(&self.plan.model, self.plan.since.elapsed());
            }
        }
        if end {
            self.finish(true);
        }
    }

    /// The stream is over; a body that was cut still counts with what it reported.
    pub(super) fn closed(&mut self) {
        self.finish(false);
    }

    /// `whole`: the body's end was seen.
    fn finish(&mut self, whole: bool) {
        let mut response_id = None;
        if let Some(usage) = self.usage.take() {
            let outcome = usage.finish();
            response_id = outcome.response_id;
            if let Some(usage) = outcome.usage {
                self.metrics
                    .tokens(&self.plan.model, usage.prompt, usage.completion);
                self.plan
                    .token_ratio
                    .learn(self.plan.text_bytes, usage.prompt);
                self.served.tokens = Some(tokens(usage));
            }
            if outcome.error.is_some() {
                self.metrics
                    .refused(&self.plan.model, "upstream_stream_error");
                self.served.cut = true;
            }
        }
        let answered = self.served.status != 0;
        if whole {
            self.served.total = Some(self.sent.elapsed());
            self.sent.ended(&self.served);
        } else if answered && self.plan.sees_body {
            self.sent.broke_off(&self.served);
        } else if answered {
            self.sent.began(&self.served);
        }
        // After the answer was counted, so that the session goes on with its bill.
        if let (Some(chain), Some(id)) = (&self.plan.chain, response_id) {
            chain.goes_on(&self.plan.state.sessions, &id);
        }
    }
}

fn tokens(usage: Usage) -> Tokens {
    Tokens {
        prompt: usage.prompt,
        cached: usage.cached.unwrap_or(0),
        written: usage.cache_write.unwrap_or(0),
        completion: usage.completion,
    }
}
