//! Texts as a reader sees them: one form for characters that look alike (NFKC, one dash for all
//! dashes), none of those that nobody sees, digits of all scripts as ASCII.
//!
//! A number in full-width digits, or with a soft hyphen in its middle, is the same number to a
//! reader. What must not be missed is looked for in this copy. Most texts need none.

mod squeezed;

use icu_properties::CodePointSetData;
use icu_properties::props::{Dash, DefaultIgnorableCodePoint};
pub use squeezed::{Gap, Squeezed};
use std::borrow::Cow;
use unicode_normalization::char::compose;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// Returns the text as a reader sees it; the text itself where that is the same.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if is_legible(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(Legible::copy(text).scalars.into_iter().collect())
}

/// Returns the text with one blank for each run of white space; the text itself where that is the
/// same. A phrase is the same to a reader on one line or on two.
#[must_use]
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    let mut was_space = false;
    let is_other = |scalar: char| {
        let is_space = scalar.is_whitespace();
        let is_other = is_space && (was_space || scalar != ' ');
        was_space = is_space;
        is_other
    };
    if !text.contains(is_other) {
        return Cow::Borrowed(text);
    }

    let mut line = String::with_capacity(text.len());
    let mut was_space = false;
    for scalar in text.chars() {
        let is_space = scalar.is_whitespace();
        match (is_space, was_space) {
            (true, true) => {}
            (true, false) => line.push(' '),
            (false, _) => line.push(scalar),
        }
        was_space = is_space;
    }
    Cow::Owned(line)
}

/// Returns the text with a blank for each character that nobody sees: such a one may stand between
/// two words. `None` if there is no such character.
#[must_use]
pub fn apart(text: &str) -> Option<String> {
    let blank = |scalar| if is_ignorable(scalar) { ' ' } else { scalar };
    text.contains(is_ignorable)
        .then(|| text.chars().map(blank).collect())
}

/// Scalars of a text as a reader sees them.
#[derive(Debug, Default)]
pub(crate) struct Legible {
    pub(crate) scalars: Vec<char>,
    /// Before which scalars stood something that nobody sees.
    hidden: Vec<usize>,
    /// Which scalar of the text each comes from; empty where each comes from the one at its place.
    places: Vec<usize>,
}

impl Legible {
    /// Reads a text.
    pub(crate) fn of(text: &str) -> Self {
        if is_legible(text) {
            return Self {
                scalars: text.chars().collect(),
                ..Self::default()
            };
        }
        Self::copy(text)
    }

    /// Returns which scalars of the text those from `start` to `end` come from.
    pub(crate) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        let first = self.places.get(start);
        let last = end.checked_sub(1).and_then(|last| self.places.get(last));
        match (first, last) {
            (Some(first), Some(last)) => (*first, last + 1),
            _ => (start, end),
        }
    }

    fn copy(text: &str) -> Self {
        let mut legible = Self::default();
        for (place, scalar) in text.chars().enumerate() {
            if is_legible_scalar(scalar) {
                legible.push(scalar, place);
            } else if is_ignorable(scalar) {
                legible.hidden.push(legible.scalars.len());
            } else {
                for part in std::iter::once(scalar).nfkc() {
                    legible.add(simple(part), place);
                }
            }
        }
        legible
    }

    fn push(&mut self, scalar: char, place: usize) {
        self.scalars.push(scalar);
        self.places.push(place);
    }

    /// Adds a scalar, or makes one of it and the last one. A mark that makes no letter is dropped:
    /// it strikes through, underlines or frames.
    fn add(&mut self, scalar: char, place: usize) {
        let joined = self
            .scalars
            .last_mut()
            .and_then(|last| Some((compose(*last, scalar)?, last)));
        match joined {
            Some((joined, last)) => *last = joined,
            None if is_mark(scalar) => {}
            None => self.push(scalar, place),
        }
    }
}

/// Tells whether a reader sees a text just as it is written.
#[must_use]
pub fn is_legible(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'..=b'\r');
    text.bytes().all(is_plain) || text.chars().all(is_legible_scalar)
}

/// Whether a scalar stands for itself, whatever stands before it.
fn is_legible_scalar(scalar: char) -> bool {
    match scalar {
        '\t'..='\r'
        | ' '..='~'
        | '\u{C0}'..='\u{131}'
        | '\u{400}'..='\u{45F}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30A1}'..='\u{30FA}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7A3}' => true,
        _ => {
            let normal = is_nfkc_quick(std::iter::once(scalar)) == IsNormalized::Yes;
            normal && !is_ignorable(scalar) && !is_mark(scalar) && simple(scalar) == scalar
        }
    }
}

/// Marks above, below and through any letter, and around it.
fn is_mark(scalar: char) -> bool {
    matches!(scalar, '\u{300}'..='\u{36F}' | '\u{20D0}'..='\u{20FF}')
}

/// Returns whether a character leaves no trace where a text is shown, or an empty place. Controls
/// that are no white space leave none, and neither do the marks of annotations; Braille, musical,
/// Khitan and Egyptian signs have blanks of their own that are no white space.
fn is_ignorable(scalar: char) -> bool {
    let is_control = scalar.is_control() && !scalar.is_whitespace();
    is_control
        || matches!(
            scalar,
            '\u{2800}' | '\u{FFF9}'..='\u{FFFB}' | '\u{13441}'..='\u{13442}' | '\u{16FE4}' | '\u{1D159}'
        )
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(scalar)
}

/// Returns the one character that stands for all that look like this one: dashes and minus signs of
/// all lengths are `-`, digits of all scripts ASCII.
fn simple(scalar: char) -> char {
    let is_dash = matches!(scalar, '\u{2D7}' | '\u{2043}')
        || CodePointSetData::new::<Dash>().contains(scalar);
    if is_dash { '-' } else { ascii_digit(scalar) }
}

/// Zeros of the scripts that have digits of their own. Nine digits follow each.
const ZEROS: [u32; 58] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66,
    0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90,
    0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0,
    0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650,
    0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50,
    0x1E140, 0x1E2F0, 0x1E950,
];

/// Returns the ASCII digit of the same value; what is no digit stays.
fn ascii_digit(scalar: char) -> char {
    let code = u32::from(scalar);
    let after = ZEROS.partition_point(|zero| *zero <= code);
    let zero = after.checked_sub(1).and_then(|at| ZEROS.get(at));
    zero.and_then(|zero| char::from_digit(code - zero, 10))
        .unwrap_or(scalar)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_become_legible() {
        for (written, expected) in [
            ("plain é 数据 Привет 한국어 カード", None),
            ("４１１１", Some("4111")),
            ("٤١١١ ۴१𑑑", Some("4111 411")),
            ("𝟜𝟙 ①", Some("41 1")),
            ("ｓｅｃｒｅｔ", Some("secret")),
            ("𝐬𝐞𝐜𝐫𝐞𝐭", Some("secret")),
            ("se\u{200B}cr\u{AD}et\u{FEFF}", Some("secret")),
            ("s\u{336}e\u{336}cret", Some("secret")),
            ("se\0c\u{1}r\u{7F}e\u{9F}t\u{FFF9}", Some("secret")),
            ("two\tlines\r\n", None),
            ("cafe\u{301}", Some("café")),
            ("4\u{FE0F}\u{20E3}", Some("4")),
            ("ﬁle…", Some("file...")),
            ("\u{1112}\u{1161}\u{11AB}", Some("한")),
            ("ｶﾞ", Some("ガ")),
            ("a\u{A0}b", Some("a b")),
            ("“quoted” 5 €", None),
            ("“a” – 5 €", Some("“a” - 5 €")),
            (
                "a\u{2010}b\u{2011}c\u{2212}d\u{FE63}e\u{1806}f",
                Some("a-b-c-d-e-f"),
            ),
            (
                "s\u{3164}e\u{115F}c\u{1160}r\u{FFA0}e\u{2800}t",
                Some("secret"),
            ),
        ] {
            let legible = text(written);
            assert_eq!(legible, expected.unwrap_or(written));
            assert_eq!(
                matches!(legible, Cow::Borrowed(_)),
                expected.is_none(),
                "{written}"
            );
        }
    }

    #[test]
    fn white_space_becomes_one_blank() {
        for (written, expected) in [
            ("", None),
            ("on one line, é", None),
            (" a b ", None),
            ("a  b", Some("a b")),
            ("a\nb", Some("a b")),
            ("a\t \r\n b", Some("a b")),
            ("a\u{A0}b\u{2028}c", Some("a b c")),
            ("\n\na", Some(" a")),
        ] {
            let line = on_one_line(written);
            assert_eq!(line, expected.unwrap_or(written));
            assert_eq!(matches!(line, Cow::Borrowed(_)), expected.is_none());
        }
    }

    #[test]
    fn scalars_know_where_they_come_from() {
        let legible = Legible::of("x\u{200B}４\u{AD}1ﬁ");
        let seen: String = legible.scalars.iter().collect();
        assert_eq!(seen, "x41fi");
        for (seen, origin) in [
            ((0, 1), (0, 1)),
            ((1, 3), (2, 5)),
            ((3, 4), (5, 6)),
            ((3, 5), (5, 6)),
        ] {
            assert_eq!(legible.origin(seen.0, seen.1), origin);
        }
        assert_eq!(Legible::of("abc").origin(1, 3), (1, 3));
    }

    proptest! {
        #[test]
        fn a_legible_text_stays(written in "[a-zé４٤\u{AD}\u{301}\u{200B}数한ｶﾞ①]{0,20}") {
            let once = text(&written).into_owned();
            prop_assert_eq!(text(&once), once.as_str());
        }

        #[test]
        fn dashes_are_one_and_nothing_invisible_stays(written in ".{0,30}") {
            let read = text(&written);
            let is_other_dash = |scalar: char| scalar != '-' && CodePointSetData::new::<Dash>().contains(scalar);
            prop_assert!(!read.contains(is_other_dash) && !read.contains(is_ignorable), "{read:?}");
            prop_assert!(apart(&written).is_none_or(|apart| !apart.contains(is_ignorable)));
        }
    }
}
