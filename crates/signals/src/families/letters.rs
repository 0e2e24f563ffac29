//! The letter classes that rules speak of, as Go's Unicode tables and RE2 have them: ASCII answers
//! at once, the rest by binary search in ranges that are made once per process.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};
use std::sync::LazyLock;

/// A letter or a decimal digit of any script.
pub(super) fn is_alphanumeric(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    LETTERS_AND_DIGITS.contains(c)
}

/// What RE2 calls a word character: ASCII letters, digits and `_`.
pub(super) fn is_ascii_word(byte: u8) -> bool {
    is_ascii_alphanumeric(byte) | (byte == b'_')
}

/// An ASCII letter or digit. Without branches, so that compilers make vector code of loops.
pub(super) fn is_ascii_alphanumeric(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_digit = byte.wrapping_sub(b'0') < 10;
    is_letter | is_digit
}

/// A word character of any script: letters, marks, digits, connectors.
pub(super) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return is_ascii_word(c as u8);
    }
    WORD.contains(c)
}

/// Han.
pub(super) fn is_han(c: char) -> bool {
    c >= '\u{2E80}' && HAN.contains(c)
}

/// Han, Hiragana, Katakana or Hangul. The prolonged sound mark `ー` belongs to no single script and
/// is not among them.
pub(super) fn is_cjk(c: char) -> bool {
    c >= '\u{1100}' && CJK.contains(c)
}

/// A character of a script that is written without spaces, or that hangs particles on its words: a
/// word boundary says nothing there.
pub(super) fn is_unspaced(c: char) -> bool {
    c >= '\u{0E00}' && UNSPACED.contains(c)
}

/// One character to its lower case: `Σ` is `σ` also at a word's end, `İ` is `i`.
pub(super) fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// [`lower`] of every character.
pub(super) fn lower_all(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().map(lower).collect()
}

/// The characters outside ASCII that fold into it: to `s` and to `k`.
pub(super) const FOLDS_INTO_ASCII: [char; 2] = ['\u{17F}', '\u{212A}'];

/// Some other character is the same but for case.
pub(super) fn has_case(c: char) -> bool {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    class.try_case_fold_simple().is_err()
        || class.ranges().len() > 1
        || class.ranges().iter().any(|r| r.len() > 1)
}

/// The class of [`is_unspaced`], to stand inside the brackets of a pattern.
pub(super) const UNSPACED_CLASS: &str =
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\x{30FC}\x{FF70}";

static LETTERS_AND_DIGITS: LazyLock<Ranges> = LazyLock::new(|| Ranges::parse(r"[\p{L}\p{Nd}]"));
static WORD: LazyLock<Ranges> = LazyLock::new(|| Ranges::parse(r"\w"));
static HAN: LazyLock<Ranges> = LazyLock::new(|| Ranges::parse(r"\p{Han}"));
static CJK: LazyLock<Ranges> =
    LazyLock::new(|| Ranges::parse(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"));
static UNSPACED: LazyLock<Ranges> = LazyLock::new(|| Ranges::parse(&format!("[{UNSPACED_CLASS}]")));

/// Sorted, disjoint ranges of characters.
struct Ranges(Vec<(char, char)>);

impl Ranges {
    /// The ranges of a pattern that is one class; none if it is something else.
    fn parse(class: &str) -> Self {
        let ranges = regex_syntax::parse(class)
            .ok()
            .and_then(|hir| match hir.into_kind() {
                HirKind::Class(Class::Unicode(class)) => {
                    Some(class.iter().map(|r| (r.start(), r.end())).collect())
                }
                _ => None,
            });
        Self(ranges.unwrap_or_default())
    }

    fn contains(&self, c: char) -> bool {
        let after = self.0.partition_point(|&(start, _)| start <= c);
        after
            .checked_sub(1)
            .and_then(|at| self.0.get(at))
            .is_some_and(|&(_, end)| c <= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_should() {
        for (c, alnum, word, han, cjk, unspaced) in [
            ('a', true, true, false, false, false),
            ('_', false, true, false, false, false),
            ('é', true, true, false, false, false),
            ('Я', true, true, false, false, false),
            ('数', true, true, true, true, true),
            ('コ', true, true, false, true, true),
            ('ー', true, true, false, false, true),
            ('한', true, true, false, true, true),
            ('ก', true, true, false, false, true),
            ('५', true, true, false, false, false),
            ('ी', false, true, false, false, false),
            ('½', false, false, false, false, false),
            ('…', false, false, false, false, false),
        ] {
            let got = (
                is_alphanumeric(c),
                is_word(c),
                is_han(c),
                is_cjk(c),
                is_unspaced(c),
            );
            assert_eq!(got, (alnum, word, han, cjk, unspaced), "{c}");
        }
    }

    #[test]
    fn lower_case_is_one_to_one() {
        assert_eq!(lower_all("ΟΔΟΣ İI ẞ"), "οδοσ ii ß");
    }

    #[test]
    fn case_is_known() {
        for (c, cased) in [
            ('k', true),
            ('é', true),
            ('数', false),
            ('ſ', true),
            ('한', false),
            ('!', false),
        ] {
            assert_eq!(has_case(c), cased, "{c}");
        }
    }
}
