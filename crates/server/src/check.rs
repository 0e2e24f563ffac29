//! `merit check`: every problem of routing documents and of an Envoy bootstrap, for people or for
//! machines.

mod changes;
mod envoy;

use crate::cli::{CheckArgs, LogFormat};
use crate::engine::{self, Wanted};
use crate::output;
use anyhow::Context as _;
use changes::Change;
use document::{Problem, has_errors};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// Checks all files; `document` finds the problems of one routing document. Fails when there is an
/// error, not when there are only warnings.
///
/// # Errors
/// If a file cannot be read.
pub fn run(
    arguments: &CheckArgs,
    document: impl Fn(&str) -> Vec<Problem>,
) -> anyhow::Result<ExitCode> {
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
    let lines = |report: &Report<'_>| match &*report.diagnostics {
        [] => format!("{}: ok", report.file.display()),
        found => found
            .iter()
            .map(|it| it.in_file(report.file))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    reports.iter().map(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ModelArgs;
    use document::Severity;

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
            models: ModelArgs::default(),
            format: LogFormat::Text,
        };
        let error = run(&arguments, |_| Vec::new()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/x"), "{error}");
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
        assert_eq!(text, "a: ok\nb:2:3: error: odd");
    }
}
