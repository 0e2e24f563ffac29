//! Texts that agents put into the user's role without the user having said them; they are passed
//! over when the user's turn is looked for.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

/// Wrapper patterns of the clients we know, as [`Wrappers::new`] takes them.
pub const DEFAULT_PATTERNS: [&str; 7] = [
    // Claude Code
    "<system-reminder>.*?</system-reminder>",
    // Codex
    "<environment_context>.*?</environment_context>",
    "<[a-z]+(?:_[a-z]+)*_instructions>.*?</[a-z]+(?:_[a-z]+)*_instructions>",
    // Inferoa
    r"Continue from the tool evidence\..*",
    r"<context\.compaction\.request>.*",
    // Elephant
    "Continue the same Elephant Agent turn.*",
    // Claude Code's local command echoes
    "<local-command-(?:stdout|caveat)>.*?</local-command-(?:stdout|caveat)>",
];

/// The compiled size that all patterns together may reach, bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// Consecutive pieces looked at in one text, a bound on the work that a text made of thousands of
/// pieces can cause.
const MAX_PIECES: usize = 64;

/// Decides whether a user text is wholly a wrapper.
///
/// A text is one if, after trimming, it consists of nothing but pieces that some pattern matches,
/// with whitespace between them. Each pattern is anchored at the start of a piece and `.` matches
/// line ends, so `<a>.*?</a>` takes one element and leaves what follows it, while `Continue.*`
/// takes everything.
#[derive(Debug, Clone)]
pub struct Wrappers {
    piece: Option<Regex>,
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
            return Ok(Self { piece: None });
        }
        let mut all = String::new();
        for pattern in patterns.iter().map(AsRef::as_ref) {
            compile(pattern).map_err(|source| WrapperError {
                pattern: pattern.to_owned(),
                source: Box::new(source),
            })?;
            all.push_str(if all.is_empty() { "(?:" } else { "|(?:" });
            all.push_str(pattern);
            all.push(')');
        }
        let piece = compile(&format!(r"\A(?:{all})")).map_err(|source| WrapperError {
            pattern: String::new(),
            source: Box::new(source),
        })?;
        Ok(Self { piece: Some(piece) })
    }

    /// Passes nothing over.
    #[must_use]
    pub fn none() -> Self {
        Self { piece: None }
    }

    /// Whether the whole text is made of wrappers. A blank text is not.
    #[must_use]
    pub fn cover(&self, text: &str) -> bool {
        let Some(piece) = &self.piece else {
            return false;
        };
        let mut rest = text.trim();
        for _ in 0..MAX_PIECES {
            match piece.find(rest) {
                Some(found) if found.end() > 0 => {
                    rest = rest.get(found.end()..).unwrap_or_default().trim_start()
                }
                _ => return false,
            }
            if rest.is_empty() {
                return true;
            }
        }
        false
    }
}

impl Default for Wrappers {
    fn default() -> Self {
        static DEFAULT: LazyLock<Wrappers> =
            LazyLock::new(|| Wrappers::new(&DEFAULT_PATTERNS).unwrap_or_else(|_| Wrappers::none()));
        DEFAULT.clone()
    }
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
