//! Literal keywords: searched by their words, and those without an ASCII word by Aho-Corasick
//! automata; boundaries are checked at the hits.
//!
//! The reference puts ASCII `\b` on both sides of a keyword that has a letter, a digit or `_` and
//! no Han character. Each side's check depends only on the keyword's outermost character, so it is
//! decided once ([`Edge`]). A side that ends in a non-ASCII letter, where ASCII `\b` could never
//! hold, gets a boundary of its own script instead. A side that ends in a sign (`C++`, `.NET`) gets
//! none: `\b` would ask for a letter beside the sign.
//!
//! Case folds as in RE2 (Unicode, one to one). The searches fold ASCII only, so keywords with
//! other cased letters go to a pattern set; and two characters fold into ASCII from outside it (`ſ`
//! to s, the Kelvin sign to k): texts that have them are read by the patterns of the keywords
//! concerned as well.

use super::Target;
use super::search::WordSearch;
use crate::families::letters::{self, FOLDS_INTO_ASCII};
use crate::families::pattern::{PatternError, PatternSet};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::collections::HashMap;
use std::ops::Range;

/// Keywords above this many bytes are searched by the slower, smaller automaton.
const FAST_LIMIT: usize = 16 << 10;

/// The literal keywords of all rules.
pub(super) struct Literals {
    always: Vec<usize>,
    /// Keywords of ASCII without a word character: punctuation.
    odd: Option<Automaton>,
    /// Keywords with other characters.
    folded: Option<Automaton>,
    exact: Option<Automaton>,
    /// Keywords with cased letters outside ASCII.
    cased: PatternSet,
    /// Some keyword of `cased` can match an ASCII text.
    cased_reads_ascii: bool,
    /// Keywords with an s or a k that are matched in any case.
    twins: PatternSet,
}

/// Why the joint search cannot be built.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// Too many or too long keywords.
    #[error("keywords do not fit one search: {0}")]
    Automaton(#[from] aho_corasick::BuildError),
    /// Too many or too long patterns.
    #[error("keywords do not fit one search: {0}")]
    Patterns(#[from] PatternError),
}

impl Literals {
    /// Sets `hits[slot]` for every keyword found in `text` of those that are not searched by words.
    /// Returns the slots of those for which it became too late.
    pub(super) fn mark(
        &self,
        text: &str,
        is_late: impl Fn() -> bool,
        hits: &mut [bool],
    ) -> Vec<usize> {
        for slot in &self.always {
            hits[*slot] = true;
        }
        if let Some(odd) = &self.odd {
            odd.mark(text, hits);
        }
        let ascii = text.is_ascii();
        if !ascii {
            for automaton in [&self.folded, &self.exact].into_iter().flatten() {
                automaton.mark(text, hits);
            }
        }
        let mut unread = Vec::new();
        if !ascii || self.cased_reads_ascii {
            unread.extend(self.cased.mark(text, &is_late, hits));
        }
        if !ascii && text.contains(FOLDS_INTO_ASCII) {
            unread.extend(self.twins.mark(text, &is_late, hits));
        }
        unread
    }
}

/// A keyword that is searched by words, with what is asked of its neighbours.
pub(super) struct Bounded {
    slot: usize,
    edges: [Edge; 2],
}

impl Bounded {
    /// Sets the keyword's hit if it stands alone where it was found.
    pub(super) fn mark(&self, text: &str, place: Range<usize>, hits: &mut [bool]) {
        let [left, right] = self.edges;
        hits[self.slot] = hits[self.slot]
            || (left.holds_before(text, place.start) && right.holds_after(text, place.end));
    }
}

struct Automaton {
    search: AhoCorasick,
    keywords: Vec<(usize, [Edge; 2])>,
}

impl Automaton {
    fn build(keywords: Vec<Keyword>, fold: bool) -> Result<Option<Self>, aho_corasick::BuildError> {
        if keywords.is_empty() {
            return Ok(None);
        }
        let bytes: usize = keywords.iter().map(|keyword| keyword.text.len()).sum();
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(fold)
            .kind((bytes <= FAST_LIMIT).then_some(AhoCorasickKind::DFA))
            .build(keywords.iter().map(|keyword| &keyword.text))?;
        Ok(Some(Self {
            search,
            keywords: keywords
                .iter()
                .map(|keyword| (keyword.slot, keyword.edges))
                .collect(),
        }))
    }

    fn mark(&self, text: &str, hits: &mut [bool]) {
        for hit in self.search.find_overlapping_iter(text) {
            let Some((slot, [left, right])) = self.keywords.get(hit.pattern().as_usize()) else {
                continue;
            };
            if !hits[*slot]
                && left.holds_before(text, hit.start())
                && right.holds_after(text, hit.end())
            {
                hits[*slot] = true;
            }
        }
    }
}

/// What one side of a keyword asks of its neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Nothing.
    Free,
    /// No ASCII word character: the keyword ends in one itself.
    NoWord,
    /// No word character of a script that is written with spaces.
    NoLetter,
}

impl Edge {
    fn of(c: char) -> Self {
        match c {
            _ if !letters::is_word(c) || letters::is_unspaced(c) => Self::Free,
            _ if c.is_ascii() => Self::NoWord,
            _ => Self::NoLetter,
        }
    }

    /// What both sides of a keyword ask.
    pub(super) fn both(keyword: &str) -> [Self; 2] {
        let has_word = keyword
            .chars()
            .any(|c| c == '_' || letters::is_alphanumeric(c));
        if !has_word || keyword.chars().any(letters::is_han) {
            return [Self::Free; 2];
        }
        Self::ends(keyword)
    }

    fn ends(keyword: &str) -> [Self; 2] {
        let ends = [keyword.chars().next(), keyword.chars().next_back()];
        ends.map(|end| end.map_or(Self::Free, Self::of))
    }

    /// Tells whether a keyword may begin at byte `at`.
    pub(super) fn holds_before(self, text: &str, at: usize) -> bool {
        match self {
            Self::Free => true,
            Self::NoLetter => text
                .get(..at)
                .and_then(|text| text.chars().next_back())
                .is_none_or(ends_word),
            Self::NoWord => at
                .checked_sub(1)
                .and_then(|before| text.as_bytes().get(before))
                .is_none_or(|byte| !letters::is_ascii_word(*byte)),
        }
    }

    /// Tells whether a keyword may end at byte `at`.
    pub(super) fn holds_after(self, text: &str, at: usize) -> bool {
        match self {
            Self::Free => true,
            Self::NoLetter => text
                .get(at..)
                .and_then(|text| text.chars().next())
                .is_none_or(ends_word),
            Self::NoWord => text
                .as_bytes()
                .get(at)
                .is_none_or(|byte| !letters::is_ascii_word(*byte)),
        }
    }

    /// The same check inside a pattern.
    fn pattern(self, end: &str) -> String {
        match self {
            Self::Free => String::new(),
            Self::NoWord => r"(?-u:\b)".into(),
            Self::NoLetter => format!(r"(?:{end}|[^\w--[{}]])", letters::UNSPACED_CLASS),
        }
    }
}

/// A word of a spaced script cannot go on with `c`.
fn ends_word(c: char) -> bool {
    !letters::is_word(c) || letters::is_unspaced(c)
}

/// A keyword as one pattern of its own.
fn as_pattern(keyword: &str, edges: [Edge; 2], case_sensitive: bool) -> String {
    let flags = if case_sensitive { "" } else { "(?i)" };
    let [left, right] = [edges[0].pattern(r"\A"), edges[1].pattern(r"\z")];
    format!("{flags}{left}{}{right}", regex::escape(keyword))
}

/// A word between boundaries, whatever its characters, any case: for families with patterns of
/// their own.
pub(in crate::families) fn bounded_pattern(word: &str) -> String {
    as_pattern(word, Edge::ends(word), false)
}

struct Keyword {
    text: String,
    slot: usize,
    edges: [Edge; 2],
}

/// Collects distinct keywords.
#[derive(Default)]
pub(super) struct Builder {
    slots: HashMap<(String, bool), usize>,
    always: Vec<usize>,
    folded: Vec<Keyword>,
    exact: Vec<Keyword>,
    cased: Vec<(String, usize)>,
    cased_reads_ascii: bool,
}

impl Builder {
    /// The slot of a keyword; a new one is taken from `next`.
    pub(super) fn slot(&mut self, keyword: &str, case_sensitive: bool, next: &mut usize) -> usize {
        let name = (keyword.to_owned(), case_sensitive);
        if let Some(slot) = self.slots.get(&name) {
            return *slot;
        }
        let slot = *next;
        *next += 1;
        self.slots.insert(name, slot);
        let edges = Edge::both(keyword);
        let entry = || Keyword {
            text: keyword.to_owned(),
            slot,
            edges,
        };
        if keyword.is_empty() {
            self.always.push(slot);
        } else if case_sensitive {
            self.exact.push(entry());
        } else if keyword
            .chars()
            .any(|c| !c.is_ascii() && letters::has_case(c))
        {
            self.cased_reads_ascii |= keyword.contains(FOLDS_INTO_ASCII);
            self.cased.push((as_pattern(keyword, edges, false), slot));
        } else {
            self.folded.push(entry());
        }
        slot
    }

    /// Compiles what was collected; what can be searched by words goes to `search`.
    pub(super) fn finish(self, search: &mut WordSearch<Target>) -> Result<Literals, BuildError> {
        let has_twin = |keyword: &&Keyword| keyword.text.contains(['s', 'S', 'k', 'K']);
        let twin = |keyword: &Keyword| {
            (
                as_pattern(&keyword.text, keyword.edges, false),
                keyword.slot,
            )
        };
        let twins: Vec<_> = self.folded.iter().filter(has_twin).map(twin).collect();
        let mut odd = Vec::new();
        let mut rest = |keywords: Vec<Keyword>, case_sensitive: bool| {
            let mut foreign = Vec::new();
            for keyword in keywords {
                let (slot, edges) = (keyword.slot, keyword.edges);
                let target = Target::Keyword(Bounded { slot, edges });
                if search.add(&keyword.text, case_sensitive, target) {
                    continue;
                }
                if keyword.text.is_ascii() {
                    odd.push(keyword);
                } else {
                    foreign.push(keyword);
                }
            }
            foreign
        };
        let (folded, exact) = (rest(self.folded, false), rest(self.exact, true));
        Ok(Literals {
            always: self.always,
            odd: Automaton::build(odd, false)?,
            folded: Automaton::build(folded, true)?,
            exact: Automaton::build(exact, false)?,
            cased: PatternSet::build(&self.cased)?,
            cased_reads_ascii: self.cased_reads_ascii,
            twins: PatternSet::build(&twins)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joint(keywords: &[(String, bool)], text: &str) -> Vec<bool> {
        let mut builder = Builder::default();
        let mut next = 0;
        let slots: Vec<_> = keywords
            .iter()
            .map(|(word, case)| builder.slot(word, *case, &mut next))
            .collect();
        let mut hits = vec![false; next];
        let mut search = WordSearch::default();
        let literals = builder.finish(&mut search).unwrap();
        search.find(
            text,
            || false,
            |target, place| {
                if let Target::Keyword(keyword) = target {
                    keyword.mark(text, place, &mut hits);
                }
            },
        );
        assert!(literals.mark(text, || false, &mut hits).is_empty());
        slots.iter().map(|slot| hits[*slot]).collect()
    }

    fn alone(keyword: &str, case_sensitive: bool, text: &str) -> bool {
        regex::Regex::new(&as_pattern(keyword, Edge::both(keyword), case_sensitive))
            .unwrap()
            .is_match(text)
    }

    #[test]
    fn boundaries() {
        for (keyword, text, expected) in [
            ("brief", "briefly", false),
            ("brief", "Be BRIEF.", true),
            ("api", "my-api-key", true),
            ("api", "调用api接口", true),
            ("api", "éapi", true),
            ("user", "user_id", false),
            ("C++", "use C++ now", true),
            ("C++", "(c++)", true),
            ("C++", "C++11", true),
            ("C++", "vitamin C", false),
            ("C++", "ObjC++", false),
            ("C#", "C#, F#", true),
            ("C#", "the C", false),
            (".NET", "Is .NET 8 faster?", true),
            (".net", "asp.net", true),
            (".net", "the net", false),
            (".net", ".netrc", false),
            ("node.js", "Node.js 22", true),
            ("node.js", "node js", false),
            ("--force", "git push --force", true),
            ("--force", "--forced", false),
            ("@me", "ask @me", true),
            ("§ 5", "nach § 5 BGB", true),
            ("£5", "for £5", true),
            ("£5", "for £50", false),
            ("数据", "大数据", true),
            ("数据API", "x数据apiy", true),
            ("?!", "what?!", true),
            ("", "", true),
            (" hi", "oh hi", true),
            (" hi", " hi", true),
            (" hi", "hi", false),
            ("kelvin", "\u{212A}elvin", false),
            ("ask", "as\u{212A}", false),
            ("skin", "s\u{212A}in", true),
            ("misſ", "MISS", true),
            ("aſb", "ASB", true),
            // Boundaries of the keyword's own script, where ASCII ones could never hold.
            ("café", "a café here", true),
            ("café", "a CAFÉ", true),
            ("café", "caféteria", false),
            ("привет", "Привет, мир", true),
            ("привет", "приветствие", false),
            ("привет", "приветX", false),
            ("データ", "このデータを見る", true),
            ("환불", "환불을 원해요", true),
            ("हिन्दी", "हिन्दी में", true),
            ("हिन्दी", "हिन्दीx", false),
            ("été", "调用été接口", true),
        ] {
            assert_eq!(
                joint(&[(keyword.into(), false)], text),
                [expected],
                "{keyword} in {text}"
            );
            assert_eq!(
                alone(keyword, false, text),
                expected,
                "{keyword} in {text}, as a pattern"
            );
        }
        assert_eq!(
            joint(&[("Ab".into(), true), ("Ab".into(), false)], "ab"),
            [false, true]
        );
    }

    fn words() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            proptest::sample::select(vec![
                "a", "B", "k", "s", "S", "é", "É", "я", "Я", "数", "カ", "_", "1", "+", " ", "ſ",
                "\u{212A}", "ß",
            ]),
            0..5,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn joint_search_equals_each_keyword_alone(
            keywords in proptest::collection::vec((words(), any::<bool>()), 1..6),
            text in proptest::collection::vec(words(), 0..8).prop_map(|parts| parts.concat()),
        ) {
            let expected: Vec<_> = keywords.iter().map(|(word, case)| alone(word, *case, &text)).collect();
            prop_assert_eq!(joint(&keywords, &text), expected);
        }
    }
}
