//! The engine says what a second reader says, written in Python on ONNX Runtime and numpy, whatever
//! else is running.
//!
//! Skipped, and said so, where models are not installed.

mod answers;
mod engine;
mod made;
mod texts;

use answers::Said;
use anyhow::{Context, Result, ensure};
use engine::Real;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tests::envoy::root;
use tests::python::python;
use texts::{LANGUAGES, Sample};

const TEXTS: usize = 1000;
const CLOSE: f32 = 1e-4;

#[test]
fn agrees_with_the_reference() -> Result<()> {
    let folder = TempDir::new()?;
    let Some(real) = Real::open(&folder.path().join("heads"))? else {
        eprintln!("skipped: no models; run `cargo xtask models`");
        return Ok(());
    };
    real.missing
        .iter()
        .for_each(|task| eprintln!("skipped: no head for {task}"));
    let samples = texts::samples(TEXTS)?;
    let ours = real.read_all(&samples)?;
    let theirs = reference(folder.path(), &real, &samples)?;
    ensure!(
        ours.len() == TEXTS && theirs.len() == TEXTS,
        "{} and {} answers",
        ours.len(),
        theirs.len()
    );
    let mut worst: BTreeMap<String, f32> = BTreeMap::new();
    for (at, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        let about = || {
            format!(
                "text {at} ({}, {} bytes)",
                samples[at].language,
                samples[at].text.len()
            )
        };
        let (distance, what) = our.distance(their).with_context(about)?;
        ensure!(distance <= CLOSE, "{}: {what} is {distance} apart", about());
        let known = worst.entry(what).or_default();
        *known = known.max(distance);
    }
    covers(&samples, &ours)?;
    println!("{TEXTS} texts; largest differences: {worst:?}");
    Ok(())
}

/// The texts are what this test is about.
fn covers(samples: &[Sample], said: &[Said]) -> Result<()> {
    let languages: BTreeSet<_> = samples.iter().map(|sample| sample.language).collect();
    ensure!(
        languages.len() == LANGUAGES.len(),
        "languages: {languages:?}"
    );
    let long = said.iter().filter(|said| said.windows >= 36).count();
    let truncated = said.iter().filter(|said| said.truncated).count();
    let several = said
        .iter()
        .filter(|said| (2..36).contains(&said.windows))
        .count();
    ensure!(
        long >= 12 && truncated >= 2 && several >= 50,
        "{long} long, {truncated} truncated, {several} of several"
    );
    Ok(())
}

/// What the reference says of the same texts.
fn reference(folder: &Path, real: &Real, samples: &[Sample]) -> Result<Vec<Said>> {
    let texts = samples.iter().enumerate();
    let texts: Vec<Value> = texts
        .map(
            |(at, sample)| json!({"text": sample.text, "states": engine::wants_states(at, sample)}),
        )
        .collect();
    let task = json!({
        "models": real.models,
        "encoder": "all-MiniLM-L6-v2",
        "graph": "model.int8.onnx",
        "heads": folder.join("heads"),
        "texts": texts,
    });
    let (question, answer) = (folder.join("task.json"), folder.join("answers.jsonl"));
    fs::write(&question, task.to_string())?;
    let mut command = Command::new(python());
    command
        .arg(root().join("tests/parity/reference.py"))
        .arg(&question)
        .arg(&answer);
    let done = command
        .output()
        .context("no Python found: run `cargo xtask setup`")?;
    ensure!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let lines = fs::read_to_string(&answer)?;
    lines
        .lines()
        .map(|line| Said::read(&serde_json::from_str(line)?))
        .collect()
}
