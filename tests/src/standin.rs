//! A do-nothing ext_proc server: the floor that Merit's cost is measured against, the second filter
//! of a chain, and the means of finding out how Envoy takes what Merit never sends. It also stands
//! for two filters of others: that of an AI gateway and an endpoint picker.

use crate::listener::Address;
use anyhow::Result;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Frame;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response as Reply;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, HttpBody,
    HttpHeaders, ProcessingRequest, ProcessingResponse, StreamedBodyResponse, TrailersResponse,
    body_mutation::Mutation,
};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// What the stand-in does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers every frame at once and changes nothing.
    Pass,
    /// Waits for the whole body, sends it on unchanged and routes to `large`; stays until Envoy
    /// hangs up.
    Route,
    /// As [`Behaviour::Route`], then ends its stream with OK.
    RouteAndLeave,
    /// Ends its stream with OK instead of answering the whole body.
    LeaveUnanswered,
    /// As an AI gateway (BUFFERED): sets `x-ai-eg-model` from the body's `model`, and has the route
    /// chosen again.
    NameModel,
    /// As an endpoint picker (full duplex): sends the body on unchanged, with the server to go to
    /// in `x-gateway-destination-endpoint`.
    Pick(SocketAddr),
}

/// One exchange as the stand-in saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// Request headers, pseudo headers included.
    pub headers: Vec<(String, String)>,
    /// The request body so far.
    pub body: Vec<u8>,
}

impl Passed {
    /// A header; empty if absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }
}

/// A running stand-in; ends when dropped.
pub struct StandIn {
    address: SocketAddr,
    passed: Arc<Mutex<Vec<Passed>>>,
    _serving: JoinSet<()>,
}

impl StandIn {
    /// Starts on a free port.
    ///
    /// # Errors
    /// The system has no port to give.
    pub async fn start(behaviour: Behaviour) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let passed = Arc::default();
        let service = Service {
            behaviour,
            passed: Arc::clone(&passed),
        };
        let service = ExternalProcessorServer::new(service).max_decoding_message_size(usize::MAX);
        let server = tonic::transport::Server::builder()
            .initial_connection_window_size(4 << 20)
            .initial_stream_window_size(1 << 20)
            .add_service(service);
        // The server's own setting is for listeners that it binds itself.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            server
                .serve_with_incoming(incoming)
                .await
                .unwrap_or_default()
        });
        Ok(Self {
            address,
            passed,
            _serving: serving,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::Tcp(self.address)
    }

    /// The finished exchanges whose request carried `x-case: case`.
    #[must_use]
    pub fn passed_in(&self, case: &str) -> Vec<Passed> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed
            .iter()
            .filter(|passed| passed.header("x-case") == case)
            .cloned()
            .collect()
    }
}

struct Service {
    behaviour: Behaviour,
    passed: Arc<Mutex<Vec<Passed>>>,
}

type Replies = mpsc::Sender<Result<ProcessingResponse, Status>>;

#[tonic::async_trait]
impl ExternalProcessor for Service {
    type ProcessStream = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let (replies, stream) = mpsc::channel(64);
        let exchange = Exchange {
            behaviour: self.behaviour,
            duplex: false,
            seen: Passed::default(),
            replies,
        };
        let passed = Arc::clone(&self.passed);
        let frames = request.into_inner();
        let mut tasks = JoinSet::new();
        tasks.spawn(exchange.run(frames, passed));
        tasks.detach_all();
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

struct Exchange {
    behaviour: Behaviour,
    duplex: bool,
    seen: Passed,
    replies: Replies,
}

impl Exchange {
    async fn run(
        mut self,
        mut frames: Streaming<ProcessingRequest>,
        passed: Arc<Mutex<Vec<Passed>>>,
    ) {
        while let Some(Ok(message)) = frames.next().await {
            if let Some(config) = message.protocol_config {
                self.duplex = config.request_body_mode == BodySendMode::FullDuplexStreamed as i32;
            }
            let Some(frame) = message.request else {
                continue;
            };
            if self.take(frame).await.is_none() {
                break;
            }
        }
        // Benches send millions of requests; only those of a test's case are kept.
        if !self.seen.header("x-case").is_empty() {
            passed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(self.seen);
        }
    }

    /// Answers one frame; `None` ends the stream.
    async fn take(&mut self, frame: Frame) -> Option<()> {
        match frame {
            Frame::RequestHeaders(headers) => self.head(headers).await,
            Frame::RequestBody(body) => self.body(body).await,
            Frame::RequestTrailers(_) => self.trailers().await,
            Frame::ResponseHeaders(_) => {
                self.say(Reply::ResponseHeaders(HeadersResponse::default()))
                    .await
            }
            Frame::ResponseBody(body) => {
                let response = self.duplex.then(|| echo(body.body, body.end_of_stream));
                self.say(Reply::ResponseBody(BodyResponse { response }))
                    .await
            }
            Frame::ResponseTrailers(_) => {
                self.say(Reply::ResponseTrailers(TrailersResponse::default()))
                    .await
            }
        }
    }

    async fn head(&mut self, head: HttpHeaders) -> Option<()> {
        self.seen.headers = readable(head.headers.unwrap_or_default());
        if self.behaviour == Behaviour::Pass || head.end_of_stream || !self.duplex {
            let waits = matches!(self.behaviour, Behaviour::Pass | Behaviour::NameModel);
            let response = (!waits).then(|| self.route());
            return self
                .say(Reply::RequestHeaders(HeadersResponse { response }))
                .await;
        }
        Some(())
    }

    async fn body(&mut self, piece: HttpBody) -> Option<()> {
        // What a bench sends through is nobody's to read.
        if self.behaviour != Behaviour::Pass || !self.seen.header("x-case").is_empty() {
            self.seen.body.extend_from_slice(&piece.body);
        }
        match (self.behaviour, self.duplex) {
            (Behaviour::Pass, true) => {
                let response = Some(echo(piece.body, piece.end_of_stream));
                self.say(Reply::RequestBody(BodyResponse { response }))
                    .await
            }
            (Behaviour::LeaveUnanswered, _) => None,
            (Behaviour::NameModel, _) => {
                let body: serde_json::Value =
                    serde_json::from_slice(&self.seen.body).unwrap_or_default();
                let response = Some(routed(
                    "x-ai-eg-model",
                    body["model"].as_str().unwrap_or_default(),
                ));
                self.say(Reply::RequestBody(BodyResponse { response }))
                    .await
            }
            (_, false) => {
                self.say(Reply::RequestBody(BodyResponse::default()))
                    .await?;
                self.leave()
            }
            (_, true) if piece.end_of_stream => {
                self.send_on(true).await?;
                self.leave()
            }
            (_, true) => Some(()),
        }
    }

    async fn trailers(&mut self) -> Option<()> {
        if self.behaviour != Behaviour::Pass {
            self.send_on(false).await?;
        }
        self.say(Reply::RequestTrailers(TrailersResponse::default()))
            .await?;
        self.leave()
    }

    /// The deferred reply of full duplex: headers, then the whole body in pieces below Envoy's
    /// limit.
    async fn send_on(&mut self, ends: bool) -> Option<()> {
        let response = Some(self.route());
        self.say(Reply::RequestHeaders(HeadersResponse { response }))
            .await?;
        let body = self.seen.body.clone();
        let pieces = body.chunks(62_000).count();
        for (index, piece) in body.chunks(62_000).enumerate() {
            let response = Some(echo(piece.to_vec(), ends && index + 1 == pieces));
            self.say(Reply::RequestBody(BodyResponse { response }))
                .await?;
        }
        Some(())
    }

    fn route(&self) -> CommonResponse {
        match self.behaviour {
            // The route stays: it is the pool's, and the server is one of it.
            Behaviour::Pick(server) => {
                let picked = routed("x-gateway-destination-endpoint", &server.to_string());
                CommonResponse {
                    clear_route_cache: false,
                    ..picked
                }
            }
            _ => routed("x-selected-model", "large"),
        }
    }

    fn leave(&self) -> Option<()> {
        (self.behaviour != Behaviour::RouteAndLeave).then_some(())
    }

    async fn say(&self, reply: Reply) -> Option<()> {
        let message = ProcessingResponse {
            response: Some(reply),
            ..ProcessingResponse::default()
        };
        self.replies.send(Ok(message)).await.ok()
    }
}

fn echo(body: Vec<u8>, end_of_stream: bool) -> CommonResponse {
    let piece = StreamedBodyResponse {
        body,
        end_of_stream,
        ..StreamedBodyResponse::default()
    };
    CommonResponse {
        body_mutation: Some(BodyMutation {
            mutation: Some(Mutation::StreamedResponse(piece)),
        }),
        ..CommonResponse::default()
    }
}

fn routed(name: &str, value: &str) -> CommonResponse {
    let header = HeaderValue {
        key: name.to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..HeaderValue::default()
    };
    CommonResponse {
        header_mutation: Some(HeaderMutation {
            set_headers: vec![HeaderValueOption {
                header: Some(header),
                ..HeaderValueOption::default()
            }],
            ..HeaderMutation::default()
        }),
        clear_route_cache: true,
        ..CommonResponse::default()
    }
}

fn readable(headers: HeaderMap) -> Vec<(String, String)> {
    let text = |header: HeaderValue| {
        (
            header.key,
            String::from_utf8_lossy(&header.raw_value).into_owned(),
        )
    };
    headers.headers.into_iter().map(text).collect()
}
