//! Handles of loaded models: what the router holds and puts into questions.
//!
//! A handle is cheap to clone and says what its model can answer. What stands behind it is the
//! engine's business.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What an answer costs: the cheapest are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cost {
    /// Rules over the text, no model.
    Rules,
    /// A pass of the shared encoder over the sampled windows.
    Encoder,
    /// A pass of a model of its own.
    Model,
    /// A call over the network.
    Remote,
}

/// What stands behind a handle; only the engine looks inside.
pub type Backing = Arc<dyn Any + Send + Sync>;

/// Turns texts into vectors.
#[derive(Clone)]
pub struct Embedder {
    /// Name on its card.
    pub name: Arc<str>,
    /// Length of its vectors.
    pub dimension: usize,
    /// What a vector costs.
    pub cost: Cost,
    /// From its cosine to the scale that documents' thresholds are written for.
    pub scale: CosineMap,
    /// Identity of weights and tokenizer.
    pub digest: Arc<str>,
    /// The model; `None` where it is not installed.
    pub backing: Option<Backing>,
}

/// Gives probabilities of labels.
#[derive(Clone)]
pub struct Classifier {
    /// Name on its card, or of its folder.
    pub name: Arc<str>,
    /// Labels in class order.
    pub labels: Arc<[Arc<str>]>,
    /// The threshold its card recommends.
    pub threshold: Option<f32>,
    /// What an answer costs.
    pub cost: Cost,
    /// The model; `None` where it is not installed.
    pub backing: Option<Backing>,
}

/// Finds entities.
#[derive(Clone)]
pub struct Tagger {
    /// Name on its card, or of its folder.
    pub name: Arc<str>,
    /// Entity types it can find.
    pub kinds: Arc<[Arc<str>]>,
    /// What an answer costs.
    pub cost: Cost,
    /// The model; `None` where it is not installed.
    pub backing: Option<Backing>,
}

impl fmt::Debug for Embedder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Embedder({})", self.name)
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Classifier({})", self.name)
    }
}

impl fmt::Debug for Tagger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Tagger({})", self.name)
    }
}

/// A monotone map of cosines, linear between its points. Encoders spread their similarities
/// differently, and a threshold was written for one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct CosineMap {
    points: Arc<[(f32, f32)]>,
    other: Option<OtherPart>,
}

/// The second part of vectors by an encoder for each language.
#[derive(Debug, Clone, PartialEq)]
struct OtherPart {
    /// Where it begins.
    at: usize,
    scale: Arc<CosineMap>,
}

impl CosineMap {
    /// A map through `points`, which must rise in both members.
    #[must_use]
    pub fn new(points: &[(f32, f32)]) -> Option<Self> {
        let rises = points
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        (points.len() >= 2 && rises).then(|| Self {
            points: points.into(),
            other: None,
        })
    }

    /// The scale of vectors in two parts: after `width` numbers of one encoder come those of another
    /// one with its own scale.
    #[must_use]
    pub fn beside(self, width: usize, other: Self) -> Self {
        Self {
            other: Some(OtherPart {
                at: width,
                scale: Arc::new(other),
            }),
            ..self
        }
    }

    /// The scaled cosine of two vectors of unit length. Of vectors in two parts those parts are
    /// compared that both have: examples have both, a question's text has one.
    #[must_use]
    pub fn similarity(&self, left: &[f32], right: &[f32]) -> f32 {
        let Some(other) = &self.other else {
            return self.apply(dot(left, right));
        };
        let parts = left.split_at_checked(other.at);
        let Some(((own, rest), (others_own, others_rest))) =
            parts.zip(right.split_at_checked(other.at))
        else {
            return self.apply(dot(left, right));
        };
        let is_there = |part: &[f32]| part.iter().any(|number| *number != 0.0);
        if !(is_there(own) && is_there(others_own)) && is_there(rest) && is_there(others_rest) {
            return other.scale.similarity(rest, others_rest);
        }
        self.apply(dot(own, others_own))
    }

    /// The scaled cosine; beyond the outer points it keeps their value.
    #[must_use]
    pub fn apply(&self, cosine: f32) -> f32 {
        let above = self.points.partition_point(|(raw, _)| *raw <= cosine);
        let (Some(&(left, from)), Some(&(right, to))) = (
            above
                .checked_sub(1)
                .and_then(|below| self.points.get(below)),
            self.points.get(above),
        ) else {
            let outer = if above == 0 {
                self.points.first()
            } else {
                self.points.last()
            };
            return outer.map_or(cosine, |(_, scaled)| *scaled);
        };
        from + (to - from) * (cosine - left) / (right - left)
    }
}

impl Default for CosineMap {
    /// Changes nothing, not even the last bit: without points every cosine keeps its value.
    fn default() -> Self {
        Self {
            points: Arc::default(),
            other: None,
        }
    }
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    let pairs = left.iter().zip(right);
    pairs.fold(0.0, |sum, (left, right)| sum + left * right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cosine: f32, expected: f32) {
        let map = CosineMap::new(&[(0.0, 0.5), (0.5, 0.7), (1.0, 1.0)]).unwrap();
        assert!(
            (map.apply(cosine) - expected).abs() < 1e-6,
            "{cosine}: {}",
            map.apply(cosine)
        );
    }

    #[test]
    fn maps_between_points_and_holds_beyond() {
        check(-0.3, 0.5);
        check(0.0, 0.5);
        check(0.25, 0.6);
        check(0.75, 0.85);
        check(1.0, 1.0);
        assert_eq!(
            CosineMap::default().apply(0.37).to_bits(),
            0.37_f32.to_bits()
        );
    }

    #[track_caller]
    fn check_parts(left: &[f32], right: &[f32], expected: f32) {
        let other = CosineMap::new(&[(0.0, 0.0), (1.0, 0.5)]).unwrap();
        let scale = CosineMap::default().beside(2, other);
        assert!((scale.similarity(left, right) - expected).abs() < 1e-6);
        assert!((scale.similarity(right, left) - expected).abs() < 1e-6);
    }

    #[test]
    fn compares_the_part_that_both_have() {
        let example = [1.0, 0.0, 0.6, 0.8];
        check_parts(&[0.8, 0.6, 0.0, 0.0], &example, 0.8);
        check_parts(&[0.0, 0.0, 0.8, 0.6], &example, 0.48);
        check_parts(&[0.8, 0.6, 1.0, 0.0], &example, 0.8);
        check_parts(&[0.8, 0.6, 0.0, 0.0], &[0.0, 0.0, 1.0, 0.0], 0.0);
        check_parts(&[0.0; 4], &example, 0.0);
    }

    #[test]
    fn refuses_what_falls() {
        assert_eq!(CosineMap::new(&[(0.0, 0.5), (0.0, 0.6)]), None);
        assert_eq!(CosineMap::new(&[(0.0, 0.5), (1.0, 0.4)]), None);
        assert_eq!(CosineMap::new(&[(0.0, 0.5)]), None);
    }
}
