//! Patterns with long counted repetitions, such as `x.{0,500}y`.
//!
//! Of those, any set of places can be reached by some text, so an automaton that has a state for
//! each set never ends building states. Here the set itself is kept, a bit for each place, and a
//! character moves all of them at once: the time per character is known from the pattern alone.

mod alphabet;
mod places;

use alphabet::Alphabet;
use places::Places;
use regex_syntax::hir::{Hir, Look};
use std::collections::HashMap;

/// Characters between two looks at the clock.
const LOOKS: usize = 4096;
/// Bits of a word.
const BITS: usize = u64::BITS as usize;
/// Time of a character, and of each word of bits that it touches, nanoseconds, in a release build:
/// `x.{0,17}y` took 7, `x.{0,900}y` 17, and of patterns that jump most `(?:a[ab]{4}|b[ab]{3}|[ab]a){5}c`
/// 18, `(?:a|b|ab|ba){0,60}c` 160.
const CHARACTER: f64 = 6.0;
const WORD: f64 = 0.6;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Wide {
    /// Places that a match may begin with.
    first: Row,
    /// Places that the next one may follow.
    before_next: Row,
    /// Places that others may follow.
    jumps: Vec<Jump>,
    /// Places that hold between two characters.
    looks: Vec<(Look, Row)>,
    alphabet: Alphabet,
    /// For each class of characters the places that take it.
    takers: Vec<Row>,
    /// For each class of characters whether a match may begin with it.
    begins: Vec<bool>,
    /// Reached by a match.
    end: usize,
    /// No character is needed for a match.
    is_empty_found: bool,
}

/// A bit for each place.
type Row = Box<[u64]>;

/// Places behind which the same others may stand, besides the next ones.
#[derive(Debug)]
struct Jump {
    /// Words of the row that have such places, with the places' bits.
    from: Vec<(usize, u64)>,
    to: Vec<(usize, u64)>,
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// Some match ends here, and none before.
    End(usize),
    /// There is no match.
    Nothing,
    /// It was too late to read on.
    Late,
}

impl Wide {
    /// Compiles a pattern; `None` if it asks for something that cannot be kept in bits, or for too
    /// much.
    pub(super) fn new(hir: &Hir) -> Option<Self> {
        let places = Places::of(hir)?;
        let words = (places.end + 1).div_ceil(BITS);
        let (alphabet, takers) = places.takers(words);
        let mut wide = Self {
            first: row(words, &places.first),
            before_next: row(words, &[]),
            jumps: Vec::new(),
            looks: Vec::new(),
            begins: vec![false; takers.len()],
            alphabet,
            takers,
            end: places.end,
            is_empty_found: false,
        };
        wide.link(&places.follow);
        for (place, look) in &places.looks {
            match wide.looks.iter_mut().find(|(other, _)| other == look) {
                Some((_, places)) => set(places, *place),
                None => wide.looks.push((*look, row(words, &[*place]))),
            }
        }
        wide.note_begins();
        Some(wide)
    }

    /// Nanoseconds per character, at most.
    pub(super) fn pace(&self) -> f64 {
        let jumps = self.jumps.iter();
        let jumps: usize = jumps.map(|jump| jump.from.len() + jump.to.len()).sum();
        let looks = self.looks.len() * 2;
        let rows = (3 + looks) * self.first.len();
        CHARACTER + WORD * (rows + jumps * (1 + looks)) as f64
    }

    /// Needs no character for a match.
    pub(super) fn is_empty_found(&self) -> bool {
        self.is_empty_found
    }

    /// Looks for the first end of a match that begins at `from` or later.
    pub(super) fn search(&self, text: &str, from: usize, is_late: impl Fn() -> bool) -> Search {
        let mut active = row(self.first.len(), &[]);
        let mut moved = active.clone();
        let mut is_idle = true;
        let rest = text.get(from..).unwrap_or_default();
        for (count, (at, c)) in rest.char_indices().enumerate() {
            if count % LOOKS == LOOKS - 1 && is_late() {
                return Search::Late;
            }
            let class = self.alphabet.class(c);
            if is_idle && !self.is_empty_found && !self.begins[class] {
                continue;
            }
            if self.enter(text, from + at, &mut active, &mut moved) {
                return Search::End(from + at);
            }
            let mut any = 0;
            for ((moved, active), takes) in
                moved.iter_mut().zip(&mut active).zip(&self.takers[class])
            {
                *moved = *active & takes;
                *active = 0;
                any |= *moved;
            }
            is_idle = any == 0;
            if !is_idle {
                self.advance(&moved, &mut active);
                if is_set(&active, self.end) {
                    return Search::End(from + at + c.len_utf8());
                }
            }
        }
        if self.enter(text, text.len(), &mut active, &mut moved) {
            return Search::End(text.len());
        }
        Search::Nothing
    }

    /// Begins a match here, and takes what holds here; tells whether that is all of a match.
    fn enter(&self, text: &str, at: usize, active: &mut Row, moved: &mut Row) -> bool {
        join(active, &self.first);
        if self.looks.is_empty() {
            return is_set(active, self.end);
        }
        loop {
            let mut grew = false;
            for (look, places) in &self.looks {
                let mut any = 0;
                for ((moved, active), places) in moved.iter_mut().zip(active.iter()).zip(places) {
                    *moved = active & places;
                    any |= *moved;
                }
                if any != 0 && holds(*look, text.as_bytes(), at) {
                    grew |= self.advance(moved, active);
                }
            }
            if !grew {
                return is_set(active, self.end);
            }
        }
    }

    /// Adds all that may follow the places that were taken, and tells whether some of it is new.
    fn advance(&self, taken: &Row, active: &mut Row) -> bool {
        let (mut carry, mut all_new) = (0, 0);
        for ((active, taken), before_next) in active.iter_mut().zip(taken).zip(&self.before_next) {
            let moving = taken & before_next;
            let new = (moving << 1 | carry) & !*active;
            *active |= new;
            all_new |= new;
            carry = moving >> (BITS - 1);
        }
        for jump in &self.jumps {
            if jump
                .from
                .iter()
                .any(|(word, bits)| taken[*word] & bits != 0)
            {
                for (word, bits) in &jump.to {
                    all_new |= bits & !active[*word];
                    active[*word] |= bits;
                }
            }
        }
        all_new != 0
    }

    fn link(&mut self, follow: &[Vec<usize>]) {
        let words = self.first.len();
        let mut jumps: HashMap<Vec<usize>, Vec<usize>> = HashMap::new();
        for (place, follow) in follow.iter().enumerate() {
            let mut others = follow.clone();
            others.sort_unstable();
            others.dedup();
            others.retain(|other| *other != place + 1);
            if follow.contains(&(place + 1)) {
                set(&mut self.before_next, place);
            }
            if !others.is_empty() {
                jumps.entry(others).or_default().push(place);
            }
        }
        let jumps = jumps.into_iter().map(|(to, from)| Jump {
            from: filled(&row(words, &from)),
            to: filled(&row(words, &to)),
        });
        self.jumps = jumps.collect();
        // Every build is to take the same time for the same text.
        self.jumps.sort_by(|a, b| a.from.cmp(&b.from));
    }

    /// Notes what a match may begin with, whatever is asked of its place.
    fn note_begins(&mut self) {
        let mut reached = self.first.clone();
        loop {
            let mut grew = false;
            for (_, places) in &self.looks {
                let held = reached.iter().zip(places).map(|(row, places)| row & places);
                let held: Row = held.collect();
                grew |= self.advance(&held, &mut reached);
            }
            if !grew {
                break;
            }
        }
        self.is_empty_found = is_set(&reached, self.end);
        let takes = |takers: &Row| {
            reached
                .iter()
                .zip(takers)
                .any(|(row, takes)| row & takes != 0)
        };
        self.begins = self.takers.iter().map(takes).collect();
    }
}

/// Tells whether a look-around that [`places`] lets pass holds between two bytes.
fn holds(look: Look, text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
    let after = text.get(at).copied();
    let is_word = |byte: Option<u8>| byte.is_some_and(crate::families::letters::is_ascii_word);
    match look {
        Look::Start => before.is_none(),
        Look::End => after.is_none(),
        Look::StartLF => before.is_none_or(|byte| byte == b'\n'),
        Look::EndLF => after.is_none_or(|byte| byte == b'\n'),
        Look::WordAscii => is_word(before) != is_word(after),
        _ => is_word(before) == is_word(after),
    }
}

fn row(words: usize, places: &[usize]) -> Row {
    let mut row = vec![0; words].into_boxed_slice();
    places.iter().for_each(|&place| set(&mut row, place));
    row
}

fn set(row: &mut Row, place: usize) {
    row[place / BITS] |= 1 << (place % BITS);
}

fn is_set(row: &Row, place: usize) -> bool {
    row[place / BITS] >> (place % BITS) & 1 == 1
}

fn join(row: &mut Row, other: &Row) {
    row.iter_mut()
        .zip(other)
        .for_each(|(row, other)| *row |= other);
}

/// Returns the words of a row that have some bit.
fn filled(row: &Row) -> Vec<(usize, u64)> {
    let words = row.iter().copied().enumerate();
    words.filter(|(_, bits)| *bits != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;
    use regex::Regex;

    fn wide(pattern: &str) -> Wide {
        Wide::new(&regex_syntax::parse(pattern).unwrap()).unwrap()
    }

    fn check(pattern: &str, text: &str) {
        let bounds: Vec<usize> = (0..=text.len())
            .filter(|at| text.is_char_boundary(*at))
            .collect();
        let ends_here = |end: &&usize| {
            let mut starts = bounds.iter().filter(|start| start <= end);
            starts.any(|start| stands(pattern, text, *start, **end))
        };
        let expected = bounds.iter().find(ends_here);
        assert_eq!(
            wide(pattern).search(text, 0, || false),
            expected.map_or(Search::Nothing, |end| Search::End(*end)),
            "{pattern} in {text:?}"
        );
    }

    /// Tells whether a match can stand at these very places.
    fn stands(pattern: &str, text: &str, start: usize, end: usize) -> bool {
        let before = text.get(..start).unwrap().chars().count();
        let after = text.get(end..).unwrap().chars().count();
        let exact = format!(r"(?s:\A.{{{before}}})(?:{pattern})(?s:.{{{after}}}\z)");
        Regex::new(&exact).unwrap().is_match(text)
    }

    #[test]
    fn ends_are_found() {
        for pattern in [
            "x.{0,3}y",
            "x.{2}y",
            "(?i)x.{0,20}Y",
            r"(?-u:\b)ab{1,3}(?-u:\b)",
            r"(?-u:\B)b{2,4}",
            r"^a{1,20}$",
            r"(?m)^a{1,20}$",
            r"\Aa{2,}b",
            r"(?:ab|ba){2,5}",
            r"(?:a?b?){3}y",
            r"(?:x{0,4}|[^y]{2,3})+z?y",
            r"a{0,5}",
            r"(?:(?-u:\b)|a){2,3}y",
            r"é{1,3}[а-я]{2}",
            r"(?s)x.{3,5}",
        ] {
            for text in [
                "",
                "y",
                "xy",
                "x12y",
                "x1234y",
                "ab",
                "abb abbbb",
                "aab",
                "aaa\naa",
                "ba ab",
                "abba",
                "abbay",
                "XéY",
                "éа я",
                "éабx",
                "xyxyxyxy",
                "bbbb",
                "x\n\n\ny",
                "ay",
                "a y",
            ] {
                check(pattern, text);
            }
        }
    }

    #[test]
    fn what_bits_cannot_say_is_left_alone() {
        for pattern in [r"\bé", r"(?Rm)a$", "(?:a{1000}){100}"] {
            let hir = regex_syntax::parse(pattern);
            assert!(hir.is_ok_and(|hir| Wide::new(&hir).is_none()), "{pattern}");
        }
    }

    #[test]
    fn a_search_stops_when_it_is_late() {
        let text = "x".repeat(3 * LOOKS);
        let pattern = wide("x.{0,900}y");
        assert_eq!(pattern.search(&text, 0, || true), Search::Late);
        assert_eq!(pattern.search("xxxxxxxxx", 0, || true), Search::Nothing);
    }

    proptest! {
        #[test]
        fn finds_what_the_engine_finds(
            gap in select(vec![".", "[^x]", "[a-zé]", "ab|[xé]y", "x"]),
            least in 0_usize..4,
            more in 0_usize..70,
            head in select(vec!["x", r"(?-u:\b)x", "x+", ""]),
            tail in select(vec!["y", r"y(?-u:\b)", "(?:y|$)", "y{2,3}"]),
            text in "[xyabé ]{0,90}",
        ) {
            let pattern = format!("{head}(?:{gap}){{{least},{}}}{tail}", least + more);
            let expected = Regex::new(&pattern).unwrap().is_match(&text);
            let found = wide(&pattern).search(&text, 0, || false);
            prop_assert_eq!(found != Search::Nothing, expected, "{}", pattern);
        }
    }
}
