//! National identity, tax and insurance numbers, by the names that Presidio gives them.
//!
//! Most have one check digit, which one number of ten passes by chance. Such a number counts where it
//! is written in the groups that only it has, or where a word near it says what it is.

mod check;

use super::Found;
use super::around::{About, Around};
use super::number::{Groups, Spacing, starts, stops};
use super::text::{Text, is_dash, is_word};

/// A number of digits alone.
struct Form {
    kind: &'static str,
    /// Lengths of the groups that it is printed in.
    groups: &'static [usize],
    /// Signs between its groups, in order; `None` for blanks or the same sign throughout.
    signs: Option<&'static [char]>,
    /// What tells it from other numbers.
    told_by: ToldBy,
    is_valid: fn(&[u8]) -> bool,
}

/// What tells a valid number from others of its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ToldBy {
    /// Its digits alone.
    Digits,
    /// Its groups, or a word near it.
    Groups,
    /// A word near it.
    Word,
}

impl Form {
    const fn new(
        kind: &'static str,
        groups: &'static [usize],
        told_by: ToldBy,
        is_valid: fn(&[u8]) -> bool,
    ) -> Self {
        Self {
            kind,
            groups,
            signs: None,
            told_by,
            is_valid,
        }
    }

    const fn with_signs(self, signs: &'static [char]) -> Self {
        Self {
            signs: Some(signs),
            ..self
        }
    }

    /// How many groups of `groups` are as long as this number, and whether they are grouped as it is
    /// printed.
    fn reads(&self, groups: &Groups) -> Option<(usize, bool)> {
        let length: usize = self.groups.iter().sum();
        let mut total = 0;
        let count = groups.lengths(MOST_GROUPS).into_iter().position(|group| {
            total += group;
            total >= length
        })? + 1;
        let is_grouped = groups.lengths(count) == self.groups && groups.spacing < Spacing::Wide;
        let is_signed = match self.signs {
            Some(signs) => groups.separators.get(..signs.len()) == Some(signs),
            None => groups.uniform(count).is_some(),
        };
        let goes_on = groups.spans.len() > count;
        (total == length).then_some((count, is_grouped && is_signed && !goes_on))
    }
}

/// Groups of the longest number, and one more.
const MOST_GROUPS: usize = 8;

const FORMS: [Form; 24] = [
    Form::new("AU_TFN", &[3, 3, 3], ToldBy::Word, check::australian_tax),
    Form::new("BR_CNPJ", &[2, 3, 3, 4, 2], ToldBy::Groups, check::cnpj)
        .with_signs(&['.', '.', '/', '-']),
    Form::new("BR_CPF", &[3, 3, 3, 2], ToldBy::Groups, check::cpf).with_signs(&['.', '.', '-']),
    Form::new(
        "CA_SIN",
        &[3, 3, 3],
        ToldBy::Word,
        check::canadian_insurance,
    ),
    Form::new(
        "CN_RESIDENT_ID",
        &[6, 8, 4],
        ToldBy::Digits,
        check::chinese_resident,
    ),
    Form::new(
        "DE_TAX_ID",
        &[2, 3, 3, 3],
        ToldBy::Groups,
        check::german_tax,
    ),
    Form::new(
        "FR_NIR",
        &[1, 2, 2, 2, 3, 3, 2],
        ToldBy::Digits,
        check::french_insurance,
    ),
    Form::new(
        "ID_NIK",
        &[6, 6, 4],
        ToldBy::Word,
        check::indonesian_resident,
    ),
    Form::new("IN_AADHAAR", &[4, 4, 4], ToldBy::Groups, check::aadhaar),
    Form::new("JP_MY_NUMBER", &[4, 4, 4], ToldBy::Word, check::my_number),
    Form::new("KR_RRN", &[6, 7], ToldBy::Groups, check::korean_resident),
    Form::new("NL_BSN", &[4, 2, 3], ToldBy::Word, check::bsn),
    Form::new("NL_BSN", &[3, 3, 3], ToldBy::Word, check::bsn),
    Form::new("PL_PESEL", &[6, 5], ToldBy::Word, check::pesel),
    Form::new("RU_INN", &[4, 6], ToldBy::Word, check::russian_tax),
    Form::new("RU_INN", &[4, 6, 2], ToldBy::Word, check::russian_tax),
    Form::new("RU_SNILS", &[3, 3, 3, 2], ToldBy::Groups, check::snils).with_signs(&['-', '-', ' ']),
    Form::new("RU_SNILS", &[3, 3, 3, 2], ToldBy::Word, check::snils),
    Form::new("TH_TNIN", &[1, 4, 5, 2, 1], ToldBy::Groups, check::thai),
    Form::new("TR_TCKN", &[3, 3, 3, 2], ToldBy::Word, check::tckn),
    Form::new("TR_TCKN", &[3, 2, 3, 3], ToldBy::Word, check::tckn),
    Form::new("UA_RNOKPP", &[5, 5], ToldBy::Word, check::ukrainian_tax),
    Form::new("UK_NHS", &[3, 3, 4], ToldBy::Word, check::nhs),
    Form::new(
        "VN_CCCD",
        &[3, 3, 6],
        ToldBy::Word,
        check::vietnamese_resident,
    ),
];

/// The numbers that begin with the digit at `at`.
pub(super) fn at_number(text: &Text, at: usize, found: &mut Vec<Found>) {
    let joined = |scalar| is_dash(scalar) || matches!(scalar, '.' | '/' | ',' | '+');
    if !starts(text, at, joined) {
        return;
    }
    found.extend(with_check_x(text, at));
    found.extend(spanish(text, at));
    let groups = Groups::read_wide(text, at, MOST_GROUPS);
    let mut around = None;
    for form in &FORMS {
        let Some((count, is_printed)) = form.reads(&groups) else {
            continue;
        };
        let end = groups.end(count - 1).unwrap_or(at);
        if !stops(text, end, joined) || !(form.is_valid)(&groups.digits(text, count)) {
            continue;
        }
        let around = around.get_or_insert_with(|| Around::new(text, at, end));
        let confidence = match form.told_by {
            _ if around.says(About::Id(form.kind)) => SPOKEN,
            ToldBy::Word => continue,
            _ if around.leads(About::Other) => continue,
            ToldBy::Digits if count == 1 || is_printed => SHAPED,
            ToldBy::Groups if is_printed => SHAPED,
            ToldBy::Digits | ToldBy::Groups => continue,
        };
        found.push(Found::new(form.kind, at, end, confidence));
    }
}

/// The numbers that begin with the letter at `at`.
pub(super) fn at_word(text: &Text, at: usize, found: &mut Vec<Found>) {
    found.extend(fiscal_code(text, at));
    found.extend(pan(text, at));
    found.extend(spanish(text, at));
}

/// A word near the number says what it is.
const SPOKEN: f32 = 0.99;
/// Hardly another number has its form.
const SHAPED: f32 = 0.95;

/// A Chinese resident number whose check digit is X.
fn with_check_x(text: &Text, at: usize) -> Option<Found> {
    let groups = Groups::read(text, at, 1);
    let end = groups.end(0).filter(|_| groups.lengths(1) == [17])?;
    let is_x = matches!(text.get(end), Some('X' | 'x')) && text.ends_word(end + 1);
    let mut digits = groups.digits(text, 1);
    digits.push(10);
    (is_x && check::chinese_resident(&digits))
        .then(|| Found::new("CN_RESIDENT_ID", at, end + 1, SHAPED))
}

/// A Spanish number: eight digits and a letter, or X, Y or Z, seven digits and a letter.
fn spanish(text: &Text, at: usize) -> Option<Found> {
    let first = text.get(at)?.to_ascii_uppercase();
    let (kind, lead, length) = match first {
        'X' => ("ES_NIE", 0, 7),
        'Y' => ("ES_NIE", 1, 7),
        'Z' => ("ES_NIE", 2, 7),
        '0'..='9' => ("ES_NIF", 0, 8),
        _ => return None,
    };
    let mut end = at + usize::from(kind == "ES_NIE");
    let mut number = lead;
    let mut count = 0;
    while count < length {
        let scalar = text.get(end)?;
        match scalar.to_digit(10) {
            Some(digit) => {
                number = number * 10 + digit;
                count += 1;
            }
            None if is_sign(scalar) && text.before(end).is_some_and(is_word) => {}
            None => return None,
        }
        end += 1;
    }
    end += usize::from(text.get(end).is_some_and(is_sign));
    let letter = text.get(end)?.to_ascii_uppercase();
    let letters = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let expected = letters.get(number as usize % letters.len()).copied()?;
    (letter == char::from(expected) && text.ends_word(end + 1))
        .then(|| Found::new(kind, at, end + 1, SHAPED))
}

/// Stands between the parts of a number.
fn is_sign(scalar: char) -> bool {
    is_dash(scalar) || matches!(scalar, '.' | ' ')
}

/// An Italian fiscal code: fifteen letters and digits, and a letter that checks them.
fn fiscal_code(text: &Text, at: usize) -> Option<Found> {
    let mut code = String::with_capacity(16);
    let mut end = at;
    while code.len() < 16 {
        let scalar = text.get(end)?.to_ascii_uppercase();
        let is_between = scalar == ' ' && matches!(code.len(), 3 | 6 | 11);
        if scalar.is_ascii_alphanumeric() {
            code.push(scalar);
        } else if !is_between {
            return None;
        }
        end += 1;
    }
    (text.ends_word(end) && check::fiscal_code(&code))
        .then(|| Found::new("IT_FISCAL_CODE", at, end, SHAPED))
}

/// An Indian account number for taxes: five letters, where the fourth says what its holder is,
/// four digits and a letter.
fn pan(text: &Text, at: usize) -> Option<Found> {
    let end = at + 10;
    let is_shaped = (at..end).enumerate().all(|(place, at)| {
        text.get(at).is_some_and(|scalar| match place {
            3 => "ABCFGHJLPT".contains(scalar.to_ascii_uppercase()),
            5..=8 => scalar.is_ascii_digit(),
            _ => scalar.is_ascii_alphabetic(),
        })
    });
    if !is_shaped || !text.ends_word(end) {
        return None;
    }
    let is_capital = !text
        .slice(at, end)
        .contains(|scalar: char| scalar.is_ascii_lowercase());
    let around = Around::new(text, at, end);
    let confidence = match around.says(About::Id("IN_PAN")) {
        true => SPOKEN,
        false if is_capital && !around.leads(About::Other) => SHAPED,
        false => return None,
    };
    Some(Found::new("IN_PAN", at, end, confidence))
}
