//! Literal keywords as a reader sees them, for boundaries.
//!
//! A keyword is found whatever its characters are written with, whatever nobody sees stands in it or
//! between its words, whatever white space divides its words, and where a line breaks behind its
//! hyphens or divides a word. Decisions search the text as it is; a boundary must hold where only
//! this search finds something.

use super::literal::Edge;
use aho_corasick::{AhoCorasick, BuildError};
use inference::legible::{self, Gap, Squeezed};

/// The literal keywords of all rules, squeezed.
pub(super) struct Seen {
    folded: Search,
    exact: Search,
    /// Some keyword is not the same when squeezed.
    has_phrases: bool,
    /// Some keyword is written otherwise than a reader sees it.
    is_simplified: bool,
}

/// A literal keyword of a rule.
#[derive(Debug)]
pub(super) struct Literal<'a> {
    pub(super) text: &'a str,
    pub(super) case_sensitive: bool,
    pub(super) slot: usize,
}

#[derive(Default)]
struct Search {
    automaton: Option<AhoCorasick>,
    keywords: Vec<Keyword>,
}

struct Keyword {
    squeezed: Squeezed,
    slot: usize,
    edges: [Edge; 2],
}

impl Seen {
    /// Compiles the keywords.
    pub(super) fn build<'a>(
        literals: impl Iterator<Item = Literal<'a>> + Clone,
    ) -> Result<Self, BuildError> {
        let of = |case_sensitive: bool| {
            let alike = literals.clone();
            alike.filter(move |literal| literal.case_sensitive == case_sensitive)
        };
        let has_space = |literal: Literal<'_>| literal.text.trim().contains(char::is_whitespace);
        Ok(Self {
            folded: Search::build(of(false), true)?,
            exact: Search::build(of(true), false)?,
            has_phrases: literals.clone().any(has_space),
            is_simplified: literals
                .clone()
                .any(|literal| !legible::is_legible(literal.text)),
        })
    }

    /// Tells whether this search may find more in a text than the one that takes it as it is.
    pub(super) fn reads_more(&self, text: &str) -> bool {
        if self.folded.keywords.is_empty() && self.exact.keywords.is_empty() {
            return false;
        }
        let has_other_spaces = || matches!(legible::on_one_line(text), std::borrow::Cow::Owned(_));
        let has_line_end = || {
            let lines = text.split_inclusive('\n');
            lines
                .filter(|line| line.ends_with('\n'))
                .any(|line| line.trim_end().ends_with('-'))
        };
        self.is_simplified
            || !legible::is_legible(text)
            || has_line_end()
            || (self.has_phrases && has_other_spaces())
    }

    /// Sets `hits[slot]` for every keyword that a reader sees in `text`. Returns whether it was in
    /// time for all of them.
    pub(super) fn mark(&self, text: &str, is_late: impl Fn() -> bool, hits: &mut [bool]) -> bool {
        for (search, fold) in [(&self.folded, true), (&self.exact, false)] {
            if search.keywords.is_empty() {
                continue;
            }
            let whole = Squeezed::of(text, fold);
            for read in std::iter::once(whole).chain(Squeezed::undivided(text, fold)) {
                if is_late() {
                    return false;
                }
                search.mark(&read, hits);
            }
        }
        true
    }
}

impl Search {
    fn build<'a>(
        literals: impl Iterator<Item = Literal<'a>>,
        fold: bool,
    ) -> Result<Self, BuildError> {
        let keyword = |literal: Literal<'_>| Keyword {
            squeezed: Squeezed::of(literal.text, fold),
            slot: literal.slot,
            edges: Edge::both(&legible::text(literal.text)),
        };
        let keywords: Vec<Keyword> = literals
            .map(keyword)
            .filter(|keyword| !keyword.squeezed.text().is_empty())
            .collect();
        let texts = keywords.iter().map(|keyword| keyword.squeezed.text());
        Ok(Self {
            automaton: (!keywords.is_empty())
                .then(|| AhoCorasick::new(texts))
                .transpose()?,
            keywords,
        })
    }

    fn mark(&self, read: &Squeezed, hits: &mut [bool]) {
        let Some(automaton) = &self.automaton else {
            return;
        };
        for hit in automaton.find_overlapping_iter(read.text()) {
            let Some(keyword) = self.keywords.get(hit.pattern().as_usize()) else {
                continue;
            };
            if !hits[keyword.slot] && keyword.stands_at(read, hit.start()) {
                hits[keyword.slot] = true;
            }
        }
    }
}

impl Keyword {
    /// Tells whether the keyword stands alone at `start`, its words as far apart as they are written.
    fn stands_at(&self, read: &Squeezed, start: usize) -> bool {
        let own = self.squeezed.text();
        let [left, right] = self.edges;
        let end = start + own.len();
        let begins = read.gap(start).is_open() || left.holds_before(read.text(), start);
        let ends = read.gap(end).is_open() || right.holds_after(read.text(), end);
        let mut places = own.char_indices().zip(own.chars().skip(1));
        begins
            && ends
            && places.all(|((at, before), _)| {
                let at = at + before.len_utf8();
                agree(self.squeezed.gap(at), read.gap(start + at), before == '-')
            })
    }
}

/// Tells whether a gap in a text may be what a keyword has there.
fn agree(keyword: Gap, text: Gap, is_behind_hyphen: bool) -> bool {
    if keyword.is_space {
        return text.is_open();
    }
    !text.is_space || (text.is_break && is_behind_hyphen)
}
