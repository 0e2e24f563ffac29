//! `merit migrate`: old keys under their new names, and whether probes still go where they went.

use crate::cli::{LogFormat, MigrateArgs};
use crate::engine::Evaluator;
use crate::output;
use crate::probes::Probes;
use anyhow::Context as _;
use document::Problem;
use router::config::migration::{Change, for_merit_only, migrate};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

/// What a migration did.
#[derive(Debug, Serialize)]
struct Report {
    changes: Vec<Change>,
    /// Keys that have no effect any more, and stay.
    dead: Vec<Change>,
    /// What only Merit understands, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    merit_only: Option<Vec<Change>>,
    /// Probes that go elsewhere, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<Vec<Moved>>,
    /// The new text, if it goes nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// A probe that goes elsewhere after the migration.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Moved {
    name: String,
    before: String,
    after: String,
}

/// Migrates a file. Fails if a row is ambiguous, and if a probe goes elsewhere.
///
/// # Errors
/// If a file cannot be read or written, or is no file of probes.
pub fn run(
    arguments: &MigrateArgs,
    open: impl Fn(&str) -> Result<Evaluator, Vec<Problem>>,
) -> anyhow::Result<ExitCode> {
    let file = &arguments.policy;
    let text = read(file)?;
    let migrated = match migrate(&text, arguments.drop_dead) {
        Ok(migrated) => migrated,
        Err(problems) => return refuse(file, &problems),
    };
    let merit_only = match for_merit_only(&migrated.text) {
        _ if !arguments.for_reference => None,
        Ok(found) => Some(found),
        Err(problems) => return refuse(file, &problems),
    };
    let moved = if arguments.check.is_empty() {
        None
    } else {
        let evaluators = open(&text).and_then(|before| Ok((before, open(&migrated.text)?)));
        match evaluators {
            Ok((before, after)) => Some(moved(&arguments.check, &before, &after)?),
            Err(problems) => return refuse(file, &problems),
        }
    };

    let is_changed = migrated.text != text;
    if arguments.in_place && is_changed {
        let written = std::fs::write(file, &migrated.text);
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    let shows_text = !arguments.in_place && merit_only.is_none() && moved.is_none();
    let failed = moved.as_ref().is_some_and(|moved| !moved.is_empty());
    let report = Report {
        changes: migrated.changes,
        dead: migrated.dead,
        merit_only,
        moved,
        text: shows_text.then_some(migrated.text),
    };
    tell(file, &report, arguments.format)?;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn refuse(file: &Path, problems: &[Problem]) -> anyhow::Result<ExitCode> {
    let lines: Vec<String> = problems.iter().map(|it| it.in_file(file)).collect();
    output::note(&lines.join("\n"));
    Ok(ExitCode::FAILURE)
}

/// Lists probes whose winner changes.
fn moved(
    files: &[impl AsRef<Path>],
    before: &Evaluator,
    after: &Evaluator,
) -> anyhow::Result<Vec<Moved>> {
    let mut moved = Vec::new();
    for file in files {
        let file = file.as_ref();
        let probes = Probes::read(&read(file)?).with_context(|| file.display().to_string())?;
        for probe in &probes.probes {
            let end = |evaluator: &Evaluator| {
                let answer = evaluator.answer(&probe.request, &[]);
                answer.map_or_else(|error| error, |said| winner(&said))
            };
            let (before, after) = (end(before), end(after));
            if before != after {
                moved.push(Moved {
                    name: probe.name.clone(),
                    before,
                    after,
                });
            }
        }
    }
    Ok(moved)
}

/// Returns the decision and the model of an evaluation.
fn winner(said: &Value) -> String {
    let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let refused = said.pointer("/refused/by").and_then(Value::as_str);
    let model = refused.map_or_else(
        || text("/selected_model").to_owned(),
        |by| format!("refused by {by}"),
    );
    format!("{}, {model}", text("/decision_result/decision_name"))
}

/// Writes the new text to standard output where it is asked for, and what was done beside it.
fn tell(file: &Path, report: &Report, format: LogFormat) -> anyhow::Result<()> {
    if format == LogFormat::Json {
        return Ok(output::text(&serde_json::to_string_pretty(report)?)?);
    }
    let lines = lines(file, report).join("\n");
    match &report.text {
        Some(text) => {
            output::note(&lines);
            output::text(text)?;
        }
        None => output::text(&lines)?,
    }
    Ok(())
}

/// Returns a line for each change, and a summary.
fn lines(file: &Path, report: &Report) -> Vec<String> {
    let file = file.display();
    let line = |change: &Change| format!("{file}:{}: {change}", change.line);
    let mut lines: Vec<String> = report.changes.iter().map(line).collect();
    let dead = report
        .dead
        .iter()
        .map(|change| format!("{}; --drop-dead drops it", line(change)));
    lines.extend(dead);
    if let Some(found) = &report.merit_only {
        lines.extend(found.iter().map(line));
        if found.is_empty() {
            lines.push(format!("{file}: nothing is understood by Merit only"));
        }
    }
    if let Some(moved) = &report.moved {
        let words = |it: &Moved| {
            format!(
                "moves   {}: {} before, {} after",
                it.name, it.before, it.after
            )
        };
        lines.extend(moved.iter().map(words));
        lines.push(match moved.len() {
            0 => format!("{file}: every probe goes where it went"),
            count => format!("{file}: {count} probes go elsewhere"),
        });
    }
    let changes = match report.changes.len() {
        0 => "nothing to change".to_owned(),
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    };
    lines.push(format!("{file}: {changes}"));
    lines
}

#[cfg(test)]
mod tests;
