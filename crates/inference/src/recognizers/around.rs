//! Words near a number that say what it is.

mod words;

use super::text::Text;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use std::sync::OnceLock;
use words::WORDS;

/// Scalars read before and after a number.
const BEFORE: usize = 48;
const AFTER: usize = 28;

/// What the words near a number say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Phone,
    Card,
    Security,
    Address,
    Birth,
    Licence,
    Zip,
    /// A national number of this type.
    Id(&'static str),
    /// Orders, versions, identifiers: a number of something else.
    Other,
}

/// What is said near scalars `start..end`.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// Places of the last word of each kind before the number, by kind; nearer is greater.
    before: Vec<(About, usize)>,
    after: Vec<About>,
}

impl Around {
    /// Reads the words of the same line, and of the line before where the number begins its own.
    pub(super) fn new(text: &Text, start: usize, end: usize) -> Self {
        let from = start.saturating_sub(BEFORE);
        let before = padded(&text.lower(from, start));
        let line_end = text.run(end, AFTER, |scalar| scalar != '\n');
        let after = padded(&text.lower(end, line_end));
        Self {
            before: hits(&before),
            after: hits(&after).into_iter().map(|(about, _)| about).collect(),
        }
    }

    /// Whether a word before the number says `about`.
    pub(super) fn leads(&self, about: About) -> bool {
        self.before.iter().any(|(said, _)| *said == about)
    }

    /// Whether a word before or after says it.
    pub(super) fn says(&self, about: About) -> bool {
        self.leads(about) || self.after.contains(&about)
    }

    /// Whether the last word before that says anything about the number says `about`, counting only
    /// it and `rivals`.
    pub(super) fn nearest(&self, about: About, rivals: &[About]) -> bool {
        let mut relevant = self
            .before
            .iter()
            .filter(|(said, _)| *said == about || rivals.contains(said));
        relevant
            .by_ref()
            .max_by_key(|(_, at)| *at)
            .is_some_and(|(said, _)| *said == about)
    }
}

/// Punctuation between words becomes a blank, save what marks them (`:`, `.`, `#`, `=`, `'`), which
/// keeps a blank after it.
fn padded(words: &str) -> String {
    let mut padded = String::with_capacity(words.len() + 8);
    padded.push(' ');
    for scalar in words.chars() {
        match scalar {
            '(' | ')' | ',' | ';' | '"' | '\n' | '\t' | '[' | ']' | '{' | '}' | '*' | '<' | '>'
            | '/' | '!' | '?' | '|' => padded.push(' '),
            '_' | '-' => padded.push_str(if scalar == '_' { " " } else { "-" }),
            _ => padded.push(scalar),
        }
    }
    padded.push(' ');
    padded
}

fn hits(words: &str) -> Vec<(About, usize)> {
    let Some((finder, kinds)) = finder() else {
        return Vec::new();
    };
    let found = finder.find_overlapping_iter(words);
    found
        .filter_map(|hit| Some((*kinds.get(hit.pattern().as_usize())?, hit.end())))
        .collect()
}

fn finder() -> Option<&'static (AhoCorasick, Vec<About>)> {
    static FINDER: OnceLock<Option<(AhoCorasick, Vec<About>)>> = OnceLock::new();
    let build = || {
        let words = WORDS.iter().flat_map(|(_, words)| words.iter());
        let kinds = WORDS
            .iter()
            .flat_map(|(about, words)| words.iter().map(|_| *about))
            .collect();
        Some((AhoCorasickBuilder::new().build(words).ok()?, kinds))
    };
    FINDER.get_or_init(build).as_ref()
}
