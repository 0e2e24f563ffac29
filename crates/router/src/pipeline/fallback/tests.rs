//! Which candidate is named as the next one, and what an attempt at it looks like.

use super::*;
use crate::pipeline::tests::{call, generation, plan, plan_of};
use crate::pipeline::{RoutingRequest, route};
use crate::plan::{Made, Outcome};
use conversation::learning::context::RequestContext;
use futures_util::FutureExt as _;
use signals::families::Identity;

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
    // The blocks of v0.4 say the same; that of the recipe wins.
    let server = "global: {server: {fallback: {enabled: true}}}";
    let all = "global: {router: {evaluation: {ranking: v0.4}, fallback: {enabled: true}}}";
    let none = POLICY.replace(server, "global: {router: {evaluation: {ranking: v0.4}}}");
    let own = |enabled: bool, policy: &str| {
        let block = format!("routing:\n  fallback: {{version: 1, enabled: {enabled}}}\n");
        policy.replace("routing:\n", &block)
    };
    check(&none, "auto", "hello", None);
    check(&POLICY.replace(server, all), "auto", "hello", Some("b"));
    check(&own(true, &none), "auto", "hello", Some("b"));
    check(
        &own(false, &POLICY.replace(server, all)),
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

/// Attempts a request that no boundary bound.
fn attempt(from: &str, to: &str, body: &str) -> Result<(Vec<String>, String), Refusal> {
    attempt_of(POLICY, Some("-"), (from, to), body)
}

fn attempt_of(
    policy: &str,
    boundaries: Option<&str>,
    (from, to): (&str, &str),
    body: &str,
) -> Result<(Vec<String>, String), Refusal> {
    let attempt = Attempt {
        recipe: "default",
        decision: "usual",
        boundaries,
        headers: None,
        from,
        to,
    };
    try_again(&generation(policy), attempt, body.to_owned().into(), None)
}

fn chat() -> Asked<'static> {
    Asked::conversation(Dialect::OpenAiChat)
}

fn try_again(
    generation: &Generation,
    attempt: Attempt<'_>,
    body: Bytes,
    before: Option<&str>,
) -> Result<(Vec<String>, String), Refusal> {
    let request = restored(&chat(), body, before, &ReadOptions::default())?;
    let forward = super::attempt(generation, attempt, request.prompt(), &chat())?;
    let edited = body::apply(&request, forward.body()).unwrap_or_else(|| request.body().clone());
    Ok((
        forward.headers().iter().map(line).collect(),
        String::from_utf8(edited.to_vec()).unwrap(),
    ))
}

fn line(op: &HeaderOp) -> String {
    match op {
        HeaderOp::Set(name, value) => format!("{name}: {value}"),
        HeaderOp::Remove(name) => format!("-{name}"),
    }
}

/// What the two models get of a client's request.
struct Tried {
    first: String,
    second: String,
    /// Edits of the second attempt's headers.
    headers: Vec<String>,
    /// Names of the headers that the first model's were told by.
    told: Vec<String>,
}

/// Sends a request to its first model, which fails, and on to the next, which may follow another
/// policy.
fn try_both(policy: &str, later: &str, members: &str) -> Tried {
    let sent =
        format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"hi"}}]{members}}}"#);
    let options = ReadOptions::default();
    let request = Request::parse(Dialect::OpenAiChat, sent.into(), &options).unwrap();
    let plan = plan_of(&generation(policy), "", Dialect::OpenAiChat, &request);
    let Outcome::Forward(forward) = plan.outcome else {
        panic!("{:?}", plan.outcome)
    };
    let first = body::apply(&request, forward.body()).unwrap();

    let mut all = forward.headers().to_vec();
    all.extend(carried(&request, &forward, &Made::default()).headers);
    let header = |name: &str| {
        all.iter().rev().find_map(|op| match op {
            HeaderOp::Set(other, value) if &**other == name => Some(&**value),
            _ => None,
        })
    };
    let attempt = Attempt {
        recipe: header(RECIPE).unwrap(),
        decision: header(DECISION).unwrap(),
        boundaries: header(BOUNDARIES),
        headers: header(HEADERS),
        from: header("x-selected-model").unwrap(),
        to: header(MODEL).unwrap(),
    };
    let (headers, second) =
        try_again(&generation(later), attempt, first.clone(), header(BODY)).unwrap();
    let without =
        |body: String| body.replace(r#","messages":[{"role":"user","content":"hi"}]"#, "");
    Tried {
        first: without(String::from_utf8(first.to_vec()).unwrap()),
        second: without(second),
        headers,
        told: all.iter().map(|op| op.name().to_owned()).collect(),
    }
}

/// The policy with other candidates of its usual decision.
fn with_candidates(candidates: &str) -> String {
    let usual =
        "[{model: a}, {model: b, use_reasoning: true, reasoning_effort: high}, {model: open}]";
    POLICY.replace(usual, candidates)
}

#[test]
fn an_attempt_leaves_nothing_of_the_model_that_failed() {
    let tried = try_both(POLICY, POLICY, r#","seed":1"#);
    assert_eq!(
        tried.first,
        r#"{"model":"a-1","seed":1,"chat_template_kwargs":{"enable_thinking":false}}"#
    );
    assert_eq!(
        tried.second,
        r#"{"model":"b-1","seed":1,"reasoning_effort":"high"}"#
    );
    let headers = &tried.headers;
    let has = |line: &str| headers.iter().any(|other| other == line);
    assert!(has("-authorization") && has("-x-org"), "{headers:?}");
    assert!(
        has("x-api-key: key-of-b") && has("x-selected-model: b"),
        "{headers:?}"
    );
    assert!(!headers.concat().contains("key-of-a"));
    for name in OWN {
        assert!(has(&format!("-{name}")), "{name}");
    }

    let candidates = "[{model: b, use_reasoning: true, reasoning_effort: high}, {model: open}]";
    let policy = with_candidates(candidates);
    let tried = try_both(&policy, &policy, "");
    assert_eq!(tried.first, r#"{"model":"b-1","reasoning_effort":"high"}"#);
    assert_eq!(tried.second, r#"{"model":"open"}"#);
    let headers = &tried.headers;
    assert!(headers.contains(&"-x-api-key".to_owned()), "{headers:?}");

    // The policy changed while the first model was asked: its key is not the next one's.
    let changed = policy.replace(", auth_header: x-api-key", "");
    let tried = try_both(&policy, &changed, "");
    let headers = &tried.headers;
    assert!(headers.contains(&"-x-api-key".to_owned()), "{headers:?}");
}

/// Checks the members that both models get of what a client sends.
#[track_caller]
fn check_both(candidates: &str, asked: &str, first: &str, second: &str) {
    let policy = with_candidates(candidates);
    let tried = try_both(&policy, &policy, asked);
    let expected = (
        format!(r#"{{"model":{first}}}"#),
        format!(r#"{{"model":{second}}}"#),
    );
    assert_eq!(
        (tried.first, tried.second),
        expected,
        "{candidates} {asked}"
    );
    let is_told = tried.told.contains(&BODY.to_owned());
    assert_eq!(is_told, !first.ends_with(asked), "{candidates} {asked}");
}

#[test]
fn an_attempt_begins_again_with_what_the_client_asked_for() {
    // The first candidate's own effort, and none, and one switched off.
    let low = r#","reasoning_effort":"low""#;
    let high = "[{model: b, use_reasoning: true, reasoning_effort: high}, {model: open}]";
    check_both(
        high,
        low,
        r#""b-1","reasoning_effort":"high""#,
        r#""open","reasoning_effort":"low""#,
    );
    let off = "[{model: a, use_reasoning: false}, {model: b}]";
    let kwargs = r#""chat_template_kwargs":{"enable_thinking":false}"#;
    check_both(
        off,
        low,
        &format!(r#""a-1",{kwargs}"#),
        r#""b-1","reasoning_effort":"low""#,
    );
    check_both(
        "[{model: b}, {model: open}]",
        low,
        r#""b-1","reasoning_effort":"low""#,
        r#""open","reasoning_effort":"low""#,
    );
    let thinks = r#","thinking":{"type":"enabled","budget_tokens":900}"#;
    check_both(
        off,
        thinks,
        &format!(r#""a-1",{kwargs}"#),
        &format!(r#""b-1"{thinks},"reasoning_effort":"medium""#),
    );
    let other = r#","chat_template_kwargs":{"tone":"dry"}"#;
    check_both(
        "[{model: a}, {model: open}]",
        other,
        r#""a-1","chat_template_kwargs":{"tone":"dry","enable_thinking":false}"#,
        r#""open","chat_template_kwargs":{"tone":"dry"}"#,
    );
}

#[test]
fn what_is_too_long_to_be_carried_has_no_fallback() {
    let long = format!(
        r#"{{"model":"auto","chat_template_kwargs":{{"a":"{}"}},"messages":[{{"role":"user","content":"hi"}}]}}"#,
        "x".repeat(LONGEST)
    );
    let request =
        Request::parse(Dialect::OpenAiChat, long.into(), &ReadOptions::default()).unwrap();
    let plan = plan_of(&generation(POLICY), "", Dialect::OpenAiChat, &request);
    let Outcome::Forward(forward) = plan.outcome else {
        panic!("{:?}", plan.outcome)
    };
    let carried = carried(&request, &forward, &Made::default());
    assert_eq!(carried.headers, [HeaderOp::Remove(MODEL.into())]);
    assert_eq!(carried.lost, Some("body_too_long"));
}

#[test]
fn a_header_that_is_not_ours_is_no_attempt() {
    let body = Bytes::from(r#"{"model":"a-1","messages":[]}"#);
    for strange in ["", "%%", "e30", "W10"] {
        let restored = restored(
            &chat(),
            body.clone(),
            Some(strange),
            &ReadOptions::default(),
        );
        // `e30` is an empty object: nothing was changed.
        assert_eq!(restored.is_ok(), strange == "e30", "{strange}");
    }
}

/// Checks the header that names the further candidate of a request with these headers, and what is
/// degraded.
#[track_caller]
fn check_sent<const N: usize>(
    candidates: &str,
    sent: [(&str, &str); N],
    expected: Option<&str>,
    degraded: &str,
) {
    let policy = with_candidates(candidates);
    check_policy(&policy, sent, expected, degraded);
}

#[track_caller]
fn check_policy<const N: usize>(
    policy: &str,
    sent: [(&str, &str); N],
    expected: Option<&str>,
    degraded: &str,
) {
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
    let request =
        Request::parse(Dialect::OpenAiChat, body.into(), &ReadOptions::default()).unwrap();
    let identity = Identity::default();
    let call = RoutingRequest {
        context: RequestContext {
            headers: &sent,
            previous_response: false,
        },
        ..call(&request, Dialect::OpenAiChat, &identity)
    };
    let generation = generation(policy);
    let routed = route(&generation, &call).now_or_never().unwrap();
    let Outcome::Forward(forward) = routed.outcome else {
        panic!("{:?}", routed.outcome)
    };
    let named = forward.headers().iter().find_map(|op| match op {
        HeaderOp::Set(name, value) if &**name == MODEL => Some(&**value),
        _ => None,
    });
    assert_eq!(named, expected, "{sent:?}");
    assert_eq!(routed.trace.degraded.join(","), degraded, "{sent:?}");
}

#[test]
fn a_candidate_that_would_need_the_callers_credential_is_not_named() {
    let lost = "fallback=headers_replaced";
    let to_open = "[{model: a}, {model: open}]";
    check_sent(to_open, [], Some("open"), "");
    check_sent(to_open, [("accept", "*/*")], Some("open"), "");
    for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
        check_sent(to_open, [(name, "of-the-caller")], None, lost);
        // Nothing was taken off, or the next one has a key of its own.
        let to_key = "[{model: open}, {model: a}]";
        check_sent(to_key, [(name, "of-the-caller")], Some("a"), "");
        let both = "[{model: a}, {model: b}]";
        check_sent(both, [(name, "of-the-caller")], Some("b"), "");
        let further = "[{model: a}, {model: open}, {model: b}]";
        check_sent(further, [(name, "of-the-caller")], Some("b"), "");
    }
    // Any header that was replaced is gone.
    check_sent(to_open, [("x-org", "of-the-caller")], None, lost);
    let both = "[{model: a}, {model: b}]";
    check_sent(both, [("x-org", "of-the-caller")], None, lost);

    // What a plugin sets is the same at each candidate.
    let plugin = "plugins: [{type: header_mutation, configuration: {add: [{name: Authorization, value: Bearer plugin}]}}]";
    let policy = with_candidates(&format!("{to_open}\n      {plugin}"));
    let caller = ("authorization", "of-the-caller");
    check_policy(&policy, [caller], Some("open"), "");
    let tried = try_both(&policy, &policy, "");
    let set = tried
        .headers
        .iter()
        .rfind(|line| line.contains("authorization"));
    assert_eq!(set.unwrap(), "authorization: Bearer plugin");
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
