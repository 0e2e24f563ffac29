//! Groups of digits and what stands between them.

use super::text::{Text, is_blank, is_dash, is_word};

/// Groups of ASCII digits from a place on, joined by single separators.
#[derive(Debug)]
pub(super) struct Groups {
    /// Start and end of each.
    pub(super) spans: Vec<(usize, usize)>,
    /// What stands before each but the first; dashes as `-`, blanks as ` `.
    pub(super) separators: Vec<char>,
}

/// Digits of a group that are read; longer runs are no number that a recognizer knows.
const GROUP: usize = 20;

impl Groups {
    /// At most `bound` groups from `at`, which holds a digit.
    pub(super) fn read(text: &Text, at: usize, bound: usize) -> Self {
        let mut groups = Self {
            spans: Vec::new(),
            separators: Vec::new(),
        };
        let mut start = at;
        while groups.spans.len() < bound {
            let end = text.run(start, GROUP, |scalar| scalar.is_ascii_digit());
            if end == start {
                break;
            }
            groups.spans.push((start, end));
            let Some(separator) = text.get(end).and_then(separator) else {
                break;
            };
            if !text
                .get(end + 1)
                .is_some_and(|scalar| scalar.is_ascii_digit())
            {
                break;
            }
            groups.separators.push(separator);
            start = end + 1;
        }
        groups
            .separators
            .truncate(groups.spans.len().saturating_sub(1));
        groups
    }

    /// Lengths of the first `count` groups.
    pub(super) fn lengths(&self, count: usize) -> Vec<usize> {
        self.spans
            .iter()
            .take(count)
            .map(|(start, end)| end - start)
            .collect()
    }

    /// The separator that stands between all of the first `count` groups; `None` where they differ.
    pub(super) fn uniform(&self, count: usize) -> Option<char> {
        let first = *self.separators.first()?;
        let between = self.separators.get(..count.checked_sub(1)?)?;
        between
            .iter()
            .all(|separator| *separator == first)
            .then_some(first)
    }

    /// End of group `index`.
    pub(super) fn end(&self, index: usize) -> Option<usize> {
        self.spans.get(index).map(|(_, end)| *end)
    }

    /// Digits of the first `count` groups.
    pub(super) fn digits(&self, text: &Text, count: usize) -> Vec<u8> {
        self.spans
            .iter()
            .take(count)
            .flat_map(|&(start, end)| digits(text, start, end))
            .collect()
    }
}

/// Digits among scalars `start..end`, as numbers.
pub(super) fn digits(text: &Text, start: usize, end: usize) -> Vec<u8> {
    (start..end)
        .filter_map(|at| text.get(at)?.to_digit(10))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect()
}

/// Digits as one number.
pub(super) fn value(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| {
        value.saturating_mul(10).saturating_add(u64::from(*digit))
    })
}

/// Whether nothing at `end` continues a number: no word, and no separator with a digit after it
/// where `joined` says it joins.
pub(super) fn stops(text: &Text, end: usize, joined: impl Fn(char) -> bool) -> bool {
    match text.get(end) {
        Some(scalar) if is_word(scalar) => false,
        Some(scalar) if joined(scalar) => {
            !text.get(end + 1).is_some_and(|next| next.is_ascii_digit())
        }
        _ => true,
    }
}

/// Whether a number may begin at `start`: no digit with one of `joined` lies before it.
pub(super) fn starts(text: &Text, start: usize, joined: impl Fn(char) -> bool) -> bool {
    match text.before(start) {
        Some(scalar) if is_word(scalar) => false,
        Some(scalar) if joined(scalar) => !text
            .before(start - 1)
            .is_some_and(|digit| digit.is_ascii_digit()),
        _ => true,
    }
}

fn separator(scalar: char) -> Option<char> {
    match scalar {
        _ if is_dash(scalar) => Some('-'),
        _ if is_blank(scalar) => Some(' '),
        '.' | '/' => Some(scalar),
        _ => None,
    }
}
