//! The response's half of a session: headers may be edited, the body passes by unchanged.

use super::Session;
use super::request::Request;
use crate::exchange::{ResponseHead, ResponseInterest};
use crate::frame::Piece;
use crate::options::BodyMode;
use crate::reply::{self, Side};
use bytes::Bytes;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use futures_util::Stream;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

impl<S> Session<S>
where
    S: Stream<Item = Result<ProcessingRequest, Status>> + Send + Unpin,
{
    pub(super) async fn response_headers(&mut self, head: ResponseHead) {
        self.begin_response();
        let end = head.end_of_stream;
        let mut edits = Vec::new();
        if self.interest >= ResponseInterest::Headers {
            let deadline = Instant::now() + self.admission.options.deadline(self.modes.response);
            match timeout_at(deadline, self.exchange().response_headers(head)).await {
                Ok(made) => edits = made,
                // The response is there: that it goes on without our edits is better than that it
                // is lost.
                Err(_) => self.shared.counters.response_deadlines.add(),
            }
        }
        self.outbox
            .push(reply::headers(Side::Response, edits, false));
        if end {
            self.tell_chunk(&Bytes::new(), true);
        }
    }

    pub(super) fn response_body(&mut self, piece: Piece) {
        self.begin_response();
        let bytes = Bytes::from(piece.bytes);
        self.tell_chunk(&bytes, piece.end);
        if self.modes.response == BodyMode::FullDuplex {
            self.outbox.push_pieces(Side::Response, bytes, piece.end);
        } else {
            self.outbox.push(reply::body_as_it_is(Side::Response));
        }
    }

    pub(super) fn response_trailers(&mut self) {
        self.begin_response();
        self.tell_chunk(&Bytes::new(), true);
        self.outbox.push(reply::trailers(Side::Response));
    }

    /// A response before our decision is not that of an upstream: another filter answered, or Envoy
    /// itself did. The request is over then, and its response none of ours.
    fn begin_response(&mut self) {
        if matches!(self.request, Request::Start | Request::Collecting(_)) {
            self.request = Request::Passing;
            self.interest = ResponseInterest::Nothing;
        }
    }

    fn tell_chunk(&mut self, chunk: &Bytes, end: bool) {
        if self.interest == ResponseInterest::Body && !self.response_ended {
            self.response_ended = end;
            self.exchange().response_chunk(chunk, end);
        }
    }
}
