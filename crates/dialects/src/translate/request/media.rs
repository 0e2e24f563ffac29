//! Pictures and documents: where they are, and what a backend takes of them.

use std::borrow::Cow;

use super::Unfit;
use super::neutral::{Document, Image, Source};
use super::object::Object;
use super::place::Place;
use super::text::Text;
use crate::attachments::{self, Payload};
use crate::json;

/// Pictures that Anthropic's models see.
const PICTURES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Letters of base64 in a picture of 5 MiB, the largest that Anthropic takes.
const LARGEST_PICTURE: usize = (5 << 20) / 3 * 4 + 4;

/// Reads a URL, which may hold the data itself.
pub(super) fn of_url(raw: &str, place: Place) -> Result<Source<'_>, Unfit> {
    let url = json::string(raw).ok_or_else(|| super::object::wrong(place, raw, "a string"))?;
    if !url.starts_with("data:") {
        let text = Text::of(raw).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Unfit::at(place, "is empty"))?;
        return Ok(Source::Url(text));
    }
    let (media_type, data) =
        split(url).ok_or_else(|| Unfit::at(place, "is no data URI in base64"))?;
    Ok(Source::Base64 { media_type, data })
}

/// Splits a data URI into its media type and its data.
fn split(url: Cow<'_, str>) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    match url {
        Cow::Borrowed(url) => {
            let (media_type, data) = split_text(url)?;
            Some((media_type.into(), data.into()))
        }
        Cow::Owned(url) => {
            let (media_type, data) = split_text(&url)?;
            Some((media_type.to_owned().into(), data.to_owned().into()))
        }
    }
}

fn split_text(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    let media_type = head.split(';').next().unwrap_or_default();
    (!data.is_empty()).then_some((media_type, data))
}

/// Reads the `source` of a block of Anthropic's. `None` for kinds that only documents have.
pub(super) fn of_source<'a>(
    kind: &str,
    source: &mut Object<'a>,
) -> Result<Option<Source<'a>>, Unfit> {
    match kind {
        "base64" => {
            let media_type = source.word("media_type")?;
            let data = source.word("data")?;
            if data.is_empty() || media_type.is_empty() {
                return Err(Unfit::at(source.place, "lacks its media type or its data"));
            }
            Ok(Some(Source::Base64 { media_type, data }))
        }
        "url" => {
            let url = source.need("url")?;
            Ok(Some(of_url(url, source.at("url"))?))
        }
        "file" => Err(stored(source.place)),
        _ => Ok(None),
    }
}

/// Refuses a file that lies with a provider.
pub(super) fn stored(place: Place) -> Unfit {
    Unfit::at(
        place,
        "names a stored file, which another provider does not have",
    )
}

/// Returns the text of a document that is one: the media type says so, or nothing does.
pub(super) fn as_text(source: &Source<'_>) -> Option<String> {
    let Source::Base64 { media_type, data } = source else {
        return None;
    };
    if !attachments::is_textual(&media_type.to_ascii_lowercase()) {
        return None;
    }
    match attachments::read(media_type, data)? {
        Payload::Text(text) => Some(text),
        Payload::Attachment(_) | Payload::Unreadable => None,
    }
}

/// Refuses a picture that Anthropic's models do not take.
pub(super) fn check_picture(image: &Image<'_>, place: Place) -> Result<(), Unfit> {
    let Source::Base64 { media_type, data } = &image.source else {
        return Ok(());
    };
    let is_known = PICTURES
        .iter()
        .any(|known| media_type.eq_ignore_ascii_case(known));
    if !is_known && !media_type.eq_ignore_ascii_case("image/jpg") {
        return Err(Unfit::at(
            place,
            "is of a type that the backend does not take: only JPEG, PNG, GIF and WebP",
        ));
    }
    if data.len() > LARGEST_PICTURE {
        return Err(Unfit::at(
            place,
            "is larger than the 5 MiB that the backend takes",
        ));
    }
    Ok(())
}

/// Refuses a document in base64 that Anthropic's models do not take.
pub(super) fn check_document(document: &Document<'_>, place: Place) -> Result<(), Unfit> {
    match &document.source {
        Source::Base64 { media_type, .. } if media_type != "application/pdf" => Err(Unfit::at(
            place,
            "is of a type that the backend does not take: only PDF and text",
        )),
        _ => Ok(()),
    }
}

/// Whether a source is only named.
pub(super) fn is_url(source: &Source<'_>) -> bool {
    matches!(source, Source::Url(_))
}
