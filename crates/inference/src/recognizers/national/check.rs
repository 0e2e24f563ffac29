//! Check digits and dates of birth within national numbers, as the authorities publish them.

use super::super::card::luhn;
use super::super::number::value;

/// Multiplies digits with weights and sums up.
fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    let pairs = digits.iter().zip(weights);
    pairs
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum()
}

fn digit(digits: &[u8], at: usize) -> u32 {
    digits.get(at).copied().map_or(u32::MAX, u32::from)
}

fn number(digits: &[u8], from: usize, to: usize) -> u64 {
    value(digits.get(from..to).unwrap_or_default())
}

/// All digits are the same: such numbers check, and nobody has one.
fn is_uniform(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| pair.first() == pair.last())
}

/// Whether month and day are those of a date.
fn birth_date(month: u64, day: u64) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Whether two digits are a province of China.
fn is_region(code: u64) -> bool {
    matches!(code, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83)
}

pub(super) fn australian_tax(digits: &[u8]) -> bool {
    digits.len() == 9
        && !is_uniform(digits)
        && weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

/// A check digit of Brazil over all digits before it.
fn brazilian(digits: &[u8], most: u32) -> u32 {
    let weights = (0..digits.len() as u32)
        .rev()
        .map(|place| place % (most - 1) + 2);
    let sum: u32 = digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum();
    match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}

fn is_brazilian(digits: &[u8], length: usize, most: u32) -> bool {
    let checks = |at: usize| {
        let before = digits.get(..at).unwrap_or_default();
        brazilian(before, most) == digit(digits, at)
    };
    digits.len() == length && !is_uniform(digits) && checks(length - 2) && checks(length - 1)
}

pub(super) fn cpf(digits: &[u8]) -> bool {
    is_brazilian(digits, 11, 11)
}

pub(super) fn cnpj(digits: &[u8]) -> bool {
    is_brazilian(digits, 14, 9)
}

pub(super) fn canadian_insurance(digits: &[u8]) -> bool {
    let is_issued = !matches!(digits.first(), Some(0 | 8));
    digits.len() == 9 && is_issued && luhn(digits)
}

/// ISO 7064 MOD 11-2 over region, date of birth and serial; X counts as ten.
pub(super) fn chinese_resident(digits: &[u8]) -> bool {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1];
    let is_dated = (1900..=2099).contains(&number(digits, 6, 10))
        && birth_date(number(digits, 10, 12), number(digits, 12, 14));
    digits.len() == 18
        && is_region(number(digits, 0, 2))
        && is_dated
        && weighted(digits, &weights) % 11 == 1
}

/// ISO 7064 MOD 11,10; one digit comes twice or three times, the others at most once.
pub(super) fn german_tax(digits: &[u8]) -> bool {
    let Some((check, before)) = digits.split_last().filter(|_| digits.len() == 11) else {
        return false;
    };
    let times = |wanted: u8| before.iter().filter(|digit| **digit == wanted).count();
    let repeated: Vec<usize> = (0..10).map(times).filter(|times| *times > 1).collect();
    let product = before.iter().fold(10, |product, digit| {
        let sum = (u32::from(*digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    let expected = (11 - product) % 10;
    before.first() != Some(&0) && matches!(repeated[..], [2 | 3]) && expected == u32::from(*check)
}

/// Sex, year, month, department, place, serial, and 97 less the remainder of all of them.
pub(super) fn french_insurance(digits: &[u8]) -> bool {
    let is_dated = matches!(number(digits, 3, 5), 1..=12 | 20..=42 | 50..=99);
    digits.len() == 15
        && matches!(digits.first(), Some(1 | 2))
        && is_dated
        && 97 - number(digits, 0, 13) % 97 == number(digits, 13, 15)
}

/// Region, and date of birth, where 40 is added to a woman's day.
pub(super) fn indonesian_resident(digits: &[u8]) -> bool {
    let day = number(digits, 6, 8);
    let day = if day > 40 { day - 40 } else { day };
    digits.len() == 16
        && (11..=96).contains(&number(digits, 0, 2))
        && birth_date(number(digits, 8, 10), day)
        && number(digits, 12, 16) > 0
}

/// The scheme of Verhoeff, by the group of the pentagon's symmetries.
pub(super) fn aadhaar(digits: &[u8]) -> bool {
    const NEXT: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let product = |left: usize, right: usize| match (left < 5, right < 5) {
        (true, true) => (left + right) % 5,
        (true, false) => (left + right - 5) % 5 + 5,
        (false, true) => (left - 5 + 5 - right) % 5 + 5,
        (false, false) => (left + 5 - right) % 5,
    };
    let permuted = |digit: u8, times: usize| {
        let mut place = usize::from(digit) % 10;
        for _ in 0..times % 8 {
            place = NEXT.get(place).copied().unwrap_or_default();
        }
        place
    };
    let places = digits.iter().rev().enumerate();
    let checked = places.fold(0, |sum, (place, digit)| {
        product(sum, permuted(*digit, place))
    });
    digits.len() == 12 && digits.first() >= Some(&2) && checked == 0
}

pub(super) fn my_number(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let expected = if rest < 2 { 0 } else { 11 - rest };
    digits.len() == 12 && !is_uniform(digits) && digit(digits, 11) == expected
}

/// Date of birth, and century with sex. Numbers given out since 2020 have no check digit.
pub(super) fn korean_resident(digits: &[u8]) -> bool {
    digits.len() == 13
        && birth_date(number(digits, 2, 4), number(digits, 4, 6))
        && matches!(digits.get(6), Some(1..=8))
}

/// The test of eleven.
pub(super) fn bsn(digits: &[u8]) -> bool {
    let (sum, last) = (
        weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]),
        digit(digits, 8),
    );
    digits.len() == 9 && sum > 0 && sum % 11 == last % 11
}

/// Date of birth, with the century in the month, and a check digit.
pub(super) fn pesel(digits: &[u8]) -> bool {
    let month = number(digits, 2, 4) % 20;
    let weights = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1];
    digits.len() == 11
        && birth_date(month, number(digits, 4, 6))
        && weighted(digits, &weights).is_multiple_of(10)
}

pub(super) fn russian_tax(digits: &[u8]) -> bool {
    let checks =
        |weights: &[u32]| weighted(digits, weights) % 11 % 10 == digit(digits, weights.len());
    match digits.len() {
        10 => checks(&[2, 4, 10, 3, 5, 9, 4, 6, 8]),
        12 => {
            checks(&[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) && checks(&[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8])
        }
        _ => false,
    }
}

pub(super) fn snils(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2, 1]);
    digits.len() == 11
        && number(digits, 0, 9) > 1_001_998
        && u64::from(sum % 101 % 100) == number(digits, 9, 11)
}

pub(super) fn thai(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    digits.len() == 13
        && !matches!(digits.first(), Some(0 | 9))
        && (11 - sum % 11) % 10 == digit(digits, 12)
}

/// Two check digits: one over odd and even places, one over all before it.
pub(super) fn tckn(digits: &[u8]) -> bool {
    let odd = weighted(digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weighted(digits, &[0, 1, 0, 1, 0, 1, 0, 1]);
    let all = odd + even + digit(digits, 9).min(9);
    digits.len() == 11
        && digits.first() != Some(&0)
        && (7 * odd + 9 * even) % 10 == digit(digits, 9)
        && all % 10 == digit(digits, 10)
}

pub(super) fn ukrainian_tax(digits: &[u8]) -> bool {
    let signed: [i32; 9] = [-1, 5, 7, 9, 4, 6, 10, 5, 7];
    let pairs = digits.iter().zip(signed);
    let sum: i32 = pairs
        .map(|(digit, weight)| i32::from(*digit) * weight)
        .sum();
    digits.len() == 10 && i64::from(sum.rem_euclid(11) % 10) == i64::from(digit(digits, 9))
}

pub(super) fn nhs(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let expected = (11 - rest) % 11;
    digits.len() == 10 && !is_uniform(digits) && expected == digit(digits, 9)
}

/// Province, century with sex, and year; no check digit.
pub(super) fn vietnamese_resident(digits: &[u8]) -> bool {
    digits.len() == 12 && (1..=96).contains(&number(digits, 0, 3)) && digit(digits, 3) <= 3
}

/// Letters and digits by form, and the letter that stands for the sum of what each is worth at an odd
/// or even place.
pub(super) fn fiscal_code(code: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let is_digit = |symbol: char| symbol.is_ascii_digit() || "LMNPQRSTUV".contains(symbol);
    let is_shaped = code.chars().enumerate().all(|(place, symbol)| match place {
        6 | 7 | 9 | 10 | 12..=14 => is_digit(symbol),
        8 => "ABCDEHLMPRST".contains(symbol),
        _ => symbol.is_ascii_uppercase(),
    });
    let worth = |symbol: char| match symbol {
        '0'..='9' => u32::from(symbol) - u32::from('0'),
        _ => u32::from(symbol).saturating_sub(u32::from('A')),
    };
    let sum: u32 = code
        .chars()
        .take(15)
        .enumerate()
        .map(|(place, symbol)| match place % 2 {
            0 => ODD.get(worth(symbol) as usize).copied().unwrap_or_default(),
            _ => worth(symbol),
        })
        .sum();
    let last = code.chars().last().map(worth);
    is_shaped && last == Some(sum % 26)
}
