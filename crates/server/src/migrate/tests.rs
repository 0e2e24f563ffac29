//! What `merit migrate` writes, and where.

use super::*;
use crate::cli::{Cli, Command};
use clap::Parser as _;
use std::path::PathBuf;

const OLD: &str = "version: v0.3\nproviders:\n  defaults: {default_model: small}\n  models: [{name: small}, {name: large}]\nrouting:\n  modelCards: [{name: small}, {name: large}]\n  signals: {keywords: [{name: deep, operator: OR, keywords: [prove]}]}\n  decisions:\n    - name: hard\n      priority: 2\n      rules: {operator: AND, conditions: [{type: keyword, name: deep}]}\n      modelRefs: [{model: large}]\n      plugins: [{type: semantic-cache}] # saves money\n    - {name: rest, priority: 1, modelRefs: [{model: small}]}\n";

fn arguments(words: &[&str]) -> MigrateArgs {
    match Cli::parse_from(["merit", "migrate"].iter().chain(words)).command {
        Command::Migrate(arguments) => *arguments,
        other => panic!("{other:?}"),
    }
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn open(text: &str) -> Result<Evaluator, Vec<Problem>> {
    Evaluator::open(text, None, None)
}

#[test]
fn only_in_place_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "p.yaml", OLD);
    let shown = path.to_str().unwrap();
    let text = || std::fs::read_to_string(&path).unwrap();

    assert_eq!(run(&arguments(&[shown]), open).unwrap(), ExitCode::SUCCESS);
    assert_eq!(text(), OLD);
    let in_place = arguments(&[shown, "--in-place"]);
    assert_eq!(run(&in_place, open).unwrap(), ExitCode::SUCCESS);
    assert!(
        text().contains("{type: response_cache}] # saves money"),
        "{}",
        text()
    );
}

#[test]
fn nothing_is_written_where_a_row_is_ambiguous() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "providers:\n  defaults: {default_model: a, model: b, default_reasoning_effort: low}\n";
    let path = file(&folder, "p.yaml", text);
    let in_place = arguments(&[path.to_str().unwrap(), "--in-place"]);
    assert_eq!(run(&in_place, open).unwrap(), ExitCode::FAILURE);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn probes_that_go_elsewhere_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let probes = file(
        &folder,
        "probes.yaml",
        "- {name: p, text: Prove it., expect: {decision: hard}}\n- {name: q, text: Hello., expect: {decision: rest}}\n",
    );
    let before = open(OLD).ok().unwrap();
    let other = OLD.replace("[prove]", "[hello]");
    let after = open(&other).ok().unwrap();
    let same = moved(&[&probes], &before, &before).unwrap();
    assert_eq!(same, []);
    let found = moved(&[&probes], &before, &after).unwrap();
    let names: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|it| (it.name.as_str(), it.before.as_str(), it.after.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("p", "hard, large", "rest, small"),
            ("q", "rest, small", "hard, large"),
        ]
    );
}

#[test]
fn each_change_has_a_line() {
    let migrated = migrate("providers: {defaults: {default_model: a}}\n", false).unwrap();
    let report = Report {
        changes: migrated.changes,
        dead: migrated.dead,
        merit_only: Some(Vec::new()),
        moved: Some(Vec::new()),
        text: None,
    };
    assert_eq!(
        lines(Path::new("p.yaml"), &report),
        [
            "p.yaml:1: providers.defaults.default_model is now providers.defaults.model",
            "p.yaml: nothing is understood by Merit only",
            "p.yaml: every probe goes where it went",
            "p.yaml: 1 change",
        ]
    );
}
