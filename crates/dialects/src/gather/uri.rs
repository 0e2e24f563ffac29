//! Data URIs, alone and within a text.

use crate::attachments::{self, Attachment, Payload};

/// Shortest base64 within a text, or without a media type, that counts as an attachment.
pub(super) const SHORTEST: usize = 64;

/// Longest head of a data URI.
const HEAD: usize = 128;

/// Returns the media type of a data URI in base64, and its data.
pub(super) fn data_uri(text: &str) -> Option<(&str, &str)> {
    let (head, data) = text.split_once(',')?;
    let scheme = head.get(..5)?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let (media_type, marker) = head.get(5..)?.rsplit_once(';')?;
    marker
        .eq_ignore_ascii_case("base64")
        .then_some((media_type, data))
}

/// Cuts the data out of data URIs within a text. `None` where there is none.
pub(crate) fn without_data_uris(text: &str) -> Option<(String, Vec<Attachment>)> {
    const MARKER: &[u8] = b";base64,";
    let (mut rest, mut kept, mut attachments) = (0, String::new(), Vec::new());
    for at in memchr::memmem::find_iter(text.as_bytes(), MARKER) {
        let start = at + MARKER.len();
        let (Some(before), Some(after)) = (text.get(rest..at), text.get(start..)) else {
            continue;
        };
        let head = before.rfind("data:").map(|scheme| before.len() - scheme);
        let data = after.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=-_".contains(c)));
        let data = data.into_iter().next().unwrap_or_default();
        let Some(head) = head.filter(|head| *head <= HEAD && data.len() >= SHORTEST) else {
            continue;
        };
        let media_type = before.get(before.len() - head + 5..).unwrap_or_default();
        if let Some(Payload::Attachment(attachment)) = attachments::read(media_type, data) {
            kept.push_str(text.get(rest..start).unwrap_or_default());
            attachments.push(attachment);
            rest = start + data.len();
        }
    }
    if attachments.is_empty() {
        return None;
    }
    kept.push_str(text.get(rest..).unwrap_or_default());
    Some((kept, attachments))
}
