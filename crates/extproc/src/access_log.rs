//! Envoy's gRPC access log: how requests ended, told after the fact.
//!
//! No ext_proc stream need be held while a model generates: each worker of Envoy keeps one log
//! stream for all its requests. Requests are known again by a tag, a string that was put into their
//! dynamic metadata. Entries without it, and whatever else comes, are counted and passed over.

mod wire;

use crate::counters::Count;
use envoy_types::pb::envoy::data::accesslog::v3::{AccessLogType, ResponseFlags};
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsResponse;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Duration as WireDuration, Struct};
use prost::Message as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Code, Response, Status, Streaming};

pub use wire::AccessLogServer;

/// Streams at a time: one per worker of each gateway.
const STREAMS_MAX: usize = 1_024;
/// Bytes of one message; Envoy's buffer is 16 KiB unless configured otherwise.
const MESSAGE_MAX: usize = 4 << 20;

/// Learns how requests ended.
pub trait AccessLog: Send + Sync + 'static {
    /// One request is over. Called once per entry, in the order of the stream; must not block.
    fn ended(&self, entry: LogEntry);
}

/// How one request ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogEntry {
    /// The string by which the request is known again.
    pub tag: String,
    /// HTTP status that the client got; 0 if none.
    pub status: u16,
    /// From the first byte sent to the upstream to the first that came back.
    pub first_byte: Option<Duration>,
    /// From the first byte sent to the upstream to the last sent to the client.
    pub total: Option<Duration>,
    /// The cluster that the request was sent to; empty if none.
    pub cluster: String,
    /// Who ended it.
    pub ending: Ending,
}

/// Who ended a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ending {
    /// The upstream answered, and the answer went out as a whole.
    #[default]
    Complete,
    /// The upstream could not be reached, or broke off, or took too long.
    UpstreamFailed,
    /// The client went away.
    ClientLeft,
    /// The gateway itself turned the request down, for reasons that are not the upstream's.
    Refused,
}

/// A service that hands `log` the entries whose dynamic metadata has a string at `namespace` and
/// `key`. Its streams end with `stop`.
pub fn access_log(
    log: Arc<dyn AccessLog>,
    namespace: &str,
    key: &str,
    stop: CancellationToken,
) -> AccessLogs {
    let (namespace, key) = (namespace.to_owned(), key.to_owned());
    let counters = LogCounters::default();
    let shared = Shared {
        log,
        namespace,
        key,
        stop,
        counters,
        tracker: TaskTracker::new(),
    };
    AccessLogs(Arc::new(shared))
}

/// The access log service. Clones share everything.
#[derive(Clone)]
pub struct AccessLogs(Arc<Shared>);

struct Shared {
    log: Arc<dyn AccessLog>,
    namespace: String,
    key: String,
    stop: CancellationToken,
    counters: LogCounters,
    tracker: TaskTracker,
}

/// What came over access log streams.
#[derive(Debug, Default)]
pub struct LogCounters {
    entries: Count,
    untagged: Count,
    unusable: Count,
}

impl LogCounters {
    /// Entries that were handed on.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries.get()
    }

    /// Entries of requests that bear no tag: they were not routed.
    #[must_use]
    pub fn untagged(&self) -> u64 {
        self.untagged.get()
    }

    /// Messages and entries that make no sense here: not HTTP, without properties, not readable,
    /// too large.
    #[must_use]
    pub fn unusable(&self) -> u64 {
        self.unusable.get()
    }
}

impl AccessLogs {
    /// The service to add to a tonic server.
    #[must_use]
    pub fn server(&self) -> AccessLogServer {
        AccessLogServer(self.clone())
    }

    /// What came so far.
    #[must_use]
    pub fn counters(&self) -> &LogCounters {
        &self.0.counters
    }

    fn take(&self, message: wire::LogsMessage) {
        let Shared {
            log,
            namespace,
            key,
            counters,
            ..
        } = &*self.0;
        let Some(entries) = message.http_logs else {
            counters.unusable.add();
            return;
        };
        for entry in entries.log_entry {
            match read(entry, namespace, key) {
                Read::Entry(entry) => {
                    counters.entries.add();
                    log.ended(*entry);
                }
                Read::Untagged => counters.untagged.add(),
                Read::Unusable => counters.unusable.add(),
                Read::Passing => {}
            }
        }
    }
}

impl AccessLogs {
    /// Takes messages until the gateway goes away.
    async fn stream(
        &self,
        mut messages: Streaming<wire::LogsMessage>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        if self.0.tracker.len() >= STREAMS_MAX {
            return Err(Status::resource_exhausted("too many access log streams"));
        }
        let _open = self.0.tracker.token();
        while let Some(next) = self.0.stop.run_until_cancelled(messages.message()).await {
            match next {
                Ok(Some(message)) => self.take(message),
                Ok(None) => break,
                Err(status) if is_unreadable(&status) => {
                    self.0.counters.unusable.add();
                    return Err(status);
                }
                // A gateway that goes away resets its streams.
                Err(_) => break,
            }
        }
        Ok(Response::new(StreamAccessLogsResponse::default()))
    }
}

/// What came cannot be read as a message; anything else is the transport's end.
fn is_unreadable(status: &Status) -> bool {
    let from_transport = std::error::Error::source(status).is_some();
    !from_transport
        && matches!(
            status.code(),
            Code::Internal | Code::OutOfRange | Code::Unimplemented
        )
}

impl fmt::Debug for AccessLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogs")
            .field("counters", &self.0.counters)
            .field("open", &self.0.tracker.len())
            .finish()
    }
}

enum Read {
    Entry(Box<LogEntry>),
    /// Not the request's end.
    Passing,
    Untagged,
    Unusable,
}

fn read(entry: wire::HttpEntry, namespace: &str, key: &str) -> Read {
    let Some(common) = entry.common_properties else {
        return Read::Unusable;
    };
    if !is_end(&common) {
        return Read::Passing;
    }
    let Some(tag) = tag(&common, namespace, key) else {
        return Read::Untagged;
    };
    let status = entry
        .response
        .and_then(|response| response.response_code)
        .map_or(0, |code| code.value);
    let sent = time(common.time_to_first_upstream_tx_byte);
    let begun = common.time_to_first_upstream_rx_byte.is_some();
    let ending = match ending(&common.response_flags.unwrap_or_default(), begun) {
        // Another filter answered: the upstream has seen nothing of it.
        Ending::Complete if common.time_to_first_upstream_tx_byte.is_none() => Ending::Refused,
        ending => ending,
    };
    let since_sent = |at: Option<Duration>| Some(at?.saturating_sub(sent.unwrap_or_default()));
    Read::Entry(Box::new(LogEntry {
        tag,
        status: u16::try_from(status).unwrap_or(0),
        first_byte: since_sent(time(common.time_to_first_upstream_rx_byte)),
        total: since_sent(
            time(common.time_to_last_downstream_tx_byte).or_else(|| time(common.duration)),
        ),
        ending,
        cluster: common.upstream_cluster,
    }))
}

/// Entries may also be asked for at a request's begin and periodically.
fn is_end(common: &wire::Common) -> bool {
    matches!(
        AccessLogType::try_from(common.access_log_type),
        Ok(AccessLogType::NotSet | AccessLogType::DownstreamEnd) | Err(_)
    )
}

fn tag(common: &wire::Common, namespace: &str, key: &str) -> Option<String> {
    let metadata = common.metadata.as_ref()?.filter_metadata.get(namespace)?;
    let mut fields = Struct::decode(metadata.clone()).ok()?.fields;
    match fields.remove(key)?.kind? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

fn time(wire: Option<WireDuration>) -> Option<Duration> {
    let wire = wire?;
    Some(Duration::new(
        u64::try_from(wire.seconds).ok()?,
        u32::try_from(wire.nanos).ok()?,
    ))
}

/// What the upstream did counts first: a client often leaves because of it. Silence in an answer
/// that has `begun` may as well be a client that reads no further.
fn ending(flags: &ResponseFlags, begun: bool) -> Ending {
    let upstream = flags.no_healthy_upstream
        || flags.upstream_request_timeout
        || flags.upstream_remote_reset
        || flags.upstream_connection_failure
        || flags.upstream_connection_termination
        || flags.upstream_overflow
        || flags.upstream_retry_limit_exceeded
        || flags.upstream_max_stream_duration_reached
        || flags.upstream_protocol_error
        || flags.dns_resolution_failure
        || flags.no_cluster_found
        || (flags.stream_idle_timeout && !begun);
    let refused = flags.rate_limited
        || flags.rate_limit_service_error
        || flags.unauthorized_details.is_some()
        || flags.fault_injected
        || flags.no_route_found
        || flags.no_filter_config_found
        || flags.invalid_envoy_request_headers
        || flags.overload_manager
        || flags.local_reset
        || flags.duration_timeout;
    let left = flags.downstream_connection_termination
        || flags.downstream_remote_reset
        || flags.downstream_protocol_error
        || flags.stream_idle_timeout;
    match (upstream, left, refused) {
        (true, ..) => Ending::UpstreamFailed,
        (_, true, _) => Ending::ClientLeft,
        (.., true) => Ending::Refused,
        _ => Ending::Complete,
    }
}

#[cfg(test)]
mod tests;
