//! Batches: what each request says, and their one model.

use bytes::Bytes;

use crate::endpoint::Service;
use crate::request::{Asked, ReadOptions, Request};

fn read(body: &str) -> Result<Request, String> {
    let service = Service::MessageBatches;
    let asked = Asked {
        service: Some(service),
        ..Asked::conversation(service.dialect())
    };
    let body = Bytes::copy_from_slice(body.as_bytes());
    Request::read(&asked, body, &ReadOptions::default()).map_err(|it| it.message)
}

fn entry(model: &str, text: &str) -> String {
    format!(
        r#"{{"custom_id":"c","params":{{"max_tokens":1, "model" : "{model}","messages":[{{"role":"user","content":"{text}"}}]}}}}"#
    )
}

#[test]
fn every_request_is_read_and_renamed() {
    let body = format!(
        r#"{{"requests":[{}, {}]}}"#,
        entry("auto", "a"),
        entry("auto", "b")
    );
    let batch = read(&body).unwrap();
    let says: Vec<&str> = std::iter::once(batch.prompt())
        .chain(batch.more())
        .map(|prompt| prompt.texts.current.as_str())
        .collect();
    assert_eq!(says, ["a", "b"]);
    assert_eq!(batch.prompt().model, "auto");
    assert_eq!(batch.renamed("auto"), None);
    let renamed = body.replace(r#""auto""#, r#""qwen""#);
    assert_eq!(batch.renamed("qwen").unwrap(), renamed);
}

#[test]
fn what_is_no_batch_for_one_backend_is_refused() {
    let two = format!("{},{}", entry("a", "x"), entry("b", "y"));
    for (requests, expected) in [
        ("5", "requests field is required and must be an array"),
        ("[]", "requests field must not be empty"),
        ("[5]", "requests: params field is required"),
        (r#"[{"params":{}}]"#, "model field is required"),
        (&format!("[{two}]"), "its requests name several models"),
    ] {
        let refused = read(&format!(r#"{{"requests":{requests}}}"#)).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
}
