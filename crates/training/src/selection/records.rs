//! Routing records, and the files they are read from.

use crate::data::DataError;
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What one model did at a request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outcome {
    /// What its answer was worth, 0 to 1.
    pub score: f64,
    /// What it cost, in any unit that is the same for all.
    pub cost: Option<f64>,
}

/// A request with the outcome of each model, in the order of [`Records::models`].
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What was asked.
    pub prompt: String,
    /// Its category; empty if it has none.
    pub category: String,
    /// By model.
    pub outcomes: Vec<Outcome>,
}

/// Records that all have an outcome of the same models.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    /// Models, sorted.
    pub models: Vec<String>,
    /// In the order of the file.
    pub rows: Vec<Record>,
}

/// Records that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Nothing is left to fit and to compare on.
    #[error("{found} records with outcomes of the same two models or more; at least 50 are needed")]
    TooFew {
        /// How many there are.
        found: usize,
    },
}

/// A line. Scores are in `s` or in `models`, with what they cost in `cost` or beside them.
#[derive(Deserialize)]
struct Line {
    prompt: String,
    #[serde(default, alias = "task")]
    category: String,
    #[serde(default)]
    s: BTreeMap<String, f64>,
    #[serde(default)]
    cost: BTreeMap<String, f64>,
    #[serde(default)]
    models: BTreeMap<String, Written>,
}

#[derive(Deserialize)]
struct Written {
    score: f64,
    #[serde(default)]
    cost: Option<f64>,
}

/// Reads JSON lines, `{prompt, category, models: {name: {score, cost}}}` or `{prompt, task, s:
/// {name: score}}`; a name that ends in `.gz` is unpacked. Models that a twentieth of the records
/// or more lack are left out, then records that lack a model.
///
/// # Errors
/// The file cannot be read or is something else, or too little is left.
pub fn read(file: &Path) -> Result<Records, RecordError> {
    let unreadable = |cause| DataError::Unreadable {
        file: file.to_owned(),
        cause,
    };
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let packed = file.extension().is_some_and(|ending| ending == "gz");
    let text = if packed {
        std::io::read_to_string(GzDecoder::new(bytes.as_slice()))
    } else {
        String::from_utf8(bytes).map_err(std::io::Error::other)
    };
    let text = text.map_err(unreadable)?;
    let malformed = |line, cause| DataError::Malformed {
        file: file.to_owned(),
        line,
        cause,
    };
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let lines = lines
        .map(|(at, line)| serde_json::from_str(line).map_err(|cause| malformed(at + 1, cause)));
    of(lines
        .collect::<Result<Vec<Line>, _>>()?
        .into_iter()
        .map(Line::outcomes)
        .collect())
}

impl Line {
    fn outcomes(self) -> (String, String, BTreeMap<String, Outcome>) {
        let Self {
            prompt,
            category,
            s,
            cost,
            models,
        } = self;
        let mut outcomes: BTreeMap<String, Outcome> = models
            .into_iter()
            .map(|(name, Written { score, cost })| (name, Outcome { score, cost }))
            .collect();
        for (name, score) in s {
            let cost = cost.get(&name).copied();
            outcomes.insert(name, Outcome { score, cost });
        }
        outcomes.retain(|_, outcome| outcome.score.is_finite());
        (prompt, category, outcomes)
    }
}

fn of(lines: Vec<(String, String, BTreeMap<String, Outcome>)>) -> Result<Records, RecordError> {
    let names: BTreeSet<&String> = lines
        .iter()
        .flat_map(|(_, _, outcomes)| outcomes.keys())
        .collect();
    let enough = |name: &String| {
        let lack = lines
            .iter()
            .filter(|(_, _, outcomes)| !outcomes.contains_key(name))
            .count();
        lack * 20 < lines.len()
    };
    let models: Vec<String> = names
        .into_iter()
        .filter(|name| enough(name))
        .cloned()
        .collect();
    let row = |(prompt, category, outcomes): (String, String, BTreeMap<String, Outcome>)| {
        let outcomes: Option<Vec<Outcome>> = models
            .iter()
            .map(|name| outcomes.get(name).copied())
            .collect();
        outcomes.map(|outcomes| Record {
            prompt,
            category,
            outcomes,
        })
    };
    let rows: Vec<Record> = lines.into_iter().filter_map(row).collect();
    if models.len() < 2 || rows.len() < 50 {
        return Err(RecordError::TooFew {
            found: if models.len() < 2 { 0 } else { rows.len() },
        });
    }
    Ok(Records { models, rows })
}

impl Records {
    /// Keeps so many records at most, spread over the whole.
    pub fn thin(&mut self, most: usize) {
        if most == 0 || self.rows.len() <= most {
            return;
        }
        let all = self.rows.len();
        let mut at = 0;
        self.rows.retain(|_| {
            at += 1;
            at * most / all != (at - 1) * most / all
        });
    }

    /// Mean scores of the models over some records.
    pub(super) fn means(&self, rows: &[usize]) -> Vec<f64> {
        let mean = |model: usize| {
            rows.iter()
                .map(|&at| self.rows[at].outcomes[model].score)
                .sum::<f64>()
                / rows.len().max(1) as f64
        };
        (0..self.models.len()).map(mean).collect()
    }
}
