//! Payment cards: issuer, length, grouping and Luhn.
//!
//! Groups as they are printed need no word about cards, whatever single sign stands between them, and
//! neither do digits that stand one by one: `4 1 1 1 …`, on one line or one a line. Rows of other
//! numbers look alike, so such a row must be as long as the card. Letters beside the number hide it
//! from no reader; in identifiers letters and digits alternate.

use super::Found;
use super::around::{About, Around};
use super::number::{Groups, Spacing, starts, stops, value};
use super::text::{Text, is_dash, is_word};

/// The card whose number begins at `at`.
pub(super) fn at(text: &Text, at: usize) -> Option<Found> {
    if !starts(text, at, |scalar| {
        is_dash(scalar) || matches!(scalar, '.' | ',' | '+')
    }) {
        return None;
    }
    let groups = Groups::read(text, at, 6);
    let found = grouping(&groups).and_then(|(count, usual)| {
        let (end, issuer) = verified(text, &groups, count)?;
        let is_sure = usual && issuer == Issuer::Usual && !is_in_path(text, &groups, at, end);
        (is_sure || speaks_of_cards(text, at, end)).then_some(end)
    });
    found
        .or_else(|| spread(text, at))
        .or_else(|| one_by_one(text, at))
        .map(|end| Found::new("CREDIT_CARD", at, end, 1.0))
        .or_else(|| glued(text, at))
}

/// End of a card whose groups stand further apart than they are printed: on two lines, in cells of
/// a table. Where such groups go on it is a row of other numbers, unless a card is spoken of.
fn spread(text: &Text, at: usize) -> Option<usize> {
    let groups = Groups::read_wide(text, at, 6);
    if groups.spacing == Spacing::Tight {
        return None;
    }
    let lengths = groups.lengths(6);
    let printed = PRINTED
        .iter()
        .find(|printed| printed.len() > 2 && lengths.starts_with(printed))?;
    let (end, issuer) = verified(text, &groups, printed.len())?;
    let is_sure = issuer == Issuer::Usual && !groups.go_on(text, printed.len());
    (is_sure || speaks_of_cards(text, at, end)).then_some(end)
}

/// Whether groups with slashes between them are parts of a longer path.
fn is_in_path(text: &Text, groups: &Groups, start: usize, end: usize) -> bool {
    let is_slash = |scalar: Option<char>| scalar == Some('/');
    groups.separators.first() == Some(&'/')
        && (is_slash(text.before(start)) || is_slash(text.get(end)))
}

/// The card whose number begins at `at` and has letters beside it: `card4111111111111111x`.
pub(super) fn glued(text: &Text, at: usize) -> Option<Found> {
    let is_letter = |scalar: char| is_word(scalar) && !scalar.is_ascii_digit();
    let alone =
        |scalar: Option<char>| !scalar.is_some_and(|scalar| is_word(scalar) || scalar == '.');
    let start = text.run_back(at, GLUE, is_letter);
    if !alone(text.before(start)) {
        return None;
    }
    let groups = Groups::read(text, at, 6);
    let is_path = matches!(groups.separators.first(), Some('/' | '_' | '.'));
    let (count, usual) = grouping(&groups).filter(|(count, _)| *count == 1 || !is_path)?;
    let digits = groups.digits(text, count);
    if !usual || issuer(&digits) != Some(Issuer::Usual) || !luhn(&digits) {
        return None;
    }
    let end = groups.end(count.checked_sub(1)?)?;
    let close = text.run(end, GLUE, is_letter);
    let goes_on =
        is_dash(text.get(close).unwrap_or(' ')) && text.get(close + 1).is_some_and(is_word);
    if (start == at && close == end) || !alone(text.get(close)) || goes_on {
        return None;
    }
    let around = Around::new(text, at, end);
    (!around.leads(About::Other) || around.says(About::Card))
        .then(|| Found::new("CREDIT_CARD", at, end, 1.0))
}

/// Letters that may be glued to a card.
const GLUE: usize = 24;

/// End of a card whose digits stand one by one or two by two, with the same between all of them:
/// blanks, a sign, a line's end. Single digits are a card if no more of them stand beside it; else,
/// and in pairs, a card must be spoken of.
fn one_by_one(text: &Text, at: usize) -> Option<usize> {
    let size = match Groups::read_wide(text, at, 2).lengths(2).as_slice() {
        [first, second] if first == second && *first <= 2 => *first,
        _ => return None,
    };
    let groups = Groups::read_wide(text, at, LONGEST + 1);
    let alike = groups.lengths(LONGEST + 1);
    let alike = alike.iter().take_while(|length| **length == size).count();
    let alike = (2..=alike)
        .rev()
        .find(|count| groups.uniform(*count).is_some())?;
    if size == 1
        && !groups.go_on_before(text)
        && let Some((end, Issuer::Usual)) = verified(text, &groups, alike)
    {
        return Some(end);
    }

    let lengths = (SHORTEST.div_ceil(size)..=alike.min(LONGEST / size)).rev();
    let ends = lengths.filter_map(|count| verified(text, &groups, count));
    let mut ends = ends.map(|(end, _)| end);
    ends.find(|end| speaks_of_cards(text, at, *end))
}

/// Digits of the shortest card.
const SHORTEST: usize = 12;
/// Digits of the longest card.
const LONGEST: usize = 19;

/// Issuer and end of the first `count` groups, if they are a card.
fn verified(text: &Text, groups: &Groups, count: usize) -> Option<(usize, Issuer)> {
    let digits = groups.digits(text, count);
    let known = issuer(&digits)?;
    let end = groups.end(count.checked_sub(1)?)?;
    let is_whole = luhn(&digits) && stops(text, end, |scalar| is_dash(scalar) || scalar == '.');
    is_whole.then_some((end, known))
}

fn speaks_of_cards(text: &Text, start: usize, end: usize) -> bool {
    Around::new(text, start, end).says(About::Card)
}

/// Lengths of groups as cards are printed.
const PRINTED: [&[usize]; 7] = [
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[6, 13],
    &[8, 8],
    &[4, 4, 4, 3],
];

/// How many groups make up a card, and whether they are grouped as printed.
fn grouping(groups: &Groups) -> Option<(usize, bool)> {
    let lengths = groups.lengths(6);
    if let Some(whole) = lengths.first().filter(|length| **length >= 12) {
        return (*whole <= 19).then_some((1, true));
    }
    let printed = PRINTED
        .iter()
        .find(|printed| lengths.starts_with(printed) && groups.uniform(printed.len()).is_some());
    if let Some(printed) = printed {
        return Some((printed.len(), printed.len() > 2));
    }
    let total = (2..=lengths.len())
        .find(|count| (13..=19).contains(&lengths.iter().take(*count).sum::<usize>()))?;
    lengths
        .iter()
        .take(total)
        .all(|length| *length >= 3)
        .then_some((total, false))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Issuer {
    /// Issuer and length belong together.
    Usual,
    /// A wide range that counts only where a card is spoken of.
    Wide,
}

/// Issuer by prefix and length.
fn issuer(digits: &[u8]) -> Option<Issuer> {
    let length = digits.len();
    let prefix = |count: usize| value(digits.get(..count).unwrap_or_default());
    let usual = match (prefix(1), prefix(2), prefix(3), prefix(4)) {
        (4, ..) => matches!(length, 13 | 16 | 19),
        (_, 51..=55, ..) | (_, _, _, 2221..=2720) => length == 16,
        (_, 34 | 37, ..) => length == 15,
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305, _) => matches!(length, 14 | 16),
        (_, _, _, 3528..=3589) => matches!(length, 16..=19),
        (_, _, _, 6011) | (_, _, 644..=649, _) | (_, 65, ..) => matches!(length, 16 | 19),
        (_, 62, ..) => matches!(length, 16..=19),
        (_, _, _, 2200..=2204) => length == 16,
        _ => false,
    };
    let wide = matches!(prefix(2), 50 | 56..=69 | 81) && matches!(length, 12..=19);
    if usual {
        Some(Issuer::Usual)
    } else {
        wide.then_some(Issuer::Wide)
    }
}

/// The Luhn checksum (ISO/IEC 7812-1).
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}
