//! What is attached to a request: pictures, sounds, films, documents. How large each is, as far as
//! its first bytes tell, and what text there is in it.

mod base64;
mod image;
mod pdf;
mod sound;

/// What an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A picture or a screenshot.
    Image,
    /// A sound.
    Audio,
    /// A film.
    Video,
    /// A document whose text is not read here.
    Document,
}

impl Media {
    /// Returns the family of media types that stands for it.
    pub(crate) fn family(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "",
        }
    }
}

/// How large an attachment is, by what providers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Nothing tells.
    Unknown,
    /// Width and height of a picture.
    Pixels(u32, u32),
    /// A picture that is to be looked at in low detail.
    LowDetail,
    /// Length of a sound.
    Seconds(u64),
    /// Pages of a document.
    Pages(u64),
}

/// One attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) media: Media,
    pub(crate) size: Size,
}

/// What a payload in base64 holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Text, which is read like any other.
    Text(String),
    /// No text.
    Attachment(Attachment),
    /// Says to be text, and cannot be decoded.
    Unreadable,
}

/// Bytes of a picture's beginning in which its size is looked for; a photo's own data may stand
/// before it.
const HEADER: usize = 256 << 10;

/// Letters of base64 by which an attachment is recognized.
const SHOWN: usize = 32;

/// Bytes of a document that are searched for its pages.
const SEARCHED: usize = 8 << 20;

impl Attachment {
    /// Describes an attachment of unknown size: a reference, or a format that is not read.
    pub(crate) fn unknown(media: Media) -> Self {
        Self {
            media,
            size: Size::Unknown,
        }
    }
}

/// Reads a payload of a media type, which may be empty. `None` where it is no base64.
pub(crate) fn read(media_type: &str, data: &str) -> Option<Payload> {
    if !base64::is_base64(data) {
        return None;
    }
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    let (family, _) = media_type.split_once('/').unwrap_or((&media_type, ""));
    let attachment = |media, size| Some(Payload::Attachment(Attachment { media, size }));

    match family {
        _ if is_textual(&media_type) => Some(text(data).map_or(Payload::Unreadable, Payload::Text)),
        "image" => {
            let size = image::size(&base64::decode(data, HEADER));
            attachment(Media::Image, size)
        }
        "audio" => attachment(Media::Audio, sound::size(data)),
        "video" => attachment(Media::Video, Size::Unknown),
        _ => Some(document(data)),
    }
}

/// Returns the attachment that base64 without a media type is, by its first bytes.
pub(crate) fn recognize(data: &str) -> Option<Attachment> {
    let head = base64::decode(data.get(..SHOWN.min(data.len()))?, SHOWN);
    let is_known = head.starts_with(b"%PDF") || image::is_image(&head) || sound::is_sound(&head);
    if !is_known || !base64::is_base64(data) {
        return None;
    }
    match document(data) {
        Payload::Attachment(attachment) => Some(attachment),
        Payload::Text(_) | Payload::Unreadable => None,
    }
}

/// Reads a payload by its first bytes: documents of all sorts, and what has no type.
fn document(data: &str) -> Payload {
    let head = base64::decode(data, HEADER);
    let (media, size) = if head.starts_with(b"%PDF") {
        (Media::Document, pdf::size(&base64::decode(data, SEARCHED)))
    } else if image::is_image(&head) {
        (Media::Image, image::size(&head))
    } else if sound::is_sound(&head) {
        (Media::Audio, sound::size(data))
    } else {
        match text(data) {
            Some(text) => return Payload::Text(text),
            None => (Media::Document, Size::Unknown),
        }
    };
    Payload::Attachment(Attachment { media, size })
}

/// Whether a media type is that of a text.
pub(crate) fn is_textual(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || [
            "json",
            "xml",
            "yaml",
            "toml",
            "csv",
            "javascript",
            "x-sh",
            "sql",
            "ndjson",
        ]
        .iter()
        .any(|word| {
            media_type
                .rsplit(['/', '+', '-', '.'])
                .any(|part| part == *word)
        })
}

/// Decodes a payload that is text: UTF-8 without control characters.
fn text(data: &str) -> Option<String> {
    let text = String::from_utf8(base64::decode(data, usize::MAX)).ok()?;
    let is_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{c}');
    text.chars().all(is_text).then_some(text)
}

#[cfg(test)]
mod tests;
