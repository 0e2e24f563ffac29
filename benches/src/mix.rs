//! The mix of signals that the budgets speak of, and requests to it.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use router::config::{self, Document};
use router::generation::{Deps, Generation};
use serde_json::json;
use signals::families::TokenRatio;
use signals::families::language::LanguageDetector;
use std::fmt::Write as _;
use std::sync::Arc;

/// The document: 12 keyword rules of 10 keywords, 2 rules each of context, structure and
/// conversation, 1 of metadata, 1 of authz; 20 decisions.
pub const DOCUMENT: &str = include_str!("../data/mix.yaml");

/// The headers of a caller that the mix knows, by name and value.
pub const CALLER: [(&str, &str); 2] = [
    ("x-authz-user-id", "alice"),
    ("x-authz-user-groups", "staff,gold"),
];

/// Ordinary prose: now and then a word that some rule looks for.
const SENTENCES: [&str; 10] = [
    "Our wind farm at the coast reported lower output than the model had predicted for the third week in a row.",
    "Two of the transformers were replaced last spring, and the maintenance crew found nothing unusual since then.",
    "The forecast for the coming month assumes moderate wind from the south-west and a calm sea on most days.",
    "I would like to know which explanations are plausible, and how one could tell them apart with little effort.",
    "Please keep in mind that the sensors on the older towers were calibrated by hand and drift with temperature.",
    "A colleague suggested that the blades may be dirty, which would cost a few per cent but not a quarter of it.",
    "The grid operator curtailed us on four afternoons, but those hours are already taken out of the figures below.",
    "When the nights are cold, the gearboxes need longer to warm up, and the controllers limit the speed meanwhile.",
    "Compare at least three causes with each other and say what measurement would rule each of them out.",
    "The answer goes to people who are not engineers, so write it in plain words and keep the numbers round.",
];

/// The mix as a document, and as JSON.
///
/// # Errors
/// It is not a document that Merit would serve.
pub fn document() -> Result<(Document, serde_json::Value)> {
    read(DOCUMENT)
}

/// The mix, built.
///
/// # Errors
/// As [`document()`], or it cannot be built.
pub fn generation() -> Result<Generation> {
    build(DOCUMENT)
}

/// Any document, built without models.
///
/// # Errors
/// As [`generation`].
pub fn build(text: &str) -> Result<Generation> {
    let (document, value) = read(text)?;
    let deps = Deps {
        env: &|_| None,
        language: Arc::new(LanguageDetector::small()),
        token_ratio: Arc::new(TokenRatio::default()),
        catalog: &inference::catalog::Bare,
        state: Arc::default(),
    };
    match Generation::build(document, value, &deps) {
        Ok(generation) => Ok(generation),
        Err(problems) => bail!("the document cannot be built: {problems:?}"),
    }
}

/// A document's text, typed and as JSON.
///
/// # Errors
/// It is not a document that Merit would serve.
pub fn read(text: &str) -> Result<(Document, serde_json::Value)> {
    let checked = config::check(text, &|_| None);
    if !checked.is_servable() {
        bail!("not a document to serve: {:?}", checked.problems);
    }
    Ok((checked.document.context("no document")?, checked.value))
}

/// Prose of `size` bytes.
#[must_use]
pub fn text(size: usize) -> String {
    let mut text = String::with_capacity(size + 128);
    for sentence in SENTENCES.iter().cycle() {
        if text.len() >= size {
            break;
        }
        text.push_str(sentence);
        text.push(' ');
    }
    text.truncate(size);
    text
}

/// A chat completion request of about `size` bytes, its model to be chosen.
#[must_use]
pub fn body(size: usize) -> Bytes {
    let system = "You are a careful assistant of a power company.";
    let request = |text: &str| {
        json!({
            "model": "auto",
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}],
            "temperature": 0.2,
            "max_tokens": 512,
        })
        .to_string()
    };
    let frame = request("").len();
    request(&text(size.saturating_sub(frame))).into()
}

/// The mix grown to at least `lines` lines by rules and decisions in block style; `word` makes it
/// differ from others.
#[must_use]
pub fn long_document(lines: usize, word: &str) -> String {
    let (signals, decisions) = DOCUMENT
        .split_once("    context:\n")
        .unwrap_or((DOCUMENT, ""));
    // A rule and its decision take 21 lines.
    let count = lines.saturating_sub(DOCUMENT.lines().count()).div_ceil(21);
    let (mut rules, mut more) = (String::new(), String::new());
    for at in 0..count {
        rules.push_str(&long_rule(at, word));
        more.push_str(&long_decision(at));
    }
    let decisions = decisions.replacen("\nglobal:\n", &format!("{more}\nglobal:\n"), 1);
    format!("{signals}{rules}    context:\n{decisions}")
}

fn long_rule(at: usize, word: &str) -> String {
    let mut rule = format!("      - name: rule{at}\n        operator: OR\n        keywords:\n");
    for keyword in 0..10 {
        // Writing to a string cannot fail.
        let _written = writeln!(rule, "          - {word} {at} {keyword}");
    }
    rule
}

fn long_decision(at: usize) -> String {
    format!(
        "    - name: decision{at}
      priority: {at}
      rules:
        operator: AND
        conditions:
          - {{type: keyword, name: rule{at}}}
          - {{type: context, name: long}}
      modelRefs: [{{model: large}}]
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_what_the_budgets_speak_of() -> Result<()> {
        let (document, _) = document()?;
        let signals = &document.routing.signals;
        assert_eq!(signals.keywords.len(), 12);
        assert!(
            signals
                .keywords
                .iter()
                .all(|rule| rule.keywords.len() == 10)
        );
        assert_eq!(
            [
                signals.context.len(),
                signals.structure.len(),
                signals.conversation.len(),
                signals.metadata.len(),
                signals.role_bindings.len(),
                document.routing.decisions.len(),
            ],
            [2, 2, 2, 1, 1, 20]
        );
        generation().map(drop)
    }

    #[test]
    fn sizes_are_kept() -> Result<()> {
        for size in [1 << 10, 16 << 10] {
            assert_eq!(body(size).len(), size);
        }
        let long = long_document(2000, "word");
        let lines = long.lines().count();
        assert!((2000..2030).contains(&lines), "{lines} lines");
        read(&long).map(drop)
    }
}
