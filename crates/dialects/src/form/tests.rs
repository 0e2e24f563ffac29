//! Forms: what they say, what is attached, and the same form for another model.

use bytes::Bytes;

use crate::attachments::Media;
use crate::endpoint::Service;
use crate::prompt::Place;
use crate::request::{Asked, ReadOptions, Request};

const KIND: &str = "multipart/form-data; boundary=xx";

fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (head, data) in parts {
        form.extend_from_slice(b"--xx\r\nContent-Disposition: form-data; name=");
        form.extend_from_slice(head.as_bytes());
        form.extend_from_slice(b"\r\n\r\n");
        form.extend_from_slice(data);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--xx--\r\n");
    form
}

const SOUND: &[u8] = &[0xff, 0xfb, 0x90, 0x00];
const FILE: &str = "\"file\"; filename=\"Ann Lee.mp3\"\r\nContent-Type: audio/mpeg";

fn read(service: Service, body: Vec<u8>, strict: bool) -> Result<Request, String> {
    let asked = Asked {
        service: Some(service),
        content_type: KIND,
        ..Asked::conversation(service.dialect())
    };
    let options = ReadOptions {
        strict,
        ..ReadOptions::default()
    };
    Request::read(&asked, Bytes::from(body), &options).map_err(|it| it.message)
}

#[test]
fn words_are_read_and_sounds_are_not() {
    let body = form(&[
        (FILE, SOUND),
        ("\"model\"", b"whisper"),
        ("\"prompt\"", b"a word"),
        ("\"zz\"", b"another"),
    ]);
    let request = read(Service::Transcriptions, body, false).unwrap();
    let prompt = request.prompt();
    assert_eq!(prompt.model, "whisper");
    assert_eq!(prompt.texts.current, "a word");
    let asides: Vec<&str> = prompt
        .texts
        .asides
        .iter()
        .map(|it| it.text.as_str())
        .collect();
    assert_eq!(asides, ["Ann Lee.mp3", "another"]);
    assert_eq!(prompt.texts.unreadable, [(Place::Current, Media::Audio)]);

    // A file that holds text is read, whatever it says it is.
    let body = form(&[(FILE, b"my card is 4111")]);
    let request = read(Service::Transcriptions, body, false).unwrap();
    let asides = &request.prompt().texts.asides;
    assert!(asides.iter().any(|it| it.text == "my card is 4111"));
}

#[test]
fn words_that_cannot_be_read_are_unread() {
    const PROMPT: &str = "\"prompt\"";
    for (head, data, is_read) in [
        (PROMPT, &b"caf\xc3\xa9"[..], true),
        (PROMPT, b"caf\xe9", false),
        ("\"zz\"", b"caf\xe9", false),
        (
            "\"prompt\"\r\nContent-Type: text/plain; charset=UTF-8",
            b"a",
            true,
        ),
        (
            "\"prompt\"\r\nContent-Type: text/plain; charset=utf-7",
            b"a",
            false,
        ),
        (
            "\"prompt\"\r\nContent-Type: text/plain; charset=\"utf-16\"",
            b"a\0",
            false,
        ),
        (
            "\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain",
            b"caf\xe9",
            false,
        ),
        ("\"prompt\"\r\nContent-Type: audio/wav", b"caf\xe9", false),
        (
            "\"file\"; filename=\"a\"\r\nContent-Type: application/octet-stream",
            b"\xe9",
            true,
        ),
    ] {
        let body = form(&[("\"model\"", b"whisper"), (head, data)]);
        let request = read(Service::Transcriptions, body, false).unwrap();
        let unread = &request.prompt().texts.unread;
        assert_eq!(unread.is_empty(), is_read, "{head} {data:?}");
    }

    // A form may name the charset of all its words.
    for (charset, is_read) in [(&b"UTF-8"[..], true), (b"utf-7", false)] {
        let body = form(&[("\"_charset_\"", charset), (PROMPT, b"+AGE-")]);
        let request = read(Service::Transcriptions, body, false).unwrap();
        let unread = &request.prompt().texts.unread;
        assert_eq!(unread.is_empty(), is_read, "{charset:?}");
    }
}

#[test]
fn json_in_a_part_is_read_without_its_escapes() {
    let part = "\"zz\"\r\nContent-Type: application/json";
    let body = form(&[("\"model\"", b"m"), (part, br#"{"a":"\u0070rivate"}"#)]);
    let request = read(Service::Images, body, false).unwrap();
    let asides = &request.prompt().texts.asides;
    assert!(
        asides.iter().any(|it| it.text.contains("private")),
        "{asides:?}"
    );
}

#[test]
fn names_of_files_outside_ascii_are_kept() {
    let file = "\"file\"; filename*=utf-8''%C3%A4.wav\r\nContent-Type: audio/wav";
    let body = form(&[("\"model\"", b"auto"), (file, SOUND)]);
    let request = read(Service::Transcriptions, body, false).unwrap();
    let renamed = request.renamed("whisper").unwrap();
    let text = String::from_utf8_lossy(&renamed);
    assert!(text.contains("name=\"file\"; filename=\"ä.wav\""), "{text}");
}

#[test]
fn another_model_changes_one_part() {
    let body = form(&[(FILE, SOUND), ("\"model\"", b"auto")]);
    let request = read(Service::Transcriptions, body.clone(), false).unwrap();
    assert_eq!(request.renamed("auto"), None);
    let renamed = request.renamed("whisper-1").unwrap();
    let again = read(Service::Transcriptions, renamed.to_vec(), false).unwrap();
    assert_eq!(again.prompt().model, "whisper-1");
    assert_eq!(
        again.prompt().texts.unreadable,
        request.prompt().texts.unreadable
    );

    // Where a boundary might be evaded, the backend gets what was read and nothing else.
    let odd = [b"hidden before\r\n".as_slice(), &body].concat();
    let request = read(Service::Transcriptions, odd, true).unwrap();
    let sent = request.renamed("auto").unwrap();
    assert!(!sent.starts_with(b"hidden"));
    assert!(sent.ends_with(b"--xx--\r\n"));
}

#[test]
fn what_is_no_form_is_refused() {
    let twice = form(&[("\"model\"", b"a"), ("\"model\"", b"b")]);
    for (service, body, expected) in [
        (Service::Images, twice, "duplicate field: model"),
        (Service::Images, b"--xx\r\n".to_vec(), "invalid form"),
        (Service::Embeddings, form(&[]), "this endpoint takes JSON"),
    ] {
        let refused = read(service, body, false).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
}
