//! The token head: names, places, organisations and addresses from token states.

use crate::ask::Entity;
use crate::catalog::LoadError;
use ndarray::ArrayView2;
use std::sync::Arc;

/// A small classifier over the words of a window.
#[derive(Debug, Clone)]
pub struct TokenHead {
    card: Card,
}

/// What a head was trained for and on.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Name of the head.
    pub name: String,
    /// Name of the encoder it was trained on.
    pub encoder: String,
    /// Length of a token's state.
    pub dimension: usize,
    /// The confidence that balances precision and recall.
    pub threshold: Option<f32>,
    /// SHA-256 of its weights in hexadecimal.
    pub digest: String,
}

impl TokenHead {
    /// The head in a safetensors file and its card.
    ///
    /// # Errors
    /// They are damaged or do not fit each other.
    pub fn read(_weights: &[u8], _card: &[u8]) -> Result<Self, LoadError> {
        Ok(Self { card: Card::default() })
    }

    /// Entities of one encoder window, in order of their start. `offsets` are the places of its tokens in bytes of `text`, `states`
    /// has a row for each; special tokens are in neither.
    #[must_use]
    pub fn tag(&self, _text: &str, _offsets: &[(usize, usize)], _states: ArrayView2<'_, f32>) -> Vec<Entity> {
        Vec::new()
    }

    /// Types that it can find.
    #[must_use]
    pub fn kinds(&self) -> Arc<[Arc<str>]> {
        Arc::default()
    }

    /// What it was trained for and on.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }
}

/// The head that comes with the product.
#[must_use]
pub fn shipped() -> Option<TokenHead> {
    None
}
