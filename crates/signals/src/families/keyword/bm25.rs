//! BM25 over the keywords of one rule: each keyword is a document, the text is the query.
//!
//! The tokenizer (transliteration, English stop words and stems) is that of the `bm25` crate, which
//! the reference uses; a text is tokenized once for all rules. The score is the crate's too, with
//! idf times weight multiplied beforehand.
//!
//! A text is tokenized in slices, and of a stem only its hash is kept: what is made of a text is
//! never larger than the text.

use crate::families::keyword::before_nul;
use crate::families::slices::{copied, slices};
use ::bm25::{DefaultTokenizer, Tokenizer};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

const K1: f32 = 1.2;
const B: f32 = 0.75;
const DEFAULT_THRESHOLD: f32 = 0.1;
/// Mean length that is assumed when the keywords have no tokens at all.
const FALLBACK_LENGTH: f32 = 256.0;

static TOKENIZER: LazyLock<DefaultTokenizer> = LazyLock::new(DefaultTokenizer::default);

/// Makes hashes that the sender of a text cannot foresee.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hashes of a text's stems, in order, repetitions kept.
pub(super) struct Tokens {
    stems: Vec<u64>,
    /// Nothing of the text was left out.
    pub(super) are_all: bool,
}

/// The keywords of one rule, indexed by stem.
pub(super) struct Bm25 {
    keywords: usize,
    threshold: f32,
    lowers: bool,
    /// Hash of a stem to (keyword, what each occurrence of the stem adds to its score).
    gains: HashMap<u64, Vec<(usize, f32)>>,
}

impl Bm25 {
    /// `threshold` 0 means 0.1.
    pub(super) fn new(keywords: &[String], case_sensitive: bool, threshold: f32) -> Self {
        let mut index = Self {
            keywords: keywords.len(),
            threshold: if threshold == 0.0 {
                DEFAULT_THRESHOLD
            } else {
                threshold
            },
            lowers: !case_sensitive,
            gains: HashMap::new(),
        };
        let documents: Vec<Vec<u64>> = keywords
            .iter()
            .map(|keyword| index.stems(before_nul(keyword)))
            .collect();
        index.gains = gains(&documents);
        index
    }

    /// The text is lowered before it is tokenized.
    pub(super) fn lowers(&self) -> bool {
        self.lowers
    }

    /// Reads as much of a text as may be copied, the way this rule reads it, until it `is_late`.
    pub(super) fn tokenize(&self, text: &str, is_late: impl Fn() -> bool) -> Tokens {
        let read = copied(text);
        let mut tokens = Tokens {
            stems: Vec::new(),
            are_all: read.len() == text.len(),
        };
        for slice in slices(read) {
            if is_late() {
                tokens.are_all = false;
                break;
            }
            tokens.stems.extend(self.stems(slice));
        }
        tokens
    }

    fn stems(&self, text: &str) -> Vec<u64> {
        let stems = if self.lowers {
            TOKENIZER.tokenize(&text.to_lowercase())
        } else {
            TOKENIZER.tokenize(text)
        };
        stems.iter().map(|stem| HASHER.hash_one(stem)).collect()
    }

    /// How many keywords reach the threshold.
    pub(super) fn count(&self, query: &Tokens) -> usize {
        self.scores(query)
            .into_iter()
            .flatten()
            .filter(|score| *score >= self.threshold)
            .count()
    }

    /// The score of each keyword that shares a stem with the query.
    fn scores(&self, query: &Tokens) -> Vec<Option<f32>> {
        let mut scores = vec![None; self.keywords];
        for (keyword, gain) in query
            .stems
            .iter()
            .filter_map(|token| self.gains.get(token))
            .flatten()
        {
            *scores[*keyword].get_or_insert(0.0) += gain;
        }
        scores
    }
}

fn gains(documents: &[Vec<u64>]) -> HashMap<u64, Vec<(usize, f32)>> {
    let total: usize = documents.iter().map(Vec::len).sum();
    let mean = (total as f64 / documents.len() as f64) as f32;
    let mean = if mean > 0.0 { mean } else { FALLBACK_LENGTH };
    let mut gains: HashMap<u64, Vec<(usize, f32)>> = HashMap::new();
    for (at, document) in documents.iter().enumerate() {
        let distinct: HashSet<u64> = document.iter().copied().collect();
        for token in distinct {
            let frequency = document.iter().filter(|other| **other == token).count() as f32;
            let length = 1.0 - B + B * (document.len() as f32 / mean);
            let weight = frequency * (K1 + 1.0) / (frequency + K1 * length);
            gains.entry(token).or_default().push((at, weight));
        }
    }
    for keywords in gains.values_mut() {
        let having = keywords.len() as f32;
        let idf = (1.0 + (documents.len() as f32 - having + 0.5) / (having + 0.5)).ln();
        for (_, gain) in keywords {
            *gain *= idf;
        }
    }
    gains
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::slices::COPIED;
    use ::bm25::{EmbedderBuilder, Scorer};
    use proptest::prelude::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn check(keywords: &[&str], text: &str, expected: &[Option<f32>]) {
        let index = Bm25::new(&strings(keywords), false, 0.0);
        let scores = index.scores(&index.tokenize(text, || false));
        assert_eq!(scores.len(), expected.len());
        for (score, expected) in scores.iter().zip(expected) {
            match (score, expected) {
                (Some(score), Some(expected)) => {
                    assert!((score - expected).abs() < 1e-6, "{score} {expected}")
                }
                _ => assert_eq!(score, expected, "{keywords:?} on {text}"),
            }
        }
    }

    #[test]
    fn scores() {
        check(
            &["database"],
            "Which database is best?",
            &[Some(0.287_682_12)],
        );
        check(
            &["database", "index"],
            "tune the databases",
            &[Some(std::f32::consts::LN_2), None],
        );
        check(
            &["database", "index", "query plan"],
            "query plan for the database database",
            &[Some(2.185_138_5), None, Some(1.628_546_6)],
        );
        check(
            &["machine learning"],
            "machine tools",
            &[Some(0.287_682_12)],
        );
        check(
            &["fix", "fix"],
            "fixing",
            &[Some(0.182_321_6), Some(0.182_321_6)],
        );
        check(&["数据库"], "请优化数据库", &[Some(0.863_046_35)]);
        check(
            &["refund", "refund policy", "refund request", "cancel order"],
            "I want a refund refund refund",
            &[
                Some(1.297_510_6),
                Some(1.010_943_7),
                Some(1.010_943_7),
                None,
            ],
        );
        check(&["how to"], "how to do it", &[None]);
    }

    #[test]
    fn case_has_no_effect() {
        let index = Bm25::new(&strings(&["Database"]), true, 0.0);
        assert_eq!(index.count(&index.tokenize("DATABASE", || false)), 1);
    }

    #[test]
    fn thresholds() {
        for (threshold, expected) in [(0.0, 1), (0.28, 1), (0.29, 0)] {
            let index = Bm25::new(&strings(&["database"]), false, threshold);
            assert_eq!(
                index.count(&index.tokenize("a database", || false)),
                expected,
                "{threshold}"
            );
        }
    }

    #[test]
    fn what_is_kept_of_a_text_has_a_bound() {
        let index = Bm25::new(&strings(&["database"]), false, 0.0);
        for (text, expected, are_all) in [
            // One character that stands for eighteen letters.
            ("\u{FDFA}".repeat(COPIED / 3), 0, true),
            ("\u{FDFA}".repeat(COPIED), 0, false),
            ("a database ".repeat(100), 1, true),
            (format!("{}database", "x ".repeat(COPIED / 2)), 0, false),
        ] {
            let tokens = index.tokenize(&text, || false);
            assert!(tokens.stems.len() <= 2 * COPIED, "{}", tokens.stems.len());
            assert_eq!(tokens.are_all, are_all);
            assert_eq!(index.count(&tokens), expected);
        }
        let late = index.tokenize("a database", || true);
        assert!(!late.are_all && index.count(&late) == 0);
    }

    fn sentence() -> impl Strategy<Value = String> {
        let words = vec![
            "refund",
            "policy",
            "databases",
            "index",
            "how",
            "plan",
            "planning",
            "数据",
            "café",
            "the",
        ];
        proptest::collection::vec(proptest::sample::select(words), 0..7)
            .prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn slices_change_no_stem(words in proptest::collection::vec(sentence(), 1..6), times in 1_usize..2000) {
            let text = words.join(" ").repeat(times);
            let index = Bm25::new(&strings(&["database"]), false, 0.0);
            prop_assert_eq!(index.tokenize(&text, || false).stems, index.stems(copied(&text)));
        }

        #[test]
        fn equals_the_crate(keywords in proptest::collection::vec(sentence(), 1..6), text in sentence()) {
            let corpus: Vec<&str> = keywords.iter().map(String::as_str).collect();
            let embedder = EmbedderBuilder::<u32>::with_tokenizer_and_fit_to_corpus(DefaultTokenizer::default(), &corpus).build();
            let mut scorer = Scorer::<usize>::new();
            for (at, keyword) in corpus.iter().enumerate() {
                scorer.upsert(&at, embedder.embed(keyword));
            }
            let mut expected = vec![None; corpus.len()];
            for found in scorer.matches(&embedder.embed(&text)) {
                expected[found.id] = Some(found.score);
            }
            let index = Bm25::new(&keywords, false, 0.0);
            prop_assert_eq!(index.scores(&index.tokenize(&text, || false)), expected);
        }
    }
}
