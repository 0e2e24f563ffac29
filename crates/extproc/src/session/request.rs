//! The request's half of a session: collect the body if it is needed, decide, say so in the form of
//! the mode.

use super::Session;
use crate::body::{self, Collector, Limits};
use crate::budget::Lease;
use crate::exchange::{BodyReply, BodyStep, Fault, HeadStep, HeaderEdit, RequestHead};
use crate::frame::Piece;
use crate::options::BodyMode;
use crate::reply::{self, Side};
use bytes::Bytes;
use compression::{Coding, UnknownCoding};
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use futures_util::Stream;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How far a request has come.
pub(super) enum Request {
    /// Nothing of it has come.
    Start,
    /// Its body is being collected.
    Collecting(Box<Collecting>),
    /// Its headers went on; what follows goes on unchanged.
    Passing,
    /// All of it has gone on.
    Decided,
}

impl Request {
    /// When a body that is being collected will have been too slow.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Collecting(collecting) => collecting.collector.due(),
            _ => None,
        }
    }

    /// Cancelled when a body that is being collected has to make room for others.
    pub(super) fn displaced(&self) -> Option<CancellationToken> {
        match self {
            Self::Collecting(collecting) => Some(collecting.collector.displaced().clone()),
            _ => None,
        }
    }
}

pub(super) struct Collecting {
    collector: Collector,
    /// How the body is coded, the coding that was applied first at first.
    codings: Vec<Coding>,
    /// The decision, where it was made from the headers and brings a new body.
    made: Option<BodyReply>,
}

/// What a decision that takes its time came to.
enum Waited {
    Step(BodyStep),
    Late,
    Stopped,
}

/// The frame that completed a request, and with it the form of the replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completion {
    /// Headers without a body.
    Headers,
    /// A body, or the last piece of one.
    Body,
    /// Trailers.
    Trailers,
}

impl<S> Session<S>
where
    S: Stream<Item = Result<ProcessingRequest, Status>> + Send + Unpin,
{
    pub(super) async fn request_headers(&mut self, mut head: RequestHead) {
        head.offer = self.modes.offer();
        head.rewritable = self.modes.rewrites();
        head.unhurried = self.modes.request == BodyMode::FullDuplex;
        head.attempt = self.admission.attempt;
        if self.admission.overloaded {
            self.shared.counters.fault(Fault::Overloaded);
            let answer = self.exchange().refuse(&head, Fault::Overloaded);
            return self.respond(answer);
        }
        let bodyless = head.end_of_stream;
        let codings = Coding::list(&head.headers.joined("content-encoding"));
        let announced = head
            .headers
            .get("content-length")
            .and_then(|length| length.trim().parse().ok());
        let deadline = self.start_deadline();
        let Ok(step) = timeout_at(deadline, self.exchange().request_headers(head)).await else {
            return self.fault(Fault::DeadlineExceeded);
        };
        match step {
            HeadStep::Respond(answer) => self.respond(answer),
            HeadStep::Forward(reply) if reply.body.is_none() || bodyless => {
                self.forward_head(reply, bodyless)
            }
            HeadStep::NeedBody if bodyless => {
                self.decide(Bytes::new(), &[], Completion::Headers).await;
            }
            HeadStep::Forward(reply) => self.collect(Some(reply), announced, Ok(Vec::new())),
            HeadStep::NeedBody => self.collect(None, announced, codings),
        }
    }

    pub(super) async fn request_body(&mut self, piece: Piece) {
        let Request::Collecting(collecting) = &mut self.request else {
            return self.pass_piece(piece);
        };
        if let Err(fault) = collecting.collector.push(piece.bytes).await {
            return self.fault(fault);
        }
        if !self.modes.whole() {
            if piece.end {
                self.complete(Completion::Body).await;
            }
            return;
        }
        let may_be_cut = self.modes.request == BodyMode::BufferedPartial || !self.modes.declared;
        // Without a declared mode an unmarked end is as likely to stand for trailers, so only the
        // length counts.
        let end = piece.end || !self.modes.declared;
        if may_be_cut && collecting.collector.is_cut(end) {
            return self.fault(Fault::TruncatedBody);
        }
        self.complete(Completion::Body).await;
    }

    pub(super) async fn request_trailers(&mut self) {
        if matches!(self.request, Request::Collecting(_)) {
            return self.complete(Completion::Trailers).await;
        }
        self.outbox.push(reply::trailers(Side::Request));
        self.request = Request::Decided;
    }

    fn start_deadline(&mut self) -> Instant {
        let deadline = Instant::now() + self.admission.options.deadline(self.modes.request);
        self.exchange().deadline(deadline.into_std());
        deadline
    }

    fn forward_head(&mut self, reply: BodyReply, bodyless: bool) {
        if reply.body.is_some() {
            return self.fault(Fault::UnsupportedBodyMode);
        }
        let head = reply::headers(Side::Request, reply.headers, reply.clear_route_cache);
        self.outbox.push(reply::with_metadata(head, reply.metadata));
        self.request = if bodyless {
            Request::Decided
        } else {
            Request::Passing
        };
        self.interest = reply.response;
        self.close_early();
    }

    /// Begins to collect the body; in the modes that send it whole, by letting Envoy send it.
    fn collect(
        &mut self,
        made: Option<BodyReply>,
        announced: Option<usize>,
        codings: Result<Vec<Coding>, UnknownCoding>,
    ) {
        if !self.modes.collects() {
            return self.fault(Fault::UnsupportedBodyMode);
        }
        let Ok(codings) = codings else {
            return self.fault(Fault::UnknownEncoding);
        };
        let lease = Lease::empty(&self.shared.budget);
        match Collector::begin(lease, self.limits(), announced) {
            Ok(collector) => {
                let collecting = Collecting {
                    collector,
                    codings,
                    made,
                };
                self.request = Request::Collecting(Box::new(collecting));
            }
            Err(fault) => return self.fault(fault),
        }
        if self.modes.whole() {
            self.outbox
                .push(reply::headers(Side::Request, Vec::new(), false));
        }
    }

    async fn complete(&mut self, completion: Completion) {
        let Request::Collecting(collecting) = std::mem::replace(&mut self.request, Request::Start)
        else {
            return;
        };
        let Collecting {
            collector,
            codings,
            made,
        } = *collecting;
        let (body, lease) = collector.finish();
        self.lease = Some(lease);
        match made {
            Some(reply) => self.forward(reply, body, completion),
            None => self.decide(body, &codings, completion).await,
        }
    }

    fn limits(&self) -> Limits {
        let options = &self.admission.options;
        Limits {
            own: options.body_limit,
            total: options.buffered_total,
            // A body that comes whole is the gateway's until then.
            rate: if self.modes.whole() {
                0
            } else {
                options.upload_rate
            },
        }
    }

    async fn decide(&mut self, body: Bytes, codings: &[Coding], completion: Completion) {
        let deadline = self.start_deadline();
        let is_coded = !codings.is_empty() && !body.is_empty();
        let plain = if is_coded {
            match timeout_at(deadline, self.decoded(body.clone(), codings)).await {
                Ok(Ok(plain)) => plain,
                Ok(Err(fault)) => return self.fault(fault),
                Err(_) => return self.fault(Fault::DeadlineExceeded),
            }
        } else {
            body.clone()
        };

        let Ok(step) = timeout_at(deadline, self.exchange().request_body(plain.clone())).await
        else {
            return self.fault(Fault::DeadlineExceeded);
        };
        let step = match step {
            BodyStep::Wait(longest) => self.wait(longest).await,
            step => Waited::Step(step),
        };
        match step {
            Waited::Step(BodyStep::Respond(answer)) => self.respond(answer),
            Waited::Step(BodyStep::Forward(mut reply)) => {
                if is_coded {
                    recode(&mut reply, &plain);
                }
                self.forward(reply, body, completion);
            }
            Waited::Step(BodyStep::Wait(_)) | Waited::Late => self.fault(Fault::DeadlineExceeded),
            Waited::Stopped => self.fail(Status::unavailable("the server is shutting down")),
        }
    }

    /// Decodes a body off the async threads, for as many streams at a time as there are cores.
    async fn decoded(&mut self, body: Bytes, codings: &[Coding]) -> Result<Bytes, Fault> {
        let budget = &self.shared.budget;
        let mut lease = self.lease.take().unwrap_or_else(|| Lease::empty(budget));
        let limits = self.limits();
        let codings = codings.to_vec();
        let turn = Arc::clone(&self.shared.decoding).acquire_owned().await;
        let decode = move || {
            let plain = body::decode(&codings, &body, &mut lease, limits);
            drop(turn);
            (plain, lease)
        };
        match tokio::task::spawn_blocking(decode).await {
            Ok((plain, lease)) => {
                self.lease = Some(lease);
                plain
            }
            // A decoder that panics is fenced like an exchange that does.
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }

    /// A decision that takes its time. The client may leave meanwhile: the stream, and with it this
    /// wait, is then dropped.
    async fn wait(&mut self, longest: Duration) -> Waited {
        let stop = self.shared.stop.clone();
        tokio::select! {
            biased;
            waited = timeout(longest, self.exchange().later()) => waited.map_or(Waited::Late, Waited::Step),
            () = stop.cancelled() => Waited::Stopped,
        }
    }

    fn forward(&mut self, reply: BodyReply, body: Bytes, completion: Completion) {
        let interest = reply.response;
        let new = reply.body.clone().filter(|new| *new != body);
        if completion == Completion::Headers {
            return self.forward_head(BodyReply { body: new, ..reply }, true);
        }
        if self.modes.request == BodyMode::FullDuplex {
            self.forward_streamed(reply, body, new, completion);
        } else if completion == Completion::Body {
            let whole =
                reply::whole_body(Side::Request, reply.headers, new, reply.clear_route_cache);
            self.outbox
                .push(reply::with_metadata(whole, reply.metadata));
        } else if new.is_some() || !reply.headers.is_empty() || reply.clear_route_cache {
            // Trailers without any body: their reply carries neither headers nor a body.
            return self.fault(Fault::UnsupportedBodyMode);
        } else {
            self.outbox.push(reply::with_metadata(
                reply::trailers(Side::Request),
                reply.metadata,
            ));
        }
        self.request = Request::Decided;
        self.interest = interest;
        self.close_early();
    }

    /// Full duplex: the headers that waited, then the body in pieces, then the trailers' turn.
    /// Envoy takes the old `content-length` away, unless told to keep it; an old length would cut a
    /// new body, so it goes here in any case.
    fn forward_streamed(
        &mut self,
        reply: BodyReply,
        body: Bytes,
        new: Option<Bytes>,
        completion: Completion,
    ) {
        let head = reply::headers(Side::Request, reply.headers, reply.clear_route_cache);
        let head = if new.is_some() {
            reply::without_length(head)
        } else {
            head
        };
        self.outbox.push(reply::with_metadata(head, reply.metadata));
        let body = new.unwrap_or(body);
        let trailers = completion == Completion::Trailers;
        if !trailers || !body.is_empty() {
            self.outbox.push_pieces(Side::Request, body, !trailers);
        }
        if trailers {
            self.outbox.push(reply::trailers(Side::Request));
        }
    }

    fn pass_piece(&mut self, piece: Piece) {
        if self.modes.request == BodyMode::FullDuplex {
            self.outbox
                .push_pieces(Side::Request, piece.bytes.into(), piece.end);
        } else {
            self.outbox.push(reply::body_as_it_is(Side::Request));
        }
        if piece.end {
            self.request = Request::Decided;
        }
    }
}

/// Fits a decision that was made about the decoded body to the body as it came: one that stays
/// keeps its coding, a new one has none.
fn recode(reply: &mut BodyReply, plain: &Bytes) {
    reply.body.take_if(|new| *new == *plain);
    if reply.body.is_some() {
        let coding = HeaderEdit::Remove("content-encoding".to_owned());
        reply.headers.push(coding);
    }
}
