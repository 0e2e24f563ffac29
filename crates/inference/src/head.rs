//! Sequence heads: probabilities from a window's vector.

use std::sync::Arc;

/// A small classifier over a pooled vector and static embeddings.
#[derive(Debug, Clone)]
pub struct SequenceHead {
    /// What it was trained for and on.
    pub card: HeadCard,
}

/// A head's card.
#[derive(Debug, Clone, Default)]
pub struct HeadCard {
    /// Name of the task.
    pub name: String,
    /// The encoder it was trained on.
    pub encoder: String,
    /// Length of the encoder's vectors.
    pub dimension: usize,
    /// The threshold it recommends.
    pub threshold: Option<f32>,
    /// Identity of its weights.
    pub digest: String,
}

impl SequenceHead {
    /// Probabilities in class order.
    #[must_use]
    pub fn probabilities(&self, _pooled: &[f32], _statics: &[f32]) -> Vec<f32> {
        Vec::new()
    }

    /// Labels in class order.
    #[must_use]
    pub fn labels(&self) -> Arc<[Arc<str>]> {
        Arc::default()
    }
}
