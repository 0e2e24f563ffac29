//! Gathers the text of values that are no turn's plain words: documents, arguments and results of
//! calls, parts of unknown types.
//!
//! Every string and number counts as text, except what providers sealed, media, and the members
//! that hold a protocol together (types, ids, states).

use std::borrow::Cow;

use crate::json::{self, Kind};
use crate::turns::Said;

/// Below this depth all strings are taken as they come: walking by members reads a value once per
/// level.
const WALKED: usize = 8;

/// Members of a typed object that are no text.
const PROTOCOL: &[&str] = &[
    "type",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "approval_request_id",
    "container_id",
    "status",
    "role",
    "phase",
    "format",
    "media_type",
    "mime_type",
    "filename",
    "signature",
    "encrypted_content",
    "encrypted_index",
    "exit_code",
    "return_code",
    "cache_control",
];

/// What a value holds.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Its texts, joined by one space.
    pub(crate) text: String,
    /// A file whose text cannot be read here, or a reference to one.
    pub(crate) has_file: bool,
}

impl Gathered {
    /// Wraps a text that was found already.
    pub(crate) fn of(text: Cow<'_, str>) -> Self {
        Self {
            text: text.into_owned(),
            has_file: false,
        }
    }
}

/// Gathers the text of a content part, an item, or a result.
pub(crate) fn text(raw: &str) -> Gathered {
    let mut walk = Walk::default();
    walk.value(raw, 0);
    walk.finish()
}

/// Gathers the text of a call's arguments: JSON of any shape, or such JSON as a string. Names of
/// members count too.
pub(crate) fn arguments(raw: &str) -> Gathered {
    let mut walk = Walk::default();
    match json::string(raw) {
        Some(text) if json::is_valid(&text) => walk.words(&text),
        Some(text) => walk.said.add(text),
        None => walk.words(raw),
    }
    walk.finish()
}

#[derive(Default)]
struct Walk {
    said: Said,
    has_file: bool,
}

impl Walk {
    fn finish(self) -> Gathered {
        Gathered {
            text: self.said.text,
            has_file: self.has_file,
        }
    }

    fn value(&mut self, raw: &str, depth: usize) {
        match Kind::of(raw) {
            Kind::String => self.string(json::string(raw).unwrap_or_default()),
            Kind::Number => self.said.add(raw.into()),
            Kind::Array if depth < WALKED => {
                json::elements(raw, |element| self.value(element, depth + 1));
            }
            Kind::Object if depth < WALKED => self.object(raw, depth),
            Kind::Array | Kind::Object => self.words(raw),
            Kind::Null | Kind::Boolean => {}
        }
    }

    /// Takes a string. A data URI of an image or a sound is no text, one of anything else is a
    /// file.
    fn string(&mut self, text: Cow<'_, str>) {
        match data_uri(&text) {
            None => self.said.add(text),
            Some(kind) => self.has_file |= !is_media(kind),
        }
    }

    fn object(&mut self, raw: &str, depth: usize) {
        let mut members = Vec::new();
        json::members(raw, |key, value| members.push((key, value)));
        let text_of = |name: &str| {
            let found = members.iter().find(|(key, _)| key == name);
            found.and_then(|(_, value)| json::string(value))
        };
        let kind = text_of("type");
        let is_signed = text_of("signature").is_some_and(|seal| !seal.is_empty());
        let opaque = Opaque::of(kind.as_deref().unwrap_or_default(), is_signed);
        for (key, value) in &members {
            if opaque.members.contains(&key.as_ref()) {
                self.has_file |= opaque.is_file;
                continue;
            }
            if kind.is_some() && PROTOCOL.contains(&key.as_ref()) {
                continue;
            }
            // A plain name is the protocol's or the tool's; other keys are somebody's words.
            if !key
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            {
                self.said.add(key.as_ref().into());
            }
            self.value(value, depth + 1);
        }
    }

    /// Takes all strings and numbers, each member after its name.
    fn words(&mut self, raw: &str) {
        let mut text = String::new();
        json::each_word(raw, |word, is_name| match data_uri(word) {
            Some(kind) if !is_name => self.has_file |= !is_media(kind),
            _ => {
                text.push_str(word);
                text.push_str(if is_name { ": " } else { "\n" });
            }
        });
        text.truncate(text.trim_end().len());
        self.said.add(text.into());
    }
}

/// The members of a typed object that no text can be read from.
struct Opaque {
    members: &'static [&'static str],
    /// They are a file with a text of its own, unlike images, sounds and what is sealed.
    is_file: bool,
}

impl Opaque {
    fn of(kind: &str, is_signed: bool) -> Self {
        let (members, is_file): (&[&str], bool) = match kind {
            "image"
            | "image_url"
            | "input_image"
            | "input_audio"
            | "audio"
            | "audio_url"
            | "video"
            | "video_url"
            | "input_video"
            | "screenshot"
            | "computer_screenshot" => (
                &[
                    "image",
                    "image_url",
                    "input_audio",
                    "audio",
                    "audio_url",
                    "video",
                    "video_url",
                    "source",
                    "url",
                    "data",
                    "file_id",
                    "detail",
                ],
                false,
            ),
            "image_generation_call" => (&["result"], false),
            "redacted_thinking" | "reasoning.encrypted" => (&["data"], false),
            "thinking" if is_signed => (&["thinking"], false),
            "file" | "input_file" | "container_upload" => {
                (&["file", "file_id", "file_data", "file_url"], true)
            }
            "base64" => (&["data"], true),
            "url" => (&["url"], true),
            _ => (&[], false),
        };
        Self { members, is_file }
    }
}

/// Returns the media type of a data URI in base64.
///
/// The data must be base64, in any of its alphabets and however it is wrapped: words behind the
/// beginning of a data URI are words.
fn data_uri(text: &str) -> Option<&str> {
    let (head, data) = text.strip_prefix("data:")?.split_once(',')?;
    let is_base64 = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'+' | b'/' | b'-' | b'_' | b'=' | b'%' | b'\r' | b'\n'
            )
    };
    head.strip_suffix(";base64")
        .filter(|_| data.bytes().all(is_base64))
}

fn is_media(kind: &str) -> bool {
    ["image/", "audio/", "video/"]
        .iter()
        .any(|family| kind.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(gathered: Gathered, text: &str, has_file: bool) {
        assert_eq!(
            (gathered.text.as_str(), gathered.has_file),
            (text, has_file)
        );
    }

    #[test]
    fn texts_are_gathered_and_protocol_is_not() {
        let cases = [
            (r#""plain""#, "plain", false),
            (
                r#"{"type":"note","id":"n_1","words":"two","list":["x",4,null,true]}"#,
                "two x 4",
                false,
            ),
            (r#"{"id":"untyped","name":"Ann"}"#, "untyped Ann", false),
            (r#"{"type":"note","Ann Lee":1}"#, "Ann Lee 1", false),
            (
                r#"[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}},{"text":"b"}]"#,
                "a b",
                false,
            ),
            (
                r#"{"type":"image","source":{"type":"base64","data":"AA"}}"#,
                "",
                false,
            ),
            (
                r#"{"type":"image_url","image_url":{"url":"https://x/y.png"},"alt":"cat"}"#,
                "cat",
                false,
            ),
            (r#"["data:image/png;base64,AA"]"#, "", false),
            (r#"["data:application/pdf;base64,AA"]"#, "", true),
            (r#"["data:image/png;base64,AA\nB_-=%3D"]"#, "", false),
            (
                r#"["data:image/png;base64,AA my card"]"#,
                "data:image/png;base64,AA my card",
                false,
            ),
            (
                r#"["data:image/png;base64,Ann é"]"#,
                "data:image/png;base64,Ann é",
                false,
            ),
            (
                r#"{"type":"document","title":"t","source":{"type":"text","media_type":"text/plain","data":"words"}}"#,
                "t words",
                false,
            ),
            (
                r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"}}"#,
                "",
                true,
            ),
            (
                r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#,
                "",
                true,
            ),
            (
                r#"{"type":"input_file","filename":"a.pdf","file_data":"AA"}"#,
                "",
                true,
            ),
            (r#"{"type":"file","file":{"file_id":"f"}}"#, "", true),
            (
                r#"{"type":"file_citation","file_id":"f","quote":"q"}"#,
                "f q",
                false,
            ),
            (
                r#"{"type":"thinking","thinking":"a","signature":"s"}"#,
                "",
                false,
            ),
            (r#"{"type":"thinking","thinking":"a"}"#, "a", false),
            (r#"{"type":"redacted_thinking","data":"x"}"#, "", false),
            (
                r#"{"type":"reasoning","encrypted_content":"x","summary":[{"type":"summary_text","text":"s"}]}"#,
                "s",
                false,
            ),
            (
                r#"[[[[[[[[[[{"deep":"down"}]]]]]]]]]]"#,
                "deep: down",
                false,
            ),
        ];
        for (raw, expected, has_file) in cases {
            check(text(raw), expected, has_file);
        }
    }

    #[test]
    fn arguments_are_json_of_any_shape() {
        let cases = [
            (
                r#""{\"to\":\"Ann \\u00e9\",\"n\":[1,-2.5e3]}""#,
                "to: Ann é\nn: 1\n-2.5e3",
            ),
            (r#"{"type":"x","id":7,"on":true}"#, "type: x\nid: 7\non:"),
            (r#""*** Begin Patch""#, "*** Begin Patch"),
            (r#""{\"cut\": \"off""#, r#"{"cut": "off"#),
            (r#""{}""#, ""),
            (r#"{"shot":"data:image/png;base64,AA"}"#, "shot:"),
        ];
        for (raw, expected) in cases {
            check(arguments(raw), expected, false);
        }
    }
}
