//! Reading a text in slices: what is made of one is small, and a reader may stop behind each.

/// Bytes of a turn that a family reads which makes copies of it: words, stems, groups of letters, a
/// legible form. What stands behind them is unread.
pub(super) const COPIED: usize = 1 << 20;
/// A slice ends at the first white space behind so many bytes...
const SLICE: usize = 16 << 10;
/// ...but is no longer than this.
const LONGEST: usize = 64 << 10;

/// Returns as much of a text as is copied, to the end of a word.
pub(super) fn copied(text: &str) -> &str {
    if text.len() <= COPIED {
        return text;
    }
    let most = text.get(..text.floor_char_boundary(COPIED));
    let most = most.unwrap_or_default();
    let end = most.rfind(|c: char| c.is_ascii_whitespace());
    // A word that is longer than a slice is cut by slices as well.
    let end = end.filter(|end| most.len() - end <= LONGEST);
    most.get(..end.unwrap_or(most.len())).unwrap_or_default()
}

/// Cuts a text at white space. What has none for longer than a slice can be is cut between two
/// characters.
pub(super) fn slices(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (slice, rest) = text.split_at(end_of_slice(text));
        text = rest;
        Some(slice)
    })
}

fn end_of_slice(text: &str) -> usize {
    if text.len() <= SLICE {
        return text.len();
    }
    let longest = text.floor_char_boundary(LONGEST);
    let within = text.as_bytes().get(SLICE..longest).unwrap_or_default();
    let space = within.iter().position(u8::is_ascii_whitespace);
    space.map_or(longest, |at| SLICE + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_the_text() {
        for text in [
            String::new(),
            "short".into(),
            "word ".repeat(30_000),
            "数".repeat(100_000),
            format!("{} x", "é".repeat(40_000)),
        ] {
            assert_eq!(slices(&text).collect::<String>(), text);
            for slice in slices(&text) {
                assert!(!slice.is_empty() && slice.len() <= LONGEST);
                let follows = slice.as_ptr() as usize - text.as_ptr() as usize;
                let is_cut_in_word = follows > 0 && !slice.starts_with(' ');
                assert!(!is_cut_in_word || !text.starts_with("word"));
            }
        }
    }

    #[test]
    fn no_more_is_copied_than_the_bound() {
        for (text, expected) in [
            ("word ".repeat(300_000), COPIED - 2),
            ("a".repeat(COPIED), COPIED),
            ("a".repeat(COPIED + 1), COPIED),
            ("数".repeat(COPIED), COPIED - 1),
        ] {
            assert_eq!(copied(&text).len(), expected, "{}", text.len());
        }
    }
}
