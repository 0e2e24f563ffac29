//! Fitting `knn` and `kmeans` on routing records: which model did how well at which request.
//!
//! ```text
//! records → parts by hash (near-duplicates together) → fit on seven in ten, compare on the rest → fit on all → artifact
//! ```
//!
//! What is compared is the mean score of the chosen models with that of the best single model, of a
//! random one and of an oracle, and with the mixing line: what a coin between two models reaches at
//! the same cost. A bootstrap over the held-out requests gives the interval of the gain. Same
//! records, same artifact.

mod compare;
mod fit;
mod records;

pub use compare::{Comparison, Gain};
pub use fit::{Algorithm, Settings};
pub use records::{Outcome, Record, RecordError, Records, read};

use crate::data::Example;
use crate::part::{Part, Shares, parts};
use fit::Fitted;
use std::fmt::Write as _;

/// What an artifact was fitted on, and what it is worth.
#[derive(Debug)]
pub struct Trained {
    /// The artifact, as the router reads it.
    pub artifact: String,
    /// Figures on requests that nothing was fitted on.
    pub comparison: Comparison,
}

/// Fits on seven in ten requests, compares on the rest, then fits on all. `features` are the
/// requests' vectors, in order.
///
/// # Errors
/// There are too few records to hold some out.
pub fn train(
    records: &Records,
    features: &[Vec<f64>],
    settings: Settings,
) -> Result<Trained, RecordError> {
    let split = split(records);
    let of = |wanted: fn(&Part) -> bool| -> Vec<usize> {
        split
            .iter()
            .enumerate()
            .filter(|(_, part)| wanted(part))
            .map(|(at, _)| at)
            .collect()
    };
    let (fit, test) = (
        of(|part| *part != Part::Test),
        of(|part| *part == Part::Test),
    );
    if fit.len() < 20 || test.len() < 10 {
        return Err(RecordError::TooFew {
            found: records.rows.len(),
        });
    }
    let fitted = Fitted::new(records, features, &fit, settings);
    let comparison = compare::compare(records, &fit, &test, |at| fitted.choose(&features[at]));
    let all: Vec<usize> = (0..records.rows.len()).collect();
    let artifact = Fitted::new(records, features, &all, settings).artifact(records);
    Ok(Trained {
        artifact,
        comparison,
    })
}

fn split(records: &Records) -> Vec<Part> {
    let example = |record: &Record| Example {
        text: record.prompt.clone(),
        label: 0,
        source: String::new(),
    };
    let examples: Vec<Example> = records.rows.iter().map(example).collect();
    parts(&examples, |_| Shares { test: 30, tune: 0 })
}

impl Comparison {
    /// The figures as lines for people, with a plain word on whether it is worth it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let percent = |score: f64| format!("{:.2} %", score * 100.0);
        let mut line = |name: &str, value: String| {
            // Writing to a string does not fail.
            let _written = writeln!(text, "{name:<28} {value}");
        };
        line("held-out requests", self.requests.to_string());
        line("models", self.models.to_string());
        line("random model", percent(self.random));
        line(
            &format!("best single ({})", self.best_model),
            percent(self.best_single),
        );
        line("routed", percent(self.routed));
        match self.mixing_line {
            Some(score) => line("mixing line at that cost", percent(score)),
            None => line(
                "mixing line",
                "records without cost: the best single model".to_owned(),
            ),
        }
        line("oracle", percent(self.oracle));
        let Gain { mean, low, high } = self.gain;
        let points = |gain: f64| format!("{:+.2}", gain * 100.0);
        line(
            "gain over best single",
            format!(
                "{} ({} to {}) points",
                points(mean),
                points(low),
                points(high)
            ),
        );
        let verdict = match (low > 0.0, high < 0.0) {
            (true, _) => "beats the best single model",
            (_, true) => "is worse than the best single model",
            _ => "does not beat the best single model: the interval holds 0",
        };
        line("verdict", verdict.to_owned());
        text
    }
}

#[cfg(test)]
mod tests;
