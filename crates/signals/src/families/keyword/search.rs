//! Finds literals by the words that they contain.
//!
//! A literal of ASCII that has a word character can be anchored: at its first one, which in a text
//! begins a word if nothing stands before it in the literal but other characters, or if its rule
//! asks for a boundary there. So only the words' begins in a text are looked at, one in six bytes
//! or so, where an automaton looks at each.

use crate::families::slices::slices;
use crate::families::{letters, words};
use std::ops::Range;

/// Literals that are searched together, each with what it is looked for.
pub(super) struct WordSearch<T> {
    literals: Vec<Literal<T>>,
    /// A bit for each hash of the four bytes at some literal's anchor, cases folded.
    filter: Box<[u64; FILTER_WORDS]>,
    /// Literals by these four bytes, sorted.
    long: Vec<(u32, Vec<usize>)>,
    /// Literals that have fewer bytes at their anchor, by the first one; empty without any.
    short: Vec<Vec<usize>>,
}

struct Literal<T> {
    text: Box<str>,
    anchor: usize,
    case_sensitive: bool,
    target: T,
}

/// Finds where a literal of ASCII can be anchored: at its first word character. `None` without any.
pub(super) fn anchor(literal: &str) -> Option<usize> {
    let is_word = |byte: u8| letters::is_ascii_word(byte);
    literal
        .bytes()
        .position(is_word)
        .filter(|_| literal.is_ascii())
}

/// Words of the filter: 8 KB, which stay in the processor's nearest cache.
const FILTER_WORDS: usize = 1024;

impl<T> Default for WordSearch<T> {
    fn default() -> Self {
        Self {
            literals: Vec::new(),
            filter: Box::new([0; FILTER_WORDS]),
            long: Vec::new(),
            short: Vec::new(),
        }
    }
}

impl<T> WordSearch<T> {
    /// Adds a literal, found with or without its case, and says whether it can be anchored: if not,
    /// it is not found. One that begins with a word character is found only where a word begins.
    pub(super) fn add(&mut self, literal: &str, case_sensitive: bool, target: T) -> bool {
        let Some(anchor) = anchor(literal) else {
            return false;
        };
        let number = self.literals.len();
        let tail = literal.as_bytes().get(anchor..).unwrap_or_default();
        match tail.first_chunk() {
            Some(head) => {
                let head = folded(*head);
                match self.long.binary_search_by_key(&head, |(head, _)| *head) {
                    Ok(at) => self.long[at].1.push(number),
                    Err(at) => self.long.insert(at, (head, vec![number])),
                }
                let (word, bit) = place(head);
                self.filter[word] |= bit;
            }
            None => {
                self.short.resize_with(256, Vec::new);
                self.short[first(tail)].push(number);
            }
        }
        self.literals.push(Literal {
            text: literal.into(),
            anchor,
            case_sensitive,
            target,
        });
        true
    }

    /// Calls `each` with what every occurrence is looked for, and with its place, until it
    /// `is_late`. Tells whether all was read.
    pub(super) fn find(
        &self,
        text: &str,
        is_late: impl Fn() -> bool,
        mut each: impl FnMut(&T, Range<usize>),
    ) -> bool {
        if self.literals.is_empty() {
            return true;
        }
        let bytes = text.as_bytes();
        let mut compare = |numbers: &[usize], at: usize| {
            for literal in numbers.iter().filter_map(|at| self.literals.get(*at)) {
                if let Some(place) = literal.place(bytes, at) {
                    each(&literal.target, place);
                }
            }
        };
        let mut from = 0;
        // A word that is cut begins once more within. What is found there has no word boundary
        // before it, and rules look for that in the whole text.
        for slice in slices(text) {
            if is_late() {
                return false;
            }
            words::each_word(slice, |at| {
                let at = from + at;
                let rest = bytes.get(at..).unwrap_or_default();
                if let Some(head) = rest.first_chunk().map(|head| folded(*head))
                    && self.may_begin(head)
                {
                    compare(self.long_at(head), at);
                }
                if let Some(numbers) = self.short.get(first(rest)) {
                    compare(numbers, at);
                }
            });
            from += slice.len();
        }
        true
    }

    /// Tells whether some literal may have these four bytes at its anchor.
    fn may_begin(&self, head: u32) -> bool {
        let (word, bit) = place(head);
        self.filter[word] & bit != 0
    }

    /// Returns the literals with these four bytes at their anchor.
    fn long_at(&self, head: u32) -> &[usize] {
        let found = self.long.binary_search_by_key(&head, |(head, _)| *head);
        found.map_or(&[], |at| self.long[at].1.as_slice())
    }
}

impl<T> Literal<T> {
    /// Returns the literal's place if its anchor is at `at`.
    fn place(&self, bytes: &[u8], at: usize) -> Option<Range<usize>> {
        let start = at.checked_sub(self.anchor)?;
        let place = start..start + self.text.len();
        let found = bytes.get(place.clone())?;
        let equal = if self.case_sensitive {
            found == self.text.as_bytes()
        } else {
            found.eq_ignore_ascii_case(self.text.as_bytes())
        };
        equal.then_some(place)
    }
}

/// Makes of four bytes a number that is the same for both cases. Some other bytes become equal too,
/// which the comparison of the whole literal tells apart.
fn folded(head: [u8; 4]) -> u32 {
    u32::from_le_bytes(head) | 0x2020_2020
}

/// Returns the first byte, its case folded like that of a head.
fn first(bytes: &[u8]) -> usize {
    bytes.first().map_or(0, |byte| usize::from(byte | 0x20))
}

/// Finds a head's bit in the filter.
fn place(head: u32) -> (usize, u64) {
    let hash = head.wrapping_mul(0x9E37_79B1) >> 16;
    ((hash / 64) as usize, 1 << (hash % 64))
}
