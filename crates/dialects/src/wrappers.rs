//! Texts that client programs put into the user's role without the user having said them: open
//! files, reminders, echoes of commands, summaries. They are no words of the user's turn.

mod clients;

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

pub use clients::DEFAULT_PATTERNS;

/// The compiled size that all patterns together may reach, bytes.
const SIZE_LIMIT: usize = 4 << 20;

/// Pieces that are cut out of one text.
const MAX_PIECES: usize = 256;

/// Places of one text where a piece may begin but has no end: each of them costs a search through
/// the rest of the text.
const MAX_MISSES: usize = 8;

/// Tells the user's words from what a client program wrote around them.
///
/// A pattern matches a piece of a text, which begins at the text's beginning, behind another piece
/// or at the beginning of a line. `.` matches line ends, so `<a>.*?</a>` takes one element and leaves
/// what follows it, while `Continue.*` takes everything. A pattern that takes all of the rest does so
/// behind other pieces only: in the midst of a text it is the user's words that it would take.
#[derive(Debug, Clone)]
pub struct Wrappers {
    patterns: Option<Patterns>,
}

#[derive(Debug, Clone)]
struct Patterns {
    /// A whole piece, anchored.
    piece: Regex,
    /// The beginning of a piece, anchored: what does not match it is no piece.
    opening: Regex,
    /// Tags around the user's own words.
    spoken: Option<Regex>,
}

/// A user text without what a client program wrote into it.
#[derive(Debug, PartialEq, Eq)]
pub struct Words<'t> {
    /// The user's words.
    pub words: Cow<'t, str>,
    /// The client wrote something.
    pub is_wrapped: bool,
}

/// A wrapper pattern that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("wrapper pattern {pattern:?} cannot be used")]
pub struct WrapperError {
    /// The pattern as configured; empty if only all of them together are too large.
    pub pattern: String,
    /// Why.
    #[source]
    pub source: Box<regex::Error>,
}

impl Wrappers {
    /// Compiles patterns; an empty list passes nothing over.
    ///
    /// # Errors
    /// Names the first pattern that is no linear-time regular expression or that is too large.
    pub fn new<P: AsRef<str>>(patterns: &[P]) -> Result<Self, WrapperError> {
        if patterns.is_empty() {
            return Ok(Self::none());
        }
        let (mut pieces, mut openings) = (Vec::new(), Vec::new());
        for pattern in patterns.iter().map(AsRef::as_ref) {
            compile(pattern).map_err(|source| WrapperError {
                pattern: pattern.to_owned(),
                source: Box::new(source),
            })?;
            pieces.push(pattern);
            let opening = pattern.split(".*").next().unwrap_or(pattern);
            openings.push(compile(opening).map_or(pattern, |_| opening));
        }
        let all = |parts: &[&str]| {
            let whole = compile(&format!(r"\A(?:(?:{}))", parts.join(")|(?:")));
            whole.map_err(|source| WrapperError {
                pattern: String::new(),
                source: Box::new(source),
            })
        };
        Ok(Self {
            patterns: Some(Patterns {
                piece: all(&pieces)?,
                opening: all(&openings)?,
                spoken: spoken().ok(),
            }),
        })
    }

    /// Passes nothing over.
    #[must_use]
    pub fn none() -> Self {
        Self { patterns: None }
    }

    /// Returns the user's words in a text.
    #[must_use]
    pub fn words<'t>(&self, text: &'t str) -> Words<'t> {
        let plain = Words {
            words: Cow::Borrowed(text),
            is_wrapped: false,
        };
        let Some(patterns) = &self.patterns else {
            return plain;
        };
        let cut = patterns.cut(text);
        let is_wrapped = cut.is_some();
        let words = cut.map_or(Cow::Borrowed(text), Cow::Owned);
        match patterns.unwrapped(&words) {
            Some(words) => Words {
                words: Cow::Owned(words),
                is_wrapped,
            },
            None if is_wrapped => Words { words, is_wrapped },
            None => plain,
        }
    }

    /// Whether the whole text is made of wrappers. A blank text is not.
    #[must_use]
    pub fn cover(&self, text: &str) -> bool {
        let found = self.words(text);
        found.is_wrapped && found.words.is_empty()
    }
}

impl Patterns {
    /// Cuts out the pieces. `None` where there is none.
    fn cut(&self, text: &str) -> Option<String> {
        let (mut at, mut kept_from, mut kept) = (0, 0, Vec::new());
        let (mut pieces, mut misses) = (0, 0);
        let mut is_leading = true;
        while pieces < MAX_PIECES && misses < MAX_MISSES {
            let rest = text.get(at..).unwrap_or_default();
            let begin = at + rest.len() - rest.trim_start().len();
            let rest = text.get(begin..).unwrap_or_default();
            match self.piece(rest, is_leading) {
                Some(0) | None => {
                    misses += usize::from(!rest.is_empty() && self.opening.is_match(rest));
                    is_leading = false;
                    let Some(line) = memchr::memchr(b'\n', rest.as_bytes()) else {
                        break;
                    };
                    at = begin + line + 1;
                }
                Some(length) => {
                    kept.push(text.get(kept_from..begin).unwrap_or_default().trim());
                    pieces += 1;
                    at = begin + length;
                    kept_from = at;
                }
            }
        }
        if pieces == 0 {
            return None;
        }
        kept.push(text.get(kept_from..).unwrap_or_default().trim());
        kept.retain(|part| !part.is_empty());
        Some(kept.join("\n"))
    }

    /// Returns the length of the piece that a text begins with.
    fn piece(&self, rest: &str, is_leading: bool) -> Option<usize> {
        if !self.opening.is_match(rest) {
            return None;
        }
        let length = self.piece.find(rest)?.end();
        let takes_all = length == rest.len() && !rest.trim_end().ends_with(['>', ']']);
        (is_leading || !takes_all).then_some(length)
    }

    /// Removes the tags around the user's own words. Returns `None` if the text has no such tags.
    fn unwrapped(&self, text: &str) -> Option<String> {
        let spoken = self.spoken.as_ref().filter(|_| text.contains("</"))?;
        match spoken.replace_all(text, "") {
            Cow::Borrowed(_) => None,
            Cow::Owned(words) => Some(words.trim().to_owned()),
        }
    }
}

impl Default for Wrappers {
    fn default() -> Self {
        static DEFAULT: LazyLock<Wrappers> =
            LazyLock::new(|| Wrappers::new(&DEFAULT_PATTERNS).unwrap_or_else(|_| Wrappers::none()));
        DEFAULT.clone()
    }
}

/// Compiles the tags around the user's own words, each with the line that it stands on alone.
fn spoken() -> Result<Regex, regex::Error> {
    let names = clients::SPOKEN.join("|");
    let (opening, closing) = (
        format!(r"(?m:^)[ \t]*<(?:{names})>[ \t]*\n?"),
        format!(r"\n?[ \t]*</(?:{names})>[ \t]*(?m:$)\n?"),
    );
    compile(&format!("{opening}|{closing}"))
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .dot_matches_new_line(true)
        .size_limit(SIZE_LIMIT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_patterns_cover_what_agents_add_and_nothing_else() {
        let cases = [
            (
                "<system-reminder>\nToday is Monday.\n</system-reminder>",
                true,
            ),
            (
                "  <system-reminder>a</system-reminder>\n\n<system-reminder>b</system-reminder>\n",
                true,
            ),
            (
                "<system-reminder>a</system-reminder> fix it <system-reminder>b</system-reminder>",
                false,
            ),
            ("<system-reminder>a</system-reminder>\nfix it", false),
            (
                "<environment_context>\n  <cwd>/x</cwd>\n</environment_context>",
                true,
            ),
            ("<skills_instructions>use them</skills_instructions>", true),
            ("<user_instructions>be brief</user_instructions>", true),
            (
                "Continue from the tool evidence. Failed tool results are diagnostic evidence: …",
                true,
            ),
            (
                "Continue the same Elephant Agent turn using the role-preserved tool result messages above.",
                true,
            ),
            ("<context.compaction.request>\nSummarise", true),
            ("What does <environment_context> mean?", false),
            ("<p>my page</p>", false),
            ("Continue", false),
            (
                "<command-message>debug</command-message>\n<command-name>/debug</command-name>",
                true,
            ),
            (
                "This session is being continued from a previous conversation that ran out of context. It was about: x",
                true,
            ),
            ("[read_file for 'a.rs'] Result:\nfn main() {}", true),
            (
                "I ran this command:\n\nls\n\nAnd got this output:\n\na.rs",
                true,
            ),
            ("", false),
            ("  ", false),
        ];
        let wrappers = Wrappers::default();
        for (text, expected) in cases {
            assert_eq!(wrappers.cover(text), expected, "{text}");
        }
        assert!(!Wrappers::none().cover("<system-reminder>a</system-reminder>"));
    }

    #[test]
    fn words_are_told_from_what_stands_around_them() {
        let cases = [
            (
                "<system-reminder>\nuse python\n</system-reminder>\nsay hello",
                "say hello",
            ),
            (
                "say hello\n<system-reminder>a</system-reminder>\nand bye",
                "say hello\nand bye",
            ),
            (
                "Plan my week\n\n[Time: 2026-11-22 14:49 UTC, Sunday]",
                "Plan my week",
            ),
            (
                "<task>\nfix it\n</task>\n<environment_details>\n# Files\n</environment_details>",
                "fix it",
            ),
            (
                "<context>\n<attachment id=\"a\">x</attachment>\n</context>\n<userRequest>\nfix it\n</userRequest>",
                "fix it",
            ),
            (
                "<command-message>fix</command-message>\n<command-name>/fix</command-name>\n<command-args>the parser</command-args>",
                "the parser",
            ),
            (
                "[attempt_completion] Result:\nThe user said:\n<feedback>\nfix it\n</feedback>",
                "fix it",
            ),
            // What stands within a line is the user's, and so is what has no end.
            (
                "What does <environment_details> mean in python?",
                "What does <environment_details> mean in python?",
            ),
            ("why <rules>a</rules> fails", "why <rules>a</rules> fails"),
            ("<system-reminder>\nno end", "<system-reminder>\nno end"),
            (
                "Fix this.\nContinue from the tool evidence. Then stop",
                "Fix this.\nContinue from the tool evidence. Then stop",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Wrappers::default().words(text).words, expected, "{text}");
        }
    }

    #[test]
    fn a_bad_pattern_is_named() {
        for bad in ["(", "(?=x)", r"(\w{500}){500}", ")|("] {
            let error = Wrappers::new(&["fine", bad]).unwrap_err();
            assert_eq!(error.pattern, bad);
        }
        assert!(
            !Wrappers::new(&["x*"]).unwrap().cover("y"),
            "an empty match covers nothing"
        );
    }
}
