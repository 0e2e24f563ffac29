//! Decodes base64 in any of its alphabets, however it is wrapped.

/// Whether a text is base64: its letters, padding, line ends, and percent signs of a URL's escapes.
pub(super) fn is_base64(data: &str) -> bool {
    data.bytes()
        .all(|byte| value(byte).is_some() || is_filling(byte))
}

/// Decodes up to `limit` bytes.
pub(super) fn decode(data: &str, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(limit.min(data.len() / 4 * 3 + 3));
    let (mut bits, mut count) = (0_u32, 0);
    for value in data.bytes().filter_map(value) {
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
            bits &= (1 << count) - 1;
        }
        if bytes.len() >= limit {
            break;
        }
    }
    bytes
}

fn is_filling(byte: u8) -> bool {
    matches!(byte, b'=' | b'%' | b'\r' | b'\n')
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
