//! Where texts come from: the sets of the repository, and the held-out parts of the data that heads
//! were fitted on.

use ::tests::envoy::root;
use anyhow::{Context as _, Result};
use inference::catalog::{Task, labels};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use training::metrics::Scored;
use training::near;
use training::part::{Part, parts};
use training::recipe::Recipe;

/// Folders of texts.
pub(crate) struct Sets {
    data: Option<PathBuf>,
}

/// Labelled texts.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Set {
    pub(crate) texts: Vec<String>,
    /// By place in the task's labels.
    pub(crate) labels: Vec<usize>,
}

impl Sets {
    pub(crate) fn new(data: Option<PathBuf>) -> Self {
        let parts = |folder: PathBuf| {
            Some(folder.join("train"))
                .filter(|train| train.is_dir())
                .unwrap_or(folder)
        };
        Self {
            data: data.map(parts),
        }
    }

    /// The folder of the data sets, if one was named.
    pub(crate) fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// The texts for a task that were written for figures only.
    pub(crate) fn evaluation(&self, file: &str, task: Task) -> Result<Set> {
        #[derive(Deserialize)]
        struct Row {
            text: String,
            label: String,
        }
        let mut set = Set::default();
        for row in lines::<Row>(&evaluation().join(file))? {
            let place = labels(task).iter().position(|label| *label == row.label);
            set.labels
                .push(place.with_context(|| format!("{file}: label `{}`", row.label))?);
            set.texts.push(row.text);
        }
        Ok(set)
    }

    /// Attacks and harmless texts that were written for figures only, by language.
    pub(crate) fn attacks_by_language(&self) -> Result<BTreeMap<String, Set>> {
        #[derive(Deserialize)]
        struct Row {
            text: String,
            label: usize,
            lang: String,
        }
        let mut sets: BTreeMap<String, Set> = BTreeMap::new();
        for row in lines::<Row>(&evaluation().join("jailbreak_languages.jsonl"))? {
            let set = sets.entry(row.lang).or_default();
            set.texts.push(row.text);
            set.labels.push(row.label);
        }
        Ok(sets)
    }

    /// The texts of a task's data that its head was not fitted on, by source; none without the
    /// data.
    pub(crate) fn held_out(&self, task: Task) -> Result<BTreeMap<String, Set>> {
        let mut sets: BTreeMap<String, Set> = BTreeMap::new();
        let Some(data) = &self.data else {
            return Ok(sets);
        };
        let recipe = Recipe::of(task, data, &corpus())?;
        let parts = parts(&recipe.examples, |source| recipe.shares(source));
        for (example, part) in recipe.examples.into_iter().zip(parts) {
            if part == Part::Test {
                let set = sets.entry(example.source).or_default();
                set.texts.push(example.text);
                set.labels.push(example.label);
            }
        }
        Ok(sets)
    }

    /// Those texts of a set that are not nearly equal to any that the task's head was fitted on;
    /// `None` without the data.
    pub(crate) fn apart(&self, set: &Set, task: Task) -> Result<Option<Set>> {
        let Some(data) = &self.data else {
            return Ok(None);
        };
        let examples = Recipe::of(task, data, &corpus())?.examples;
        Ok(Some(set.without(
            examples.iter().map(|example| example.text.as_str()),
        )))
    }
}

impl Set {
    /// Its texts that are not nearly equal to any of these.
    fn without<'a>(&'a self, known: impl Iterator<Item = &'a str>) -> Self {
        let mut texts: Vec<&str> = known.collect();
        let known = texts.len();
        texts.extend(self.texts.iter().map(String::as_str));
        // A text's group is named by the first of its texts.
        let groups = near::groups(&texts).split_off(known);
        let kept = || {
            groups
                .iter()
                .enumerate()
                .filter(|(_, group)| **group >= known)
                .map(|(at, _)| at)
        };
        Self {
            texts: kept().map(|at| self.texts[at].clone()).collect(),
            labels: kept().map(|at| self.labels[at]).collect(),
        }
    }

    /// Figures of these texts.
    pub(crate) fn scored(&self, rows: Vec<Vec<f32>>) -> Scored {
        Scored {
            rows,
            labels: self.labels.clone(),
        }
    }

    /// The texts of these sources as one set.
    pub(crate) fn of<'a>(
        sets: &'a BTreeMap<String, Self>,
        sources: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut all = Self::default();
        for set in sources.into_iter().filter_map(|source| sets.get(source)) {
            all.texts.extend(set.texts.iter().cloned());
            all.labels.extend(&set.labels);
        }
        all
    }

    /// About `count` of them, evenly.
    pub(crate) fn sample(&self, count: usize) -> Self {
        let step = self.texts.len().div_ceil(count).max(1);
        let texts = self.texts.iter().step_by(step).cloned().collect();
        Self {
            texts,
            labels: self.labels.iter().step_by(step).copied().collect(),
        }
    }
}

/// The rows of a file of JSON lines.
pub(crate) fn lines<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<Vec<T>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let row = |(number, line)| {
        serde_json::from_str(line).with_context(|| format!("{}, line {number}", file.display()))
    };
    (1..).zip(text.lines()).map(row).collect()
}

/// Texts that are written for figures only.
pub(crate) fn evaluation() -> PathBuf {
    root().join("crates/training/evaluation")
}

/// Texts that heads are fitted on, those of the repository.
pub(crate) fn corpus() -> PathBuf {
    root().join("crates/training/corpus")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repositorys_sets_fit_the_labels() {
        let sets = Sets::new(None);
        for (file, task, count) in [
            ("domain_everyday.jsonl", Task::Domain, 300),
            ("fact_check_turns.jsonl", Task::FactCheck, 200),
            ("user_feedback_turns.jsonl", Task::UserFeedback, 200),
            ("modality_turns.jsonl", Task::Modality, 120),
        ] {
            let set = sets.evaluation(file, task).unwrap();
            assert_eq!(
                (set.texts.len(), set.labels.len()),
                (count, count),
                "{file}"
            );
        }
        assert!(
            sets.evaluation("domain_everyday.jsonl", Task::Modality)
                .is_err()
        );
        assert!(sets.held_out(Task::Domain).unwrap().is_empty());
    }

    #[test]
    fn near_texts_are_left_out() {
        let texts = [
            "why can you not divide a number by zero",
            "how tall is the tallest tree of all",
        ];
        let set = Set {
            texts: texts.map(str::to_owned).to_vec(),
            labels: vec![4, 7],
        };
        let known = [
            "Why can you not divide any number by zero?",
            "Why can you not divide a number by zero?",
        ];
        assert_eq!(set.without(known.into_iter()).labels, [7]);
        assert_eq!(set.without(std::iter::empty()), set);
    }

    #[test]
    fn samples_are_even() {
        let set = Set {
            texts: (0..10).map(|at| at.to_string()).collect(),
            labels: (0..10).collect(),
        };
        assert_eq!(set.sample(4).labels, [0, 3, 6, 9]);
        assert_eq!(set.sample(100), set);
    }
}
