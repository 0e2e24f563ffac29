//! JSON as text, for the events that come by the thousand: no tree is built for them.

use std::fmt::Write as _;

/// Appends a string with its quotes.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    while let Some(at) = rest.as_bytes().iter().position(special) {
        // What is escaped is ASCII, so that both parts are whole characters.
        let Some((plain, after)) = rest.split_at_checked(at) else {
            break;
        };
        out.push_str(plain);
        let mut after = after.chars();
        if let Some(escaped) = after.next() {
            escape(out, escaped);
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn escape(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => {
            // Writing to a string cannot fail.
            let _ok = write!(out, "\\u{:04x}", u32::from(other)).is_ok();
        }
    }
}

/// Appends a number.
pub(super) fn number(out: &mut String, number: u64) {
    let _ok = write!(out, "{number}").is_ok();
}

/// Returns a number of things as the wires count.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn strings_are_read_back() {
        for text in [
            "",
            "a",
            "\"",
            "é\n\\\t\r\u{0}\u{1f}\u{2028}z",
            "\\\"",
            "🦀\u{7f}",
        ] {
            let mut out = String::new();
            super::string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text, "{out}");
        }
    }
}
