//! Something wrong in a file that the user wrote, said so that an editor can jump to it.

use serde::Serialize;
use std::fmt;
use std::path::Path;

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing will go wrong.
    Note,
    /// Works, but probably not as meant.
    Warning,
    /// Refused.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One finding in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Line, from 1; 0 if unknown.
    pub line: u64,
    /// Column in characters, from 1; 0 if unknown.
    pub column: u64,
    /// Path in the document, for example `routing.decisions[2].rules`; empty for the whole
    /// document.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Diagnostic {
    /// A finding without a position.
    #[must_use]
    pub fn new(severity: Severity, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity,
            line: 0,
            column: 0,
            path: path.into(),
            message: message.into(),
        }
    }

    /// An error about a document as a whole.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, "", message)
    }

    /// `file:line:column: severity: path: message`; unknown positions and empty paths are left out.
    #[must_use]
    pub fn in_file(&self, file: &Path) -> String {
        let file = file.display();
        match self.line {
            0 => format!("{file}: {self}"),
            line => format!("{file}:{line}:{}: {self}", self.column.max(1)),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: ", self.severity)?;
        if !self.path.is_empty() {
            write!(to, "{}: ", self.path)?;
        }
        to.write_str(&self.message)
    }
}

/// `diagnostics` holds an error.
#[must_use]
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_follow_the_format_of_compilers() {
        let at = |line, column, path: &str| Diagnostic {
            line,
            column,
            ..Diagnostic::new(Severity::Warning, path, "odd")
        };
        for (diagnostic, expected) in [
            (at(3, 7, "a.b[1]"), "x.yaml:3:7: warning: a.b[1]: odd"),
            (at(0, 0, "a"), "x.yaml: warning: a: odd"),
            (at(2, 0, ""), "x.yaml:2:1: warning: odd"),
        ] {
            assert_eq!(diagnostic.in_file(Path::new("x.yaml")), expected);
        }
    }
}
