//! Patterns of paths, as an operator writes them.

use super::segments::{Segments, folded};

/// A pattern of paths: `*` stands for one segment, `**` at the end for any number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    /// Folded words; `None` stands for any.
    segments: Vec<Option<String>>,
    /// More segments may follow.
    is_open: bool,
}

/// A pattern that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a path pattern begins with `/`; `*` stands for one whole segment, and `**` for any number of segments at the end"
)]
pub struct InvalidPattern;

/// A segment of a known path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Word(&'a str),
    Any,
}

impl PathPattern {
    /// Reads a pattern such as `/files/*/upload` or `/grafana/**`.
    ///
    /// # Errors
    /// If it is no such pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let path = text.strip_prefix('/').ok_or(InvalidPattern)?;
        let (path, is_open) = match path.strip_suffix("**") {
            Some(front) if front.is_empty() || front.ends_with('/') => (front, true),
            Some(_) => return Err(InvalidPattern),
            None => (path, false),
        };
        let words = path.split('/').filter(|word| !word.is_empty());
        let segments = words.map(|word| match word {
            "*" => Ok(None),
            _ if word.contains(['*', '?', '#', '%']) || matches!(word, "." | "..") => {
                Err(InvalidPattern)
            }
            word => Ok(Some(folded(word))),
        });
        Ok(Self {
            segments: segments.collect::<Result<_, _>>()?,
            is_open,
        })
    }

    /// Tells whether a request's `:path` is one of these, in any spelling.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let path = Segments::of(path).folded;
        let pieces: Vec<Piece<'_>> = path.iter().map(|word| Piece::Word(word)).collect();
        self.meets(&pieces)
    }

    /// Tells whether some path of the form `path` is one of these.
    pub(super) fn meets(&self, path: &[Piece<'_>]) -> bool {
        let fits = |(own, piece): (&Option<String>, &Piece<'_>)| match (own, piece) {
            (Some(own), Piece::Word(word)) => own == word,
            (None, _) | (_, Piece::Any) => true,
        };
        let is_long_enough = if self.is_open {
            path.len() >= self.segments.len()
        } else {
            path.len() == self.segments.len()
        };
        is_long_enough && self.segments.iter().zip(path).all(fits)
    }
}
