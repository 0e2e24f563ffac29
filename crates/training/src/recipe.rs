//! What each shipped head is fitted on, and how.

use crate::data::{self, DataError, Example, File, Row};
use crate::optimise::Fit;
use crate::part::Shares;
use inference::catalog::{Task, labels};
use inference::head::Source;
use std::collections::BTreeSet;
use std::path::Path;

mod fact_check;
mod origin;

/// Texts for a head and how to use them.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Labels in class order.
    pub labels: Vec<String>,
    /// All texts, each once.
    pub examples: Vec<Example>,
    /// Where they come from, for the card.
    pub files: Vec<Source>,
    /// How weights are fitted.
    pub fit: Fit,
    /// How windows of a text become one row.
    pub over: Windows,
    /// Whether each text is also fitted on in another dress: case and closing mark changed.
    pub dresses: bool,
    /// What is given up for a threshold on the second label; without any it is one half.
    pub limits: Vec<Limit>,
    /// Sources whose texts are left out in turn, to see how the head fares on what it knows nothing
    /// of.
    pub leave_out: Vec<String>,
    weights: Vec<(&'static str, f32)>,
    shares: Vec<(&'static str, Shares)>,
}

/// How windows of a text become one row of probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// Their mean by tokens.
    Mean,
    /// The window with the most of the second label.
    Most,
}

/// At most so many of the other label's texts of these sources may reach the threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Names of sources.
    pub sources: &'static [&'static str],
    /// 0 to 1.
    pub most: f64,
}

/// Kinds of benign prompts that are easily taken for attacks.
pub const TRIGGERS: &[&str] = &["notinject", "xstest_safe", "own_benign"];

const LINEAR: Fit = Fit {
    hidden: 0,
    epochs: 60,
    rate: 3e-3,
    drop: 0.0,
    drop_input: 0.0,
    mix: false,
    centre: false,
    seed: 7,
};
const DEEP: Fit = Fit {
    hidden: 128,
    epochs: 20,
    rate: 2e-3,
    drop: 0.3,
    mix: true,
    ..LINEAR
};
const COMMON: Shares = Shares { test: 20, tune: 10 };

impl Recipe {
    /// The recipe of a task from the files in `data` and `corpus`; of an operator's own from the
    /// file or folder `data` alone.
    ///
    /// # Errors
    /// A file is not there or has labels that the head does not know.
    pub fn of(task: Task, data: &Path, corpus: &Path) -> Result<Self, DataError> {
        let mut recipe = match task {
            Task::Domain => Self::domain(data, corpus)?,
            Task::Jailbreak => Self::jailbreak(data, corpus)?,
            Task::FactCheck => fact_check::recipe(data, corpus)?,
            Task::UserFeedback => Self::turns(task, &corpus.join("user_feedback.jsonl"))?,
            Task::Modality => Self::modality(corpus)?,
            Task::Own => Self::own(data)?,
        };
        recipe.examples = data::distinct(recipe.examples);
        let enough = |label| {
            recipe
                .examples
                .iter()
                .filter(|example| example.label == label)
                .count()
                >= 5
        };
        let few = || DataError::TooFew {
            place: data.to_owned(),
        };
        if recipe.labels.len() < 2 || !(0..recipe.labels.len()).all(enough) {
            Err(few())
        } else {
            Ok(recipe)
        }
    }

    /// Turns to an encoder of other languages: features are centred, and texts in these languages are
    /// added where there are any.
    ///
    /// # Errors
    /// As [`Recipe::of`].
    pub fn turn_to_languages(&mut self, task: Task, corpus: &Path) -> Result<(), DataError> {
        self.fit.centre = true;
        if task != Task::Jailbreak {
            return Ok(());
        }
        let source = "own_languages";
        // Most English texts are of two sources, and tell little of other languages.
        self.weights
            .extend([(source, 4.0), ("s-labs", 0.3), ("neuralchemy", 0.3)]);
        self.shares.push((source, Shares { test: 15, tune: 25 }));
        self.limits.push(Limit {
            sources: &["own_languages"],
            most: 0.025,
        });
        self.add(
            &data::read(&corpus.join("jailbreak_languages.jsonl"))?,
            |row| Some((attack_or_not(row), source.to_owned())),
        )?;
        self.examples = data::distinct(std::mem::take(&mut self.examples));
        Ok(())
    }

    /// How much a text of a source counts.
    #[must_use]
    pub fn weight(&self, source: &str) -> f32 {
        self.weights
            .iter()
            .find(|(name, _)| *name == source)
            .map_or(1.0, |(_, weight)| *weight)
    }

    /// How a source's texts are parted.
    #[must_use]
    pub fn shares(&self, source: &str) -> Shares {
        self.shares
            .iter()
            .find(|(name, _)| *name == source)
            .map_or(COMMON, |(_, shares)| *shares)
    }

    fn new(labels: Vec<String>, fit: Fit) -> Self {
        Self {
            labels,
            examples: Vec::new(),
            files: Vec::new(),
            fit,
            over: Windows::Mean,
            dresses: false,
            limits: Vec::new(),
            leave_out: Vec::new(),
            weights: Vec::new(),
            shares: Vec::new(),
        }
    }

    fn for_task(task: Task, fit: Fit) -> Self {
        Self::new(
            labels(task)
                .iter()
                .map(|label| (*label).to_owned())
                .collect(),
            fit,
        )
    }

    fn domain(data: &Path, corpus: &Path) -> Result<Self, DataError> {
        let mut recipe = Self::for_task(
            Task::Domain,
            Fit {
                hidden: 256,
                ..DEEP
            },
        );
        recipe.weights = vec![("everyday", 4.0)];
        recipe.add(&data::read(&data.join("domain.jsonl.gz"))?, |row| {
            let source = if row.part.as_deref() == Some("mmlu_pro") {
                "mmlu_pro"
            } else {
                "mmlu"
            };
            Some((row.label.clone(), source.to_owned()))
        })?;
        recipe.add(&data::read(&corpus.join("domain_everyday.jsonl"))?, |row| {
            Some((row.label.clone(), "everyday".into()))
        })?;
        Ok(recipe)
    }

    fn jailbreak(data: &Path, corpus: &Path) -> Result<Self, DataError> {
        let mut recipe = Self::for_task(Task::Jailbreak, DEEP);
        let hard = [
            "notinject",
            "xstest_safe",
            "xstest_unsafe",
            "alpaca_eval",
            "own_benign",
            "own_attacks",
        ];
        recipe.weights = hard.map(|source| (source, 4.0)).to_vec();
        recipe.shares = hard
            .map(|source| (source, Shares { test: 25, tune: 25 }))
            .to_vec();
        recipe.over = Windows::Most;
        recipe.limits = vec![
            Limit {
                sources: &["alpaca_eval"],
                most: 0.022,
            },
            Limit {
                sources: TRIGGERS,
                most: 0.075,
            },
        ];
        recipe.leave_out = ["s-labs", "neuralchemy", "own_attacks"]
            .map(str::to_owned)
            .to_vec();
        let by_part = |row: &Row| Some((attack_or_not(row), row.part.clone()?));
        recipe.add(&data::read(&data.join("jailbreak.jsonl.gz"))?, by_part)?;
        for (file, source) in [
            ("jailbreak_benign.jsonl", "own_benign"),
            ("jailbreak_attacks.jsonl", "own_attacks"),
        ] {
            recipe.add(&data::read(&corpus.join(file))?, |row| {
                Some((attack_or_not(row), source.to_owned()))
            })?;
        }
        Ok(recipe)
    }

    /// A head from one file of user turns.
    fn turns(task: Task, file: &Path) -> Result<Self, DataError> {
        let mut recipe = Self::for_task(task, LINEAR);
        recipe.dresses = true;
        recipe.shares = vec![("turns", Shares { test: 15, tune: 20 })];
        recipe.add(&data::read(file)?, |row| {
            Some((row.label.clone(), "turns".into()))
        })?;
        Ok(recipe)
    }

    /// Few turns are written singly, so sentences composed of frames and subjects stand beside
    /// them. Figures are of the former.
    fn modality(corpus: &Path) -> Result<Self, DataError> {
        let mut recipe = Self::turns(Task::Modality, &corpus.join("modality.jsonl"))?;
        recipe.weights = vec![("composed", 0.5)];
        recipe
            .shares
            .push(("composed", Shares { test: 0, tune: 0 }));
        let composed = data::read(&corpus.join("modality_composed.jsonl"))?;
        recipe.add(&composed, |row| {
            Some((row.label.clone(), "composed".into()))
        })?;
        Ok(recipe)
    }

    fn own(place: &Path) -> Result<Self, DataError> {
        let files = data::read_all(place)?;
        let rows = files.iter().flat_map(|file| &file.rows);
        let labels: BTreeSet<String> = rows.map(|row| row.label.clone()).collect();
        let mut recipe = Self::new(labels.into_iter().collect(), LINEAR);
        recipe.shares = vec![("own", Shares { test: 20, tune: 20 })];
        files
            .iter()
            .try_for_each(|file| recipe.add(file, |row| Some((row.label.clone(), "own".into()))))?;
        Ok(recipe)
    }

    /// Takes the rows of a file for which `take` gives a label and a source.
    fn add(
        &mut self,
        file: &File,
        take: impl Fn(&Row) -> Option<(String, String)>,
    ) -> Result<(), DataError> {
        let before = self.examples.len();
        for row in &file.rows {
            let Some((label, source)) = take(row) else {
                continue;
            };
            let Some(label) = self.labels.iter().position(|known| *known == label) else {
                return Err(DataError::Label {
                    file: file.name.clone(),
                    label,
                    expected: self.labels.clone(),
                });
            };
            self.examples.push(Example {
                text: row.text.clone(),
                label,
                source,
            });
        }
        let (origin, license) = origin::of(&file.name);
        self.files.push(Source {
            name: file.name.clone(),
            origin: origin.to_owned(),
            license: license.to_owned(),
            rows: self.examples.len() - before,
            sha256: file.sha256.clone(),
        });
        Ok(())
    }
}

fn attack_or_not(row: &Row) -> String {
    let label = if row.label == "1" {
        "jailbreak"
    } else {
        "benign"
    };
    label.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_labels_come_from_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let line = |number: usize| {
            let label = if usize::is_multiple_of(number, 2) {
                "sales"
            } else {
                "help"
            };
            format!("{{\"text\":\"text {number}\",\"label\":\"{label}\"}}\n")
        };
        std::fs::write(
            folder.path().join("a.jsonl"),
            (0..20).map(line).collect::<String>(),
        )
        .unwrap();
        let recipe = Recipe::of(Task::Own, folder.path(), Path::new("")).unwrap();
        assert_eq!(
            (recipe.labels, recipe.examples.len()),
            (vec!["help".to_owned(), "sales".to_owned()], 20)
        );
        assert_eq!(recipe.files[0].rows, 20);
        std::fs::write(
            folder.path().join("a.jsonl"),
            (0..4).map(line).collect::<String>(),
        )
        .unwrap();
        let error = Recipe::of(Task::Own, folder.path(), Path::new("")).unwrap_err();
        assert!(matches!(error, DataError::TooFew { .. }), "{error}");
    }

    #[test]
    fn refuses_labels_that_the_head_does_not_have() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("user_feedback.jsonl"),
            "{\"text\":\"x\",\"label\":\"SOUND\"}\n",
        )
        .unwrap();
        let error = Recipe::of(Task::UserFeedback, Path::new(""), folder.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("SOUND"), "{error}");
    }

    #[test]
    fn the_corpus_fits_the_shipped_labels() {
        let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"));
        for (task, least) in [(Task::UserFeedback, 900), (Task::Modality, 1000)] {
            let recipe = Recipe::of(task, Path::new(""), corpus).unwrap();
            assert!(
                recipe.examples.len() >= least,
                "{task:?}: {}",
                recipe.examples.len()
            );
        }
    }
}
