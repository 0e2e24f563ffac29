//! What requests become on another wire, and what is lost on the way.

use serde_json::{Value, json};

use super::*;
use crate::json::work;

mod clients;
mod property;

const CHAT: Dialect = Dialect::OpenAiChat;
const RESPONSES: Dialect = Dialect::OpenAiResponses;
const MESSAGES: Dialect = Dialect::AnthropicMessages;

fn backend(dialect: Dialect, is_vllm: bool) -> Backend {
    Backend {
        dialect,
        replays_reasoning: is_vllm,
        is_vllm,
    }
}

/// Translates a request, and returns its body and its losses as `reason field`.
#[track_caller]
fn translate(from: Dialect, to: Backend, body: &Value) -> (Value, Vec<String>) {
    let translated = request(body.to_string().as_bytes(), from, to).unwrap();
    let losses = translated.losses.iter();
    let losses = losses.map(|loss| format!("{} {}", loss.reason, loss.field));
    let body = serde_json::from_slice(&translated.body).unwrap();
    (body, losses.collect())
}

/// Checks what a request becomes, member by member, and what is lost.
#[track_caller]
fn check(from: Dialect, to: Backend, body: Value, expected: Value, losses: &[&str]) {
    let (found, lost) = translate(from, to, &body);
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(
            found.get(name).unwrap_or(&Value::Null),
            value,
            "{name} of {found:#}"
        );
    }
    assert_eq!(lost, losses);
}

#[track_caller]
fn check_unfit(from: Dialect, to: Backend, body: &str, message: &str) {
    let unfit = request(body.as_bytes(), from, to).unwrap_err();
    assert!(unfit.message.contains(message), "{}", unfit.message);
}

#[test]
fn system_texts_stay_in_place() {
    let chat = backend(CHAT, true);
    check(
        MESSAGES,
        chat,
        json!({"model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "A"},
            {"type": "text", "text": "B", "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": "q"}, {"role": "system", "content": "S"}]}),
        json!({"messages": [
            {"role": "system", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
            {"role": "user", "content": "q"}, {"role": "system", "content": "S"}], "max_tokens": 9}),
        &["cache_mark_dropped system[1].cache_control"],
    );
    check(
        CHAT,
        backend(MESSAGES, false),
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "system", "content": "A"},
            {"role": "user", "content": "q"}, {"role": "developer", "content": "B"}]}),
        json!({"system": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}],
            "messages": [{"role": "user", "content": "q"}]}),
        &[
            "developer_as_system messages[2]",
            "system_moved messages[2]",
        ],
    );
    check(
        RESPONSES,
        backend(CHAT, false),
        json!({"model": "auto", "input": "hi", "instructions": "S"}),
        json!({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]}),
        &[],
    );
    check(
        CHAT,
        backend(MESSAGES, false),
        json!({"model": "m", "messages": [{"role": "system", "content": "A"}]}),
        json!({"messages": [{"role": "user", "content": "A"}], "max_tokens": 4096, "system": null}),
        &[
            "system_as_user messages[0]",
            "max_tokens_defaulted max_tokens",
        ],
    );
}

#[test]
fn results_stand_behind_their_calls() {
    check(
        MESSAGES,
        backend(CHAT, true),
        json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1.50}},
                {"type": "tool_use", "id": "t2", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"},
                {"type": "tool_result", "tool_use_id": "t2", "content": "no file", "is_error": true},
                {"type": "text", "text": "go"}]}]}),
        json!({"messages": [
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1.5}"}},
                {"id": "t2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "t1", "content": "x"},
            {"role": "tool", "tool_call_id": "t2", "content": "Error: no file"},
            {"role": "user", "content": "go"}]}),
        &["tool_result_is_error messages[1].content[1]"],
    );
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": ""}});
    check(
        CHAT,
        backend(MESSAGES, false),
        json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b:0")]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b:0", "content": "2"},
            {"role": "user", "content": "go"}]}),
        json!({"messages": [
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "a", "name": "f", "input": {}},
                {"type": "tool_use", "id": "b_3a_0", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "1"},
                {"type": "tool_result", "tool_use_id": "b_3a_0", "content": "2"},
                {"type": "text", "text": "go"}]}]}),
        &[
            "call_id_changed messages[0].tool_calls[1]",
            "call_id_changed messages[2]",
        ],
    );
    check(
        RESPONSES,
        backend(CHAT, true),
        json!({"model": "m", "input": [
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"role": "user", "content": "wait"},
            {"type": "function_call_output", "call_id": "c", "output": "42"},
            {"type": "function_call_output", "call_id": "d", "output": "43"}]}),
        json!({"messages": [
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "42"},
            {"role": "user", "content": "wait"},
            {"role": "user", "content": [{"type": "text", "text": "Result of the tool call d:"},
                {"type": "text", "text": "43"}]}]}),
        &["tool_result_moved input[2]", "orphan_tool_result input[3]"],
    );
}

#[test]
fn images_of_results_go_behind_them_in_chat() {
    check(
        MESSAGES,
        backend(CHAT, true),
        json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "see", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "text", "text": "here"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}]}]}]}),
        json!({"messages": [
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "t", "type": "function", "function": {"name": "see", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "t", "content": "here"},
            {"role": "user", "content": [{"type": "text", "text": "Result of the tool call t:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]}]}),
        &["tool_result_part_moved messages[1].content[0]"],
    );
}

#[test]
fn tools_and_choices() {
    let schema =
        json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"const": 1.0}}});
    let flat = json!({"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": true});
    let nested = json!({"type": "function", "function": {"name": "f", "description": "d",
        "parameters": schema, "strict": true}});
    let anthropic =
        json!({"name": "f", "description": "d", "input_schema": schema, "strict": true});
    check(
        RESPONSES,
        backend(CHAT, true),
        json!({"model": "m", "input": "q", "tools": [flat, {"type": "web_search"}],
            "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false}),
        json!({"tools": [nested], "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": false}),
        &["server_tool_dropped tools[1]"],
    );
    check(
        CHAT,
        backend(MESSAGES, false),
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}], "tools": [nested],
            "tool_choice": "required", "parallel_tool_calls": false}),
        json!({"tools": [anthropic], "tool_choice": {"type": "any", "disable_parallel_tool_use": true}}),
        &[],
    );
    check(
        MESSAGES,
        backend(RESPONSES, false),
        json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "q"}], "tools": [anthropic],
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true}}),
        json!({"tools": [flat], "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false,
            "store": false, "max_output_tokens": 99}),
        &[],
    );
    check(
        CHAT,
        backend(MESSAGES, false),
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "tool_choice": "auto"}),
        json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto"}}),
        &["invalid_schema tools[0]"],
    );
    let forced =
        r#"{"model":"m","input":"q","tools":[{"type":"web_search"}],"tool_choice":"required"}"#;
    check_unfit(
        RESPONSES,
        backend(CHAT, true),
        forced,
        "tool_choice wants a call",
    );
}

#[test]
fn settings_formats_and_reasoning() {
    check(
        RESPONSES,
        backend(CHAT, false),
        json!({"model": "m", "input": "q", "max_output_tokens": 7, "temperature": 0.25, "store": false,
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true},
                "verbosity": "low"}, "reasoning": {"effort": "high", "summary": "auto"}, "stream": true,
            "include": ["reasoning.encrypted_content"], "truncation": "disabled"}),
        json!({"max_completion_tokens": 7, "temperature": 0.25, "reasoning_effort": "high", "verbosity": "low",
            "stream": true, "stream_options": {"include_usage": true}, "store": null, "response_format":
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}}}),
        &["dropped_hint reasoning.summary"],
    );
    check(
        CHAT,
        backend(MESSAGES, false),
        json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "temperature": 1.5, "stop": ["\n", "END"],
            "seed": 1, "user": "u", "n": 1, "top_logprobs": 3, "odd": {"a": 1}}),
        json!({"temperature": 1, "stop_sequences": ["END"], "metadata": {"user_id": "u"}, "seed": null}),
        &[
            "unknown_member odd",
            "max_tokens_defaulted max_tokens",
            "temperature_clamped temperature",
            "unsupported_parameter seed",
            "unsupported_parameter top_logprobs",
            "blank_stop_dropped stop[0]",
        ],
    );
    check(
        CHAT,
        backend(MESSAGES, false),
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}], "temperature": 0.5,
            "reasoning_effort": "xhigh", "response_format": {"type": "json_schema", "json_schema":
            {"name": "n", "schema": {"type": "object"}}}}),
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max", "format":
            {"type": "json_schema", "schema": {"type": "object"}}}, "temperature": null}),
        &[
            "effort_changed reasoning_effort",
            "format_detail_dropped response_format",
            "sampling_conflict temperature",
        ],
    );
    check(
        MESSAGES,
        backend(CHAT, false),
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}], "top_k": 5,
            "stop_sequences": ["1", "2", "3", "4", "5"], "thinking": {"type": "enabled", "budget_tokens": 9000}}),
        json!({"stop": ["1", "2", "3", "4"], "reasoning_effort": "high", "max_completion_tokens": 9}),
        &[
            "unsupported_parameter top_k",
            "stop_sequences_cut stop_sequences[4]",
            "reasoning_budget_changed thinking.budget_tokens",
        ],
    );
}

#[test]
fn thinking_goes_back_to_its_maker_only() {
    let body = |signature: &str| {
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": signature},
                {"type": "text", "text": "a"}]}]})
    };
    let answer = |message: Value| json!({"messages": [{"role": "user", "content": "q"}, message]});
    let with = json!({"role": "assistant", "reasoning_content": "hm", "content": "a"});
    let without = json!({"role": "assistant", "content": "a"});
    let at = "messages[1].content[0]";
    check(MESSAGES, backend(CHAT, true), body(""), answer(with), &[]);
    let lost = format!("thinking_dropped {at}");
    check(
        MESSAGES,
        backend(CHAT, false),
        body(""),
        answer(without.clone()),
        &[&lost],
    );
    let lost = format!("sealed_thinking_dropped {at}");
    check(
        MESSAGES,
        backend(CHAT, true),
        body("c2ln"),
        answer(without),
        &[&lost],
    );
}

#[test]
fn texts_keep_their_spelling() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"\u00e9 \ud83d\ude00 \/ 😀"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"n\": 1.10e3, \"s\":\"\\u00e9\"}"}}]},{"role":"tool","tool_call_id":"c","content":"12345678901234567890.10"}],"max_tokens":1e2}"#;
    let translated = request(body.as_bytes(), CHAT, backend(MESSAGES, false)).unwrap();
    let text = std::str::from_utf8(&translated.body).unwrap();
    for kept in [
        r#""\u00e9 \ud83d\ude00 \/ 😀""#,
        r#""input":{"n": 1.10e3, "s":"\u00e9"}"#,
        r#""12345678901234567890.10""#,
        r#""max_tokens":1e2"#,
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    let back = request(&translated.body, MESSAGES, backend(CHAT, true)).unwrap();
    let back = std::str::from_utf8(&back.body).unwrap();
    assert!(
        back.contains(r#""arguments":"{\"n\": 1.10e3, \"s\":\"\\u00e9\"}""#),
        "{back}"
    );
}

#[test]
fn what_is_malformed_or_makes_no_sense_is_refused() {
    let messages = backend(MESSAGES, false);
    let chat = backend(CHAT, true);
    for (from, to, body, message) in [
        (CHAT, messages, "", "EOF"),
        (CHAT, messages, "[]", "the body is"),
        (CHAT, messages, "{\"model\":\"m\"", "the body is"),
        (CHAT, messages, r#"{"messages":[]}"#, "model is missing"),
        (
            CHAT,
            messages,
            r#"{"model":1,"messages":[]}"#,
            "model must be a string, not number",
        ),
        (CHAT, messages, r#"{"model":"m"}"#, "messages is missing"),
        (
            CHAT,
            messages,
            r#"{"model":"m","messages":[]}"#,
            "no message",
        ),
        (
            CHAT,
            messages,
            r#"{"model":"m","messages":[1]}"#,
            "messages[0] must be an object, not number",
        ),
        (
            CHAT,
            messages,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            "messages[0].content[0].text is missing",
        ),
        (
            CHAT,
            messages,
            r#"{"model":"m","n":2,"messages":[{"role":"user","content":"q"}]}"#,
            "n asks for several",
        ),
        (
            CHAT,
            messages,
            r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{"}}]}]}"#,
            "messages[0].tool_calls[0] has arguments that are no JSON object",
        ),
        (
            CHAT,
            messages,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/bmp;base64,Qk0="}}]}]}"#,
            "only JPEG, PNG, GIF and WebP",
        ),
        (
            CHAT,
            messages,
            r#"{"model":"m","temperature":"hot","messages":[]}"#,
            "temperature must be of type number",
        ),
        (
            RESPONSES,
            chat,
            r#"{"model":"m","input":"q","previous_response_id":"r"}"#,
            "previous_response_id names what",
        ),
        (
            RESPONSES,
            chat,
            r#"{"model":"m","input":"q","background":true}"#,
            "background is not possible",
        ),
        (
            RESPONSES,
            chat,
            r#"{"model":"m","input":[{"type":"item_reference","id":"i"}]}"#,
            "input[0].id names an item",
        ),
        (RESPONSES, chat, r#"{"model":"m"}"#, "input is missing"),
        (
            MESSAGES,
            chat,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]}"#,
            "messages[0].content[0].source names a stored file",
        ),
        (
            MESSAGES,
            chat,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","content":"x"}]}]}"#,
            "messages[0].content[0].tool_use_id is missing",
        ),
    ] {
        check_unfit(from, to, body, message);
    }
    let deep = format!(
        r#"{{"model":"m","messages":[],"x":{}{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    check_unfit(CHAT, messages, &deep, "nests too deeply");
}

/// How often each byte of a body may be passed over.
const PASSES: usize = 16;

#[test]
fn work_is_linear_in_the_body() {
    let text = r#"{"type":"text","text":"a"}"#;
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    for (from, piece, list, end) in [
        (
            CHAT,
            text,
            r#""messages":[{"role":"user","content":["#,
            "]}]",
        ),
        (
            CHAT,
            r#"{"role":"user","content":"a"}"#,
            r#""messages":["#,
            "]",
        ),
        (
            MESSAGES,
            text,
            r#""messages":[{"role":"user","content":["#,
            "]}]",
        ),
        (RESPONSES, call, r#""input":["#, "]"),
        (
            CHAT,
            r#"{"type":"function","function":{"name":"f"}}"#,
            r#""messages":[{"role":"user","content":"q"}],"tools":["#,
            "]",
        ),
        (
            CHAT,
            r#"{"type":"x"}"#,
            r#""messages":[{"role":"user","content":["#,
            "]}]",
        ),
    ] {
        let cost = |count: usize| {
            let pieces = vec![piece; count].join(",");
            let body = format!(r#"{{"model":"m",{list}{pieces}{end}}}"#);
            let mut most = 0;
            for to in [CHAT, RESPONSES, MESSAGES]
                .into_iter()
                .filter(|to| *to != from)
            {
                work::take();
                let _refused = request(body.as_bytes(), from, backend(to, false)).is_err();
                let work = work::take();
                assert!(
                    work <= PASSES * body.len(),
                    "{work} bytes of {}",
                    body.len()
                );
                most = most.max(work);
            }
            most
        };
        let (small, large) = (cost(1000), cost(10_000));
        assert!(large <= 11 * small, "{large} after {small}: {piece}");
    }
    let many = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{}]}}]}}"#,
        vec![text; 250_000].join(",")
    );
    check_unfit(CHAT, backend(MESSAGES, false), &many, "one part too many");
}

#[test]
fn replies_know_their_request() {
    let body = r#"{"model":"vendor/\"x\"","input":"q","stream":true,"tools":[{"type":"web_search"}],"temperature":0.10,"instructions":null}"#;
    let reply = request(body.as_bytes(), RESPONSES, backend(CHAT, true))
        .unwrap()
        .reply;
    assert_eq!(&*reply.model, "vendor/\"x\"");
    assert!(reply.streams && !reply.wants_usage);
    assert_eq!((reply.client, reply.backend), (RESPONSES, CHAT));
    assert!(reply.echo.contains("\"temperature\":0.10"));
    let echo: Value = serde_json::from_str(&reply.echo).unwrap();
    assert_eq!(echo["tools"], json!([{"type": "web_search"}]));
    assert_eq!(echo["parallel_tool_calls"], true);
    assert_eq!(echo["instructions"], Value::Null);

    let body = r#"{"model":"m","messages":[{"role":"user","content":"q"}],"stream":true,"stream_options":{"include_usage":true}}"#;
    let reply = request(body.as_bytes(), CHAT, backend(MESSAGES, false))
        .unwrap()
        .reply;
    assert!(reply.wants_usage && reply.echo.is_empty());
}
