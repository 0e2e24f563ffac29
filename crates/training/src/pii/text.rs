//! Texts with marked spans: made from templates, and the hand-written ones that choose the shift of
//! confidences.

use super::fill::{Filler, kind};
use super::values::{Random, Values};

const TEMPLATES: &str = include_str!("../../corpus/pii_templates.txt");
const TUNING: &str = include_str!("../../corpus/pii_tuning.txt");

/// A text with spans. Places are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Example {
    /// The text.
    pub(super) text: String,
    /// Start, end, and place of the type in [`KINDS`](inference::token_head::KINDS).
    pub(super) spans: Vec<(usize, usize, usize)>,
    /// Stretches that no one has marked as they should be: they count for nothing.
    pub(super) ignored: Vec<(usize, usize)>,
}

impl Example {
    pub(super) fn append(&mut self, other: &Self) {
        let shift = self.text.len();
        self.text.push_str(&other.text);
        self.spans.extend(
            other
                .spans
                .iter()
                .map(|(start, end, kind)| (start + shift, end + shift, *kind)),
        );
    }

    /// Letters changed by `change` in all or only in the spans, where it keeps the lengths.
    fn recase(&mut self, change: impl Fn(&str) -> String, only_spans: bool) {
        let whole = [(0, self.text.len(), 0)];
        let parts = if only_spans {
            self.spans.as_slice()
        } else {
            &whole
        };
        let mut text = self.text.clone();
        for (start, end, _) in parts {
            let Some(changed) = self.text.get(*start..*end).map(&change) else {
                continue;
            };
            if changed.len() == end - start {
                text.replace_range(*start..*end, &changed);
            }
        }
        let kept = self
            .spans
            .iter()
            .all(|(start, end, _)| text.get(*start..*end).is_some());
        if kept && text.len() == self.text.len() {
            self.text = text;
        }
    }
}

/// `count` texts of one to three sentences.
pub(super) fn generated(values: &Values, count: usize, random: &mut Random) -> Vec<Example> {
    let templates: Vec<(&str, String)> = templates();
    let text = |_| {
        let mut text = Example::default();
        for sentence in 0..[1, 1, 1, 1, 2, 2, 3]
            .get(random.below(7))
            .copied()
            .unwrap_or(1)
        {
            if sentence > 0 {
                text.text
                    .push_str(random.pick(&[" ", " ", " ", "\n", "\n\n"]));
            }
            let Some((language, template)) = templates.get(random.below(templates.len())) else {
                continue;
            };
            text.append(&sentence_of(values, random, language, template));
        }
        text
    };
    (0..count).map(text).collect()
}

fn templates() -> Vec<(&'static str, String)> {
    let split = |line: &'static str| match line.split_once(": ") {
        Some((language @ ("de" | "fr" | "es" | "it" | "pt"), template)) => {
            (language, template.replace("\\n", "\n"))
        }
        _ => ("en", line.replace("\\n", "\n")),
    };
    TEMPLATES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# Sentences"))
        .map(split)
        .collect()
}

fn sentence_of(values: &Values, random: &mut Random, language: &str, template: &str) -> Example {
    let mut sentence = Example::default();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        sentence.text.push_str(before);
        rest = after;
        let slot = after
            .split_once('}')
            .filter(|(slot, _)| !slot.is_empty() && slot.chars().all(char::is_alphabetic));
        let Some((slot, after)) = slot else {
            sentence.text.push('{');
            continue;
        };
        let value = Filler {
            values,
            random,
            language,
        }
        .fill(slot);
        let article = if value.starts_with("the ") { 4 } else { 0 };
        let start = sentence.text.len() + article;
        sentence.text.push_str(&value);
        sentence
            .spans
            .extend(kind(slot).map(|kind| (start, sentence.text.len(), kind)));
        rest = after;
    }
    sentence.text.push_str(rest);
    restyle(&mut sentence, random);
    sentence
}

/// As people type: all in lower case, all in capitals, without a full stop, names in lower case.
pub(super) fn restyle(sentence: &mut Example, random: &mut Random) {
    match random.below(100) {
        0..13 => sentence.recase(str::to_lowercase, false),
        13..15 => sentence.recase(str::to_uppercase, false),
        15..19
            if sentence.text.ends_with(['.', '!', '?'])
                && sentence
                    .spans
                    .iter()
                    .all(|span| span.1 < sentence.text.len()) =>
        {
            sentence.text.pop();
        }
        19..21 => sentence.recase(str::to_lowercase, true),
        _ => {}
    }
}

/// The hand-written texts.
pub(super) fn tuning() -> Vec<Example> {
    TUNING
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| inline(&line.replace("\\n", "\n")))
        .collect()
}

/// A text with `[span|X]`, X being a letter of [`kind`] or another one for no span.
fn inline(line: &str) -> Example {
    let mut example = Example::default();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        example.text.push_str(before);
        rest = after;
        let Some((span, slot, after)) = after.split_once('|').and_then(|(span, after)| {
            let (slot, after) = after.split_once(']')?;
            (slot.len() == 1 && !span.contains(']')).then_some((span, slot, after))
        }) else {
            example.text.push('[');
            continue;
        };
        let start = example.text.len();
        example.text.push_str(span);
        example
            .spans
            .extend(kind(slot).map(|kind| (start, example.text.len(), kind)));
        rest = after;
    }
    example.text.push_str(rest);
    example
}

#[cfg(test)]
pub(super) fn parse(line: &str) -> Example {
    inline(line)
}
