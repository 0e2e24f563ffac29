//! What a translation could not carry over: every kind of loss in one table, the list that a
//! translation keeps, and the header that tells of it.

mod kinds;

use std::borrow::Cow;
use std::fmt::Write as _;

pub(crate) use kinds::Lost;
pub use kinds::{KINDS, Kind, Way};

use crate::endpoint::Dialect;

/// How much a loss matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing that the model would have seen is missing.
    Info,
    /// A part of the request does not reach the model, or not as it was meant.
    Lossy,
    /// A part was broken before it was translated.
    Error,
}

impl Severity {
    /// Returns its word in headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Lossy => "lossy",
            Self::Error => "error",
        }
    }
}

/// One thing that could not be carried over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Loss {
    /// How much it matters.
    pub severity: Severity,
    /// The reason, a word of the published list or of Merit's own.
    pub reason: &'static str,
    /// Where it stood, as a path of the client's body: `messages[1].content[0]`.
    pub field: Cow<'static, str>,
}

/// What could not be carried over, in the order in which it was met.
pub type Losses = Vec<Loss>;

/// The header that lists the losses of a request.
pub const WARNINGS_HEADER: &str = "x-vsr-protocol-warnings";

/// Bytes that the header's value may have.
pub const WARNINGS_LIMIT: usize = 4096;

/// Losses that are listed one by one; of a body that loses more only the number is told.
const MOST_LISTED: usize = 512;

/// Bytes of a field's path that are kept.
const LONGEST_FIELD: usize = 160;

/// The reason of an entry that stands for others; its field is their number.
const MORE: &str = "more";

/// Formats the losses for [`WARNINGS_HEADER`]: `severity;reason;field`, separated by commas, cut at
/// a whole entry. Where entries do not fit, the last one is `lossy;more;N` (`info` if none of them
/// is worse). `None` if nothing was lost.
#[must_use]
pub fn warnings(losses: &[Loss]) -> Option<String> {
    // The entry that tells of others: severity, reason, and a number of up to 20 digits.
    const RESERVED: usize = 32;
    let mut value = String::new();
    for (at, loss) in losses.iter().enumerate() {
        let entry = entry(loss);
        let is_last = at + 1 == losses.len();
        let limit = WARNINGS_LIMIT - if is_last { 0 } else { RESERVED };
        if value.len() + 1 + entry.len() > limit {
            let rest = losses.get(at..).unwrap_or_default();
            append(&mut value, &entry_of_more(rest));
            break;
        }
        append(&mut value, &entry);
    }
    (!value.is_empty()).then_some(value)
}

fn append(value: &mut String, entry: &str) {
    if !value.is_empty() {
        value.push(',');
    }
    value.push_str(entry);
}

/// Formats a loss. A field names members as the client did: what would end an entry or a header
/// becomes an underscore.
fn entry(loss: &Loss) -> String {
    let plain = |c: char| match c {
        ',' | ';' => '_',
        c if c.is_ascii_graphic() => c,
        _ => '_',
    };
    let field: String = loss.field.chars().map(plain).collect();
    format!("{};{};{field}", loss.severity.as_str(), loss.reason)
}

fn entry_of_more(rest: &[Loss]) -> String {
    let worst = rest.iter().map(|loss| loss.severity).max();
    let count: usize = rest.iter().map(count).sum();
    let severity = worst.unwrap_or(Severity::Info);
    format!("{};{MORE};{count}", severity.as_str())
}

/// Returns how many losses an entry stands for.
fn count(loss: &Loss) -> usize {
    match loss.reason {
        MORE => loss.field.parse().unwrap_or(1),
        _ => 1,
    }
}

/// The losses of one translation, as they are met.
#[derive(Debug)]
pub(crate) struct Ledger {
    way: Way,
    listed: Losses,
    /// Losses beyond those that are listed.
    more: usize,
    /// The worst among them.
    worst: Severity,
}

impl Ledger {
    pub(crate) fn new(from: Dialect, to: Dialect) -> Self {
        Self {
            way: Way { from, to },
            listed: Vec::new(),
            more: 0,
            worst: Severity::Info,
        }
    }

    /// Lists a loss.
    pub(crate) fn lose(&mut self, lost: Lost, field: impl std::fmt::Display) {
        let kind = lost.kind();
        debug_assert!(
            kind.ways().any(|way| way == self.way),
            "{} is not in the table for {:?}",
            kind.reason,
            self.way
        );
        if self.listed.len() >= MOST_LISTED {
            self.more += 1;
            self.worst = self.worst.max(kind.severity);
            return;
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _written = write!(text, "{field}").is_ok();
        if text.len() > LONGEST_FIELD {
            text.truncate(text.floor_char_boundary(LONGEST_FIELD));
        }
        self.listed.push(Loss {
            severity: kind.severity,
            reason: kind.reason,
            field: text.into(),
        });
    }

    /// Returns all that was lost.
    pub(crate) fn finish(mut self) -> Losses {
        if self.more > 0 {
            self.listed.push(Loss {
                severity: self.worst,
                reason: MORE,
                field: self.more.to_string().into(),
            });
        }
        self.listed
    }
}

#[cfg(test)]
mod tests;
