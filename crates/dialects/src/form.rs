//! Reads forms (`multipart/form-data`), in which sounds and pictures come with a few words.
//!
//! Where a document has a boundary the form is written again from what was read, so that the backend
//! cannot read it in another way.

use std::convert::Infallible;
use std::future::ready;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, stream};
use multer::{Field, Multipart};

use crate::attachments::{Attachment, Media};
use crate::endpoint::Service;
use crate::gather::{self, Gathered};
use crate::json;
use crate::prompt::Prompt;
use crate::request::{ReadOptions, Refused};
use crate::service::{Reader, WORDS};

/// The parts of a form.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    boundary: String,
    parts: Vec<Part>,
    /// The backend gets the form as it was read, not as it came.
    is_rewritten: bool,
}

#[derive(Debug, Clone)]
struct Part {
    name: String,
    file_name: Option<String>,
    /// Empty if absent.
    content_type: String,
    data: Bytes,
}

/// Tells whether a `content-type` is that of a form.
pub(crate) fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("multipart/form-data")
}

impl Form {
    /// Splits a form into its parts.
    pub(crate) fn parse(content_type: &str, body: Bytes) -> Result<Self, Refused> {
        let wrong =
            |error: &dyn std::fmt::Display| Refused::wrong(format!("invalid form: {error}"));
        let boundary = multer::parse_boundary(content_type).map_err(|error| wrong(&error))?;
        let whole = stream::once(ready(Ok::<_, Infallible>(body)));
        let mut multipart = Multipart::new(whole, boundary.as_str());
        let parts = async {
            let mut parts = Vec::new();
            while let Some(field) = multipart.next_field().await? {
                parts.push(Part::read(field).await?);
            }
            Ok::<_, multer::Error>(parts)
        };
        // The body is there as a whole, so nothing is waited for.
        let parts = parts
            .now_or_never()
            .ok_or_else(|| wrong(&"it is cut off"))?;
        let parts = parts.map_err(|error| wrong(&error))?;
        Ok(Self {
            boundary,
            parts,
            is_rewritten: false,
        })
    }

    /// Returns what the form says.
    pub(crate) fn prompt(
        &mut self,
        service: Service,
        named: Option<&str>,
        options: &ReadOptions,
    ) -> Result<Prompt, Refused> {
        self.is_rewritten = options.strict;
        let mut reader = Reader::new(options);
        let mut model = None;
        let named_charset = self.parts.iter().filter(|part| part.name == "_charset_");
        let is_utf8 = named_charset
            .map(|part| String::from_utf8_lossy(&part.data))
            .all(|charset| is_known(&charset));
        for part in &self.parts {
            match std::str::from_utf8(&part.data) {
                _ if part.is_text() && !(is_utf8 && part.is_plain()) => reader.note(Gathered {
                    unread: true,
                    ..Gathered::default()
                }),
                Ok(text) if part.is_model() => {
                    if model.replace(text).is_some() {
                        return Err(Refused::wrong("invalid form: duplicate field: model"));
                    }
                }
                Ok(text) if part.is_json() => {
                    reader.text(text.into());
                    reader.note(gather::arguments(text));
                }
                Ok(text) if WORDS.contains(&part.name.as_str()) => reader.text(text.into()),
                Ok(text) => reader.note(Gathered::of(text.into())),
                Err(_) => reader.note(part.attached(service)),
            }
            let names = [&part.name, &part.content_type];
            for name in part.file_name.iter().chain(names) {
                reader.note(gather::name(&json::quote(name)));
            }
        }
        let reading = reader.finish();
        let model = named.or(model).unwrap_or_default().to_owned();
        Ok(reading.form_prompt(model))
    }

    /// The form with another model; `None` if it stays as it came.
    pub(crate) fn renamed(&self, model: &str) -> Option<Bytes> {
        let is_other = |part: &Part| part.is_model() && part.data != model.as_bytes();
        if !self.is_rewritten && !self.parts.iter().any(is_other) {
            return None;
        }
        let size = self.parts.iter().map(|part| part.data.len() + 256).sum();
        let mut form = BytesMut::with_capacity(size);
        let mut write = |bytes: &[u8]| form.extend_from_slice(bytes);
        for part in &self.parts {
            write(b"--");
            write(self.boundary.as_bytes());
            write(b"\r\n");
            write(part.head().as_bytes());
            write(if part.is_model() {
                model.as_bytes()
            } else {
                &part.data
            });
            write(b"\r\n");
        }
        write(b"--");
        write(self.boundary.as_bytes());
        write(b"--\r\n");
        Some(form.freeze())
    }
}

impl Part {
    async fn read(field: Field<'_>) -> Result<Self, multer::Error> {
        Ok(Self {
            name: field.name().unwrap_or_default().to_owned(),
            file_name: field
                .file_name()
                .map(str::to_owned)
                .or_else(|| extended_file_name(&field)),
            content_type: field
                .content_type()
                .map(ToString::to_string)
                .unwrap_or_default(),
            data: field.bytes().await?,
        })
    }

    /// Returns the media type without its parameters, in lower case.
    fn kind(&self) -> String {
        let kind = self.content_type.split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    }

    /// Words, as opposed to sounds and pictures: what is no file, whatever its type, and what says
    /// so.
    fn is_text(&self) -> bool {
        self.file_name.is_none() || self.kind().starts_with("text/") || self.is_json()
    }

    fn is_json(&self) -> bool {
        self.kind() == "application/json"
    }

    /// The words are in UTF-8, as far as the part says and as its bytes are.
    fn is_plain(&self) -> bool {
        let charset = self.content_type.split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let is_charset = name.trim().eq_ignore_ascii_case("charset");
            is_charset.then(|| value.trim().trim_matches('"'))
        });
        let is_known = charset.is_none_or(is_known);
        is_known && std::str::from_utf8(&self.data).is_ok()
    }

    fn is_model(&self) -> bool {
        self.name == "model" && self.file_name.is_none()
    }

    /// Writes the lines before the part's data.
    fn head(&self) -> String {
        let mut head = format!(
            "content-disposition: form-data; name=\"{}\"",
            escaped(&self.name)
        );
        if let Some(name) = &self.file_name {
            head.push_str(&format!("; filename=\"{}\"", escaped(name)));
        }
        if !self.content_type.is_empty() {
            head.push_str("\r\ncontent-type: ");
            head.push_str(&self.content_type);
        }
        head.push_str("\r\n\r\n");
        head
    }

    /// A sound or a picture: text would be UTF-8.
    fn attached(&self, service: Service) -> Gathered {
        let family = self.content_type.split('/').next().unwrap_or_default();
        let media = match (family, service) {
            ("image", _) => Media::Image,
            ("video", _) => Media::Video,
            ("audio", _) | (_, Service::Transcriptions) => Media::Audio,
            _ => Media::Image,
        };
        Gathered {
            attachments: vec![Attachment::unknown(media)],
            ..Gathered::default()
        }
    }
}

/// Returns whether words in a charset are read as they are written.
fn is_known(charset: &str) -> bool {
    let charset = charset.trim();
    ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|known| charset.eq_ignore_ascii_case(known))
}

/// Returns the name of a file that only `filename*` gives (RFC 5987), as some clients write names
/// outside ASCII.
fn extended_file_name(field: &Field<'_>) -> Option<String> {
    let disposition = field.headers().get("content-disposition")?;
    let disposition = std::str::from_utf8(disposition.as_bytes()).ok()?;
    let value = disposition.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_name = name.trim().eq_ignore_ascii_case("filename*");
        is_name.then(|| value.trim().trim_matches('"'))
    })?;
    let coded = value.rsplit('\'').next()?;
    let name = percent_encoding::percent_decode_str(coded).decode_utf8_lossy();
    Some(name.into_owned())
}

/// Writes a name as browsers do within quotes.
fn escaped(name: &str) -> String {
    let name = name.replace('"', "%22");
    name.replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests;
