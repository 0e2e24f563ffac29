//! Walks JSON by the raw text of its values: what must be measured or kept byte for byte is never
//! re-serialised.

mod complaint;
mod escape;
mod measure;
mod scan;

use std::borrow::Cow;
use std::fmt;

use escape::decoded;
use scan::Scanner;

pub(crate) use complaint::{complaint, syntax};
#[cfg(test)]
pub(crate) use scan::work;

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

/// Text that is not JSON, or not of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Calls `each` with every member of an object, in order, duplicates included, and returns how deep
/// arrays and objects nest. The text must be one JSON object; all of it is checked.
pub(crate) fn each_member<'a>(
    text: &'a str,
    each: impl FnMut(Cow<'a, str>, &'a str),
) -> Result<usize, Malformed> {
    let mut scanner = Scanner::new(text);
    let mut deepest = 0;
    scanner.space();
    scanner.members(each, |scanner| {
        let (raw, depth) = scanner.checked_value()?;
        deepest = deepest.max(depth);
        Ok(raw)
    })?;
    scanner.space();
    if scanner.peek().is_some() {
        return Err(Malformed);
    }
    Ok(deepest + 1)
}

/// The members of a value already known to be valid JSON; none if it is no object.
pub(crate) fn members<'a>(raw: &'a str, each: impl FnMut(Cow<'a, str>, &'a str)) {
    // The text was checked with the whole body: what remains is "not an object".
    let _not_an_object = Scanner::new(raw)
        .members(each, Scanner::known_value)
        .is_err();
}

/// The elements of a value already known to be valid JSON; none if it is no array.
pub(crate) fn elements<'a>(raw: &'a str, each: impl FnMut(&'a str)) {
    let _not_an_array = Scanner::new(raw).elements(each).is_err();
}

/// The decoded text of a JSON string; `None` for any other value. A lone surrogate becomes U+FFFD:
/// it is legal JSON that other parsers let through, and an error here would hide the rest of an
/// object from the signals.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    Some(decoded(inner))
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
    let mut scanner = Scanner::new(text);
    scanner.space();
    let is_value = scanner.checked_value().is_ok();
    scanner.space();
    is_value && scanner.peek().is_none()
}

/// Calls `each` with every string, decoded, and every number of a value, in order; and whether it
/// is the name of a member. The text must be valid JSON.
pub(crate) fn each_word(text: &str, each: impl FnMut(&str, bool)) {
    // Of valid JSON nothing is left over.
    let _end = Scanner::new(text).words(each).is_err();
}

/// The length of a value in its shortest usual form: all spellings of it measure alike. The text
/// must be valid JSON.
pub(crate) fn length(raw: &str) -> usize {
    measure::length(raw)
}

/// A key as it is compared: ASCII lowercase, with the two letters that fold into ASCII (long s,
/// Kelvin sign).
pub(crate) fn folded_key<'k>(key: &Cow<'k, str>) -> Cow<'k, str> {
    if key
        .bytes()
        .all(|byte| !byte.is_ascii_uppercase() && byte.is_ascii())
    {
        return key.clone();
    }
    let fold = |c: char| match c {
        'ſ' => 's',
        '\u{212A}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    Cow::Owned(key.chars().map(fold).collect())
}

/// A Rust string as JSON text, quotes included.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
