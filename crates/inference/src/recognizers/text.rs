//! A text by its Unicode scalar values, as recognizers read it: as it looks, whatever characters it
//! is written with.

use super::Found;
use crate::ask::Entity;
use crate::legible::Legible;
use std::sync::Arc;

/// Scalars of a text as a reader sees them.
pub(super) struct Text {
    legible: Legible,
    /// Reads so far, for the test that cost is linear.
    #[cfg(test)]
    pub(super) reads: std::cell::Cell<usize>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        Self {
            legible: Legible::of(text),
            #[cfg(test)]
            reads: std::cell::Cell::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.legible.scalars.len()
    }

    /// The scalar at `at`.
    pub(super) fn get(&self, at: usize) -> Option<char> {
        #[cfg(test)]
        self.reads.set(self.reads.get() + 1);
        self.legible.scalars.get(at).copied()
    }

    /// What was found, with the places that it has in the text as it was written.
    pub(super) fn entity(&self, found: Found) -> Entity {
        let (start, end) = self.legible.origin(found.start, found.end);
        Entity {
            kind: Arc::from(found.kind),
            confidence: found.confidence,
            start,
            end,
        }
    }

    /// The scalar before `at`.
    pub(super) fn before(&self, at: usize) -> Option<char> {
        self.get(at.checked_sub(1)?)
    }

    /// Whether `at` begins a run of letters and digits.
    pub(super) fn begins_word(&self, at: usize) -> bool {
        !self.before(at).is_some_and(is_word)
    }

    /// Whether a run of letters and digits may end before `at`.
    pub(super) fn ends_word(&self, at: usize) -> bool {
        !self.get(at).is_some_and(is_word)
    }

    /// End of the scalars from `at` that satisfy `holds`, at most `bound` of them.
    pub(super) fn run(&self, at: usize, bound: usize, holds: impl Fn(char) -> bool) -> usize {
        let mut end = at;
        while end < at + bound && self.get(end).is_some_and(&holds) {
            end += 1;
        }
        end
    }

    /// Start of the scalars up to `end` that satisfy `holds`, at most `bound` of them.
    pub(super) fn run_back(&self, end: usize, bound: usize, holds: impl Fn(char) -> bool) -> usize {
        let mut start = end;
        while start + bound > end && self.before(start).is_some_and(&holds) {
            start -= 1;
        }
        start
    }

    /// Scalars `start..end` as a string.
    pub(super) fn slice(&self, start: usize, end: usize) -> String {
        (start..end).filter_map(|at| self.get(at)).collect()
    }

    /// The same in lower case.
    pub(super) fn lower(&self, start: usize, end: usize) -> String {
        self.slice(start, end).to_lowercase()
    }
}

/// Letters, digits and what joins them in identifiers. Letters that no identifier is written in are
/// not among them: Chinese, Japanese and Thai stand beside a number without a space, and Korean,
/// Hebrew and Arabic hang particles on.
pub(super) fn is_word(scalar: char) -> bool {
    if scalar.is_ascii() {
        return scalar.is_ascii_alphanumeric() || scalar == '_';
    }
    scalar.is_alphanumeric() && is_identifying(scalar)
}

/// Whether a letter belongs to the Latin, Greek or Cyrillic script, by the blocks of the others.
fn is_identifying(letter: char) -> bool {
    !matches!(
        letter,
        '\u{530}'..='\u{1C7F}'
            | '\u{2D00}'..='\u{2DDF}'
            | '\u{2E80}'..='\u{A63F}'
            | '\u{A6A0}'..='\u{A71F}'
            | '\u{A800}'..='\u{AB2F}'
            | '\u{AB70}'..='\u{FAFF}'
            | '\u{FB07}'..='\u{FFFF}'
            | '\u{10000}'..
    )
}

/// Hyphens and dashes of all lengths.
pub(super) fn is_dash(scalar: char) -> bool {
    matches!(scalar, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Blanks within a line.
pub(super) fn is_blank(scalar: char) -> bool {
    matches!(scalar, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\t')
}
