//! Each text of a list is read by itself for boundaries, however many others stand around it.

use super::cases::{generation, outcome};
use crate::pipeline::{self, RoutingRequest};
use conversation::learning::context::RequestContext;
use conversation::session::SessionHints;
use dialects::{Asked, Request, Service};
use futures_util::FutureExt;
use inference::fake::Fake;
use serde_json::{Value, json};
use signals::families::Identity;
use std::time::{Duration, Instant};

const POLICY: &str = r#"
version: v0.3
providers:
  defaults: {default_model: cloud}
  models:
    - {name: local, location: house, backend_refs: [{endpoint: "127.0.0.1:1"}]}
    - {name: cloud, location: cloud, backend_refs: [{endpoint: "127.0.0.1:2"}]}
routing:
  boundaries: [{name: stays, when: WHEN, allow: {locations: [house]}}]
  signals:
    keywords:
      - {name: secret, operator: OR, keywords: [secret]}
      - {name: public, operator: NOR, keywords: [public]}
    language: [{name: fr}, {name: en}, {name: de}]
    structure:
      - {name: terse, feature: {type: count, source: {type: text_bytes}}, predicate: {lt: 30}}
      - {name: long, feature: {type: count, source: {type: text_bytes}}, predicate: {gt: 500}}
    domains: [{name: health}]
  decisions:
    - {name: out, priority: 1, modelRefs: [{model: cloud}, {model: local}]}
"#;

const ENGLISH: &str = "The public library of this town is open on every day of the week.";

/// The bodies of requests with these texts, on every endpoint that takes lists.
fn bodies(texts: &[&str]) -> Vec<(Service, Value)> {
    let parts: Vec<Value> = texts.iter().map(|text| json!({"text": text})).collect();
    vec![
        (
            Service::Embeddings,
            json!({"model": "cloud", "input": texts}),
        ),
        (
            Service::Embeddings,
            json!({"model": "cloud", "texts": texts}),
        ),
        (
            Service::Completions,
            json!({"model": "cloud", "prompt": texts}),
        ),
        (
            Service::Moderations,
            json!({"model": "cloud", "input": texts}),
        ),
        (
            Service::Rerank,
            json!({"model": "cloud", "query": texts[0], "documents": texts}),
        ),
        (
            Service::Rerank,
            json!({"model": "cloud", "query": texts[0], "documents": parts}),
        ),
    ]
}

fn sent(when: &str, models: &Fake, service: Service, body: &Value) -> String {
    sent_by(when, models, service, body, Duration::from_secs(60))
}

/// Where a request goes that must be read within some time.
fn sent_by(when: &str, models: &Fake, service: Service, body: &Value, within: Duration) -> String {
    let generation = generation(&POLICY.replace("WHEN", when), models);
    let asked = Asked {
        service: Some(service),
        ..Asked::conversation(service.dialect())
    };
    let options = &generation.settings.reading;
    let request = Request::read(&asked, body.to_string().into(), options).unwrap();
    let call = RoutingRequest {
        more: request.more(),
        service: Some(service),
        context: RequestContext::NOTHING,
        hints: SessionHints::default(),
        prompt: request.prompt(),
        dialect: service.dialect(),
        identity: &Identity::default(),
        observed: false,
        models,
        deadline: Instant::now() + within,
        full: false,
        traced: false,
        rewritable: true,
    };
    let routed = pipeline::route(&generation, &call);
    outcome(&routed.now_or_never().unwrap())
}

#[track_caller]
fn check(when: &str, texts: &[&str], is_held: bool) {
    for (service, body) in bodies(texts) {
        // Without words in the turn itself, it is short and not public either.
        if !is_held && body.get("texts").is_some() {
            continue;
        }
        let got = sent(when, &Fake::default(), service, &body);
        assert_eq!(
            got.contains("403 the boundary"),
            is_held,
            "{when} {service:?}: {got}"
        );
    }
}

fn among<'a>(text: &'a str, others: &'a str, at: usize, count: usize) -> Vec<&'a str> {
    let mut texts = vec![others; count];
    texts.insert(at, text);
    texts
}

#[test]
fn one_text_among_many_binds() {
    let french = "Le patient est malade.";
    let public = "a public word";
    for (when, text, others) in [
        ("{type: language, name: fr}", french, ENGLISH),
        ("{type: language, name: fr}", "merci beaucoup", ENGLISH),
        (
            "{operator: NOT, conditions: [{type: language, name: en}]}",
            french,
            ENGLISH,
        ),
        ("{type: keyword, name: secret}", "a secret", ENGLISH),
        ("{type: keyword, name: public}", "something else", public),
        ("{type: structure, name: terse}", "Hi.", ENGLISH),
        (
            "{operator: NOT, conditions: [{type: structure, name: long}]}",
            "short",
            &ENGLISH.repeat(20),
        ),
    ] {
        check(when, &[others, others], false);
        check(when, &[text], true);
        for (at, count) in [(0, 2), (2, 2), (20, 40), (40, 40)] {
            check(when, &among(text, others, at, count), true);
        }
    }
}

#[test]
fn a_model_is_asked_about_each_text() {
    let labels = inference::catalog::labels(inference::catalog::Task::Domain);
    let row = |label: &str| -> Vec<f32> {
        let share = |known: &&str| if *known == label { 1.0 } else { 0.0 };
        labels.iter().map(share).collect()
    };
    let ill = "the patient is ill";
    let known = [
        (ill, "health"),
        ("hello", "other"),
        ("hello hello", "other"),
        ("hello the patient is ill", "other"),
    ];
    let models = known.iter().fold(Fake::default(), |models, (text, label)| {
        models.labels("domain", text, &[&row(label)])
    });
    let when = "{type: domain, name: health}";
    for (texts, expected) in [
        (&["hello", "hello"][..], "cloud"),
        (&["hello", ill], "403"),
        (&[ill], "403"),
    ] {
        let body = json!({"model": "cloud", "input": texts});
        let got = sent(when, &models, Service::Embeddings, &body);
        assert!(got.contains(expected), "{texts:?}: {got}");
    }
}

#[test]
fn a_list_that_is_too_long_is_read_until_the_deadline() {
    let texts = vec![ENGLISH; 60_000];
    for when in ["{type: language, name: fr}", "{type: domain, name: health}"] {
        let body = json!({"model": "cloud", "input": texts});
        let started = Instant::now();
        let within = Duration::from_millis(100);
        let got = sent_by(when, &Fake::default(), Service::Embeddings, &body, within);
        assert!(started.elapsed() < Duration::from_secs(20), "{when}");
        let is_held = got.contains("503 what reads this request timed out")
            || got.contains("403 the boundary");
        assert!(is_held, "{when}: {got}");
    }
}
