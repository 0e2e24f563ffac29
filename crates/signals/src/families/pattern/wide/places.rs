//! The places of a pattern: one for each character that it asks for, repetitions written out, and
//! one for each look-around. What may follow which is all that matching needs.

use super::alphabet::{Alphabet, Ranges};
use super::{Row, row, set};
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};
use std::collections::HashMap;

/// Places of a pattern, at most.
const MOST: usize = 1 << 14;
/// Pairs of places that may follow each other, at most.
const MOST_PAIRS: usize = 1 << 18;

/// The places of a pattern.
#[derive(Default)]
pub(super) struct Places {
    /// Those that a match may begin with.
    pub(super) first: Vec<usize>,
    /// Those that may follow each.
    pub(super) follow: Vec<Vec<usize>>,
    /// Those that take no character.
    pub(super) looks: Vec<(usize, Look)>,
    /// Follows the last place of a match.
    pub(super) end: usize,
    /// Those that take a character, with the set that it must be of.
    characters: Vec<(usize, usize)>,
    sets: Vec<Ranges>,
    known: HashMap<Ranges, usize>,
    pairs: usize,
}

/// A part of a pattern.
#[derive(Clone)]
struct Part {
    first: Vec<usize>,
    last: Vec<usize>,
    /// It may be left out.
    is_optional: bool,
}

impl Part {
    fn empty() -> Self {
        Self {
            first: Vec::new(),
            last: Vec::new(),
            is_optional: true,
        }
    }
}

impl Places {
    /// Writes out a pattern; `None` if that is too much, or not to be done.
    pub(super) fn of(hir: &Hir) -> Option<Self> {
        let mut places = Self::default();
        let whole = places.part(hir)?;
        places.end = places.place()?;
        let end = Part {
            first: vec![places.end],
            last: vec![places.end],
            is_optional: false,
        };
        places.first = places.then(whole, end)?.first;
        Some(places)
    }

    /// Returns the classes of characters and the places that take each.
    pub(super) fn takers(&self, words: usize) -> (Alphabet, Vec<Row>) {
        let (alphabet, members) = Alphabet::of(&self.sets);
        let mut takers = vec![row(words, &[]); members.len()];
        for (place, wanted) in &self.characters {
            for (row, is_member) in takers.iter_mut().zip(&members) {
                if is_member[*wanted] {
                    set(row, *place);
                }
            }
        }
        (alphabet, takers)
    }

    fn part(&mut self, hir: &Hir) -> Option<Part> {
        match hir.kind() {
            HirKind::Empty => Some(Part::empty()),
            HirKind::Literal(literal) => {
                let mut whole = Part::empty();
                for c in std::str::from_utf8(&literal.0).ok()?.chars() {
                    let part = self.character(vec![(c.into(), c.into())])?;
                    whole = self.then(whole, part)?;
                }
                Some(whole)
            }
            HirKind::Class(class) => self.character(ranges(class)?),
            HirKind::Look(look) => {
                if !is_known(*look) {
                    return None;
                }
                let place = self.place()?;
                self.looks.push((place, *look));
                Some(one(place))
            }
            HirKind::Capture(capture) => self.part(&capture.sub),
            HirKind::Concat(parts) => {
                let mut whole = Part::empty();
                for part in parts {
                    let part = self.part(part)?;
                    whole = self.then(whole, part)?;
                }
                Some(whole)
            }
            HirKind::Alternation(parts) => {
                let mut whole = Part {
                    is_optional: false,
                    ..Part::empty()
                };
                for part in parts {
                    let part = self.part(part)?;
                    whole.first.extend(part.first);
                    whole.last.extend(part.last);
                    whole.is_optional |= part.is_optional;
                }
                Some(whole)
            }
            HirKind::Repetition(repetition) => self.repetition(repetition),
        }
    }

    fn repetition(&mut self, repetition: &Repetition) -> Option<Part> {
        let mut whole = Part::empty();
        let mut last = Part::empty();
        for _ in 0..repetition.min {
            last = self.part(&repetition.sub)?;
            whole = self.then(whole, last.clone())?;
        }
        let Some(most) = repetition.max else {
            if repetition.min == 0 {
                last = self.part(&repetition.sub)?;
                whole = last.clone();
                whole.is_optional = true;
            }
            self.link(&last.last, &last.first)?;
            return Some(whole);
        };

        // Each of the others may follow the one before it; a match may go on behind any.
        let mut before = whole.clone();
        for _ in repetition.min..most {
            let part = self.part(&repetition.sub)?;
            self.link(&before.last, &part.first)?;
            if before.is_optional {
                whole.first.extend(&part.first);
            }
            whole.last.extend(&part.last);
            if part.is_optional {
                before.last.extend(&part.last);
            } else {
                before = part;
            }
        }
        Some(whole)
    }

    /// Puts a part behind another.
    fn then(&mut self, before: Part, after: Part) -> Option<Part> {
        self.link(&before.last, &after.first)?;
        let mut first = before.first;
        if before.is_optional {
            first.extend(after.first);
        }
        let mut last = after.last;
        if after.is_optional {
            last.extend(before.last);
        }
        Some(Part {
            first,
            last,
            is_optional: before.is_optional && after.is_optional,
        })
    }

    fn link(&mut self, before: &[usize], after: &[usize]) -> Option<()> {
        self.pairs += before.len() * after.len();
        if self.pairs > MOST_PAIRS {
            return None;
        }
        for place in before {
            self.follow.get_mut(*place)?.extend(after);
        }
        Some(())
    }

    fn character(&mut self, ranges: Ranges) -> Option<Part> {
        let set = match self.known.get(&ranges) {
            Some(set) => *set,
            None => {
                self.sets.push(ranges.clone());
                self.known.insert(ranges, self.sets.len() - 1);
                self.sets.len() - 1
            }
        };
        let place = self.place()?;
        self.characters.push((place, set));
        Some(one(place))
    }

    fn place(&mut self) -> Option<usize> {
        self.follow.push(Vec::new());
        (self.follow.len() <= MOST).then(|| self.follow.len() - 1)
    }
}

fn one(place: usize) -> Part {
    Part {
        first: vec![place],
        last: vec![place],
        is_optional: false,
    }
}

fn is_known(look: Look) -> bool {
    matches!(
        look,
        Look::Start
            | Look::End
            | Look::StartLF
            | Look::EndLF
            | Look::WordAscii
            | Look::WordAsciiNegate
    )
}

/// Returns the characters of a class; `None` if it has bytes outside ASCII.
fn ranges(class: &Class) -> Option<Ranges> {
    match class {
        Class::Unicode(class) => {
            let ranges = class.iter();
            Some(
                ranges
                    .map(|it| (it.start().into(), it.end().into()))
                    .collect(),
            )
        }
        Class::Bytes(class) => {
            let ranges = class.iter();
            let ranges = ranges.map(|it| {
                it.end()
                    .is_ascii()
                    .then(|| (it.start().into(), it.end().into()))
            });
            ranges.collect()
        }
    }
}
