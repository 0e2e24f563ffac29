//! The engine's own form of a pattern, compiled when a text is first read by that pattern alone.

use super::PatternError;
use regex::{Regex, RegexBuilder};
use std::sync::OnceLock;

/// Bound of one compiled pattern, bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// A pattern in the engine's dialect. Of many patterns most are only ever searched for together.
#[derive(Debug)]
pub(in crate::families) struct Engine {
    pattern: Box<str>,
    regex: OnceLock<Option<Regex>>,
}

impl Engine {
    /// Takes a pattern that is not compiled yet.
    pub(super) fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.into(),
            regex: OnceLock::new(),
        }
    }

    /// Compiles the pattern at once.
    pub(super) fn compiled(&self) -> Result<(), PatternError> {
        let regex = build(&self.pattern)?;
        self.regex.get_or_init(|| Some(regex));
        Ok(())
    }

    /// The pattern in the engine's dialect.
    pub(in crate::families) fn as_str(&self) -> &str {
        &self.pattern
    }

    /// The compiled pattern; `None` if it does not compile, which loading tells.
    pub(super) fn regex(&self) -> Option<&Regex> {
        let regex = self.regex.get_or_init(|| build(&self.pattern).ok());
        regex.as_ref()
    }

    /// Tells whether the pattern is found in `text`; `None` if it cannot tell.
    pub(super) fn is_match(&self, text: &str) -> Option<bool> {
        self.regex().map(|regex| regex.is_match(text))
    }
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build()
}
