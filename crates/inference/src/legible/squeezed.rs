//! A text without its white space and what nobody sees, which knows where those stood.
//!
//! Something invisible may stand within a word or between two, and a line may break after a
//! hyphen: which of it a writer meant is for the search to say that knows the words.

use super::Legible;

/// What stood before a character of a [`Squeezed`] text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gap {
    /// White space.
    pub is_space: bool,
    /// The white space has a line break.
    pub is_break: bool,
    /// Something that nobody sees.
    pub is_hidden: bool,
}

impl Gap {
    /// Tells whether anything stood there.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.is_space || self.is_hidden
    }
}

/// A text as a reader sees it, without any white space.
#[derive(Debug, Default)]
pub struct Squeezed {
    text: String,
    /// Gaps by the byte of the character behind them, in order.
    gaps: Vec<Placed>,
}

/// A gap and the byte behind it.
#[derive(Debug, Clone, Copy)]
struct Placed {
    at: usize,
    gap: Gap,
}

impl Squeezed {
    /// Reads a text; `fold` makes lower case of all letters.
    #[must_use]
    pub fn of(text: &str, fold: bool) -> Self {
        Self::new(&Legible::of(text), fold, |_| false)
    }

    /// Reads a text whose words are divided at the ends of lines: neither hyphen nor break stays.
    /// `None` if no word is.
    #[must_use]
    pub fn undivided(text: &str, fold: bool) -> Option<Self> {
        let legible = Legible::of(text);
        let scalars = &legible.scalars;
        let divides = |at: usize| divides(scalars, at);
        let is_divided = (0..scalars.len()).any(divides);
        is_divided.then(|| Self::new(&legible, fold, divides))
    }

    fn new(legible: &Legible, fold: bool, drops: impl Fn(usize) -> bool) -> Self {
        let mut squeezed = Self::default();
        let mut hidden = legible.hidden.iter().peekable();
        let mut gap = Gap::default();
        let mut is_dropped = false;
        for (at, &scalar) in legible.scalars.iter().enumerate() {
            while hidden.next_if(|hidden| **hidden <= at).is_some() {
                gap.is_hidden = true;
            }
            if drops(at) {
                is_dropped = true;
            } else if scalar.is_whitespace() {
                gap.is_space = true;
                gap.is_break |= is_break(scalar);
            } else {
                if !is_dropped {
                    squeezed.open(gap);
                }
                (gap, is_dropped) = (Gap::default(), false);
                squeezed.push(scalar, fold);
            }
        }
        gap.is_hidden |= hidden.next().is_some();
        squeezed.open(gap);
        squeezed
    }

    /// Notes a gap before what comes next.
    fn open(&mut self, gap: Gap) {
        if gap.is_open() {
            let at = self.text.len();
            self.gaps.push(Placed { at, gap });
        }
    }

    fn push(&mut self, scalar: char, fold: bool) {
        match scalar {
            _ if !fold => self.text.push(scalar),
            'ς' => self.text.push('σ'),
            _ => self.text.extend(scalar.to_lowercase()),
        }
    }

    /// The characters that stay.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns what stood before the character at byte `at`, or behind all of them at the end.
    #[must_use]
    pub fn gap(&self, at: usize) -> Gap {
        let found = self.gaps.binary_search_by_key(&at, |placed| placed.at);
        let placed = found.ok().and_then(|found| self.gaps.get(found));
        placed.map(|placed| placed.gap).unwrap_or_default()
    }
}

fn is_break(scalar: char) -> bool {
    matches!(scalar, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Tells whether the scalar at `at` is a hyphen behind a letter, and a line and another letter begin
/// behind it.
fn divides(scalars: &[char], at: usize) -> bool {
    let is_letter = |scalar: &char| scalar.is_alphanumeric();
    let before = at.checked_sub(1).and_then(|before| scalars.get(before));
    if scalars.get(at) != Some(&'-') || !before.is_some_and(is_letter) {
        return false;
    }
    let mut behind = scalars.iter().skip(at + 1);
    let mut has_break = false;
    let next = behind.find(|scalar| {
        has_break |= is_break(**scalar);
        !scalar.is_whitespace()
    });
    has_break && next.is_some_and(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(squeezed: &Squeezed) -> String {
        let mut shown = String::new();
        let mark = |gap: Gap| match (gap.is_break, gap.is_space, gap.is_hidden) {
            (true, _, _) => "/",
            (_, true, true) => "+",
            (_, true, false) => "_",
            (_, false, true) => "^",
            (_, false, false) => "",
        };
        for (at, scalar) in squeezed.text.char_indices() {
            shown.push_str(mark(squeezed.gap(at)));
            shown.push(scalar);
        }
        shown.push_str(mark(squeezed.gap(squeezed.text.len())));
        shown
    }

    #[test]
    fn gaps_are_where_something_stood() {
        for (written, expected) in [
            ("", ""),
            ("Ab c", "Ab_c"),
            (" a  b\u{A0}", "_a_b_"),
            ("a\u{200B}b\u{3164}", "a^b^"),
            ("a \u{AD}b", "a+b"),
            ("a\u{2010}\r\n b", "a-/b"),
            ("e\u{301}x\u{336}y", "éxy"),
            ("…\u{2028}x", ".../x"),
        ] {
            assert_eq!(shown(&Squeezed::of(written, false)), expected);
        }
        assert_eq!(shown(&Squeezed::of("ΣΑΣ Ab", true)), "σασ_ab");
    }

    #[test]
    fn divided_words_are_whole() {
        for (written, expected) in [
            ("sec-\nret", Some("secret")),
            ("sec\u{2010} \r\n  ret x", Some("secret_x")),
            ("a-b", None),
            ("- a\n- b", None),
            ("a -\nb", None),
            ("1 -\n", None),
            ("sec-\n\nret-\n", Some("secret-/")),
        ] {
            let read = Squeezed::undivided(written, false);
            assert_eq!(read.as_ref().map(shown).as_deref(), expected, "{written:?}");
        }
    }
}
