//! Models of other machines: encoders and classifiers that are asked over HTTP.
//!
//! ```text
//! questions → by model: texts in batches, or one call each → turns, attempts, limits → answers
//! ```
//!
//! Only questions of [`Cost::Remote`](inference::handle::Cost) come here; which of them may leave
//! the machine at all is decided by the caller.

mod client;
mod embeddings;
mod executor;
mod verdicts;

use client::{Client, Limits};
pub(crate) use client::{Connection, connector};
use embeddings::Encoder;
use executor::Executor;
use futures_executor::block_on;
use futures_util::future::join_all;
use inference::ask::{Answer, Failure, Outcome, Question, Reply, What};
use inference::catalog::{LoadError, RemoteClassifier, RemoteEmbedder};
use inference::handle::{Backing, Classifier, CosineMap, Cost, Embedder};
use router::config::server::Inference;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};
use verdicts::Judge;

/// How long loading may wait for one service.
const LOADING: Duration = Duration::from_secs(60);
/// Bytes of a text that a classifier is shown at most; longer ones are cut, and said to be.
const TEXT_MAX: usize = 128 << 10;

/// Asks models of other machines.
pub(crate) struct Remote {
    executor: Executor,
    limits: Limits,
}

impl Remote {
    /// Nobody is asked yet.
    ///
    /// # Errors
    /// The system gives no thread, where no runtime is at hand.
    pub(crate) fn new(settings: &Inference) -> std::io::Result<Self> {
        let limits = Limits {
            concurrency: settings.remote_concurrency.max(1) as usize,
            response: usize::try_from(settings.remote_response_bytes).unwrap_or(usize::MAX),
        };
        Ok(Self {
            executor: Executor::new()?,
            limits,
        })
    }

    /// The encoder; it is asked once if nobody says how many dimensions it has.
    ///
    /// # Errors
    /// Its address or credential cannot be used, or it does not answer.
    pub(crate) fn embedder(&self, wanted: &RemoteEmbedder) -> Result<Embedder, LoadError> {
        let endpoint = &wanted.endpoint;
        let client = Client::new(endpoint, self.limits)?;
        let mut encoder = Encoder {
            client,
            asked: wanted.dimensions,
            dimension: wanted.dimensions,
        };
        if encoder.dimension == 0 {
            encoder.dimension =
                block_on(self.executor.run(encoder.probe(Instant::now() + LOADING)))
                    .map_err(|problem| unusable(&endpoint.name, &problem))?;
        }
        let digest = Sha256::digest(format!(
            "{} {} {}",
            endpoint.base_url, endpoint.model, encoder.dimension
        ));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Embedder {
            name: endpoint.model.as_str().into(),
            dimension: encoder.dimension,
            cost: Cost::Remote,
            scale: CosineMap::default(),
            digest: digest.into(),
            backing: Some(Arc::new(encoder)),
        })
    }

    /// The classifier. Nobody is asked yet.
    ///
    /// # Errors
    /// Its address or credential cannot be used.
    pub(crate) fn classifier(&self, wanted: &RemoteClassifier) -> Result<Classifier, LoadError> {
        let client = Client::new(&wanted.endpoint, self.limits)?;
        let judge: Backing = Arc::new(Judge {
            client,
            wanted: wanted.clone(),
        });
        Ok(Classifier {
            backing: Some(judge),
            ..wanted.without_model()
        })
    }

    /// Vectors of example texts.
    ///
    /// # Errors
    /// The service does not answer.
    pub(crate) fn vectors(
        &self,
        by: &Embedder,
        texts: &[String],
    ) -> Result<Vec<Arc<[f32]>>, LoadError> {
        let encoder = backing::<Encoder>(by.backing.as_ref())
            .map_err(|failure| unusable(&by.name, &failure))?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = block_on(
            self.executor
                .run(encoder.vectors(&texts, Instant::now() + LOADING)),
        );
        vectors.map_err(|problem| unusable(&by.name, &problem))
    }

    /// Answers in the order of the questions, by the deadline.
    pub(crate) async fn ask(&self, questions: &[Question], deadline: Instant) -> Vec<Outcome> {
        let encoded = join_all(encoders(questions).into_iter().map(async |(encoder, at)| {
            let texts: Vec<&str> = at
                .iter()
                .filter_map(|index| questions.get(*index))
                .map(|it| &*it.text)
                .collect();
            (
                encoder
                    .vectors(&texts, deadline)
                    .await
                    .map_err(Failure::from),
                at,
            )
        }));
        let judged = join_all(questions.iter().map(async |question| match &question.what {
            What::Labels(by, _) => Some(judged(by, &question.text, deadline).await),
            _ => None,
        }));
        let (encoded, mut outcomes) = self
            .executor
            .run(async { futures_util::future::join(encoded, judged).await })
            .await;
        for (vectors, at) in encoded {
            for (row, index) in at.into_iter().enumerate() {
                let vector = vectors.clone().and_then(|vectors| {
                    let vector = vectors
                        .get(row)
                        .cloned()
                        .ok_or(Failure::Failed("a vector is missing".into()))?;
                    Ok(Reply {
                        answer: Answer::Vector(vector),
                        truncated: false,
                    })
                });
                if let Some(outcome) = outcomes.get_mut(index) {
                    *outcome = Some(vector);
                }
            }
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or(Err(Failure::Unready)))
            .collect()
    }
}

async fn judged(by: &Classifier, text: &str, deadline: Instant) -> Outcome {
    let judge = backing::<Judge>(by.backing.as_ref())?;
    if text.trim().is_empty() {
        return Ok(Reply {
            answer: Answer::Labels(Vec::new()),
            truncated: false,
        });
    }
    let shown = text
        .get(..text.floor_char_boundary(TEXT_MAX))
        .unwrap_or(text);
    let row = judge.row(shown, deadline).await?;
    Ok(Reply {
        answer: Answer::Labels(vec![row]),
        truncated: shown.len() < text.len(),
    })
}

/// The encoders that are asked, each with the places of its questions.
fn encoders(questions: &[Question]) -> Vec<(Arc<Encoder>, Vec<usize>)> {
    let mut groups: Vec<(Arc<Encoder>, Vec<usize>)> = Vec::new();
    for (index, question) in questions.iter().enumerate() {
        let What::Vector(by) = &question.what else {
            continue;
        };
        let Ok(encoder) = backing::<Encoder>(by.backing.as_ref()) else {
            continue;
        };
        match groups
            .iter_mut()
            .find(|(known, _)| Arc::ptr_eq(known, &encoder))
        {
            Some((_, places)) => places.push(index),
            None => groups.push((encoder, vec![index])),
        }
    }
    groups
}

fn backing<T: Send + Sync + 'static>(backing: Option<&Backing>) -> Result<Arc<T>, Failure> {
    let backing = backing.cloned().ok_or(Failure::Unready)?;
    backing
        .downcast()
        .map_err(|_| Failure::Failed("the handle is of another engine".into()))
}

fn unusable(name: &str, problem: &dyn std::fmt::Display) -> LoadError {
    LoadError::Unusable {
        name: name.to_owned(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests;
