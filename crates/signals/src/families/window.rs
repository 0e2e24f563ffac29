//! What long texts look like to families that read only part of them: head, middle and tail with a
//! marker between.

use std::borrow::Cow;

/// Longest text that is read whole, in scalar values.
const LIMIT: usize = 2048;
const HEAD: usize = 682;
const MIDDLE: usize = 682;
const TAIL: usize = 684;
const MARKER: &str = "\n... [content sampled for routing signal evaluation] ...\n";

/// The text itself up to [`LIMIT`], else 2,162 scalar values of it and the markers.
pub(super) fn window(text: &str) -> Cow<'_, str> {
    if text.len() <= LIMIT {
        return Cow::Borrowed(text);
    }
    let length = text.chars().count();
    if length <= LIMIT {
        return Cow::Borrowed(text);
    }
    let head = piece(text, 0, HEAD);
    let middle = piece(text, (length - MIDDLE) / 2, MIDDLE);
    let tail = piece(text, length - TAIL, TAIL);
    Cow::Owned([head, MARKER, middle, MARKER, tail].concat())
}

/// `count` scalar values from the one at `start`.
fn piece(text: &str, start: usize, count: usize) -> &str {
    let from = offset(text, start);
    let rest = text.get(from..).unwrap_or_default();
    rest.get(..offset(rest, count)).unwrap_or_default()
}

/// Byte offset of the scalar value at `index`.
fn offset(text: &str, index: usize) -> usize {
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay() {
        for text in [String::new(), "a".repeat(2048), "é".repeat(2048)] {
            assert!(matches!(window(&text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn long_texts_show_head_middle_and_tail() {
        assert_eq!(MARKER.chars().count(), 57);
        for (length, middle) in [(2049, 683), (5000, 2159), (10_001, 4659)] {
            let text: Vec<char> = (0..length)
                .filter_map(|n| char::from_u32(0x4E00 + n))
                .collect();
            let sampled: Vec<char> = window(&text.iter().collect::<String>()).chars().collect();
            assert_eq!(sampled.len(), 2162);
            assert_eq!(sampled[..682], text[..682]);
            assert_eq!(sampled[682..739].iter().collect::<String>(), MARKER);
            assert_eq!(sampled[739..1421], text[middle..middle + 682]);
            assert_eq!(sampled[1478..], text[text.len() - 684..]);
        }
    }
}
