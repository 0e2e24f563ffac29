//! Texts in composed form (NFC), as encoders learned them.
//!
//! Some systems write `한` as three signs and `é` as two. Tokenizers take them for other words, and what
//! was learned of the composed form does not hold. Most texts are composed already.

use std::iter;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A text in composed form, and where its scalars come from.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) text: String,
    pub(crate) places: Places,
}

/// For each scalar of the composed form, from where to where it comes from, in scalars.
#[derive(Debug)]
pub(crate) struct Places(Vec<(usize, usize)>);

impl Composed {
    /// Composes a text; nothing if it is composed already.
    pub(crate) fn of(text: &str) -> Option<Self> {
        if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
            return None;
        }
        let mut composed = Self {
            text: String::with_capacity(text.len()),
            places: Places(Vec::new()),
        };
        let mut run: Vec<char> = Vec::new();
        let mut read = 0;
        for scalar in text.chars() {
            if begins(scalar) {
                read = composed.add(&mut run, read);
            }
            run.push(scalar);
        }
        composed.add(&mut run, read);
        Some(composed)
    }

    /// Adds a run of scalars that nothing around it joins with. Returns where it ends.
    fn add(&mut self, run: &mut Vec<char>, begin: usize) -> usize {
        let end = begin + run.len();
        for scalar in run.drain(..).nfc() {
            self.text.push(scalar);
            self.places.0.push((begin, end));
        }
        end
    }
}

impl Places {
    /// Returns which scalars of the text those from `start` to `end` come from.
    pub(crate) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        let from = self.0.get(start).map_or(start, |(from, _)| *from);
        let last = end.checked_sub(1).and_then(|last| self.0.get(last));
        (from, last.map_or(end, |(_, to)| *to))
    }
}

/// Whether a scalar joins with none before it.
fn begins(scalar: char) -> bool {
    canonical_combining_class(scalar) == 0
        && is_nfc_quick(iter::once(scalar)) != IsNormalized::Maybe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = Composed::of(text);
        assert_eq!(found.map(|found| found.text).as_deref(), expected, "{text}");
    }

    #[test]
    fn composes_what_is_apart() {
        check("", None);
        check("plain, é, 한국어, हिन्दी", None);
        check(
            "\u{1112}\u{1161}\u{11AB}\u{1100}\u{116E}\u{11A8}",
            Some("한국"),
        );
        check("cafe\u{301} au lait", Some("café au lait"));
        check("tie\u{302}\u{301}ng Vie\u{323}\u{302}t", Some("tiếng Việt"));
    }

    #[test]
    fn places_lead_back() {
        let composed = Composed::of("I met \u{1112}\u{1161}\u{11AB} Zoe\u{308}.").unwrap();
        assert_eq!(composed.text, "I met 한 Zoë.");
        assert_eq!(composed.places.origin(6, 7), (6, 9));
        assert_eq!(composed.places.origin(8, 11), (10, 14));
        assert_eq!(composed.places.origin(11, 12), (14, 15));
        assert_eq!(composed.places.origin(0, 0), (0, 0));
    }

    proptest! {
        #[test]
        fn equals_the_form_of_the_library(text in "[a-zé\u{301}\u{323}\u{302}\u{1100}\u{1161}\u{11A8}한か\u{3099}क\u{93C}]{0,20}") {
            let expected: String = text.nfc().collect();
            let found = Composed::of(&text).map_or(text.clone(), |found| found.text);
            prop_assert_eq!(found, expected);
        }
    }
}
