//! Telephone numbers: international ones by their calling code, national ones by grouping or by a
//! word near them.
//!
//! Full tables of national plans are left out on purpose: they need the country, which a text does
//! not say, and refuse the invented numbers that people write.

use super::Found;
use super::around::{About, Around};
use super::number::{is_break, value};
use super::text::{Text, is_blank, is_dash, is_word};

/// Digits of the longest number (E.164), with room for a written trunk zero.
const LONGEST: usize = 16;

/// The number that begins at `at`: a digit, an opening parenthesis or a plus sign.
pub(super) fn at(text: &Text, at: usize) -> Option<Found> {
    if !may_begin(text, at) {
        return None;
    }
    let mut written = Written::read(text, at)?;
    while !written.groups.is_empty() {
        if let Some(found) = written.judge(text) {
            return Some(found);
        }
        written.drop_last();
    }
    None
}

/// Not within a word, a decimal or a longer chain of groups.
fn may_begin(text: &Text, at: usize) -> bool {
    match text.before(at) {
        Some('+' | '$' | '€' | '£' | '#') => false,
        Some(scalar) if is_word(scalar) => false,
        Some(scalar) if is_dash(scalar) || matches!(scalar, '.' | '/' | ',' | '=') => {
            scalar == '=' || !text.before(at - 1).is_some_and(is_word)
        }
        _ => true,
    }
}

/// A number as it is written.
#[derive(Debug)]
struct Written {
    start: usize,
    plus: bool,
    /// The first group stands in parentheses.
    area: bool,
    /// Digits and end of each group.
    groups: Vec<(Vec<u8>, usize)>,
    /// The separators between the groups, first scalar of each.
    separators: Vec<char>,
}

impl Written {
    fn read(text: &Text, start: usize) -> Option<Self> {
        let plus = text.get(start) == Some('+');
        let area = text.get(start) == Some('(');
        let mut written = Self {
            start,
            plus,
            area,
            groups: Vec::new(),
            separators: Vec::new(),
        };
        let mut at = start + usize::from(plus || area);
        let mut total = 0;
        while written.groups.len() < 8 {
            let end = text.run(at, LONGEST + 1, |scalar| scalar.is_ascii_digit());
            total += end - at;
            if end == at || total > LONGEST {
                break;
            }
            written
                .groups
                .push((super::number::digits(text, at, end), end));
            let Some((separator, next)) = gap(text, end) else {
                break;
            };
            written.separators.push(separator);
            at = next;
        }
        written
            .separators
            .truncate(written.groups.len().saturating_sub(1));
        let closed = !area
            || written
                .separators
                .first()
                .is_some_and(|separator| *separator == ')');
        (closed && !written.groups.is_empty()).then_some(written)
    }

    fn drop_last(&mut self) {
        self.groups.pop();
        self.separators
            .truncate(self.groups.len().saturating_sub(1));
    }

    fn judge(&self, text: &Text) -> Option<Found> {
        let end = self.groups.last()?.1;
        if !ends(text, end) {
            return None;
        }
        let digits: Vec<u8> = self
            .groups
            .iter()
            .flat_map(|(digits, _)| digits.iter().copied())
            .collect();
        let confidence = if self.plus {
            international(&digits)?
        } else {
            self.national(text, end, &digits)?
        };
        Some(Found::new("PHONE_NUMBER", self.start, end, confidence))
    }

    fn national(&self, text: &Text, end: usize, digits: &[u8]) -> Option<f32> {
        if !(7..=LONGEST).contains(&digits.len()) || self.is_date() {
            return None;
        }
        let around = Around::new(text, self.start, end);
        let rivals = [About::Other, About::Card, About::Security, About::Address];
        let spoken = around.nearest(About::Phone, &rivals)
            || (around.says(About::Phone) && !rivals.iter().any(|rival| around.leads(*rival)));
        match self.form(digits) {
            Form::Clear if spoken || !around.leads(About::Other) => {
                Some(if spoken { 0.97 } else { 0.94 })
            }
            Form::Likely if !spoken && follows_digits(text, self.start) => None,
            Form::Likely
                if spoken || !(around.leads(About::Other) || around.leads(About::Card)) =>
            {
                Some(if spoken { 0.95 } else { 0.91 })
            }
            Form::Possible if spoken => Some(0.92),
            _ => None,
        }
    }

    fn form(&self, digits: &[u8]) -> Form {
        if self.separators.contains(&'\n') {
            return Form::Possible;
        }
        let lengths: Vec<usize> = self.groups.iter().map(|(digits, _)| digits.len()).collect();
        let first = digits.first().copied().unwrap_or_default();
        let second = digits.get(1).copied().unwrap_or_default();
        let dashed = self.separators.last() == Some(&'-');
        let decimal = self.separators.iter().all(|by| *by == '.') && self.groups.len() == 2;
        match lengths.as_slice() {
            [3, 3, 4] if first >= 2 && (dashed || self.area) => Form::Clear,
            [1, 3, 3, 4] if first == 1 && second >= 2 => Form::Clear,
            [2, 4 | 5, 4] if self.area && first >= 1 => Form::Clear,
            [2, 2, 2, 2, 2] if first == 0 && second != 0 => Form::Clear,
            [3, 3, 4] if first >= 2 && digits.get(3).is_some_and(|digit| *digit >= 2) => {
                Form::Likely
            }
            // Mobile numbers of Russia, China and India.
            [1, 3, 3, 2, 2] if matches!(first, 7 | 8) && second >= 3 => Form::Clear,
            [3, 4, 4] if first == 1 && second >= 3 => Form::Likely,
            [5, 5] if first >= 6 => Form::Likely,
            [3, 4] if dashed && digits.starts_with(&[5, 5, 5]) => Form::Likely,
            [_, _, ..]
                if digits.starts_with(&[0, 0])
                    && international(digits.get(2..).unwrap_or_default()).is_some() =>
            {
                Form::Likely
            }
            [3..=5, _, ..] | [2, _, _, ..]
                if first == 0 && second != 0 && (9..=12).contains(&digits.len()) && !decimal =>
            {
                Form::Likely
            }
            _ if decimal => Form::None,
            _ => Form::Possible,
        }
    }

    /// Eight digits with a year at either end.
    fn is_date(&self) -> bool {
        let lengths: Vec<usize> = self.groups.iter().map(|(digits, _)| digits.len()).collect();
        let year = |group: usize| {
            self.groups
                .get(group)
                .is_some_and(|(digits, _)| (1900..=2100).contains(&value(digits)))
        };
        matches!(
            (lengths.as_slice(), year(0), year(2)),
            ([4, 1 | 2, 1 | 2], true, _) | ([1 | 2, 1 | 2, 4], _, true)
        ) || (lengths == [4, 4] && year(0) && year(1))
    }
}

/// How far the written form alone says that it is a telephone number.
enum Form {
    Clear,
    Likely,
    Possible,
    None,
}

/// Whether digits and blanks lie right before: then these groups are a part of a longer number.
fn follows_digits(text: &Text, start: usize) -> bool {
    let blanks = text.run_back(start, 3, is_blank);
    blanks < start
        && text
            .before(blanks)
            .is_some_and(|scalar| scalar.is_ascii_digit())
}

/// What separates two groups from `end` on, and where the next one begins: at most three scalars.
fn gap(text: &Text, end: usize) -> Option<(char, usize)> {
    let next = text.run(end, 3, |scalar| {
        is_blank(scalar)
            || is_break(scalar)
            || is_dash(scalar)
            || matches!(scalar, '.' | '·' | '/' | '(' | ')')
    });
    let first = text.get(end)?;
    let separator = if is_dash(first) {
        '-'
    } else if is_break(first) {
        '\n'
    } else if is_blank(first) {
        ' '
    } else {
        first
    };
    let marks = (end..next)
        .filter(|at| {
            text.get(*at)
                .is_some_and(|scalar| matches!(scalar, '.' | '·' | '/'))
        })
        .count();
    let blanks = (end..next)
        .filter(|at| {
            text.get(*at)
                .is_some_and(|scalar| is_blank(scalar) || is_break(scalar))
        })
        .count();
    let digit = text.get(next).is_some_and(|scalar| scalar.is_ascii_digit());
    let abbreviated = marks > 0 && blanks > 0 && separator == '.';
    (next > end && digit && marks <= 1 && blanks <= 2 && !abbreviated).then_some((separator, next))
}

/// Nothing goes on after the number.
fn ends(text: &Text, end: usize) -> bool {
    match text.get(end) {
        Some(scalar) if is_word(scalar) && scalar != '_' => {
            scalar == 'x'
                && text
                    .get(end + 1)
                    .is_some_and(|digit| digit.is_ascii_digit())
        }
        Some('_' | '%' | '@' | '€' | '$') => false,
        Some(scalar) if is_dash(scalar) || matches!(scalar, '.' | ',' | ':' | '/') => !text
            .get(end + 1)
            .is_some_and(|next| next.is_ascii_alphanumeric()),
        _ => true,
    }
}

/// Confidence of digits after a plus sign: calling code and length.
fn international(digits: &[u8]) -> Option<f32> {
    let two = value(digits.get(..2)?);
    let length = digits.len();
    let fits = match two {
        10..=19 => length == 11,
        70..=79 => length == 11,
        20
        | 27
        | 30..=34
        | 36
        | 39..=41
        | 43..=49
        | 51..=58
        | 60..=66
        | 81
        | 82
        | 84
        | 86
        | 90..=95
        | 98 => (9..=15).contains(&length),
        21..=26 | 29 | 35 | 37 | 38 | 42 | 50 | 59 | 67..=69 | 80 | 85 | 87 | 88 | 96 | 97 | 99 => {
            (8..=15).contains(&length)
        }
        _ => false,
    };
    fits.then_some(0.97)
}
