//! Prototype banks: embedding rules on intents, knowledge bases, complexity.

use crate::asking::Asking;
use crate::report::{Report, Table, figure, percent};
use crate::sequence::everyday;
use crate::sets::{Sets, corpus, lines};
use anyhow::{Context as _, Result, bail};
use inference::ask::{Answer, What};
use inference::catalog::{Task, labels};
use inference::handle::Embedder;
use inference::knowledge_bases::{Manifest, built_in};
use inference::prototypes::{Bank, Clustering, Example, Weighting};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use training::data;
use training::metrics::Scored;

/// Examples of an intent.
const EXAMPLES: usize = 6;
/// Every so manieth text of the intents' test part is read.
const STEP: usize = 3;
/// Thresholds as documents write them.
const THRESHOLDS: [f64; 3] = [0.5, 0.72, 0.8];

type Vector = Arc<[f32]>;

/// Texts as vectors, and banks of them.
struct Vectors<'a> {
    asking: &'a Asking,
    by: Embedder,
}

pub(crate) fn run(asking: &Asking, sets: &Sets, report: &mut Report) -> Result<()> {
    let vectors = Vectors {
        asking,
        by: asking.models.encoder()?,
    };
    intents(&vectors, sets, report)?;
    knowledge_bases(&vectors, sets, report)?;
    complexity(&vectors, report)
}

impl Vectors<'_> {
    fn of(&self, texts: &[String]) -> Result<Vec<Vector>> {
        let answers = self.asking.answers(texts, &What::Vector(self.by.clone()))?;
        let vector = |answer| match answer {
            Answer::Vector(vector) => Ok(vector),
            _ => bail!("the answer is no vector"),
        };
        answers.into_iter().map(vector).collect()
    }

    fn bank<'b>(&self, examples: impl IntoIterator<Item = (&'b String, &'b Vector)>) -> Bank {
        let example = |(text, vector): (&String, &Vector)| Example {
            key: String::new(),
            text: text.as_str().into(),
            vector: Arc::clone(vector),
        };
        Bank::build(
            examples.into_iter().map(example),
            Clustering::default(),
            &self.by.scale,
        )
    }

    fn scores<'b>(&self, query: &[f32], banks: impl IntoIterator<Item = &'b Bank>) -> Vec<f64> {
        banks
            .into_iter()
            .map(|bank| {
                bank.score(query, Weighting::default(), &self.by.scale)
                    .score
            })
            .collect()
    }
}

/// How often an intent's bank takes its own texts and those of others.
#[derive(Debug, Default, PartialEq)]
struct Takes {
    own: [usize; THRESHOLDS.len()],
    others: [usize; THRESHOLDS.len()],
    outside: [usize; THRESHOLDS.len()],
}

impl Takes {
    /// A text with the scores of all banks; its own bank, if it has one.
    fn count(&mut self, scores: &[f64], own: Option<usize>) {
        for (at, threshold) in THRESHOLDS.into_iter().enumerate() {
            let over = scores.iter().filter(|score| **score >= threshold).count();
            match own {
                Some(own) => {
                    let taken =
                        usize::from(scores.get(own).is_some_and(|score| *score >= threshold));
                    self.own[at] += taken;
                    self.others[at] += over - taken;
                }
                None => self.outside[at] += usize::from(over > 0),
            }
        }
    }
}

impl Takes {
    fn table(&self, inside: usize, outside: usize, banks: usize, right: usize) -> Table {
        let head = [
            "threshold",
            "own intent taken",
            "other intents taken, each",
            "text of no intent taken by any",
        ];
        let mut table = Table::new(
            "embedding, 150 intents (CLINC150) by banks of 6 examples",
            &head,
        );
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        for (at, threshold) in THRESHOLDS.into_iter().enumerate() {
            let others = share(self.others[at], inside * banks.saturating_sub(1)) * 100.0;
            table.row(vec![
                threshold.to_string(),
                percent(share(self.own[at], inside)),
                format!("{others:.2} %"),
                percent(share(self.outside[at], outside)),
            ]);
        }
        let accuracy = percent(share(right, inside));
        table.note(format!(
            "{inside} texts of intents, {outside} of none. The best bank is the right one for {accuracy}."
        ));
        table
    }
}

fn intents(vectors: &Vectors<'_>, sets: &Sets, report: &mut Report) -> Result<()> {
    let Some(folder) = sets.data() else {
        return Ok(());
    };
    let rows = data::read(&folder.join("intents_clinc150.json.gz"))?.rows;
    let part = |name: &'static str| {
        rows.iter()
            .filter(move |row| row.part.as_deref() == Some(name))
    };
    let mut examples: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in part("train") {
        let own = examples.entry(&row.label).or_default();
        if own.len() < EXAMPLES {
            own.push(row.text.clone());
        }
    }
    let (mut names, mut banks) = (Vec::new(), Vec::new());
    for (name, texts) in &examples {
        names.push(*name);
        banks.push(vectors.bank(texts.iter().zip(&vectors.of(texts)?)));
    }
    let tests: Vec<_> = part("test")
        .step_by(STEP)
        .chain(part("oos_test").step_by(STEP))
        .collect();
    let queries = vectors.of(&tests.iter().map(|row| row.text.clone()).collect::<Vec<_>>())?;
    let (mut takes, mut inside, mut right) = (Takes::default(), 0, 0);
    for (row, query) in tests.iter().zip(&queries) {
        let scores = vectors.scores(query, &banks);
        let own = names.iter().position(|name| *name == row.label);
        takes.count(&scores, own);
        inside += usize::from(own.is_some());
        right += usize::from(own.is_some() && best(&scores) == own);
    }
    let outside = tests.len() - inside;
    report.add(takes.table(inside, outside, banks.len(), right));
    Ok(())
}

fn knowledge_bases(vectors: &Vectors<'_>, sets: &Sets, report: &mut Report) -> Result<()> {
    let head = [
        "knowledge base",
        "texts",
        "n",
        "accuracy",
        "macro-F1",
        "right at 0.55 or more",
    ];
    let mut table = Table::new("kb, the best label of the built-in knowledge bases", &head);
    let mut add =
        |name: &str, texts: &str, rows: Vec<Vec<f64>>, right: Vec<usize>, classes: usize| {
            let sure = rows
                .iter()
                .zip(&right)
                .filter(|(row, right)| best(row) == Some(**right) && row[**right] >= 0.55);
            let sure = sure.count() as f64 / right.len().max(1) as f64;
            let rows = rows
                .into_iter()
                .map(|row| row.into_iter().map(|score| score as f32).collect());
            let scored = Scored {
                rows: rows.collect(),
                labels: right,
            };
            let figures = [
                percent(scored.accuracy()),
                figure(scored.macro_f1(classes)),
                percent(sure),
            ];
            let cells = [
                name.to_owned(),
                texts.to_owned(),
                scored.labels.len().to_string(),
            ];
            table.row(cells.into_iter().chain(figures).collect());
        };
    let set = everyday(sets)?;
    let mmlu = manifest("knowledge_bases/mmlu")?;
    let mut banks = Vec::new();
    for name in labels(Task::Domain) {
        let texts = &mmlu
            .labels
            .get(*name)
            .with_context(|| format!("no label {name}"))?
            .exemplars;
        banks.push(vectors.bank(texts.iter().zip(&vectors.of(texts)?)));
    }
    let rows = vectors
        .of(&set.texts)?
        .iter()
        .map(|query| vectors.scores(query, &banks))
        .collect();
    add("mmlu", "everyday questions", rows, set.labels, banks.len());
    for name in ["mmlu", "privacy"] {
        let base = manifest(&format!("knowledge_bases/{name}"))?;
        let (rows, right) = left_out(vectors, &base)?;
        add(
            name,
            "its own, each left out in turn",
            rows,
            right,
            base.labels.len(),
        );
    }
    report.add(table);
    Ok(())
}

/// Scores of each exemplar by banks that lack it.
fn left_out(vectors: &Vectors<'_>, base: &Manifest) -> Result<(Vec<Vec<f64>>, Vec<usize>)> {
    let mut all = Vec::new();
    for label in base.labels.values() {
        all.push((&label.exemplars, vectors.of(&label.exemplars)?));
    }
    let whole: Vec<Bank> = all
        .iter()
        .map(|(texts, own)| vectors.bank(texts.iter().zip(own)))
        .collect();
    let (mut rows, mut right) = (Vec::new(), Vec::new());
    for (class, (texts, own)) in all.iter().enumerate() {
        for (at, query) in own.iter().enumerate() {
            let rest = texts
                .iter()
                .zip(own)
                .enumerate()
                .filter(|(other, _)| *other != at)
                .map(|(_, pair)| pair);
            let without = vectors.bank(rest);
            let banks = whole
                .iter()
                .enumerate()
                .map(|(other, bank)| if other == class { &without } else { bank });
            rows.push(vectors.scores(query, banks));
            right.push(class);
        }
    }
    Ok((rows, right))
}

/// Half of the texts as examples, the other half by which bank is nearer.
fn complexity(vectors: &Vectors<'_>, report: &mut Report) -> Result<()> {
    #[derive(Deserialize)]
    struct Row {
        text: String,
        label: String,
    }
    let rows: Vec<Row> = lines(&corpus().join("complexity.jsonl"))?;
    let half = |odd: bool, label: &str| -> Vec<String> {
        let own = rows
            .iter()
            .enumerate()
            .filter(|(at, row)| (at % 2 == 1) == odd && row.label == label);
        own.map(|(_, row)| row.text.clone()).collect()
    };
    let mut banks = Vec::new();
    for label in ["easy", "hard"] {
        let texts = half(false, label);
        banks.push(vectors.bank(texts.iter().zip(&vectors.of(&texts)?)));
    }
    let mut scored = Scored::default();
    for (class, label) in ["easy", "hard"].into_iter().enumerate() {
        for query in vectors.of(&half(true, label))? {
            let scores = vectors.scores(&query, &banks);
            let margin = (scores[1] - scores[0]) as f32;
            scored.rows.push(vec![-margin, margin]);
            scored.labels.push(class);
        }
    }
    let head = ["texts", "n", "accuracy", "macro-F1", "AUROC"];
    let mut table = Table::new(
        "complexity, hard or easy by two banks of half the texts",
        &head,
    );
    let figures = [
        percent(scored.accuracy()),
        figure(scored.macro_f1(2)),
        figure(scored.auroc(1)),
    ];
    let cells = ["the other half".to_owned(), scored.labels.len().to_string()];
    table.row(cells.into_iter().chain(figures).collect());
    report.add(table);
    Ok(())
}

fn manifest(folder: &str) -> Result<Manifest> {
    let text = built_in(folder).with_context(|| format!("{folder} is not built in"))?;
    Ok(serde_json::from_str(text)?)
}

/// The place of the highest score, of equals the first.
fn best(scores: &[f64]) -> Option<usize> {
    let scores = scores.iter().enumerate();
    scores
        .reduce(|held, next| if next.1 > held.1 { next } else { held })
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_who_takes_what() {
        let mut takes = Takes::default();
        takes.count(&[0.75, 0.6, 0.4], Some(0));
        takes.count(&[0.75, 0.6, 0.85], Some(1));
        takes.count(&[0.75, 0.6, 0.1], None);
        assert_eq!(
            takes,
            Takes {
                own: [2, 1, 0],
                others: [3, 2, 1],
                outside: [1, 1, 0]
            }
        );
        assert_eq!(best(&[0.1, 0.5, 0.5]), Some(1));
        assert_eq!(best(&[]), None);
    }
}
