//! Vectors from an OpenAI-compatible API.

use super::client::{Client, Problem};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// Texts of one call.
const BATCH: usize = 64;
/// What is asked to learn how long vectors are.
const PROBE: &str = "dimension";

/// An encoder of another machine.
pub(super) struct Encoder {
    pub(super) client: Client,
    /// Dimensions that it is asked for; 0 leaves it to the model.
    pub(super) asked: usize,
    /// Dimensions that its vectors have; 0 while nobody knows.
    pub(super) dimension: usize,
}

#[derive(Deserialize)]
struct Embeddings {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    #[serde(default)]
    index: usize,
    /// Double precision, so that how the parser treats what is too large for single is not left to
    /// how it was built.
    embedding: Vec<f64>,
}

impl Encoder {
    /// How long its vectors are.
    pub(super) async fn probe(&self, deadline: Instant) -> Result<usize, Problem> {
        let vectors = self.batch(&[PROBE], deadline).await?;
        Ok(vectors.first().map_or(0, |vector| vector.len()))
    }

    /// Vectors of unit length in the order of the texts; equal texts are asked once, blank ones are
    /// zeros.
    pub(super) async fn vectors(
        &self,
        texts: &[&str],
        deadline: Instant,
    ) -> Result<Vec<Arc<[f32]>>, Problem> {
        let mut distinct: Vec<&str> = texts
            .iter()
            .copied()
            .filter(|text| !text.trim().is_empty())
            .collect();
        distinct.sort_unstable();
        distinct.dedup();
        let batches = try_join_all(
            distinct
                .chunks(BATCH)
                .map(|batch| self.batch(batch, deadline)),
        )
        .await?;
        let vectors: Vec<Arc<[f32]>> = batches.into_iter().flatten().collect();
        let blank: Arc<[f32]> = vec![0.0; self.dimension].into();
        let of = |text: &&str| match distinct.binary_search(text) {
            Ok(index) => vectors.get(index).unwrap_or(&blank).clone(),
            Err(_) => blank.clone(),
        };
        Ok(texts.iter().map(of).collect())
    }

    async fn batch(&self, texts: &[&str], deadline: Instant) -> Result<Vec<Arc<[f32]>>, Problem> {
        let mut body =
            json!({"model": self.client.model, "input": texts, "encoding_format": "float"});
        if self.asked > 0 {
            body["dimensions"] = self.asked.into();
        }
        let mut answer: Embeddings = self.client.post("/embeddings", &body, deadline).await?;
        if answer.data.len() != texts.len() {
            return Err(Problem::Count {
                asked: texts.len(),
                found: answer.data.len(),
            });
        }
        // Servers that leave the index out keep the order, and so does a stable sort.
        answer.data.sort_by_key(|embedding| embedding.index);
        answer
            .data
            .into_iter()
            .map(|embedding| self.unit(&embedding.embedding))
            .collect()
    }

    /// The vector at unit length, if it is one.
    fn unit(&self, vector: &[f64]) -> Result<Arc<[f32]>, Problem> {
        if vector.is_empty() || (self.dimension > 0 && vector.len() != self.dimension) {
            return Err(Problem::Dimension {
                wanted: self.dimension,
                found: vector.len(),
            });
        }
        let vector: Vec<f64> = vector
            .iter()
            .map(|number| f64::from(*number as f32))
            .collect();
        let length = vector
            .iter()
            .map(|number| number.powi(2))
            .sum::<f64>()
            .sqrt();
        if !length.is_finite() || length == 0.0 {
            return Err(Problem::NotFinite);
        }
        Ok(vector
            .iter()
            .map(|number| (number / length) as f32)
            .collect())
    }
}
