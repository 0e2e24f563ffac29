//! Which candidate is named as the next one, and what an attempt at it looks like.

use super::*;
use crate::pipeline::tests::{generation, plan};
use crate::plan::{Outcome, body};
use dialects::{ReadOptions, Request};

const POLICY: &str = r#"
version: v0.3
providers:
  defaults:
    default_model: a
    reasoning_families:
      qwen3: {type: chat_template_kwargs, parameter: enable_thinking}
      gpt: {type: top_level_reasoning_effort, parameter: reasoning_effort}
  models:
    - name: a
      provider_model_id: a-1
      reasoning_family: qwen3
      backend_refs: [{endpoint: "127.0.0.1:8000", api_key: key-of-a, extra_headers: {x-org: org-of-a}}]
    - name: b
      provider_model_id: b-1
      reasoning_family: gpt
      backend_refs: [{endpoint: "127.0.0.1:8001", api_key: key-of-b, auth_header: x-api-key}]
    - name: pathed
      backend_refs: [{base_url: "https://api.example.com/v1", chat_path: /chat/completions}]
    - {name: claude, api_format: anthropic, backend_refs: [{endpoint: "127.0.0.1:8002"}]}
    - {name: open, backend_refs: [{endpoint: "127.0.0.1:8003"}]}
routing:
  modelCards: [{name: a}, {name: b}, {name: pathed}, {name: claude}, {name: open}]
  signals:
    keywords:
      - {name: one, operator: OR, keywords: [one]}
      - {name: path, operator: OR, keywords: [path]}
      - {name: wire, operator: OR, keywords: [wire]}
  decisions:
    - {name: one, priority: 3, rules: {type: keyword, name: one}, modelRefs: [{model: a}]}
    - {name: path, priority: 3, rules: {type: keyword, name: path}, modelRefs: [{model: pathed}, {model: b}]}
    - {name: wire, priority: 3, rules: {type: keyword, name: wire}, modelRefs: [{model: a}, {model: claude}, {model: open}]}
    - name: usual
      priority: 1
      rules: {operator: NOT, conditions: [{type: keyword, name: one}]}
      modelRefs: [{model: a}, {model: b, use_reasoning: true, reasoning_effort: high}, {model: open}]
global: {server: {fallback: {enabled: true}}}
"#;

/// The header that names the further candidate.
fn check(policy: &str, model: &str, text: &str, expected: Option<&str>) {
    let body =
        format!(r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "{text}"}}]}}"#);
    let plan = plan(&generation(policy), "", Dialect::OpenAiChat, &body);
    let Outcome::Forward(forward) = plan.outcome else {
        panic!("{:?}", plan.outcome)
    };
    // The last edit of a name wins.
    let named = forward.headers().iter().rev().find_map(|op| match op {
        HeaderOp::Set(name, value) if &**name == MODEL => Some(Some(&**value)),
        HeaderOp::Remove(name) if &**name == MODEL => Some(None),
        _ => None,
    });
    let named = named.flatten();
    assert_eq!(named, expected, "{text}");
}

#[test]
fn a_plan_names_the_next_candidate_that_can_take_the_request() {
    check(POLICY, "auto", "hello", Some("b"));
    check(POLICY, "auto", "one", None);
    check(POLICY, "auto", "path", None);
    check(POLICY, "auto", "wire", Some("open"));
    check(POLICY, "a", "an explicit choice", None);
    check(
        &POLICY.replace("enabled: true", "enabled: false"),
        "auto",
        "hello",
        None,
    );
    // A plugin's header names nobody.
    let mutation = "plugins: [{type: header_mutation, configuration: {add: [{name: x-merit-fallback-model, value: b}]}}]";
    let named = POLICY.replace(
        "modelRefs: [{model: a}]}",
        &format!("modelRefs: [{{model: a}}], {mutation}}}"),
    );
    check(&named, "auto", "one", None);
}

/// An attempt at a request that no boundary bound.
fn attempt(from: &str, to: &str, body: &str) -> Result<(Vec<String>, String), Refusal> {
    attempt_of(POLICY, Some("-"), (from, to), body)
}

fn attempt_of(
    policy: &str,
    boundaries: Option<&str>,
    (from, to): (&str, &str),
    body: &str,
) -> Result<(Vec<String>, String), Refusal> {
    let request = Request::parse(
        Dialect::OpenAiChat,
        body.to_owned().into(),
        &ReadOptions::default(),
    )
    .unwrap();
    let attempt = Attempt {
        recipe: "default",
        decision: "usual",
        boundaries,
        from,
        to,
    };
    let generation = generation(policy);
    let forward = super::attempt(&generation, attempt, request.prompt(), Dialect::OpenAiChat)?;
    let line = |op: &HeaderOp| match op {
        HeaderOp::Set(name, value) => format!("{name}: {value}"),
        HeaderOp::Remove(name) => format!("-{name}"),
    };
    let edited = body::apply(&request, forward.body()).unwrap_or_else(|| request.body().clone());
    Ok((
        forward.headers().iter().map(line).collect(),
        String::from_utf8(edited.to_vec()).unwrap(),
    ))
}

#[test]
fn an_attempt_leaves_nothing_of_the_model_that_failed() {
    let sent = r#"{"model":"a-1","messages":[],"chat_template_kwargs":{"enable_thinking":false}, "seed":1}"#;
    let (headers, body) = attempt("a", "b", sent).unwrap();
    assert_eq!(
        body,
        r#"{"model":"b-1","messages":[], "seed":1,"reasoning_effort":"high"}"#
    );
    let at = |line: &str| headers.iter().position(|other| other == line);
    assert!(
        at("-authorization").is_some() && at("-x-org").is_some(),
        "{headers:?}"
    );
    assert!(
        at("x-api-key: key-of-b").is_some() && at("x-selected-model: b").is_some(),
        "{headers:?}"
    );
    assert!(!headers.concat().contains("key-of-a"));
    assert!(headers.contains(&format!("-{ATTEMPT}")));
    let (headers, body) = attempt(
        "b",
        "open",
        r#"{"model":"b-1","messages":[],"reasoning_effort":"high"}"#,
    )
    .unwrap();
    assert_eq!(body, r#"{"model":"open","messages":[]}"#);
    assert!(headers.contains(&"-x-api-key".to_owned()), "{headers:?}");
}

#[test]
fn what_the_policy_does_not_know_is_not_attempted() {
    for (from, to) in [("a", "claude"), ("a", "nobody"), ("nobody", "b")] {
        assert!(
            attempt(from, to, r#"{"model":"a-1","messages":[]}"#).is_err(),
            "{from} {to}"
        );
    }
}

/// `a` and `b` are the models of `one` and `usual`; `b` may not see secrets.
fn bounded() -> String {
    let boundaries = "boundaries:
    - {name: \"secrets, at home\", when: {type: keyword, name: one}, allow: {models: [a, open]}}
    - {name: paths, when: {type: keyword, name: path}, allow: {models: [a, b]}}
  decisions:";
    POLICY.replace("decisions:", boundaries)
}

#[test]
fn an_attempt_asks_the_boundaries_that_held() {
    let policy = bounded();
    let body = r#"{"model":"a-1","messages":[]}"#;
    let reaches = |boundaries: Option<&str>, to: &str| {
        attempt_of(&policy, boundaries, ("a", to), body).map_err(|refusal| refusal.status)
    };
    let plan = |text: &str| {
        let body = format!(
            r#"{{"model": "auto", "messages": [{{"role": "user", "content": "{text}"}}]}}"#
        );
        plan(&generation(&policy), "", Dialect::OpenAiChat, &body)
            .trace
            .verdict
            .to_header()
    };
    let (free, secret, path) = (plan("hello"), plan("one"), plan("path"));
    assert_eq!(free, "-");
    assert!(secret.parse::<http::HeaderValue>().is_ok());

    assert!(reaches(Some(&free), "b").is_ok());
    assert_eq!(reaches(Some(&secret), "b").err(), Some(403));
    assert!(reaches(Some(&secret), "open").is_ok());
    assert!(reaches(Some(&path), "b").is_ok());
    assert_eq!(reaches(Some(&path), "open").err(), Some(403));
    assert_eq!(
        reaches(Some(&format!("{secret}.{path}")), "b").err(),
        Some(403)
    );

    // What is not known holds: all boundaries without the header, everything with a strange one.
    assert_eq!(reaches(None, "b").err(), Some(403));
    for strange in ["", "c3RyYW5nZQ==", "%%"] {
        assert_eq!(reaches(Some(strange), "b").err(), Some(400), "{strange}");
    }
    assert!(attempt_of(POLICY, None, ("a", "b"), body).is_ok());
}
