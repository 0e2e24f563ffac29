//! Gathers the text of values that are no turn's plain words: documents, arguments and results of
//! calls, parts of unknown types.
//!
//! Every string and number counts as text, names of members included, except attachments, what
//! providers sealed, and what a protocol itself says there: its own names, its enumerated values,
//! types and identifiers.

mod protocol;
mod uri;

use std::borrow::Cow;

use crate::attachments::{self, Attachment, Media, Payload, Size};
use crate::json::{self, Kind};
use crate::kinds::folded;
use crate::turns::Said;
use crate::vocabulary::{is_identifier, is_member};
use protocol::{
    ENUMERATED, LONGEST_COUNT, NAMES, SEALED, attaches, is_low_detail, is_protocol, is_seal,
    media_of,
};
use uri::{SHORTEST, data_uri};

pub(crate) use uri::without_data_uris;

/// Below this depth all strings are taken as they come: walking by members reads a value once per
/// level.
const WALKED: usize = 8;

/// What a value holds.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Its texts, joined by one space.
    pub(crate) text: String,
    /// What is attached, and not read as text.
    pub(crate) attachments: Vec<Attachment>,
    /// A text that cannot be decoded.
    pub(crate) unread: bool,
    /// Something that a provider sealed.
    pub(crate) sealed: bool,
    /// Identifiers and types.
    pub(crate) names: Vec<String>,
    /// Bytes of attachments and seals as they stand in the value.
    pub(crate) opaque: usize,
    /// Tokens of what is opaque and no attachment: seals, and text in base64.
    pub(crate) opaque_tokens: u64,
}

impl Gathered {
    /// Wraps a text that was found already. Data URIs within it are attachments.
    pub(crate) fn of(text: Cow<'_, str>) -> Self {
        let mut walk = Walk::default();
        walk.string(text, None);
        walk.finish()
    }

    /// Wraps a text in which nothing is attached.
    pub(crate) fn plain(text: Cow<'_, str>) -> Self {
        Self {
            text: text.into_owned(),
            ..Self::default()
        }
    }

    /// Whether there is nothing to keep.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
            && self.attachments.is_empty()
            && self.names.is_empty()
            && !self.unread
            && !self.sealed
    }

    /// Adds what another value holds.
    pub(crate) fn join(&mut self, other: Self) {
        let mut said = Said::of(std::mem::take(&mut self.text));
        said.add(other.text.into());
        self.text = said.text;
        self.attachments.extend(other.attachments);
        self.unread |= other.unread;
        self.sealed |= other.sealed;
        self.names.extend(other.names);
        self.opaque += other.opaque;
        self.opaque_tokens += other.opaque_tokens;
    }
}

/// Gathers the text of a content part, an item, or a result.
pub(crate) fn text(raw: &str) -> Gathered {
    let mut walk = Walk::default();
    walk.value(raw, 0, None);
    walk.finish()
}

/// Gathers a name or an identifier; what is neither is text.
pub(crate) fn name(raw: &str) -> Gathered {
    let mut walk = Walk::default();
    match json::string(raw) {
        Some(name) if is_identifier(&name) => walk.found.names.push(name.into_owned()),
        _ => walk.value(raw, 0, None),
    }
    walk.finish()
}

/// Gathers what a tool gave: a text, or parts.
pub(crate) fn result(raw: &str) -> Gathered {
    match json::string(raw) {
        Some(text) => Gathered::of(text),
        None => text(raw),
    }
}

/// Gathers the text of members of an object that has a type or a role.
pub(crate) fn members(members: &[(Cow<'_, str>, &str)]) -> Gathered {
    let mut walk = Walk::default();
    for (key, value) in members {
        walk.member(key, value, 0, None);
    }
    walk.finish()
}

/// Gathers the text of a call's arguments: JSON of any shape, or such JSON as a string. Names of
/// members count too.
pub(crate) fn arguments(raw: &str) -> Gathered {
    let mut walk = Walk::default();
    match json::string(raw) {
        Some(text) if json::is_valid(&text) => walk.words(&text),
        Some(text) => walk.string(text, None),
        None => walk.words(raw),
    }
    walk.finish()
}

/// What the object is that is being walked, as far as its attachments depend on it.
#[derive(Debug, Clone, Copy)]
struct Frame {
    media: Media,
}

#[derive(Default)]
struct Walk {
    said: Said,
    found: Gathered,
}

impl Walk {
    fn finish(self) -> Gathered {
        Gathered {
            text: self.said.text,
            ..self.found
        }
    }

    fn value(&mut self, raw: &str, depth: usize, frame: Option<Frame>) {
        match Kind::of(raw) {
            Kind::String => self.string(json::string(raw).unwrap_or_default(), frame),
            Kind::Number => self.said.add(raw.into()),
            Kind::Array if depth < WALKED => {
                json::elements(raw, |element| self.value(element, depth + 1, frame));
            }
            Kind::Object if depth < WALKED => self.object(raw, depth, frame),
            Kind::Array | Kind::Object => self.words(raw),
            Kind::Null | Kind::Boolean => {}
        }
    }

    /// Takes a string. A data URI is an attachment, and so is base64 that begins like one.
    fn string(&mut self, text: Cow<'_, str>, frame: Option<Frame>) {
        if let Some((media_type, data)) = data_uri(&text)
            && self.payload(media_type, data, frame)
        {
            self.found.opaque += data.len();
            return;
        }
        if text.len() >= SHORTEST && self.bare(&text) {
            self.found.opaque += text.len();
            return;
        }
        match without_data_uris(&text) {
            Some((rest, attachments)) => {
                self.found.opaque += text.len() - rest.len();
                self.found.attachments.extend(attachments);
                self.said.add(rest.into());
            }
            None => self.said.add(text),
        }
    }

    /// Takes base64 of a media type; says whether it was that.
    fn payload(&mut self, media_type: &str, data: &str, frame: Option<Frame>) -> bool {
        match attachments::read(media_type, data) {
            None => return false,
            Some(Payload::Text(text)) => {
                self.found.opaque_tokens += text.len() as u64 / 4;
                self.said.add(text.into());
            }
            Some(Payload::Unreadable) => self.found.unread = true,
            Some(Payload::Attachment(mut attachment)) => {
                // What cannot be told by its bytes is what the object says that it is.
                if let (Media::Document, Some(frame)) = (attachment.media, frame) {
                    attachment.media = frame.media;
                }
                self.found.attachments.push(attachment);
            }
        }
        true
    }

    /// Takes base64 without a media type, if its first bytes are those of an attachment.
    fn bare(&mut self, text: &str) -> bool {
        match attachments::recognize(text) {
            Some(attachment) => {
                self.found.attachments.push(attachment);
                true
            }
            None => false,
        }
    }

    fn object(&mut self, raw: &str, depth: usize, outer: Option<Frame>) {
        let mut members = Vec::new();
        json::members(raw, |key, value| members.push((key, value)));
        let text_of = |names: &[&str]| {
            let mut found = members
                .iter()
                .filter(|(key, _)| names.contains(&key.as_ref()));
            found.find_map(|(_, value)| json::string(value))
        };
        let kind = text_of(&["type"]);
        let kind = kind.as_deref().map(folded).unwrap_or_default();
        let media_type = text_of(&["media_type", "mime_type", "mimeType", "format"]);
        let media_type = media_type.unwrap_or_default();
        let is_signed = text_of(&["signature"]).is_some_and(|seal| is_seal(&seal));
        let own = media_of(&kind).map(|media| Frame { media });
        // A picture's file is a picture.
        let frame = if kind == "file" {
            outer.or(own)
        } else {
            own.or(outer)
        };
        let is_reference = matches!(kind.as_ref(), "file" | "url") && frame.is_some();
        let (before, opaque) = (self.found.attachments.len(), self.found.opaque);

        for (key, value) in &members {
            if self.sealed(&kind, key, value, is_signed)
                || self.attached(&kind, key, value, &media_type, frame)
            {
                continue;
            }
            if kind.is_empty() && frame.is_none() {
                self.named(key);
                self.value(value, depth + 1, frame);
            } else {
                self.member(key, value, depth, frame);
            }
        }

        if let Some(frame) = frame.filter(|_| is_reference || attaches(&kind)) {
            if self.found.attachments.len() == before && self.found.opaque == opaque {
                let attachment = Attachment::unknown(frame.media);
                self.found.attachments.push(attachment);
            }
            let is_low = |(key, value): &(Cow<'_, str>, &str)| is_low_detail(key, value);
            if frame.media == Media::Image && members.iter().any(is_low) {
                let shown = self.found.attachments.get_mut(before..);
                let shown = shown.into_iter().flatten();
                shown.for_each(|attachment| attachment.size = Size::LowDetail);
            }
        }
    }

    /// Takes a member that a provider sealed; says whether it is one.
    fn sealed(&mut self, kind: &str, key: &str, value: &str, is_signed: bool) -> bool {
        let Some(text) = json::string(value) else {
            return false;
        };
        let is_thought = kind == "thinking" && key == "thinking" && is_signed;
        let is_seal = match key {
            "encrypted_content" | "encrypted_index" | "encrypted_stdout" | "signature" => {
                is_seal(&text)
            }
            "data" => SEALED.contains(&kind) && is_seal(&text),
            _ => false,
        };
        if !is_thought && !is_seal {
            return false;
        }
        self.found.sealed = true;
        self.found.opaque += text.len();
        self.found.opaque_tokens += match key {
            // They prove something and say nothing.
            "signature" | "encrypted_index" => 0,
            "thinking" => text.len() as u64 / 4,
            _ => text.len() as u64 * 3 / 16,
        };
        true
    }

    /// Takes a member that holds base64 by its name; says whether it is one.
    fn attached(
        &mut self,
        kind: &str,
        key: &str,
        value: &str,
        media_type: &str,
        frame: Option<Frame>,
    ) -> bool {
        let holds = match key {
            "data" => {
                let is_typed = media_type.contains('/') && !attachments::is_textual(media_type);
                frame.is_some() || kind == "base64" || is_typed
            }
            "file_data" | "b64_json" | "blob" => true,
            "result" => kind == "image_generation_call",
            _ => false,
        };
        let Some(text) = holds.then(|| json::string(value)).flatten() else {
            return false;
        };
        if kind == "text" || text.starts_with("data:") {
            return false;
        }
        let media_type = match frame {
            Some(Frame { media }) if !media_type.contains('/') => media.family(),
            _ => media_type,
        };
        let is_payload = self.payload(media_type, &text, frame);
        self.found.opaque += if is_payload { text.len() } else { 0 };
        is_payload
    }

    /// Takes a member of an object with a type: what the protocol says in it is no text.
    fn member(&mut self, key: &str, value: &str, depth: usize, frame: Option<Frame>) {
        self.named(key);
        let is_id = key == "id" || key.ends_with("_id") || NAMES.contains(&key);
        let is_enumerated = ENUMERATED.contains(&key);
        match Kind::of(value) {
            Kind::String if is_id || is_enumerated => {
                let text = json::string(value).unwrap_or_default();
                if is_id && is_identifier(&text) {
                    self.found.names.push(text.into_owned());
                } else if is_id || !is_protocol(key, &text) {
                    self.said.add(text);
                }
            }
            Kind::Number if is_member(key) && value.len() <= LONGEST_COUNT => {}
            // They mark a place of a prompt, and say nothing.
            Kind::Object if key == "cache_control" || key == "prompt_cache_breakpoint" => {
                json::members(value, |key, value| {
                    self.member(&key, value, depth + 1, None)
                });
            }
            _ => self.value(value, depth + 1, frame),
        }
    }

    /// Takes the name of a member unless it belongs to a protocol.
    fn named(&mut self, key: &str) {
        if !is_member(key) {
            self.said.add(key.into());
        }
    }

    /// Takes all strings and numbers, each member after its name.
    fn words(&mut self, raw: &str) {
        let mut text = String::new();
        json::each_word(raw, |word, is_name| {
            if !is_name && self.is_attachment(word) {
                self.found.opaque += word.len();
                return;
            }
            text.push_str(word);
            text.push_str(if is_name { ": " } else { "\n" });
        });
        text.truncate(text.trim_end().len());
        self.said.add(text.into());
    }

    /// Takes a word that is a data URI, or base64 of an attachment; says whether it is.
    fn is_attachment(&mut self, word: &str) -> bool {
        match data_uri(word) {
            Some((media_type, data)) => self.payload(media_type, data, None),
            None => word.len() >= SHORTEST && self.bare(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(gathered: Gathered, text: &str, attached: &[Media]) {
        let media = gathered.attachments.iter().map(|it| it.media);
        assert_eq!(
            (gathered.text.as_str(), media.collect::<Vec<_>>().as_slice()),
            (text, attached)
        );
    }

    #[test]
    fn texts_are_gathered_and_protocol_is_not() {
        use Media::{Document, Image};
        let cases: &[(&str, &str, &[Media])] = &[
            (r#""plain""#, "plain", &[]),
            (
                r#"{"type":"note","id":"n_1","words":"two","list":["x",4,null,true]}"#,
                "words two list x 4",
                &[],
            ),
            (r#"{"id":"untyped","name":"Ann"}"#, "untyped Ann", &[]),
            (r#"{"type":"note","Ann Lee":1}"#, "Ann Lee 1", &[]),
            // What does not belong to a protocol is text, wherever it stands.
            (
                r#"{"type":"note","status":"completed","role":"Ann"}"#,
                "Ann",
                &[],
            ),
            (r#"{"type":"note","id":"Ann Lee"}"#, "Ann Lee", &[]),
            (
                r#"{"type":"note","call_id":"4111111111111111"}"#,
                "4111111111111111",
                &[],
            ),
            (
                r#"{"type":"note","encrypted_content":"Ann Lee"}"#,
                "Ann Lee",
                &[],
            ),
            (
                r#"[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}},{"text":"b"}]"#,
                "a b",
                &[],
            ),
            (
                r#"{"type":"image","source":{"type":"base64","data":"AA"}}"#,
                "",
                &[Image],
            ),
            (
                r#"{"type":"image_url","image_url":{"url":"https://x/y.png"},"alt_text":"cat"}"#,
                "https://x/y.png cat",
                &[Image],
            ),
            (r#"["data:image/png;base64,AA"]"#, "", &[Image]),
            (r#"["data:application/pdf;base64,AA"]"#, "", &[Document]),
            (r#"["data:image/png;base64,AA\nB_-=%3D"]"#, "", &[Image]),
            (
                r#"["data:image/png;base64,AA my card"]"#,
                "data:image/png;base64,AA my card",
                &[],
            ),
            (
                r#"["data:image/png;base64,Ann é"]"#,
                "data:image/png;base64,Ann é",
                &[],
            ),
            (
                r#"{"type":"document","title":"t","source":{"type":"text","media_type":"text/plain","data":"words"}}"#,
                "t words",
                &[],
            ),
            (
                r#"{"type":"document","source":{"type":"base64","media_type":"text/plain","data":"d29yZHM="}}"#,
                "words",
                &[],
            ),
            (
                r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"}}"#,
                "",
                &[Document],
            ),
            (
                r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#,
                "",
                &[Document],
            ),
            (
                r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#,
                "",
                &[Image],
            ),
            (
                r#"{"type":"input_file","filename":"a.pdf","file_data":"AA"}"#,
                "a.pdf",
                &[Document],
            ),
            (r#"{"type":"file","file":{"file_id":"f"}}"#, "", &[Document]),
            (
                r#"{"type":"file_citation","file_id":"f","quote":"q"}"#,
                "quote q",
                &[],
            ),
            (
                r#"{"type":"thinking","thinking":"a","signature":"s"}"#,
                "",
                &[],
            ),
            (r#"{"type":"thinking","thinking":"a"}"#, "a", &[]),
            (r#"{"type":"redacted_thinking","data":"x"}"#, "", &[]),
            (
                r#"{"type":"reasoning","encrypted_content":"x","summary":[{"type":"summary_text","text":"s"}]}"#,
                "s",
                &[],
            ),
            (r#"[[[[[[[[[[{"deep":"down"}]]]]]]]]]]"#, "deep: down", &[]),
        ];
        for (raw, expected, attached) in cases {
            check(text(raw), expected, attached);
        }
    }

    #[test]
    fn arguments_are_json_of_any_shape() {
        let cases = [
            (
                r#""{\"to\":\"Ann \\u00e9\",\"n\":[1,-2.5e3]}""#,
                "to: Ann é\nn: 1\n-2.5e3",
                0,
            ),
            (r#"{"type":"x","id":7,"on":true}"#, "type: x\nid: 7\non:", 0),
            (r#""*** Begin Patch""#, "*** Begin Patch", 0),
            (r#""{\"cut\": \"off""#, r#"{"cut": "off"#, 0),
            (r#""{}""#, "", 0),
            (r#"{"shot":"data:image/png;base64,AA"}"#, "shot:", 1),
        ];
        for (raw, expected, images) in cases {
            check(arguments(raw), expected, &[Media::Image][..images]);
        }
    }
}
