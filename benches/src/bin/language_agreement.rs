//! How often the language signal's detector agrees with lingua, on sentences of fourteen languages;
//! how often either is right on one to three words and on lines of code; and how fast Merit's is.
//!
//! `cargo run --release -p benches --features agreement --bin language_agreement -- [MODEL]`, where
//! MODEL is an installed `lid.176.ftz`; without it the built-in model is measured.

use anyhow::Context as _;
use lingua::{IsoCode639_1, Language, LanguageDetector as Lingua, LanguageDetectorBuilder};
use serde::Deserialize;
use signals::families::language::{DetectLanguage as _, LanguageDetector};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

const TEXTS: &str = include_str!("../../data/language_texts.tsv");
/// Texts of one to three words in twelve languages, and lines of code, which have none.
const SHORT_TEXTS: &str =
    include_str!("../../../crates/training/evaluation/language_short_texts.jsonl");
const CODE: &str = "-";
const ROUNDS: u32 = 20;

fn main() -> anyhow::Result<()> {
    let model = std::env::args_os().nth(1).map(PathBuf::from);
    let detector = LanguageDetector::load(model.as_deref())?;
    let mut out = std::io::stdout().lock();
    sentences(&detector, &mut out)?;
    short_texts(&detector, &mut out)
}

/// Prints how often the detectors agree on sentences.
fn sentences(detector: &LanguageDetector, out: &mut impl Write) -> anyhow::Result<()> {
    // The languages that the figures in the README have been of from the start.
    let codes = "ar de en es fr it nl pl pt ru sv tr uk zh".split(' ');
    let lingua = lingua_of(codes)?;
    let texts = texts()?;
    let mut agreed = 0;
    let mut right = (0, 0);
    for (language, text) in &texts {
        let own = detector.detect(text);
        let other = lingua_code(&lingua, text);
        let code = own.map_or("-", |own| own.code);
        agreed += usize::from(code == other);
        right.0 += usize::from(code == *language);
        right.1 += usize::from(other == *language);
        if code != other {
            let confidence = own.map_or(0.0, |own| own.confidence);
            writeln!(
                out,
                "{language}: merit {code} {confidence:.2}, lingua {other}: {text}"
            )?;
        }
    }
    let count = texts.len();
    writeln!(
        out,
        "{count} texts: agreement {agreed}, right: merit {}, lingua {}",
        right.0, right.1
    )?;
    let texts: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    print_time(detector, &texts, out)
}

/// Prints how often the detectors are right on short texts, by language and by how the texts were
/// made.
fn short_texts(detector: &LanguageDetector, out: &mut impl Write) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Row {
        text: String,
        lang: String,
        kind: String,
    }
    let rows: Vec<Row> = SHORT_TEXTS
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let codes: BTreeSet<&str> = rows.iter().map(|row| row.lang.as_str()).collect();
    let lingua = lingua_of(codes.into_iter().filter(|code| *code != CODE))?;

    let mut right: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for row in &rows {
        let own = detector.detect(&row.text).map_or(CODE, |own| own.code);
        let other = lingua_code(&lingua, &row.text);
        let is_right = |code: &str| code == row.lang || row.lang == CODE && code == "en";
        let words = if row.lang == CODE {
            "code"
        } else {
            "all words"
        };
        for group in BTreeSet::from([row.lang.as_str(), row.kind.as_str(), words]) {
            let counts = right.entry(group).or_default();
            counts[0] += 1;
            counts[1] += usize::from(is_right(own));
            counts[2] += usize::from(is_right(&other));
        }
        if !is_right(own) {
            writeln!(
                out,
                "{}: merit {own}, lingua {other}: {}",
                row.lang, row.text
            )?;
        }
    }
    writeln!(out, "| texts | n | Merit | lingua |\n|---|---|---|---|")?;
    for (group, [count, own, other]) in right {
        let percent = |part: usize| 100.0 * part as f64 / count as f64;
        let (own, other) = (percent(own), percent(other));
        writeln!(out, "| {group} | {count} | {own:.1} % | {other:.1} % |")?;
    }

    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    print_time(detector, &texts, out)
}

fn print_time(
    detector: &LanguageDetector,
    texts: &[&str],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        for text in texts {
            std::hint::black_box(detector.detect(text));
        }
    }
    let count = texts.len();
    let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS) / count as f64;
    writeln!(
        out,
        "{micros:.2} us per text of {} characters on average",
        characters / count
    )?;
    Ok(())
}

/// Lingua with some languages to choose from.
fn lingua_of<'a>(codes: impl Iterator<Item = &'a str>) -> anyhow::Result<Lingua> {
    let languages: Vec<Language> = codes
        .map(|code| {
            let code: IsoCode639_1 = code.to_uppercase().parse().ok().context("no such code")?;
            Ok(Language::from_iso_code_639_1(&code))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(LanguageDetectorBuilder::from_languages(&languages)
        .with_preloaded_language_models()
        .build())
}

/// Every frame of a language with every topic of it.
fn texts() -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut languages: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for line in TEXTS.lines() {
        let mut fields = line.split('\t');
        let (language, kind, text) = (fields.next(), fields.next(), fields.next());
        let entry = languages
            .entry(language.context("no language")?)
            .or_default();
        let list = if kind == Some("frame") {
            &mut entry.0
        } else {
            &mut entry.1
        };
        list.push(text.context("no text")?);
    }
    let mut texts = Vec::new();
    for (language, (frames, topics)) in languages {
        for frame in frames {
            texts.extend(
                topics
                    .iter()
                    .map(|topic| (language, frame.replace("{}", topic))),
            );
        }
    }
    Ok(texts)
}

fn lingua_code(lingua: &Lingua, text: &str) -> String {
    let language = lingua.detect_language_of(text);
    language.map_or_else(
        || "-".into(),
        |language| language.iso_code_639_1().to_string(),
    )
}
