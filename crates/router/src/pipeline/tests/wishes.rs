//! What the client says of reasoning: which model gets it, and what stands in the body.

use super::{generation, plan_of};
use crate::plan::{Outcome, body};
use dialects::{Dialect, ReadOptions, Request};

const POLICY: &str = r#"
version: v0.3
providers:
  defaults:
    default_model: small
    reasoning_families:
      qwen: {type: chat_template_kwargs, parameter: enable_thinking}
      gpt: {type: reasoning_effort, parameter: reasoning_effort}
  models:
    - {name: small, provider_model_id: s, backend_refs: [{endpoint: "127.0.0.1:8000"}]}
    - {name: large, provider_model_id: l, reasoning_family: FAMILY, backend_refs: [{endpoint: "HOST"}]}
routing:
  modelCards: [{name: small, capabilities: [chat]}, {name: large, capabilities: [chat, reasoning]}]
  decisions:
    - {name: rest, priority: 1, modelRefs: [CANDIDATES]}
"#;

const BOTH: &str = "{model: small}, {model: large}";

/// Checks the members that a request gets beside its model and messages, and `x-merit-degraded`.
#[track_caller]
fn check_at(
    (family, host): (&str, &str),
    dialect: Dialect,
    candidates: &str,
    asked: &str,
    expected: &str,
) {
    let policy = POLICY
        .replace("FAMILY", family)
        .replace("HOST", host)
        .replace("CANDIDATES", candidates);
    let input = if dialect == Dialect::OpenAiResponses {
        r#""input":"hi""#
    } else {
        r#""messages":[{"role":"user","content":"hi"}]"#
    };
    let sent = format!(r#"{{"model":"auto",{input}{asked}}}"#);
    let request = Request::parse(dialect, sent.into(), &ReadOptions::default()).unwrap();
    let plan = plan_of(&generation(&policy), "", dialect, &request);
    let Outcome::Forward(forward) = plan.outcome else {
        panic!("{:?}", plan.outcome)
    };
    let edited = body::apply(&request, forward.body()).unwrap();
    let edited = String::from_utf8(edited.to_vec()).unwrap();
    let degraded = plan.trace.degraded.join(",");
    let edited = edited
        .replace(&format!(",{input}"), "")
        .replace(r#""model":"#, "");
    assert_eq!(
        format!("{edited} {degraded}").trim(),
        expected,
        "{candidates} {asked}"
    );
}

const LOCAL: (&str, &str) = ("qwen", "127.0.0.1:8001");
const OPENAI: (&str, &str) = ("gpt", "api.openai.com:443");
const OPENROUTER: (&str, &str) = ("gpt", "openrouter.ai:443");
const DEEPSEEK: (&str, &str) = ("gpt", "api.deepseek.com:443");

const THINKS: &str = r#","chat_template_kwargs":{"enable_thinking":true}"#;

/// Checks a chat request at a server of one's own.
#[track_caller]
fn check(candidates: &str, asked: &str, expected: &str) {
    check_at(LOCAL, Dialect::OpenAiChat, candidates, asked, expected);
}

/// Checks that what a client asks for stays as it is, at the model that can reason.
#[track_caller]
fn check_kept(at: (&str, &str), dialect: Dialect, asked: &str) {
    check_at(at, dialect, BOTH, asked, &format!(r#"{{"l"{asked}}}"#));
}

#[test]
fn what_the_client_asks_for_stays() {
    check(BOTH, "", r#"{"s"}"#);
    for asked in [
        r#","reasoning_effort":"high""#,
        r#","thinking":{"type":"enabled"}"#,
        r#","reasoning":{"max_tokens":500}"#,
        r#","enable_thinking":true"#,
    ] {
        check(BOTH, asked, &format!(r#"{{"l"{asked}{THINKS}}}"#));
    }
    check(
        BOTH,
        r#","reasoning_effort":"none""#,
        r#"{"s","reasoning_effort":"none"}"#,
    );
    check_kept(LOCAL, Dialect::OpenAiChat, THINKS);
    check(
        "{model: large}",
        r#","reasoning_effort":"none""#,
        r#"{"l","reasoning_effort":"none","chat_template_kwargs":{"enable_thinking":false}}"#,
    );
    check(
        "{model: large}",
        "",
        r#"{"l","chat_template_kwargs":{"enable_thinking":false}}"#,
    );

    let adaptive = r#","thinking":{"type":"adaptive"}"#;
    check_kept(LOCAL, Dialect::AnthropicMessages, adaptive);
    let effort = r#","reasoning":{"effort":"high"}"#;
    check_kept(OPENAI, Dialect::OpenAiResponses, effort);
    // It takes one of both forms.
    check_kept(OPENROUTER, Dialect::OpenAiChat, effort);
    let effort = r#","reasoning_effort":"high""#;
    check_kept(OPENAI, Dialect::OpenAiChat, effort);
    let budget = r#","thinking":{"type":"enabled","budget_tokens":9},"reasoning_effort":"low""#;
    check_kept(DEEPSEEK, Dialect::OpenAiChat, budget);
    // OpenAI answers 400 to the template's form.
    check_at(
        ("qwen", "api.openai.com:443"),
        Dialect::OpenAiChat,
        BOTH,
        THINKS,
        r#"{"l","reasoning_effort":"medium"}"#,
    );
}

#[test]
fn what_the_decision_says_stands_above() {
    const LOW: &str = r#","reasoning_effort":"low""#;
    const OFF: &str = "{model: large, use_reasoning: false}";
    const ON: &str = "{model: large, use_reasoning: true}";

    let switched_off = r#""chat_template_kwargs":{"enable_thinking":false}} reasoning=overruled"#;
    for asked in [
        LOW,
        THINKS,
        r#","thinking":{"type":"enabled","budget_tokens":9}"#,
        r#","reasoning":{"effort":"low"}"#,
        r#","enable_thinking":true"#,
    ] {
        check(OFF, asked, &format!(r#"{{"l",{switched_off}"#));
    }
    let summary = r#","reasoning":{"effort":"low","summary":"auto"}"#;
    check(
        OFF,
        summary,
        &format!(r#"{{"l","reasoning":{{"summary":"auto"}},{switched_off}"#),
    );
    check(
        ON,
        r#","reasoning_effort":"none""#,
        &format!(r#"{{"l"{THINKS}}} reasoning=overruled"#),
    );
    for candidate in [
        "{model: large, use_reasoning: true, reasoning_effort: high}",
        "{model: large, reasoning_effort: high}",
    ] {
        let expected = r#"{"l","reasoning_effort":"high"} reasoning=overruled"#;
        check_at(OPENAI, Dialect::OpenAiChat, candidate, LOW, expected);
        let expected = r#"{"l","reasoning":{"effort":"high"}} reasoning=overruled"#;
        let asked = r#","reasoning":{"effort":"low"}"#;
        check_at(OPENAI, Dialect::OpenAiResponses, candidate, asked, expected);
        let asked = r#","reasoning_effort":"high""#;
        let expected = r#"{"l","reasoning_effort":"high"}"#;
        check_at(OPENAI, Dialect::OpenAiChat, candidate, asked, expected);
    }

    // The decision says that, and the client how much.
    let expected = r#"{"l","reasoning_effort":"low"}"#;
    check_at(OPENAI, Dialect::OpenAiChat, ON, LOW, expected);
    check(
        ON,
        LOW,
        &format!(r#"{{"l","reasoning_effort":"low"{THINKS}}}"#),
    );
    // An API that knows efforts only cannot be switched off.
    check_at(OPENAI, Dialect::OpenAiChat, OFF, LOW, expected);
    // Messages has a budget of its own.
    let budget = r#","thinking":{"type":"enabled","budget_tokens":9}"#;
    let expected = format!(r#"{{"l"{budget}}}"#);
    check_at(LOCAL, Dialect::AnthropicMessages, OFF, budget, &expected);
}

#[test]
fn what_no_model_can_is_told() {
    let low = r#","reasoning_effort":"low""#;
    let unsupported = r#"{"s","reasoning_effort":"low"} reasoning=unsupported"#;
    check("{model: small}", low, unsupported);
    check(
        "{model: small}",
        r#","reasoning_effort":"none""#,
        r#"{"s","reasoning_effort":"none"}"#,
    );
}

#[test]
fn what_is_stripped_is_the_clients_alone() {
    const STRIPS: &str =
        "], plugins: [{type: request_params, configuration: {strip_unknown: true}}";
    let on = format!("{{model: large, use_reasoning: true}}{STRIPS}");
    let asked = r#","foo":1,"chat_template_kwargs":{"tone":"dry"},"seed":2"#;
    check(
        &on,
        asked,
        r#"{"l","chat_template_kwargs":{"enable_thinking":true},"seed":2}"#,
    );
    let low = r#","reasoning_effort":"low""#;
    let both = format!("{{model: large}}{STRIPS}");
    check(&both, low, &format!(r#"{{"l"{low}{THINKS}}}"#));
    let budget = r#","thinking":{"type":"enabled","budget_tokens":9},"reasoning_effort":"low""#;
    let expected = format!(r#"{{"l"{budget}}}"#);
    check_at(DEEPSEEK, Dialect::OpenAiChat, &both, budget, &expected);
}

#[test]
fn thinking_that_nobody_signed_does_not_go_to_who_signs() {
    let turn = |blocks: &str| {
        format!(
            r#"{{"role":"assistant","content":[{blocks}]}},{{"role":"user","content":"go on"}}"#
        )
    };
    let text = r#"{"type":"text","text":"b"}"#;
    let both = turn(&format!(
        r#"{{"type":"thinking","thinking":"a","signature":""}},{text}"#
    ));
    let check = |backend: &str, expected: &str, degraded: &str| {
        let policy = POLICY
            .replace("FAMILY", "gpt")
            .replace("endpoint: \"HOST\"", backend)
            .replace("CANDIDATES", "{model: large}");
        let sent = format!(r#"{{"model":"auto","messages":[{both}]}}"#);
        let dialect = Dialect::AnthropicMessages;
        let request = Request::parse(dialect, sent.into(), &ReadOptions::default()).unwrap();
        let plan = plan_of(&generation(&policy), "", dialect, &request);
        let Outcome::Forward(forward) = plan.outcome else {
            panic!("{:?}", plan.outcome)
        };
        let edited = body::apply(&request, forward.body()).unwrap();
        assert_eq!(
            edited,
            format!(r#"{{"model":"l","messages":[{expected}]}}"#)
        );
        assert_eq!(plan.trace.degraded.join(","), degraded, "{backend}");
    };
    let (without, told) = (turn(text), "thinking=unsigned_dropped");
    check("endpoint: \"127.0.0.1:8000\"", &both, "");
    check("endpoint: \"api.anthropic.com:443\"", &without, told);
    check("base_url: \"https://api.anthropic.com\"", &without, told);
    check(
        "endpoint: \"127.0.0.1:8000\", provider: anthropic",
        &without,
        told,
    );
}
