//! Which wire a request goes out on: the client's, the backend's, or none.

use super::*;
use crate::plan::make;
use dialects::Service;
use dialects::translate::Backend;
use serde_json::{Value, json};

const POLICY: &str = r#"
version: v0.3
providers:
  defaults:
    default_model: any
    reasoning_families:
      qwen3: {type: chat_template_kwargs, parameter: enable_thinking}
  models:
    - {name: any, backend_refs: [{endpoint: "127.0.0.1:8000"}]}
    - {name: chat, provider_model_id: chat-1, api_format: openai, reasoning_family: qwen3, backend_refs: [{endpoint: "127.0.0.1:8001"}]}
    - {name: openai, api_format: openai, backend_refs: [{base_url: "https://api.openai.com/v1"}]}
    - {name: responses, api_format: responses, backend_refs: [{endpoint: "127.0.0.1:8002"}]}
    - {name: claude, provider_model_id: claude-1, api_format: anthropic, backend_refs: [{endpoint: "127.0.0.1:8003", api_key: k}]}
    - {name: pathed, api_format: anthropic, backend_refs: [{base_url: "https://llm.example.com/v2", chat_path: /msgs}]}
routing:
  modelCards: [{name: any}, {name: chat}, {name: openai}, {name: responses}, {name: claude}, {name: pathed}]
  signals:
    keywords:
      - {name: strict, operator: OR, keywords: [strictly]}
      - {name: several, operator: OR, keywords: [several]}
  decisions:
    - name: strict
      priority: 3
      translation: strict
      rules: {type: keyword, name: strict}
      modelRefs: [{model: claude}]
    - name: several
      priority: 2
      rules: {type: keyword, name: several}
      modelRefs: [{model: claude}, {model: any}]
    - name: usual
      priority: 1
      rules: {operator: NOT, conditions: [{type: keyword, name: strict}]}
      modelRefs: [{model: claude}]
      plugins:
        - {type: system_prompt, configuration: {system_prompt: "Think."}}
        - {type: prompt_cache}
global: {server: {response: {restore_model: true}}}
"#;

fn body(dialect: Dialect, model: &str, text: &str) -> Value {
    match dialect {
        Dialect::OpenAiChat => {
            json!({"model": model, "messages": [{"role": "user", "content": text}]})
        }
        Dialect::OpenAiResponses => json!({"model": model, "input": text}),
        Dialect::AnthropicMessages => {
            json!({"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": text}]})
        }
    }
}

fn request(dialect: Dialect, body: &Value) -> Request {
    let text = body.to_string();
    Request::parse(dialect, text.into(), &ReadOptions::default()).unwrap()
}

fn routed(dialect: Dialect, request: &Request, rewritable: bool) -> Plan {
    let generation = generation(POLICY);
    let identity = Identity::default();
    let call = RoutingRequest {
        rewritable,
        ..call(request, dialect, &identity)
    };
    let routed = route(&generation, &call).now_or_never().unwrap();
    Plan {
        outcome: routed.outcome,
        trace: routed.trace,
    }
}

/// The body of a plan as it goes out.
fn sent(request: &Request, forward: &Forward) -> Value {
    let made = make(request, forward).unwrap();
    let body = made.body.unwrap_or_else(|| request.body().clone());
    serde_json::from_slice(&body).unwrap()
}

const ALL: [Dialect; 3] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::AnthropicMessages,
];

/// How a request of each wire reaches a model: `=` untouched, the wire that it is put on, or the
/// status of its refusal.
#[track_caller]
fn check(model: &str, rewritable: bool, expected: [&str; 3]) {
    let got = ALL.map(|dialect| {
        let request = request(dialect, &body(dialect, model, "hi"));
        match routed(dialect, &request, rewritable).outcome {
            Outcome::Forward(forward) => forward
                .translation()
                .map_or("=".to_owned(), |it| it.backend.dialect.to_string()),
            Outcome::Refuse(refusal) => refusal.status.to_string(),
            other => format!("{other:?}"),
        }
    });
    assert_eq!(got, expected, "{model} {rewritable}");
}

#[test]
fn each_client_reaches_each_backend() {
    const CHAT: &str = "openai-chat";
    const RESPONSES: &str = "openai-responses";
    const MESSAGES: &str = "anthropic-messages";
    for (model, seen, hidden) in [
        ("any", ["=", "=", "="], ["=", "=", "="]),
        ("chat", ["=", CHAT, CHAT], ["=", "400", "400"]),
        ("openai", ["=", "=", CHAT], ["=", "=", "400"]),
        (
            "responses",
            [RESPONSES, "=", RESPONSES],
            ["400", "=", "400"],
        ),
        ("claude", [MESSAGES, MESSAGES, "="], ["400", "400", "="]),
    ] {
        check(model, true, seen);
        check(model, false, hidden);
    }
}

#[test]
fn a_refusal_says_why_nothing_is_translated() {
    let dialect = Dialect::OpenAiChat;
    let request = request(dialect, &body(dialect, "claude", "hi"));
    let plan = routed(dialect, &request, false);
    let Outcome::Refuse(refusal) = plan.outcome else {
        panic!("{:?}", plan.outcome)
    };
    assert_eq!(
        refusal.message,
        "model \"claude\" speaks Anthropic Messages and this request OpenAI chat completions; it cannot be translated: \
         the gateway does not let the answer be changed (its ext_proc filter must show response headers and bodies)"
    );
}

#[test]
fn another_candidate_serves_what_cannot_be_translated() {
    let dialect = Dialect::OpenAiChat;
    let request = request(dialect, &body(dialect, "auto", "several"));
    for (rewritable, model, dropped) in [
        (true, "claude", ""),
        (false, "any", "claude=wire:response_not_rewritable"),
    ] {
        let plan = routed(dialect, &request, rewritable);
        assert_eq!(plan.trace.model.as_deref(), Some(model));
        assert_eq!(plan.trace.dropped(), dropped);
    }
    // A request that goes on from what a provider keeps says the same.
    let dialect = Dialect::OpenAiResponses;
    let mut body = body(dialect, "auto", "several");
    body["previous_response_id"] = "resp_1".into();
    let plan = routed(dialect, &super::translation::request(dialect, &body), true);
    assert_eq!(plan.trace.model.as_deref(), Some("any"));
    assert_eq!(plan.trace.dropped(), "claude=wire:provider_state");
}

#[test]
fn policy_edits_come_first_and_the_backends_last() {
    let dialect = Dialect::OpenAiChat;
    let request = request(dialect, &body(dialect, "auto", "hi"));
    let plan = routed(dialect, &request, true);
    let Outcome::Forward(forward) = plan.outcome else {
        panic!("{:?}", plan.outcome)
    };
    let body = sent(&request, &forward);
    assert_eq!(body["model"], "claude-1");
    assert_eq!(
        body["system"],
        json!([{"type": "text", "text": "Think.", "cache_control": {"type": "ephemeral"}}]),
        "{body}"
    );
    assert_eq!(body["messages"][0]["role"], "user");
    assert_eq!(
        (plan.trace.protocol, plan.trace.upstream),
        ("openai", "anthropic")
    );

    let headers: Vec<String> = forward
        .headers()
        .iter()
        .map(|op| match op {
            HeaderOp::Set(name, value) => format!("{name}={value}"),
            HeaderOp::Remove(name) => format!("-{name}"),
        })
        .collect();
    for expected in [
        "anthropic-version=2023-06-01",
        "x-api-key=k",
        "-authorization",
    ] {
        assert!(headers.iter().any(|it| it == expected), "{headers:?}");
    }
    assert!(forward.changes_response() && forward.response().is_empty());
    let made = make(&request, &forward).unwrap();
    let Some(crate::response::ResponseStage::Translate { reply }) = made.answer else {
        panic!("no stage")
    };
    assert_eq!((&*reply.model, reply.client), ("auto", dialect));
}

#[test]
fn a_switch_of_reasoning_is_written_on_the_backends_wire() {
    let dialect = Dialect::AnthropicMessages;
    for (thinking, expected) in [
        (
            json!({"type": "enabled", "budget_tokens": 1024}),
            json!(true),
        ),
        (json!({"type": "disabled"}), json!(false)),
        (Value::Null, Value::Null),
    ] {
        let mut body = body(dialect, "chat", "hi");
        body["max_tokens"] = 4096.into();
        if !thinking.is_null() {
            body["thinking"] = thinking;
        }
        let request = request(dialect, &body);
        let Outcome::Forward(forward) = routed(dialect, &request, true).outcome else {
            panic!()
        };
        let sent = sent(&request, &forward);
        assert_eq!(sent["model"], "chat-1");
        assert_eq!(
            sent["chat_template_kwargs"]["enable_thinking"], expected,
            "{sent}"
        );
        assert!(forward.body().is_empty(), "{:?}", forward.body());
    }
}

#[test]
fn a_path_of_the_document_is_that_of_the_backends_wire() {
    for (dialect, model, expected) in [
        (Dialect::OpenAiChat, "pathed", Some("/v2/msgs")),
        (Dialect::AnthropicMessages, "pathed", Some("/v2/msgs")),
        (Dialect::OpenAiChat, "claude", None),
    ] {
        let request = request(dialect, &body(dialect, model, "hi"));
        let Outcome::Forward(forward) = routed(dialect, &request, true).outcome else {
            panic!()
        };
        let path = forward.headers().iter().find_map(|op| match op {
            HeaderOp::Set(name, value) if &**name == ":path" => Some(&**value),
            _ => None,
        });
        assert_eq!(path, expected, "{dialect} {model}");
    }
}

#[test]
fn a_strict_decision_refuses_what_would_be_lost() {
    let dialect = Dialect::OpenAiChat;
    for (member, refused) in [(None, false), (Some("seed"), true)] {
        let mut body = body(dialect, "auto", "strictly");
        if let Some(member) = member {
            body[member] = 1.into();
        }
        let request = request(dialect, &body);
        let Outcome::Forward(forward) = routed(dialect, &request, true).outcome else {
            panic!()
        };
        assert!(forward.translation().is_some_and(|it| it.strict));
        let made = make(&request, &forward);
        assert_eq!(made.is_err(), refused, "{member:?} {made:?}");
        if let Err(refusal) = made {
            assert_eq!(refusal.status, 400);
            assert!(refusal.message.contains("seed"), "{}", refusal.message);
        }
    }
}

#[test]
fn tokens_are_counted_where_the_model_cannot() {
    for (model, expected) in [("chat", Some("chat")), ("any", None), ("claude", None)] {
        let asked = dialects::Asked {
            service: Some(Service::CountTokens),
            ..dialects::Asked::conversation(Dialect::AnthropicMessages)
        };
        let text = body(
            Dialect::AnthropicMessages,
            model,
            "How many tokens are in this?",
        )
        .to_string();
        let request = Request::read(&asked, text.into(), &ReadOptions::default()).unwrap();
        let identity = Identity::default();
        let generation = generation(POLICY);
        for rewritable in [true, false] {
            let call = RoutingRequest {
                service: Some(Service::CountTokens),
                rewritable,
                ..call(&request, Dialect::AnthropicMessages, &identity)
            };
            let routed = route(&generation, &call).now_or_never().unwrap();
            match (routed.outcome, expected) {
                (Outcome::Count { model, tokens }, Some(expected)) => {
                    assert_eq!(&*model, expected);
                    assert!((5..60).contains(&tokens), "{tokens}");
                    assert_eq!(routed.trace.model.as_deref(), Some(expected));
                }
                (Outcome::Forward(forward), None) => assert!(forward.translation().is_none()),
                (other, _) => panic!("{model}: {other:?}"),
            }
        }
    }
}

#[test]
fn other_endpoints_stay_on_their_wire() {
    let asked = dialects::Asked {
        service: Some(Service::Completions),
        ..dialects::Asked::conversation(Dialect::OpenAiChat)
    };
    let text = json!({"model": "claude", "prompt": "hi"}).to_string();
    let request = Request::read(&asked, text.into(), &ReadOptions::default()).unwrap();
    let identity = Identity::default();
    let generation = generation(POLICY);
    let call = RoutingRequest {
        service: Some(Service::Completions),
        ..call(&request, Dialect::OpenAiChat, &identity)
    };
    let routed = route(&generation, &call).now_or_never().unwrap();
    let Outcome::Refuse(refusal) = routed.outcome else {
        panic!("{:?}", routed.outcome)
    };
    assert!(
        refusal.message.contains("another endpoint"),
        "{}",
        refusal.message
    );
}

#[test]
fn backends_that_are_like_vllm() {
    let generation = generation(POLICY);
    let backend = |name: &str, client| {
        let model = generation.targets.models().get(name).unwrap();
        model.translates(client)
    };
    let messages = Dialect::AnthropicMessages;
    let chat = |replays_reasoning, is_vllm| {
        Some(Backend {
            dialect: Dialect::OpenAiChat,
            replays_reasoning,
            is_vllm,
        })
    };
    assert_eq!(backend("chat", messages), chat(true, true));
    assert_eq!(backend("openai", messages), chat(false, false));
    assert_eq!(backend("any", messages), None);
}

#[test]
fn a_model_that_the_path_names_is_in_the_body_of_the_other_wire() {
    let asked = dialects::Asked {
        model: Some("claude"),
        ..dialects::Asked::conversation(Dialect::OpenAiChat)
    };
    let text = json!({"messages": [{"role": "user", "content": "hi"}]}).to_string();
    let request = Request::read(&asked, text.into(), &ReadOptions::default()).unwrap();
    let Outcome::Forward(forward) = routed(Dialect::OpenAiChat, &request, true).outcome else {
        panic!()
    };
    assert_eq!(sent(&request, &forward)["model"], "claude-1");
}
