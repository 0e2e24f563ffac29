//! `merit check`: every problem of routing documents and of an Envoy bootstrap, for people or for
//! machines.

mod changes;
mod envoy;

use crate::cli::{CheckArgs, LogFormat};
use crate::engine::{self, Wanted};
use crate::output;
use anyhow::Context as _;
use changes::Change;
use document::{Problem, Severity, has_errors};
use serde::Serialize;
use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Lines that are listed of a problem that comes several times.
const LINES_SHOWN: usize = 12;

/// Checks all files; `document` finds the problems of one routing document. Fails when there is an
/// error, not when there are only warnings.
///
/// # Errors
/// If a file cannot be read.
pub fn run(
    arguments: &CheckArgs,
    document: impl Fn(&str) -> Vec<Problem>,
) -> anyhow::Result<ExitCode> {
    if arguments.effective {
        return effective(&arguments.files, document);
    }
    let mut reports = Vec::new();
    let mut wanted = Wanted::default();
    let mut changed = Vec::new();
    for file in &arguments.files {
        let text = read(file)?;
        if let Some(document) = engine::document(&text) {
            wanted.add(&document);
            changed.extend(changes::concerning(&document));
        }
        reports.push(Report {
            file,
            diagnostics: document(&text),
        });
    }
    if let Some(file) = &arguments.envoy {
        reports.push(Report {
            file,
            diagnostics: envoy::check(&read(file)?, &wanted),
        });
    }
    let text = match arguments.format {
        LogFormat::Text => {
            let told = changes_for_people(changed, arguments);
            [for_people(&reports)]
                .into_iter()
                .chain(told)
                .collect::<Vec<_>>()
                .join("\n")
        }
        LogFormat::Json => serde_json::to_string_pretty(&reports)?,
    };
    output::text(&text)?;
    let failed = reports.iter().any(|report| has_errors(&report.diagnostics));
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Prints each document with its defaults filled in, and its errors beside.
fn effective(
    files: &[PathBuf],
    document: impl Fn(&str) -> Vec<Problem>,
) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    for file in files {
        let text = read(file)?;
        if let Some(filled) = engine::effective(&text) {
            output::text(filled.trim_end())?;
        }
        let mut diagnostics = document(&text);
        diagnostics.retain(|problem| problem.severity == Severity::Error);
        failed |= !diagnostics.is_empty();
        for problem in &diagnostics {
            output::note(&problem.in_file(file));
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Tells of changed defaults: in one line, or one by one where that is asked for.
fn changes_for_people(mut changed: Vec<Change>, arguments: &CheckArgs) -> Option<String> {
    changed.sort_by_key(Change::place);
    changed.dedup();
    if changed.is_empty() {
        None
    } else if arguments.changes {
        let lines: Vec<String> = changed.iter().map(Change::line).collect();
        Some(lines.join("\n"))
    } else {
        Some(format!(
            "note: {} defaults that concern this have changed since the first version; `merit check --changes` lists them",
            changed.len()
        ))
    }
}

#[derive(Serialize)]
struct Report<'a> {
    file: &'a Path,
    diagnostics: Vec<Problem>,
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn for_people(reports: &[Report<'_>]) -> String {
    let lines: Vec<String> = reports.iter().flat_map(Report::lines).collect();
    lines.join("\n")
}

impl Report<'_> {
    /// Returns a line for each problem, errors first, equal ones as one, and a summary.
    fn lines(&self) -> Vec<String> {
        let mut groups: Vec<Vec<&Problem>> = Vec::new();
        for problem in &self.diagnostics {
            let is_equal = |group: &&mut Vec<&Problem>| {
                group.iter().any(|first| {
                    first.severity == problem.severity && first.message == problem.message
                })
            };
            match groups.iter_mut().find(is_equal) {
                Some(group) => group.push(problem),
                None => groups.push(vec![problem]),
            }
        }
        groups.sort_by_key(|group| group.first().map(|first| Reverse(first.severity)));

        let mut lines: Vec<String> = groups.iter().filter_map(|it| self.line(it)).collect();
        lines.push(self.summary());
        lines
    }

    /// Returns the line of equal problems.
    fn line(&self, group: &[&Problem]) -> Option<String> {
        let (first, others) = group.split_first()?;
        let line = first.in_file(self.file);
        if others.is_empty() {
            return Some(line);
        }
        let shown = others.iter().take(LINES_SHOWN);
        let mut shown: Vec<String> = shown.map(|other| other.line.to_string()).collect();
        if others.len() > LINES_SHOWN {
            shown.push("…".to_owned());
        }
        let (count, shown) = (group.len(), shown.join(", "));
        Some(format!("{line} ({count} times; further lines: {shown})"))
    }

    /// Returns how many problems there are of each sort.
    fn summary(&self) -> String {
        let mut parts = Vec::new();
        for (severity, word) in [
            (Severity::Error, "error"),
            (Severity::Warning, "warning"),
            (Severity::Note, "note"),
        ] {
            let of_severity = |problem: &&Problem| problem.severity == severity;
            match self.diagnostics.iter().filter(of_severity).count() {
                0 if severity == Severity::Error => parts.push("ok".to_owned()),
                0 => {}
                1 => parts.push(format!("1 {word}")),
                count => parts.push(format!("{count} {word}s")),
            }
        }
        format!("{}: {}", self.file.display(), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ModelArgs;

    #[test]
    fn only_errors_fail() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        std::fs::write(&file, "a: 1").unwrap();
        for (severity, code) in [
            (None, ExitCode::SUCCESS),
            (Some(Severity::Note), ExitCode::SUCCESS),
            (Some(Severity::Warning), ExitCode::SUCCESS),
            (Some(Severity::Error), ExitCode::FAILURE),
        ] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let arguments = CheckArgs {
                    files: vec![file.clone()],
                    envoy: None,
                    changes: false,
                    effective: false,
                    models: ModelArgs::default(),
                    format,
                };
                let found = severity.map(|severity| Problem::new(severity, "a", "b"));
                let got = run(&arguments, |_| found.clone().into_iter().collect()).unwrap();
                assert_eq!(got, code, "{severity:?}");
            }
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let arguments = CheckArgs {
            files: vec!["/nowhere/x".into()],
            envoy: None,
            changes: false,
            effective: false,
            models: ModelArgs::default(),
            format: LogFormat::Text,
        };
        let error = run(&arguments, |_| Vec::new()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/x"), "{error}");
    }

    #[test]
    fn errors_come_first_and_equal_problems_once() {
        let at = |line, problem: Problem| Problem {
            line,
            column: 3,
            ..problem
        };
        let check = |diagnostics: Vec<Problem>, expected: &[&str]| {
            let report = Report {
                file: Path::new("a.yaml"),
                diagnostics,
            };
            assert_eq!(report.lines(), expected);
        };
        check(vec![], &["a.yaml: ok"]);
        check(
            vec![
                at(1, Problem::warning("x", "odd")),
                at(2, Problem::warning("y", "odd")),
                at(3, Problem::error("z", "odd")),
                at(4, Problem::warning("w", "odd")),
            ],
            &[
                "a.yaml:3:3: error: z: odd",
                "a.yaml:1:3: warning: x: odd (3 times; further lines: 2, 4)",
                "a.yaml: 1 error, 3 warnings",
            ],
        );
        check(
            vec![at(1, Problem::new(Severity::Note, "x", "odd"))],
            &["a.yaml:1:3: note: x: odd", "a.yaml: ok, 1 note"],
        );
    }

    #[test]
    fn text_names_every_file() {
        let report = |file, diagnostics| Report {
            file: Path::new(file),
            diagnostics,
        };
        let found = Problem {
            line: 2,
            column: 3,
            ..Problem::error("", "odd")
        };
        let text = for_people(&[report("a", vec![]), report("b", vec![found])]);
        assert_eq!(text, "a: ok\nb:2:3: error: odd\nb: 1 error");
    }
}
