//! The response's way: reply headers where the gateway shows us the response, usage where it shows us the body.

use crate::metrics::Metrics;
use bytes::Bytes;
use dialects::{BodyKind, Dialect, UsageReader};
use extproc::{HeaderEdit, HeaderEdits, ResponseHead};
use http::HeaderValue;
use router::plan::surface::ReplyHeader;
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
    /// Bytes of a request that is text alone, whose tokens teach the estimate of others; 0 otherwise.
    pub(super) text_bytes: u64,
    /// What is taught.
    pub(super) token_ratio: Arc<TokenRatio>,
}

/// A response passing by.
pub(super) struct Responding {
    plan: ResponsePlan,
    metrics: Arc<Metrics>,
    usage: Option<UsageReader>,
    first_token: bool,
}

impl Responding {
    pub(super) fn new(plan: ResponsePlan, metrics: Arc<Metrics>) -> Self {
        Self { plan, metrics, usage: None, first_token: false }
    }

    /// Notes the status and gives the reply headers.
    pub(super) fn headers(&mut self, head: &ResponseHead) -> HeaderEdits {
        let success = head.headers.get(":status").is_some_and(|status| status.starts_with('2'));
        if success {
            let kind = BodyKind::of(head.headers.get("content-type").unwrap_or_default());
            self.usage = Some(UsageReader::new(self.plan.dialect, kind));
            self.first_token = kind == BodyKind::EventStream;
            if kind == BodyKind::Json {
                self.metrics.first_token(&self.plan.model, self.plan.since.elapsed());
            }
        } else {
            self.metrics.refused(&self.plan.model, "upstream_status");
        }
        let facts = if success { self.plan.on_success.as_slice() } else { &[] };
        let all = self.plan.always.iter().chain(facts).filter(|(_, value)| HeaderValue::from_str(value).is_ok());
        all.map(|(name, value)| HeaderEdit::Set((*name).to_owned(), value.clone().into())).collect()
    }

    /// Reads a piece of the body.
    pub(super) fn chunk(&mut self, chunk: &Bytes, end: bool) {
        let Some(usage) = &mut self.usage else { return };
        usage.push(chunk);
        if self.first_token && usage.content_started() {
            self.first_token = false;
            self.metrics.first_token(&self.plan.model, self.plan.since.elapsed());
        }
        if end {
            self.finish();
        }
    }

    /// The stream is over; a body that was cut still counts with what it reported.
    pub(super) fn closed(&mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        let Some(usage) = self.usage.take() else { return };
        let outcome = usage.finish();
        if let Some(usage) = outcome.usage {
            self.metrics.tokens(&self.plan.model, usage.prompt, usage.completion);
            self.plan.token_ratio.learn(self.plan.text_bytes, usage.prompt);
        }
        if outcome.error.is_some() {
            self.metrics.refused(&self.plan.model, "upstream_stream_error");
        }
    }
}
