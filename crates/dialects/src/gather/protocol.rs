//! What a protocol itself says in the members of an object: types, identifiers, enumerated values,
//! seals.

use crate::attachments::Media;
use crate::json;
use crate::vocabulary::{is_identifier, is_value};

/// Types of objects whose `data` a provider sealed.
pub(super) const SEALED: &[&str] = &["redacted_thinking", "reasoning.encrypted"];

/// Members that name something by one word.
pub(super) const NAMES: &[&str] = &[
    "type",
    "namespace",
    "server_label",
    "server_name",
    "mcp_server_name",
    "tool_name",
    "toolset_name",
];

/// Members that take one of a closed set of values.
pub(super) const ENUMERATED: &[&str] = &[
    "status",
    "role",
    "phase",
    "format",
    "detail",
    "mode",
    "ttl",
    "media_type",
    "mime_type",
    "mimeType",
];

/// Digits of a number that a protocol counts something by.
pub(super) const LONGEST_COUNT: usize = 8;

/// Whether a protocol itself gives a member this value.
pub(super) fn is_protocol(key: &str, value: &str) -> bool {
    let is_media_type = matches!(key, "media_type" | "mime_type" | "mimeType");
    is_value(value) || (is_media_type && value.contains('/') && is_identifier(value))
}

pub(super) fn is_low_detail(key: &str, value: &str) -> bool {
    let is_low = |value: &str| json::string(value).is_some_and(|detail| detail == "low");
    let mut is_inside = false;
    if key == "image_url" {
        json::members(value, |key, value| {
            is_inside |= key == "detail" && is_low(value);
        });
    }
    is_inside || (key == "detail" && is_low(value))
}

/// Whether a text may be what a provider sealed: one word in the letters of base64.
pub(super) fn is_seal(text: &str) -> bool {
    let is_letter = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'.' | b':')
    };
    !text.is_empty() && text.bytes().all(is_letter)
}

/// Whether an object of this type always attaches something.
pub(super) fn attaches(kind: &str) -> bool {
    kind != "document" && media_of(kind).is_some()
}

/// Returns what an object of this type attaches, or what its source does.
pub(super) fn media_of(kind: &str) -> Option<Media> {
    match kind {
        "image"
        | "image_url"
        | "input_image"
        | "image_file"
        | "screenshot"
        | "computer_screenshot"
        | "image_generation_call" => Some(Media::Image),
        "input_audio" | "audio" | "audio_url" => Some(Media::Audio),
        "video" | "video_url" | "input_video" => Some(Media::Video),
        "document" | "file" | "input_file" | "container_upload" => Some(Media::Document),
        _ => None,
    }
}
