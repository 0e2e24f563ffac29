//! Scripted answers, for tests of callers.

use crate::ask::{Answer, Ask, Entity, Failure, Outcome, Question, Reply, What};
use crate::catalog::{Catalog, LoadError, RemoteClassifier, RemoteEmbedder, Task, Wanted, labels};
use crate::handle::{Classifier, CosineMap, Cost, Embedder, Tagger};
use futures_util::future::BoxFuture;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Answers by table; counts what it was asked. Also a catalog whose models are these tables.
#[derive(Debug, Default)]
pub struct Fake {
    vectors: HashMap<String, Vec<f32>>,
    labels: HashMap<(String, String), Vec<Vec<f32>>>,
    entities: HashMap<String, Vec<Entity>>,
    failures: HashMap<String, Failure>,
    own: HashMap<String, Vec<String>>,
    truncated: HashSet<String>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    /// Gives `text` a vector (used as it is).
    #[must_use]
    pub fn vector(mut self, text: &str, vector: &[f32]) -> Self {
        self.vectors.insert(text.to_owned(), vector.to_vec());
        self
    }

    /// Gives `text` rows of probabilities under the classifier of this name.
    #[must_use]
    pub fn labels(mut self, classifier: &str, text: &str, rows: &[&[f32]]) -> Self {
        let rows = rows.iter().map(|row| row.to_vec()).collect();
        self.labels
            .insert((classifier.to_owned(), text.to_owned()), rows);
        self
    }

    /// Puts entities into `text`.
    #[must_use]
    pub fn entities(mut self, text: &str, entities: &[Entity]) -> Self {
        self.entities.insert(text.to_owned(), entities.to_vec());
        self
    }

    /// Lets every question to the model of this name fail.
    #[must_use]
    pub fn failing(mut self, model: &str, failure: Failure) -> Self {
        self.failures.insert(model.to_owned(), failure);
        self
    }

    /// Installs a classifier of the operator's own: its folder and its labels.
    #[must_use]
    pub fn own(mut self, folder: &str, labels: &[&str]) -> Self {
        self.own.insert(
            folder.to_owned(),
            labels.iter().map(|label| (*label).to_owned()).collect(),
        );
        self
    }

    /// Answers about `text` say that not all of it was read.
    #[must_use]
    pub fn truncated(mut self, text: &str) -> Self {
        self.truncated.insert(text.to_owned());
        self
    }

    /// `model: text` of every question so far, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .map(|asked| asked.clone())
            .unwrap_or_default()
    }

    fn answer(&self, question: &Question) -> Outcome {
        let (model, answer) = match &question.what {
            What::Vector(by) => {
                let vector = self
                    .vectors
                    .get(&*question.text)
                    .cloned()
                    .unwrap_or_else(|| vec![0.0; by.dimension]);
                (&by.name, Answer::Vector(vector.into()))
            }
            What::Labels(by, _) => {
                let even = || vec![vec![1.0 / by.labels.len().max(1) as f32; by.labels.len()]];
                let rows = self
                    .labels
                    .get(&(by.name.to_string(), question.text.to_string()))
                    .cloned();
                (
                    &by.name,
                    Answer::Labels(
                        rows.unwrap_or_else(even)
                            .into_iter()
                            .map(Arc::from)
                            .collect(),
                    ),
                )
            }
            What::Entities(by) => (
                &by.name,
                Answer::Entities(
                    self.entities
                        .get(&*question.text)
                        .cloned()
                        .unwrap_or_default(),
                ),
            ),
        };
        if let Ok(mut asked) = self.asked.lock() {
            asked.push(format!("{model}: {}", question.text));
        }
        match self.failures.get(&**model) {
            Some(failure) => Err(failure.clone()),
            None => Ok(Reply {
                answer,
                truncated: self.truncated.contains(&*question.text),
            }),
        }
    }
}

impl Ask for Fake {
    fn ask<'a>(
        &'a self,
        questions: &'a [Question],
        _deadline: Instant,
    ) -> BoxFuture<'a, Vec<Outcome>> {
        let answers = questions
            .iter()
            .map(|question| self.answer(question))
            .collect();
        Box::pin(std::future::ready(answers))
    }
}

impl Catalog for Fake {
    fn embedder(&self, _wanted: &Wanted) -> Result<Embedder, LoadError> {
        let dimension = self.vectors.values().map(Vec::len).max().unwrap_or(0);
        let scale = CosineMap::default();
        Ok(Embedder {
            name: "encoder".into(),
            dimension,
            cost: Cost::Encoder,
            scale,
            digest: "fake".into(),
            backing: None,
        })
    }

    fn classifier(&self, task: Task, wanted: &Wanted) -> Result<Classifier, LoadError> {
        let name = if task == Task::Own {
            wanted.folder.as_str()
        } else {
            task.as_str()
        };
        let cost = if task == Task::Own {
            Cost::Model
        } else {
            Cost::Encoder
        };
        let own = || {
            self.own
                .get(name)
                .into_iter()
                .flatten()
                .map(|label| Arc::from(label.as_str()))
                .collect()
        };
        let built_in = || labels(task).iter().map(|label| Arc::from(*label)).collect();
        let labels = if task == Task::Own { own() } else { built_in() };
        Ok(Classifier {
            name: name.into(),
            labels,
            threshold: None,
            cost,
            backing: None,
        })
    }

    fn tagger(&self, _wanted: &Wanted) -> Result<Tagger, LoadError> {
        Ok(Tagger {
            name: "pii".into(),
            kinds: Arc::default(),
            cost: Cost::Encoder,
            backing: None,
        })
    }

    fn vectors(&self, by: &Embedder, texts: &[String]) -> Result<Vec<Arc<[f32]>>, LoadError> {
        let vector = |text: &String| {
            self.vectors
                .get(text)
                .cloned()
                .unwrap_or_else(|| vec![0.0; by.dimension])
                .into()
        };
        Ok(texts.iter().map(vector).collect())
    }

    fn remote_embedder(&self, wanted: &RemoteEmbedder) -> Result<Embedder, LoadError> {
        let name = wanted.endpoint.name.as_str().into();
        Ok(Embedder {
            name,
            cost: Cost::Remote,
            ..self.embedder(&Wanted::default())?
        })
    }

    fn remote_classifier(&self, wanted: &RemoteClassifier) -> Result<Classifier, LoadError> {
        Ok(wanted.without_model())
    }
}
