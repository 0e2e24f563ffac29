//! Groups of digits and what stands between them.

use super::text::{Text, is_blank, is_dash, is_word};

/// Groups of ASCII digits from a place on, and what separates them.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Start and end of each.
    pub(super) spans: Vec<(usize, usize)>,
    /// What stands before each but the first; dashes as `-`, blanks as ` `.
    pub(super) separators: Vec<char>,
    /// How the separators are written: the loosest of them.
    pub(super) spacing: Spacing,
}

/// How loosely groups of digits stand beside each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spacing {
    /// One sign or blank between them.
    #[default]
    Tight,
    /// A line break, with a sign or without.
    Broken,
    /// Several blanks, signs with blanks around them, other signs, tags of markup.
    Wide,
}

/// What separates two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    /// `-`, ` `, `.`, `/`, `_`, or `|` for all else.
    separator: char,
    spacing: Spacing,
}

/// Digits of a group that are read; longer runs are no number that a recognizer knows.
const GROUP: usize = 20;
/// Scalars that may stand between two groups.
const WIDEST: usize = 24;
/// Scalars of a tag between two groups.
const TAG: usize = 40;

impl Groups {
    /// At most `bound` groups from `at`, which holds a digit, joined by single separators.
    pub(super) fn read(text: &Text, at: usize, bound: usize) -> Self {
        Self::within(text, at, bound, Spacing::Tight)
    }

    /// The same, joined by whatever stands between them.
    pub(super) fn read_wide(text: &Text, at: usize, bound: usize) -> Self {
        Self::within(text, at, bound, Spacing::Wide)
    }

    fn within(text: &Text, at: usize, bound: usize, loosest: Spacing) -> Self {
        let mut groups = Self::default();
        let mut start = at;
        while groups.spans.len() < bound {
            let end = text.run(start, GROUP, |scalar| scalar.is_ascii_digit());
            if end == start {
                break;
            }
            groups.spans.push((start, end));
            let next = skip(text, end, loosest);
            let Some(gap) = Gap::between(text, end, next).filter(|gap| gap.spacing <= loosest)
            else {
                break;
            };
            if groups.spans.len() < bound {
                groups.separators.push(gap.separator);
                groups.spacing = groups.spacing.max(gap.spacing);
            }
            start = next;
        }
        groups
    }

    /// Whether groups like the first and the last of `count` stand beside them too: cells of a
    /// longer row, or lines of a longer column.
    pub(super) fn go_on(&self, text: &Text, count: usize) -> bool {
        let edges = self.spans.first().zip(self.spans.get(count - 1));
        let Some((&(start, first_end), &(last_start, end))) = edges else {
            return false;
        };
        let next = skip(text, end, Spacing::Wide);
        let after = text.run(next, GROUP, |scalar| scalar.is_ascii_digit()) - next;
        let previous = skip_back(text, start);
        let before = previous - text.run_back(previous, GROUP, |scalar| scalar.is_ascii_digit());
        (next > end && after == end - last_start)
            || (previous < start && before == first_end - start)
    }

    /// Whether a group like the first stands before it, with the same between them.
    pub(super) fn go_on_before(&self, text: &Text) -> bool {
        let Some(&(start, end)) = self.spans.first() else {
            return false;
        };
        let previous = skip_back(text, start);
        let length = previous - text.run_back(previous, GROUP, |scalar| scalar.is_ascii_digit());
        let gap = Gap::between(text, previous, start);
        length == end - start && gap.map(|gap| gap.separator) == self.separators.first().copied()
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

impl Gap {
    /// What stands between a group's end and the digit at `next`.
    fn between(text: &Text, end: usize, next: usize) -> Option<Self> {
        let is_digit = |scalar: char| scalar.is_ascii_digit();
        if next == end || !text.get(next).is_some_and(is_digit) {
            return None;
        }
        let scalars = || (end..next).filter_map(|at| text.get(at));
        let breaks = scalars().filter(|scalar| is_break(*scalar)).count();
        let blanks = scalars().filter(|scalar| is_blank(*scalar)).count();
        let mut signs = scalars().filter(|scalar| !is_break(*scalar) && !is_blank(*scalar));
        let separator = match (signs.next(), signs.next()) {
            (None, _) => ' ',
            (Some(sign), None) if is_dash(sign) => '-',
            (Some(sign @ ('.' | '/' | '_')), None) => sign,
            _ => '|',
        };
        let spacing = match (breaks, blanks) {
            _ if separator == '|' => Spacing::Wide,
            (0, _) if next - end == 1 => Spacing::Tight,
            (1.., 0) => Spacing::Broken,
            _ => Spacing::Wide,
        };
        Some(Self { separator, spacing })
    }
}

/// Past what may separate two groups: at most one scalar where they must be tight, else signs,
/// blanks and tags.
pub(super) fn skip(text: &Text, from: usize, loosest: Spacing) -> usize {
    if loosest == Spacing::Tight {
        return from + 1;
    }
    let mut at = from;
    while at < from + WIDEST {
        let Some(scalar) = text.get(at) else { break };
        at = match scalar {
            '<' => match text.run(at, TAG, |scalar| scalar != '>') {
                close if text.get(close) == Some('>') => close + 1,
                _ => break,
            },
            _ if separates(scalar) => at + 1,
            _ => break,
        };
    }
    at
}

/// The same before `end`.
fn skip_back(text: &Text, end: usize) -> usize {
    let mut at = end;
    while at + WIDEST > end {
        let Some(scalar) = text.before(at) else { break };
        at = match scalar {
            '>' => match text.run_back(at, TAG, |scalar| scalar != '<') {
                open if text.before(open) == Some('<') => open - 1,
                _ => break,
            },
            _ if separates(scalar) => at - 1,
            _ => break,
        };
    }
    at
}

fn separates(scalar: char) -> bool {
    let is_other = matches!(
        scalar,
        '+' | '=' | '<' | '>' | '(' | ')' | '%' | '$' | '€' | '£'
    );
    !scalar.is_alphanumeric() && !is_other
}

/// Ends a line.
pub(super) fn is_break(scalar: char) -> bool {
    matches!(scalar, '\n' | '\r')
}
