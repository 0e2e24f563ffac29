//! Writes the tables by which the language signal knows texts of a few words.
//!
//! `cargo run --release -p benches --features agreement --bin language_tables -- PACKAGES FILE`,
//! where PACKAGES is the folder that holds lingua's packages of language models: that of cargo's
//! registry, or one that `cargo vendor` filled.
//!
//! The tables keep the n-grams that are likely enough to occur, and their probabilities in whole
//! steps: a twentieth of the bytes for the same answers (`language_agreement` measures them).

use anyhow::{Context as _, bail};
use fst::{Map, MapBuilder, Streamer as _};
use signals::families::language::TABLES;
use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How likely an n-gram of three letters or more must be at its place, by its logarithm: one in
/// two million.
const LIKELY: f64 = -14.5;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(packages), Some(file)) = (arguments.next(), arguments.next()) else {
        bail!("usage: language_tables PACKAGES FILE");
    };

    let mut entries: Vec<(Vec<u8>, u64)> = Vec::new();
    for (place, (_, name)) in TABLES.iter().enumerate() {
        let place = u8::try_from(place)?;
        for (ngram, steps) in likely(&model(&packages, name)?)? {
            entries.push(([&[place], ngram.as_bytes()].concat(), steps));
        }
    }
    entries.sort();

    let mut builder = MapBuilder::memory();
    for (key, steps) in &entries {
        builder.insert(key, *steps)?;
    }
    let bytes = builder.into_inner()?;
    fs::write(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
    let (count, size) = (entries.len(), bytes.len());
    Ok(writeln!(
        std::io::stdout().lock(),
        "{count} n-grams in {size} bytes"
    )?)
}

/// Reads lingua's model of a language: n-grams of one to five letters, each with the logarithm of
/// its probability after its first letters.
fn model(packages: &Path, name: &str) -> anyhow::Result<Map<Vec<u8>>> {
    let prefix = format!("lingua-{name}-language-model");
    for entry in fs::read_dir(packages)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            return Ok(Map::new(fs::read(entry.path().join("models/ngrams.fst"))?)?);
        }
    }
    bail!("no package {prefix} in {}", packages.display())
}

/// Returns the n-grams to keep, with their probabilities in steps.
fn likely(model: &Map<Vec<u8>>) -> anyhow::Result<Vec<(String, u64)>> {
    let mut kept = Vec::new();
    // Keys come in order, so an n-gram comes after the n-grams that it begins with.
    let mut at_its_place: HashMap<String, f64> = HashMap::new();
    let mut stream = model.stream();
    while let Some((ngram, bits)) = stream.next() {
        let ngram = std::str::from_utf8(ngram)?.to_owned();
        let logarithm = f64::from_bits(bits);
        let last = ngram.char_indices().next_back().map_or(0, |(at, _)| at);
        let before = match ngram.get(..last).context("cut within a letter")? {
            "" => 0.0,
            first => at_its_place
                .get(first)
                .copied()
                .unwrap_or(f64::NEG_INFINITY),
        };

        let whole = before + logarithm;
        if ngram.chars().count() <= 2 || whole > LIKELY {
            kept.push((ngram.clone(), (-logarithm).round() as u64));
        }
        at_its_place.insert(ngram, whole);
    }
    Ok(kept)
}
