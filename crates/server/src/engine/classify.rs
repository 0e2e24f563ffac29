//! The classification API: questions to the classifiers of the served document, and answers in the
//! reference's field names.
//!
//! A classifier that is not loaded is a 503 with its name, never a made-up answer. `truncated:
//! true` is Merit's own: the text was longer than what is read of one.

mod batch;
mod findings;
mod intent;
mod vectors;

use super::{EVALUATION, Generation};
use crate::admin::{Classification, Refusal};
use futures_executor::block_on;
use inference::ask::{Answer, Ask, Failure, Outcome, Over, Question, Reply, What};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Texts of one call at most.
const TEXTS_MAX: usize = 100;
/// Candidates that a text is compared with at most.
const CANDIDATES_MAX: usize = 1_000;

impl Generation {
    /// Answers one call of the classification API. Blocks for as long as models take.
    ///
    /// # Errors
    /// In the shape of the admin API.
    pub fn classify(&self, what: Classification, body: &[u8]) -> Result<Value, Refusal> {
        let began = Instant::now();
        let mut answer = match what {
            Classification::Intent => self.intent(body),
            Classification::Pii => self.pii(&parse(body)?),
            Classification::Security => self.security(&parse(body)?),
            Classification::FactCheck => self.fact_check(&parse(body)?),
            Classification::UserFeedback => self.user_feedback(&parse(body)?),
            Classification::Combined => self.combined(&parse(body)?),
            Classification::Batch => self.batch(&parse(body)?),
            Classification::Embeddings => self.embeddings(&parse(body)?),
            Classification::Similarity => self.similarity(&parse(body)?),
            Classification::SimilarityBatch => self.similarities(&parse(body)?),
        }?;
        let took = milliseconds(began);
        if let Some(Value::Object(classification)) = answer.get_mut("classification") {
            classification.insert("processing_time_ms".to_owned(), took.into());
        }
        answer["processing_time_ms"] = took.into();
        Ok(answer)
    }

    fn combined(&self, request: &Combined) -> Result<Value, Refusal> {
        let text = &request.text;
        let intent = json!({"text": text, "options": request.intent_options}).to_string();
        Ok(json!({
            "intent": self.intent(intent.as_bytes())?,
            "pii": self.pii(&Asked { text: text.clone(), options: parse_value(&request.pii_options)? })?,
            "security": self.security(&Asked { text: text.clone(), options: parse_value(&request.security_options)? })?,
        }))
    }

    /// Asks all at once; the first failure is the caller's answer.
    fn ask(&self, classifier: &str, questions: &[Question]) -> Result<Vec<Reply>, Refusal> {
        let models: &dyn Ask = self.asker();
        let outcomes = block_on(models.ask(questions, Instant::now() + EVALUATION));
        outcomes
            .into_iter()
            .map(|outcome: Outcome| outcome.map_err(|failure| refusal(classifier, &failure)))
            .collect()
    }
}

/// A text and how to read it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "")]
struct Asked<O: DeserializeOwned + Default> {
    text: String,
    #[serde(deserialize_with = "or_default")]
    options: O,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Combined {
    text: String,
    intent_options: Value,
    pii_options: Value,
    security_options: Value,
}

/// Options that nothing reads.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nothing {}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid_input(format!("failed to parse JSON: {error}")))
}

fn parse_value<T: DeserializeOwned + Default>(value: &Value) -> Result<T, Refusal> {
    if value.is_null() {
        return Ok(T::default());
    }
    T::deserialize(value)
        .map_err(|error| Refusal::invalid_input(format!("failed to parse JSON: {error}")))
}

/// `null` is as good as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The text, which must say something.
fn spoken<'a>(field: &str, text: &'a str) -> Result<&'a str, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid_input(format!("{field} cannot be empty")));
    }
    Ok(text)
}

/// Some texts, not too many, none of them empty.
fn several<'a>(field: &str, texts: &'a [String], most: usize) -> Result<&'a [String], Refusal> {
    match texts.len() {
        0 => return Err(Refusal::invalid_input(format!("{field} cannot be empty"))),
        count if count > most => {
            return Err(Refusal::invalid_input(format!(
                "{field} has {count} entries; at most {most} are taken"
            )));
        }
        _ => {}
    }
    let blank = texts.iter().position(|text| text.trim().is_empty());
    blank.map_or(Ok(texts), |index| {
        Err(Refusal::invalid_input(format!(
            "{field}[{index}] cannot be empty"
        )))
    })
}

fn loaded<'a, T>(classifier: Option<&'a T>, name: &str) -> Result<&'a T, Refusal> {
    classifier.ok_or_else(|| Refusal::not_loaded(name))
}

fn refusal(classifier: &str, failure: &Failure) -> Refusal {
    match failure {
        Failure::Failed(problem) => {
            Refusal::internal(format!("classifier `{classifier}` failed: {problem}"))
        }
        other => Refusal::unavailable(classifier, other.reason()),
    }
}

fn question(text: &str, what: What) -> Question {
    Question::new(Arc::from(text), what).in_background()
}

/// Rows of probabilities.
fn rows(reply: &Reply) -> &[Arc<[f32]>] {
    match &reply.answer {
        Answer::Labels(rows) => rows,
        Answer::Vector(_) | Answer::Entities(_) => &[],
    }
}

/// The likeliest label.
fn best(row: &[f32]) -> (usize, f32) {
    let first = (0, row.first().copied().unwrap_or(0.0));
    row.iter().copied().enumerate().skip(1).fold(
        first,
        |best, next| if next.1 > best.1 { next } else { best },
    )
}

fn probabilities(labels: &[Arc<str>], row: &[f32]) -> BTreeMap<String, f32> {
    labels
        .iter()
        .map(ToString::to_string)
        .zip(row.iter().copied())
        .collect()
}

fn mark(mut answer: Value, reply: &Reply) -> Value {
    if reply.truncated {
        answer["truncated"] = true.into();
    }
    answer
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn sampled(model: &inference::handle::Classifier) -> What {
    What::Labels(model.clone(), Over::Sample)
}

#[cfg(test)]
mod tests;
