//! How often the language signal's detector agrees with lingua, on short texts of fourteen
//! languages, and how fast it is.
//!
//! `cargo run --release -p benches --features agreement --bin language_agreement -- [MODEL]`, where
//! MODEL is an installed `lid.176.ftz`; without it the built-in model is measured.

use anyhow::Context as _;
use lingua::{LanguageDetector as Lingua, LanguageDetectorBuilder};
use router::signals::language::{DetectLanguage as _, LanguageDetector};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

const TEXTS: &str = include_str!("../../data/language_texts.tsv");
const ROUNDS: u32 = 20;

fn main() -> anyhow::Result<()> {
    let model = std::env::args_os().nth(1).map(PathBuf::from);
    let detector = LanguageDetector::load(model.as_deref())?;
    let lingua = LanguageDetectorBuilder::from_all_languages()
        .with_preloaded_language_models()
        .build();
    let texts = texts()?;
    let mut out = std::io::stdout().lock();
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
    let characters: usize = texts.iter().map(|(_, text)| text.chars().count()).sum();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        for (_, text) in &texts {
            std::hint::black_box(detector.detect(text));
        }
    }
    let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS) / count as f64;
    writeln!(
        out,
        "{micros:.2} us per text of {} characters on average",
        characters / count
    )?;
    Ok(())
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
