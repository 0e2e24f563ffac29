//! Token heads: entities from token states.

use crate::ask::Entity;
use ndarray::ArrayView2;
use std::sync::Arc;

/// A small classifier over token states.
#[derive(Debug, Clone)]
pub struct TokenHead;

impl TokenHead {
    /// Entities of `text`; `offsets` are the tokens' places in bytes, `states` has a row for each.
    #[must_use]
    pub fn tag(&self, _text: &str, _offsets: &[(usize, usize)], _states: ArrayView2<f32>) -> Vec<Entity> {
        Vec::new()
    }

    /// Types it can find.
    #[must_use]
    pub fn kinds(&self) -> Arc<[Arc<str>]> {
        Arc::default()
    }
}
