//! Requests in the shapes of known clients (`golden/*.json`), and what is read from each
//! (`golden/*.snap`).

use bytes::Bytes;

use crate::{Dialect, Edits, Place, ReadOptions, Request};

/// Reads a client's request, compares it with its snapshot, and gives it back.
fn check(name: &str, dialect: Dialect, body: &'static str) -> Request {
    let request = Request::parse(
        dialect,
        Bytes::from_static(body.as_bytes()),
        &ReadOptions::default(),
    )
    .unwrap();
    insta::with_settings!({snapshot_path => "golden", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_debug_snapshot!(name, request.prompt());
    });
    let texts = &request.prompt().texts;
    assert_eq!(texts.unread, [], "clients' own requests are read");
    let beside = texts.asides.iter().map(|aside| aside.place);
    assert!(beside.into_iter().all(|place| place != Place::Current));
    let mut edits = Edits::new();
    edits.set_model("backend/model-7b");
    let edited = String::from_utf8(edits.apply(&request).to_vec()).unwrap();
    let original = format!("\"{}\"", request.prompt().model);
    assert_eq!(
        edited,
        body.replacen(&original, "\"backend/model-7b\"", 1),
        "only the model's name changes"
    );
    request
}

#[test]
fn claude_code() {
    let request = check(
        "claude_code",
        Dialect::AnthropicMessages,
        include_str!("golden/claude_code.json"),
    );
    assert_eq!(
        request.prompt().texts.current,
        "Why does the parser reject empty lists?"
    );
    assert!(request.prompt().conversation.last_is_tool_result);
}

#[test]
fn codex() {
    let request = check(
        "codex",
        Dialect::OpenAiResponses,
        include_str!("golden/codex.json"),
    );
    assert_eq!(
        request.prompt().texts.current,
        "List the open ports of this host."
    );
    assert_eq!(
        request.text_member("prompt_cache_key").as_deref(),
        Some("0191-session")
    );
}

#[test]
fn opencode() {
    let title = check(
        "opencode_title",
        Dialect::OpenAiChat,
        include_str!("golden/opencode_title.json"),
    );
    assert_eq!(title.prompt().conversation.tool_definitions, 0);
    check(
        "opencode",
        Dialect::OpenAiChat,
        include_str!("golden/opencode.json"),
    );
}

#[test]
fn inferoa() {
    let request = check(
        "inferoa_tool_loop",
        Dialect::OpenAiChat,
        include_str!("golden/inferoa_tool_loop.json"),
    );
    assert_eq!(request.prompt().texts.current, "What is in a.txt?");
    assert!(request.prompt().conversation.last_user_follows_tool);
    let request = check(
        "inferoa_compaction",
        Dialect::OpenAiChat,
        include_str!("golden/inferoa_compaction.json"),
    );
    assert_eq!(request.prompt().texts.current, "What is in a.txt?");
}

#[test]
fn elephant() {
    let request = check(
        "elephant_tool_loop",
        Dialect::OpenAiChat,
        include_str!("golden/elephant_tool_loop.json"),
    );
    assert_eq!(request.prompt().texts.current, "Plan my week");
}
