//! What a translation keeps from a request, and the headers of its wire.

use super::*;
use dialects::translate::Loss;

fn translation(strict: bool) -> Translation {
    Translation {
        backend: Backend {
            dialect: Dialect::AnthropicMessages,
            replays_reasoning: false,
            is_vllm: false,
        },
        edits: Vec::new(),
        model: "m".into(),
        strict,
    }
}

#[test]
fn a_strict_policy_refuses_what_the_model_would_have_seen() {
    let loss = |severity, field: &'static str| Loss {
        severity,
        reason: "unsupported_type",
        field: field.into(),
    };
    let check = |losses: Losses, expected: Option<&str>| {
        let refused = without_loss(&losses, &translation(true)).err();
        assert_eq!(
            refused.map(|it| (it.status, it.message)),
            expected.map(|message| (400, message.to_owned()))
        );
    };
    check(Vec::new(), None);
    check(vec![loss(Severity::Info, "top_k")], None);
    check(
        vec![
            loss(Severity::Info, "top_k"),
            loss(Severity::Lossy, "messages[1]"),
            loss(Severity::Error, "tools[0]"),
        ],
        Some(
            "the policy forbids a lossy translation, and the model's API (Anthropic Messages) cannot say: \
             messages[1] (unsupported_type), tools[0] (unsupported_type)",
        ),
    );
}

#[test]
fn headers_of_the_backends_wire() {
    use Dialect::{AnthropicMessages as M, OpenAiChat as C, OpenAiResponses as R};
    let check = |client, backend, has_version, expected: &str| {
        let ops = headers(client, backend, has_version);
        let lines: Vec<String> = ops
            .iter()
            .map(|op| match op {
                super::super::HeaderOp::Set(name, value) => format!("{name}={value}"),
                super::super::HeaderOp::Remove(name) => format!("-{name}"),
            })
            .collect();
        assert_eq!(lines.join(" "), expected);
    };
    check(C, M, false, "anthropic-version=2023-06-01");
    check(R, M, true, "");
    let removed = "-anthropic-version -anthropic-beta -anthropic-dangerous-direct-browser-access";
    check(M, C, true, removed);
    check(M, R, false, removed);
    check(C, R, false, "");
}
