//! How much a pattern asks for, told by its form before anything is compiled.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Returns how many characters counted repetitions ask for, written out.
pub(super) fn counted(hir: &Hir) -> u32 {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => 0,
        HirKind::Capture(capture) => counted(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let parts = parts.iter().map(counted);
            parts.fold(0, u32::saturating_add)
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min);
            if times < 2 {
                return counted(&repetition.sub);
            }
            times.saturating_mul(characters(&repetition.sub))
        }
    }
}

/// Returns how many characters a pattern asks for, written out.
fn characters(hir: &Hir) -> u32 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Class(_) => 1,
        HirKind::Literal(literal) => u32::try_from(literal.0.len()).unwrap_or(u32::MAX),
        HirKind::Capture(capture) => characters(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let parts = parts.iter().map(characters);
            parts.fold(0, u32::saturating_add)
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            times.saturating_mul(characters(&repetition.sub))
        }
    }
}

/// Returns how many places of a pattern, written out, take one of several characters: any set of
/// them may be reached by some text, so an automaton has a state for each set.
pub(super) fn open(hir: &Hir) -> u32 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) => 0,
        HirKind::Class(class) => u32::from(!is_one_letter(class)),
        HirKind::Capture(capture) => open(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(open).fold(0, u32::saturating_add)
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            times.saturating_mul(open(&repetition.sub))
        }
    }
}

/// Tells whether a class is one letter in both cases.
fn is_one_letter(class: &Class) -> bool {
    let Class::Unicode(class) = class else {
        return false;
    };
    let mut letters = class.iter().flat_map(|range| range.start()..=range.end());
    let folded = |c: char| c.to_uppercase().flat_map(char::to_lowercase).next();
    let first = letters.next().and_then(folded);
    // No letter has more forms than four.
    let others = letters.take(4).map(folded);
    let mut count = 0;
    let are_same = others.inspect(|_| count += 1).all(|other| other == first);
    are_same && count < 4
}

/// Returns the automaton's states that a pattern asks for, written out; each range of a class
/// counts for one.
pub(super) fn states(hir: &Hir) -> u32 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => u32::try_from(literal.0.len()).unwrap_or(u32::MAX),
        HirKind::Class(class) => {
            let ranges = match class {
                Class::Unicode(class) => class.ranges().len(),
                Class::Bytes(class) => class.ranges().len(),
            };
            u32::try_from(ranges).unwrap_or(u32::MAX)
        }
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(states).fold(1, u32::saturating_add)
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            times.saturating_mul(states(&repetition.sub).saturating_add(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_places_are_counted() {
        for (pattern, expected) in [
            ("(?i)plain words", 0),
            ("a.b", 1),
            (r"[a-z]+@\w+", 2),
            (r"\d{3}-\d{4}", 7),
            ("x.{0,15}y", 15),
            ("(?:ab?){0,60}", 0),
            ("[ab][ab]", 2),
            ("(?i)ks é", 0),
        ] {
            assert_eq!(
                open(&regex_syntax::parse(pattern).unwrap()),
                expected,
                "{pattern}"
            );
        }
    }
}
