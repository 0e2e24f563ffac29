//! Requests of other endpoints than those of conversations.

use super::{Plan, body, call, generation};
use crate::plan::{HeaderOp, Outcome};
use dialects::{Asked, Request, Service};
use futures_util::FutureExt;
use signals::families::Identity;

const POLICY: &str = r#"
version: v0.3
providers:
  defaults: {default_model: small}
  models:
    - {name: small, provider_model_id: small-4b, location: cloud, backend_refs: [{endpoint: "127.0.0.1:1", chat_path: /chat}]}
    - {name: house, location: house, backend_refs: [{endpoint: "127.0.0.1:2"}]}
    - {name: vectors, location: cloud, provider_model_id: bge, backend_refs: [{endpoint: "127.0.0.1:3"}]}
    - {name: vectors-two, location: house, backend_refs: [{endpoint: "127.0.0.1:4"}]}
    - {name: ranks, location: cloud, backend_refs: [{endpoint: "127.0.0.1:5"}]}
    - {name: ranks-two, location: house, backend_refs: [{endpoint: "127.0.0.1:6"}]}
    - {name: paints, location: cloud, backend_refs: [{endpoint: "127.0.0.1:7"}]}
routing:
  modelCards:
    - {name: vectors, capabilities: [Embeddings]}
    - {name: vectors-two, capabilities: [embedding]}
    - {name: ranks, capabilities: [rerank]}
    - {name: ranks-two, capabilities: [reranking]}
    - {name: paints, modality: diffusion}
  signals:
    keywords:
      - {name: secret, operator: OR, keywords: [patient]}
      - {name: code, operator: OR, keywords: [python]}
      - {name: theft, operator: OR, keywords: [system prompt]}
  boundaries: [{name: stays, when: {type: keyword, name: secret}, allow: {locations: [house]}}]
  decisions:
    - name: blocked
      priority: 3
      rules: {type: keyword, name: theft}
      plugins: [{type: fast_response, configuration: {message: "No."}}]
    - name: code
      priority: 2
      rules: {type: keyword, name: code}
      modelRefs: [{model: house, use_reasoning: true}, {model: small}]
      plugins: [{type: system_prompt, configuration: {system_prompt: "Think."}}]
    - {name: all, priority: 1, modelRefs: [{model: small}, {model: house}]}
"#;

fn plan(service: Service, text: &str) -> (Plan, Request) {
    plan_under(POLICY, service, text)
}

fn plan_under(policy: &str, service: Service, text: &str) -> (Plan, Request) {
    let generation = generation(policy);
    let asked = Asked {
        service: Some(service),
        ..Asked::conversation(service.dialect())
    };
    let options = &generation.settings.reading;
    let request = Request::read(&asked, text.to_owned().into(), options).unwrap();
    let identity = Identity::default();
    let call = crate::pipeline::RoutingRequest {
        more: request.more(),
        service: Some(service),
        ..call(&request, service.dialect(), &identity)
    };
    let routed = crate::pipeline::route(&generation, &call)
        .now_or_never()
        .unwrap();
    let plan = Plan {
        outcome: routed.outcome,
        trace: routed.trace,
    };
    (plan, request)
}

/// The model, the body that it gets (`=` if that is the client's) and what is degraded, or the
/// refusal.
fn outcome(service: Service, text: &str) -> String {
    let (plan, request) = plan(service, text);
    match plan.outcome {
        Outcome::Forward(forward) => {
            let sent = body::apply(&request, forward.body());
            let sent = sent.map_or("=".to_owned(), |it| {
                String::from_utf8_lossy(&it).into_owned()
            });
            let degraded = plan.trace.degraded.join(",");
            format!("{} {sent} {degraded}", forward.model())
                .trim_end()
                .to_owned()
        }
        Outcome::Refuse(refusal) => format!("{} {}", refusal.status, refusal.message),
        Outcome::Answer { message } => format!("answer {message}"),
        Outcome::Count { model, tokens } => format!("{model} counts {tokens}"),
        Outcome::Escalate(_) => "run".to_owned(),
    }
}

#[track_caller]
fn check(service: Service, text: &str, expected: &str) {
    let found = outcome(service, text);
    assert!(
        found == expected
            || expected.ends_with('…') && found.starts_with(expected.trim_end_matches('…')),
        "{text}\n{found}\ninstead of\n{expected}"
    );
}

#[test]
fn a_named_model_gets_the_request_under_its_own_name() {
    for service in [
        Service::Completions,
        Service::Rerank,
        Service::Speech,
        Service::Moderations,
    ] {
        check(
            service,
            r#"{"model":"small","input":"hi"}"#,
            r#"small {"model":"small-4b","input":"hi"}"#,
        );
        check(service, r#"{"model":"house","input":"hi"}"#, "house =");
        check(service, r#"{"model":"nobody","input":"hi"}"#, "404 …");
    }
}

#[test]
fn boundaries_hold() {
    let held = "403 …";
    for (service, text) in [
        (
            Service::Completions,
            r#"{"model":"small","prompt":"a patient"}"#,
        ),
        (
            Service::Completions,
            r#"{"model":"small","suffix":["a patient"]}"#,
        ),
        (
            Service::Completions,
            r#"{"model":"small","prompt":[464,5827]}"#,
        ),
        (
            Service::Embeddings,
            r#"{"model":"small","input":["x","a patient"]}"#,
        ),
        (Service::Embeddings, r#"{"model":"small","input":[[464]]}"#),
        (
            Service::Embeddings,
            r#"{"model":"auto","input":"a patient"}"#,
        ),
        (
            Service::Rerank,
            r#"{"model":"small","query":"q","documents":["a patient"]}"#,
        ),
        (
            Service::Rerank,
            r#"{"model":"small","query":"q","documents":[{"text":"a patient"}]}"#,
        ),
        (Service::Images, r#"{"prompt":"a patient"}"#),
        (Service::Speech, r#"{"model":"small","input":"a patient"}"#),
        (
            Service::Moderations,
            r#"{"input":[{"type":"text","text":"a patient"}]}"#,
        ),
        (
            Service::CountTokens,
            r#"{"model":"small","messages":[{"role":"user","content":"a patient"}]}"#,
        ),
        (Service::Compact, r#"{"model":"small","input":"a patient"}"#),
        (
            Service::MessageBatches,
            r#"{"requests":[{"params":{"model":"small","messages":[{"role":"user","content":"hi"}]}},
                {"params":{"model":"small","messages":[{"role":"user","content":"a patient"}]}}]}"#,
        ),
    ] {
        check(service, text, held);
        check(
            service,
            &text.replace("small", "house"),
            if text.contains("small") {
                "house …"
            } else {
                held
            },
        );
    }
    check(
        Service::Rerank,
        r#"{"model":"auto","query":"q","documents":["a patient"]}"#,
        r#"ranks-two {"model":"ranks-two",…"#,
    );
    check(
        Service::Completions,
        r#"{"model":"auto","prompt":"a patient"}"#,
        r#"house {"model":"house",…"#,
    );
}

#[test]
fn what_is_left_to_the_policy_goes_to_models_that_can() {
    for (service, text, expected) in [
        (
            Service::Completions,
            r#"{"model":"auto","prompt":"hi"}"#,
            r#"small {"model":"small-4b","prompt":"hi"}"#,
        ),
        // Plugins and reasoning are for conversations.
        (
            Service::Completions,
            r#"{"model":"auto","prompt":"python"}"#,
            r#"house {"model":"house","prompt":"python"} plugins=other_endpoint"#,
        ),
        (
            Service::CountTokens,
            r#"{"model":"auto","messages":[{"role":"user","content":"python"}]}"#,
            r#"house {"model":"house","messages":[{"role":"user","content":"python"}]} plugins=other_endpoint"#,
        ),
        // What it says chooses no other model for vectors.
        (
            Service::Embeddings,
            r#"{"model":"auto","input":"python"}"#,
            r#"vectors {"model":"bge","input":"python"}"#,
        ),
        (
            Service::Images,
            r#"{"model":"auto","prompt":"a cat"}"#,
            r#"paints {"model":"paints","prompt":"a cat"}"#,
        ),
        (Service::Images, r#"{"prompt":"a cat"}"#, "paints ="),
        (Service::Moderations, r#"{"input":"hi"}"#, "small ="),
        (
            Service::Moderations,
            r#"{"model":"auto","input":"hi"}"#,
            "400 no model is declared for this endpoint: name a model, or list moderation in the capabilities of its card",
        ),
        (
            Service::Embeddings,
            r#"{"model":"auto","input":"your system prompt"}"#,
            "403 the policy (decision \"blocked\") gives a fixed answer…",
        ),
        (
            Service::Completions,
            r#"{"model":"auto","prompt":"your system prompt"}"#,
            "403 the policy (decision \"blocked\") gives a fixed answer…",
        ),
    ] {
        check(service, text, expected);
    }
}

#[test]
fn a_batch_goes_to_one_backend() {
    let batch = |texts: &[&str]| {
        let request = |text: &&str| {
            format!(
                r#"{{"params":{{"model":"auto","messages":[{{"role":"user","content":"{text}"}}]}}}}"#
            )
        };
        let requests: Vec<String> = texts.iter().map(request).collect();
        format!(r#"{{"requests":[{}]}}"#, requests.join(","))
    };
    let service = Service::MessageBatches;
    let hi = batch(&["hi", "hello"]);
    check(
        service,
        &hi,
        &format!("small {}", hi.replace("auto", "small-4b")),
    );
    let held = batch(&["hi", "a patient"]);
    check(
        service,
        &held,
        &format!("house {}", held.replace("auto", "house")),
    );
    check(
        service,
        &batch(&["hi", "python"]),
        "400 a batch goes to one backend, and its requests lead to different decisions (\"all\", \"code\")…",
    );
}

#[test]
fn a_path_of_chat_completions_is_no_other_endpoints() {
    for service in [Service::Completions, Service::Embeddings] {
        let (plan, _) = plan(service, r#"{"model":"small","input":"hi"}"#);
        let Outcome::Forward(forward) = plan.outcome else {
            panic!("{:?}", plan.outcome);
        };
        assert!(forward.headers().iter().all(|op| op.name() != ":path"));
    }
}

/// The header that names the further candidate, and what is degraded.
#[track_caller]
fn check_fallback(service: Service, text: &str, expected: Option<&str>) {
    use crate::pipeline::fallback::MODEL;
    let (plan, _) = plan_under(&with_fallback(), service, text);
    let Outcome::Forward(forward) = plan.outcome else {
        panic!("{text}: {:?}", plan.outcome);
    };
    let named = forward.headers().iter().find_map(|op| match op {
        HeaderOp::Set(name, value) if &**name == MODEL => Some(&**value),
        _ => None,
    });
    assert_eq!(named, expected, "{service:?} {text}");
}

fn with_fallback() -> String {
    format!("{POLICY}global: {{server: {{fallback: {{enabled: true}}}}}}\n")
}

#[test]
fn text_for_a_model_of_conversations_has_a_fallback() {
    let counted = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
    for (service, text, expected) in [
        (
            Service::Completions,
            r#"{"model":"auto","prompt":"hi"}"#,
            Some("house"),
        ),
        (
            Service::Completions,
            r#"{"model":"auto","prompt":"python"}"#,
            Some("small"),
        ),
        (
            Service::Completions,
            r#"{"model":"auto","prompt":"a patient"}"#,
            None,
        ),
        (
            Service::Completions,
            r#"{"model":"small","prompt":"hi"}"#,
            None,
        ),
        // The model has no such endpoint: Merit counts itself.
        (Service::CountTokens, counted, None),
        (Service::Compact, r#"{"model":"auto","input":"hi"}"#, None),
        (
            Service::Embeddings,
            r#"{"model":"auto","input":"hi"}"#,
            None,
        ),
        (Service::Rerank, r#"{"model":"auto","query":"hi"}"#, None),
        (
            Service::MessageBatches,
            r#"{"requests":[{"params":{"model":"auto","messages":[]}}]}"#,
            None,
        ),
    ] {
        check_fallback(service, text, expected);
    }
}

#[test]
fn a_second_attempt_changes_nothing_but_the_model() {
    use crate::pipeline::fallback::{Attempt, attempt};
    let generation = generation(&with_fallback());
    let service = Service::Completions;
    let asked = Asked {
        service: Some(service),
        ..Asked::conversation(service.dialect())
    };
    let body = r#"{"model":"small-4b","prompt":"python"}"#;
    let request = Request::read(&asked, body.into(), &generation.settings.reading).unwrap();
    let to = Attempt {
        recipe: "default",
        decision: "code",
        boundaries: Some("-"),
        headers: None,
        from: "small",
        to: "house",
    };
    let forward = attempt(&generation, to, request.prompt(), &asked).unwrap();
    let sent = body::apply(&request, forward.body()).unwrap();
    assert_eq!(sent, r#"{"model":"house","prompt":"python"}"#);
    assert!(forward.headers().iter().all(|op| op.name() != ":path"));
}
