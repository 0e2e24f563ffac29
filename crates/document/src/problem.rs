//! Problems of a document: what is wrong, where, and what would be right.
//!
//! Every reader of a part of a document reports to [`Findings`] by paths. The located tree knows
//! the line and column of each path, so that every problem gets its place, no matter who found it.

use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Surely not meant, but it has a defined meaning.
    Warning,
    /// The document cannot be served.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A problem and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How much it matters.
    pub severity: Severity,
    /// Line from 1; 0 if unknown.
    pub line: u32,
    /// Column in characters, from 1; 0 if unknown.
    pub column: u32,
    /// Path, for example `routing.decisions[3].rules.conditions[0].name`; empty for the document
    /// itself.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// Creates a problem whose line and column are found later, by its path.
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

    /// Creates an error.
    #[must_use]
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, path, message)
    }

    /// Creates a warning.
    #[must_use]
    pub fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, path, message)
    }

    /// Formats the problem as compilers do, `file:line:column: severity: path: message`, so that
    /// an editor can jump to it. An unknown position and an empty path are left out.
    #[must_use]
    pub fn in_file(&self, file: &Path) -> String {
        let file = file.display();
        match self.line {
            0 => format!("{file}: {self}"),
            line => format!("{file}:{line}:{}: {self}", self.column.max(1)),
        }
    }

    /// Tells whether this problem may be a consequence of an error in `first`: it is said of the
    /// same place or of a part of it, or is the same problem.
    fn follows(&self, first: &Self) -> bool {
        let below = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
        first == self
            || (first.severity == Severity::Error
                && !first.path.is_empty()
                && self.path.strip_prefix(&first.path).is_some_and(below))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Tells whether one of the problems is an error.
#[must_use]
pub fn has_errors(problems: &[Problem]) -> bool {
    problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
}

/// Joins the problems that a later step found to those of the steps before it.
///
/// A later step reads a document that earlier ones found faults in, with defaults in their place.
/// What it says of the same place would only repeat the fault in other words, so it is left out.
pub(crate) fn join(problems: &mut Vec<Problem>, later: Vec<Problem>) {
    let known = problems.len();
    for problem in later {
        if !problems[..known].iter().any(|first| problem.follows(first)) {
            problems.push(problem);
        }
    }
}

/// Problems found so far, in the order of finding.
#[derive(Debug, Default)]
pub struct Findings {
    problems: Vec<Problem>,
}

impl Findings {
    /// Reports what forbids serving the document.
    pub fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(Problem::error(path, message));
    }

    /// Reports what forbids serving the document, in place of lesser problems that were said of the
    /// same path.
    pub fn error_instead(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let error = Problem::error(path, message);
        let is_other = |it: &Problem| it.path != error.path || it.severity == Severity::Error;
        self.problems.retain(is_other);
        self.push(error);
    }

    /// Reports what has a defined meaning that was surely not meant.
    pub fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(Problem::warning(path, message));
    }

    /// Reports what is worth knowing.
    pub fn note(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(Problem::new(Severity::Note, path, message));
    }

    /// Reports a problem, once: parts that share a model also share what is wrong with it.
    pub fn push(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Reports several problems.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }

    /// Reports names in a list that are missing or used twice. `path` is the list's.
    pub fn names<'a>(&mut self, path: &str, names: impl IntoIterator<Item = &'a str>) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (index, name) in names.into_iter().enumerate() {
            if name.trim().is_empty() {
                self.error(format!("{path}[{index}]"), "`name` is missing");
            } else if let Some(other) = first.get(name) {
                self.error(
                    format!("{path}[{index}].name"),
                    format!("`{name}` is already the name of {path}[{other}]"),
                );
            } else {
                first.insert(name, index);
            }
        }
    }

    /// Tells whether an error was reported.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        has_errors(&self.problems)
    }

    /// Returns the problems.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// The nearest of `known` to `word`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| -> String {
        text.chars()
            .filter(|letter| letter.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect()
    };
    let folded = fold(word);
    let bound = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&folded, &fold(candidate)),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns `; did you mean …?`, or the whole list of known words if it is short, or nothing: to
/// stand behind a message on an unknown word.
#[must_use]
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().filter(|name| !name.is_empty()).collect();
    match nearest(word, known.iter().copied()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None if (1..=12).contains(&known.len()) => format!("; known: {}", known.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_follow_the_format_of_compilers() {
        let at = |line, column, path: &str| Problem {
            line,
            column,
            ..Problem::warning(path, "odd")
        };
        for (problem, expected) in [
            (at(3, 7, "a.b[1]"), "x.yaml:3:7: warning: a.b[1]: odd"),
            (at(0, 0, "a"), "x.yaml: warning: a: odd"),
            (at(2, 0, ""), "x.yaml:2:1: warning: odd"),
        ] {
            assert_eq!(problem.in_file(Path::new("x.yaml")), expected);
        }
    }

    #[test]
    fn a_later_step_does_not_repeat_a_fault() {
        let mut problems = vec![
            Problem::error("a[1]", "broken"),
            Problem::warning("b", "odd"),
            Problem::error("", "of the document"),
        ];
        join(
            &mut problems,
            vec![
                Problem::error("a[1]", "in other words"),
                Problem::error("a[1].c", "a part of it"),
                Problem::error("a[10]", "its neighbour"),
                Problem::warning("b", "odd"),
                Problem::error("b", "broken too"),
            ],
        );
        let messages: Vec<&str> = problems.iter().map(|it| it.message.as_str()).collect();
        let expected = [
            "broken",
            "odd",
            "of the document",
            "its neighbour",
            "broken too",
        ];
        assert_eq!(messages, expected);
    }
}
