//! Payment cards: issuer, length, grouping and Luhn.

use super::Found;
use super::around::{About, Around};
use super::number::{Groups, starts, stops, value};
use super::text::{Text, is_dash};

/// The card whose number begins at `at`.
pub(super) fn at(text: &Text, at: usize) -> Option<Found> {
    if !starts(text, at, |scalar| {
        is_dash(scalar) || matches!(scalar, '.' | ',' | '+')
    }) {
        return None;
    }
    let groups = Groups::read(text, at, 6);
    let (count, usual) = grouping(&groups)?;
    let digits = groups.digits(text, count);
    let known = issuer(&digits)?;
    let end = groups.end(count - 1)?;
    if !luhn(&digits) || !stops(text, end, |scalar| is_dash(scalar) || scalar == '.') {
        return None;
    }
    let sure = known == Issuer::Usual && usual;
    (sure || Around::new(text, at, end).says(About::Card))
        .then(|| Found::new("CREDIT_CARD", at, end, 1.0))
}

/// How many groups make up a card, and whether they are grouped as printed.
fn grouping(groups: &Groups) -> Option<(usize, bool)> {
    const PRINTED: [&[usize]; 7] = [
        &[4, 4, 4, 4, 3],
        &[4, 4, 4, 4],
        &[4, 6, 5],
        &[4, 6, 4],
        &[6, 13],
        &[8, 8],
        &[4, 4, 4, 3],
    ];
    let lengths = groups.lengths(6);
    if let Some(whole) = lengths.first().filter(|length| **length >= 12) {
        return (*whole <= 19).then_some((1, true));
    }
    let printed = PRINTED.iter().find(|printed| {
        lengths.starts_with(printed) && groups.uniform(printed.len()).is_some_and(|by| by != '/')
    });
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
