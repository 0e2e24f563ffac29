//! One stream, from its first frame to its last reply: waits for frames, keeps their order, fences
//! panics.
//!
//! There is no task and no channel: the stream of replies *is* the session, driven by the sender of
//! the replies. A frame is read when all replies to earlier ones have left. Every way out queues a
//! reply or a status first, because a stream that ends OK before its reply makes Envoy pass the
//! request on unprocessed.

mod request;
mod response;

use crate::budget::{Budget, Lease};
use crate::counters::Counters;
use crate::exchange::{Exchange, Exchanges, Fault, Immediate, ResponseInterest};
use crate::frame::{Frame, Opening};
use crate::options::{BodyMode, Options, Peer};
use crate::phase::{Modes, Order, OrderError};
use crate::reply::{self, Outbox};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use request::Request;
use response::Response;
use std::error::Error;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::{Code, Status};

/// What the sessions of a service share.
pub(crate) struct Shared {
    pub(crate) exchanges: Arc<dyn Exchanges>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) stop: CancellationToken,
    /// Turns at decoding bodies.
    pub(crate) decoding: Arc<Semaphore>,
}

/// How a stream is let in.
pub(crate) struct Admission {
    pub(crate) options: Arc<Options>,
    /// There are too many streams: refuse this one.
    pub(crate) overloaded: bool,
    /// It is of a filter of an upstream attempt.
    pub(crate) attempt: bool,
    /// Counts the stream as open; `None` in tests of one session.
    #[expect(
        dead_code,
        reason = "counts by being held until the session is dropped"
    )]
    pub(crate) token: Option<TaskTrackerToken>,
}

/// The replies to `frames`.
pub(crate) fn replies<S>(
    frames: S,
    shared: Arc<Shared>,
    admission: Admission,
) -> impl Stream<Item = Result<ProcessingResponse, Status>> + Send + 'static
where
    S: Stream<Item = Result<ProcessingRequest, Status>> + Send + Unpin + 'static,
{
    let session = Box::new(Session::new(frames, shared, admission));
    stream::unfold(session, |mut session| async move {
        let reply = session.next().await?;
        Some((reply, session))
    })
}

struct Session<S> {
    frames: S,
    shared: Arc<Shared>,
    admission: Admission,
    exchange: Option<Box<dyn Exchange>>,
    modes: Modes,
    order: Order,
    request: Request,
    interest: ResponseInterest,
    response: Response,
    outbox: Outbox,
    /// Holds the request body's share of the budget until the replies made of it have left.
    lease: Option<Lease>,
    /// Nothing more is read; the stream ends when the outbox is empty.
    ended: bool,
}

/// What a wait for a frame came to.
enum Received {
    Frame(Box<ProcessingRequest>),
    End,
    Failed(Status),
    Late,
    /// The body came too slowly.
    Slow,
    /// The body must make room for others.
    Displaced,
    Stopped,
}

impl<S> Session<S>
where
    S: Stream<Item = Result<ProcessingRequest, Status>> + Send + Unpin,
{
    fn new(frames: S, shared: Arc<Shared>, admission: Admission) -> Self {
        let modes = Modes {
            request: BodyMode::None,
            response: BodyMode::None,
            declared: false,
            observing: false,
        };
        Self {
            frames,
            shared,
            admission,
            exchange: None,
            modes,
            order: Order::new(),
            request: Request::Start,
            interest: ResponseInterest::Nothing,
            response: Response::Passing,
            outbox: Outbox::default(),
            lease: None,
            ended: false,
        }
    }

    async fn next(&mut self) -> Option<Result<ProcessingResponse, Status>> {
        loop {
            if let Some(reply) = self.outbox.pop() {
                return Some(reply);
            }
            self.lease = None;
            if self.ended {
                return None;
            }
            if AssertUnwindSafe(self.step()).catch_unwind().await.is_err() {
                self.shared.counters.panics.add();
                self.fail(Status::internal("the exchange panicked"));
            }
        }
    }

    /// Takes one frame, or the end of them.
    async fn step(&mut self) {
        match self.receive().await {
            Received::Frame(message) => {
                if let Err(error) = self.accept(*message).await {
                    self.shared.counters.protocol_errors.add();
                    self.fail(error.into());
                }
            }
            Received::End => self.frames_ended(),
            Received::Failed(status) => self.frames_failed(status),
            Received::Late => self.fault(Fault::DeadlineExceeded),
            Received::Slow => self.fault(Fault::UploadTooSlow {
                least: self.admission.options.upload_rate,
            }),
            Received::Displaced => self.fault(Fault::UploadDisplaced),
            Received::Stopped => self.fail(Status::unavailable("the server is shutting down")),
        }
    }

    async fn receive(&mut self) -> Received {
        let waiting = matches!(self.request, Request::Start | Request::Collecting(_));
        let late = Instant::now() + self.admission.options.frame_timeout;
        let displaced = self.request.displaced();
        let displaced = async {
            match displaced {
                Some(displaced) => displaced.cancelled().await,
                None => pending().await,
            }
        };
        let due = self.request.due();
        tokio::select! {
            biased;
            () = displaced => Received::Displaced,
            frame = self.frames.next() => match frame {
                Some(Ok(message)) => Received::Frame(Box::new(message)),
                Some(Err(status)) => Received::Failed(status),
                None => Received::End,
            },
            () = self.shared.stop.cancelled() => Received::Stopped,
            () = sleep_until(due.unwrap_or(late)), if due.is_some() => Received::Slow,
            () = sleep_until(late), if waiting => Received::Late,
        }
    }

    async fn accept(&mut self, message: ProcessingRequest) -> Result<(), OrderError> {
        if self.order.is_start() {
            self.modes = Modes::settle(Opening::read(&message), &self.admission.options);
            if self.modes.observing {
                self.outbox.mute();
            }
        }
        // Flow control of messages is not in use: an Envoy that speaks of it is told nothing and
        // loses nothing.
        let flow_control =
            message.client_window_update.is_some() || message.flow_control_init.is_some();
        let frame = match Frame::read(message) {
            Some(frame) => frame,
            None if flow_control => return Ok(()),
            None => return Err(OrderError::Empty),
        };
        self.order.admit(&frame, self.modes)?;
        match frame {
            Frame::RequestHeaders(head) => self.request_headers(head).await,
            Frame::RequestBody(piece) => self.request_body(piece).await,
            Frame::RequestTrailers => self.request_trailers().await,
            Frame::ResponseHeaders(head) => self.response_headers(head).await,
            Frame::ResponseBody(piece) => self.response_body(piece),
            Frame::ResponseTrailers => self.response_trailers(),
        }
        Ok(())
    }

    /// Envoy half-closes only when it wants nothing more, but a request that has no answer yet must
    /// not end OK.
    fn frames_ended(&mut self) {
        if self.undecided() {
            self.shared.counters.abandoned.add();
            self.fail(Status::cancelled(
                "the stream ended before the request was complete",
            ));
        }
        self.ended = true;
    }

    /// A reset is how Envoy ends a side stream; tonic gives it as an error with a transport source.
    /// An error without a source is tonic's own: a message too large for the decoder, or not
    /// protobuf.
    fn frames_failed(&mut self, status: Status) {
        if status.source().is_some() || matches!(status.code(), Code::Cancelled | Code::Unknown) {
            return self.frames_ended();
        }
        if status.code() == Code::OutOfRange && self.undecided() {
            return self.fault(Fault::BodyTooLarge {
                limit: self.admission.options.body_limit,
            });
        }
        self.shared.counters.protocol_errors.add();
        self.fail(OrderError::Undecodable(status).into());
    }

    fn undecided(&self) -> bool {
        matches!(self.request, Request::Start | Request::Collecting(_)) && !self.modes.observing
    }

    /// The exchange, opened at the first use.
    fn exchange(&mut self) -> &mut dyn Exchange {
        let exchanges = &self.shared.exchanges;
        self.exchange
            .get_or_insert_with(|| exchanges.open())
            .as_mut()
    }

    fn fault(&mut self, fault: Fault) {
        self.shared.counters.fault(fault);
        let answer = self.exchange().fault(fault);
        self.respond(answer);
    }

    /// Answers in place of the upstream. Nothing comes after that, so the stream ends.
    fn respond(&mut self, answer: Immediate) {
        self.shared.counters.immediates.add();
        self.request = Request::Passing;
        let options = &self.admission.options;
        let streamed = options.streamed_immediate && self.modes.request == BodyMode::FullDuplex;
        if streamed && options.peer == Peer::Envoy && answer.body.len() > 1 {
            reply::immediate_pieces(answer)
                .into_iter()
                .for_each(|piece| self.outbox.push(piece));
        } else {
            self.outbox.push(reply::immediate(answer));
        }
        // An observer is not answered: its frames go on.
        self.ended = !self.modes.observing;
    }

    fn fail(&mut self, status: Status) {
        self.outbox.fail(status);
        self.ended = true;
    }

    /// Ends the stream after the replies in the outbox, where nothing more is wanted and the peer
    /// allows it.
    fn close_early(&mut self) {
        let options = &self.admission.options;
        let allowed = match self.modes.request {
            BodyMode::FullDuplex => {
                options.early_close_streamed && matches!(self.request, Request::Decided)
            }
            BodyMode::Streamed => false,
            _ => options.early_close,
        };
        // A piece of a full-duplex response that is on its way to us would be lost with the stream.
        let safe = self.modes.declared && self.modes.response != BodyMode::FullDuplex;
        let unwanted = self.interest == ResponseInterest::Nothing && !self.modes.observing;
        if allowed && safe && unwanted && options.peer == Peer::Envoy && !self.ended {
            self.shared.counters.early_closes.add();
            self.ended = true;
        }
    }
}

impl<S> Drop for Session<S> {
    fn drop(&mut self) {
        let undecided = matches!(self.request, Request::Start | Request::Collecting(_));
        if undecided && !self.ended && !self.order.is_start() {
            self.shared.counters.abandoned.add();
        }
        if let Some(mut exchange) = self.exchange.take() {
            // This may run while a panic of the same exchange unwinds; a second one would abort the
            // process.
            let closed = catch_unwind(AssertUnwindSafe(move || exchange.closed()));
            if closed.is_err() {
                self.shared.counters.panics.add();
            }
        }
    }
}

#[cfg(test)]
mod tests;
