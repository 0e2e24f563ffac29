//! The eval envelope: its own rules of text, decoding and measure.

use super::*;
use crate::Conversation;
use crate::request::tests::{TOOL_ROUND, worked_examples};

fn eval(body: &str) -> EvalRequest {
    EvalRequest::parse(body.as_bytes(), false, &ReadOptions::default()).unwrap()
}

fn error(body: &str) -> String {
    EvalRequest::parse(body.as_bytes(), false, &ReadOptions::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn the_worked_examples_measure_as_on_the_wire() {
    for (body, _, on_wire) in worked_examples() {
        assert_eq!(eval(body).prompt.tokens.floor(), on_wire, "{body}");
    }
    assert_eq!(eval(r#"{"text":"Hello world"}"#).prompt.tokens.floor(), 8);
    let spaced = eval(r#"{"messages":[{"role":"user","content":"x"}],"tools":[ { "a" : 1 } ]}"#);
    assert_eq!(
        spaced.prompt.tokens.structured_bytes, 7,
        "schemas are compacted"
    );
}

#[test]
fn text_alone_is_one_user_message() {
    let request = eval(r#"{"text":"  hi ","model":" auto ","tools":[{}]}"#);
    let texts = &request.prompt.texts;
    assert_eq!(request.original_text, "hi");
    assert_eq!(
        (
            texts.evaluation.as_str(),
            texts.context.as_str(),
            texts.current.as_str()
        ),
        ("hi", "hi", "  hi ")
    );
    assert_eq!(request.requested_model, "auto");
    let expected = Conversation {
        user: 1,
        tool_definitions: 1,
        ..Default::default()
    };
    assert_eq!(request.prompt.conversation, expected);
    assert_eq!(
        eval(r#"{"text":"  "}"#).original_text,
        "",
        "blank is accepted"
    );
    let metadata_only = eval(r#"{"metadata":{"a":"b"}}"#);
    assert_eq!(
        (
            metadata_only.prompt.conversation.user,
            metadata_only.prompt.tokens.floor()
        ),
        (1, 5)
    );
}

#[test]
fn messages_come_before_text() {
    let both = eval(r#"{"text":"ignored","messages":[{"role":" USER ","content":" hello "}]}"#);
    assert_eq!(both.original_text, "hello");
    assert_eq!(both.prompt.texts.current, " hello ");
    assert_eq!(both.prompt.conversation.user, 1);

    let blank_turn = eval(
        r#"{"messages":[{"role":"user","content":"earlier"},{"role":"user","content":"  "}]}"#,
    );
    assert_eq!(
        (
            blank_turn.original_text.as_str(),
            blank_turn.prompt.texts.current.as_str()
        ),
        ("earlier", "  ")
    );

    let no_words = eval(r#"{"text":" t ","messages":[{"role":"tool","content":"result"}]}"#);
    assert_eq!(no_words.original_text, "t");
    assert_eq!(
        (
            no_words.prompt.texts.context.as_str(),
            no_words.prompt.texts.current.as_str()
        ),
        ("t", " t ")
    );
    assert_eq!(
        (
            no_words.prompt.conversation.user,
            no_words.prompt.conversation.tool
        ),
        (0, 1)
    );
    // The tool message, then the text as one more user message: 4+4+3 and 8 bytes for the result.
    assert_eq!(no_words.prompt.tokens.framing, 4 + 8 + 4);
    assert_eq!(no_words.prompt.tokens.text_bytes, 4 + 4 + 3);

    let unusable = eval(r#"{"text":"t","messages":[{"role":"function","content":"x"}]}"#);
    assert_eq!(
        (
            unusable.original_text.as_str(),
            unusable.prompt.conversation.user
        ),
        ("t", 1)
    );
    assert_eq!(
        error(r#"{"messages":[{"role":"function","content":"x"}]}"#),
        "text cannot be empty"
    );
    assert_eq!(
        error(r#"{"messages":[],"tools":[{}]}"#),
        "text cannot be empty"
    );
}

#[test]
fn parts_and_images_in_eval() {
    let parts = eval(
        r#"{"messages":[{"role":"user","content":[{"type":"INPUT_TEXT","text":" a"},{"text":"b "},{"type":"output_text","text":"no"}]}]}"#,
    );
    assert_eq!(parts.original_text, "a b no");
    assert_eq!(parts.prompt.texts.current, "a b no");
    let lone = eval(r#"{"messages":[{"role":"user","content":{"type":"text","text":"lone"}}]}"#);
    assert_eq!(lone.original_text, "lone");
    let broken = eval(
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":1}]}]}"#,
    );
    assert_eq!(broken.original_text, "a 1", "as on the wire");

    let image = r#"{"role":"user","content":[{"type":"image_url","image_url":"DATA:Image/PNG;base64,Aa"}]}"#;
    let shown = eval(&format!(
        r#"{{"messages":[{{"role":"system","content":"s"}},{image}]}}"#
    ));
    assert_eq!(
        shown.prompt.image.as_deref(),
        Some("data:image/png;base64,Aa")
    );
    assert_eq!(
        shown.original_text, "",
        "an image keeps other roles from standing in for the turn"
    );
    assert_eq!(shown.prompt.texts.context, "s");
    let later = eval(&format!(
        r#"{{"messages":[{image},{{"role":"user","content":"now text"}}]}}"#
    ));
    assert_eq!(later.prompt.image, None);
    assert_eq!(later.prompt.conversation.images, 1);
}

#[test]
fn keys_match_whatever_their_case_and_the_last_wins() {
    let request = eval(
        r#"{"TEXT":"a","Text":"b","text":null,"unknown":[1],"Options":{"Trace":true},"metadata":{"k":null}}"#,
    );
    assert_eq!(request.original_text, "b");
    assert!(request.trace);
    assert_eq!(
        request.prompt.metadata.get("k").map(String::as_str),
        Some("")
    );
    assert!(
        !eval(r#"{"text":"a","trace":true}"#).trace,
        "only options.trace counts"
    );
    assert!(
        EvalRequest::parse(br#"{"text":"a"}"#, true, &ReadOptions::default())
            .unwrap()
            .trace
    );
    assert_eq!(
        eval(r#"{"messages":[{"ROLE":"user","Content":"x"}]}"#).original_text,
        "x"
    );
    assert_eq!(
        eval(r#"{"meſſages":[{"role":"user","content":"x"}]}"#).original_text,
        "x"
    );
}

#[test]
fn what_the_decoder_refuses() {
    let many: Vec<String> = (0..33).map(|n| format!("\"k{n}\":\"\"")).collect();
    let cases = [
        (
            r#"{"text":1}"#,
            "failed to parse JSON: field text must be string, got number",
        ),
        (
            r#"{"messages":{}}"#,
            "failed to parse JSON: field messages must be array, got object",
        ),
        (
            r#"{"messages":["x"]}"#,
            "failed to parse JSON: field messages must be object, got string",
        ),
        (
            r#"{"messages":[{"role":1}]}"#,
            "failed to parse JSON: field messages.role must be string, got number",
        ),
        (
            r#"{"messages":[{"tool_calls":{}}]}"#,
            "failed to parse JSON: field messages.tool_calls must be array, got object",
        ),
        (
            r#"{"metadata":{"a":1}}"#,
            "failed to parse JSON: field metadata must be object of strings, got number",
        ),
        (
            r#"{"text":"x","options":{"trace":"yes"}}"#,
            "failed to parse JSON: field options.trace must be boolean, got string",
        ),
        (
            &format!("{{\"metadata\":{{{}}}}}", many.join(",")),
            "invalid request facts: metadata must not have more than 32 entries",
        ),
        ("{}", "text cannot be empty"),
        (r#"{"text":""}"#, "text cannot be empty"),
    ];
    for (body, expected) in cases {
        assert_eq!(error(body), expected, "{body}");
    }
    assert!(error("{").starts_with("failed to parse JSON: "));
    assert!(error("[]").starts_with("failed to parse JSON: "));
}

#[test]
fn conversation_and_wrappers_as_on_the_wire() {
    let round = eval(TOOL_ROUND).prompt.conversation;
    assert!(round.last_is_tool_result);
    assert_eq!(
        (round.tool_calls, round.tool, round.tool_definitions),
        (1, 1, 1)
    );
    let wrapped = eval(
        r#"{"messages":[{"role":"user","content":"real"},{"role":"user","content":"<system-reminder>x</system-reminder>"}]}"#,
    );
    assert_eq!(
        (
            wrapped.original_text.as_str(),
            wrapped.prompt.texts.current.as_str()
        ),
        ("real", "real")
    );
    assert_eq!(wrapped.prompt.conversation.user, 2);
}
