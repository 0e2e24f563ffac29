//! The patterns of all rules: those that a text can match at all read it, alone or together.

use super::gate::{Gate, Run};
use super::search::WordSearch;
use super::{Reading, Target};
use crate::families::letters;
use crate::families::pattern::{self, PatternError, PatternSet};
use crate::families::slices::COPIED;
use memchr::memmem::Finder;

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
    pub(super) compiled: pattern::Pattern,
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
        let members = self
            .patterns
            .iter()
            .filter(|it| !it.compiled.stands_alone());
        let members: Vec<_> = members.map(|it| (it.compiled.engine(), it.slot)).collect();
        let mut patterns = Patterns {
            together: PatternSet::of(&members)?,
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

    /// Nanoseconds that the patterns take per byte of text, at most.
    pub(super) fn pace(&self) -> f64 {
        let patterns = self.alone.iter().map(|it| &it.compiled);
        let alone = patterns.clone().filter(|it| it.stands_alone());
        let alone: f64 = alone.map(pattern::Pattern::pace).sum();
        let others = patterns.filter(|it| !it.stands_alone()).count();
        let sets = if others > ALONE {
            self.together.sets()
        } else {
            0
        };
        // A text may be such that each of them has to read it by itself.
        alone + others as f64 * pattern::PLAIN + sets as f64 * pattern::TOGETHER
    }

    /// Sets `hits[slot]` for every pattern found in the text. `possible` are the open patterns and
    /// those with a piece that was found. Returns the slots of patterns for which it was too late.
    pub(super) fn mark(
        &self,
        reading: &Reading<'_>,
        possible: Vec<bool>,
        hits: &mut [bool],
    ) -> Vec<usize> {
        if self.alone.is_empty() {
            return Vec::new();
        }
        let text = reading.text;
        let is_late = || reading.input.is_late();
        let possible = self.possible(reading, possible);
        let possible = self.alone.iter().zip(possible);
        let possible = possible.filter_map(|(pattern, is_possible)| is_possible.then_some(pattern));
        let (mut alone, others): (Vec<&Pattern>, Vec<&Pattern>) =
            possible.partition(|pattern| pattern.compiled.stands_alone());

        let mut unread = Vec::new();
        // Of a long text a set looks at the clock in between.
        if others.len() > ALONE || (text.len() > COPIED && !others.is_empty()) {
            let mut is_wanted = vec![false; hits.len()];
            for pattern in others {
                is_wanted[pattern.slot] = true;
            }
            let is_wanted = |slot: usize| is_wanted[slot];
            unread = self.together.mark_wanted(text, is_wanted, is_late, hits);
        } else {
            alone.extend(others);
        }
        for pattern in alone {
            let found = (!is_late()).then(|| pattern.compiled.is_match(text, is_late));
            match found.flatten() {
                Some(is_found) => hits[pattern.slot] |= is_found,
                None => unread.push(pattern.slot),
            }
        }
        unread
    }

    /// Tells which patterns the text may match.
    fn possible(&self, reading: &Reading<'_>, mut possible: Vec<bool>) -> Vec<bool> {
        let text = reading.text;
        if !text.is_ascii() && text.contains(letters::FOLDS_INTO_ASCII) {
            return vec![true; self.alone.len()];
        }
        // Pieces are looked for in a copy of the text. A long one is read by the patterns instead.
        if text.len() > COPIED {
            self.loose.iter().for_each(|(_, at)| possible[*at] = true);
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
    use dialects::Prompt;
    use proptest::prelude::*;
    use regex::Regex;

    const PATTERNS: [&str; 18] = [
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
        r"do.{0,40}\bi",
        r"(?:how|can) .{0,20}ask",
    ];

    fn check(text: &str, case_sensitive: bool) -> Result<(), TestCaseError> {
        let mut builder = Builder::default();
        let mut engines = Vec::new();
        for (slot, pattern) in PATTERNS.iter().enumerate() {
            let (compiled, plain) = pattern::checked(pattern, case_sensitive).unwrap();
            engines.push(Regex::new(compiled.as_str()).unwrap());
            builder.add(Pattern { compiled, slot }, &plain);
        }
        let mut search = WordSearch::default();
        let patterns = builder.finish(&mut search).unwrap();
        let mut prompt = Prompt::default();
        prompt.texts.evaluation = text.to_owned();
        let input = SignalInput::new(&prompt, None);
        let reading = Reading::new(&input);
        let mut possible = patterns.open();
        search.find(
            text,
            || false,
            |target, _| {
                if let Target::Piece(at) = target {
                    possible[*at] = true;
                }
            },
        );
        let mut hits = vec![false; PATTERNS.len()];
        let unread = patterns.mark(&reading, possible.clone(), &mut hits);
        prop_assert!(unread.is_empty());
        let possible = patterns.possible(&reading, possible);
        for (at, regex) in engines.iter().enumerate() {
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
