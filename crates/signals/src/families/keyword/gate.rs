//! What must stand in a text for a pattern to be found there.
//!
//! Most patterns contain some fixed piece: a word, `@`, `CVE-`. A text without it need not be read
//! by the pattern. What is found here is a necessary condition and no more; without such a piece,
//! the pattern reads every text.
//!
//! Cases are folded as far as ASCII goes. Two characters fold into ASCII from outside it: a text
//! that has one of them is read by all patterns, whatever is found here.

use super::search;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// A necessary condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gate {
    /// One of these, in lower case, of ASCII and not empty.
    Literals(Vec<Required>),
    /// So many bytes of a set, one behind the other.
    Run(Run),
    /// Nothing.
    Open,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Required {
    pub(super) text: String,
    /// Its first word character begins a word of the text.
    pub(super) is_anchored: bool,
}

/// A run of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    bytes: Box<[bool; 256]>,
    least: usize,
}

/// Limit of alternative pieces; a match contains one of them.
const MOST: usize = 128;
/// Pieces are cut to this length if there are more than a few.
const CUT: usize = 6;
const FEW: usize = 32;
/// Runs shorter than this are in most texts.
const SHORTEST_RUN: usize = 6;
/// Single characters that are in most texts.
const FREQUENT: &str = " .,-'\"\n\t()";

impl Gate {
    /// Derives the condition of a pattern in the engine's dialect, without a flag for its case.
    pub(super) fn of(pattern: &str) -> Self {
        let Ok(hir) = regex_syntax::parse(pattern) else {
            return Self::Open;
        };
        let mut whole = &hir;
        while let HirKind::Capture(capture) = whole.kind() {
            whole = &capture.sub;
        }
        let parts = match whole.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(whole),
        };
        // What is long and begins a word is rarely there by chance. Of equals the last is taken.
        let best = (0..parts.len())
            .rev()
            .filter_map(|from| required(parts, from))
            .max_by_key(|found| {
                let are_anchored = found.iter().all(|it| it.is_anchored);
                (are_anchored, shortest(found), Reverse(found.len()))
            });
        match best {
            Some(found) => Self::Literals(found),
            None => parts.iter().find_map(run).map_or(Self::Open, Self::Run),
        }
    }
}

impl Run {
    /// Tells whether the text has such a run.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let is_member = |byte: &&u8| self.bytes[usize::from(**byte)];
        // A byte that does not belong ends all runs that contain it, so most bytes need no look.
        let mut last = self.least - 1;
        while let Some(before) = bytes.get(..=last) {
            let members = before.iter().rev().take(self.least).take_while(is_member);
            let count = members.count();
            if count == self.least {
                return true;
            }
            last += self.least - count;
        }
        false
    }
}

/// Returns pieces such that every match contains one, for the part that begins at `from`; `None` if
/// they would tell nothing.
fn required(parts: &[Hir], from: usize) -> Option<Vec<Required>> {
    let first = parts.get(from)?;
    if matches!(first.kind(), HirKind::Look(_)) {
        return None;
    }
    let looks = parts.get(..from)?.iter().rev().map_while(look);
    let begins_word = looks.into_iter().any(|look| look == Look::WordAscii);
    let rest = Hir::concat(parts.get(from..)?.to_vec());
    let sequence = Extractor::new().extract(&rest);
    let literals = sequence.literals()?;
    let texts: BTreeSet<String> = literals.iter().map(|it| folded(it.as_bytes())).collect();
    let cut = if texts.len() > FEW { CUT } else { usize::MAX };
    let found: BTreeSet<Required> = texts
        .iter()
        .map(|text| {
            let text: String = text.chars().take(cut).collect();
            let is_anchored = match search::anchor(&text) {
                Some(0) => begins_word,
                Some(_) => true,
                None => false,
            };
            Required { text, is_anchored }
        })
        .collect();
    let tells = |it: &Required| match it.text.len() {
        0 => false,
        1 => {
            let is_letter = it.text.contains(|c: char| c.is_ascii_alphabetic());
            !is_letter && !FREQUENT.contains(&it.text)
        }
        _ => true,
    };
    let is_useful = !found.is_empty() && found.len() <= MOST && found.iter().all(tells);
    is_useful.then(|| found.into_iter().collect())
}

fn look(part: &Hir) -> Option<Look> {
    match part.kind() {
        HirKind::Look(look) => Some(*look),
        _ => None,
    }
}

fn shortest(found: &[Required]) -> usize {
    found.iter().map(|it| it.text.len()).min().unwrap_or(0)
}

/// Returns a piece's beginning as it is looked for: to the first character outside ASCII.
fn folded(piece: &[u8]) -> String {
    // What folds into ASCII stands for what it folds into.
    let piece = String::from_utf8_lossy(piece)
        .replace('\u{17F}', "s")
        .replace('\u{212A}', "k");
    let ascii = piece.chars().take_while(char::is_ascii);
    ascii.map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns the run that a repetition demands.
fn run(part: &Hir) -> Option<Run> {
    match part.kind() {
        HirKind::Capture(capture) => run(&capture.sub),
        HirKind::Repetition(repetition) => {
            let least = usize::try_from(repetition.min).ok()?;
            let HirKind::Class(class) = repetition.sub.kind() else {
                return None;
            };
            (least >= SHORTEST_RUN).then(|| Run {
                bytes: members(class),
                least,
            })
        }
        _ => None,
    }
}

/// Lists the bytes that characters of a class can have, in any case.
fn members(class: &Class) -> Box<[bool; 256]> {
    let mut bytes = Box::new([false; 256]);
    let mut add = |from: u32, to: u32| {
        for byte in 0..=127_u8 {
            let both = [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
            bytes[usize::from(byte)] |= both.iter().any(|c| (from..=to).contains(&u32::from(*c)));
        }
        if to > 127 {
            bytes
                .iter_mut()
                .skip(128)
                .for_each(|is_member| *is_member = true);
        }
        for (other, into) in [('\u{17F}', b"sS"), ('\u{212A}', b"kK")] {
            if (from..=to).contains(&u32::from(other)) {
                into.iter()
                    .for_each(|byte| bytes[usize::from(*byte)] = true);
            }
        }
    };
    match class {
        Class::Unicode(class) => class
            .iter()
            .for_each(|range| add(range.start().into(), range.end().into())),
        Class::Bytes(class) => class
            .iter()
            .for_each(|range| add(range.start().into(), range.end().into())),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(pattern: &str) -> Vec<(String, bool)> {
        match Gate::of(pattern) {
            Gate::Literals(found) => found
                .into_iter()
                .map(|it| (it.text, it.is_anchored))
                .collect(),
            other => panic!("{pattern}: {other:?}"),
        }
    }

    #[test]
    fn pieces_are_found() {
        let word = r"(?-u:\b)";
        for (pattern, expected) in [
            (
                format!("{word}how (?:do|can)"),
                vec![("how can", true), ("how do", true)],
            ),
            ("https?".to_owned(), vec![("http", false), ("https", false)]),
            (r"[a-z.+-]+@[a-z-]+".to_owned(), vec![("@", false)]),
            (
                format!("{word}ISBN[ :]"),
                vec![("isbn ", true), ("isbn:", true)],
            ),
            (format!("{word}compare.*with"), vec![("compare", true)]),
            ("(abc|ABC)é".to_owned(), vec![("abc", false)]),
            ("a\u{17F}k".to_owned(), vec![("ask", false)]),
            (
                "[a-z]{2,5}-[12]".to_owned(),
                vec![("-1", true), ("-2", true)],
            ),
        ] {
            let found = literals(&pattern);
            let found: Vec<_> = found
                .iter()
                .map(|(text, at)| (text.as_str(), *at))
                .collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn runs_are_found() {
        let Gate::Run(run) = Gate::of("(?-u:\\b)[0-9a-f]{7,40}") else {
            panic!("no run");
        };
        for (text, expected) in [
            ("", false),
            ("abcdef", false),
            ("abcdef0", true),
            ("xabcDEF0x", true),
            ("abcdef.abcdef.0123456", true),
            ("abcdef.abcdef.012345", false),
        ] {
            assert_eq!(run.is_in(text), expected, "{text}");
        }
        let Gate::Run(run) = Gate::of("[\u{17F}é]{6,}") else {
            panic!("no run");
        };
        assert!(run.is_in("ssSSss") && run.is_in("ééé") && !run.is_in("sssss"));
    }

    #[test]
    fn what_tells_nothing_is_open() {
        for pattern in ["", "a", ".*", "[a-z]+", "x?", "a|b", "[a-z]{3}", "é+", ", "] {
            let gate = Gate::of(pattern);
            let expected = if pattern == ", " { "Literals" } else { "Open" };
            assert!(
                format!("{gate:?}").starts_with(expected),
                "{pattern}: {gate:?}"
            );
        }
    }
}
