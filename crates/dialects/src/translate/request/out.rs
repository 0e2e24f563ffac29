//! Writes JSON from values that are JSON already.

use super::neutral::Source;

/// A JSON text that is being written.
#[derive(Debug, Default)]
pub(super) struct Out {
    text: String,
}

impl Out {
    /// Begins a text of about this length.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
        }
    }

    /// Begins an object or an array, by its bracket.
    pub(super) fn begin(&mut self, bracket: char) {
        self.comma();
        self.text.push(bracket);
    }

    /// Ends an object or an array.
    pub(super) fn end(&mut self, bracket: char) {
        self.text.push(bracket);
    }

    /// Writes the name of a member; its value comes next.
    pub(super) fn key(&mut self, name: &str) {
        self.comma();
        quote(&mut self.text, name);
        self.text.push(':');
    }

    /// Writes a value that is JSON.
    pub(super) fn raw(&mut self, value: &str) {
        self.comma();
        self.text.push_str(value);
    }

    /// Writes a string.
    pub(super) fn text(&mut self, text: &str) {
        self.comma();
        quote(&mut self.text, text);
    }

    /// Writes a member whose value is JSON.
    pub(super) fn member(&mut self, name: &str, value: &str) {
        self.key(name);
        self.raw(value);
    }

    /// Writes a member that is a string.
    pub(super) fn word(&mut self, name: &str, text: &str) {
        self.key(name);
        self.text(text);
    }

    /// Writes a member that is a boolean.
    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.member(name, if value { "true" } else { "false" });
    }

    /// Writes a source as a URL, which holds the data where there is no other place for it.
    pub(super) fn url(&mut self, source: &Source<'_>) {
        match source {
            Source::Url(url) => self.raw(url.raw()),
            Source::Base64 { media_type, data } => {
                self.comma();
                self.text.push_str("\"data:");
                escape(&mut self.text, media_type);
                self.text.push_str(";base64,");
                escape(&mut self.text, data);
                self.text.push('"');
            }
        }
    }

    /// Returns the length of what was written, to come back to with [`Out::back`].
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Takes back what was written since a length.
    pub(super) fn back(&mut self, len: usize) {
        self.text.truncate(len);
    }

    /// Returns what was written.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Separates what comes from what stands before it. A value never ends with these characters.
    fn comma(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(['{', '[', ':']) {
            self.text.push(',');
        }
    }
}

/// Appends a text as a JSON string.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push('"');
    escape(out, text);
    out.push('"');
}

/// Appends a text as it stands between the quotes of a JSON string.
fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(is_special) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut letters = special.chars();
        match letters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            None => {}
        }
        rest = letters.as_str();
    }
    out.push_str(rest);
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}
