//! Every end that a request may come to makes exactly one record.

use super::{Opened, start};
use crate::engine::Generation;
use crate::engine::tests::preparer;
use crate::exchange::LlmExchanges;
use crate::metrics::Metrics;
use crate::models::tests::Scripted;
use crate::reload::{Live, Reloader};
use crate::shutdown::Tasks;
use crate::telemetry::Tracing;
use bytes::Bytes;
use extproc::{
    BodyReply, BodyStep, Ending, Exchange, Exchanges as _, Fault, Headers, LogEntry, RequestHead,
    ResponseHead, ResponseInterest,
};
use inference::fake::Fake;
use records::record::{DecisionRecord, Lifecycle, Outcome};
use records::store::{Filter, Kept, Paging};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Two models with prices, a decision that answers itself, and a boundary.
const DOCUMENT: &str = "{version: v0.3, providers: {defaults: {default_model: small}, models: [\
    {name: small, backend_refs: [{endpoint: 'b:1'}], pricing: {currency: EUR, prompt_per_1m: 1, completion_per_1m: 2}},\
    {name: large, backend_refs: [{endpoint: 'b:2'}], pricing: {currency: EUR, prompt_per_1m: 10, completion_per_1m: 20}}]},\
    routing: {modelCards: [{name: small}, {name: large}],\
    signals: {keywords: [{name: hi, operator: OR, keywords: [hello]}, {name: hard, operator: OR, keywords: [theorem]},\
        {name: secret, operator: OR, keywords: [secret]}, {name: off, operator: OR, keywords: [unrecorded]}]},\
    boundaries: [{name: kept, when: {type: keyword, name: secret}, allow: {models: [small]}}],\
    decisions: [\
    {name: greet, priority: 9, rules: {operator: OR, conditions: [{type: keyword, name: hi}]},\
        modelRefs: [{model: small}], plugins: [{type: fast_response, configuration: {message: welcome}}]},\
    {name: quiet, priority: 8, rules: {operator: OR, conditions: [{type: keyword, name: off}]},\
        modelRefs: [{model: small}], plugins: [{type: router_replay, configuration: {enabled: false}}]},\
    {name: hard, priority: 5, rules: {operator: OR, conditions: [{type: keyword, name: hard}]},\
        modelRefs: [{model: large}],\
        plugins: [{type: router_replay, configuration: {capture_request_body: true, max_body_bytes: 60}}]}]},\
    global: {services: {router_replay: {enabled: true}}, server: {pool: {access_log: LOGGED}}}}";

/// A process without its listeners.
pub(crate) struct Bench {
    pub(crate) live: Arc<Live<Generation>>,
    exchanges: LlmExchanges,
    pub(crate) opened: Opened,
    _tasks: Tasks,
}

impl Bench {
    /// Serves this document.
    pub(crate) fn of(document: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("merit.yaml");
        std::fs::write(&file, document).unwrap();
        let preparer = preparer(Scripted::new(Fake::default()));
        let metrics: Arc<Metrics> = preparer.metrics.clone();
        let reloader =
            Reloader::first(file, preparer).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let (live, tasks) = (reloader.live(), Tasks::default());
        let opened = start(&live, &tasks, &metrics).unwrap();
        let exchanges = LlmExchanges::new(Arc::clone(&live), metrics, Tracing::off())
            .recorded(Some(opened.clone()));
        Self {
            live,
            exchanges,
            opened,
            _tasks: tasks,
        }
    }

    fn logged(access_log: bool) -> Self {
        Self::of(&DOCUMENT.replace("LOGGED", &access_log.to_string()))
    }

    /// All records, youngest first.
    pub(crate) async fn records(&self) -> Vec<Kept> {
        self.opened.settled().await;
        let paging = Paging {
            limit: 100,
            offset: 0,
        };
        let every = Filter::default();
        let page = self.opened.store.list(&every, paging, true);
        page.await.unwrap().records
    }

    /// The one record that there is.
    pub(crate) async fn only(&self) -> Kept {
        let mut records = self.records().await;
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    /// A request whose headers have come.
    async fn begin(&self, headers: &[(&str, &str)], offer: ResponseInterest) -> Box<dyn Exchange> {
        let mut exchange = self.exchanges.open();
        exchange.deadline(Instant::now() + Duration::from_secs(5));
        exchange.request_headers(head(headers, offer)).await;
        exchange
    }

    /// A chat request that was decided on.
    pub(crate) async fn chat(&self, body: &str, offer: ResponseInterest) -> Sent {
        let mut exchange = self.begin(&CHAT, offer).await;
        let step = exchange.request_body(body.to_owned().into()).await;
        Sent { exchange, step }
    }
}

const CHAT: [(&str, &str); 4] = [
    (":method", "POST"),
    (":path", "/v1/chat/completions"),
    ("x-request-id", "r-1"),
    ("x-session-id", "s-1"),
];

fn head(headers: &[(&str, &str)], offer: ResponseInterest) -> RequestHead {
    let entries = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string().into()));
    RequestHead {
        headers: Headers::new(entries.collect()),
        offer,
        ..RequestHead::default()
    }
}

fn asking(model: &str, text: &str) -> String {
    format!(r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "{text}"}}]}}"#)
}

/// A request, and what became of it first.
pub(crate) struct Sent {
    pub(crate) exchange: Box<dyn Exchange>,
    pub(crate) step: BodyStep,
}

impl Sent {
    fn reply(&self) -> &BodyReply {
        match &self.step {
            BodyStep::Forward(reply) => reply,
            other => panic!("not forwarded: {other:?}"),
        }
    }

    fn key(&self) -> u64 {
        let tag = self.reply().metadata["merit"]["dispatch"].as_str().unwrap();
        u64::from_str_radix(tag, 16).unwrap()
    }

    pub(crate) async fn headers(&mut self, status: &str, kind: &str) {
        let entries = [(":status", status), ("content-type", kind)];
        let entries = entries.map(|(name, value)| (name.to_owned(), value.to_owned().into()));
        let head = ResponseHead {
            headers: Headers::new(entries.to_vec()),
            ..ResponseHead::default()
        };
        self.exchange.response_headers(head).await;
    }

    pub(crate) fn chunk(&mut self, bytes: &'static str, end: bool) {
        self.exchange
            .response_chunk(&Bytes::from_static(bytes.as_bytes()), end);
    }
}

const USAGE: &str = r#"{"id": "c", "choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}"#;
const EVENT: &str = "data: {\"choices\": [{\"delta\": {\"content\": \"x\"}}]}\n\n";
const ERROR: &str = "data: {\"error\": {\"message\": \"broken\"}}\n\n";

fn check(record: &DecisionRecord, expected: (Outcome, Lifecycle, u32, &str)) {
    let found = (
        record.outcome(),
        record.lifecycle(),
        record.response_status,
        record.terminal_reason.as_str(),
    );
    assert_eq!(found, expected, "{record:?}");
}

const UNKNOWN: Lifecycle = Lifecycle::Unspecified;

#[tokio::test]
async fn an_answer_that_is_seen_completes_the_record() {
    let bench = Bench::logged(false);
    let text = asking("auto", "prove a theorem, and keep this line long enough");
    let mut sent = bench.chat(&text, ResponseInterest::Body).await;
    let id = sent.reply().metadata["merit"]["x-vsr-replay-id"].clone();
    sent.headers("200", "application/json").await;
    sent.chunk(USAGE, true);
    sent.exchange.closed();
    drop(sent);
    let Kept { record, captured } = bench.only().await;
    check(
        &record,
        (
            Outcome::Routed,
            Lifecycle::Completed,
            200,
            "response_complete",
        ),
    );
    assert_eq!(id, record.id.as_str());
    assert_eq!(record.request_id, "r-1");
    assert_eq!(record.session_id, "s-1");
    assert_eq!(record.requested_model, "auto");
    assert_eq!(record.selected_model, "large");
    let decision = record.decision.unwrap();
    assert_eq!((decision.name.as_str(), decision.priority), ("hard", 5));
    assert_eq!(decision.matched[0].name, "hard");
    let tokens = record.tokens.unwrap();
    assert_eq!((tokens.input, tokens.output), (1_000, 100));
    let cost = record.cost.unwrap();
    assert_eq!((cost.currency.as_str(), cost.nanos), ("EUR", 12_000_000));
    let body = captured.unwrap().request_body.unwrap();
    assert_eq!((body.text.len(), body.truncated), (60, true));
    assert!(text.starts_with(&body.text));
}

#[tokio::test]
async fn every_end_makes_one_record() {
    use Outcome::{Answered, PassedThrough, Refused, Routed};
    use ResponseInterest::{Body, Nothing};
    let (failed, aborted) = (Lifecycle::Failed, Lifecycle::Aborted);
    let gone = |bench: &Bench, sent: Sent| {
        drop(sent);
        assert!(bench.live.load().router.records());
    };

    // The client names the model.
    let bench = Bench::logged(false);
    let mut sent = bench.chat(&asking("small", "x"), Body).await;
    sent.headers("200", "application/json").await;
    sent.chunk(USAGE, true);
    gone(&bench, sent);
    let expected = (
        PassedThrough,
        Lifecycle::Completed,
        200,
        "response_complete",
    );
    check(&bench.only().await.record, expected);

    // A plugin answers.
    let bench = Bench::logged(false);
    gone(&bench, bench.chat(&asking("auto", "hello"), Body).await);
    let expected = (Answered, Lifecycle::Completed, 200, "response_complete");
    check(&bench.only().await.record, expected);

    // Refused before it is read, by name, by a boundary.
    for (body, status) in [
        ("no json".to_owned(), 400),
        (asking("nobody", "x"), 404),
        (asking("large", "a secret"), 403),
    ] {
        let bench = Bench::logged(false);
        gone(&bench, bench.chat(&body, Body).await);
        let record = bench.only().await.record;
        let expected = (Refused, failed, status, "request_processing_failed");
        check(&record, expected);
        assert_eq!(record.refused_status, Some(status));
    }

    // Faults of the protocol: before the body, and where no exchange begins at all.
    let bench = Bench::logged(false);
    let mut exchange = bench.begin(&CHAT, Body).await;
    exchange.fault(Fault::BodyTooLarge { limit: 5 });
    drop(exchange);
    let expected = (Refused, failed, 413, "request_processing_failed");
    check(&bench.only().await.record, expected);
    let bench = Bench::logged(false);
    let mut exchange = bench.exchanges.open();
    exchange.refuse(&head(&CHAT, Body), Fault::Overloaded);
    drop(exchange);
    let expected = (Refused, failed, 503, "request_processing_failed");
    check(&bench.only().await.record, expected);

    // A body on a path that is not read, under a policy that guards text.
    let bench = Bench::logged(false);
    let path = [
        (":method", "POST"),
        (":path", "/v1/files"),
        ("content-length", "5"),
    ];
    drop(bench.begin(&path, Body).await);
    let expected = (Refused, failed, 404, "request_processing_failed");
    check(&bench.only().await.record, expected);

    // The client leaves before its request has come.
    let bench = Bench::logged(false);
    drop(bench.begin(&CHAT, Body).await);
    let record = bench.only().await.record;
    assert_eq!(record.lifecycle(), aborted);
    assert_eq!(record.terminal_reason, "request_canceled");

    // Nobody sees the answer, or only its head.
    let bench = Bench::logged(false);
    gone(&bench, bench.chat(&asking("auto", "x"), Nothing).await);
    check(
        &bench.only().await.record,
        (Routed, UNKNOWN, 0, "end_not_seen"),
    );
    let bench = Bench::logged(false);
    let mut sent = bench
        .chat(&asking("auto", "x"), ResponseInterest::Headers)
        .await;
    sent.headers("200", "application/json").await;
    sent.exchange.closed();
    gone(&bench, sent);
    check(
        &bench.only().await.record,
        (Routed, UNKNOWN, 200, "end_not_seen"),
    );

    // The backend fails: at once, in its stream, and by breaking off.
    let bench = Bench::logged(false);
    let mut sent = bench.chat(&asking("auto", "x"), Body).await;
    sent.headers("503", "text/plain").await;
    sent.chunk("no", true);
    gone(&bench, sent);
    let expected = (Routed, failed, 503, "upstream_error_response");
    check(&bench.only().await.record, expected);
    let bench = Bench::logged(false);
    let mut sent = bench.chat(&asking("auto", "x"), Body).await;
    sent.headers("200", "text/event-stream").await;
    sent.chunk(EVENT, false);
    sent.chunk(ERROR, true);
    gone(&bench, sent);
    let record = bench.only().await.record;
    check(&record, (Routed, failed, 200, "upstream_error_response"));
    assert!(record.streamed);
    let bench = Bench::logged(false);
    let mut sent = bench.chat(&asking("auto", "x"), Body).await;
    sent.headers("200", "text/event-stream").await;
    sent.chunk(EVENT, false);
    sent.exchange.closed();
    gone(&bench, sent);
    let expected = (
        Routed,
        aborted,
        200,
        "stream_ended_before_terminal_response",
    );
    check(&bench.only().await.record, expected);
}

#[tokio::test]
async fn the_access_log_completes_what_nobody_sees() {
    let (failed, aborted) = (Lifecycle::Failed, Lifecycle::Aborted);
    for (status, ending, expected) in [
        (
            200,
            Ending::Complete,
            (Lifecycle::Completed, "response_complete"),
        ),
        (429, Ending::Complete, (failed, "upstream_error_response")),
        (
            503,
            Ending::UpstreamFailed,
            (failed, "upstream_error_response"),
        ),
        (
            200,
            Ending::UpstreamFailed,
            (failed, "stream_ended_before_terminal_response"),
        ),
        (200, Ending::ClientLeft, (aborted, "client_canceled")),
        (503, Ending::Refused, (failed, "gateway_refused")),
    ] {
        let bench = Bench::logged(true);
        let sent = bench
            .chat(&asking("auto", "x"), ResponseInterest::Nothing)
            .await;
        let key = sent.key();
        drop(sent);
        assert_eq!(bench.records().await.len(), 0, "the log has not come yet");
        let entry = LogEntry {
            status,
            ending,
            total: Some(Duration::from_millis(70)),
            ..LogEntry::default()
        };
        bench.opened.recording.logged(key, entry.clone());
        bench.opened.recording.logged(key, entry);
        let record = bench.only().await.record;
        let (lifecycle, reason) = expected;
        check(&record, (Outcome::Routed, lifecycle, status.into(), reason));
        assert!(record.tokens.is_none() && record.cost.is_none());
        assert!(record.timings.unwrap().completion.is_some());
    }
}

/// What was seen of a body, and what the log says of its end, come together.
#[tokio::test]
async fn a_part_and_the_log_make_one_record() {
    let bench = Bench::logged(true);
    let mut sent = bench
        .chat(&asking("auto", "x"), ResponseInterest::Body)
        .await;
    let key = sent.key();
    sent.headers("200", "text/event-stream").await;
    sent.chunk(
        "data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 7, \"completion_tokens\": 3}}\n\n",
        false,
    );
    sent.exchange.closed();
    drop(sent);
    bench.opened.recording.logged(
        key,
        LogEntry {
            status: 200,
            ending: Ending::ClientLeft,
            ..LogEntry::default()
        },
    );
    let record = bench.only().await.record;
    assert_eq!(record.lifecycle(), Lifecycle::Aborted);
    assert_eq!(record.tokens.unwrap().input, 7);
}

#[tokio::test]
async fn a_second_attempt_shows_in_the_record() {
    let bench = Bench::logged(true);
    let sent = bench
        .chat(&asking("auto", "x"), ResponseInterest::Nothing)
        .await;
    let key = sent.key();
    drop(sent);
    bench.opened.recording.attempted(key, "large");
    bench.opened.recording.logged(
        key,
        LogEntry {
            status: 200,
            ..LogEntry::default()
        },
    );
    let record = bench.only().await.record;
    assert_eq!(record.selected_model, "large");
    let attempts: Vec<&str> = record.attempts.iter().map(|it| it.model.as_str()).collect();
    assert_eq!(attempts, ["small", "large"]);
}

#[tokio::test]
async fn what_is_switched_off_is_not_recorded() {
    let bench = Bench::logged(false);
    let sent = bench
        .chat(&asking("auto", "unrecorded"), ResponseInterest::Body)
        .await;
    assert!(
        sent.reply().metadata["merit"]
            .get("x-vsr-replay-id")
            .is_none()
    );
    drop(sent);
    assert_eq!(bench.records().await.len(), 0);

    let denied = DOCUMENT
        .replace("LOGGED", "false")
        .replace("routing: {", "routing: {data_policy: {replay: false}, ");
    let bench = Bench::of(&denied);
    assert!(!bench.live.load().router.records());
    drop(
        bench
            .chat(&asking("auto", "theorem"), ResponseInterest::Body)
            .await,
    );
    drop(bench.chat("no json", ResponseInterest::Body).await);
    assert_eq!(bench.records().await.len(), 0);
}

/// A run that reaches nobody: the first candidate stands in.
#[tokio::test]
async fn a_stand_in_is_a_fallback() {
    let document = DOCUMENT.replace("LOGGED", "false").replace(
        "modelRefs: [{model: large}],",
        "modelRefs: [{model: small}, {model: large}], algorithm: {type: confidence, confidence: {threshold: 0.5}},",
    );
    let document = document.replace(
        "global: {",
        "global: {integrations: {looper: {endpoint: 'http://127.0.0.1:9/v1/chat/completions'}}, ",
    );
    let bench = Bench::of(&document);
    let mut sent = bench
        .chat(&asking("auto", "theorem"), ResponseInterest::Body)
        .await;
    if let BodyStep::Wait(_) = sent.step {
        sent.step = sent.exchange.later().await;
    }
    sent.headers("200", "application/json").await;
    sent.chunk(USAGE, true);
    drop(sent);
    let record = bench.only().await.record;
    let expected = (
        Outcome::Fallback,
        Lifecycle::Completed,
        200,
        "response_complete",
    );
    check(&record, expected);
    assert_eq!(record.selected_model, "small");
}

/// No text of a request under a boundary is in its record, nor beside it, unless the boundary
/// allows that; where a marker stands in the body does not matter.
#[tokio::test]
async fn no_text_leaves_a_boundary_for_a_record() {
    const MARKER: &str = "secret marker-7391";
    let places = [
        r#"{"model": "small", "messages": [{"role": "user", "content": "MARKER"}]}"#,
        r#"{"model": "small", "messages": [{"role": "system", "content": "MARKER"}, {"role": "user", "content": "secret"}]}"#,
        r#"{"model": "small", "messages": [{"role": "user", "content": "secret"}, {"role": "assistant", "tool_calls": [{"id": "MARKER", "type": "function", "function": {"name": "MARKER", "arguments": "MARKER"}}]}, {"role": "tool", "tool_call_id": "MARKER", "content": "MARKER"}]}"#,
        r#"{"model": "small", "messages": [{"role": "user", "content": "secret"}], "tools": [{"type": "function", "function": {"name": "MARKER", "description": "MARKER"}}]}"#,
        r#"{"model": "small", "messages": [{"role": "user", "content": "secret"}], "metadata": {"user_id": "MARKER"}}"#,
        r#"{"model": "small", "messages": [{"role": "user", "content": "secret"}], "prompt_cache_key": "MARKER", "user": "MARKER"}"#,
        r#"{"model": "MARKER", "messages": [{"role": "user", "content": "secret"}]}"#,
    ];
    for allows in [false, true] {
        let document = DOCUMENT.replace("LOGGED", "false").replace(
            "allow: {models: [small]}",
            &format!("allow: {{models: [small], records: {allows}}}"),
        );
        // Every decision captures, and so would requests that name their model.
        let document = document.replace(
            "rules: {operator: OR, conditions: [{type: keyword, name: hard}]},",
            "",
        );
        let document = document.replace(
            "configuration: {capture_request_body: true, max_body_bytes: 60}",
            "configuration: {capture_request_body: true, capture_response_body: true}",
        );
        for body in places {
            let body = body
                .replace("MARKER", MARKER)
                .replace("\"small\"", "\"auto\"");
            let bench = Bench::of(&document);
            let mut headers = CHAT.to_vec();
            headers.retain(|(name, _)| *name != "x-session-id");
            let mut exchange = bench.begin(&headers, ResponseInterest::Body).await;
            let step = exchange.request_body(body.clone().into()).await;
            let mut sent = Sent { exchange, step };
            if matches!(sent.step, BodyStep::Forward(_)) {
                sent.headers("200", "application/json").await;
                sent.chunk(
                    r#"{"choices": [{"message": {"content": "secret marker-7391"}}]}"#,
                    true,
                );
            }
            drop(sent);
            let kept = bench.only().await;
            let found = format!("{kept:?}").contains("marker-7391");
            let is_captured = kept.captured.is_some();
            assert!(!found || allows, "{body}\n{kept:?}");
            assert!(!is_captured || allows, "{body}\n{kept:?}");
        }
    }
}
