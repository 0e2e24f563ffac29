//! Vectors of texts, and how similar they are.

use super::{CANDIDATES_MAX, TEXTS_MAX, loaded, milliseconds, question, several, spoken};
use crate::admin::Refusal;
use crate::engine::Generation;
use inference::ask::{Answer, Reply, What};
use inference::handle::Embedder;
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::time::Instant;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Embeddings {
    texts: Vec<String>,
    images: Vec<Value>,
    #[serde(flatten)]
    by: By,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Similarity {
    text1: String,
    text2: String,
    #[serde(flatten)]
    by: By,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Similarities {
    query: String,
    candidates: Vec<String>,
    top_k: i64,
    #[serde(flatten)]
    by: By,
}

/// Which encoder, and how much of its vectors.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct By {
    model: Option<String>,
    dimension: Option<usize>,
    target_layer: Option<u32>,
}

impl Generation {
    pub(super) fn embeddings(&self, request: &Embeddings) -> Result<Value, Refusal> {
        let began = Instant::now();
        if !request.images.is_empty() {
            return Err(Refusal::invalid_input(
                "images cannot be embedded: the encoder reads text only",
            ));
        }
        let texts = several("texts", &request.texts, TEXTS_MAX)?;
        let (embedder, dimension) = self.encoder(&request.by)?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = self.vectors(embedder, &texts, dimension)?;
        let shown = texts.iter().zip(&vectors).map(|(text, vector)| {
            let length = vector.len();
            json!({"text": text, "modality": "text", "embedding": vector, "dimension": length, "model_used": &*embedder.name})
        });
        let shown: Vec<Value> = shown.collect();
        let (total, count) = (milliseconds(began), shown.len());
        Ok(json!({
            "embeddings": shown,
            "total_count": count,
            "total_processing_time_ms": total,
            "avg_processing_time_ms": total / count.max(1) as f64,
        }))
    }

    pub(super) fn similarity(&self, request: &Similarity) -> Result<Value, Refusal> {
        let pair = [
            spoken("text1", &request.text1)?,
            spoken("text2", &request.text2)?,
        ];
        let (embedder, dimension) = self.encoder(&request.by)?;
        let vectors = self.vectors(embedder, &pair, dimension)?;
        let similarity = vectors
            .first()
            .zip(vectors.get(1))
            .map_or(0.0, |(one, other)| dot(one, other));
        Ok(json!({"similarity": similarity, "model_used": &*embedder.name}))
    }

    pub(super) fn similarities(&self, request: &Similarities) -> Result<Value, Refusal> {
        let query = spoken("query", &request.query)?;
        let candidates = several("candidates", &request.candidates, CANDIDATES_MAX)?;
        let top = usize::try_from(request.top_k)
            .map_err(|_| Refusal::invalid_input("top_k cannot be negative; 0 returns all"))?;
        let (embedder, dimension) = self.encoder(&request.by)?;
        let texts: Vec<&str> = std::iter::once(query)
            .chain(candidates.iter().map(String::as_str))
            .collect();
        let vectors = self.vectors(embedder, &texts, dimension)?;
        let Some((query, others)) = vectors.split_first() else {
            return Err(Refusal::internal("no answer"));
        };
        let mut matches: Vec<(usize, f32)> = others
            .iter()
            .map(|other| dot(query, other))
            .enumerate()
            .collect();
        matches.sort_by(|one, other| other.1.partial_cmp(&one.1).unwrap_or(Ordering::Equal));
        matches.truncate(if top == 0 { usize::MAX } else { top });
        let shown = matches.into_iter().map(
            |(index, similarity)| json!({"index": index, "similarity": similarity, "text": candidates.get(index)}),
        );
        Ok(json!({
            "matches": shown.collect::<Vec<_>>(),
            "total_candidates": candidates.len(),
            "model_used": &*embedder.name,
        }))
    }

    /// The encoder, and how many of its dimensions are wanted.
    fn encoder(&self, by: &By) -> Result<(&Embedder, usize), Refusal> {
        let embedder = loaded(self.classifiers.embedder.as_ref(), "encoder")?;
        let model = by.model.as_deref().unwrap_or_default().trim();
        if !matches!(model, "" | "auto") && model != &*embedder.name {
            let message = format!(
                "unknown model {model:?}; the encoder is {:?}, also \"auto\"",
                &*embedder.name
            );
            return Err(Refusal::invalid_input(message));
        }
        if by.target_layer.unwrap_or(0) != 0 {
            return Err(Refusal::invalid_input(
                "target_layer is not available: vectors come from the last layer",
            ));
        }
        match by.dimension.unwrap_or(0) {
            0 => Ok((embedder, embedder.dimension)),
            wanted if wanted <= embedder.dimension => Ok((embedder, wanted)),
            wanted => {
                let message = format!(
                    "dimension {wanted} is more than the encoder's {}",
                    embedder.dimension
                );
                Err(Refusal::invalid_input(message))
            }
        }
    }

    fn vectors(
        &self,
        by: &Embedder,
        texts: &[&str],
        dimension: usize,
    ) -> Result<Vec<Vec<f32>>, Refusal> {
        let questions: Vec<_> = texts
            .iter()
            .map(|text| question(text, What::Vector(by.clone())))
            .collect();
        let replies = self.ask("encoder", &questions)?;
        Ok(replies
            .iter()
            .map(|reply| shortened(reply, dimension))
            .collect())
    }
}

/// The first dimensions, at unit length again: cosines of shortened vectors are dot products, too.
fn shortened(reply: &Reply, dimension: usize) -> Vec<f32> {
    let Answer::Vector(vector) = &reply.answer else {
        return Vec::new();
    };
    let mut first: Vec<f32> = vector.iter().copied().take(dimension).collect();
    let length = dot(&first, &first).sqrt();
    if first.len() < vector.len() && length > 0.0 {
        first.iter_mut().for_each(|number| *number /= length);
    }
    first
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter()
        .zip(other)
        .map(|(left, right)| left * right)
        .sum()
}
