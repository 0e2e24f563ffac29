//! Reading answers: what a family hears, and what is noted where it hears nothing.

use crate::families::ran;
use crate::report::{Key, Kind, SignalReport};
use inference::ask::{Answer, Entity, Failure, Outcome};

/// The answer of one question; a failure and a text that was not read to its end are noted.
///
/// # Errors
/// Why there is none, for the report.
pub(super) fn hear<'a>(
    kind: Kind,
    outcome: Option<&'a Outcome>,
    report: &mut SignalReport,
) -> Result<&'a Answer, String> {
    match outcome {
        Some(Ok(reply)) => {
            if reply.truncated {
                report.degrade(kind, "truncated");
            }
            Ok(&reply.answer)
        }
        Some(Err(failure)) => {
            report.degrade(kind, failure.reason());
            Err(failure.to_string())
        }
        None => Err(misfit(kind, report)),
    }
}

/// The vector of a text.
///
/// # Errors
/// Why there is none.
pub(super) fn vector<'a>(
    kind: Kind,
    outcome: Option<&'a Outcome>,
    report: &mut SignalReport,
) -> Result<&'a [f32], String> {
    match hear(kind, outcome, report)? {
        Answer::Vector(vector) => Ok(vector),
        _ => Err(misfit(kind, report)),
    }
}

/// The vector of the only text that was asked about; none if nothing was asked, or nothing came of it.
/// Then the family has run, or `keys` fail.
pub(super) fn only_vector<'a, 'b>(
    kind: Kind,
    answers: &'a [Outcome],
    keys: impl IntoIterator<Item = &'b Key>,
    report: &mut SignalReport,
) -> Option<&'a [f32]> {
    if answers.is_empty() {
        ran(report, kind, 0.0);
        return None;
    }
    match vector(kind, answers.first(), report) {
        Ok(vector) => Some(vector),
        Err(error) => {
            fail_all(keys, &error, report);
            None
        }
    }
}

/// The only row of probabilities over `classes` labels; `None` for a blank text.
///
/// # Errors
/// Why there is none.
pub(super) fn row<'a>(
    kind: Kind,
    outcome: Option<&'a Outcome>,
    classes: usize,
    report: &mut SignalReport,
) -> Result<Option<&'a [f32]>, String> {
    let rows = rows(kind, outcome, classes, report)?;
    Ok(rows.into_iter().next())
}

/// All rows of probabilities over `classes` labels.
///
/// # Errors
/// Why there are no rows.
pub(super) fn rows<'a>(
    kind: Kind,
    outcome: Option<&'a Outcome>,
    classes: usize,
    report: &mut SignalReport,
) -> Result<Vec<&'a [f32]>, String> {
    match hear(kind, outcome, report)? {
        Answer::Labels(rows) if rows.iter().all(|row| row.len() == classes) => {
            Ok(rows.iter().map(|row| &**row).collect())
        }
        _ => Err(misfit(kind, report)),
    }
}

/// The personal data in a text.
///
/// # Errors
/// Why it was not looked for.
pub(super) fn entities<'a>(
    outcome: Option<&'a Outcome>,
    report: &mut SignalReport,
) -> Result<&'a [Entity], String> {
    match hear(Kind::Pii, outcome, report)? {
        Answer::Entities(entities) => Ok(entities),
        _ => Err(misfit(Kind::Pii, report)),
    }
}

/// The class of the highest probability, the first of equals.
pub(super) fn top(row: &[f32]) -> Option<(usize, f32)> {
    let classes = row.iter().copied().enumerate();
    classes.reduce(|held, next| if next.1 > held.1 { next } else { held })
}

/// Records that rules could not be evaluated, for leaves with `on_error`.
pub(super) fn fail_all<'a>(
    keys: impl IntoIterator<Item = &'a Key>,
    error: &str,
    report: &mut SignalReport,
) {
    for &key in keys {
        report.fail(key, error);
    }
}

/// An answer of another kind or size than the question.
fn misfit(kind: Kind, report: &mut SignalReport) -> String {
    let failure = Failure::Failed("the answer does not fit the question".into());
    report.degrade(kind, failure.reason());
    failure.to_string()
}
