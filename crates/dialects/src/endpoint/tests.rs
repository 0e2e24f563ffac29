//! Paths in all their spellings, and what they ask for.

use super::Dialect::{AnthropicMessages, OpenAiChat, OpenAiResponses};
use super::Endpoint::{Foreign, Inference, MethodNotAllowed, Model, Models, NotFound};
use super::*;

#[test]
fn paths_on_another_wire() {
    let check = |path: &str, dialect: Dialect, expected: &str| {
        assert_eq!(Paths::usual().on_wire(path, dialect), expected, "{path}");
    };
    let (chat, messages) = (Dialect::OpenAiChat, Dialect::AnthropicMessages);
    check("/v1/messages?beta=true", chat, "/v1/chat/completions");
    check("/v1/chat/completions", messages, "/v1/messages");
    check("/v1/responses", messages, "/v1/messages");
    check(
        "/inference/v1/messages",
        chat,
        "/inference/v1/chat/completions",
    );
    check("/API//v1/./chat/completions", messages, "/api/v1/messages");
    check(
        "/openai/deployments/x/chat/completions?api-version=1",
        messages,
        "/openai/v1/messages",
    );
}

#[track_caller]
fn check(method: &str, path: &str, expected: &Endpoint) {
    assert_eq!(&Endpoint::of(method, path), expected, "{method} {path}");
}

fn stored(dialect: Dialect, id: &str) -> Endpoint {
    let id = Some(id.to_owned()).filter(|id| !id.is_empty());
    Endpoint::Stored(Stored { dialect, id })
}

#[test]
fn other_endpoints_are_known() {
    for (path, service) in [
        ("/v1/completions", Service::Completions),
        ("/V1/Completions/", Service::Completions),
        ("/openai/deployments/x/embeddings", Service::Embeddings),
        ("/v1/embeddings?x=y", Service::Embeddings),
        ("/v1/rerank", Service::Rerank),
        ("/v2/rerank", Service::Rerank),
        ("/v1/moderations", Service::Moderations),
        ("/v1/images/generations", Service::Images),
        ("/v1/images/edits", Service::Images),
        ("/v1/images/variations", Service::Images),
        ("/v1/audio/speech", Service::Speech),
        ("/v1/audio/transcriptions", Service::Transcriptions),
        ("/v1/audio/translations", Service::Transcriptions),
        ("/v1/messages/batches", Service::MessageBatches),
        ("/v1/responses/compact", Service::Compact),
        ("/v1/responses/input_tokens", Service::InputTokens),
    ] {
        check("POST", path, &Endpoint::Service(service));
        check("PUT", path, &MethodNotAllowed);
    }
    check("GET", "/v1/responses/compact", &MethodNotAllowed);
}

#[test]
fn a_deployment_is_read_and_replaced() {
    let paths = Paths::default();
    for (path, named, with) in [
        (
            "/openai/deployments/large/chat/completions?api-version=1",
            Some("large"),
            Some("/openai/deployments/my%20own/chat/completions?api-version=1"),
        ),
        (
            "//OpenAI/Deployments/Large/embeddings",
            Some("Large"),
            Some("//OpenAI/Deployments/my%20own/embeddings"),
        ),
        (
            "/openai/deployments/my%20own/completions",
            Some("my own"),
            Some("/openai/deployments/my%20own/completions"),
        ),
        ("/openai%2Fdeployments/x/completions", Some("x"), None),
        ("/openai/deployments/y/../x/completions", Some("x"), None),
        ("/openai/v1/deployments/x/completions", None, None),
        ("/deployments/x/completions", None, None),
        ("/v1/chat/completions", None, None),
    ] {
        assert_eq!(paths.deployment(path).as_deref(), named, "{path}");
        let changed = paths.with_deployment(path, "my own");
        assert_eq!(changed.as_deref(), with, "{path}");
    }
}

#[test]
fn paths_say_what_is_asked() {
    let cases = [
        ("POST", "/v1/chat/completions", Inference(OpenAiChat)),
        ("POST", "/v1/chat/completions/", Inference(OpenAiChat)),
        ("GET", "/v1/chat/completions", MethodNotAllowed),
        (
            "POST",
            "/v1/messages?beta=true",
            Inference(AnthropicMessages),
        ),
        (
            "POST",
            "/v1/messages/?beta=true",
            Inference(AnthropicMessages),
        ),
        (
            "POST",
            "/v1/messages/count_tokens?beta=true",
            Endpoint::Service(Service::CountTokens),
        ),
        ("GET", "/v1/messages/batches", stored(AnthropicMessages, "")),
        (
            "GET",
            "/v1/messages/batches/b_1/results",
            stored(AnthropicMessages, "b_1"),
        ),
        ("POST", "/v1/responses", Inference(OpenAiResponses)),
        (
            "GET",
            "/v1/responses/resp_1",
            stored(OpenAiResponses, "resp_1"),
        ),
        (
            "DELETE",
            "/v1/responses/Resp%2D1",
            stored(OpenAiResponses, "Resp-1"),
        ),
        (
            "POST",
            "/v1/responses/resp_1/cancel",
            stored(OpenAiResponses, "resp_1"),
        ),
        ("POST", "/v1/batches", stored(OpenAiChat, "")),
        ("GET", "/openai/batches/b_1", stored(OpenAiChat, "b_1")),
        ("PUT", "/v1/responses/resp_1", MethodNotAllowed),
        ("GET", "/v1/models", Models),
        ("GET", "/v1/models?limit=1000", Models),
        ("HEAD", "/v1/models", Models),
        ("POST", "/v1/models", MethodNotAllowed),
        ("DELETE", "/v1/models/x", MethodNotAllowed),
        ("GET", "/v1/router_replay/abc", NotFound),
        ("POST", "/v1/chat/completion", NotFound),
        ("POST", "/v1/threads/t_1/messages", NotFound),
        ("GET", "/v1", NotFound),
        ("GET", "/v1beta/models", Foreign),
        ("GET", "/health", Foreign),
        ("GET", "/", Foreign),
        ("OPTIONS", "*", Foreign),
        ("OPTIONS", "/v1/chat/completions", Foreign),
    ];
    for (method, path, expected) in cases {
        check(method, path, &expected);
    }
    for (path, id) in [
        ("/v1/models/vllm-sr%2Fauto", "vllm-sr/auto"),
        ("/v1/models/vllm-sr/auto", "vllm-sr/auto"),
        ("/V1/Models/Qwen/Qwen3-4B", "Qwen/Qwen3-4B"),
    ] {
        check("GET", path, &Model(id.to_owned()));
    }
}

#[test]
fn every_spelling_of_a_path_is_recognised() {
    for path in [
        "/V1/Chat/COMPLETIONS",
        "/v1//chat///completions//",
        "/v1/chat%2Fcompletions",
        "/v1/chat%2fcompletions?x=1",
        "/%76%31/chat/completions",
        "/v1/chat%252Fcompletions",
        "/v1/./chat/completions/.",
        "/v1/models/../chat/completions",
        "/v1/models/%2e%2e/chat/completions",
        "/v1\\chat\\completions",
        "/v1/chat;a=b/completions;v=1",
        "/v1/chat/completions#x",
    ] {
        check("POST", path, &Inference(OpenAiChat));
    }
}

#[test]
fn known_prefixes_do_not_matter() {
    for (path, dialect) in [
        ("/openai/v1/chat/completions", OpenAiChat),
        ("/OpenAI/v1/responses", OpenAiResponses),
        (
            "/openai/responses?api-version=2025-04-01-preview",
            OpenAiResponses,
        ),
        (
            "/openai/deployments/large/chat/completions?api-version=2024-10-21",
            OpenAiChat,
        ),
        ("/anthropic/v1/messages", AnthropicMessages),
        ("/v1beta/openai/chat/completions", OpenAiChat),
        ("/v1beta/openai/v1/chat/completions", OpenAiChat),
        ("/inference/v1/chat/completions", OpenAiChat),
        ("/api/v1/chat/completions", OpenAiChat),
        ("/api/chat/completions", OpenAiChat),
    ] {
        check("POST", path, &Inference(dialect));
    }
    // Behind a prefix other services may have paths of their own.
    for path in ["/api/v1/users", "/api/messages", "/api/chat", "/inference"] {
        check("POST", path, &Foreign);
    }

    let paths = Paths::new(&["/paas/v4".to_owned(), "/Team-A/llm/".to_owned()]).unwrap();
    for (path, expected) in [
        ("/paas/v4/chat/completions", Inference(OpenAiChat)),
        ("/paas/v4/messages", Inference(AnthropicMessages)),
        ("/team-a/llm/v1/messages", Inference(AnthropicMessages)),
        ("/v1/messages", Inference(AnthropicMessages)),
        ("/openai/v1/messages", Foreign),
    ] {
        assert_eq!(paths.endpoint("POST", path), expected, "{path}");
    }
    for prefix in ["", "/", "openai", "/a*", "/a?b"] {
        assert!(Paths::new(&[prefix.to_owned()]).is_err(), "{prefix}");
    }
}

#[test]
fn a_wrong_base_is_told_what_was_meant() {
    for (path, meant, unknown_prefix) in [
        ("/chat/completions", "/v1/chat/completions", false),
        ("/responses", "/v1/responses", false),
        ("/messages", "/v1/messages", false),
        ("/v1/v1/messages", "/v1/messages", false),
        ("/v1/v1/chat/completions", "/v1/chat/completions", false),
        ("/v1/openai/v1/responses", "/v1/responses", false),
        (
            "/v1/chat/completions/chat/completions",
            "/v1/chat/completions",
            false,
        ),
        ("/v1/messages/v1/messages", "/v1/messages", false),
        ("/v1/responses/responses", "/v1/responses", false),
        ("/team/v1/chat/completions", "/v1/chat/completions", true),
    ] {
        let Endpoint::WrongBase(wrong) = Endpoint::of("POST", path) else {
            panic!("{path}: {:?}", Endpoint::of("POST", path));
        };
        assert_eq!(
            (wrong.meant, wrong.unknown_prefix),
            (meant, unknown_prefix),
            "{path}"
        );
        assert!(wrong.message().contains(meant), "{path}");
        assert_eq!(wrong.message().contains("path_prefixes"), unknown_prefix);
    }
    for (method, path) in [
        ("GET", "/messages"),
        ("POST", "/chat/messages/x"),
        ("POST", "/team/messages"),
        ("POST", "/team/v1/responses"),
    ] {
        check(method, path, &Foreign);
    }
}

#[test]
fn patterns_match_whole_segments() {
    for (pattern, path, expected) in [
        ("/upload", "/upload", true),
        ("/upload", "/UPLOAD/?x=1", true),
        ("/upload", "/upload/x", false),
        ("/upload/*", "/upload/x", true),
        ("/upload/*", "/upload", false),
        ("/upload/**", "/upload", true),
        ("/upload/**", "/upload/x/y", true),
        ("/upload/**", "/upload/../v1/messages", false),
        ("/*/ui", "/a/ui", true),
    ] {
        let pattern = PathPattern::parse(pattern).unwrap();
        assert_eq!(pattern.matches(path), expected, "{pattern:?} {path}");
    }
    for pattern in [
        "", "upload", "/a*", "/**/a", "/a**", "/a/../b", "/a%2f", "/a?b",
    ] {
        assert!(PathPattern::parse(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn patterns_that_cover_what_is_read() {
    for (pattern, covered) in [
        ("/upload/**", None),
        ("/api/v2/**", None),
        ("/v1/files", None),
        ("/**", Some("/v1beta/openai/v1/chat/completions")),
        ("/v1/**", Some("/v1/chat/completions")),
        ("/v1/*/completions", Some("/v1/chat/completions")),
        ("/V1/Responses/*", Some("/v1/responses/*")),
        ("/openai/**", Some("/openai/v1/chat/completions")),
        (
            "/openai/deployments/*/chat/completions",
            Some("/openai/deployments/*/chat/completions"),
        ),
    ] {
        let parsed = PathPattern::parse(pattern).unwrap();
        let found = Paths::default().read_and_covered(&parsed);
        assert_eq!(found.as_deref(), covered, "{pattern}");
    }
}
