//! The fake Envoy's end of the gRPC stream: frames out, replies in.

use super::{Answer, FakeRequest, Outcome, Violation};
use crate::frame::{entries, object, wire_struct};
use crate::options::BodyMode;
use crate::reply::CHUNK;
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue, Metadata as WireMetadata};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    CommonResponse, HeaderMutation, HttpBody, HttpHeaders, HttpTrailers, ImmediateResponse,
    ProcessingRequest, ProcessingResponse, ProtocolConfiguration, StreamedBodyResponse,
    body_mutation::Mutation, processing_request::Request, processing_response::Response,
    streamed_immediate_response,
};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

pub(super) use crate::reply::Side;
pub(super) type Client = ExternalProcessorClient<Channel>;

/// Nobody waits longer for a reply; the server's own deadlines are far shorter.
const HUNG: Duration = Duration::from_secs(30);

pub(super) struct Wire {
    frames: Option<UnboundedSender<ProcessingRequest>>,
    replies: Streaming<ProcessingResponse>,
    opening: Option<ProcessingRequest>,
    mode: BodyMode,
}

/// A reply, already checked by itself.
pub(super) enum Reply {
    Headers(Side, Edits),
    Body(Side, Edits, Option<Bytes>),
    Piece(Side, StreamedBodyResponse),
    Trailers(Side),
    End,
}

/// What a reply changes beside the body.
pub(super) struct Edits {
    pub(super) mutation: HeaderMutation,
    pub(super) clear_route_cache: bool,
    pub(super) metadata: Vec<(String, Value)>,
}

impl Wire {
    pub(super) async fn open(mut client: Client, request: &FakeRequest) -> Result<Self, Outcome> {
        let (frames, rest) = unbounded_channel();
        let replies = client
            .process(UnboundedReceiverStream::new(rest))
            .await
            .map_err(Outcome::Failed)?
            .into_inner();
        let declared = request.declare && !request.observe;
        let protocol = ProtocolConfiguration {
            request_body_mode: send_mode(request.mode).into(),
            response_body_mode: send_mode(request.response_mode).into(),
            send_body_without_waiting_for_header_response: false,
        };
        let metadata = request
            .metadata
            .iter()
            .map(|(name, value)| (name.clone(), wire_struct(value.clone())));
        let opening = ProcessingRequest {
            observability_mode: request.observe,
            protocol_config: declared.then_some(protocol),
            metadata_context: Some(WireMetadata {
                filter_metadata: metadata.collect(),
                ..WireMetadata::default()
            }),
            ..ProcessingRequest::default()
        };
        Ok(Self {
            frames: Some(frames),
            replies,
            opening: Some(opening),
            mode: request.mode,
        })
    }

    pub(super) fn send_headers(
        &mut self,
        side: Side,
        headers: &[(String, Bytes)],
        end_of_stream: bool,
    ) {
        let pair = |(key, value): &(String, Bytes)| HeaderValue {
            key: key.clone(),
            value: String::new(),
            raw_value: value.to_vec(),
        };
        let headers = Some(HeaderMap {
            headers: headers.iter().map(pair).collect(),
        });
        let wire = HttpHeaders {
            headers,
            end_of_stream,
            ..HttpHeaders::default()
        };
        self.send(match side {
            Side::Request => Request::RequestHeaders(wire),
            Side::Response => Request::ResponseHeaders(wire),
        });
    }

    pub(super) fn send_body(&mut self, side: Side, body: Bytes, end_of_stream: bool) {
        let wire = HttpBody {
            body: body.into(),
            end_of_stream,
            ..HttpBody::default()
        };
        self.send(match side {
            Side::Request => Request::RequestBody(wire),
            Side::Response => Request::ResponseBody(wire),
        });
    }

    pub(super) fn send_trailers(&mut self, side: Side) {
        let wire = HttpTrailers::default();
        self.send(match side {
            Side::Request => Request::RequestTrailers(wire),
            Side::Response => Request::ResponseTrailers(wire),
        });
    }

    pub(super) fn half_close(&mut self) {
        self.frames = None;
    }

    /// The next reply. An answer of the processor's own ends the exchange, and comes as an error.
    pub(super) async fn next(&mut self) -> Result<Reply, Outcome> {
        let Some(message) = self.message().await? else {
            return Ok(Reply::End);
        };
        let metadata = object(message.dynamic_metadata.unwrap_or_default());
        let Value::Object(metadata) = metadata else {
            return Err(broken("metadata is no object"));
        };
        let metadata = metadata.into_iter().collect();
        match message.response {
            Some(Response::RequestHeaders(reply)) => {
                headers(Side::Request, reply.response, metadata)
            }
            Some(Response::ResponseHeaders(reply)) => {
                headers(Side::Response, reply.response, metadata)
            }
            Some(Response::RequestBody(reply)) => body(Side::Request, reply.response, metadata),
            Some(Response::ResponseBody(reply)) => body(Side::Response, reply.response, metadata),
            Some(Response::RequestTrailers(_)) => Ok(Reply::Trailers(Side::Request)),
            Some(Response::ResponseTrailers(_)) => Ok(Reply::Trailers(Side::Response)),
            Some(Response::ImmediateResponse(answer)) => Err(immediate(answer)),
            Some(Response::StreamedImmediateResponse(first)) => {
                Err(self.streamed(first.response).await?)
            }
            None => Err(broken("a reply without a response")),
        }
    }

    async fn message(&mut self) -> Result<Option<ProcessingResponse>, Outcome> {
        match timeout(HUNG, self.replies.message()).await {
            Ok(message) => message.map_err(Outcome::Failed),
            Err(_) => Err(broken("the processor hung")),
        }
    }

    /// Collects an immediate response in pieces; the first one is here.
    async fn streamed(
        &mut self,
        first: Option<streamed_immediate_response::Response>,
    ) -> Result<Outcome, Outcome> {
        use streamed_immediate_response::Response as Part;
        if !matches!(self.mode, BodyMode::FullDuplex | BodyMode::None) {
            return Err(broken(
                "a streamed immediate response outside of full duplex",
            ));
        }
        let Some(Part::HeadersResponse(head)) = first else {
            return Err(broken(
                "a streamed immediate response that does not begin with headers",
            ));
        };
        let mut headers = entries(head.headers.unwrap_or_default());
        let Some(status) = super::value(&headers, ":status").and_then(|it| it.parse().ok()) else {
            return Err(broken("a streamed immediate response without :status"));
        };
        headers.retain(|(name, _)| name != ":status");
        let mut answer = Answer {
            status,
            headers,
            ..Answer::default()
        };
        let mut body = Vec::new();
        let mut end = head.end_of_stream;
        while !end {
            let part = match self.message().await?.and_then(|message| message.response) {
                Some(Response::StreamedImmediateResponse(part)) => part.response,
                _ => return Err(broken("a streamed immediate response that does not end")),
            };
            let Some(Part::BodyResponse(piece)) = part else {
                return Err(broken("headers or trailers among pieces"));
            };
            check_size(&piece)?;
            body.extend_from_slice(&piece.body);
            answer.messages += 1;
            end = piece.end_of_stream;
        }
        Ok(Outcome::Immediate(Answer {
            body: body.into(),
            ..answer
        }))
    }

    fn send(&mut self, frame: Request) {
        let message = ProcessingRequest {
            request: Some(frame),
            ..self.opening.take().unwrap_or_default()
        };
        if let Some(frames) = &self.frames {
            // A closed channel means that the server ended the stream; the next read says how.
            drop(frames.send(message));
        }
    }
}

impl Reply {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Headers(Side::Request, _) => "request headers",
            Self::Headers(Side::Response, _) => "response headers",
            Self::Body(Side::Request, ..) => "a request body",
            Self::Body(Side::Response, ..) => "a response body",
            Self::Piece(Side::Request, _) => "a piece of request body",
            Self::Piece(Side::Response, _) => "a piece of response body",
            Self::Trailers(Side::Request) => "request trailers",
            Self::Trailers(Side::Response) => "response trailers",
            Self::End => "the end of the stream",
        }
    }
}

pub(super) fn broken(how: impl Into<String>) -> Outcome {
    Outcome::Broken(Violation(how.into()))
}

/// Applies a mutation as Envoy does: removals first, system headers silently kept.
pub(super) fn apply(
    headers: &mut Vec<(String, Bytes)>,
    mutation: &HeaderMutation,
) -> Result<(), Outcome> {
    let kept = |name: &str| {
        matches!(name, "host" | ":authority" | ":method" | ":scheme")
            || name.starts_with("x-envoy-")
    };
    for name in &mutation.remove_headers {
        headers.retain(|(key, _)| key != name || key.starts_with(':') || key == "host");
    }
    for option in &mutation.set_headers {
        let Some(header) = &option.header else {
            return Err(broken("a header option without a header"));
        };
        if !header.value.is_empty()
            || option.append_action() != HeaderAppendAction::OverwriteIfExistsOrAdd
        {
            return Err(broken(format!(
                "{} is not an overwriting raw value",
                header.key
            )));
        }
        if kept(&header.key) {
            continue;
        }
        headers.retain(|(key, _)| *key != header.key);
        headers.push((header.key.clone(), Bytes::from(header.raw_value.clone())));
    }
    Ok(())
}

fn headers(
    side: Side,
    common: Option<CommonResponse>,
    metadata: Vec<(String, Value)>,
) -> Result<Reply, Outcome> {
    let common = common.unwrap_or_default();
    if common.body_mutation.is_some() || common.status != 0 {
        return Err(broken("a headers reply that replaces the body"));
    }
    Ok(Reply::Headers(
        side,
        edits(common.header_mutation, common.clear_route_cache, metadata),
    ))
}

fn body(
    side: Side,
    common: Option<CommonResponse>,
    metadata: Vec<(String, Value)>,
) -> Result<Reply, Outcome> {
    let common = common.unwrap_or_default();
    let edits = edits(common.header_mutation, common.clear_route_cache, metadata);
    match common.body_mutation.and_then(|it| it.mutation) {
        None => Ok(Reply::Body(side, edits, None)),
        Some(Mutation::Body(new)) => Ok(Reply::Body(side, edits, Some(new.into()))),
        Some(Mutation::ClearBody(_)) => Ok(Reply::Body(side, edits, Some(Bytes::new()))),
        Some(Mutation::StreamedResponse(piece)) => {
            check_size(&piece)?;
            Ok(Reply::Piece(side, piece))
        }
    }
}

fn edits(
    mutation: Option<HeaderMutation>,
    clear_route_cache: bool,
    metadata: Vec<(String, Value)>,
) -> Edits {
    Edits {
        mutation: mutation.unwrap_or_default(),
        clear_route_cache,
        metadata,
    }
}

fn check_size(piece: &StreamedBodyResponse) -> Result<(), Outcome> {
    if piece.body.len() > CHUNK {
        Err(broken(format!("a piece of {} bytes", piece.body.len())))
    } else {
        Ok(())
    }
}

fn immediate(answer: ImmediateResponse) -> Outcome {
    let mut headers = Vec::new();
    if let Err(outcome) = apply(&mut headers, &answer.headers.unwrap_or_default()) {
        return outcome;
    }
    let status = answer
        .status
        .and_then(|status| u16::try_from(status.code).ok())
        .unwrap_or_default();
    if !(200..600).contains(&status) {
        return broken(format!("an immediate response of status {status}"));
    }
    Outcome::Immediate(Answer {
        status,
        headers,
        body: answer.body.into(),
        details: answer.details,
        messages: 1,
    })
}

fn send_mode(mode: BodyMode) -> BodySendMode {
    match mode {
        BodyMode::None => BodySendMode::None,
        BodyMode::Streamed => BodySendMode::Streamed,
        BodyMode::Buffered => BodySendMode::Buffered,
        BodyMode::BufferedPartial => BodySendMode::BufferedPartial,
        BodyMode::FullDuplex => BodySendMode::FullDuplexStreamed,
    }
}
