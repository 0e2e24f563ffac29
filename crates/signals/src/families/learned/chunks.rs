//! Cutting a long text into overlapping pieces of bounded size, so that an attack in it is not
//! averaged away.
//!
//! Sizes are estimates in quarter tokens, as the reference has them: a letter or digit 2 at the
//! start of a word and 1 within, a Han, Hiragana, Katakana or Hangul character 6, anything else 1.

use crate::families::letters::{is_alphanumeric, is_cjk};

/// Size of a piece for attacks, quarter tokens.
pub(super) const JAILBREAK: u32 = 1536;
/// Scalar values that two neighbours share.
const OVERLAP: usize = 64;

/// The pieces of `text`; the whole of it if it is within `budget`.
pub(super) fn chunks(text: &str, budget: u32) -> Vec<&str> {
    // Each scalar value costs 6 at most, and a byte never more than 2.
    if text.len() <= budget as usize / 2 {
        return vec![text];
    }
    let offsets: Vec<usize> = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    let letters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut start = 0;
    while start < letters.len() {
        let end = start + length(&letters[start..], budget);
        found.push(text.get(offsets[start]..offsets[end]).unwrap_or_default());
        if end == letters.len() {
            break;
        }
        start = (start + 1).max(end.saturating_sub(OVERLAP));
    }
    found
}

/// How many scalar values fit, one at least.
fn length(letters: &[char], budget: u32) -> usize {
    let (mut cost, mut in_word) = (0, false);
    for (count, &letter) in letters.iter().enumerate() {
        let word = !is_cjk(letter) && is_alphanumeric(letter);
        cost += match (is_cjk(letter), word && !in_word) {
            (true, _) => 6,
            (false, true) => 2,
            (false, false) => 1,
        };
        in_word = word;
        if cost > budget && count > 0 {
            return count;
        }
    }
    letters.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, budget: u32, expected: &[(usize, usize)]) {
        let letters: Vec<char> = text.chars().collect();
        let pieces: Vec<String> = expected
            .iter()
            .map(|&(from, to)| letters[from..to].iter().collect::<String>())
            .collect();
        assert_eq!(chunks(text, budget), pieces);
    }

    #[test]
    fn pieces_have_the_size_of_the_budget() {
        check("", 512, &[(0, 0)]);
        check("short", 4, &[(0, 3), (1, 4), (2, 5)]);
        check("ab cd", 7, &[(0, 5)]);
        check("ab cd", 6, &[(0, 4), (1, 5)]);
        check(&"字".repeat(300), 1536, &[(0, 256), (192, 300)]);
        check(&"字".repeat(256), 1536, &[(0, 256)]);
        check(&"a".repeat(1535), 1536, &[(0, 1535)]);
        check(&"a".repeat(1600), 1536, &[(0, 1535), (1471, 1600)]);
        check("字字字", 1, &[(0, 1), (1, 2), (2, 3)]);
    }

    /// Word state starts over in each piece.
    #[test]
    fn pieces_overlap() {
        let text = "word ".repeat(400);
        let pieces = chunks(&text, 512);
        assert!(pieces.len() > 4 && pieces.iter().all(|piece| piece.len() <= 512));
        let joined: usize = pieces.iter().map(|piece| piece.len()).sum();
        assert_eq!(joined, text.len() + (pieces.len() - 1) * 64);
    }
}
