//! The response's half of a session: headers may be edited; the body passes by, or is rewritten
//! where the exchange said so and the mode can carry it.

use super::Session;
use super::request::Request;
use crate::exchange::{ChunkStep, ResponseHead, ResponseInterest, ResponseStep};
use crate::frame::Piece;
use crate::options::BodyMode;
use crate::reply::{self, Side};
use bytes::Bytes;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use futures_util::Stream;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// How far a response has come, and what may become of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Response {
    /// Its body goes on as it comes.
    Passing,
    /// The exchange may change its body and hold back parts of it.
    Rewriting,
    /// The exchange was told of its end, and holds nothing back any more.
    Ended,
}

impl<S> Session<S>
where
    S: Stream<Item = Result<ProcessingRequest, Status>> + Send + Unpin,
{
    pub(super) async fn response_headers(&mut self, head: ResponseHead) {
        self.begin_response();
        let end = head.end_of_stream;
        let mut step = ResponseStep::default();
        if self.interest >= ResponseInterest::Headers {
            let deadline = Instant::now() + self.admission.options.deadline(self.modes.response);
            match timeout_at(deadline, self.exchange().response_headers(head)).await {
                Ok(made) => step = made,
                // The response is there: that it goes on without our edits is better than that it
                // is lost.
                Err(_) => self.shared.counters.response_deadlines.add(),
            }
        }

        let mut reply = reply::headers(Side::Response, step.headers, false);
        let seen = self.interest == ResponseInterest::Body;
        if step.rewrites && seen && self.modes.rewrites() && !end {
            self.response = Response::Rewriting;
            // A buffered body is answered together with its new length. In the other modes the
            // headers leave now, and an old length would cut a longer body.
            if self.modes.response != BodyMode::Buffered {
                reply = reply::without_length(reply);
            }
        }
        self.outbox.push(reply);
        if end {
            self.tell_chunk(&Bytes::new(), true);
        }
    }

    pub(super) fn response_body(&mut self, piece: Piece) {
        self.begin_response();
        let bytes = Bytes::from(piece.bytes);
        if self.response == Response::Rewriting {
            return self.rewrite(bytes, piece.end);
        }
        // It must not go on, although nothing else can take its place.
        if self.tell_chunk(&bytes, piece.end) == ChunkStep::Broken {
            return self.cut_response("it must not go on as it is");
        }
        self.pass_response(bytes, piece.end);
    }

    pub(super) fn response_trailers(&mut self) {
        self.begin_response();
        let rewriting = self.response == Response::Rewriting;
        let step = self.tell_chunk(&Bytes::new(), true);
        match step {
            ChunkStep::Replaced(rest) if rewriting && !rest.is_empty() => {
                // Only full duplex takes bytes that are no answer to a piece of the body.
                if self.modes.response != BodyMode::FullDuplex {
                    return self.cut_response("trailers came while a part of it was held back");
                }
                self.outbox.push_pieces(Side::Response, rest, false);
            }
            ChunkStep::Broken => return self.cut_response("it cannot be rewritten"),
            _ => {}
        }
        self.outbox.push(reply::trailers(Side::Response));
    }

    fn rewrite(&mut self, bytes: Bytes, end: bool) {
        // Trailers may follow a buffered body, but nothing more of the body.
        let last = end || self.modes.response == BodyMode::Buffered;
        match self.tell_chunk(&bytes, last) {
            ChunkStep::Unchanged => self.pass_response(bytes, end),
            ChunkStep::Replaced(new) if new == bytes => self.pass_response(bytes, end),
            ChunkStep::Replaced(new) => self.replace_response(new, end),
            ChunkStep::Broken => self.cut_response("it cannot be rewritten"),
        }
    }

    fn pass_response(&mut self, bytes: Bytes, end: bool) {
        if self.modes.response == BodyMode::FullDuplex {
            self.outbox.push_pieces(Side::Response, bytes, end);
        } else {
            self.outbox.push(reply::body_as_it_is(Side::Response));
        }
    }

    fn replace_response(&mut self, new: Bytes, end: bool) {
        match self.modes.response {
            // In full duplex what is held back is simply not sent yet.
            BodyMode::FullDuplex if new.is_empty() && !end => {}
            BodyMode::FullDuplex => self.outbox.push_pieces(Side::Response, new, end),
            BodyMode::Buffered => {
                let whole = reply::whole_body(Side::Response, Vec::new(), Some(new), false);
                self.outbox.push(whole);
            }
            _ => self.outbox.push(reply::piece_replaced(Side::Response, new)),
        }
    }

    /// Fails the stream. An Envoy that fails closed then resets the response, whose headers have
    /// left; one that fails open passes the rest on as it comes.
    fn cut_response(&mut self, why: &'static str) {
        self.shared.counters.broken_responses.add();
        self.fail(Status::internal(format!("the response was cut: {why}")));
    }

    /// A response before our decision is not that of an upstream: another filter answered, or Envoy
    /// itself did. The request is over then, and its response none of ours.
    fn begin_response(&mut self) {
        if matches!(self.request, Request::Start | Request::Collecting(_)) {
            self.request = Request::Passing;
            self.interest = ResponseInterest::Nothing;
        }
    }

    fn tell_chunk(&mut self, chunk: &Bytes, end: bool) -> ChunkStep {
        if self.interest != ResponseInterest::Body || self.response == Response::Ended {
            return ChunkStep::Unchanged;
        }
        if end {
            self.response = Response::Ended;
        }
        self.exchange().response_chunk(chunk, end)
    }
}
