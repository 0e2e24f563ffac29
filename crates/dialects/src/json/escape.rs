//! Decodes what JSON escapes in a string.

use std::borrow::Cow;

/// Decodes the text between the quotes of a valid JSON string. A text without escapes, which most
/// are, is borrowed.
pub(super) fn decoded(inner: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', inner.as_bytes()) else {
        return Cow::Borrowed(inner);
    };
    let mut out = String::with_capacity(inner.len());
    let (mut rest, mut escape) = (inner, Some(first));
    while let Some((plain, escaped)) = escape.and_then(|at| rest.split_at_checked(at)) {
        out.push_str(plain);
        rest = push_escaped(escaped, &mut out);
        escape = memchr::memchr(b'\\', rest.as_bytes());
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Decodes the escape that `text` begins with, and returns what follows it.
fn push_escaped<'t>(text: &'t str, out: &mut String) -> &'t str {
    let mut rest = text.chars();
    let _backslash = rest.next();
    match rest.next() {
        Some('n') => out.push('\n'),
        Some('t') => out.push('\t'),
        Some('r') => out.push('\r'),
        Some('b') => out.push('\u{8}'),
        Some('f') => out.push('\u{c}'),
        Some('u') => return push_unit(rest.as_str(), out),
        // A quote, a backslash or a slash stands for itself.
        Some(other) => out.push(other),
        None => {}
    }
    rest.as_str()
}

/// Decodes the UTF-16 unit of a `\u` escape, with the unit after it where both are a pair.
fn push_unit<'t>(text: &'t str, out: &mut String) -> &'t str {
    let Some((unit, rest)) = unit(text) else {
        return text;
    };
    if (0xD800..0xDC00).contains(&unit)
        && let Some((low, after)) = rest.strip_prefix("\\u").and_then(self::unit)
        && (0xDC00..0xE000).contains(&low)
    {
        let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return after;
    }
    out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

/// Reads four hexadecimal digits; returns their value and what follows them.
fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}
