//! Decisions as Envoy's protobuf messages, and the queue in which they wait to be sent.

use crate::exchange::{HeaderEdit, HeaderEdits, Immediate, Metadata};
use crate::frame::wire_value;
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{
    HeaderMap, HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, HttpHeaders,
    ImmediateResponse, ProcessingResponse, StreamedBodyResponse, StreamedImmediateResponse,
    TrailersResponse, body_mutation::Mutation, processing_response::Response,
    streamed_immediate_response,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::Struct;
use std::collections::VecDeque;
use tonic::Status;

/// The largest piece of a body in one message: some Envoys take no more than 64 KiB, framing
/// included.
pub(crate) const CHUNK: usize = 62_000;

/// Which half of an exchange a reply is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// The reply to headers.
pub(crate) fn headers(
    side: Side,
    edits: HeaderEdits,
    clear_route_cache: bool,
) -> ProcessingResponse {
    let reply = HeadersResponse {
        response: common(edits, None, clear_route_cache),
    };
    wrap(match side {
        Side::Request => Response::RequestHeaders(reply),
        Side::Response => Response::ResponseHeaders(reply),
    })
}

/// The same reply to headers, taking their `content-length` away.
pub(crate) fn without_length(mut reply: ProcessingResponse) -> ProcessingResponse {
    if let Some(
        Response::RequestHeaders(HeadersResponse {
            response: Some(common),
        })
        | Response::ResponseHeaders(HeadersResponse {
            response: Some(common),
        }),
    ) = &mut reply.response
    {
        let mutation = common.header_mutation.get_or_insert_default();
        mutation.remove_headers.push("content-length".to_owned());
    }
    reply
}

/// The reply to a body message that is not full duplex: the body goes on as it is.
pub(crate) fn body_as_it_is(side: Side) -> ProcessingResponse {
    body(side, Some(CommonResponse::default()))
}

/// The reply to a buffered body. A new body comes with its `content-length`; without one neither is
/// touched, for Envoy answers 500 to a length that does not match, and hangs on a length without a
/// body.
pub(crate) fn whole_body(
    side: Side,
    edits: HeaderEdits,
    new: Option<Bytes>,
    clear_route_cache: bool,
) -> ProcessingResponse {
    body(side, common(edits, new, clear_route_cache))
}

/// The reply to a piece of a streamed body: these bytes go on in its place. The headers have left
/// by then, so no length is set.
pub(crate) fn piece_replaced(side: Side, new: Bytes) -> ProcessingResponse {
    let mutation = if new.is_empty() {
        Mutation::ClearBody(true)
    } else {
        Mutation::Body(new.into())
    };
    body(
        side,
        Some(CommonResponse {
            body_mutation: Some(BodyMutation {
                mutation: Some(mutation),
            }),
            ..CommonResponse::default()
        }),
    )
}

/// The reply to trailers: they go on as they are.
pub(crate) fn trailers(side: Side) -> ProcessingResponse {
    let reply = TrailersResponse::default();
    wrap(match side {
        Side::Request => Response::RequestTrailers(reply),
        Side::Response => Response::ResponseTrailers(reply),
    })
}

/// The message that attaches `metadata`.
pub(crate) fn with_metadata(
    mut reply: ProcessingResponse,
    metadata: Metadata,
) -> ProcessingResponse {
    if !metadata.is_empty() {
        let fields = metadata
            .into_iter()
            .map(|(namespace, value)| (namespace, wire_value(value)));
        reply.dynamic_metadata = Some(Struct {
            fields: fields.collect(),
        });
    }
    reply
}

/// An answer of our own, in one message.
pub(crate) fn immediate(answer: Immediate) -> ProcessingResponse {
    let sets = answer
        .headers
        .into_iter()
        .map(|(name, value)| set(name.as_str().to_owned(), value.as_bytes().to_vec()));
    let body = match answer.body.as_slice() {
        [] => Vec::new(),
        [one] => one.to_vec(),
        pieces => pieces.concat(),
    };
    wrap(Response::ImmediateResponse(ImmediateResponse {
        status: Some(HttpStatus {
            code: i32::from(answer.status.as_u16()),
        }),
        headers: Some(HeaderMutation {
            set_headers: sets.collect(),
            remove_headers: Vec::new(),
        }),
        body,
        grpc_status: None,
        details: answer.details.to_owned(),
    }))
}

/// An answer of our own, piece by piece. It has no place for `details`.
pub(crate) fn immediate_pieces(answer: Immediate) -> Vec<ProcessingResponse> {
    use streamed_immediate_response::Response as Part;
    let wrap = |part| {
        wrap(Response::StreamedImmediateResponse(
            StreamedImmediateResponse {
                response: Some(part),
            },
        ))
    };
    let status = pair(
        ":status".to_owned(),
        answer.status.as_str().as_bytes().to_vec(),
    );
    let headers = answer
        .headers
        .into_iter()
        .map(|(name, value)| pair(name.as_str().to_owned(), value.as_bytes().to_vec()));
    let headers = HeaderMap {
        headers: std::iter::once(status).chain(headers).collect(),
    };
    let head = HttpHeaders {
        headers: Some(headers),
        end_of_stream: false,
        ..HttpHeaders::default()
    };
    let last = answer.body.len().saturating_sub(1);
    let pieces = answer
        .body
        .into_iter()
        .enumerate()
        .flat_map(|(index, piece)| Pieces::new(piece, index == last));
    std::iter::once(Part::HeadersResponse(head))
        .chain(pieces.map(Part::BodyResponse))
        .map(wrap)
        .collect()
}

fn wrap(response: Response) -> ProcessingResponse {
    ProcessingResponse {
        response: Some(response),
        ..ProcessingResponse::default()
    }
}

fn body(side: Side, response: Option<CommonResponse>) -> ProcessingResponse {
    let reply = BodyResponse { response };
    wrap(match side {
        Side::Request => Response::RequestBody(reply),
        Side::Response => Response::ResponseBody(reply),
    })
}

fn common(
    edits: HeaderEdits,
    new: Option<Bytes>,
    clear_route_cache: bool,
) -> Option<CommonResponse> {
    let mut mutation = mutation(edits);
    if let Some(new) = &new {
        mutation.set_headers.push(set(
            "content-length".to_owned(),
            new.len().to_string().into_bytes(),
        ));
    }
    let untouched = mutation.set_headers.is_empty() && mutation.remove_headers.is_empty();
    Some(CommonResponse {
        header_mutation: (!untouched).then_some(mutation),
        body_mutation: new.map(|new| BodyMutation {
            mutation: Some(Mutation::Body(new.into())),
        }),
        clear_route_cache,
        ..CommonResponse::default()
    })
}

/// Edits in order as Envoy's two lists. Envoy removes first and sets afterwards, so a removal drops
/// earlier sets.
fn mutation(edits: HeaderEdits) -> HeaderMutation {
    let mut mutation = HeaderMutation::default();
    for edit in edits {
        match edit {
            HeaderEdit::Set(name, _) | HeaderEdit::Remove(name) if name == "content-length" => {}
            HeaderEdit::Set(name, value) => mutation.set_headers.push(set(name, value.into())),
            HeaderEdit::Remove(name) => {
                mutation
                    .set_headers
                    .retain(|it| it.header.as_ref().is_none_or(|header| header.key != name));
                mutation.remove_headers.push(name);
            }
        }
    }
    mutation
}

fn set(key: String, raw_value: Vec<u8>) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(pair(key, raw_value)),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}

fn pair(key: String, raw_value: Vec<u8>) -> HeaderValue {
    HeaderValue {
        key,
        value: String::new(),
        raw_value,
    }
}

/// A body cut into pieces of at most [`CHUNK`] bytes; an empty body is one empty piece.
#[derive(Debug)]
struct Pieces {
    rest: Option<Bytes>,
    end: bool,
}

impl Pieces {
    fn new(body: Bytes, end: bool) -> Self {
        Self {
            rest: Some(body),
            end,
        }
    }
}

impl Iterator for Pieces {
    type Item = StreamedBodyResponse;

    fn next(&mut self) -> Option<StreamedBodyResponse> {
        let mut piece = self.rest.take()?;
        if piece.len() > CHUNK {
            self.rest = Some(piece.split_off(CHUNK));
        }
        let end_of_stream = self.end && self.rest.is_none();
        Some(StreamedBodyResponse {
            body: piece.into(),
            end_of_stream,
            ..StreamedBodyResponse::default()
        })
    }
}

/// Replies that wait to be sent, in order. Bodies are cut only as they leave, so that a large one
/// is not held twice.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Item>,
    muted: bool,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the queue is short and nearly every item is the large one"
)]
enum Item {
    Ready(ProcessingResponse),
    Pieces(Side, Pieces),
    Failed(Status),
}

impl Outbox {
    /// From now on nothing but a failure is sent: the peer takes no replies.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
    }

    pub(crate) fn push(&mut self, reply: ProcessingResponse) {
        self.add(Item::Ready(reply));
    }

    /// Queues a full-duplex body, or a part of one; `end` marks its last piece as the end.
    pub(crate) fn push_pieces(&mut self, side: Side, body: Bytes, end: bool) {
        self.add(Item::Pieces(side, Pieces::new(body, end)));
    }

    /// Drops what waits, and ends the stream with `status`.
    pub(crate) fn fail(&mut self, status: Status) {
        self.queue.clear();
        self.queue.push_back(Item::Failed(status));
    }

    /// The next reply to send.
    pub(crate) fn pop(&mut self) -> Option<Result<ProcessingResponse, Status>> {
        loop {
            match self.queue.pop_front()? {
                Item::Ready(reply) => return Some(Ok(reply)),
                Item::Failed(status) => return Some(Err(status)),
                Item::Pieces(side, mut pieces) => {
                    let Some(piece) = pieces.next() else { continue };
                    if pieces.rest.is_some() {
                        self.queue.push_front(Item::Pieces(side, pieces));
                    }
                    return Some(Ok(streamed(side, piece)));
                }
            }
        }
    }

    fn add(&mut self, item: Item) {
        if !self.muted {
            self.queue.push_back(item);
        }
    }
}

fn streamed(side: Side, piece: StreamedBodyResponse) -> ProcessingResponse {
    let mutation = BodyMutation {
        mutation: Some(Mutation::StreamedResponse(piece)),
    };
    body(
        side,
        Some(CommonResponse {
            body_mutation: Some(mutation),
            ..CommonResponse::default()
        }),
    )
}

#[cfg(test)]
mod tests;
