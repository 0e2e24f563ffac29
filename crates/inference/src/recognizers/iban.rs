//! International bank account numbers (ISO 13616): country, length and mod 97.

use super::Found;
use super::number::{Spacing, is_break, skip};
use super::text::{Text, is_blank, is_dash};

/// Lengths by country.
const LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

/// The account number that begins at `at`.
pub(super) fn at(text: &Text, at: usize) -> Option<Found> {
    in_groups(text, at).or_else(|| one_by_one(text, at))
}

/// A number in one piece or in groups.
fn in_groups(text: &Text, at: usize) -> Option<Found> {
    let country: String = text.slice(at, at + 2).to_ascii_uppercase();
    let &(_, length) = LENGTHS.iter().find(|(code, _)| *code == country)?;
    let (symbols, end) = read(text, at, length)?;
    (text.ends_word(end) && mod97(&symbols) == Some(1))
        .then(|| Found::new("IBAN_CODE", at, end, 1.0))
}

/// A number whose letters and digits stand one by one, with the same sign between all of them.
fn one_by_one(text: &Text, at: usize) -> Option<Found> {
    let by = text.get(at + 1)?;
    if !is_blank(by) && !is_dash(by) && !matches!(by, '.' | '/' | '_') {
        return None;
    }
    let symbol = |index: usize| {
        let place = at + 2 * index;
        let is_separated = index == 0 || text.before(place) == Some(by);
        let symbol = text.get(place).filter(char::is_ascii_alphanumeric);
        symbol
            .filter(|_| is_separated)
            .map(|symbol| symbol.to_ascii_uppercase())
    };
    let country: String = [symbol(0)?, symbol(1)?].into_iter().collect();
    let &(_, length) = LENGTHS.iter().find(|(code, _)| *code == country)?;
    let symbols: String = (0..length).map(symbol).collect::<Option<_>>()?;
    let mut check_digits = symbols.chars().skip(2).take(2);
    let end = at + 2 * length - 1;
    (check_digits.all(|digit| digit.is_ascii_digit())
        && text.ends_word(end)
        && mod97(&symbols) == Some(1))
    .then(|| Found::new("IBAN_CODE", at, end, 1.0))
}

/// `length` letters and digits from `at`, in upper case, and their end. The third and fourth are
/// digits. Single blanks or dashes may stand between any of them; between groups of four, as they
/// are printed, whatever separates the groups of a number.
fn read(text: &Text, at: usize, length: usize) -> Option<(String, usize)> {
    let mut symbols = String::with_capacity(length);
    let mut end = at;
    while symbols.len() < length {
        let scalar = text.get(end)?;
        let check_digit = matches!(symbols.len(), 2 | 3);
        if scalar.is_ascii_digit() || (scalar.is_ascii_alphabetic() && !check_digit) {
            symbols.push(scalar.to_ascii_uppercase());
            end += 1;
            continue;
        }
        let single = is_blank(scalar) || is_break(scalar) || is_dash(scalar);
        if symbols.len() < 2 {
            return None;
        } else if single && text.get(end + 1)?.is_ascii_alphanumeric() {
            end += 1;
        } else if symbols.len().is_multiple_of(4) {
            let next = skip(text, end, Spacing::Wide);
            if next == end {
                return None;
            }
            end = next;
        } else {
            return None;
        }
    }
    Some((symbols, end))
}

/// Remainder of the number that the rearranged symbols stand for.
pub(super) fn mod97(symbols: &str) -> Option<u32> {
    let (head, tail) = symbols.split_at_checked(4)?;
    tail.chars()
        .chain(head.chars())
        .try_fold(0, |rest, symbol| {
            let number = symbol.to_digit(36)?;
            Some((rest * if number > 9 { 100 } else { 10 } + number) % 97)
        })
}
