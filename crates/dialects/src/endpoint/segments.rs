//! A path as a server may read it, whatever its spelling.

use std::borrow::Cow;

/// How often a path is percent-decoded, at most: gateways in a row may each decode once.
const ROUNDS: usize = 4;

/// The segments of a path: percent-decoded, without empty and dot segments.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// As they were written, for ids.
    pub(super) written: Vec<String>,
    /// In lower case, without parameters (`;v=1`), for words that are compared.
    pub(super) folded: Vec<String>,
}

impl Segments {
    /// Reads `:path`; query and fragment do not matter.
    pub(super) fn of(path: &str) -> Self {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut segments = Self::default();
        for segment in decoded(path).split(['/', '\\']) {
            match segment {
                "" | "." => {}
                ".." => {
                    segments.written.pop();
                }
                segment => segments.written.push(segment.to_owned()),
            }
        }
        segments.folded = segments.written.iter().map(|it| folded(it)).collect();
        segments
    }
}

/// Returns a segment as words are compared.
pub(super) fn folded(segment: &str) -> String {
    let word = segment.split(';').next().unwrap_or_default();
    word.to_ascii_lowercase()
}

fn decoded(path: &str) -> Cow<'_, str> {
    let mut path = Cow::Borrowed(path);
    for _ in 0..ROUNDS {
        if !path.contains('%') {
            break;
        }
        let next = percent_encoding::percent_decode_str(&path)
            .decode_utf8_lossy()
            .into_owned();
        if next == path {
            break;
        }
        path = Cow::Owned(next);
    }
    path
}
