//! What is said of a text, and how far two readers are apart.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// What one reader says of one text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) windows: usize,
    pub(crate) truncated: bool,
    pub(crate) vector: Vec<f32>,
    /// Rows of probabilities, by what was asked.
    pub(crate) rows: BTreeMap<String, Vec<Vec<f32>>>,
}

impl Said {
    /// Takes the reference's answer.
    pub(crate) fn read(answer: &Value) -> Result<Self> {
        let mut rows = BTreeMap::new();
        for (head, said) in answer["heads"]
            .as_object()
            .context("an answer without heads")?
        {
            for part in ["sample", "each"] {
                rows.insert(format!("{head} {part}"), matrix(&said[part])?);
            }
        }
        if answer["states"].is_array() {
            rows.insert("states".to_owned(), matrix(&answer["states"])?);
        }
        Ok(Self {
            windows: usize::try_from(
                answer["windows"]
                    .as_u64()
                    .context("an answer without windows")?,
            )?,
            truncated: answer["truncated"]
                .as_bool()
                .context("an answer without truncated")?,
            vector: numbers(&answer["vector"])?,
            rows,
        })
    }

    /// The largest difference of two numbers, and where it is.
    ///
    /// # Errors
    /// They are not about the same windows, or one says what the other does not.
    pub(crate) fn distance(&self, other: &Self) -> Result<(f32, String)> {
        ensure!(
            self.windows == other.windows,
            "{} windows and {}",
            self.windows,
            other.windows
        );
        ensure!(
            self.truncated == other.truncated,
            "truncated: {} and {}",
            self.truncated,
            other.truncated
        );
        let asked = |said: &Self| said.rows.keys().cloned().collect::<Vec<_>>();
        ensure!(
            asked(self) == asked(other),
            "asked {:?} and {:?}",
            asked(self),
            asked(other)
        );
        let mut worst = (
            apart(&self.vector, &other.vector).context("vector")?,
            "vector".to_owned(),
        );
        for (name, rows) in &self.rows {
            let theirs = other.rows.get(name).map_or(&[][..], Vec::as_slice);
            ensure!(
                rows.len() == theirs.len(),
                "{name}: {} rows and {}",
                rows.len(),
                theirs.len()
            );
            for (row, their) in rows.iter().zip(theirs) {
                let found = apart(row, their).context(name.clone())?;
                if found > worst.0 {
                    worst = (found, name.clone());
                }
            }
        }
        Ok(worst)
    }
}

fn apart(ours: &[f32], theirs: &[f32]) -> Result<f32> {
    ensure!(
        ours.len() == theirs.len(),
        "{} numbers and {}",
        ours.len(),
        theirs.len()
    );
    ensure!(
        ours.iter().chain(theirs).all(|number| number.is_finite()),
        "not all numbers are finite"
    );
    Ok(ours
        .iter()
        .zip(theirs)
        .map(|(our, their)| (our - their).abs())
        .fold(0.0, f32::max))
}

fn matrix(value: &Value) -> Result<Vec<Vec<f32>>> {
    value
        .as_array()
        .context("no rows")?
        .iter()
        .map(numbers)
        .collect()
}

fn numbers(value: &Value) -> Result<Vec<f32>> {
    let Value::Array(numbers) = value else {
        bail!("no numbers: {value}")
    };
    numbers
        .iter()
        .map(|number| Ok(number.as_f64().context("not a number")? as f32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        let rows = BTreeMap::from([(
            "domain each".to_owned(),
            vec![vec![0.25, 0.75], vec![0.5, 0.5]],
        )]);
        Said {
            windows: 2,
            truncated: false,
            vector: vec![0.6, 0.8],
            rows,
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Said), expected: Option<f32>) {
        let mut other = said();
        change(&mut other);
        let found = said().distance(&other).ok().map(|(distance, _)| distance);
        match (found, expected) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-6, "{found}"),
            (found, expected) => assert_eq!(found.is_some(), expected.is_some(), "{found:?}"),
        }
    }

    fn rows(said: &mut Said) -> &mut Vec<Vec<f32>> {
        said.rows.get_mut("domain each").unwrap()
    }

    #[test]
    fn sees_every_difference() {
        check(|_| {}, Some(0.0));
        check(|said| said.vector[1] += 0.0003, Some(0.0003));
        check(|said| rows(said)[1][0] -= 0.0002, Some(0.0002));
        check(|said| rows(said)[1].truncate(1), None);
        check(|said| rows(said).truncate(1), None);
        check(|said| said.rows.clear(), None);
        check(|said| said.vector[0] = f32::NAN, None);
        check(|said| said.vector.clear(), None);
        check(|said| said.windows = 3, None);
        check(|said| said.truncated = true, None);
    }

    #[test]
    fn reads_the_reference() {
        let head =
            serde_json::json!({"sample": [[0.5, 0.5]], "each": [[0.25, 0.75], [0.75, 0.25]]});
        let answer = serde_json::json!({"windows": 2, "truncated": true, "vector": [1.0], "heads": {"domain": head}});
        let said = Said::read(&answer).unwrap();
        assert_eq!(
            (said.windows, said.truncated, said.rows.len()),
            (2, true, 2)
        );
        assert_eq!(said.rows["domain each"][1], [0.75, 0.25]);
        assert!(Said::read(&serde_json::json!({"windows": 2})).is_err());
    }
}
