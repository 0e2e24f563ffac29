//! The response's way: reply headers where the gateway shows us the response, usage where it shows
//! us the body, and the stages that the plan lists.

use super::forward::NAMESPACE;
use super::sent::Sent;
use crate::metrics::Metrics;
use crate::metrics::usage::Answered;
use crate::recording::tariff::Tariff;
use crate::recording::{End, Ended, Entry};
use bytes::Bytes;
use conversation::dispatch::Dispatch;
use conversation::objects::Keeper;
use conversation::session::Chain;
use conversation::shared_state::SharedState;
use dialects::{BodyKind, Dialect, Usage, refusal};
use extproc::{ChunkStep, HeaderEdit, HeaderEdits, ResponseHead, ResponseStep};
use http::HeaderValue;
use records::record::Tokens;
use router::plan::Forward;
use router::plan::surface::ReplyHeader;
use router::response::{BodyHead, Chunk, Response, ResponseStage};
use selection::served::Served;
use signals::families::TokenRatio;
use std::sync::Arc;
use std::time::Instant;

/// The header that names the model.
const MODEL: &str = "x-vsr-selected-model";

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
    /// What a 2xx reply needs.
    pub(super) stages: Vec<ResponseStage>,
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
    /// Records that the provider keeps what the answer brings.
    pub(super) keeper: Option<Keeper>,
    /// The request's record, if it is kept.
    pub(super) entry: Option<Arc<Entry>>,
    /// What models cost.
    pub(super) tariff: Arc<Tariff>,
    /// The domain of the session's turn, maybe empty; `None` outside of sessions.
    pub(super) turn: Option<Arc<str>>,
}

/// Asks the backend for an answer that stages can read.
pub(super) fn ask_for_plain_text(edits: &mut HeaderEdits) {
    const NAME: &str = "accept-encoding";
    edits.retain(|edit| match edit {
        HeaderEdit::Set(name, _) | HeaderEdit::Remove(name) => name != NAME,
    });
    edits.push(HeaderEdit::Set(NAME.to_owned(), "identity".into()));
}

/// Counts the stages of a plan that cannot run: the gateway takes no other body than the backend's.
pub(super) fn count_dropped(plan: &Forward, metrics: &Metrics) {
    for _ in plan.dropped_response() {
        metrics.signals.degrade("response", "not_rewritable");
    }
}

/// A response passing by.
pub(super) struct Responding {
    plan: ResponsePlan,
    metrics: Arc<Metrics>,
    sent: Sent,
    served: Served,
    response: Option<Response>,
    first_token: bool,
    /// The model that answers, where a second attempt has said another one.
    answered_by: Option<Arc<str>>,
}

impl Responding {
    /// The request goes out.
    pub(super) fn new(plan: ResponsePlan, metrics: Arc<Metrics>) -> Self {
        let sent = Sent::begin(&plan.state, plan.dispatch.clone(), plan.is_logged);
        if let Some(entry) = &plan.entry {
            entry.sent(plan.is_logged);
        }
        Self {
            plan,
            metrics,
            sent,
            served: Served::default(),
            response: None,
            first_token: false,
            answered_by: None,
        }
    }

    /// The request did not go out after all.
    pub(super) fn withdraw(&mut self) {
        self.sent.withdraw();
        if let Some(entry) = &self.plan.entry {
            entry.withdraw();
        }
    }

    /// Notes the status and gives the reply headers.
    pub(super) fn headers(&mut self, head: &ResponseHead) -> ResponseStep {
        self.answered_by = answered_by(MODEL, head)
            .filter(|model| **model != *self.plan.model)
            .map(Arc::from);
        let status = head.headers.get(":status").unwrap_or_default();
        let success = status.starts_with('2');
        self.served.status = status.parse().unwrap_or(0);
        if success {
            self.succeeds(head);
        } else {
            self.fails(head);
        }

        let mut own = HeaderEdits::new();
        let (mut rewrites, mut unread) = (false, None);
        if let Some(response) = &self.response {
            (rewrites, unread) = (response.rewrites(), response.unread());
            own = self.edits(response, head.end_of_stream);
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
        let mut headers: HeaderEdits = all
            .map(|(name, value)| {
                let value = answered_by(name, head).unwrap_or(value);
                HeaderEdit::Set((*name).to_owned(), value.to_owned().into())
            })
            .collect();
        headers.append(&mut own);
        if let Some(reason) = unread {
            add_degraded(&mut headers, reason);
        }
        ResponseStep { headers, rewrites }
    }

    /// Begins an answer.
    fn succeeds(&mut self, head: &ResponseHead) {
        let body = body_head(head);
        let response = Response::begin(self.plan.dialect, body, &self.plan.stages);
        self.response = Some(response);
        let kind = BodyKind::of(body.content_type);
        self.first_token = kind == BodyKind::EventStream;
        self.served.streamed = self.first_token && self.plan.sees_body;
        if !self.served.streamed {
            self.served.first_token = Some(self.sent.elapsed());
        }
        if kind == BodyKind::Json {
            self.metrics
                .first_token(&self.plan.model, self.plan.since.elapsed());
        }
    }

    /// Begins an error.
    fn fails(&mut self, head: &ResponseHead) {
        self.metrics.refused(&self.plan.model, "upstream_status");
        let request_id = ["request-id", "x-request-id"]
            .iter()
            .find_map(|name| head.headers.get(name));
        let (status, body) = (self.served.status, body_head(head));
        self.response = Response::begin_error(status, request_id, body, &self.plan.stages);
    }

    /// Returns what the head says otherwise where the body becomes another one; `is_empty` tells
    /// that there is none.
    fn edits(&self, response: &Response, is_empty: bool) -> HeaderEdits {
        let set = |name: &str, value: String| HeaderEdit::Set(name.to_owned(), value.into());
        let mut edits = HeaderEdits::new();
        if let Some(status) = response.status() {
            self.metrics
                .refused(&self.plan.model, "upstream_untranslatable");
            edits.push(set(":status", status.to_string()));
        }
        if response.becomes_json() && !is_empty {
            edits.push(set("content-type", refusal::CONTENT_TYPE.to_owned()));
        }
        if response.decodes() {
            edits.push(HeaderEdit::Remove("content-encoding".to_owned()));
        }
        edits
    }

    /// Reads a piece of the body, and says what becomes of it.
    pub(super) fn chunk(&mut self, chunk: &Bytes, end: bool) -> ChunkStep {
        let mut step = ChunkStep::Unchanged;
        if let Some(response) = &mut self.response {
            step = match response.chunk(chunk, end) {
                Chunk::Unchanged => ChunkStep::Unchanged,
                Chunk::Replaced(new) => ChunkStep::Replaced(new),
                Chunk::Broken => ChunkStep::Broken,
            };
            if self.first_token && response.content_started() {
                self.first_token = false;
                self.served.first_token = Some(self.sent.elapsed());
                self.metrics
                    .first_token(&self.plan.model, self.plan.since.elapsed());
            }
        } else if self.served.status == 0 && !self.plan.stages.is_empty() {
            // The gateway shows the body but not the headers, which may have left. What is on another
            // wire than the client's must not reach it.
            let is_foreign =
                |stage: &ResponseStage| matches!(stage, ResponseStage::Translate { .. });
            if self.plan.stages.iter().any(is_foreign) {
                step = ChunkStep::Broken;
            }
            self.plan.stages.retain(is_foreign);
            self.metrics
                .signals
                .degrade("response", "headers_not_shown");
        }
        if end {
            self.finish(true);
        }
        step
    }

    /// The stream is over; a body that was cut still counts with what it reported.
    pub(super) fn closed(&mut self) {
        self.finish(false);
    }

    /// `whole`: the body's end was seen.
    fn finish(&mut self, whole: bool) {
        let (mut response_id, mut usage, mut failed) = (None, None, false);
        let mut degraded = Vec::new();
        if let Some(response) = self.response.take() {
            if let Some(reason) = response.unread() {
                self.metrics.signals.degrade("response", reason);
                degraded.push(reason);
            }
            let outcome = response.into_outcome();
            if outcome.has_odd_usage {
                self.metrics.signals.degrade("response", "odd_usage");
                degraded.push("odd_usage");
            }
            response_id = outcome.response_id;
            usage = outcome.usage;
            failed = outcome.error.is_some();
            if let Some(usage) = outcome.usage {
                self.used(usage);
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
        if whole && !failed {
            self.completed(usage);
        }
        self.record(whole, failed, usage, degraded);
        // After the answer was counted, so that the session goes on with its bill.
        if let Some(id) = response_id {
            if let Some(chain) = &self.plan.chain {
                chain.goes_on(&self.plan.state.sessions, &id);
            }
            if let Some(keeper) = &self.plan.keeper {
                keeper.keep(&self.plan.state.objects, &id);
            }
        }
    }

    /// Returns the model that answers.
    fn model(&self) -> &Arc<str> {
        self.answered_by.as_ref().unwrap_or(&self.plan.model)
    }

    /// Counts what the answer used and cost.
    fn used(&self, usage: Usage) {
        let model = self.model();
        let tokens = Tokens {
            input: usage.prompt,
            cached_input: usage.cached.unwrap_or_default(),
            cache_write: usage.cache_write.unwrap_or_default(),
            output: usage.completion,
            reasoning: usage.reasoning.unwrap_or_default(),
            estimated: false,
        };
        let cost = self.plan.tariff.cost(model, &tokens);
        self.metrics.used(Answered {
            model,
            usage,
            cost: cost.as_ref(),
            turn: self.plan.turn.as_deref(),
        });
    }

    /// Counts how long a successful answer took; its first token is left out of the time of the others.
    fn completed(&self, usage: Option<Usage>) {
        let is_success = (200..300).contains(&self.served.status);
        let Some(total) = self.served.total.filter(|_| is_success) else {
            return;
        };
        let streamed = usage.filter(|usage| self.served.streamed && usage.completion > 1);
        let per_token = streamed.and_then(|usage| {
            let rest = total.checked_sub(self.served.first_token?)?;
            rest.checked_div(u32::try_from(usage.completion - 1).ok()?)
        });
        self.metrics
            .completed(self.model(), self.plan.since.elapsed(), per_token);
    }

    /// Tells the request's record what is known of the answer.
    fn record(&self, whole: bool, failed: bool, usage: Option<Usage>, degraded: Vec<&'static str>) {
        let Some(entry) = &self.plan.entry else {
            return;
        };
        let end = match (whole, self.plan.sees_body) {
            _ if failed => End::FailedInStream,
            (true, _) => End::Complete,
            (false, true) => End::Cut,
            (false, false) => End::Unseen,
        };
        let ended = Ended {
            usage,
            first_token: self.served.first_token,
            total: self.served.total,
            streamed: self.served.streamed,
            degraded,
            model: self.answered_by.clone(),
            ..Ended::with_status(end, self.served.status)
        };
        if whole || (ended.status != 0 && !self.plan.is_logged) {
            entry.end(ended);
        } else if ended.status != 0 {
            entry.part(ended);
        }
    }
}

fn body_head(head: &ResponseHead) -> BodyHead<'_> {
    BodyHead {
        content_type: head.headers.get("content-type").unwrap_or_default(),
        content_encoding: head.headers.get("content-encoding").unwrap_or_default(),
    }
}

/// Returns the model that a reply names where a second attempt has said another one.
fn answered_by<'a>(name: &str, head: &'a ResponseHead) -> Option<&'a str> {
    let metadata = head.metadata.get(NAMESPACE).filter(|_| name == MODEL)?;
    metadata.get(MODEL)?.as_str()
}

/// Says among what else was degraded that the stages could not read the response.
fn add_degraded(headers: &mut HeaderEdits, reason: &str) {
    const NAME: &str = "x-merit-degraded";
    let note = format!("response={reason}");
    let said = headers.iter_mut().find_map(|edit| match edit {
        HeaderEdit::Set(name, value) if name == NAME => Some(value),
        _ => None,
    });
    match said {
        Some(value) => *value = [value.as_ref(), b",", note.as_bytes()].concat().into(),
        None => headers.push(HeaderEdit::Set(NAME.to_owned(), note.into())),
    }
}

fn tokens(usage: Usage) -> selection::card::Tokens {
    selection::card::Tokens {
        prompt: usage.prompt,
        cached: usage.cached.unwrap_or(0),
        written: usage.cache_write.unwrap_or(0),
        completion: usage.completion,
    }
}
