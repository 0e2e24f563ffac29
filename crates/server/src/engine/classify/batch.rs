//! One task over many texts.

use super::findings::{PiiOptions, Risk, counted};
use super::{
    TEXTS_MAX, loaded, milliseconds, or_default, probabilities, question, rows, sampled, several,
};
use crate::admin::Refusal;
use crate::engine::Generation;
use inference::ask::{Over, Reply, What};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// Results below this count as low.
const LOW: f32 = 0.7;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Batch {
    texts: Vec<String>,
    task_type: String,
    #[serde(deserialize_with = "or_default")]
    options: Options,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    return_probabilities: bool,
    confidence_threshold: Option<f32>,
}

/// What one task says of one text.
struct Found {
    category: String,
    confidence: f32,
    probabilities: Option<BTreeMap<String, f32>>,
    truncated: bool,
}

impl Generation {
    pub(super) fn batch(&self, request: &Batch) -> Result<Value, Refusal> {
        let began = Instant::now();
        let texts = several("texts", &request.texts, TEXTS_MAX)?;
        let mut results = match request.task_type.as_str() {
            "" | "intent" => self.intents(texts, &request.options)?,
            "pii" => self.entities(texts, &request.options)?,
            "security" => self.risks(texts, &request.options)?,
            "all" => {
                let (pii, security) = (
                    self.entities(texts, &request.options)?,
                    self.risks(texts, &request.options)?,
                );
                let mut results = self.intents(texts, &request.options)?;
                for ((result, pii), security) in results.iter_mut().zip(pii).zip(security) {
                    result["pii"] = pii;
                    result["security"] = security;
                }
                results
            }
            other => {
                let message =
                    format!("unknown task_type {other:?}; known are intent, pii, security and all");
                return Err(Refusal::invalid_input(message));
            }
        };
        // The texts are read together: each has its share of the time.
        let share = milliseconds(began) / results.len().max(1) as f64;
        results
            .iter_mut()
            .for_each(|result| result["processing_time_ms"] = share.into());
        let statistics = statistics(
            &results,
            request.options.confidence_threshold.unwrap_or(LOW),
        );
        Ok(json!({"total_count": results.len(), "statistics": statistics, "results": results}))
    }

    fn intents(&self, texts: &[String], options: &Options) -> Result<Vec<Value>, Refusal> {
        let domain = loaded(self.classifiers.domain.as_ref(), "domain")?;
        let found = |reply: &Reply| {
            let row = rows(reply).first().map_or(&[][..], |row| row);
            let (category, confidence) = domain.category(row);
            let probabilities = options
                .return_probabilities
                .then(|| probabilities(&domain.model.labels, row));
            Found {
                category,
                confidence,
                probabilities,
                truncated: reply.truncated,
            }
        };
        self.each("domain", texts, &sampled(&domain.model), found)
    }

    fn entities(&self, texts: &[String], options: &Options) -> Result<Vec<Value>, Refusal> {
        let pii = loaded(self.classifiers.pii.as_ref(), "pii")?;
        let threshold = options.confidence_threshold.unwrap_or(pii.threshold);
        let found = |reply: &Reply| {
            let entities = counted(reply, &PiiOptions::default(), threshold);
            let surest = entities
                .iter()
                .max_by(|one, other| one.confidence.total_cmp(&other.confidence));
            let (category, confidence) = surest.map_or(("no_pii".to_owned(), 1.0), |entity| {
                (entity.kind.to_string(), entity.confidence)
            });
            Found {
                category,
                confidence,
                probabilities: None,
                truncated: reply.truncated,
            }
        };
        self.each("pii", texts, &What::Entities(pii.model.clone()), found)
    }

    fn risks(&self, texts: &[String], options: &Options) -> Result<Vec<Value>, Refusal> {
        let guard = loaded(self.classifiers.jailbreak.as_ref(), "jailbreak")?;
        let found = |reply: &Reply| {
            let verdict = Risk::of(guard, reply);
            let category = if verdict.is_attack {
                "jailbreak"
            } else {
                "benign"
            }
            .to_owned();
            let both = || {
                BTreeMap::from([
                    ("jailbreak".to_owned(), verdict.risk),
                    ("benign".to_owned(), 1.0 - verdict.risk),
                ])
            };
            let probabilities = options.return_probabilities.then(both);
            Found {
                category,
                confidence: verdict.confidence(),
                probabilities,
                truncated: reply.truncated,
            }
        };
        self.each(
            "jailbreak",
            texts,
            &What::Labels(guard.model.clone(), Over::EachWindow),
            found,
        )
    }

    /// One question about each text, all asked together.
    fn each(
        &self,
        classifier: &str,
        texts: &[String],
        what: &What,
        found: impl Fn(&Reply) -> Found,
    ) -> Result<Vec<Value>, Refusal> {
        let questions: Vec<_> = texts
            .iter()
            .map(|text| question(text, what.clone()))
            .collect();
        let replies = self.ask(classifier, &questions)?;
        Ok(replies.iter().map(|reply| found(reply).shown()).collect())
    }
}

impl Found {
    fn shown(self) -> Value {
        let mut shown = json!({"category": self.category, "confidence": self.confidence});
        if let Some(probabilities) = self.probabilities {
            shown["probabilities"] = json!(probabilities);
        }
        if self.truncated {
            shown["truncated"] = true.into();
        }
        shown
    }
}

fn statistics(results: &[Value], low: f32) -> Value {
    let mut distribution: BTreeMap<&str, usize> = BTreeMap::new();
    for result in results {
        *distribution
            .entry(result["category"].as_str().unwrap_or_default())
            .or_default() += 1;
    }
    let confidences: Vec<f64> = results
        .iter()
        .filter_map(|result| result["confidence"].as_f64())
        .collect();
    let average = confidences.iter().sum::<f64>() / confidences.len().max(1) as f64;
    let low = confidences
        .iter()
        .filter(|confidence| **confidence < f64::from(low))
        .count();
    json!({"category_distribution": distribution, "avg_confidence": average, "low_confidence_count": low})
}
