//! Character n-grams: a keyword matches a word, or the whole text, that shares enough of its padded
//! n-grams.
//!
//! Same numbers as the `ngrammatic` crate, which the reference uses (warp 2, padding on both
//! sides), from an index of the rule's keywords: a word costs its own n-grams, not a comparison
//! with every keyword.

use crate::families::keyword::{KeywordRule, before_nul};
use crate::families::slices::copied;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

const DEFAULT_ARITY: usize = 3;
const LEAST_ARITY: usize = 2;
const DEFAULT_THRESHOLD: f32 = 0.4;
/// Results of one search, best first, beyond which no keyword is found.
const BEST: usize = 10;
/// Words between two looks at the clock.
const LOOKS: usize = 256;

/// The keywords of one rule, indexed by n-gram.
pub(super) struct Ngram {
    arity: usize,
    threshold: f32,
    case_sensitive: bool,
    /// Distinct keywords: padded length in characters, and how often the rule lists it.
    keywords: Vec<(usize, usize)>,
    /// N-gram to (keyword, occurrences).
    grams: HashMap<Box<str>, Vec<(usize, usize)>>,
}

impl Ngram {
    /// Arity 0 means 3 and is at least 2; threshold 0 means 0.4.
    pub(super) fn new(rule: &KeywordRule) -> Self {
        let arity = match rule.ngram_arity as usize {
            0 => DEFAULT_ARITY,
            arity => arity.max(LEAST_ARITY),
        };
        let mut index = Self {
            arity,
            threshold: if rule.ngram_threshold == 0.0 {
                DEFAULT_THRESHOLD
            } else {
                rule.ngram_threshold
            },
            case_sensitive: rule.case_sensitive,
            keywords: Vec::new(),
            grams: HashMap::new(),
        };
        let mut known = HashMap::new();
        for keyword in &rule.keywords {
            let keyword = index.cased(before_nul(keyword)).into_owned();
            let at = *known
                .entry(keyword)
                .or_insert_with_key(|keyword| index.add(keyword));
            index.keywords[at].1 += 1;
        }
        index
    }

    /// Counts the keywords that are found in as much of `text` as may be copied, until it
    /// `is_late`, and tells whether that was all of it.
    pub(super) fn count(&self, text: &str, is_late: impl Fn() -> bool) -> (usize, bool) {
        let read = copied(text);
        let mut is_all = read.len() == text.len();
        let text = self.cased(read);
        let mut found = vec![false; self.keywords.len()];
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let words: HashSet<&str> = text
            .split(|c| !is_word(c))
            .filter(|word| !word.is_empty())
            .collect();
        for (at, word) in words.into_iter().enumerate() {
            if at % LOOKS == 0 && is_late() {
                is_all = false;
                break;
            }
            self.search(word, &mut found);
        }
        if is_all && !found.iter().all(|found| *found) {
            self.search(&text, &mut found);
        }
        let count = self
            .keywords
            .iter()
            .zip(&found)
            .filter(|(_, found)| **found)
            .map(|((_, times), _)| times)
            .sum();
        (count, is_all)
    }

    fn cased<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.case_sensitive {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(text.to_lowercase())
        }
    }

    fn add(&mut self, keyword: &str) -> usize {
        let at = self.keywords.len();
        let padded = Padded::new(keyword, self.arity);
        self.keywords.push((padded.length, 0));
        for (gram, count) in padded.grams(self.arity) {
            self.grams.entry(gram.into()).or_default().push((at, count));
        }
        at
    }

    /// Marks the keywords that are similar enough to `text`.
    fn search(&self, text: &str, found: &mut [bool]) {
        let length = text.chars().count() + 2 * (self.arity - 1);
        if !self
            .keywords
            .iter()
            .any(|(other, _)| self.can_reach(length, *other))
        {
            return;
        }
        let padded = Padded::new(text, self.arity);
        let mut results: Vec<(usize, f32)> = self.similarities(&padded);
        results.retain(|(_, similarity)| *similarity >= self.threshold);
        results.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (keyword, _) in results.iter().take(BEST) {
            found[*keyword] = true;
        }
    }

    /// The similarity of each keyword that shares an n-gram with the text.
    fn similarities(&self, text: &Padded) -> Vec<(usize, f32)> {
        let mut same = vec![0; self.keywords.len()];
        for (gram, count) in text.grams(self.arity) {
            for (keyword, other) in self.grams.get(gram).into_iter().flatten() {
                same[*keyword] += count.min(*other);
            }
        }
        let shared = same.into_iter().enumerate().filter(|(_, same)| *same > 0);
        shared
            .map(|(at, same)| {
                (
                    at,
                    similarity(same, text.length + self.keywords[at].0, self.arity),
                )
            })
            .collect()
    }

    /// Two strings of these padded lengths can be similar enough, if one holds all n-grams of the
    /// other.
    fn can_reach(&self, length: usize, other: usize) -> bool {
        let most = length.min(other) + 1 - self.arity;
        similarity(most, length + other, self.arity) * 1.000_01 >= self.threshold
    }
}

/// `1 − (different/all)²` of the n-grams of two strings, padded lengths summed.
fn similarity(same: usize, lengths: usize, arity: usize) -> f32 {
    let all = lengths + 2 - 2 * arity - same;
    if all == 0 {
        return 0.0;
    }
    let (same, all) = (same as f32, all as f32);
    let different = all - same;
    (all * all - different * different) / (all * all)
}

/// A string with arity − 1 spaces on both sides.
struct Padded {
    text: String,
    length: usize,
}

impl Padded {
    fn new(text: &str, arity: usize) -> Self {
        let pad = " ".repeat(arity - 1);
        let text = [pad.as_str(), text, pad.as_str()].concat();
        Self {
            length: text.chars().count(),
            text,
        }
    }

    /// Distinct n-grams and how often each occurs.
    fn grams(&self, arity: usize) -> impl Iterator<Item = (&str, usize)> {
        let bounds: Vec<usize> = self
            .text
            .char_indices()
            .map(|(at, _)| at)
            .chain([self.text.len()])
            .collect();
        let mut grams: Vec<&str> = bounds
            .windows(arity + 1)
            .filter_map(|window| self.text.get(window[0]..window[arity]))
            .collect();
        grams.sort_unstable();
        let mut counted: Vec<(&str, usize)> = Vec::with_capacity(grams.len());
        for gram in grams {
            match counted.last_mut() {
                Some((last, count)) if *last == gram => *count += 1,
                _ => counted.push((gram, 1)),
            }
        }
        counted.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(keywords: &[&str], arity: u32, threshold: f32) -> KeywordRule {
        KeywordRule {
            keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
            ngram_arity: arity,
            ngram_threshold: threshold,
            ..KeywordRule::default()
        }
    }

    #[test]
    fn similarities() {
        for (keyword, arity, word, expected) in [
            ("database", 0, "databse", 0.826_388_9),
            ("database", 3, "data", 0.555_555_6),
            ("machine learning", 3, "machine", 0.664_819_96),
            ("machine learning", 3, "learning", 0.722_991_7),
            ("urgent", 3, "urgnt", 0.75),
            ("hello", 3, "helo", 0.859_375),
            ("hello", 2, "helo", 0.972_222_2),
            ("hello", 1, "helo", 0.972_222_2),
            ("ai", 3, "a", 0.305_555_55),
        ] {
            let index = Ngram::new(&rule(&[keyword], arity, 0.0));
            let got = index.similarities(&Padded::new(word, index.arity));
            assert!(
                (got[0].1 - expected).abs() < 1e-6,
                "{keyword} {word} {}",
                got[0].1
            );
            assert_eq!(
                index.count(word, || false).0,
                usize::from(expected >= 0.4),
                "{keyword} {word}"
            );
        }
    }

    #[test]
    fn words_then_the_whole_text() {
        for (keywords, text, expected) in [
            (&["machine learning"][..], "what is Machine tooling?", 1),
            (&["to be or"], "to be or", 1),
            (&["data", "data"], "DATA!", 2),
            (&["état"], "ÉTAT", 1),
            (&["data"], "", 0),
            (&[], "data", 0),
            (&[""], "", 1),
        ] {
            assert_eq!(
                Ngram::new(&rule(keywords, 3, 0.0)).count(text, || false).0,
                expected,
                "{keywords:?} {text}"
            );
        }
        let cased = KeywordRule {
            case_sensitive: true,
            ..rule(&["Data"], 3, 0.9)
        };
        assert_eq!(Ngram::new(&cased).count("data", || false).0, 0);
    }

    proptest! {
        #[test]
        fn equals_the_crate(
            keywords in proptest::collection::vec("[abé]{1,6}( [ab]{1,3})?", 1..8),
            text in "[abé]{0,5}( [abé]{1,4}){0,3}",
            arity in 2_u32..5,
        ) {
            let words: Vec<&str> = keywords.iter().map(String::as_str).collect();
            let corpus = ngrammatic::CorpusBuilder::default()
                .arity(arity as usize).pad_full(ngrammatic::Pad::Auto).fill(&words).finish();
            let near = |text: &str| corpus.search_with_warp(text, 2.0, 0.4, BEST).into_iter().map(|found| found.text);
            let mut found: HashSet<String> = text.split(' ').filter(|word| !word.is_empty()).flat_map(near).collect();
            found.extend(near(&text));
            let expected = keywords.iter().filter(|keyword| found.contains(*keyword)).count();
            prop_assert_eq!(Ngram::new(&rule(&words, arity, 0.4)).count(&text, || false).0, expected);
        }
    }
}
