//! Where a structure feature is read: patterns, words, ordered markers, or the turn's length.

use crate::families::pattern::{self, Pattern};
use crate::families::{SignalInput, letters, words};
use document::Findings;
use memchr::memmem::Finder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

/// Where a structure feature is read.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StructureSource {
    /// `regex`, `keyword_set`, `sequence` or `text_bytes`.
    #[serde(rename = "type")]
    pub kind: Option<SourceKind>,
    /// Pattern of a `regex` source.
    pub pattern: String,
    /// Words of a `keyword_set` source.
    pub keywords: Vec<String>,
    /// Marker lists of a `sequence` source.
    pub sequences: Vec<Vec<String>>,
    /// Compare case.
    pub case_sensitive: bool,
}

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "StructureSourceKind", extend("x-any-case" = true))]
pub enum SourceKind {
    /// Matches of a pattern.
    Regex,
    /// Words.
    KeywordSet,
    /// Markers in order.
    Sequence,
    /// The turn's length.
    TextBytes,
}

impl SourceKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Regex => "regex",
            Self::KeywordSet => "keyword_set",
            Self::Sequence => "sequence",
            Self::TextBytes => "text_bytes",
        }
    }
}

/// A compiled source.
pub(super) enum Source {
    Regex(Box<Pattern>),
    Words {
        words: Vec<Word>,
        case_sensitive: bool,
    },
    Sequences {
        lists: Vec<Vec<Finder<'static>>>,
        case_sensitive: bool,
    },
    TextBytes,
}

/// One word of a `keyword_set`.
pub(super) struct Word {
    finder: Finder<'static>,
    /// Letters and digits beside it make it another word.
    bounded: bool,
}

impl StructureSource {
    /// Compiles the source; `at` is its path.
    pub(super) fn compile(&self, at: &str, findings: &mut Findings) -> Option<Source> {
        let case_sensitive = self.case_sensitive;
        let Some(kind) = self.kind else {
            findings.error(
                format!("{at}.type"),
                "`type` is missing; known: regex, keyword_set, sequence, text_bytes",
            );
            return None;
        };
        match kind {
            SourceKind::Regex => self
                .regex(at, findings)
                .map(|it| Source::Regex(Box::new(it))),
            SourceKind::KeywordSet => {
                if self.keywords.is_empty() {
                    findings.error(
                        format!("{at}.keywords"),
                        "a `keyword_set` source needs `keywords`",
                    );
                    return None;
                }
                let words = self.keywords.iter();
                Some(Source::Words {
                    words: words.map(|word| Word::new(word, case_sensitive)).collect(),
                    case_sensitive,
                })
            }
            SourceKind::Sequence => {
                if self.sequences.is_empty() || self.sequences.contains(&Vec::new()) {
                    findings.error(
                        format!("{at}.sequences"),
                        "a `sequence` source needs `sequences`: lists of at least one marker",
                    );
                    return None;
                }
                let finder =
                    |marker: &String| Finder::new(&*cased(marker, case_sensitive)).into_owned();
                let list = |markers: &Vec<String>| markers.iter().map(finder).collect();
                Some(Source::Sequences {
                    lists: self.sequences.iter().map(list).collect(),
                    case_sensitive,
                })
            }
            SourceKind::TextBytes => Some(Source::TextBytes),
        }
    }

    fn regex(&self, at: &str, findings: &mut Findings) -> Option<Pattern> {
        let at = format!("{at}.pattern");
        if self.pattern.is_empty() {
            findings.error(at, "a `regex` source needs `pattern`");
            return None;
        }
        // The reference adds its own flag only where the pattern does not begin with it.
        let exact = self.case_sensitive || self.pattern.starts_with("(?i)");
        match pattern::compile(&self.pattern, exact) {
            Ok(compiled) => {
                compiled.check_cost(&at, findings);
                Some(compiled)
            }
            Err(error) => {
                findings.error(at, error.to_string());
                None
            }
        }
    }
}

impl Source {
    /// Tells whether it is the turn's length.
    pub(super) fn counts_bytes(&self) -> bool {
        matches!(self, Self::TextBytes)
    }

    /// Tells whether it is texts that are found as they are written.
    pub(super) fn is_literal(&self) -> bool {
        matches!(self, Self::Words { .. } | Self::Sequences { .. })
    }

    /// Nanoseconds per byte of text, at most.
    pub(super) fn pace(&self) -> f64 {
        match self {
            Self::Regex(pattern) => pattern.pace(),
            Self::Words { words, .. } => words.len() as f64,
            Self::Sequences { lists, .. } => lists.len() as f64,
            Self::TextBytes => 0.0,
        }
    }

    /// How often it occurs; a sequence occurs once or not at all.
    pub(super) fn count(&self, text: &Text<'_>) -> usize {
        match self {
            Self::Regex(pattern) => {
                let (count, is_all) = pattern.count(text.evaluation, || text.input.is_late());
                text.note(is_all);
                count
            }
            Self::Words {
                words,
                case_sensitive,
            } => {
                let text = text.cased(*case_sensitive);
                words
                    .iter()
                    .map(|word| word.occurrences(text).count())
                    .sum()
            }
            Self::Sequences { .. } => usize::from(self.occurs(text)),
            Self::TextBytes => text.current.len(),
        }
    }

    /// It occurs at all.
    pub(super) fn occurs(&self, text: &Text<'_>) -> bool {
        match self {
            Self::Regex(pattern) => {
                let found = pattern.is_match(text.evaluation, || text.input.is_late());
                text.note(found.is_some());
                found.unwrap_or(false)
            }
            Self::Words {
                words,
                case_sensitive,
            } => {
                let text = text.cased(*case_sensitive);
                words
                    .iter()
                    .any(|word| word.occurrences(text).next().is_some())
            }
            Self::Sequences {
                lists,
                case_sensitive,
            } => {
                let text = text.cased(*case_sensitive);
                lists.iter().any(|markers| in_order(markers, text))
            }
            Self::TextBytes => !text.current.is_empty(),
        }
    }
}

/// Every marker is found behind the one before it.
fn in_order(markers: &[Finder<'static>], text: &str) -> bool {
    let mut rest = text.as_bytes();
    markers.iter().all(|marker| match marker.find(rest) {
        Some(at) => {
            rest = rest.get(at + marker.needle().len()..).unwrap_or_default();
            true
        }
        None => false,
    })
}

impl Word {
    fn new(word: &str, case_sensitive: bool) -> Self {
        Self {
            finder: Finder::new(&*cased(word, case_sensitive)).into_owned(),
            bounded: !word.chars().any(letters::is_cjk),
        }
    }

    /// Occurrences that do not overlap; a rejected one hides what begins inside it.
    fn occurrences<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        let length = self.finder.needle().len();
        let text = if length == 0 { "" } else { text };
        let hits = self.finder.find_iter(text.as_bytes());
        hits.filter(move |at| length > 0 && (!self.bounded || stands_alone(text, *at, length)))
    }
}

fn stands_alone(text: &str, at: usize, length: usize) -> bool {
    let before = text.get(..at).and_then(|text| text.chars().next_back());
    let after = text.get(at + length..).and_then(|text| text.chars().next());
    !before.is_some_and(continues_word) && !after.is_some_and(continues_word)
}

fn continues_word(c: char) -> bool {
    letters::is_alphanumeric(c) && !letters::is_cjk(c)
}

fn cased(text: &str, case_sensitive: bool) -> Cow<'_, str> {
    if case_sensitive {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(letters::lower_all(text))
    }
}

/// One request's texts, and what is made of them on demand and once.
pub(super) struct Text<'a> {
    evaluation: &'a str,
    current: &'a str,
    input: &'a SignalInput<'a>,
    units: OnceCell<usize>,
    is_partly_read: Cell<bool>,
}

impl<'a> Text<'a> {
    pub(super) fn new(input: &'a SignalInput<'a>) -> Self {
        Self {
            evaluation: &input.prompt.texts.evaluation,
            current: &input.prompt.texts.current,
            input,
            units: OnceCell::new(),
            is_partly_read: Cell::new(false),
        }
    }

    fn note(&self, is_all: bool) {
        if !is_all {
            self.is_partly_read.set(true);
        }
    }

    /// Tells whether something was left out since this was last asked.
    pub(super) fn take_partly_read(&self) -> bool {
        self.is_partly_read.take()
    }

    fn cased(&self, case_sensitive: bool) -> &str {
        if case_sensitive {
            self.evaluation
        } else {
            self.input.lower()
        }
    }

    /// CJK characters and runs of other letters and digits.
    pub(super) fn units(&self) -> usize {
        *self.units.get_or_init(|| units(self.evaluation))
    }
}

fn units(text: &str) -> usize {
    if text.is_ascii() {
        return words::count_ascii_words(text);
    }
    let mut units = 0;
    let mut in_word = false;
    for c in text.chars() {
        let cjk = letters::is_cjk(c);
        let continues = !cjk && letters::is_alphanumeric(c);
        units += usize::from(cjk || (continues && !in_word));
        in_word = continues;
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_units() {
        for (text, expected) in [
            ("", 0),
            ("?!", 0),
            ("a", 1),
            (" a1 b_", 2),
            ("user_id", 2),
            ("don't", 2),
            ("hello 世界", 3),
            ("コーヒー", 4),
            ("Step one, then step two", 5),
            ("请解释请举例", 6),
            ("x1 ٣٤", 2),
        ] {
            assert_eq!(units(text), expected, "{text}");
        }
    }

    #[test]
    fn words_have_their_own_boundaries() {
        for (word, text, expected) in [
            ("user", "user_id and user", 2),
            ("c++", "use C++ now", 1),
            ("привет", "Привет!", 1),
            ("привет", "приветы", 0),
            ("a a", "xa a a", 0),
            ("a a", "a a a a", 2),
            ("step", "steps", 0),
            ("step", "世step界", 1),
            ("请", "请解释请举例", 2),
            ("json", "JSON2", 0),
            ("ΟΔΟΣ", "οδοσ", 1),
            ("", "anything", 0),
        ] {
            assert_eq!(
                Word::new(word, false)
                    .occurrences(&letters::lower_all(text))
                    .count(),
                expected,
                "{word} {text}"
            );
        }
    }
}
