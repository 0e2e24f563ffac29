//! How long answers are: moving means per decision and model, bounded by what documents name.

use crate::served::Served;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What is assumed before answers were seen: tokens of a chat answer, and the interval of nine in
/// ten.
const ASSUMED: Length = Length {
    expected: 400.0,
    low: 20.0,
    high: 2_000.0,
    samples: 0,
};
/// Answers after which what was seen counts.
const WARM: u64 = 5;
/// The least weight of the newest answer: the mean follows about the last fifty.
const NEWEST: f64 = 0.02;
/// Standard deviations on either side that hold nine in ten of a normal distribution.
const NINE_IN_TEN: f64 = 1.645;
/// Pairs of decision and model beyond which those are forgotten that no document in use names.
const PAIRS_MAX: usize = 4_096;

/// Tokens that an answer is predicted to have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Length {
    /// The mean.
    pub expected: f64,
    /// Nine in ten answers are between this …
    pub low: f64,
    /// … and this.
    pub high: f64,
    /// Answers that it rests on; 0 is an assumption.
    pub samples: u64,
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            expected,
            low,
            high,
            samples,
        } = self;
        write!(f, "{expected:.0} tokens ({low:.0} to {high:.0}; ")?;
        if *samples == 0 {
            f.write_str("assumed)")
        } else {
            write!(f, "{samples} answers)")
        }
    }
}

/// Answers by model.
type Models = HashMap<Arc<str>, Arc<Answers>>;

/// Lengths of answers, by decision and model. Lasts over reloads.
#[derive(Debug, Default)]
pub struct Lengths {
    pairs: Mutex<HashMap<Arc<str>, Models>>,
}

impl Lengths {
    /// Returns the answers that a decision had from a model. A caller that keeps them reads them
    /// without a lookup.
    pub(super) fn of(&self, decision: &str, model: &str) -> Arc<Answers> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if pairs.values().map(HashMap::len).sum::<usize>() >= PAIRS_MAX {
            pairs.retain(|_, models| {
                models.retain(|_, answers| Arc::strong_count(answers) > 1);
                !models.is_empty()
            });
        }
        Arc::clone(
            pairs
                .entry(decision.into())
                .or_default()
                .entry(model.into())
                .or_default(),
        )
    }

    /// Records the length of an answer that came whole. Only pairs that a document names are kept.
    pub fn record(&self, decision: &str, model: &str, served: &Served) {
        let tokens = served.tokens.map_or(0, |tokens| tokens.completion);
        if tokens == 0 || served.failed() {
            return;
        }
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = pairs
            .get(decision)
            .and_then(|models| models.get(model))
            .cloned();
        drop(pairs);
        if let Some(answers) = answers {
            answers.learn(tokens);
        }
    }
}

/// Answers of one pair.
#[derive(Debug, Default)]
pub(super) struct Answers {
    moments: Mutex<Moments>,
}

/// Moving moments; those of the logarithm give the interval, as lengths are skewed.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    samples: u64,
    mean: f64,
    log_mean: f64,
    log_variance: f64,
}

impl Answers {
    pub(super) fn learn(&self, tokens: u64) {
        let tokens = tokens as f64;
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.samples = moments.samples.saturating_add(1);
        let weight = (1.0 / moments.samples as f64).max(NEWEST);
        moments.mean += weight * (tokens - moments.mean);
        let away = tokens.ln() - moments.log_mean;
        moments.log_mean += weight * away;
        moments.log_variance = (1.0 - weight) * (moments.log_variance + weight * away * away);
    }

    /// Predicts the tokens of the next answer: `known` if that is not 0.
    pub(super) fn length(&self, known: u64) -> Length {
        if known > 0 {
            let known = known as f64;
            return Length {
                expected: known,
                low: known,
                high: known,
                samples: 0,
            };
        }
        let moments = *self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        if moments.samples < WARM {
            return ASSUMED;
        }
        let spread = NINE_IN_TEN * moments.log_variance.max(0.0).sqrt();
        Length {
            expected: moments.mean,
            low: (moments.log_mean - spread).exp().min(moments.mean),
            high: (moments.log_mean + spread).exp().max(moments.mean),
            samples: moments.samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Tokens;

    fn served(status: u16, completion: u64) -> Served {
        let tokens = Some(Tokens {
            completion,
            ..Tokens::default()
        });
        Served {
            status,
            tokens,
            ..Served::default()
        }
    }

    #[test]
    fn an_assumption_holds_until_five_answers_came() {
        let answers = Answers::default();
        (0..4).for_each(|_| answers.learn(100));
        assert_eq!(answers.length(0), ASSUMED);
        answers.learn(100);
        let length = answers.length(0);
        assert_eq!((length.expected, length.samples), (100.0, 5));
        assert!(
            (length.high - length.low) < 1e-9,
            "equal answers leave no spread: {length:?}"
        );
        assert_eq!(answers.length(7).expected, 7.0);
    }

    #[test]
    fn the_interval_holds_nine_in_ten() {
        let answers = Answers::default();
        let lengths: Vec<u64> = (0..1_000).map(|turn| 20 + turn * 7_919 % 1_000).collect();
        lengths.iter().for_each(|tokens| answers.learn(*tokens));
        let length = answers.length(0);
        assert!((430.0..610.0).contains(&length.expected), "{length:?}");
        let inside = |tokens: &&u64| (length.low..=length.high).contains(&(**tokens as f64));
        let share = lengths.iter().filter(inside).count();
        assert!((820..=990).contains(&share), "{share} in {length:?}");
    }

    #[test]
    fn learns_from_whole_answers_of_known_pairs() {
        let lengths = Lengths::default();
        let answers = lengths.of("d", "m");
        for _ in 0..10 {
            lengths.record("d", "m", &served(503, 9_000));
            lengths.record("d", "m", &served(200, 0));
            lengths.record("d", "other", &served(200, 9_000));
            lengths.record("d", "m", &served(200, 50));
        }
        assert_eq!(
            (answers.length(0).expected, answers.length(0).samples),
            (50.0, 10)
        );
        assert_eq!(lengths.of("d", "other").length(0), ASSUMED);
    }

    #[test]
    fn what_no_document_names_any_more_is_forgotten() {
        let lengths = Lengths::default();
        let kept = lengths.of("d", "kept");
        (0..5).for_each(|_| kept.learn(10));
        (0..3 * PAIRS_MAX).for_each(|number| drop(lengths.of("d", &number.to_string())));
        let pairs: usize = lengths
            .pairs
            .lock()
            .unwrap()
            .values()
            .map(HashMap::len)
            .sum();
        assert!(pairs <= PAIRS_MAX, "{pairs}");
        assert_eq!(lengths.of("d", "kept").length(0).samples, 5);
    }
}
