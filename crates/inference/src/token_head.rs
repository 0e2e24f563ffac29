//! The token head: names, places, organisations and street addresses from token states.
//!
//! ```text
//! tokens → words → state of the word and its neighbours (projected) + surface and lexicon marks → label of each word → spans
//! ```
//!
//! The encoder does not see case, so the surface of the words is read beside its states. A word is
//! decided by its first token.

pub mod decode;
pub mod lexicon;
pub mod network;
pub mod sheet;

use crate::ask::Entity;
use crate::card::digest;
use crate::catalog::LoadError;
use decode::Span;
use lexicon::Lexicon;
use ndarray::ArrayView2;
use network::Network;
use serde::{Deserialize, Serialize};
use sheet::Sheet;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A small classifier over the words of a window. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TokenHead {
    card: Arc<Card>,
    network: Arc<Network>,
    lexicon: Arc<Lexicon>,
}

/// Types of the classes, two each (begin, inside) behind the class of no entity.
pub const KINDS: [&str; 4] = ["PERSON", "GPE", "ORGANIZATION", "STREET_ADDRESS"];

/// Spans that are less sure than this are not told.
const FLOOR: f32 = 0.5;

/// What a head was trained for and on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Card {
    /// Name of the head.
    pub name: String,
    /// Name of the encoder it was trained on.
    pub encoder: String,
    /// Length of a token's state.
    pub dimension: usize,
    /// Types in class order.
    pub kinds: Vec<String>,
    /// Confidence that balances precision and recall: the thresholds of documents are written for
    /// it.
    pub threshold: f32,
    /// By type the mean probability of a span that counts as `threshold`.
    pub turning_points: BTreeMap<String, f32>,
    /// SHA-256 of the weights in hexadecimal.
    pub digest: String,
    /// Texts it was trained on, with their licences.
    pub data: Vec<String>,
    /// Figures by type, rules included, on hand-marked texts that were kept apart; fresh from
    /// training those on the texts that chose the turning points.
    pub figures: BTreeMap<String, Figures>,
}

/// Figures of one type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Spans that are there.
    pub gold: usize,
    /// Spans that were found at the threshold.
    pub found: usize,
    /// F1 where both ends must agree.
    pub exact_f1: f32,
    /// F1 where half of the longer span must overlap.
    pub overlap_f1: f32,
    /// Precision by overlap.
    pub precision: f32,
    /// Recall by overlap.
    pub recall: f32,
}

impl TokenHead {
    /// The head in a safetensors file and its card.
    ///
    /// # Errors
    /// They are damaged or do not fit each other.
    pub fn read(weights: &[u8], card: &[u8]) -> Result<Self, LoadError> {
        let unusable = |problem: String| LoadError::Unusable {
            name: "pii".into(),
            problem,
        };
        let card: Card =
            serde_json::from_slice(card).map_err(|error| unusable(format!("card: {error}")))?;
        let found = digest(weights);
        if found != card.digest {
            return Err(unusable(format!(
                "the weights have digest {found}, the card says {}",
                card.digest
            )));
        }
        if card.kinds != KINDS {
            return Err(unusable(format!(
                "the card has the types {:?}, this version knows {KINDS:?}",
                card.kinds
            )));
        }
        let points = KINDS.iter().all(|kind| {
            card.turning_points
                .get(*kind)
                .is_some_and(|at| *at > 0.0 && *at < 1.0)
        });
        if !(points && card.threshold > 0.0 && card.threshold < 1.0) {
            return Err(unusable(
                "the card needs a threshold, and a turning point between 0 and 1 for each type"
                    .into(),
            ));
        }
        let (network, lexicon) =
            network::read(weights, card.dimension).map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            card: Arc::new(card),
            network: Arc::new(network),
            lexicon: Arc::new(lexicon),
        })
    }

    /// Entities of one encoder window, in order of their start. `offsets` are the places of its
    /// tokens in bytes of `text`, `states` has a row for each; special tokens are in neither.
    /// Starts and ends of the entities count scalars of `text`.
    #[must_use]
    pub fn tag(
        &self,
        text: &str,
        offsets: &[(usize, usize)],
        states: ArrayView2<'_, f32>,
    ) -> Vec<Entity> {
        if states.ncols() != self.card.dimension || states.nrows() < offsets.len() {
            return Vec::new();
        }
        let sheet = Sheet::new(text, offsets, &self.lexicon);
        let probabilities = self.network.probabilities(&sheet, states);
        let scalars = crate::spans::Scalars::new(text);
        let entity = |span: Span| {
            let confidence = self.confidence(span.kind, span.probability);
            let (start, end) = (scalars.at(span.start), scalars.at(span.end));
            (confidence >= FLOOR).then(|| Entity {
                kind: Arc::clone(&kinds()[span.kind]),
                confidence,
                start,
                end,
            })
        };
        decode::spans(text, &sheet.words, probabilities.view())
            .into_iter()
            .filter_map(entity)
            .collect()
    }

    /// Types that it can find.
    #[must_use]
    pub fn kinds(&self) -> Arc<[Arc<str>]> {
        Arc::from(kinds().to_vec())
    }

    /// What it was trained for and on.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Linear from nothing to the threshold at the type's turning point, and on to certainty.
    fn confidence(&self, kind: usize, probability: f32) -> f32 {
        let turn = KINDS
            .get(kind)
            .and_then(|kind| self.card.turning_points.get(*kind))
            .copied()
            .unwrap_or(0.5);
        let threshold = self.card.threshold;
        if probability < turn {
            threshold * probability / turn
        } else {
            (threshold + (1.0 - threshold) * (probability - turn) / (1.0 - turn)).min(1.0)
        }
    }
}

fn kinds() -> &'static [Arc<str>; 4] {
    static NAMES: OnceLock<[Arc<str>; 4]> = OnceLock::new();
    NAMES.get_or_init(|| KINDS.map(Arc::from))
}

/// The head that comes with the product.
#[must_use]
pub fn shipped() -> Option<TokenHead> {
    TokenHead::read(
        include_bytes!("../heads/pii/head.safetensors"),
        include_bytes!("../heads/pii/card.json"),
    )
    .ok()
}

/// Weights and card of the head on the encoder of other languages than English.
const OTHER_LANGUAGES: (&[u8], &[u8]) = (
    include_bytes!("../heads/pii/multilingual-e5-small/head.safetensors"),
    include_bytes!("../heads/pii/multilingual-e5-small/card.json"),
);

/// The head on the encoder of other languages than English.
#[must_use]
pub fn multilingual() -> Option<TokenHead> {
    let (weights, card) = OTHER_LANGUAGES;
    TokenHead::read(weights, card).ok()
}

#[cfg(test)]
mod tests;
