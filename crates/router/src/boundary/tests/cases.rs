//! Boundaries case by case: what is sent, what is refused, what eval says.

use crate::config;
use crate::evaluation::eval;
use crate::generation::{Deps, Generation};
use crate::pipeline::{self, Routed, RoutingRequest};
use crate::plan::Outcome;
use dialects::{Dialect, EvalRequest, ReadOptions, Request};
use futures_util::FutureExt;
use inference::ask::Failure;
use inference::fake::Fake;
use serde_json::{Value, json};
use signals::families::Identity;
use signals::families::language::LanguageDetector;
use std::sync::Arc;
use std::time::{Duration, Instant};

const POLICY: &str = r#"
version: v0.3
providers:
  defaults: {default_model: local}
  models:
    - {name: local, location: house, backend_refs: [{endpoint: "127.0.0.1:1"}]}
    - {name: cloud, location: cloud, backend_refs: [{endpoint: "127.0.0.1:2"}]}
routing:
  modelCards:
    - {name: local, context_window_size: 1000, capabilities: [chat]}
    - {name: cloud, context_window_size: 2000, capabilities: [chat, tools]}
  boundaries: BOUNDARIES
  signals:
    keywords:
      - {name: secret, operator: OR, keywords: [secret]}
      - {name: hard, operator: OR, keywords: [prove]}
    pii: [{name: any, scan: [current, history, system, tool_results]}]
    role_bindings: [{name: guest, role: guest, subjects: [{kind: User, name: eve}]}]
    embeddings: [{name: near, threshold: 0.9, candidates: [x]}]
    classifiers: [{name: risk, type: llm, model: judge, labels: [low, high]}]
  decisions:
    - {name: risky, priority: 9, rules: {type: classifier, name: risk, label: high, predicate: {gte: 0.5}}, modelRefs: [{model: local}]}
    - {name: near, priority: 8, rules: {type: embedding, name: near}, modelRefs: [{model: local}]}
    - {name: hard, priority: 5, rules: {type: keyword, name: hard}, modelRefs: [{model: cloud}, {model: local}]}
    - {name: out, priority: 1, rules: {operator: NOT, conditions: [{type: keyword, name: hard}]}, modelRefs: [{model: cloud}]}
global:
  model_catalog:
    embeddings: {semantic: {embedding_config: {model_type: remote, backend: openai_compatible}, endpoint: {model: encoder, base_url: "http://e"ENCODER}}}
    external: [{name: judge, llm_endpoint: {address: j}JUDGE}]
"#;
const SECRET: &str =
    "[{name: secrets_stay, when: {type: keyword, name: secret}, allow: {locations: [house]}}]";
const DATA: &str =
    "[{name: data_stays, when: {type: pii, name: any}, allow: {locations: [house]}}]";

fn policy(boundaries: &str) -> String {
    POLICY
        .replace("BOUNDARIES", boundaries)
        .replace("ENCODER", "")
        .replace("JUDGE", "")
}

pub(super) fn generation(policy: &str, models: &Fake) -> Generation {
    let checked = config::check(policy, &|_| None);
    assert!(checked.is_servable(), "{:#?}", checked.problems);
    let deps = Deps {
        env: &|_| None,
        language: Arc::new(LanguageDetector::small()),
        token_ratio: Arc::default(),
        catalog: models,
        state: Arc::default(),
    };
    let built = Generation::build(checked.document.unwrap(), checked.value, &deps);
    built.unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub(super) fn route<'g>(
    generation: &'g Generation,
    models: &Fake,
    user: &str,
    body: &Value,
) -> Routed<'g> {
    let request = Request::parse(
        Dialect::OpenAiChat,
        body.to_string().into(),
        &ReadOptions::default(),
    )
    .unwrap();
    let call = RoutingRequest {
        more: &[],
        service: None,
        context: conversation::learning::context::RequestContext::NOTHING,
        hints: conversation::session::SessionHints::default(),
        prompt: request.prompt(),
        dialect: Dialect::OpenAiChat,
        identity: &Identity {
            user: user.to_owned(),
            groups: Vec::new(),
        },
        observed: false,
        models,
        deadline: Instant::now() + Duration::from_secs(60),
        full: false,
        traced: false,
        rewritable: true,
    };
    pipeline::route(generation, &call).now_or_never().unwrap()
}

pub(super) fn outcome(routed: &Routed<'_>) -> String {
    let trace = &routed.trace;
    let end = match &routed.outcome {
        Outcome::Forward(_) => trace.model.as_deref().unwrap_or("-").to_owned(),
        Outcome::Answer { .. } => "answer".to_owned(),
        Outcome::Count { model, .. } => model.to_string(),
        Outcome::Escalate(run) => format!("run {:?}", run.allowed),
        Outcome::Refuse(refusal) => format!("{} {}", refusal.status, refusal.message),
    };
    let dropped = trace.dropped();
    let dropped = if dropped.is_empty() {
        dropped
    } else {
        format!(" -{dropped}")
    };
    let degraded = if trace.degraded.is_empty() {
        String::new()
    } else {
        format!(" !{}", trace.degraded.join(","))
    };
    format!(
        "{}: {end}{dropped}{degraded}",
        trace.decision.as_deref().unwrap_or("-")
    )
}

pub(super) fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// Where a request goes, and which services see it on the way.
#[track_caller]
fn check(policy: &str, models: Fake, (model, text): (&str, &str), expected: &str, asked: &[&str]) {
    let models = models.vector("x", &[1.0, 0.0]);
    let generation = generation(policy, &models);
    let routed = route(&generation, &models, "ada", &chat(model, text));
    assert_eq!(outcome(&routed), expected);
    let mut names: Vec<String> = models
        .asked()
        .iter()
        .map(|it| it.split(':').next().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, asked);
}

const FORBIDDEN: &str = "403 the boundary \"secrets_stay\" does not allow this request to go to any model that would serve it";

#[test]
fn candidates_and_concrete_names_are_bound() {
    let policy = policy(SECRET);
    let unseen = " !embedding=boundary,classifier=boundary";
    let bound = format!("hard: local -cloud=boundary:secrets_stay{unseen}");
    check(
        &policy,
        Fake::default(),
        ("auto", "prove the secret"),
        &bound,
        &[],
    );
    let refused = format!("out: {FORBIDDEN} -cloud=boundary:secrets_stay{unseen}");
    check(
        &policy,
        Fake::default(),
        ("auto", "a secret"),
        &refused,
        &[],
    );
    let named = format!("-: {FORBIDDEN} -cloud=boundary:secrets_stay");
    check(&policy, Fake::default(), ("cloud", "a secret"), &named, &[]);
    check(
        &policy,
        Fake::default(),
        ("local", "a secret"),
        "-: local",
        &[],
    );
    check(
        &policy,
        Fake::default(),
        ("cloud", "hello"),
        "-: cloud",
        &[],
    );
}

#[test]
fn a_text_is_shown_to_services_where_no_boundary_forbids_it() {
    let high = || Fake::default().labels("judge", "prove the secret", &[&[0.1, 0.9]]);
    let at_home = |boundaries: &str| {
        let policy = POLICY
            .replace("BOUNDARIES", boundaries)
            .replace("ENCODER", "");
        policy.replace("JUDGE", ", location: house")
    };
    let unbound = Fake::default().labels("judge", "prove it", &[&[0.1, 0.9]]);
    check(
        &policy(SECRET),
        unbound,
        ("auto", "prove it"),
        "risky: local",
        &["encoder", "judge"],
    );
    check(
        &at_home(SECRET),
        high(),
        ("auto", "prove the secret"),
        "risky: local !embedding=boundary",
        &["judge"],
    );
}

#[test]
fn what_is_not_known_is_bound() {
    let policy = policy(DATA);
    let text = ("cloud", "hello");
    let refused = "-: 403 the boundary \"data_stays\" does not allow this request to go to any model that would serve it \
                   -cloud=boundary:data_stays";
    check(&policy, Fake::default(), text, "-: cloud", &["pii"]);
    let held = |what: &str, reason: &str| {
        format!(
            "-: 503 {what} (pii={reason}), so the boundary \"data_stays\" \
             keeps it from every model that would serve it; try again shortly -cloud=boundary:data_stays !pii={reason}"
        )
    };
    let down = Fake::default().failing("pii", Failure::Shed);
    check(
        &policy,
        down,
        text,
        &held(
            "the router was too busy to read this request in time",
            "shed",
        ),
        &["pii"],
    );
    let down = Fake::default().failing("pii", Failure::Unready);
    let unready = format!("{refused} !pii=unready");
    check(&policy, down, text, &unready, &["pii"]);
    check(
        &policy,
        Fake::default().truncated("hello"),
        text,
        &format!("{refused} !pii=truncated"),
        &["pii"],
    );
    // Nor does NOT turn ignorance into knowledge.
    let not = policy.replace(
        "when: {type: pii, name: any}",
        "when: {operator: NOT, conditions: [{type: pii, name: any}]}",
    );
    let down = Fake::default().failing("pii", Failure::TimedOut);
    check(
        &not,
        down,
        text,
        &held("what reads this request timed out", "timeout"),
        &["pii"],
    );
}

/// What a boundary finds in one part of a request is final, whatever could not be read of the rest.
#[test]
fn what_is_certain_is_refused_for_good() {
    let both = format!(
        "{}, {}",
        SECRET.trim_end_matches(']'),
        DATA.trim_start_matches('[')
    );
    for (boundaries, text, status) in [
        (DATA, "hello", 503),
        (SECRET, "a secret", 403),
        (&both, "a secret", 403),
        (&both, "hello", 503),
    ] {
        let models = Fake::default().failing("pii", Failure::TimedOut);
        let generation = generation(&policy(boundaries), &models);
        let routed = route(&generation, &models, "ada", &chat("cloud", text));
        let Outcome::Refuse(refusal) = &routed.outcome else {
            panic!("{boundaries} {text} is served")
        };
        assert_eq!(refusal.status, status, "{boundaries} {text}");
    }
}

/// Words beside the user's turn are read by safety scans; what reads the turn alone is not sure.
#[test]
fn words_beside_the_turn_are_not_missed() {
    let part = |part: Value| {
        let text = json!({"type": "text", "text": "hello"});
        json!({"model": "cloud", "messages": [{"role": "user", "content": [text, part]}]})
    };
    let strange = part(json!({"type": "strange", "payload": "a secret"}));
    let file = part(json!({"type": "file", "file": {"file_data": "AA"}}));
    let image = part(json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}}));
    let call = json!({"model": "cloud", "messages": [
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "a secret"}}]},
        {"role": "user", "content": "hello"},
    ]});
    let found = |boundaries: &str, models: Fake, body: &Value| {
        let generation = generation(&policy(boundaries), &models);
        outcome(&route(&generation, &models, "ada", body))
    };
    let secrets = format!("-: {FORBIDDEN} -cloud=boundary:secrets_stay !keyword=unread");
    let data = FORBIDDEN.replace("secrets_stay", "data_stays");
    let data = format!("-: {data} -cloud=boundary:data_stays");
    let shed = || {
        let unread = Fake::default().truncated("a secret");
        unread.truncated("payload a secret")
    };
    let cases = [
        (SECRET, &strange, secrets),
        (SECRET, &image, "-: cloud".to_owned()),
        (SECRET, &call, "-: cloud".to_owned()),
        (DATA, &strange, format!("{data} !pii=truncated")),
        (DATA, &call, format!("{data} !pii=truncated")),
        (DATA, &file, format!("{data} !pii=unreadable")),
        (DATA, &image, format!("{data} !pii=unreadable")),
    ];
    for (boundaries, body, expected) in cases {
        assert_eq!(found(boundaries, shed(), body), expected, "{body}");
    }
}

/// Attachments pass where the rule says so; what is sealed always does, and shows.
#[test]
fn what_is_no_text_counts_as_the_rule_says() {
    let lenient = policy(DATA).replace(
        "tool_results]}]",
        "tool_results], on_unreadable: no_match}]",
    );
    let found = |body: &Value| {
        let models = Fake::default();
        let generation = generation(&lenient, &models);
        outcome(&route(&generation, &models, "ada", body))
    };
    let part =
        |part: Value| json!({"model": "cloud", "messages": [{"role": "user", "content": [part]}]});
    let image = part(json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}}));
    let file = part(json!({"type": "file", "file": {"file_data": "AA"}}));
    assert_eq!(
        (found(&image), found(&file)),
        ("-: cloud".into(), "-: cloud".into())
    );
    let sealed = json!({"model": "cloud", "messages": [
        {"role": "assistant", "content": "hi", "reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAA"}]},
        {"role": "user", "content": "hello"},
    ]});
    assert_eq!(found(&sealed), "-: cloud !pii=sealed");
}

/// What a client program writes, and a blank last turn, are no way around a boundary.
#[test]
fn what_a_client_program_writes_is_bound_too() {
    let models = Fake::default();
    let generation = generation(&policy(SECRET), &models);
    let found = |messages: Value| {
        let body = json!({"model": "cloud", "messages": messages});
        outcome(&route(&generation, &models, "ada", &body))
    };
    let user = |text: &str| json!({"role": "user", "content": text});
    let held = format!("-: {FORBIDDEN} -cloud=boundary:secrets_stay");
    for text in [
        "<system-reminder>a secret</system-reminder>",
        "<system-reminder>a secret</system-reminder>\nhello",
        "hello\n<environment_details>\na secret\n</environment_details>",
        "Continue from the tool evidence. a secret",
    ] {
        let expected = format!("{held} !keyword=unread");
        assert_eq!(found(json!([user(text)])), expected, "{text}");
    }
    assert_eq!(found(json!([user("a secret"), user(" ")])), held);
    let harmless = "<system-reminder>be brief</system-reminder>\nhello";
    assert_eq!(found(json!([user(harmless)])), "-: cloud");
}

#[test]
fn an_empty_conversation_is_bound_too() {
    let guests = "[{name: guests, when: {type: authz, name: guest}, allow: {models: [cloud]}}]";
    let generation = generation(&policy(guests), &Fake::default());
    let silent = json!({"model": "auto", "messages": []});
    let found = |user: &str| outcome(&route(&generation, &Fake::default(), user, &silent));
    assert_eq!(found("ada"), "-: local");
    assert!(
        found("eve").starts_with("-: 403 the boundary \"guests\""),
        "{}",
        found("eve")
    );
    assert!(found("").starts_with("-: 403 authz"), "{}", found(""));
}

#[test]
fn what_no_model_can_serve_is_refused() {
    let policy = policy("[]");
    let models = Fake::default().labels("judge", "prove", &[&[0.9, 0.1]]);
    let generation = generation(&policy, &models);
    #[track_caller]
    fn check(generation: &Generation, models: &Fake, body: &Value, expected: &str) {
        let found = outcome(&route(generation, models, "ada", body));
        assert!(found.starts_with(expected), "{found}");
    }
    let with = |key: &str, value: Value| {
        let mut body = chat("auto", "prove");
        body[key] = value;
        body
    };
    let check = |body: &Value, expected: &str| check(&generation, &models, body, expected);
    check(
        &with("max_tokens", json!(1500)),
        "hard: cloud -local=context_window:15",
    );
    let refused = "hard: 400 this request needs at least 5001 tokens and the model's maximum context length is 2000 tokens";
    check(&with("max_tokens", json!(5000)), refused);
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    check(
        &with("tools", tools.clone()),
        "hard: cloud -local=ability:tools",
    );
    let mut named = chat("local", "prove");
    named["tools"] = tools;
    // The user's explicit choice.
    check(&named, "-: local");
}

#[test]
fn eval_says_who_may_serve() {
    let models = Fake::default().vector("x", &[1.0, 0.0]);
    let generation = generation(&policy(SECRET), &models);
    let evaluated = |model: &str, text: &str| {
        let request = EvalRequest::parse(
            chat(model, text).to_string().as_bytes(),
            false,
            &ReadOptions::default(),
        )
        .unwrap();
        eval(
            &generation,
            &request,
            None,
            &models,
            Instant::now() + Duration::from_secs(60),
        )
        .now_or_never()
        .unwrap()
        .unwrap()
    };
    let bound = evaluated("auto", "prove the secret");
    assert_eq!(
        (&bound["selected_model"], &bound["selection_method"]),
        (&json!("local"), &json!("single"))
    );
    assert_eq!(
        bound["boundaries"],
        json!([{"name": "secrets_stay", "holds": true}])
    );
    assert_eq!(bound["allowed_models"], json!(["local"]));
    let cloud = json!({"model": "cloud", "eligible": false, "dropped_by": "boundary:secrets_stay"});
    assert_eq!(
        bound["candidates"],
        json!([cloud, {"model": "local", "eligible": true}])
    );
    let named = evaluated("cloud", "a secret");
    assert_eq!(
        (&named["refused"]["status"], &named["refused"]["by"]),
        (&json!(403), &json!("boundary:secrets_stay"))
    );
    assert_eq!(named.get("selected_model"), None);
    let free = evaluated("cloud", "hello");
    assert_eq!(
        (&free["selected_model"], free.get("refused")),
        (&json!("cloud"), None)
    );
    assert_eq!(
        free["boundaries"],
        json!([{"name": "secrets_stay", "holds": false}])
    );
}
