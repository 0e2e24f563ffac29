//! Reading requests: the worked examples of the semantics pages, bad input, wrappers.

use super::*;
use crate::prompt::{Conversation, TokenFacts};

pub(crate) fn parse(dialect: Dialect, body: &str) -> Request {
    Request::parse(
        dialect,
        Bytes::copy_from_slice(body.as_bytes()),
        &ReadOptions::default(),
    )
    .unwrap()
}

fn chat(body: &str) -> Prompt {
    let with_model = body.replacen('{', r#"{"model":"auto","#, 1);
    parse(Dialect::OpenAiChat, &with_model).prompt().clone()
}

fn anthropic(body: &str) -> Prompt {
    let with_model = body.replacen('{', r#"{"model":"auto","#, 1);
    parse(Dialect::AnthropicMessages, &with_model)
        .prompt()
        .clone()
}

fn responses(body: &str) -> Prompt {
    let with_model = body.replacen('{', r#"{"model":"auto","#, 1);
    parse(Dialect::OpenAiResponses, &with_model)
        .prompt()
        .clone()
}

fn facts(
    text_bytes: u64,
    structured_bytes: u64,
    images: u64,
    framing: u64,
    output_reserve: u64,
) -> TokenFacts {
    TokenFacts {
        text_bytes,
        structured_bytes,
        images,
        framing,
        output_reserve,
        attached: 0,
    }
}

/// Example D of section 2: a tool round.
pub(crate) const TOOL_ROUND: &str = concat!(
    r#"{"messages":[{"role":"user","content":"Weather in Rome?"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","#,
    r#""type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]},{"role":"tool","tool_call_id":"call_1","#,
    r#""content":"21C, sunny"}],"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}}],"#,
    r#""tool_choice":"auto"}"#
);

/// The worked examples of section 2: request, facts on the wire, total on the wire.
pub(crate) fn worked_examples() -> Vec<(&'static str, TokenFacts, u64)> {
    vec![
        (
            r#"{"messages":[{"role":"user","content":"Hello world"}]}"#,
            facts(15, 0, 0, 4, 0),
            8,
        ),
        (
            r#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Sum 2 and 3"},{"role":"assistant","content":"5"},{"role":"user","content":"Why?"}],"max_tokens":64}"#,
            facts(48, 0, 0, 16, 64),
            92,
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}],"max_tokens":10,"max_completion_tokens":100}"#,
            facts(17, 0, 1, 4, 100),
            8301,
        ),
        (TOOL_ROUND, facts(64, 123, 0, 36, 0), 175),
        (
            r#"{"messages":[{"role":"user","content":"a<b"}],"response_format":{"type":"json_object"},"tools":[{"type":"function","function":{"name":"cmp","description":"a<b & c>d"}}]}"#,
            facts(7, 93, 0, 12, 0),
            107,
        ),
        (
            r#"{"messages":[{"role":"user","name":"ann","content":"你好"},{"role":"assistant","content":"","refusal":"No.","reasoning_content":"think"}]}"#,
            facts(30, 0, 0, 8, 0),
            16,
        ),
    ]
}

#[test]
fn the_worked_examples_of_the_token_estimate() {
    for (body, expected, total) in worked_examples() {
        let tokens = chat(body).tokens;
        assert_eq!(tokens, expected, "{body}");
        assert_eq!(tokens.floor(), total, "{body}");
    }
}

#[test]
fn the_rows_of_the_token_table() {
    let message = |members: &str| format!(r#"{{"messages":[{{{members}}}]}}"#);
    let cases = [
        (message(r#""role":1"#), facts(0, 1, 0, 4, 0)),
        (r#"{"messages":["ab",7]}"#.to_owned(), facts(0, 5, 0, 8, 0)),
        (
            message(r#""role":"Tool","content":"ab""#),
            facts(4, 4, 0, 12, 0),
        ),
        (message(r#""role":"function""#), facts(8, 0, 0, 12, 0)),
        (
            message(r#""role":"tool","content":[{"type":"image"},{"type":"text","text":"a"}]"#),
            facts(4, 26, 1, 12, 0),
        ),
        (
            message(r#""role":"user","content":["ab",{"text":"a"}]"#),
            facts(4, 16, 0, 4, 0),
        ),
        (
            message(r#""role":"user","content":[{"type":" TEXT ","text":"a"},{"type":"text"}]"#),
            facts(5, 15, 0, 4, 0),
        ),
        (
            message(r#""role":"user","content":{"type":"output_text","text":"a"}"#),
            facts(5, 0, 0, 4, 0),
        ),
        (
            message(r#""role":"assistant","tool_calls":[{"id":"x"}]"#),
            facts(9, 10, 0, 12, 0),
        ),
        (
            message(r#""role":"assistant","tool_calls":{}"#),
            facts(9, 2, 0, 4, 0),
        ),
        (
            message(r#""role":"assistant","function_call":{"name":"f","arguments":"{}"}"#),
            facts(10, 4, 0, 12, 0),
        ),
        (
            r#"{"messages":[],"functions":[{ }, 1],"tools":{"a":1}}"#.to_owned(),
            facts(0, 10, 0, 16, 0),
        ),
        (
            r#"{"messages":[],"max_tokens":-1}"#.to_owned(),
            facts(0, 2, 0, 0, 0),
        ),
        (
            r#"{"messages":[],"temperature":1,"metadata":{"a":"b"},"stop":["x"],"user":"u"}"#
                .to_owned(),
            facts(0, 0, 0, 0, 0),
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(chat(&body).tokens, expected, "{body}");
    }
}

#[test]
fn texts_by_role() {
    let message = |role: &str, content: &str| format!(r#"{{"role":"{role}","content":{content}}}"#);
    let prompt =
        |messages: &[String]| chat(&format!(r#"{{"messages":[{}]}}"#, messages.join(","))).texts;
    let texts = prompt(&[
        message("developer", r#""dev""#),
        message("user", r#""first""#),
        message(
            "assistant",
            r#"[{"type":"text","text":"a "},{"type":"output_text","text":"no"},{"text":"b"}]"#,
        ),
        message("tool", r#""result""#),
        message("user", r#""second""#),
        message("user", r#"[{"type":"image_url","image_url":{"url":"x"}}]"#),
        message("User", r#""third""#),
        message("system", r#""sys""#),
    ]);
    assert_eq!(texts.evaluation, "third");
    assert_eq!(texts.current, "third");
    assert_eq!(texts.prior_user, ["first", "second"]);
    assert_eq!(texts.non_user, ["dev", "a no b", "sys"]);
    assert_eq!(texts.context, "dev a no b sys third");
    assert!(texts.assistant_replied);

    let promoted = prompt(&[message("system", r#""a""#), message("assistant", r#""b""#)]);
    assert_eq!(
        (
            promoted.evaluation.as_str(),
            promoted.current.as_str(),
            promoted.context.as_str()
        ),
        ("a b", "", "a b")
    );
    let blank = prompt(&[message("user", r#""x""#), message("user", r#""  ""#)]);
    assert_eq!(
        (blank.evaluation.as_str(), blank.prior_user.len()),
        ("x", 0),
        "a blank text is no turn"
    );
    let odd = prompt(&[message(
        "user",
        r#"[{"type":"text","text":12},{"type":"text","text":{"a":1}},{"type":"Text","text":"no"}]"#,
    )]);
    assert_eq!(odd.evaluation, r#"12 {"a":1} no"#);
    assert_eq!(
        prompt(&[message("user", r#"{"type":"text","text":"lone"}"#)]).evaluation,
        "lone"
    );
}

#[test]
fn conversation_counters() {
    let round = chat(TOOL_ROUND).conversation;
    let expected = Conversation {
        user: 1,
        assistant: 1,
        tool: 1,
        tool_calls: 1,
        tool_definitions: 1,
        last_is_tool_result: true,
        ..Default::default()
    };
    assert_eq!(round, expected);

    let longer = |message: &str| {
        chat(&TOOL_ROUND.replacen("],\"tools\"", &format!(",{message}],\"tools\""), 1)).conversation
    };
    let with_user = longer(r#"{"role":"user","content":"and?"}"#);
    assert!(with_user.last_user_follows_tool && !with_user.last_is_tool_result);
    let with_assistant = longer(r#"{"role":"assistant","content":"sunny"}"#);
    assert!(!with_assistant.last_user_follows_tool && !with_assistant.last_is_tool_result);

    let counted = chat(
        r#"{"messages":[{"role":"developer"},{"role":"developer"},{"role":"function"},{"role":"USER"},{"role":"user","content":[{"type":"image_url"},{"type":"input_image"},{"type":"image"}]}],"tools":[1],"functions":[2,3]}"#,
    );
    let expected = Conversation {
        user: 2,
        developer: true,
        tool_definitions: 3,
        images: 2,
        ..Default::default()
    };
    assert_eq!(counted.conversation, expected);
}

#[test]
fn the_first_acceptable_image_counts() {
    let image = |url: &str| {
        format!(
            r#"{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}"#
        )
    };
    let body = format!(
        r#"{{"messages":[{},{},{}]}}"#,
        image("https://x/y.png"),
        image("DATA:image/PNG;base64,AA"),
        image("data:image/png;base64,BB")
    );
    assert_eq!(
        chat(&body).image.as_deref(),
        Some("DATA:image/PNG;base64,AA")
    );
}

const BAD_CHAT: &[(&[u8], &str)] = &[
    (b"", "the request body is empty; send a JSON object"),
    (
        b"{",
        "malformed JSON body: EOF while parsing an object at line 1 column 1",
    ),
    (
        b"{\"model\": \"m\",\n \"messages\" []}",
        "malformed JSON body: expected `:` at line 2 column 13",
    ),
    (b"[]", "the request body must be a JSON object, got array"),
    (b"null", "the request body must be a JSON object, got null"),
    (
        br#"{"model":"m","messages":[]} x"#,
        "malformed JSON body: trailing characters at line 1 column 29",
    ),
    (
        b"{\"model\":\"\xff\",\"messages\":[]}",
        "malformed JSON body: it is not in UTF-8 at byte 10",
    ),
    (br#"{"model":"m"}"#, "messages field is required"),
    (br#"{"messages":{}}"#, "messages field must be an array"),
    (
        br#"{"model":"m","messages":null}"#,
        "messages field must be an array",
    ),
    (
        br#"{"messages":[]}"#,
        "invalid request body: missing required field: model",
    ),
    (
        br#"{"model":1,"messages":[]}"#,
        "invalid request body: field model must be string, got number",
    ),
    (
        br#"{"model":null,"messages":[]}"#,
        "invalid request body: field model must be string, got null",
    ),
    (
        br#"{"model":"m","messages":[],"stream":"yes"}"#,
        "invalid request body: field stream must be boolean, got string",
    ),
    (
        br#"{"model":"m","messages":[],"metadata":[]}"#,
        "invalid request body: field metadata must be object, got array",
    ),
    (
        br#"{"model":"m","messages":[],"metadata":{"a":[]}}"#,
        "invalid request body: field metadata.a must be string, got array",
    ),
    (
        br#"{"model":"m","messages":[],"model":"n"}"#,
        "invalid request body: duplicate field: model",
    ),
    (
        br#"{"model":"m","messages":[],"mess\u0061ges":[]}"#,
        "invalid request body: duplicate field: messages",
    ),
];

/// What is said of a body that is no request, on every wire and every other endpoint.
#[test]
fn a_body_that_is_no_request_is_told_what_is_wrong() {
    use crate::endpoint::Service;
    let services = [
        None,
        Some(Service::Completions),
        Some(Service::CountTokens),
        Some(Service::InputTokens),
        Some(Service::Compact),
        Some(Service::MessageBatches),
        Some(Service::Embeddings),
        Some(Service::Rerank),
        Some(Service::Moderations),
        Some(Service::Images),
        Some(Service::Speech),
        Some(Service::Transcriptions),
    ];
    let wires = [
        Dialect::OpenAiChat,
        Dialect::OpenAiResponses,
        Dialect::AnthropicMessages,
    ];
    let asked = services.iter().flat_map(|&service| {
        let dialects = match service {
            Some(service) => vec![service.dialect()],
            None => wires.to_vec(),
        };
        dialects.into_iter().map(move |dialect| Asked {
            service,
            ..Asked::conversation(dialect)
        })
    });
    let object = "the request body must be a JSON object, got";
    for asked in asked {
        let is_batch = asked.service == Some(Service::MessageBatches);
        let in_batch = |body: &str| format!(r#"{{"requests":[{{"params":{body}}}]}}"#);
        for (body, expected) in [
            ("", "the request body is empty; send a JSON object"),
            (" \n", "the request body is empty; send a JSON object"),
            ("[]", &format!("{object} array")),
            (r#"["x"]"#, &format!("{object} array")),
            (r#""x""#, &format!("{object} string")),
            ("5", &format!("{object} number")),
            ("null", &format!("{object} null")),
            ("true", &format!("{object} boolean")),
            (
                "{",
                "malformed JSON body: EOF while parsing an object at line 1 column 1",
            ),
            (
                "x",
                "malformed JSON body: expected value at line 1 column 1",
            ),
            (
                "[",
                "malformed JSON body: EOF while parsing a list at line 1 column 1",
            ),
        ] {
            let refused = Request::read(&asked, body.into(), &ReadOptions::default()).unwrap_err();
            assert_eq!(refused.message, expected, "{asked:?} {body}");
        }
        for model in ["5", "[]", "{}", "true"] {
            let kind = Kind::of(model);
            let body = format!(r#"{{"model":{model},"messages":[],"input":[],"prompt":"x"}}"#);
            let body = if is_batch { in_batch(&body) } else { body };
            let refused = Request::read(&asked, body.into(), &ReadOptions::default()).unwrap_err();
            let expected = format!("invalid request body: field model must be string, got {kind}");
            assert_eq!(refused.message, expected, "{asked:?} {model}");
        }
        let has_messages = matches!(
            (asked.dialect, asked.service),
            (Dialect::OpenAiChat | Dialect::AnthropicMessages, None)
                | (_, Some(Service::CountTokens | Service::MessageBatches))
        );
        for messages in ["5", r#""x""#, "{}", "true", "null"] {
            let (member, expected) = if has_messages {
                ("messages", "messages field must be an array")
            } else if asked.dialect == Dialect::OpenAiResponses && !messages.starts_with(['"', 'n'])
            {
                ("input", "input field must be a string or an array")
            } else {
                continue;
            };
            let body = format!(r#"{{"model":"m","{member}":{messages}}}"#);
            let body = if is_batch { in_batch(&body) } else { body };
            let refused = Request::read(&asked, body.into(), &ReadOptions::default()).unwrap_err();
            assert_eq!(refused.message, expected, "{asked:?} {messages}");
        }
    }
}

/// A known member that is `null` is absent, on all wires: clients write all their options. The name
/// of an unknown one is text.
#[test]
fn null_is_absent() {
    let wires = [
        (
            Dialect::OpenAiChat,
            r#""messages":[{"role":"user","content":"hi"}]"#,
            r#""messages":[{"role":"user","content":"hi","name":null,"tool_calls":null,"function_call":null,"refusal":null,"audio":null}]"#,
        ),
        (
            Dialect::OpenAiResponses,
            r#""input":[{"type":"message","role":"user","content":"hi"}]"#,
            r#""input":[{"type":"message","role":"user","content":"hi","id":null,"status":null}]"#,
        ),
        (
            Dialect::AnthropicMessages,
            r#""messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]"#,
            r#""messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":null,"citations":null}]}]"#,
        ),
    ];
    let optional = [
        "stream",
        "system",
        "instructions",
        "prompt",
        "tools",
        "temperature",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "text",
    ];
    for (dialect, plain, with_nulls) in wires {
        let expected = parse(dialect, &format!(r#"{{"model":"m",{plain}}}"#));
        for name in PARAMETERS
            .iter()
            .chain(&optional)
            .filter(|name| **name != "model")
        {
            let got = parse(
                dialect,
                &format!(r#"{{"model":"m","{name}":null,{with_nulls}}}"#),
            );
            assert_eq!(got.prompt(), expected.prompt(), "{dialect} {name}");
        }
        let metadata = r#""metadata":{"user_id":null}"#;
        let got = parse(dialect, &format!(r#"{{"model":"m",{metadata},{plain}}}"#));
        assert_eq!(got.prompt(), expected.prompt(), "{dialect} {metadata}");
    }
}

const BAD_MESSAGES: &[(&[u8], &str)] = &[
    (br#"{"messages":[]}"#, "model field is required"),
    (br#"{"model":"","messages":[]}"#, "model field is required"),
    (
        br#"{"model":5}"#,
        "invalid request body: field model must be string, got number",
    ),
    (br#"{"model":"m"}"#, "messages field is required"),
];

const BAD_RESPONSES: &[(&[u8], &str)] = &[
    (
        br#"{"model":"m","input":1}"#,
        "input field must be a string or an array",
    ),
    (
        br#"{"model":"m","input":"a","input":"b"}"#,
        "invalid request body: duplicate field: input",
    ),
    (
        br#"{"input":"a"}"#,
        "invalid request body: missing required field: model",
    ),
];

#[test]
fn bad_bodies_get_the_reference_s_texts() {
    let check = |dialect: Dialect, body: &[u8], expected: &str| {
        let refused = Request::parse(
            dialect,
            Bytes::copy_from_slice(body),
            &ReadOptions::default(),
        )
        .unwrap_err();
        assert_eq!(
            (refused.status, refused.message.as_str()),
            (400, expected),
            "{}",
            String::from_utf8_lossy(body)
        );
    };
    BAD_CHAT
        .iter()
        .for_each(|(body, expected)| check(Dialect::OpenAiChat, body, expected));
    BAD_MESSAGES
        .iter()
        .for_each(|(body, expected)| check(Dialect::AnthropicMessages, body, expected));
    BAD_RESPONSES
        .iter()
        .for_each(|(body, expected)| check(Dialect::OpenAiResponses, body, expected));
    let deep = format!(
        r#"{{"model":"m","messages":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    check(
        Dialect::OpenAiChat,
        deep.as_bytes(),
        "invalid request body: nested deeper than 128 levels",
    );
    let many = format!(
        r#"{{"model":"m",{}"messages":[]}}"#,
        r#""a":1,"#.repeat(16_383)
    );
    check(
        Dialect::OpenAiChat,
        many.as_bytes(),
        "invalid request body: more than 16384 fields",
    );
}

#[test]
fn what_looks_odd_but_is_legal_passes() {
    let nested = format!(
        r#"{{"messages":[],"x":{}{}}}"#,
        "[".repeat(127),
        "]".repeat(127)
    );
    assert!(chat(&nested).no_messages);
    assert!(!chat(r#"{"messages":[],"stream":null}"#).stream);
    assert_eq!(
        parse(Dialect::OpenAiChat, r#"{"model":"","messages":[]}"#)
            .prompt()
            .model,
        ""
    );
    let surrogate = chat(r#"{"messages":[{"\ud800":1,"role":"user","content":"a\udfffb"}]}"#);
    assert_eq!(
        surrogate.texts.current, "a\u{FFFD}b",
        "an unusual key hides nothing"
    );
    let stored = responses(r#"{"previous_response_id":"resp_1"}"#);
    assert!(stored.no_messages);
}

#[test]
fn wrapped_user_texts_are_passed_over_but_counted() {
    let body = r#"{"messages":[{"role":"user","content":"real"},{"role":"user","content":"<system-reminder>x</system-reminder>"},{"role":"user","content":[{"type":"text","text":"<environment_context>y</environment_context>"}]}]}"#;
    let prompt = chat(body);
    assert_eq!(prompt.texts.current, "real");
    assert_eq!(prompt.texts.prior_user.len(), 0);
    assert_eq!(prompt.texts.passed_over.len(), 2);
    assert_eq!(prompt.conversation.user, 3);
    let unwrapped = Request::parse(
        Dialect::OpenAiChat,
        body.replacen('{', r#"{"model":"auto","#, 1).into(),
        &ReadOptions {
            wrappers: Wrappers::none(),
            ..ReadOptions::default()
        },
    )
    .unwrap();
    assert_eq!(prompt.tokens, unwrapped.prompt().tokens);
    assert_eq!(unwrapped.prompt().texts.prior_user.len(), 2);
    let assistant = chat(
        r#"{"messages":[{"role":"assistant","content":"<system-reminder>x</system-reminder>"}]}"#,
    );
    assert_eq!(assistant.texts.non_user.len(), 1, "only users are wrapped");
}

#[test]
fn anthropic_messages() {
    let prompt = anthropic(concat!(
        r#"{"system":[{"type":"text","text":"Be brief."}],"max_tokens":32,"messages":[{"role":"user","content":"Weather?"},"#,
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":"x"},{"type":"tool_use","id":"t1","name":"w","input":{"a":1}},"#,
        r#"{"type":"tool_use","id":"t2","name":"w","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"},"#,
        r#"{"type":"tool_result","tool_use_id":"t2","content":[{"type":"image"},{"type":"text","text":"q"}]}]}],"tools":[{"name":"w"}],"#,
        r#""tool_choice":{"type":"auto"},"output_config":{"effort":"high"}}"#
    ));
    let expected = Conversation {
        system: 1,
        user: 2,
        assistant: 1,
        tool: 1,
        tool_calls: 2,
        tool_definitions: 1,
        last_is_tool_result: true,
        ..Default::default()
    };
    assert_eq!(prompt.conversation, expected);
    // text: system 6+9, user 4+8, assistant 9, calls 2·(2+8+1), user 4, results 2+2; structure:
    // thinking 34, inputs 7+2, results 4+26, tool 12, tool_choice 15; framing: 4 messages, 2 calls,
    // 2 results, 1 tool.
    let thinking = r#"{"type":"thinking","thinking":"x"}"#.len() as u64;
    let structured = thinking + 7 + 2 + 4 + 26 + 12 + 15;
    assert_eq!(
        prompt.tokens,
        facts(
            15 + 12 + 9 + 22 + 4 + 4,
            structured,
            1,
            16 + 16 + 16 + 8,
            32
        )
    );
    assert_eq!(prompt.texts.current, "Weather?");
    assert_eq!(prompt.texts.non_user, ["Be brief."]);
    assert!(!prompt.texts.assistant_replied);
    assert_eq!(prompt.reasoning_effort.as_deref(), Some("high"));
}

#[test]
fn anthropic_images_and_empty_system() {
    let prompt = anthropic(
        r#"{"system":"","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}}]}]}"#,
    );
    assert_eq!(prompt.image.as_deref(), Some("data:image/png;base64,AA"));
    assert_eq!(
        (prompt.conversation.system, prompt.conversation.images),
        (1, 1)
    );
    assert_eq!(prompt.tokens, facts(6 + 4, 0, 1, 8, 0));
    let follow_up = anthropic(
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"}]},{"role":"user","content":"go on"}]}"#,
    );
    assert!(follow_up.conversation.last_user_follows_tool);
}

#[test]
fn responses_are_read_as_the_chat_they_amount_to() {
    let as_responses = responses(concat!(
        r#"{"instructions":"Be brief.","input":[{"role":"user","content":"Weather in Rome?"},{"type":"function_call","call_id":"call_1","#,
        r#""name":"get_weather","arguments":"{\"city\":\"Rome\"}"},{"type":"function_call_output","call_id":"call_1","output":"21C, sunny"}],"#,
        r#""tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}}],"tool_choice":"auto","#,
        r#""max_output_tokens":50,"reasoning":{"effort":"low"}}"#
    ));
    let chat_body = TOOL_ROUND.replacen(
        r#"{"messages":["#,
        r#"{"max_tokens":50,"messages":[{"role":"system","content":"Be brief."},"#,
        1,
    );
    let mut as_chat = chat(&chat_body);
    as_chat.reasoning_effort = Some("low".to_owned());
    assert_eq!(as_responses, as_chat);
}

#[test]
fn responses_items_of_every_sort() {
    let prompt = responses(concat!(
        r#"{"input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"dev"}]},"#,
        r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"see"},{"type":"input_image","image_url":"data:image/png;base64,AA"}]},"#,
        r#"{"type":"reasoning","summary":[]},{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},"#,
        r#"{"type":"function_call","call_id":"b","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"a","output":"1"},"#,
        r#"{"type":"function_call_output","call_id":"b","output":"2"},"#,
        r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"done"}]}]}"#
    ));
    let expected = Conversation {
        user: 1,
        assistant: 2,
        developer: true,
        tool: 2,
        tool_calls: 2,
        images: 1,
        ..Default::default()
    };
    assert_eq!(prompt.conversation, expected);
    assert_eq!(prompt.texts.non_user, ["dev", "done"]);
    assert!(prompt.texts.assistant_replied);
    assert_eq!(prompt.image.as_deref(), Some("data:image/png;base64,AA"));
    assert_eq!(responses(r#"{"input":"Hello world"}"#).tokens.floor(), 8);
}

#[test]
fn members_are_found_as_they_were_written() {
    let request = parse(
        Dialect::OpenAiChat,
        "{ \"model\" : \"auto\",\n \"messages\":[ ], \"user\":\"\\u0061\", \"n\" : 1.50 }",
    );
    assert_eq!(request.member("n"), Some("1.50"));
    assert_eq!(request.member("messages"), Some("[ ]"));
    assert_eq!(request.text_member("user").as_deref(), Some("a"));
    assert_eq!(request.member("absent"), None);
}

/// Tool results are kept apart from all turns, whatever wire they came by.
#[test]
fn tool_results_are_kept_apart() {
    let check = |prompt: Prompt, expected: &[&str]| {
        assert_eq!(prompt.texts.tool_results, expected);
        assert_eq!(prompt.texts.evaluation, "Hi");
        assert!(prompt.texts.non_user.is_empty() && prompt.texts.prior_user.is_empty());
    };
    let parts = r#"[{"type":"text","text":"one"},{"type":"image_url","image_url":{"url":"x"}},{"text":"two"}]"#;
    let chat_body = format!(
        r#"{{"messages":[{{"role":"user","content":"Hi"}},{{"role":"tool","content":"21C, \"sunny\""}},
        {{"role":"function","content":{parts}}},{{"role":"tool","content":""}},{{"role":"tool","content":null}}]}}"#
    );
    check(chat(&chat_body), &["21C, \"sunny\"", "one x two"]);
    let eval =
        crate::EvalRequest::parse(chat_body.as_bytes(), false, &ReadOptions::default()).unwrap();
    assert_eq!(
        eval.prompt.texts.tool_results,
        ["21C, \"sunny\"", "one x two"]
    );
    let anthropic_body = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"Hi"},
        {"type":"tool_result","tool_use_id":"a","content":"plain"},
        {"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"part"},{"type":"image","source":{}}]}]}]}"#;
    check(anthropic(anthropic_body), &["plain", "part"]);
    let responses_body = r#"{"input":[{"role":"user","content":"Hi"},
        {"type":"function_call_output","call_id":"a","output":"done"},
        {"type":"custom_tool_call_output","call_id":"b","output":[{"type":"input_text","text":"x"},{"type":"input_text","text":"y"}]}]}"#;
    check(responses(responses_body), &["done", "x y"]);
}

#[test]
fn what_ties_a_request_to_earlier_ones() {
    let responses = responses(
        r#"{"conversation":{"id":"conv_1"},"previous_response_id":"resp_1","prompt_cache_key":"k","input":[
            {"role":"user","content":"a"},{"type":"reasoning","summary":[],"encrypted_content":"gAAA"},
            {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":"1"}]}"#,
    );
    let found = &responses.continuity;
    assert_eq!(found.conversation.as_deref(), Some("conv_1"));
    assert_eq!(found.previous_response.as_deref(), Some("resp_1"));
    assert_eq!(found.cache_key.as_deref(), Some("k"));
    assert!(found.sealed_state && found.tool_loop && !found.opens_with_system);
    let chat =
        chat(r#"{"messages":[{"role":"assistant","content":"hi"},{"role":"user","content":"a"}]}"#);
    assert_eq!(chat.continuity, crate::Continuity::default());
    assert_eq!((chat.system(), chat.first_user()), ("", "a"));
}

#[test]
fn sealed_state() {
    let check = |block: &str, expected: bool| {
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[{block}]}},{{"role":"user","content":"b"}}]}}"#
        );
        assert_eq!(
            anthropic(&body).continuity.sealed_state,
            expected,
            "{block}"
        );
    };
    check(
        r#"{"type":"thinking","thinking":"…","signature":"EqQB"}"#,
        true,
    );
    check(
        r#"{"type":"thinking","thinking":"…","signature":""}"#,
        false,
    );
    check(r#"{"type":"thinking","thinking":"…"}"#, false);
    check(r#"{"type":"redacted_thinking","data":"x"}"#, true);
    check(r#"{"type":"text","text":"thinking"}"#, false);
}

#[test]
fn tool_loops() {
    let check = |messages: &str, expected: bool| {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"a"}},{messages}]}}"#);
        assert_eq!(chat(&body).continuity.tool_loop, expected, "{messages}");
    };
    let tool = r#"{"role":"tool","tool_call_id":"c","content":"1"}"#;
    let says = |role: &str| format!(r#"{{"role":"{role}","content":"x"}}"#);
    check(tool, true);
    check(&format!("{tool},{}", says("user")), true);
    check(&format!("{tool},{}", says("system")), true);
    check(&format!("{tool},{},{}", says("system"), says("user")), true);
    check(&format!("{tool},{},{}", says("user"), says("user")), false);
    check(
        &format!("{tool},{},{}", says("assistant"), says("user")),
        false,
    );
    check(&says("assistant"), false);
}

#[test]
fn the_last_user_text_may_be_a_wrapper() {
    let wrapped = chat(
        r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},
            {"role":"user","content":"<context.compaction.request>now"}]}"#,
    );
    assert_eq!(
        (wrapped.last_user(), wrapped.first_user()),
        ("<context.compaction.request>now", "a")
    );
    assert_eq!(wrapped.system(), "s");
    let asked = chat(
        r#"{"messages":[{"role":"user","content":"<environment_context>x</environment_context>"},
            {"role":"user","content":"a"}]}"#,
    );
    assert_eq!(asked.last_user(), "a");
}

/// What stands beside the turns' words: `place: text`, `place?` for text that is not read,
/// `place=media` for what is attached, `place*` for what is sealed.
fn beside(prompt: &Prompt) -> Vec<String> {
    let texts = &prompt.texts;
    let asides = texts
        .asides
        .iter()
        .map(|aside| format!("{:?}: {}", aside.place, aside.text));
    let unread = texts.unread.iter().map(|place| format!("{place:?}?"));
    let unreadable = texts.unreadable.iter();
    let unreadable = unreadable.map(|(place, media)| format!("{place:?}={media:?}"));
    let sealed = texts.sealed.iter().map(|place| format!("{place:?}*"));
    asides
        .chain(unread)
        .chain(unreadable)
        .chain(sealed)
        .collect()
}

/// Each tool is a text of its own, whatever stands around it, and their number is bounded.
#[test]
fn tools_are_defined_one_by_one() {
    let defined = |body: &str| {
        let options = ReadOptions {
            definitions: true,
            ..ReadOptions::default()
        };
        let body = body.replacen('{', r#"{"model":"auto","messages":[],"#, 1);
        let request = Request::parse(Dialect::OpenAiChat, body.into_bytes().into(), &options);
        beside(request.unwrap().prompt())
    };
    let tool = |name: &str| format!(r#"{{"function":{{"name":"{name}","description":"does"}}}}"#);
    let text = |name: &str| format!("Definitions: function: name: {name}\ndescription: does");

    let two = format!(r#"{{"tools":[{},{}]}}"#, tool("a"), tool("b"));
    assert_eq!(defined(&two), [text("a"), text("b")]);
    let changed = format!(r#"{{"tools":[{},{}]}}"#, tool("new"), tool("b"));
    assert_eq!(defined(&changed), [text("new"), text("b")]);
    assert_eq!(
        defined(r#"{"response_format":{"type":"json_object"},"tools":[]}"#),
        ["Definitions: type: json_object"]
    );

    let many: Vec<String> = (0..10_000).map(|at| tool(&format!("t{at}"))).collect();
    let texts = defined(&format!(r#"{{"tools":[{}]}}"#, many.join(",")));
    assert!(texts.len() <= 256, "{}", texts.len());
    assert!(texts.concat().contains("t9999"));
}

const ANY_PLACE: [&str; 4] = ["Current: x", "History: x", "System: x", "ToolResults: x"];

/// No text of a chat request is lost: it is a turn's, a result's, or stands beside them.
#[test]
fn chat_accounts_for_every_text() {
    let check = |messages: &str, current: &str, expected: &[&str]| {
        let prompt = chat(&format!(r#"{{"messages":[{messages}]}}"#));
        assert_eq!(prompt.texts.current, current, "{messages}");
        assert_eq!(beside(&prompt), expected, "{messages}");
    };
    let part = |part: &str| format!(r#"{{"role":"user","content":[{part}]}}"#);
    check(&part(r#"{"type":"input_text","text":"x"}"#), "x", &[]);
    check(&part(r#"{"type":"Text","text":"x"}"#), "x", &[]);
    check(
        &part(r#"{"type":"strange","deep":{"er":["x"]}}"#),
        "",
        &["Current: deep er x"],
    );
    check(
        &part(r#"{"type":"text","text":"y","note":"x"}"#),
        "y",
        &["Current: note x"],
    );
    check(&part(r#""x""#), "", &["Current: x"]);
    check(
        &part(r#"{"type":"file","file":{"file_data":"AA"}}"#),
        "",
        &["Current=Document"],
    );
    check(
        &part(
            r#"{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}},{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#,
        ),
        "",
        &["Current: https://x/y.png", "Current=Image", "Current=Audio"],
    );
    let earlier = format!(
        r#"{},{{"role":"user","content":"now"}}"#,
        part(r#"{"type":"text","text":"then"},{"type":"strange","text":"x"}"#)
    );
    check(&earlier, "now", &["History: x"]);
    check(
        r#"{"role":"user","content":{"type":"text","text":"x"}}"#,
        "x",
        &[],
    );
    check(r#"{"role":"User","content":"x"}"#, "x", &[]);
    check(
        r#"{"role":"critic","content":[{"type":"text","text":"x"}]}"#,
        "",
        &ANY_PLACE,
    );
    check(r#""x""#, "", &ANY_PLACE);
    check(r#"{"role":"user","content":41}"#, "", &["Current: 41"]);
    let assistant = |members: &str| format!(r#"{{"role":"assistant","content":null,{members}}}"#);
    let calls = assistant(
        r#""tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"to\":\"x\"}"}},{"id":"c","type":"custom","custom":{"name":"f","input":"y"}}]"#,
    );
    check(&calls, "", &["System: to: x", "System: f y"]);
    check(
        &assistant(r#""function_call":{"name":"f","arguments":"x"}"#),
        "",
        &["System: x"],
    );
    check(
        &assistant(
            r#""refusal":"r","reasoning_content":"x","reasoning_details":[{"type":"reasoning.text","text":"z"},{"type":"reasoning.encrypted","data":"gA"}]"#,
        ),
        "",
        &["System: r", "System: x", "System: z", "System*"],
    );
    let prompt = chat(
        r#"{"messages":[],"temperature":1,"stop":["s"],"user":"u","metadata":{"a":"b"},
            "tools":[{"type":"function","function":{"name":"f","description":"d"}}],
            "prediction":{"type":"content","content":"x"},"chat_template":"y"}"#,
    );
    assert_eq!(beside(&prompt), ["System: x", "System: y"]);
}

#[test]
fn anthropic_accounts_for_every_text() {
    let check = |role: &str, block: &str, current: &str, expected: &[&str]| {
        let body = format!(r#"{{"messages":[{{"role":"{role}","content":[{block}]}}]}}"#);
        let prompt = anthropic(&body);
        assert_eq!(prompt.texts.current, current, "{block}");
        let results = prompt.texts.tool_results.iter();
        let mut found: Vec<String> = results.map(|text| format!("result: {text}")).collect();
        found.extend(beside(&prompt));
        assert_eq!(found, expected, "{block}");
    };
    let document = |source: &str| {
        format!(r#"{{"type":"document","source":{source}}},{{"type":"text","text":"sum up"}}"#)
    };
    let text = document(r#"{"type":"text","media_type":"text/plain","data":"x"}"#);
    check("user", &text, "x sum up", &[]);
    let blocks = document(r#"{"type":"content","content":[{"type":"text","text":"x"}]}"#);
    check("user", &blocks, "x sum up", &[]);
    let pdf = document(r#"{"type":"base64","media_type":"application/pdf","data":"AA"}"#);
    check("user", &pdf, "sum up", &["Current=Document"]);
    check("critic", r#"{"type":"text","text":"x"}"#, "", &ANY_PLACE);
    check(
        "user",
        r#"{"type":"strange","a":"x"}"#,
        "",
        &["Current: a x"],
    );
    check(
        "user",
        r#"{"type":"text","text":{"a":"x"}}"#,
        "",
        &["Current: a x"],
    );
    check(
        "assistant",
        r#"{"type":"tool_use","id":"t","name":"n","input":{"to":"x"}}"#,
        "",
        &["System: to: x"],
    );
    check(
        "assistant",
        r#"{"type":"mcp_tool_use","id":"t","name":"n","input":{"to":"x"}}"#,
        "",
        &["System: to: x"],
    );
    check(
        "assistant",
        r#"{"type":"thinking","thinking":"x","signature":"s"}"#,
        "",
        &["System*"],
    );
    check(
        "assistant",
        r#"{"type":"thinking","thinking":"x"}"#,
        "",
        &["System: x"],
    );
    check(
        "assistant",
        r#"{"type":"mcp_tool_result","tool_use_id":"t","content":[{"type":"text","text":"x"}]}"#,
        "",
        &["result: x"],
    );
    check(
        "user",
        r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"document","source":{"type":"text","data":"x"}}]}"#,
        "",
        &["result: x"],
    );
    check(
        "user",
        r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"}}]}"#,
        "",
        &["ToolResults=Document"],
    );
}

#[test]
fn responses_account_for_every_text() {
    let check = |items: &str, expected: &[&str]| {
        let prompt = responses(&format!(
            r#"{{"input":[{{"role":"user","content":"hi"}},{items}]}}"#
        ));
        assert_eq!(prompt.texts.current, "hi", "{items}");
        let results = prompt.texts.tool_results.iter();
        let mut found: Vec<String> = results.map(|text| format!("result: {text}")).collect();
        found.extend(beside(&prompt));
        assert_eq!(found, expected, "{items}");
    };
    check(
        r#"{"type":"shell_call","call_id":"c","action":{"commands":["ls"]}},
           {"type":"shell_call_output","call_id":"c","output":[{"stdout":"x","stderr":"","outcome":{"type":"exit","exit_code":0}}]}"#,
        &["result: x", "System: commands: ls"],
    );
    check(
        r#"{"type":"mcp_call","id":"c","name":"find","server_label":"s","arguments":"{\"q\":\"a\"}","output":"x"}"#,
        &["result: x", "System: q: a"],
    );
    check(
        r#"{"type":"custom_tool_call","call_id":"c","name":"patch","input":"x"}"#,
        &["System: x"],
    );
    check(
        r#"{"type":"file_search_call","id":"f","queries":["q"],"results":[{"file_id":"f","text":"x"}]}"#,
        &["result: f x", "System: q"],
    );
    check(
        r#"{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"x"}],"encrypted_content":"gA"}"#,
        &["System: x", "System*"],
    );
    check(
        r#"{"type":"image_generation_call","id":"i","result":"AA"}"#,
        &["System=Image"],
    );
    check(r#"{"type":"item_reference","id":"i"}"#, &[]);
    check(
        r#"{"type":"mcp_list_tools","tools":[{"name":"n","description":"d"}]}"#,
        &[],
    );
    check(r#"{"type":"strange","text":"x"}"#, &ANY_PLACE);
    check(
        r#"{"type":"message","role":"tool","content":"x"}"#,
        &["ToolResults: x"],
    );
    check(
        r#"{"type":"message","role":"user","content":[{"type":"input_file","file_id":"f"},{"type":"input_image","image_url":"https://x/y.png"}]}"#,
        &[
            "Current: https://x/y.png",
            "Current=Document",
            "Current=Image",
        ],
    );
    let prompt = responses(r#"{"input":"hi","prompt":{"id":"p","variables":{"who":"x"}}}"#);
    assert_eq!(beside(&prompt), ["Current: who x"]);
}

#[test]
fn spellings_of_a_text_read_alike() {
    let parts = |parts: &[&str]| {
        let parts = parts.iter();
        let parts = parts.map(|text| format!(r#"{{"type":"text","text":"{text}"}}"#));
        let parts: Vec<String> = parts.collect();
        chat(&format!(
            r#"{{"messages":[{{"role":"user","content":[{}]}}]}}"#,
            parts.join(",")
        ))
    };
    let whole = parts(&["call 4111 now\\n请问 é"]).texts;
    for split in [
        ["call 4111 now\\n", "请问 é"].as_slice(),
        &["call", "4111", "now\\n请问", "é"],
        &["call ", "4111 ", "now", "\\n请问", " é"],
        &["c\\u0061ll \\u0034111 now\\n\\u8bf7\\u95ee \\u00e9"],
    ] {
        assert_eq!(parts(split).texts, whole, "{split:?}");
    }
}

#[test]
fn results_measure_alike_however_they_are_spelt() {
    let result = |raw: &str| {
        let body = format!(r#"{{"messages":[{{"role":"tool","content":{raw}}}],"tools":[{raw}]}}"#);
        chat(&body).tokens
    };
    assert_eq!(result(r#""请问""#), result(r#""\u8bf7\u95ee""#));
    assert_eq!(
        result(r#"[{"type":"text","text":"a"}]"#),
        result("[ {\n \"type\" : \"text\",\n \"text\" : \"\\u0061\" } ]")
    );
}

#[test]
fn attachments_are_never_counted_as_text() {
    let data = "QUFB".repeat(10_000);
    let chat_part = |part: &str| {
        let content = format!(r#"{{"messages":[{{"role":"user","content":[{part}]}}]}}"#);
        chat(&content.replace("DATA", &data)).tokens.floor()
    };
    for part in [
        r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,DATA"}}"#,
        r#"{"type":"input_audio","input_audio":{"data":"DATA","format":"wav"}}"#,
        r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,DATA"}}"#,
        r#"{"type":"text","text":"see ![x](data:image/png;base64,DATA) there"}"#,
        r#"{"type":"strange","deep":{"image":"data:image/png;base64,DATA"}}"#,
    ] {
        let tokens = chat_part(part);
        assert!(tokens < 8_400, "{part}: {tokens}");
    }
    let claude = r#"{"messages":[{"role":"user","content":[
        {"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"DATA"}}]},
        {"type":"document","source":{"type":"base64","media_type":"application/zip","data":"DATA"}}]}]}"#;
    let prompt = anthropic(&claude.replace("DATA", &data.replace("QUFB", "AAAA")));
    assert!(prompt.tokens.floor() < 16_800, "{:?}", prompt.tokens);
    assert_eq!((prompt.attached.images, prompt.attached.documents), (1, 1));
    let responses_body = r#"{"input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"data:image/png;base64,DATA"}]},
        {"type":"computer_call_output","call_id":"d","output":{"type":"computer_screenshot","image_url":"data:image/png;base64,DATA"}},
        {"type":"reasoning","encrypted_content":"DATA"}]}"#;
    let prompt = responses(&responses_body.replace("DATA", &data));
    assert_eq!(prompt.attached.images, 2);
    assert!(
        prompt.tokens.floor() < 2 * 8_192 + 7_700,
        "{:?}",
        prompt.tokens
    );
}

#[test]
fn what_readers_would_disagree_about_is_refused_where_that_matters() {
    let strict = ReadOptions {
        strict: true,
        ..ReadOptions::default()
    };
    let check = |dialect: Dialect, members: &str, expected: &str| {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let refused = Request::parse(dialect, body.clone().into(), &strict).unwrap_err();
        let expected = format!("invalid request body: {expected}");
        assert_eq!(refused.message, expected, "{members}");
        assert!(Request::parse(dialect, body.into(), &ReadOptions::default()).is_ok());
    };
    let chat = Dialect::OpenAiChat;
    check(
        chat,
        r#""messages":[],"Messages":[]"#,
        "field Messages differs from messages by case only",
    );
    check(
        chat,
        r#""messages":[],"MODEL":"x""#,
        "field MODEL differs from model by case only",
    );
    check(
        chat,
        r#""messages":[{"role":"user","content":"a","Content":"b"}]"#,
        "field Content differs from content by case only",
    );
    check(
        chat,
        r#""messages":[{"role":"user","content":"a","content":"b"}]"#,
        "duplicate field: content",
    );
    check(
        chat,
        r#""messages":[{"role":"user","content":[{"type":"text","Text":"b"}]}]"#,
        "field Text differs from text by case only",
    );
    check(
        Dialect::OpenAiResponses,
        r#""input":[{"role":"user","content":"a","ROLE":"system"}]"#,
        "field ROLE differs from role by case only",
    );
    check(
        Dialect::AnthropicMessages,
        r#""system":"a","ſystem":"b","messages":[]"#,
        "field ſystem differs from system by case only",
    );
    // Arguments of tools are anybody's.
    let free = r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{"Content":"a","content":"b"}}]}]}"#;
    assert!(Request::parse(Dialect::AnthropicMessages, free.into(), &strict).is_ok());
}
