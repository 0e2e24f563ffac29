//! Dates. One that is said to be a date of birth counts as personal data, others are only told.

use super::Found;
use super::around::{About, Around};
use super::number::{Groups, starts, stops, value};
use super::text::{Text, is_dash};

/// Beginnings of the names of months in six languages, lower case.
const MONTHS: [&str; 40] = [
    "jan", "feb", "fév", "mar", "mär", "apr", "avr", "abr", "may", "mai", "may", "mag", "maggio",
    "mayo", "jun", "jui", "giu", "jul", "lug", "aug", "aoû", "ago", "sep", "set", "oct", "okt",
    "ott", "oct", "out", "nov", "dec", "dez", "déc", "dic", "gen", "ene", "fev", "märz", "mars",
    "marzo",
];

/// The date that begins with the number at `at`.
pub(super) fn at_number(text: &Text, at: usize) -> Option<Found> {
    let joined = |scalar| is_dash(scalar) || matches!(scalar, '.' | '/');
    if !starts(text, at, joined) {
        return None;
    }
    let groups = Groups::read(text, at, 3);
    let part = |index: usize| {
        groups
            .spans
            .get(index)
            .map(|&(start, end)| value(&super::number::digits(text, start, end)))
    };
    let day = |number: Option<u64>| number.is_some_and(|number| (1..=31).contains(&number));
    let year = |number: Option<u64>| number.is_some_and(|number| (1900..=2100).contains(&number));
    let numeric = match groups.lengths(3).as_slice() {
        [4, 1 | 2, 1 | 2] => year(part(0)) && day(part(1)) && day(part(2)),
        [1 | 2, 1 | 2, 4] => day(part(0)) && day(part(1)) && year(part(2)),
        [1 | 2, 1 | 2, 2] => day(part(0)) && day(part(1)) && groups.uniform(3) != Some(' '),
        _ => false,
    };
    let marked = matches!(groups.uniform(3), Some('-' | '.' | '/'));
    if numeric && marked {
        let end = groups.end(2)?;
        return stops(text, end, joined).then(|| judged(text, at, end));
    }
    let (_, first) = groups.spans.first().copied()?;
    day(part(0)).then(|| named(text, at, first))?
}

/// The date that begins with a month's name at `at`: day and year follow.
pub(super) fn at_month(text: &Text, at: usize) -> Option<Found> {
    let end = month(text, at)?;
    let day = skip(text, end);
    let day_end = text.run(day, 3, |scalar| scalar.is_ascii_digit());
    let year = skip(
        text,
        text.run(day_end, 2, |scalar| scalar.is_ascii_lowercase()),
    );
    let year_end = text.run(year, 5, |scalar| scalar.is_ascii_digit());
    let fits =
        (1..=2).contains(&(day_end - day)) && year_end - year == 4 && text.ends_word(year_end);
    fits.then(|| judged(text, at, year_end))
}

/// The date of a day that ends at `from`, a month by name and a year.
fn named(text: &Text, start: usize, from: usize) -> Option<Found> {
    let mut at = skip(
        text,
        text.run(from, 2, |scalar| {
            scalar.is_ascii_lowercase() || scalar == 'º'
        }),
    );
    if text.lower(at, at + 3) == "de " {
        at += 3;
    }
    let mut year = skip(text, month(text, at)?);
    if text.lower(year, year + 3) == "de " {
        year += 3;
    }
    let end = text.run(year, 5, |scalar| scalar.is_ascii_digit());
    (end - year == 4 && text.ends_word(end)).then(|| judged(text, start, end))
}

/// End of the month's name at `at`.
fn month(text: &Text, at: usize) -> Option<usize> {
    let end = text.run(at, 11, char::is_alphabetic);
    let name = text.lower(at, end);
    let known =
        (3..=10).contains(&(end - at)) && MONTHS.iter().any(|month| name.starts_with(month));
    known.then_some(end)
}

/// Past a point, a comma and blanks.
fn skip(text: &Text, at: usize) -> usize {
    text.run(at, 2, |scalar| matches!(scalar, ' ' | ',' | '.'))
}

fn judged(text: &Text, start: usize, end: usize) -> Found {
    let birth = Around::new(text, start, end).leads(About::Birth);
    Found::new("DATE_TIME", start, end, if birth { 0.95 } else { 0.5 })
}
