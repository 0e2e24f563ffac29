//! What requests of other endpoints say.

use bytes::Bytes;

use crate::attachments::Media;
use crate::endpoint::Service;
use crate::prompt::{Place, Prompt};
use crate::request::{Asked, ReadOptions, Request};

fn asked(service: Service) -> Asked<'static> {
    Asked {
        service: Some(service),
        ..Asked::conversation(service.dialect())
    }
}

fn read(service: Service, body: &str) -> Prompt {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let request = Request::read(&asked(service), body, &ReadOptions::default());
    request.unwrap_or_else(|it| panic!("{it}")).prompt().clone()
}

#[track_caller]
fn check(service: Service, body: &str, current: &str, asides: &str, unread: bool) {
    let texts = read(service, body).texts;
    let beside: Vec<&str> = texts.asides.iter().map(|it| it.text.as_str()).collect();
    let is_unread = texts.unread == [Place::Current];
    assert_eq!(
        (texts.current.as_str(), beside.join("|").as_str(), is_unread),
        (current, asides, unread),
        "{body}"
    );
}

#[test]
fn texts_are_the_users_turn() {
    use Service::{Completions, Embeddings, Images, Moderations, Rerank, Speech};
    for (service, body, current, asides, unread) in [
        (Completions, r#"{"prompt":"a"}"#, "a", "", false),
        (
            Completions,
            r#"{"prompt":["a","b"],"suffix":"c","echo":true,"max_tokens":5}"#,
            "a b c",
            "",
            false,
        ),
        (Completions, r#"{"prompt":[1,2]}"#, "", "", true),
        (Completions, r#"{"prompt":["a",[1]]}"#, "a", "", true),
        (Completions, r#"{"prompt_embeds":"AAAA"}"#, "", "", true),
        (
            Completions,
            r#"{"prompt":"a","zz":"b"}"#,
            "a",
            "zz b",
            false,
        ),
        (Embeddings, r#"{"input":"a"}"#, "a", "", false),
        (Embeddings, r#"{"input":["a","b"]}"#, "a b", "", false),
        (Embeddings, r#"{"input":[[1,2],[3]]}"#, "", "", true),
        (
            Embeddings,
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
            "a",
            "",
            false,
        ),
        (
            Rerank,
            r#"{"query":"a","documents":["b",{"text":"c"}],"top_n":1}"#,
            "a b",
            "c",
            false,
        ),
        (Moderations, r#"{"input":"a"}"#, "a", "", false),
        (
            Moderations,
            r#"{"input":[{"type":"text","text":"a"}]}"#,
            "",
            "a",
            false,
        ),
        (
            Images,
            r#"{"prompt":"a","negative_prompt":"b"}"#,
            "a b",
            "",
            false,
        ),
        (
            Speech,
            r#"{"input":"a","instructions":"b","voice":"alloy","response_format":"mp3"}"#,
            "a b",
            "",
            false,
        ),
        (
            Speech,
            r#"{"input":"a","voice":"as Ann Lee"}"#,
            "a",
            "as Ann Lee",
            false,
        ),
    ] {
        check(service, body, current, asides, unread);
    }
}

#[test]
fn media_are_unreadable() {
    let body = r#"{"input":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}"#;
    let prompt = read(Service::Moderations, body);
    assert_eq!(prompt.texts.unreadable, [(Place::Current, Media::Image)]);
    assert_eq!(prompt.attached.images, 1);
}

#[test]
fn requests_of_the_wires_read_as_on_these() {
    let prompt = read(
        Service::CountTokens,
        r#"{"model":"m","system":"s","messages":[{"role":"user","content":"a"}]}"#,
    );
    assert_eq!(prompt.texts.context, "s a");
    for service in [Service::Compact, Service::InputTokens] {
        let prompt = read(
            service,
            r#"{"model":"m","input":"a","previous_response_id":"r"}"#,
        );
        assert_eq!(prompt.texts.current, "a");
        assert_eq!(prompt.continuity.previous_response.as_deref(), Some("r"));
    }
}

#[test]
fn the_model_is_the_paths_the_bodys_or_unnamed() {
    for (path, body, expected) in [
        (None, r#"{"model":"m","input":"a"}"#, Ok("m")),
        (None, r#"{"input":"a"}"#, Ok("")),
        (None, r#"{"model":null,"input":"a"}"#, Ok("")),
        (Some("x"), r#"{"model":"m","input":"a"}"#, Ok("x")),
        (Some("x"), r#"{"input":"a"}"#, Ok("x")),
        (
            None,
            r#"{"model":5}"#,
            Err("invalid request body: field model must be string, got number"),
        ),
    ] {
        let asked = Asked {
            model: path,
            ..asked(Service::Embeddings)
        };
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = Request::read(&asked, body, &ReadOptions::default());
        let found = request.map(|it| it.prompt().model.clone());
        let found = found.as_deref().map_err(|it| it.message.as_str());
        assert_eq!(found, expected);
    }
}

#[test]
fn texts_of_a_list_are_told_apart() {
    use Service::{Completions, CountTokens, Embeddings, Rerank};
    for (service, body, expected) in [
        (
            Embeddings,
            r#"{"input":["a"," b "," ","c d"]}"#,
            &["a", "b", "c d"][..],
        ),
        (Embeddings, r#"{"input":"a"}"#, &[]),
        (Embeddings, r#"{"texts":["a","b"]}"#, &["texts a", "b"]),
        (Embeddings, r#"{"zz":[]}"#, &[]),
        (
            Completions,
            r#"{"prompt":["a","b"],"suffix":"c"}"#,
            &["a", "b", "c"],
        ),
        (
            Rerank,
            r#"{"query":"a","documents":["b",{"text":"c"}]}"#,
            &["a", "b", "c"],
        ),
        (
            CountTokens,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
            &[],
        ),
    ] {
        assert_eq!(read(service, body).texts.listed(), expected, "{body}");
    }
}
