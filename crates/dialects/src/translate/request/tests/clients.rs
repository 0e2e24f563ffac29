//! Requests in the shapes of known clients.

use super::*;

#[track_caller]
fn losses(from: Dialect, to: Backend, body: &str) -> (Value, Vec<String>) {
    translate(from, to, &serde_json::from_str(body).unwrap())
}

const CODEX: &str = include_str!("../../../golden/codex.json");
const CLAUDE_CODE: &str = include_str!("../../../golden/claude_code.json");

#[test]
fn codex_on_vllm_and_anthropic() {
    let (body, lost) = losses(RESPONSES, backend(CHAT, true), CODEX);
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(
        roles,
        [
            "system",
            "system",
            "system",
            "user",
            "user",
            "assistant",
            "tool"
        ]
    );
    assert_eq!(messages[6]["tool_call_id"], "call_1");
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["prompt_cache_key"], "0191-session");
    assert_eq!(body["stream_options"]["include_usage"], true);
    let expected = [
        "sealed_thinking_dropped input[4]",
        "server_tool_dropped tools[1]",
        "dropped_hint reasoning.summary",
        "dropped_hint client_metadata",
        "developer_as_system input[0]",
        "developer_as_system input[1]",
    ];
    let mut sorted = lost.clone();
    sorted.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(sorted, expected);

    let (body, lost) = losses(RESPONSES, backend(MESSAGES, false), CODEX);
    assert_eq!(body["system"].as_array().unwrap().len(), 3);
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(
        messages[2]["content"][0]["input"],
        json!({"command": ["ss", "-ltn"]})
    );
    assert_eq!(messages[3]["content"][0]["type"], "tool_result");
    assert_eq!(body["tools"][0]["strict"], false);
    assert_eq!(body["tool_choice"], json!({"type": "auto"}));
    assert_eq!(body["max_tokens"], 4096);
    assert!(
        lost.contains(&"dropped_hint prompt_cache_key".to_owned()),
        "{lost:?}"
    );
}

#[test]
fn claude_code_on_vllm_and_responses() {
    let (body, lost) = losses(MESSAGES, backend(CHAT, true), CLAUDE_CODE);
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "system", "assistant", "tool"]);
    assert_eq!(messages[1]["content"].as_array().unwrap().len(), 3);
    assert_eq!(
        messages[3]["tool_calls"][0]["function"]["arguments"],
        "{\"path\":\"parser.rs\"}"
    );
    assert_eq!(body["tools"].as_array().unwrap().len(), 2);
    assert_eq!(body["max_tokens"], 32000);
    assert_eq!(body["chat_template_kwargs"]["enable_thinking"], true);
    assert_eq!(body.get("user"), None);
    for expected in [
        "sealed_thinking_dropped messages[2].content[0]",
        "dropped_hint metadata.user_id",
        "dropped_hint thinking.display",
        "cache_mark_dropped system[2].cache_control",
    ] {
        assert!(
            lost.iter().any(|loss| loss == expected),
            "{expected} in {lost:?}"
        );
    }
    let (body, _) = losses(MESSAGES, backend(RESPONSES, false), CLAUDE_CODE);
    let input = body["input"].as_array().unwrap();
    let kinds: Vec<&str> = input
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "message",
            "message",
            "message",
            "function_call",
            "function_call_output"
        ]
    );
    assert_eq!(body["store"], false);
}

#[test]
fn other_clients_lose_little() {
    for (body, expected) in [
        (include_str!("../../../golden/opencode.json"), &[][..]),
        (include_str!("../../../golden/opencode_title.json"), &[]),
        (
            include_str!("../../../golden/elephant_tool_loop.json"),
            &["max_tokens_defaulted max_tokens"],
        ),
        (
            include_str!("../../../golden/inferoa_tool_loop.json"),
            &[
                "name_dropped messages[3].name",
                "dropped_hint cache_salt",
                "max_tokens_defaulted max_tokens",
            ],
        ),
    ] {
        let (_, lost) = losses(CHAT, backend(MESSAGES, false), body);
        assert_eq!(lost, expected);
    }
}

/// After a call this client leaves an empty answer, an orphan and a second user message.
#[test]
fn inferoas_malformed_history_passes() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "q"}, {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
        {"role": "user", "content": "go on"}]});
    check(
        MESSAGES,
        backend(CHAT, true),
        body,
        json!({"messages": [{"role": "user", "content": "q"},
            {"role": "user", "content": [{"type": "text", "text": "Result of the tool call t:"},
                {"type": "text", "text": "x"}]},
            {"role": "user", "content": "go on"}]}),
        &[
            "empty_message_dropped messages[1]",
            "orphan_tool_result messages[2].content[0]",
        ],
    );
}
