//! Social security numbers of the United States.

use super::Found;
use super::around::{About, Around};
use super::number::{Groups, Spacing, digits, starts, stops, value};
use super::text::{Text, is_dash};

/// The number that begins at `at`: three, two and four digits of an area that is issued. Without
/// dashes, or with blanks beside them, only where social security is spoken of.
pub(super) fn at(text: &Text, at: usize) -> Option<Found> {
    let joined = |scalar| is_dash(scalar) || matches!(scalar, '.' | '/' | '+' | ',');
    if !starts(text, at, joined) {
        return None;
    }
    if let Some(found) = one_by_one(text, at) {
        return Some(found);
    }
    let groups = Groups::read_wide(text, at, 3);
    let (count, by) = match groups.lengths(3).as_slice() {
        [3, 2, 4] if groups.spacing < Spacing::Wide => (3, groups.uniform(3)),
        [3, 2, 4] => (3, None),
        [9, ..] => (1, None),
        _ => return None,
    };
    let end = groups.end(count - 1)?;
    if !stops(text, end, joined) || !issued(&digits(text, at, end)) {
        return None;
    }
    let around = Around::new(text, at, end);
    let spoken = around.says(About::Security);
    let confidence = match by {
        Some('-') if spoken => 0.99,
        Some('-') if around.leads(About::Other) => return None,
        Some('-') => 0.95,
        _ if around.nearest(About::Security, &[About::Other, About::Phone]) => 0.95,
        _ if spoken && !around.leads(About::Other) && !around.leads(About::Phone) => 0.95,
        _ => return None,
    };
    Some(Found::new("US_SSN", at, end, confidence))
}

/// The number whose digits stand one by one, where social security is spoken of.
fn one_by_one(text: &Text, at: usize) -> Option<Found> {
    if Groups::read_wide(text, at, 2).lengths(2) != [1, 1] {
        return None;
    }
    let groups = Groups::read_wide(text, at, DIGITS + 1);
    let lengths = groups.lengths(DIGITS + 1);
    let single = lengths.iter().take_while(|length| **length == 1).count();
    let end = groups.end(DIGITS - 1)?;
    let is_whole = single == DIGITS && !groups.go_on_before(text);
    if !is_whole || !stops(text, end, is_dash) || !issued(&groups.digits(text, DIGITS)) {
        return None;
    }
    let around = Around::new(text, at, end);
    around
        .nearest(About::Security, &[About::Other, About::Phone, About::Card])
        .then(|| Found::new("US_SSN", at, end, 0.95))
}

/// Digits of a number.
const DIGITS: usize = 9;

/// Whether area, group and serial are ones that were ever given out.
fn issued(digits: &[u8]) -> bool {
    let part = |from: usize, to: usize| value(digits.get(from..to).unwrap_or_default());
    let area = part(0, 3);
    digits.len() == 9 && !matches!(area, 0 | 666 | 900..) && part(3, 5) != 0 && part(5, 9) != 0
}
