//! Measures JSON by what it says, not by how it is spelt.

/// Returns the length that valid JSON has in its shortest usual form: without space between its
/// tokens, and with no escapes but those that a string needs. All spellings of a value measure
/// alike.
pub(super) fn length(raw: &str) -> usize {
    let bytes = raw.as_bytes();
    let (mut length, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let (inner, end) = string(bytes, at + 1);
                length += inner + 2;
                at = end;
            }
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            _ => {
                length += 1;
                at += 1;
            }
        }
    }
    length
}

/// Measures a string from behind its opening quote, and returns where it ends.
fn string(bytes: &[u8], start: usize) -> (usize, usize) {
    let (mut length, mut at) = (0, start);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(plain) = memchr::memchr2(b'"', b'\\', rest) else {
            return (length + rest.len(), bytes.len());
        };
        length += plain;
        at += plain;
        if rest.get(plain) == Some(&b'"') {
            return (length, at + 1);
        }
        let (escaped, written) = escape(rest.get(plain..).unwrap_or_default());
        length += escaped;
        at += written;
    }
}

/// Returns the length that an escape needs, and the length that it was written with.
fn escape(text: &[u8]) -> (usize, usize) {
    match text.get(1) {
        Some(b'u') => {}
        Some(b'/') => return (1, 2),
        _ => return (2, 2),
    }
    match (unit(text), text.get(6..).and_then(unit)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (4, 12),
        (Some(unit), _) => (needed(unit), 6),
        (None, _) => (2, 2),
    }
}

/// Returns the length that a character needs in a JSON string.
fn needed(unit: u32) -> usize {
    match unit {
        0x08 | 0x09 | 0x0A | 0x0C | 0x0D | 0x22 | 0x5C => 2,
        0..=0x1F => 6,
        _ => char::from_u32(unit).map_or(3, char::len_utf8),
    }
}

/// Reads the UTF-16 unit of a `\u` escape.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_measure_alike() {
        let cases = [
            (r#"{ "a" : [ 1 , 2 ] }"#, r#"{"a":[1,2]}"#),
            ("{\n  \"a b\": \"c\"\n}", r#"{"a b":"c"}"#),
            (r#""\u8bf7\u95ee""#, r#""请问""#),
            (r#""\ud83d\ude00\/""#, r#""😀/""#),
            (r#""\u0022\u005c\u000a""#, r#""\"\\\n""#),
            (r#""\u003c\u0026""#, r#""<&""#),
            (r#""\\" "#, r#""\\""#),
        ];
        for (spelling, usual) in cases {
            assert_eq!(length(spelling), usual.len(), "{spelling}");
        }
        assert_eq!(length(r#""\u0001""#), 8);
        assert_eq!(length(r#""\ud800""#), 5);
    }
}
