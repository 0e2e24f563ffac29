//! Exchanges over scripted models.

mod paths;

use super::*;
use crate::engine::tests::preparer;
use crate::models::tests::Scripted;
use crate::reload::Reloader;
use extproc::Headers;
use inference::ask::Failure;
use inference::fake::Fake;

const DOCUMENT: &str = "{version: v0.3,\
    providers: {defaults: {default_model: small}, models: [{name: small, backend_refs: [{endpoint: 'b:1'}]},\
    {name: large, backend_refs: [{endpoint: 'b:2'}]}]},\
    routing: {modelCards: [{name: small}, {name: large}], signals: {domains: [{name: law}]},\
    decisions: [{name: lawyer, priority: 1, rules: {operator: OR, conditions: [{type: domain, name: law}]},\
    modelRefs: [{model: large}]}]}}";

/// A refused upload says what to do in the shape of its client's wire.
#[tokio::test]
async fn refused_uploads_are_told_in_their_own_wire() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("merit.yaml");
    std::fs::write(&file, DOCUMENT).unwrap();
    let preparer = preparer(Scripted::new(Fake::default()));
    let metrics = preparer.metrics.clone();
    let reloader = Reloader::first(file, preparer).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let exchanges = LlmExchanges::new(reloader.live(), metrics, Tracing::off());
    let slow = Fault::UploadTooSlow { least: 1_024 };
    for (path, fault, status, kind, says) in [
        (
            "/v1/chat/completions",
            slow,
            408,
            "invalid_request_error",
            "slower than 1024 bytes",
        ),
        (
            "/v1/messages",
            slow,
            408,
            "invalid_request_error",
            "a smaller one",
        ),
        (
            "/v1/responses",
            Fault::UploadDisplaced,
            503,
            "server_error",
            "try again shortly",
        ),
        (
            "/v1/messages",
            Fault::UploadDisplaced,
            503,
            "overloaded_error",
            "try again shortly",
        ),
    ] {
        let mut exchange = exchanges.open();
        let headers = [(":method", "POST"), (":path", path)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into()));
        let head = RequestHead {
            headers: Headers::new(headers.to_vec()),
            ..RequestHead::default()
        };
        exchange.request_headers(head).await;
        let answer = exchange.fault(fault);
        assert_eq!(answer.status.as_u16(), status, "{path}");
        let body: serde_json::Value = serde_json::from_slice(&answer.body.concat()).unwrap();
        assert_eq!(body["error"]["type"], kind, "{path}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
        let is_retried = |name| answer.headers.iter().any(|(header, _)| header == name);
        assert_eq!(is_retried("retry-after"), status == 503);
        assert!(
            !is_retried("x-should-retry"),
            "an upload may be tried again"
        );
    }
}

#[tokio::test]
async fn a_body_is_read_until_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("merit.yaml");
    std::fs::write(&file, DOCUMENT).unwrap();
    let preparer = preparer(Scripted::new(Fake::default()));
    let metrics = preparer.metrics.clone();
    let reloader = Reloader::first(file, preparer).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let exchanges = LlmExchanges::new(reloader.live(), metrics, Tracing::off());
    let text = "long ".repeat(100_000);
    let body =
        format!(r#"{{"model": "auto", "messages": [{{"role": "user", "content": "{text}"}}]}}"#);
    let body = Bytes::from(body);
    let now = Instant::now();
    for (deadline, expected) in [(now, Some(504)), (now + Duration::from_secs(60), None)] {
        let mut exchange = exchanges.open();
        let headers = [(":method", "POST"), (":path", "/v1/chat/completions")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into()));
        let head = RequestHead {
            headers: Headers::new(headers.to_vec()),
            ..RequestHead::default()
        };
        exchange.deadline(deadline);
        exchange.request_headers(head).await;
        let refused = match exchange.request_body(body.clone()).await {
            BodyStep::Respond(answer) => Some(answer.status.as_u16()),
            _ => None,
        };
        assert_eq!(refused, expected);
    }
}

#[test]
fn models_are_waited_for_until_shortly_before_the_deadline() {
    let now = Instant::now();
    for (whole, models) in [(150, 135), (2_000, 1_950), (20, 18), (0, 0)] {
        let until = models_until(now, now + Duration::from_millis(whole));
        assert_eq!(until - now, Duration::from_millis(models), "{whole}");
    }
}

/// The model that a request goes to, what `x-merit-degraded` says, and the counter.
async fn check(fake: Fake, model: &str, degraded: Option<&str>, counted: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("merit.yaml");
    std::fs::write(&file, DOCUMENT).unwrap();
    let preparer = preparer(Scripted::new(fake));
    let metrics = preparer.metrics.clone();
    let reloader = Reloader::first(file, preparer).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let exchanges = LlmExchanges::new(reloader.live(), metrics.clone(), Tracing::off());
    let mut exchange = exchanges.open();
    let headers = [(":method", "POST"), (":path", "/v1/chat/completions")];
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.into()))
        .to_vec();
    exchange.deadline(Instant::now() + Duration::from_secs(2));
    exchange
        .request_headers(RequestHead {
            headers: Headers::new(headers),
            ..RequestHead::default()
        })
        .await;
    let body = r#"{"model": "auto", "messages": [{"role": "user", "content": "may they?"}]}"#;
    let BodyStep::Forward(reply) = exchange
        .request_body(Bytes::from_static(body.as_bytes()))
        .await
    else {
        panic!("not forwarded");
    };
    let shown = &reply.metadata["merit"];
    assert_eq!(shown["x-vsr-selected-model"], model);
    assert_eq!(
        shown
            .get("x-merit-degraded")
            .and_then(|value| value.as_str()),
        degraded
    );
    let text = metrics.render().unwrap();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("merit_degraded_total{"))
        .collect();
    assert_eq!(lines, counted.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_could_not_be_read_is_shown_and_counted() {
    let mut row = [0.0; 14];
    row[8] = 1.0;
    check(
        Fake::default().labels("domain", "may they?", &[&row]),
        "large",
        None,
        None,
    )
    .await;
    for (failure, reason) in [
        (Failure::Shed, "shed"),
        (Failure::TimedOut, "timeout"),
        (Failure::Unready, "unready"),
    ] {
        let line = format!("merit_degraded_total{{signal=\"domain\",reason=\"{reason}\"}} 1");
        let shown = format!("domain={reason}");
        check(
            Fake::default().failing("domain", failure),
            "small",
            Some(&shown),
            Some(&line),
        )
        .await;
    }
    let truncated = Fake::default()
        .labels("domain", "may they?", &[&row])
        .truncated("may they?");
    let line = r#"merit_degraded_total{signal="domain",reason="truncated"} 1"#;
    check(truncated, "large", Some("domain=truncated"), Some(line)).await;
}

/// One request of [`DOCUMENT`] that has gone out, and the state that lasts.
struct Out {
    exchange: Box<dyn Exchange>,
    state: Arc<conversation::shared_state::SharedState>,
    id: u64,
}

impl Out {
    async fn send(access_log: bool, offer: extproc::ResponseInterest) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("merit.yaml");
        let server = format!("global: {{server: {{pool: {{access_log: {access_log}}}}}}}");
        std::fs::write(&file, DOCUMENT.replacen('{', &format!("{{{server}, "), 1)).unwrap();
        let reloader = Reloader::first(file, preparer(Scripted::new(Fake::default()))).unwrap();
        let state = reloader.live().load().router.state.clone();
        let exchanges = LlmExchanges::new(reloader.live(), Arc::default(), Tracing::off());
        let mut exchange = exchanges.open();
        let headers = [(":method", "POST"), (":path", "/v1/chat/completions")];
        let headers = headers
            .map(|(name, value)| (name.to_owned(), value.into()))
            .to_vec();
        exchange.deadline(Instant::now() + Duration::from_secs(2));
        let head = RequestHead {
            headers: Headers::new(headers),
            offer,
            ..RequestHead::default()
        };
        exchange.request_headers(head).await;
        let body = r#"{"model": "small", "messages": [{"role": "user", "content": "hello"}]}"#;
        let BodyStep::Forward(reply) = exchange
            .request_body(Bytes::from_static(body.as_bytes()))
            .await
        else {
            panic!("not forwarded");
        };
        let id = reply.metadata["merit"]["dispatch"].as_str().unwrap();
        let id = u64::from_str_radix(id, 16).unwrap();
        assert_eq!(state.pool.model("small").in_flight(), 1);
        Self {
            exchange,
            state,
            id,
        }
    }

    async fn headers(&mut self, status: &str, kind: &str) {
        let headers = [(":status", status), ("content-type", kind)];
        let headers = headers
            .map(|(name, value)| (name.to_owned(), value.to_owned().into()))
            .to_vec();
        self.exchange
            .response_headers(ResponseHead {
                headers: Headers::new(headers),
                ..ResponseHead::default()
            })
            .await;
    }

    fn small(&self) -> selection::pool::ModelReading {
        self.state
            .pool
            .readings(Instant::now())
            .into_iter()
            .find(|it| it.model == "small")
            .unwrap()
    }

    /// After the exchange: requests in flight, share of errors.
    fn left(self) -> (u64, Option<f64>) {
        drop(self.exchange);
        let pool = &self.state.pool;
        let small = pool
            .readings(Instant::now())
            .into_iter()
            .find(|it| it.model == "small")
            .unwrap();
        (small.in_flight, small.error_rate)
    }
}

const USAGE: &str = r#"{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4,
    "prompt_tokens_details": {"cached_tokens": 5}}}"#;

#[tokio::test]
async fn a_response_that_is_seen_ends_its_request() {
    use extproc::ResponseInterest::{Body, Headers};
    for access_log in [false, true] {
        let mut out = Out::send(access_log, Body).await;
        out.headers("200", "application/json").await;
        out.exchange
            .response_chunk(&Bytes::from_static(USAGE.as_bytes()), true);
        let small = out.small();
        assert!(
            small.in_flight == 0 && small.ttft.is_some() && small.tpot.is_some(),
            "{small:?}"
        );
        assert_eq!(small.ttft.unwrap().source, "responses");
        out.exchange.closed();
        assert_eq!(out.left(), (0, Some(0.0)));
    }
    let mut out = Out::send(false, Body).await;
    out.headers("503", "text/plain").await;
    out.exchange
        .response_chunk(&Bytes::from_static(b"no"), true);
    assert_eq!(out.left(), (0, Some(1.0)));
    let mut out = Out::send(false, Headers).await;
    out.headers("200", "text/event-stream").await;
    out.exchange.closed();
    assert_eq!(out.small().ttft.unwrap().source, "first_byte");
    assert_eq!(out.left(), (0, Some(0.0)));
}

#[tokio::test]
async fn an_end_that_is_not_seen_leaks_nothing_and_blames_nobody() {
    use extproc::ResponseInterest::{Body, Nothing};
    assert_eq!(Out::send(false, Nothing).await.left(), (0, None));
    let mut out = Out::send(false, Body).await;
    out.headers("200", "text/event-stream").await;
    out.exchange.closed();
    assert_eq!(out.left(), (0, None));
    let mut out = Out::send(true, Nothing).await;
    out.exchange.fault(Fault::UnsupportedBodyMode);
    assert_eq!(out.left(), (0, None), "it did not go out");
}

#[tokio::test]
async fn the_access_log_ends_what_was_seen_in_part() {
    let mut out = Out::send(true, extproc::ResponseInterest::Body).await;
    out.headers("200", "text/event-stream").await;
    let event = format!("data: {}\n\n", USAGE.replace('\n', ""));
    out.exchange.response_chunk(&Bytes::from(event), false);
    out.exchange.closed();
    let (state, id) = (Arc::clone(&out.state), out.id);
    assert_eq!(out.left(), (1, None), "the log has not come yet");
    let total = Some(Duration::from_secs(2));
    state.end(
        id,
        &selection::served::Served {
            status: 200,
            total,
            cut: true,
            ..Default::default()
        },
    );
    let small = state
        .pool
        .readings(Instant::now())
        .into_iter()
        .find(|it| it.model == "small")
        .unwrap();
    assert_eq!((small.in_flight, small.error_rate), (0, Some(1.0)));
}

const LEARNING: &str = "{version: v0.3, providers: {defaults: {default_model: small},\
    models: [{name: small, backend_refs: [{endpoint: 'b:1'}]}, {name: large, backend_refs: [{endpoint: 'b:2'}]}]},\
    routing: {modelCards: [{name: small}, {name: large}],\
    decisions: [{name: all, priority: 1, modelRefs: [{model: small}, {model: large}]}]},\
    global: {router: {learning: {enabled: true}}}}";

/// What a client is shown of its request: the model, and the id by which its answer can be judged.
async fn shown(exchanges: &LlmExchanges, id: &str) -> (String, String) {
    let mut exchange = exchanges.open();
    let headers = [
        (":method", "POST"),
        (":path", "/v1/chat/completions"),
        ("x-request-id", id),
    ];
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned().into()))
        .to_vec();
    exchange.deadline(Instant::now() + Duration::from_secs(2));
    exchange
        .request_headers(RequestHead {
            headers: Headers::new(headers),
            ..RequestHead::default()
        })
        .await;
    let body = r#"{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}"#;
    let BodyStep::Forward(reply) = exchange
        .request_body(Bytes::from_static(body.as_bytes()))
        .await
    else {
        panic!("not forwarded");
    };
    let shown = |name: &str| {
        reply.metadata["merit"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (shown("x-vsr-selected-model"), shown("x-merit-request-id"))
}

#[tokio::test]
async fn an_outcome_by_the_shown_id_changes_later_choices() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("merit.yaml");
    std::fs::write(&file, LEARNING).unwrap();
    let preparer = preparer(Scripted::new(Fake::default()));
    let metrics = preparer.metrics.clone();
    let reloader = Reloader::first(file, preparer).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let live = reloader.live();
    let exchanges = LlmExchanges::new(live.clone(), metrics.clone(), Tracing::off());
    let (first, id) = shown(&exchanges, "r-1").await;
    assert_eq!(id, "r-1");
    let judge = |verdict: &str| {
        let body = format!(r#"{{"replay_id": "{id}", "verdict": "{verdict}", "score": 100}}"#);
        let (word, answer) = live
            .load()
            .outcome(&axum::http::HeaderMap::new(), body.as_bytes());
        assert_eq!(
            (word, answer.unwrap()["recorded"].as_bool()),
            (verdict, Some(true))
        );
    };
    judge("good_fit");
    // Nothing is known of the other model, so it is tried once.
    let (second, _) = shown(&exchanges, "r-2").await;
    assert_ne!(first, second);
    let body = r#"{"replay_id": "r-2", "verdict": "underpowered", "score": 100}"#;
    live.load()
        .outcome(&axum::http::HeaderMap::new(), body.as_bytes())
        .1
        .unwrap();
    for _ in 0..5 {
        assert_eq!(shown(&exchanges, "r-3").await.0, first);
    }
    let text = metrics.render().unwrap();
    assert!(
        text.contains("merit_learning_total{part=\"adaptation\",action=\""),
        "{text}"
    );
    assert!(
        text.contains("merit_learning_total{part=\"protection\",action=\"allow_sampling\"} 7"),
        "{text}"
    );
}

/// What becomes of a request on a path that is not read: `on`, or the status of the refusal.
async fn on_path(
    document: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("merit.yaml");
    std::fs::write(&file, document).unwrap();
    let preparer = preparer(Scripted::new(Fake::default()));
    let metrics = preparer.metrics.clone();
    let reloader = Reloader::first(file, preparer).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let exchanges = LlmExchanges::new(reloader.live(), metrics.clone(), Tracing::off());
    let mut exchange = exchanges.open();
    let entries = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string().into()));
    let head = RequestHead {
        headers: Headers::new(entries.collect()),
        end_of_stream: body.is_none(),
        ..RequestHead::default()
    };
    let answer = match exchange.request_headers(head).await {
        HeadStep::Forward(_) => None,
        HeadStep::Respond(answer) => Some(answer),
        HeadStep::NeedBody => {
            let body = Bytes::copy_from_slice(body.unwrap_or_default());
            match exchange.request_body(body).await {
                BodyStep::Forward(_) => None,
                BodyStep::Respond(answer) => Some(answer),
                BodyStep::Wait(_) => panic!("waits"),
            }
        }
    };
    let counted = metrics.render().unwrap().contains("unread_path");
    assert_eq!(counted, answer.is_some(), "{headers:?}");
    answer.map_or(("on".to_owned(), String::new()), |answer| {
        let body = String::from_utf8_lossy(&answer.body.concat()).into_owned();
        (answer.status.as_str().to_owned(), body)
    })
}

#[tokio::test]
async fn a_body_on_a_path_that_is_not_read_is_refused_where_text_is_guarded() {
    let boundary = "boundaries: [{name: b, when: {type: domain, name: law}, allow: {models: [large]}}], signals:";
    let bounded = DOCUMENT.replace("signals:", boundary);
    let safe = DOCUMENT
        .replace(
            "domains: [{name: law}]",
            "domains: [{name: law}], pii: [{name: p}]",
        )
        .replace("{type: domain, name: law}", "{type: pii, name: p}");
    let idle = DOCUMENT.replace(
        "domains: [{name: law}]",
        "domains: [{name: law}], pii: [{name: p}]",
    );
    let post = |path| vec![(":method", "POST"), (":path", path)];
    let sized = |path, length| [post(path), vec![("content-length", length)]].concat();
    let text: &[u8] = b"hello";
    for guarded in [&bounded, &safe] {
        for (headers, body, expected) in [
            (sized("/invocations", "5"), Some(text), "404"),
            (post("/v1/batches"), Some(text), "404"),
            (post("/v1/responses/resp_1/cancel"), Some(text), "404"),
            (post("/invocations"), Some(&[][..]), "on"),
            (sized("/invocations", "0"), Some(&[][..]), "on"),
            (vec![(":method", "GET"), (":path", "/version")], None, "on"),
            (
                vec![
                    (":method", "GET"),
                    (":path", "/x"),
                    ("upgrade", "websocket"),
                ],
                Some(text),
                "426",
            ),
        ] {
            let (outcome, _) = on_path(guarded, &headers, body).await;
            assert_eq!(outcome, expected, "{headers:?}");
        }
    }
    for unguarded in [DOCUMENT, &idle] {
        for path in ["/invocations", "/v1/batches"] {
            let (outcome, _) = on_path(unguarded, &sized(path, "5"), Some(text)).await;
            assert_eq!(outcome, "on", "{path}");
        }
    }
    let (_, openai) = on_path(&bounded, &post("/invocations"), Some(text)).await;
    assert!(openai.starts_with("{\"error\":"), "{openai}");
    let versioned = [
        post("/invocations"),
        vec![("anthropic-version", "2023-06-01")],
    ]
    .concat();
    let (_, anthropic) = on_path(&bounded, &versioned, Some(text)).await;
    assert!(
        anthropic.contains("\"type\":\"not_found_error\""),
        "{anthropic}"
    );
}
