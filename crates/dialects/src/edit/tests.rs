//! Edits: what changes, and that nothing else does.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::request::ReadOptions;

fn parse(dialect: Dialect, body: &str) -> Request {
    Request::parse(
        dialect,
        Bytes::copy_from_slice(body.as_bytes()),
        &ReadOptions::default(),
    )
    .unwrap()
}

/// Edits `body` and compares the text that comes out.
fn check(dialect: Dialect, body: &str, edit: impl FnOnce(&mut Edits, &Request), expected: &str) {
    let request = parse(dialect, body);
    let mut edits = Edits::new();
    edit(&mut edits, &request);
    assert_eq!(
        std::str::from_utf8(&edits.apply(&request)).unwrap(),
        expected
    );
}

fn check_chat(body: &str, edit: impl FnOnce(&mut Edits, &Request), expected: &str) {
    check(Dialect::OpenAiChat, body, edit, expected);
}

const BODY: &str = "{ \"messages\" : [ ] ,\n\t\"model\":\"auto\" , \"n\" : 1.0 }";

#[test]
fn members_are_set_appended_and_removed() {
    check_chat(
        BODY,
        |edits, _| edits.set_model("a\"b"),
        "{ \"messages\" : [ ] ,\n\t\"model\":\"a\\\"b\" , \"n\" : 1.0 }",
    );
    check_chat(
        BODY,
        |edits, _| edits.remove("n"),
        "{ \"messages\" : [ ] ,\n\t\"model\":\"auto\" }",
    );
    check_chat(
        BODY,
        |edits, _| edits.remove("model"),
        "{ \"messages\" : [ ] , \"n\" : 1.0 }",
    );
    check_chat(
        BODY,
        |edits, _| edits.remove("messages"),
        "{\n\t\"model\":\"auto\" , \"n\" : 1.0 }",
    );
    check_chat(BODY, |edits, _| edits.remove("absent"), BODY);
    check_chat(
        BODY,
        |edits, _| {
            edits.set("x", "1");
            edits.set("y", "[2]");
            edits.set("x", "3");
            edits.remove("n");
            edits.set_model("m");
        },
        "{ \"messages\" : [ ] ,\n\t\"model\":\"m\",\"x\":3,\"y\":[2] }",
    );
    check_chat(
        BODY,
        |edits, _| {
            for name in ["messages", "model", "n"] {
                edits.remove(name);
            }
            edits.set("z", "0");
        },
        "{\"z\":0 }",
    );
}

#[test]
fn a_member_that_stands_twice_is_edited_twice() {
    let body = r#"{"model":"m","n":1,"messages":[],"n":2}"#;
    check_chat(
        body,
        |edits, _| edits.set("n", "9"),
        r#"{"model":"m","n":9,"messages":[],"n":9}"#,
    );
    check_chat(
        body,
        |edits, _| edits.remove("n"),
        r#"{"model":"m","messages":[]}"#,
    );
}

#[test]
fn without_edits_the_body_is_the_original() {
    let request = parse(Dialect::OpenAiChat, BODY);
    assert_eq!(
        Edits::new().apply(&request).as_ptr(),
        request.body().as_ptr()
    );
}

#[test]
fn nested_members_leave_their_neighbours() {
    let body =
        r#"{"model":"m","messages":[],"chat_template_kwargs":{ "a" : 1, "thinking":false }}"#;
    check_chat(
        body,
        |edits, request| edits.set_in(request, "chat_template_kwargs", "thinking", "true"),
        r#"{"model":"m","messages":[],"chat_template_kwargs":{ "a" : 1, "thinking":true }}"#,
    );
    check_chat(
        r#"{"model":"m","messages":[]}"#,
        |edits, request| {
            edits.set_in(request, "chat_template_kwargs", "thinking", "true");
            edits.set_in(request, "chat_template_kwargs", "effort", "\"low\"");
            edits.remove_in(request, "chat_template_kwargs", "thinking");
        },
        r#"{"model":"m","messages":[],"chat_template_kwargs":{"effort":"low"}}"#,
    );
    check_chat(
        r#"{"model":"m","messages":[],"k":{"a":1}}"#,
        |edits, request| edits.remove_in(request, "k", "a"),
        r#"{"model":"m","messages":[]}"#,
    );
    check_chat(
        r#"{"model":"m","messages":[],"k":"text"}"#,
        |edits, request| {
            edits.remove_in(request, "k", "a");
            edits.set_in(request, "k", "a", "1");
        },
        r#"{"model":"m","messages":[],"k":{"a":1}}"#,
    );
}

#[test]
fn streams_report_usage() {
    let usage = |edits: &mut Edits, request: &Request| edits.ensure_stream_usage(request);
    let cases = [
        (
            r#"{"stream":true,"#,
            r#""x":1}"#,
            r#""x":1,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"#,
            r#""stream_options":null}"#,
            r#""stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"#,
            r#""stream_options":{"include_usage": false}}"#,
            r#""stream_options":{"include_usage": false}}"#,
        ),
        (
            r#"{"stream":true,"#,
            r#""stream_options":{"include_usage":null}}"#,
            r#""stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"#,
            r#""stream_options":{"a":1}}"#,
            r#""stream_options":{"a":1,"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"#,
            r#""stream_options":{"include_usage": true}}"#,
            r#""stream_options":{"include_usage": true}}"#,
        ),
        (
            r#"{"stream":true,"#,
            r#""stream_options":7}"#,
            r#""stream_options":7}"#,
        ),
        (r#"{"stream":false,"#, r#""x":1}"#, r#""x":1}"#),
    ];
    for (start, rest, expected) in cases {
        let start = format!(r#"{start}"model":"m","messages":[],"#);
        check_chat(
            &format!("{start}{rest}"),
            usage,
            &format!("{start}{expected}"),
        );
    }
    let body = r#"{"model":"m","messages":[],"stream":true}"#;
    check(Dialect::AnthropicMessages, body, usage, body);
}

#[test]
fn system_prompts() {
    use Dialect::{AnthropicMessages, OpenAiChat, OpenAiResponses};
    use PromptMode::{Insert, Replace};
    let user = r#"{"role": "user","content":"u"}"#;
    let cases = [
        (OpenAiChat, Insert, format!(r#""messages":[ {user}]"#), format!(r#""messages":[ {{"role":"system","content":"P"}},{user}]"#)),
        (OpenAiChat, Insert, r#""messages":[]"#.to_owned(), r#""messages":[{"role":"system","content":"P"}]"#.to_owned()),
        (
            OpenAiChat,
            Insert,
            format!(r#""messages":[{{"role":"system", "content":"old" }},{user}]"#),
            format!(r#""messages":[{{"role":"system", "content":"P\n\nold" }},{user}]"#),
        ),
        (
            OpenAiChat,
            Insert,
            r#""messages":[{"role":"system","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}, {"type":"text","text":"b"}]}]"#.to_owned(),
            r#""messages":[{"role":"system","content":[{"type":"text","text":"P"},{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}, {"type":"text","text":"b"}]}]"#.to_owned(),
        ),
        (
            OpenAiChat,
            Insert,
            r#""messages":[{"role":"system","content":[]}]"#.to_owned(),
            r#""messages":[{"role":"system","content":[{"type":"text","text":"P"}]}]"#.to_owned(),
        ),
        (
            OpenAiChat,
            Insert,
            r#""messages":[{"role":"system","content":null}]"#.to_owned(),
            r#""messages":[{"role":"system","content":"P"}]"#.to_owned(),
        ),
        (
            OpenAiChat,
            Replace,
            r#""messages":[{"role":"system","content":[{"type":"text","text":"a"}]}]"#.to_owned(),
            r#""messages":[{"role":"system","content":"P"}]"#.to_owned(),
        ),
        (
            OpenAiChat,
            Replace,
            r#""messages":[{"content":"old","role":"system"}]"#.to_owned(),
            r#""messages":[{"content":"P","role":"system"}]"#.to_owned(),
        ),
        (
            OpenAiChat,
            Insert,
            format!(r#""messages":[{user},{{"role":"system","content":"late"}}]"#),
            format!(r#""messages":[{{"role":"system","content":"P"}},{user},{{"role":"system","content":"late"}}]"#),
        ),
        (OpenAiResponses, Insert, r#""input":"x""#.to_owned(), r#""input":"x","instructions":"P""#.to_owned()),
        (OpenAiResponses, Insert, r#""instructions":"old""#.to_owned(), r#""instructions":"P\n\nold""#.to_owned()),
        (OpenAiResponses, Replace, r#""instructions":"old""#.to_owned(), r#""instructions":"P""#.to_owned()),
        (AnthropicMessages, Insert, r#""messages":[]"#.to_owned(), r#""messages":[],"system":"P""#.to_owned()),
        (
            AnthropicMessages,
            Insert,
            r#""messages":[],"system":[{"type":"text","text":"old","cache_control":{"type":"ephemeral"}}]"#.to_owned(),
            r#""messages":[],"system":[{"type":"text","text":"P"},{"type":"text","text":"old","cache_control":{"type":"ephemeral"}}]"#.to_owned(),
        ),
        (AnthropicMessages, Insert, r#""messages":[],"system":[]"#.to_owned(), r#""messages":[],"system":[{"type":"text","text":"P"}]"#.to_owned()),
        (AnthropicMessages, Replace, r#""messages":[],"system":[{"type":"text","text":"old"}]"#.to_owned(), r#""messages":[],"system":"P""#.to_owned()),
    ];
    for (dialect, mode, before, after) in cases {
        let (before, after) = (
            format!(r#"{{"model":"m",{before}}}"#),
            format!(r#"{{"model":"m",{after}}}"#),
        );
        check(
            dialect,
            &before,
            |edits, request| edits.insert_system_prompt(request, mode, "P"),
            &after,
        );
    }
}

#[test]
fn request_params() {
    let limits = RequestParams {
        blocked: vec!["logit_bias".to_owned()],
        max_tokens: Some(100),
        max_n: Some(1),
        ..RequestParams::default()
    };
    let limit = |edits: &mut Edits, request: &Request| edits.limit_params(request, &limits);
    let cases = [
        (
            r#","logit_bias":{},"max_tokens":5000,"n":3"#,
            r#","max_tokens":100,"n":1"#,
        ),
        (r#","max_tokens":50,"n":1"#, r#","max_tokens":50,"n":1"#),
        (r#","max_tokens":10.5"#, ""),
        (r#","max_tokens":"many""#, r#","max_tokens":"many""#),
        (
            r#","max_completion_tokens":5000"#,
            r#","max_completion_tokens":5000"#,
        ),
    ];
    let with = |rest: &str| format!(r#"{{"model":"m","messages":[]{rest}}}"#);
    for (before, after) in cases {
        check_chat(&with(before), limit, &with(after));
    }
    check(
        Dialect::OpenAiResponses,
        r#"{"model":"m","max_output_tokens":500}"#,
        limit,
        r#"{"model":"m","max_output_tokens":100}"#,
    );

    let defaulted = RequestParams {
        default_max_tokens: Some(4096),
        max_tokens: Some(1000),
        ..RequestParams::default()
    };
    let default = |edits: &mut Edits, request: &Request| edits.limit_params(request, &defaulted);
    for (before, after) in [
        ("", r#","max_tokens":1000"#),
        (r#","max_tokens":50"#, r#","max_tokens":50"#),
        (
            r#","max_completion_tokens":50"#,
            r#","max_completion_tokens":50"#,
        ),
    ] {
        check_chat(&with(before), default, &with(after));
    }
    check(
        Dialect::OpenAiResponses,
        r#"{"model":"m"}"#,
        default,
        r#"{"model":"m","max_output_tokens":1000}"#,
    );

    let strip = RequestParams {
        strip_unknown: true,
        also_known: vec!["thinking".to_owned()],
        ..RequestParams::default()
    };
    check_chat(
        &with(r#","stream":true,"max_completion_tokens":5,"thinking":{},"seed":1,"foo":2"#),
        |edits, request| {
            edits.ensure_stream_usage(request);
            edits.set_in(request, "chat_template_kwargs", "thinking", "true");
            edits.limit_params(request, &strip);
        },
        &with(r#","stream":true,"thinking":{},"seed":1"#),
    );
}

#[test]
fn what_is_set_after_stripping_stays() {
    let strip = RequestParams {
        strip_unknown: true,
        ..RequestParams::default()
    };
    let cases = [
        ("", r#","stream_options":{"include_usage":true}"#),
        (
            r#","stream_options":{"foo":1}"#,
            r#","stream_options":{"include_usage":true}"#,
        ),
        (r#","stream_options":{"include_usage":false}"#, ""),
        (
            r#","foo":1,"seed":2"#,
            r#","seed":2,"stream_options":{"include_usage":true}"#,
        ),
    ];
    let with = |rest: &str| format!(r#"{{"model":"m","messages":[],"stream":true{rest}}}"#);
    for (before, after) in cases {
        check_chat(
            &with(before),
            |edits, request| {
                edits.strip_unknown(request, &strip);
                edits.ensure_stream_usage(request);
            },
            &with(after),
        );
    }
}

#[test]
fn unsigned_thinking_is_dropped() {
    #[track_caller]
    fn check_turns(before: &str, after: &str) {
        let with = |turns: &str| format!(r#"{{"model":"m", "messages": [{turns}],"x":1}}"#);
        check(
            Dialect::AnthropicMessages,
            &with(before),
            Edits::drop_unsigned_thinking,
            &with(after),
        );
    }
    let user = r#"{"role":"user","content":"hi"}"#;
    let unsigned = r#"{"type":"thinking","thinking":"a","signature":""}"#;
    let bare = r#"{"thinking":"a","type":"thinking"}"#;
    let signed = r#"{"type":"thinking","thinking":"a","signature":"s"}"#;
    let text = r#"{"type":"text", "text":"b"}"#;
    let turn = |blocks: &str| format!(r#"{{"role":"assistant", "content": [{blocks}]}}"#);

    check_turns(user, user);
    check_turns(&turn(signed), &turn(signed));
    let both = format!("{unsigned}, {text}");
    check_turns(
        &format!("{user}, {} , {user}", turn(&both)),
        &format!("{user}, {} , {user}", turn(text)),
    );
    let several = format!("{signed} ,{bare}, {text}");
    check_turns(&turn(&several), &turn(&format!("{signed}, {text}")));
    let empty = turn(bare);
    check_turns(
        &format!("{user},{empty}, {user}"),
        &format!("{user}, {user}"),
    );
    check_turns(&format!("{empty}, {user}"), user);
    // What a user writes is no model's thinking.
    let quoted = format!(r#"{{"role":"user","content":[{unsigned}]}}"#);
    check_turns(&quoted, &quoted);
}

/// JSON text with odd whitespace, escapes and numbers.
fn json_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1.50e3".to_owned()),
        Just("-0".to_owned()),
        "\"([ a-z{}\\[\\],:]|\\\\\"|\\\\u00e9|é|\\\\\\\\){0,8}\"",
    ];
    let space = "[ \n\t\r]{0,2}";
    scalar.prop_recursive(3, 16, 4, move |inner| {
        let element = (space, inner, space)
            .prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        let member =
            ("[a-c]", element.clone()).prop_map(|(name, value)| format!(" \"{name}\" :{value}"));
        prop_oneof![
            prop::collection::vec(element, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..4)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn an_edit_changes_its_member_and_nothing_else(
        before in prop::collection::vec(("[d-g]", json_text()), 0..4),
        after in prop::collection::vec(("[h-k]", json_text()), 0..4),
        space in "[ \n\t]{0,3}",
        model in ".{0,12}",
    ) {
        let member = |(name, value): &(String, String)| format!("{space}\"{name}\"{space}:{space}{value}{space},");
        let head: String = before.iter().map(member).collect();
        let tail: String = after.iter().map(|(name, value)| format!(",{space}\"{name}\":{value}{space}")).collect();
        let body = format!("{space}{{{head}\"messages\":[],\"model\":{space}\"auto\"{tail}}}{space}");
        let request = parse(Dialect::OpenAiChat, &body);
        let mut edits = Edits::new();
        edits.set_model(&model);
        let edited = String::from_utf8(edits.apply(&request).to_vec()).unwrap();
        let expected = body.replacen("\"auto\"", &json::quote(&model), 1);
        prop_assert_eq!(&edited, &expected);

        // Removals and additions mean what they mean on the parsed value.
        let mut edits = Edits::new();
        let mut value: Value = serde_json::from_str(&body).unwrap();
        for (name, _) in before.iter().chain(&after).step_by(2) {
            edits.remove(name);
            value.as_object_mut().unwrap().remove(name);
        }
        edits.set("new", "[1]");
        value["new"] = serde_json::json!([1]);
        let edited: Value = serde_json::from_slice(&edits.apply(&request)).unwrap();
        prop_assert_eq!(edited, value);
    }
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused_on_every_wire(
        members in prop::collection::vec(
            ("role|content|type|text|tool_calls|function|image_url|source|input|arguments|output|call_id", json_text()),
            0..4,
        ),
        top in "messages|input|system|instructions|tools|tool_choice|max_tokens|metadata|stream",
        value in json_text(),
        role in "user|assistant|tool|system",
    ) {
        let members: String = members.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        let message = format!("{{\"role\":\"{role}\"{members}}}");
        let list = if top == "input" { "messages" } else { "input" };
        let body = format!("{{\"model\":\"m\",\"{list}\":[{message},{{\"role\":\"user\",\"content\":[{message}]}}],\"{top}\":{value}}}");
        for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::AnthropicMessages] {
            if let Ok(request) = Request::parse(dialect, Bytes::from(body.clone()), &ReadOptions::default()) {
                let mut edits = Edits::new();
                edits.insert_system_prompt(&request, PromptMode::Insert, "P");
                edits.set_in(&request, "chat_template_kwargs", "thinking", "true");
                let edited = edits.apply(&request);
                prop_assert!(serde_json::from_slice::<Value>(&edited).is_ok(), "{body}");
            }
        }
        if let Err(error) = crate::EvalRequest::parse(body.as_bytes(), false, &ReadOptions::default()) {
            // The JSON is valid, so only its types, limits or emptiness can be wrong.
            prop_assert!(!matches!(error, crate::EvalError::Json { .. }), "{body}: {error}");
        }
    }
}
