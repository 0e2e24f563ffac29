//! What is read of Envoy's access log messages.
//!
//! An entry tells all about a request: its headers, addresses, certificates. Few fields of it are
//! read here, and to build the others would cost as much as to route a small request; so the
//! messages are declared with these fields alone, and the others are passed over.

use super::AccessLogs;
use bytes::Bytes;
use envoy_types::pb::envoy::data::accesslog::v3::ResponseFlags;
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsResponse;
use envoy_types::pb::google::protobuf::{Duration, UInt32Value};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::{Service, StdError};
use tonic::server::{ClientStreamingService, Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};

/// `StreamAccessLogsMessage`. TCP entries are not read.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LogsMessage {
    #[prost(message, optional, tag = "2")]
    pub(super) http_logs: Option<HttpEntries>,
}

/// `StreamAccessLogsMessage.HTTPAccessLogEntries`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpEntries {
    #[prost(message, repeated, tag = "1")]
    pub(super) log_entry: Vec<HttpEntry>,
}

/// `HTTPAccessLogEntry`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpEntry {
    #[prost(message, optional, tag = "1")]
    pub(super) common_properties: Option<Common>,
    #[prost(message, optional, tag = "4")]
    pub(super) response: Option<HttpResponse>,
}

/// `AccessLogCommon`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Common {
    #[prost(message, optional, tag = "7")]
    pub(super) time_to_first_upstream_tx_byte: Option<Duration>,
    #[prost(message, optional, tag = "9")]
    pub(super) time_to_first_upstream_rx_byte: Option<Duration>,
    #[prost(message, optional, tag = "12")]
    pub(super) time_to_last_downstream_tx_byte: Option<Duration>,
    #[prost(string, tag = "15")]
    pub(super) upstream_cluster: String,
    #[prost(message, optional, tag = "16")]
    pub(super) response_flags: Option<ResponseFlags>,
    #[prost(message, optional, tag = "17")]
    pub(super) metadata: Option<Metadata>,
    #[prost(message, optional, tag = "23")]
    pub(super) duration: Option<Duration>,
    #[prost(int32, tag = "33")]
    pub(super) access_log_type: i32,
}

/// `core.Metadata`, each namespace's `Struct` still encoded: only one of them is read.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(btree_map = "string, bytes", tag = "1")]
    pub(super) filter_metadata: BTreeMap<String, Bytes>,
}

/// `HTTPResponseProperties`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) response_code: Option<UInt32Value>,
}

/// The access log service as a tonic server takes it.
#[derive(Clone)]
pub struct AccessLogServer(pub(super) AccessLogs);

impl NamedService for AccessLogServer {
    const NAME: &'static str = "envoy.service.accesslog.v3.AccessLogService";
}

impl<B> Service<http::Request<B>> for AccessLogServer
where
    B: tonic::codegen::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let logs = self.0.clone();
        Box::pin(async move {
            if !request.uri().path().ends_with("/StreamAccessLogs") {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let codec = tonic_prost::ProstCodec::default();
            let limit = Some(super::MESSAGE_MAX);
            let mut grpc = Grpc::new(codec).apply_max_message_size_config(limit, None);
            Ok(grpc.client_streaming(Streamed(logs), request).await)
        })
    }
}

struct Streamed(AccessLogs);

impl ClientStreamingService<LogsMessage> for Streamed {
    type Response = StreamAccessLogsResponse;
    type Future = BoxFuture<'static, Result<Response<StreamAccessLogsResponse>, Status>>;

    fn call(&mut self, request: Request<Streaming<LogsMessage>>) -> Self::Future {
        let logs = self.0.clone();
        Box::pin(async move { logs.stream(request.into_inner()).await })
    }
}
