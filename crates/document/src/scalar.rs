//! What a plain scalar means, by YAML 1.1 as the reference reads it, where the schema wants more
//! than text.

use serde_json::{Number, Value};
use std::fmt::Write as _;

/// The scalar is written without quotes and means nothing.
pub(crate) fn is_null(text: &str, plain: bool) -> bool {
    plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// `true`, `yes`, `on` and their opposites, in the three usual spellings.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            Some(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            Some(false)
        }
        _ => None,
    }
}

/// Decimal, `0x`, `0o`, `0b`, and `0…` as octal; underscores between digits are allowed.
pub(crate) fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) || digits.ends_with('_') {
        return None;
    }
    let digits: String = digits.chars().filter(|&digit| digit != '_').collect();
    let (radix, digits) = match digits.split_at_checked(2) {
        Some(("0x", rest)) => (16, rest),
        Some(("0o", rest)) => (8, rest),
        Some(("0b", rest)) => (2, rest),
        _ if is_old_octal(&digits) => (8, digits.as_str()),
        _ => (10, digits.as_str()),
    };
    i128::from_str_radix(digits, radix)
        .ok()
        .map(|value| sign * value)
}

/// `010` is 8 in YAML 1.1 and 10 in YAML 1.2.
pub(crate) fn is_old_octal(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0') && digits.chars().all(|digit| digit.is_digit(8))
}

/// Reads a decimal number or an integer, but no infinity and no NaN.
pub(crate) fn number(text: &str) -> Option<f64> {
    if let Some(value) = integer(text) {
        return Some(value as f64);
    }
    let shaped = text.chars().all(|letter| {
        letter.is_ascii_digit() || matches!(letter, '+' | '-' | '.' | 'e' | 'E' | '_')
    });
    if !shaped || !text.contains(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let digits: String = text.chars().filter(|&letter| letter != '_').collect();
    digits.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A JSON number that keeps integers integers.
pub(crate) fn json_number(text: &str) -> Option<Number> {
    if let Some(value) = integer(text) {
        return i64::try_from(value)
            .map(Number::from)
            .or_else(|_| u64::try_from(value).map(Number::from))
            .ok();
    }
    number(text).and_then(Number::from_f64)
}

/// The value of a scalar where the document is free-form.
pub(crate) fn free(text: &str, plain: bool) -> Value {
    if is_null(text, plain) {
        return Value::Null;
    }
    if !plain {
        return Value::from(text);
    }
    boolean(text)
        .map(Value::from)
        .or_else(|| json_number(text).map(Value::Number))
        .unwrap_or_else(|| Value::from(text))
}

/// Returns a text as YAML has it: with quotes where it would read as something else, and with what breaks
/// lines or shows nothing as an escape.
#[must_use]
pub fn yaml_text(text: &str) -> String {
    let is_bare = text.chars().all(|letter| {
        letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/' | '@' | '+')
    });
    let is_text = text.starts_with(char::is_alphabetic) && free(text, true) == text;
    if is_bare && is_text {
        return text.to_owned();
    }

    let quoted = Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for letter in quoted.chars() {
        let is_hidden = matches!(
            letter,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        );
        if is_hidden {
            // Writing to a string does not fail.
            let _ignored = write!(out, "\\u{:04x}", u32::from(letter));
        } else {
            out.push(letter);
        }
    }
    out
}
