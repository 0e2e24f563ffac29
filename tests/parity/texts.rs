//! The texts: sentences of the repository, recombined, the same at every run.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use tests::envoy::root;

/// Languages of the texts.
pub(crate) const LANGUAGES: [&str; 6] = ["en", "de", "fr", "es", "zh", "ru"];
/// What no text of the corpora holds.
const EMOJI: [&str; 8] = ["🙂", "👩‍👩‍👧‍👦", "🇫🇷", "👍🏽", "❤️", "🧑‍💻", "🏳️‍🌈", "🤷‍♀️🤷‍♀️"];
/// Texts at the edges of what a tokenizer takes.
const EDGES: [&str; 12] = [
    "",
    " \n\t ",
    "🙂",
    "a",
    "é e\u{301} ﬁ Ⅻ ½",
    "\u{0}\u{1}control\u{7f}",
    "İstanbul ẞ ǅ",
    "𝕬𝖓 𝖔𝖉𝖉 𝖆𝖑𝖕𝖍𝖆𝖇𝖊𝖙",
    "日本語とEnglishが混ざる",
    "שלום עולם, مرحبا بالعالم",
    "x\u{200b}y\u{feff}z\u{00a0}w",
    "https://example.org/a?b=c&d=%20#e (see [1], {2}, <3>)",
];
const CORPORA: [&str; 4] = ["complexity", "fact_check", "jailbreak_benign", "modality"];

/// A text, and how far it is from ordinary.
pub(crate) struct Sample {
    pub(crate) language: &'static str,
    pub(crate) text: String,
}

/// Numbers that look random and are the same at every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides.max(1)
    }
}

/// `count` texts: short ones, some of several windows, two of 8,000 tokens a language, two beyond
/// the bound on windows.
pub(crate) fn samples(count: usize) -> Result<Vec<Sample>> {
    let sentences = sentences()?;
    let mut samples: Vec<Sample> = EDGES
        .iter()
        .map(|text| Sample {
            language: "en",
            text: (*text).to_owned(),
        })
        .collect();
    for at in samples.len()..count {
        let (language, mut dice) = (LANGUAGES[at % LANGUAGES.len()], Dice::new(at as u64));
        let own = sentences
            .get(language)
            .context("no sentence of a language")?;
        let bytes = match at {
            // The whole of a long text is read; of these two only head and tail.
            20..32 => eight_thousand_tokens(language),
            32 => 120_000,
            33 => 70_000,
            at if at % 11 == 0 => 1000 + dice.roll(9000),
            _ => 20 + dice.roll(400),
        };
        samples.push(Sample {
            language,
            text: compose(own, bytes, &mut dice),
        });
    }
    Ok(samples)
}

/// Bytes that are about so many tokens to a tokenizer that was made for English.
fn eight_thousand_tokens(language: &str) -> usize {
    match language {
        "en" => 40_000,
        "zh" => 26_000,
        "ru" => 20_000,
        _ => 30_000,
    }
}

/// Sentences up to about `bytes`, each fifth with an emoji, numbers now and then; Chinese ones
/// without blanks.
fn compose(sentences: &[String], bytes: usize, dice: &mut Dice) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(&sentences[dice.roll(sentences.len())]);
        match dice.roll(10) {
            0 | 1 => text.push_str(EMOJI[dice.roll(EMOJI.len())]),
            2 => text.push_str(&format!(" {} ", dice.roll(1_000_000))),
            3 => text.push_str("\n\n"),
            _ => {}
        }
        if text.is_ascii() || dice.roll(3) > 0 {
            text.push(' ');
        }
    }
    text
}

/// By language: those of the corpora, and the frames of the language bench with all their topics.
fn sentences() -> Result<BTreeMap<String, Vec<String>>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let table = read("benches/data/language_texts.tsv")?;
    let rows = || {
        table.lines().filter_map(|line| {
            line.split_once('\t')?
                .1
                .split_once('\t')
                .map(|it| (line, it))
        })
    };
    for (frame_line, (_, frame)) in rows().filter(|(_, (kind, _))| *kind == "frame") {
        let language = frame_line.split('\t').next().unwrap_or_default();
        let topics = rows().filter(|(line, (kind, _))| {
            *kind == "topic" && line.split('\t').next() == Some(language)
        });
        found
            .entry(language.to_owned())
            .or_default()
            .extend(topics.map(|(_, (_, topic))| frame.replace("{}", topic)));
    }
    for corpus in CORPORA {
        for line in read(&format!("crates/training/corpus/{corpus}.jsonl"))?.lines() {
            let row: Value =
                serde_json::from_str(line).with_context(|| format!("{corpus}: {line}"))?;
            let text = row["text"]
                .as_str()
                .with_context(|| format!("{corpus}: a row without text"))?;
            found
                .entry(row["lang"].as_str().unwrap_or("en").to_owned())
                .or_default()
                .push(text.to_owned());
        }
    }
    Ok(found)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}
