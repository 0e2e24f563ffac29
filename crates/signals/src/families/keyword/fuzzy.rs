//! Near spellings: a keyword also matches when some word of the text is few edits away.
//!
//! Words are runs of letters and digits, in lower case, each distinct one once per request. Only
//! words whose length is within the distance are compared, by a bit-parallel Levenshtein with that
//! bound.

use crate::families::letters;
use crate::families::slices::{copied, slices};
use rapidfuzz::distance::levenshtein::{Args, BatchComparator};
use std::collections::HashSet;

/// The distance of a rule that names none.
const DEFAULT_DISTANCE: usize = 2;

/// The keywords of one rule, prepared.
pub(super) struct Fuzzy {
    keywords: Vec<(usize, BatchComparator<char>)>,
    distance: usize,
}

impl Fuzzy {
    /// `distance` 0 means 2.
    pub(super) fn new(keywords: &[String], distance: u32) -> Self {
        let prepare = |keyword: &String| {
            let lower = letters::lower_all(keyword);
            (lower.chars().count(), BatchComparator::new(lower.chars()))
        };
        Self {
            keywords: keywords.iter().map(prepare).collect(),
            distance: if distance == 0 {
                DEFAULT_DISTANCE
            } else {
                distance as usize
            },
        }
    }

    /// Some word is near the keyword at position `at`.
    pub(super) fn matches(&self, at: usize, words: &Words) -> bool {
        let Some((length, keyword)) = self.keywords.get(at) else {
            return false;
        };
        let bound = Args::default().score_cutoff(self.distance);
        words.words.iter().any(|(word_length, word)| {
            word_length.abs_diff(*length) <= self.distance
                && keyword.distance_with_args(word.chars(), &bound).is_some()
        })
    }
}

/// The distinct words of one text, in lower case, with their lengths in characters.
pub(super) struct Words {
    words: Vec<(usize, Box<str>)>,
    /// Nothing of the text was left out.
    pub(super) are_all: bool,
}

impl Words {
    /// Splits as much of a text as may be copied, until it `is_late`.
    pub(super) fn of(text: &str, is_late: impl Fn() -> bool) -> Self {
        let read = copied(text);
        let mut are_all = read.len() == text.len();
        let mut words: HashSet<Box<str>> = HashSet::new();
        for slice in slices(read) {
            if is_late() {
                are_all = false;
                break;
            }
            let lower = letters::lower_all(slice);
            for word in lower.split(|c| !letters::is_alphanumeric(c)) {
                if !word.is_empty() && !words.contains(word) {
                    words.insert(word.into());
                }
            }
        }
        let words = words.into_iter();
        Self {
            words: words.map(|word| (word.chars().count(), word)).collect(),
            are_all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn distances() {
        for (keyword, distance, text, expected) in [
            ("urgent", 0, "this is Urgnet!", true),
            ("urgent", 1, "this is urgnet", false),
            ("URGENT", 0, "urgent", true),
            ("ai", 2, "to", true),
            ("ai", 2, "a", true),
            ("ai", 2, "abc", true),
            ("ai", 2, "xyzw", false),
            ("ai", 2, "?!", false),
            ("credit card", 2, "credit card", false),
            ("credit card", 5, "creditcard", true),
            ("привет", 1, "превет мир", true),
        ] {
            let fuzzy = Fuzzy::new(&[keyword.to_owned()], distance);
            assert_eq!(
                fuzzy.matches(0, &Words::of(text, || false)),
                expected,
                "{keyword} ~{distance} {text}"
            );
        }
    }

    proptest! {
        #[test]
        fn bound_changes_nothing(keyword in "[abc]{0,7}", word in "[abcé]{1,7}", distance in 1_u32..4) {
            let expected = strsim::levenshtein(&keyword, &word) <= distance as usize;
            prop_assert_eq!(Fuzzy::new(&[keyword], distance).matches(0, &Words::of(&word, || false)), expected);
        }
    }
}
