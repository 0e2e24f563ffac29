//! The patterns of all rules: those that a text can match at all read it, alone or together.

use super::gate::{Gate, Run};
use super::search::WordSearch;
use super::{Reading, Target};
use crate::families::letters;
use crate::families::pattern::{PatternError, PatternSet};
use memchr::memmem::Finder;
use regex::Regex;

/// So many patterns read a text one after the other: each stops at its first match and skips what
/// cannot begin one. More of them read it together, once.
const ALONE: usize = 4;
/// A pattern that demands one of more pieces than this, which may stand inside words, reads every
/// text: each piece is a pass over the text.
const MOST_LOOSE: usize = 4;

/// The patterns of all rules.
pub(super) struct Patterns {
    together: PatternSet,
    alone: Vec<Pattern>,
    /// Patterns that read every text.
    open: Vec<usize>,
    /// Demanded pieces that may stand inside words, in lower case.
    loose: Vec<(Finder<'static>, usize)>,
    runs: Vec<(Run, usize)>,
}

/// A pattern of a rule.
pub(super) struct Pattern {
    pub(super) regex: Regex,
    pub(super) slot: usize,
}

/// Collects patterns.
#[derive(Default)]
pub(super) struct Builder {
    patterns: Vec<Pattern>,
    gates: Vec<Gate>,
}

impl Builder {
    /// Adds a pattern, compiled as the rule wants its case, and the same without its flag.
    pub(super) fn add(&mut self, pattern: Pattern, without_case: &str) {
        self.patterns.push(pattern);
        self.gates.push(Gate::of(without_case));
    }

    /// Compiles the patterns; pieces that they demand and that can be searched by words go to
    /// `search`.
    pub(super) fn finish(self, search: &mut WordSearch<Target>) -> Result<Patterns, PatternError> {
        let texts = self.patterns.iter();
        let texts: Vec<_> = texts
            .map(|it| (it.regex.as_str().to_owned(), it.slot))
            .collect();
        let mut patterns = Patterns {
            together: PatternSet::build(&texts)?,
            alone: self.patterns,
            open: Vec::new(),
            loose: Vec::new(),
            runs: Vec::new(),
        };
        for (at, gate) in self.gates.into_iter().enumerate() {
            patterns.put(at, gate, search);
        }
        Ok(patterns)
    }
}

impl Patterns {
    /// Returns for each pattern whether it may match a text that nothing is known about.
    pub(super) fn open(&self) -> Vec<bool> {
        let mut possible = vec![false; self.alone.len()];
        self.open.iter().for_each(|&at| possible[at] = true);
        possible
    }

    /// Sets `hits[slot]` for every pattern found in the text. `possible` are the open patterns and
    /// those with a piece that was found.
    pub(super) fn mark(&self, reading: &Reading<'_>, possible: Vec<bool>, hits: &mut [bool]) {
        if self.alone.is_empty() {
            return;
        }
        let text = reading.text;
        let possible = self.possible(reading, possible);
        if possible.iter().filter(|is_possible| **is_possible).count() > ALONE {
            return self.together.mark(text, hits);
        }
        for (pattern, is_possible) in self.alone.iter().zip(possible) {
            hits[pattern.slot] |= is_possible && pattern.regex.is_match(text);
        }
    }

    /// Tells which patterns the text may match.
    fn possible(&self, reading: &Reading<'_>, mut possible: Vec<bool>) -> Vec<bool> {
        let text = reading.text;
        if !text.is_ascii() && text.contains(letters::FOLDS_INTO_ASCII) {
            return vec![true; self.alone.len()];
        }
        for (piece, at) in &self.loose {
            possible[*at] = possible[*at] || piece.find(reading.lower().as_bytes()).is_some();
        }
        for (run, at) in &self.runs {
            possible[*at] = run.is_in(text);
        }
        possible
    }

    fn put(&mut self, at: usize, gate: Gate, search: &mut WordSearch<Target>) {
        match gate {
            Gate::Literals(pieces) => {
                let loose = pieces.iter().filter(|piece| !piece.is_anchored).count();
                if loose > MOST_LOOSE {
                    return self.open.push(at);
                }
                for piece in pieces {
                    let found =
                        piece.is_anchored && search.add(&piece.text, false, Target::Piece(at));
                    if !found {
                        let finder = Finder::new(&piece.text).into_owned();
                        self.loose.push((finder, at));
                    }
                }
            }
            Gate::Run(run) => self.runs.push((run, at)),
            Gate::Open => self.open.push(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::SignalInput;
    use crate::families::pattern;
    use dialects::Prompt;
    use proptest::prelude::*;

    const PATTERNS: [&str; 16] = [
        r"\bhow (?:do|can) (?:i|we)\b",
        r"https?://\S+",
        r"[\w.+-]+@[\w-]+\.\w+",
        r"\b[0-9a-f]{7,40}\b",
        r"\b[A-Z]{2,5}-\d{1,6}\b",
        r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
        r"\bISBN[ :]?\d",
        r"\b(?:prove|show) that\b",
        r"ask|task",
        r"(?i:KISS)ing",
        r"\bs\x{17F}k",
        r"[^a]{6}\.",
        r"\Bsk\b",
        r"^how$",
        r"é.*do",
        r"[k-s]{6,}1",
    ];

    fn check(text: &str, case_sensitive: bool) -> Result<(), TestCaseError> {
        let mut builder = Builder::default();
        let mut compiled = Vec::new();
        for (slot, pattern) in PATTERNS.iter().enumerate() {
            let (regex, plain) = pattern::checked(pattern, case_sensitive).unwrap();
            compiled.push(regex.clone());
            builder.add(Pattern { regex, slot }, &plain);
        }
        let mut search = WordSearch::default();
        let patterns = builder.finish(&mut search).unwrap();
        let mut prompt = Prompt::default();
        prompt.texts.evaluation = text.to_owned();
        let input = SignalInput::new(&prompt, None);
        let reading = Reading::new(&input);
        let mut possible = patterns.open();
        search.find(text, |target, _| {
            if let Target::Piece(at) = target {
                possible[*at] = true;
            }
        });
        let mut hits = vec![false; PATTERNS.len()];
        patterns.mark(&reading, possible.clone(), &mut hits);
        let possible = patterns.possible(&reading, possible);
        for (at, regex) in compiled.iter().enumerate() {
            let found = regex.is_match(text);
            prop_assert_eq!(hits[at], found, "{} in {}", PATTERNS[at], text);
            prop_assert!(possible[at] || !found);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn gates_hide_no_match(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec![
                    "how ", "HOW", "do", "can ", "i", "we", "http", "s://", "x", "@", ".", "com", "deadbee",
                    "f0", "AB", "-", "12", "1.1.", "ISBN:", "prove", " that", "ta", "sk", "ki", "ss", "ing",
                    "\u{17F}", "\u{212A}", "é", "É", " ", "数", "srqpon", "1",
                ]),
                0..10,
            ),
            case_sensitive in any::<bool>(),
        ) {
            check(&pieces.concat(), case_sensitive)?;
        }
    }
}
