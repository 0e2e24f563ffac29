//! Documents that say one thing in several spellings: what was read is brought to one, and problems
//! still name the keys as they are written.

use super::problem::Problem;

/// What bringing a value to one spelling did.
#[derive(Debug, Default)]
pub struct Respelled {
    /// Keys whose value is read at another path.
    pub moved: Vec<Moved>,
    /// What is wrong with the spelling; without places.
    pub problems: Vec<Problem>,
}

/// A key whose value is read at another path than the one at which it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Path in the text.
    pub written: String,
    /// Path in the typed document.
    pub read: String,
}

impl Moved {
    /// Returns the path in the text for a path at or below the one that is read.
    pub(crate) fn source(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.read.as_str())?;
        let is_below = rest.is_empty() || rest.starts_with(['.', '[']);
        is_below.then(|| format!("{}{rest}", self.written))
    }
}
