//! Tests of reading and checking documents: one table per boundary.

mod boundaries;
mod choices;
mod form;
mod learning;
mod published;
mod reference;
mod schema;
mod sense;
mod spelling;

use super::{check, load};
use document::{Problem, Severity};

/// No variable is set but `SET` (`value`) and `EMPTY`.
fn environment(name: &str) -> Option<String> {
    match name {
        "SET" => Some("value".to_owned()),
        "PORT" => Some("9000".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// A document with one model and `rest` below it; `rest` begins on line 8 with sections of
/// `routing`.
fn policy(rest: &str) -> String {
    let head = "version: v0.3\nproviders:\n  defaults: {default_model: small}\n  models:\n    - {name: small, location: here}\nrouting:\n  modelCards: [{name: small}]\n";
    format!("{head}{rest}")
}

/// Each expectation is `line severity words`: a problem of that line and severity holds the words,
/// and there are no other errors or warnings. Notes may go unmentioned.
fn expect(yaml: &str, found: &[Problem], expected: &[&str]) {
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    let mut open: Vec<&Problem> = found.iter().collect();
    for line in expected {
        let mut words = line.splitn(3, ' ');
        let number: u32 = words.next().unwrap().parse().unwrap();
        let (severity, message) = (words.next().unwrap(), words.next().unwrap_or(""));
        let hit = open.iter().position(|problem| {
            problem.line == number
                && problem.severity.to_string() == severity
                && problem.to_string().contains(message)
        });
        let Some(hit) = hit else {
            panic!("expected `{line}` in {shown:#?}\nof\n{yaml}");
        };
        open.remove(hit);
    }
    open.retain(|problem| problem.severity > Severity::Note);
    assert!(open.is_empty(), "unexpected {open:#?}\nof\n{yaml}");
}

/// Faults of form.
fn check_form(yaml: &str, expected: &[&str]) {
    expect(yaml, &load(yaml, &environment).problems, expected);
}

/// Everything that is wrong with a policy.
fn check_policy(rest: &str, expected: &[&str]) {
    let yaml = policy(rest);
    expect(&yaml, &check(&yaml, &environment).problems, expected);
}
