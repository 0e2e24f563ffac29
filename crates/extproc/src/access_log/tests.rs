//! The log over real gRPC.

use super::*;
use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::data::accesslog::v3::{
    AccessLogCommon, HttpAccessLogEntry, HttpResponseProperties, TcpAccessLogEntry,
};
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_client::AccessLogServiceClient;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, LogEntries, TcpAccessLogEntries,
};
use envoy_types::pb::google::protobuf::{UInt32Value, Value};
use std::sync::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Endpoint, Server};

#[derive(Default)]
struct Notes(Mutex<Vec<LogEntry>>);

impl AccessLog for Notes {
    fn ended(&self, entry: LogEntry) {
        self.0.lock().unwrap().push(entry);
    }
}

fn millis(millis: i32) -> Option<WireDuration> {
    Some(WireDuration {
        seconds: i64::from(millis / 1_000),
        nanos: millis % 1_000 * 1_000_000,
    })
}

fn tagged(tag: Kind) -> AccessLogCommon {
    let fields = Struct {
        fields: [("id".to_owned(), Value { kind: Some(tag) })].into(),
    };
    AccessLogCommon {
        metadata: Some(Metadata {
            filter_metadata: [("ours".to_owned(), fields)].into(),
            ..Metadata::default()
        }),
        upstream_cluster: "small".to_owned(),
        time_to_first_upstream_tx_byte: millis(20),
        time_to_first_upstream_rx_byte: millis(70),
        time_to_last_downstream_tx_byte: millis(1_520),
        ..AccessLogCommon::default()
    }
}

fn entry(common: AccessLogCommon, status: u32) -> HttpAccessLogEntry {
    HttpAccessLogEntry {
        common_properties: Some(common),
        response: Some(HttpResponseProperties {
            response_code: Some(UInt32Value { value: status }),
            ..HttpResponseProperties::default()
        }),
        ..HttpAccessLogEntry::default()
    }
}

fn http(entries: Vec<HttpAccessLogEntry>) -> StreamAccessLogsMessage {
    let log_entries = Some(LogEntries::HttpLogs(HttpAccessLogEntries {
        log_entry: entries,
    }));
    StreamAccessLogsMessage {
        identifier: None,
        log_entries,
    }
}

fn one(tag: &str) -> LogEntry {
    LogEntry {
        tag: tag.to_owned(),
        status: 200,
        first_byte: Some(Duration::from_millis(50)),
        total: Some(Duration::from_millis(1_500)),
        cluster: "small".to_owned(),
        ending: Ending::Complete,
    }
}

#[tokio::test]
async fn entries_are_read_and_oddities_counted() {
    let (notes, stop) = (Arc::new(Notes::default()), CancellationToken::new());
    let logs = access_log(notes.clone(), "ours", "id", stop.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(logs.server());
    TaskTracker::new().spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = AccessLogServiceClient::new(channel);

    let text = |text: &str| Kind::StringValue(text.to_owned());
    let begin = AccessLogCommon {
        access_log_type: AccessLogType::DownstreamStart.into(),
        ..tagged(text("a"))
    };
    let odd_times = AccessLogCommon {
        time_to_first_upstream_tx_byte: Some(WireDuration {
            seconds: -1,
            nanos: -1,
        }),
        time_to_first_upstream_rx_byte: None,
        time_to_last_downstream_tx_byte: None,
        duration: millis(3),
        ..tagged(text("odd"))
    };
    let tcp = LogEntries::TcpLogs(TcpAccessLogEntries {
        log_entry: vec![TcpAccessLogEntry::default()],
    });
    let messages = [
        http(vec![entry(begin, 0), entry(tagged(text("a")), 200)]),
        http(vec![
            entry(AccessLogCommon::default(), 200),
            entry(tagged(Kind::NumberValue(1.0)), 200),
        ]),
        http(vec![HttpAccessLogEntry::default()]),
        StreamAccessLogsMessage {
            identifier: None,
            log_entries: Some(tcp),
        },
        StreamAccessLogsMessage::default(),
        http(vec![
            entry(odd_times, 70_000),
            entry(tagged(text("b")), 200),
        ]),
    ];
    client
        .stream_access_logs(tokio_stream::iter(messages))
        .await
        .unwrap();
    let odd = LogEntry {
        status: 0,
        first_byte: None,
        total: Some(Duration::from_millis(3)),
        ..one("odd")
    };
    assert_eq!(*notes.0.lock().unwrap(), [one("a"), odd, one("b")]);
    let counters = logs.counters();
    assert_eq!(
        (counters.entries(), counters.untagged(), counters.unusable()),
        (3, 2, 3)
    );

    let huge = AccessLogCommon {
        route_name: "x".repeat(MESSAGE_MAX + 1),
        ..tagged(text("c"))
    };
    assert!(
        client
            .stream_access_logs(tokio_stream::iter([http(vec![entry(huge, 200)])]))
            .await
            .is_err()
    );
    assert_eq!(counters.unusable(), 4);

    let (kept, open) = mpsc::channel::<StreamAccessLogsMessage>(1);
    stop.cancel();
    client
        .stream_access_logs(ReceiverStream::new(open))
        .await
        .unwrap();
    drop(kept);
}

#[test]
fn who_ended_it() {
    let check = |set: fn(&mut ResponseFlags), begun, expected: Ending| {
        let mut flags = ResponseFlags::default();
        set(&mut flags);
        assert_eq!(ending(&flags, begun), expected, "{flags:?}");
    };
    check(|_| {}, true, Ending::Complete);
    check(
        |flags| flags.upstream_connection_failure = true,
        false,
        Ending::UpstreamFailed,
    );
    check(
        |flags| flags.upstream_connection_termination = true,
        true,
        Ending::UpstreamFailed,
    );
    check(
        |flags| flags.no_healthy_upstream = true,
        false,
        Ending::UpstreamFailed,
    );
    check(
        |flags| flags.downstream_connection_termination = true,
        true,
        Ending::ClientLeft,
    );
    check(
        |flags| flags.downstream_remote_reset = true,
        true,
        Ending::ClientLeft,
    );
    check(|flags| flags.rate_limited = true, false, Ending::Refused);
    check(
        |flags| flags.stream_idle_timeout = true,
        false,
        Ending::UpstreamFailed,
    );
    check(
        |flags| flags.stream_idle_timeout = true,
        true,
        Ending::ClientLeft,
    );
    let both = |flags: &mut ResponseFlags| {
        flags.upstream_remote_reset = true;
        flags.downstream_connection_termination = true;
    };
    check(both, true, Ending::UpstreamFailed);
}
