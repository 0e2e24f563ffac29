//! Whatever way a request takes to a model (a first attempt, a second one, a run's call, an adapter's
//! name), it carries the key of that model's backend, or the caller's, and never another one's.

use super::{call, generation};
use crate::pipeline::{RoutingRequest, fallback, route, route_call};
use crate::plan::{Forward, HeaderOp, Outcome};
use conversation::credential::Claims;
use conversation::learning::context::RequestContext;
use dialects::{Asked, Dialect, ReadOptions, Request};
use futures_util::FutureExt as _;
use signals::families::Identity;
use std::collections::BTreeMap;

const POLICY: &str = r#"
version: v0.3
providers:
  defaults: {default_model: open}
  models:
    - name: a
      backend_refs: [{endpoint: "127.0.0.1:1", api_key: key-of-a, extra_headers: {x-org: org-of-a}}]
    - {name: b, backend_refs: [{endpoint: "127.0.0.1:2", api_key: key-of-b, auth_header: x-api-key}]}
    - {name: c, backend_refs: [{endpoint: "127.0.0.1:3", api_key: key-of-c}]}
    - {name: open, backend_refs: [{endpoint: "127.0.0.1:4"}]}
routing:
  modelCards:
    - {name: a, loras: [{name: a-law}]}
    - {name: b, loras: [{name: b-law}]}
    - {name: c}
    - {name: open, loras: [{name: open-law}]}
  decisions:
    - {name: all, priority: 1, modelRefs: REFSALGORITHM}
global: {server: {fallback: {enabled: true}}}
"#;

/// Models and adapters, each with the model whose backend serves it.
const CANDIDATES: [(&str, &str); 7] = [
    ("a", "a"),
    ("a-law", "a"),
    ("b", "b"),
    ("b-law", "b"),
    ("c", "c"),
    ("open", "open"),
    ("open-law", "open"),
];

/// Headers that a caller may bring a key in.
const CALLERS: [&[(&str, &str)]; 4] = [
    &[],
    &[("authorization", "Bearer of-the-caller")],
    &[("x-api-key", "of-the-caller")],
    &[
        ("authorization", "Bearer of-the-caller"),
        ("x-org", "of-the-caller"),
    ],
];

type Sent = BTreeMap<String, String>;

fn policy(candidates: &[(&str, &str)], algorithm: &str) -> String {
    let reference = |&(name, model): &(&str, &str)| {
        if name == model {
            format!("{{model: {model}}}")
        } else {
            format!("{{model: {model}, lora_name: {name}}}")
        }
    };
    let references: Vec<String> = candidates.iter().map(reference).collect();
    POLICY
        .replace("REFS", &format!("[{}]", references.join(", ")))
        .replace("ALGORITHM", algorithm)
}

fn chat(model: &str) -> Request {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
    Request::parse(Dialect::OpenAiChat, body.into(), &ReadOptions::default()).unwrap()
}

fn edit(sent: &mut Sent, ops: &[HeaderOp]) {
    for op in ops {
        match op {
            HeaderOp::Set(name, value) => {
                sent.insert(name.to_string(), value.to_string());
            }
            HeaderOp::Remove(name) => {
                sent.remove(&**name);
            }
        }
    }
}

fn of_caller(caller: &[(&str, &str)]) -> Sent {
    let pairs = caller.iter().copied();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The header with its key that a backend wants, if it has one.
fn key_of(model: &str) -> Option<(&'static str, String)> {
    match model {
        "b" => Some(("x-api-key", "key-of-b".to_owned())),
        "a" | "c" => Some(("authorization", format!("Bearer key-of-{model}"))),
        _ => None,
    }
}

#[track_caller]
fn check(sent: &Sent, model: &str, way: &str) {
    for (name, value) in sent {
        let others = CANDIDATES.iter().filter(|(_, other)| *other != model);
        let is_foreign = others.clone().any(|(_, other)| {
            value.contains(&format!("key-of-{other}")) || value.contains(&format!("org-of-{other}"))
        });
        assert!(!is_foreign, "{way}: {name}: {value}");
    }
    if let Some((name, key)) = key_of(model) {
        assert_eq!(sent.get(name), Some(&key), "{way}");
    }
}

fn first(policy: &str, caller: &[(&str, &str)], model: &str) -> Outcome {
    let request = chat(model);
    let identity = Identity::default();
    let headers: Vec<(String, String)> = of_caller(caller).into_iter().collect();
    let generation = generation(policy);
    let routing = RoutingRequest {
        context: RequestContext {
            headers: &headers,
            previous_response: false,
        },
        ..call(&request, Dialect::OpenAiChat, &identity)
    };
    let routed = route(&generation, &routing).now_or_never().unwrap();
    routed.outcome
}

fn forwarded(outcome: Outcome) -> Forward {
    match outcome {
        Outcome::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_attempt_carries_its_own_key_only() {
    let mut attempts = 0;
    for (name, model) in CANDIDATES {
        for (next, base) in CANDIDATES.into_iter().filter(|(_, base)| *base != model) {
            for caller in CALLERS {
                let policy = policy(&[(name, model), (next, base)], "");
                let way = format!("{name} then {next} for {caller:?}");
                let forward = forwarded(first(&policy, caller, "auto"));
                let mut sent = of_caller(caller);
                edit(&mut sent, forward.headers());
                check(&sent, model, &way);

                let said = |name: &str| sent.get(name).map(String::as_str);
                let Some(to) = said(fallback::MODEL) else {
                    continue;
                };
                let attempt = fallback::Attempt {
                    recipe: said(fallback::RECIPE).unwrap(),
                    decision: said(fallback::DECISION).unwrap(),
                    boundaries: said(fallback::BOUNDARIES),
                    headers: said(fallback::HEADERS),
                    from: said("x-selected-model").unwrap(),
                    to,
                };
                assert_eq!(to, next, "{way}");
                let asked = Asked::conversation(Dialect::OpenAiChat);
                let request = chat("auto");
                let again =
                    fallback::attempt(&generation(&policy), attempt, request.prompt(), &asked);
                let again = again.unwrap();
                edit(&mut sent, again.headers());
                check(&sent, base, &way);
                // What a first attempt there would carry: the caller's key, or none.
                let own = caller.iter().filter(|(name, _)| *name != "x-org");
                let is_kept = |(name, value): &(&str, &str)| {
                    sent.get(*name).map(String::as_str) == Some(*value)
                };
                assert!(key_of(base).is_some() || own.clone().all(is_kept), "{way}");
                attempts += 1;
            }
        }
    }
    assert!(attempts > 40, "{attempts}");
}

#[test]
fn an_adapter_carries_the_key_of_its_base_model() {
    for (name, model) in CANDIDATES {
        for caller in CALLERS {
            let candidates = policy(&[(name, model)], "");
            for asked in ["auto", name] {
                let forward = forwarded(first(&candidates, caller, asked));
                assert_eq!(&**forward.model(), name);
                let mut sent = of_caller(caller);
                edit(&mut sent, forward.headers());
                check(&sent, model, &format!("{asked} to {name} for {caller:?}"));
            }
        }
    }
}

#[test]
fn each_call_of_a_cascade_carries_its_own_key() {
    let algorithm = ", algorithm: {type: confidence, confidence: {confidence_method: margin}}";
    let policy = policy(&CANDIDATES, algorithm);
    for caller in CALLERS {
        let Outcome::Escalate(run) = first(&policy, caller, "auto") else {
            panic!("no run");
        };
        let mut sent = of_caller(caller);
        edit(&mut sent, run.otherwise.headers());
        let (_, base) = CANDIDATES[0];
        check(&sent, base, "instead of a run");
    }

    let generation = generation(&policy);
    for (name, model) in CANDIDATES {
        let request = chat(name);
        let identity = Identity::default();
        let claims = Claims {
            principal: String::new(),
            recipe: "default".to_owned(),
            decision: "all".to_owned(),
            model: name.to_owned(),
            depth: 1,
            expires: 0,
        };
        let routing = call(&request, Dialect::OpenAiChat, &identity);
        let routed = route_call(&generation, &claims, &routing);
        let forward = forwarded(routed.now_or_never().unwrap().outcome);
        for caller in CALLERS {
            let mut sent = of_caller(caller);
            edit(&mut sent, forward.headers());
            check(&sent, model, &format!("a call of {name} for {caller:?}"));
        }
    }
}
