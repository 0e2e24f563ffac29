//! Exchanges over scripted models.

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
    let headers = headers.map(|(name, value)| (name.to_owned(), value.into())).to_vec();
    exchange.deadline(Instant::now() + Duration::from_secs(2));
    exchange.request_headers(RequestHead { headers: Headers::new(headers), ..RequestHead::default() }).await;
    let body = r#"{"model": "auto", "messages": [{"role": "user", "content": "may they?"}]}"#;
    let BodyStep::Forward(reply) = exchange.request_body(Bytes::from_static(body.as_bytes())).await else {
        panic!("not forwarded");
    };
    let shown = &reply.metadata["merit"];
    assert_eq!(shown["x-vsr-selected-model"], model);
    assert_eq!(shown.get("x-merit-degraded").and_then(|value| value.as_str()), degraded);
    let text = metrics.render().unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("merit_degraded_total{")).collect();
    assert_eq!(lines, counted.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_could_not_be_read_is_shown_and_counted() {
    let mut row = [0.0; 14];
    row[8] = 1.0;
    check(Fake::default().labels("domain", "may they?", &[&row]), "large", None, None).await;
    for (failure, reason) in [(Failure::Shed, "shed"), (Failure::TimedOut, "timeout"), (Failure::Unready, "unready")] {
        let line = format!("merit_degraded_total{{signal=\"domain\",reason=\"{reason}\"}} 1");
        let shown = format!("domain={reason}");
        check(Fake::default().failing("domain", failure), "small", Some(&shown), Some(&line)).await;
    }
    let truncated = Fake::default().labels("domain", "may they?", &[&row]).truncated("may they?");
    let line = r#"merit_degraded_total{signal="domain",reason="truncated"} 1"#;
    check(truncated, "large", Some("domain=truncated"), Some(line)).await;
}
