//! Walks JSON by the raw text of its values: what must be measured or kept byte for byte is never
//! re-serialised.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The type of a JSON value, named as error messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// The kind of a value's raw text (no leading whitespace).
    pub(crate) fn of(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'"') => Self::String,
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        })
    }
}

/// Calls `each` with every member of an object, in order, duplicates included. The text must be one
/// JSON object.
pub(crate) fn each_member<'a>(
    text: &'a str,
    each: impl FnMut(Cow<'a, str>, &'a str),
) -> Result<(), serde_json::Error> {
    let mut source = serde_json::Deserializer::from_str(text);
    source.deserialize_map(Members(each))?;
    source.end()
}

/// Calls `each` with every element of an array, in order. The text must be one JSON array.
pub(crate) fn each_element<'a>(
    text: &'a str,
    each: impl FnMut(&'a str),
) -> Result<(), serde_json::Error> {
    let mut source = serde_json::Deserializer::from_str(text);
    source.deserialize_seq(Elements(each))?;
    source.end()
}

/// The members of a value already known to be valid JSON; none if it is no object.
pub(crate) fn members<'a>(raw: &'a str, each: impl FnMut(Cow<'a, str>, &'a str)) {
    // The text was validated with the whole body, and keys decode without failing: what remains is
    // "not an object".
    let _not_an_object = each_member(raw, each).is_err();
}

/// The elements of a value already known to be valid JSON; none if it is no array.
pub(crate) fn elements<'a>(raw: &'a str, each: impl FnMut(&'a str)) {
    let _not_an_array = each_element(raw, each).is_err();
}

/// The decoded text of a JSON string; `None` for any other value. A lone surrogate becomes U+FFFD.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::Deserializer::from_str(raw)
        .deserialize_bytes(TextVisitor)
        .ok()
}

/// The value unless it is absent or `null`.
pub(crate) fn present(raw: Option<&str>) -> Option<&str> {
    raw.filter(|raw| Kind::of(raw) != Kind::Null)
}

/// Whether the value is an array without elements.
pub(crate) fn is_empty_array(raw: &str) -> bool {
    raw.strip_prefix('[')
        .is_some_and(|rest| rest.trim_start().starts_with(']'))
}

/// Whether a text is JSON.
pub(crate) fn is_valid(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Calls `each` with every string, decoded, and every number of a value, in order; and whether it
/// is the name of a member. The text must be valid JSON.
pub(crate) fn each_word(text: &str, mut each: impl FnMut(&str, bool)) {
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = rest.get(start..).unwrap_or_default();
        if let Some(inner) = rest.strip_prefix('"') {
            let after = after_string(inner.as_bytes());
            let (word, tail) = rest.split_at(rest.len() - after.len());
            rest = tail;
            let is_name = tail.trim_start().starts_with(':');
            each(&string(word).unwrap_or_default(), is_name);
        } else {
            let is_number =
                |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
            let end = rest.find(|c: char| !is_number(c)).unwrap_or(rest.len());
            let (word, tail) = rest.split_at(end);
            rest = tail;
            each(word, false);
        }
    }
}

/// A Rust string as JSON text, quotes included.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether arrays and objects nest deeper than `limit`. The text must be valid JSON.
pub(crate) fn deeper_than(text: &str, limit: usize) -> bool {
    let mut rest = text.as_bytes();
    if memchr::memchr2_iter(b'[', b'{', rest)
        .take(limit + 1)
        .count()
        <= limit
    {
        return false;
    }
    let mut depth = 0_usize;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => rest = after_string(after),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

/// What follows the closing quote of a string whose opening quote was just read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let escaped = rest.get(at) == Some(&b'\\');
        rest = rest
            .get(at + 1 + usize::from(escaped)..)
            .unwrap_or_default();
        if !escaped {
            return rest;
        }
    }
    &[]
}

struct Members<F>(F);

impl<'a, F: FnMut(Cow<'a, str>, &'a str)> Visitor<'a> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(TextVisitor)? {
            let value: &'a RawValue = map.next_value()?;
            (self.0)(key, value.get());
        }
        Ok(())
    }
}

struct Elements<F>(F);

impl<'a, F: FnMut(&'a str)> Visitor<'a> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(value) = elements.next_element::<&'a RawValue>()? {
            (self.0)(value.get());
        }
        Ok(())
    }
}

/// Decodes strings and keys by way of bytes, because `\ud800` alone is legal JSON that other
/// parsers let through: an error here would hide the rest of an object from the signals.
struct TextVisitor;

impl<'a> DeserializeSeed<'a> for TextVisitor {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_bytes(self)
    }
}

impl<'a> Visitor<'a> for TextVisitor {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'a [u8]) -> Result<Self::Value, E> {
        std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .or_else(|_| self.visit_bytes(bytes))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Owned(text.to_owned())),
            Err(_) => Ok(Cow::Owned(replace_surrogates(bytes.to_vec()))),
        }
    }
}

/// A surrogate's three bytes (`ED A0..BF xx`) and U+FFFD's three bytes are equally long, so it is
/// replaced in place.
fn replace_surrogates(mut bytes: Vec<u8>) -> String {
    for at in 0..bytes.len().saturating_sub(2) {
        if let Some(window @ [0xED, 0xA0..=0xBF, _]) = bytes.get_mut(at..at + 3) {
            window.copy_from_slice("\u{FFFD}".as_bytes());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_in_order_with_duplicates_and_decoded_keys() {
        let mut seen = Vec::new();
        each_member(
            r#" { "a" : [1, 2] , "\u0062":"x","a":null,"\ud800":1 } "#,
            |key, raw| {
                seen.push((key.into_owned(), raw));
            },
        )
        .unwrap();
        let expected = [
            ("a", "[1, 2]"),
            ("b", "\"x\""),
            ("a", "null"),
            ("\u{FFFD}", "1"),
        ];
        assert_eq!(seen, expected.map(|(key, raw)| (key.to_owned(), raw)));
    }

    #[test]
    fn strings_decode_as_a_lenient_reader_does() {
        let cases = [
            (r#""plain""#, Some("plain")),
            (r#""a\"b\n\u00e9""#, Some("a\"b\né")),
            (r#""\ud83d\ude00""#, Some("😀")),
            (r#""x\ud800y""#, Some("x\u{FFFD}y")),
            ("12", None),
        ];
        for (raw, expected) in cases {
            assert_eq!(string(raw).as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn depth_ignores_brackets_in_strings() {
        assert!(!deeper_than(r#"["[[[[", "\"[[[", {"a":[1]}]"#, 3));
        assert!(deeper_than(r#"["x", {"a":[1]}]"#, 2));
    }
}
