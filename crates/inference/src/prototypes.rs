//! Prototype banks: example texts, clustered, and how near a query is to them.
//!
//! Embedding, complexity, preference and knowledge-base signals all score this way. Similar
//! examples become one prototype, so that ten phrasings of one request do not outweigh a single one
//! of another.

use crate::handle::CosineMap;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

/// Examples as prototypes.
#[derive(Debug, Clone, Default)]
pub struct Bank {
    prototypes: Vec<Prototype>,
}

/// The most central example of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Prototype {
    /// Its text.
    pub text: Arc<str>,
    /// Its vector.
    pub vector: Arc<[f32]>,
    /// Examples in its cluster.
    pub size: usize,
    /// Mean similarity to the cluster, itself included.
    pub average: f64,
}

/// An example text.
#[derive(Debug, Clone)]
pub struct Example {
    /// Of examples with the same key the first counts; an empty key stands for the text.
    pub key: String,
    /// The text.
    pub text: Arc<str>,
    /// Its vector; an example whose vector is empty is left out.
    pub vector: Arc<[f32]>,
}

/// How examples become prototypes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clustering {
    /// `false`: each example is a prototype, without bound.
    pub enabled: bool,
    /// Similarity to the seed that makes a member.
    pub threshold: f32,
    /// Prototypes kept, the largest clusters first.
    pub max_prototypes: usize,
}

/// How similarities become one score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighting {
    /// Share of the best similarity; the rest is that of the support. 0 to 1.
    pub best: f32,
    /// Similarities whose mean is the support; 0 means all.
    pub top_m: usize,
}

/// What a query is to a bank. Zeros for an empty bank.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// Best and support, weighted.
    pub score: f64,
    /// The highest similarity.
    pub best: f64,
    /// Mean of the highest few.
    pub support: f64,
    /// Prototypes in the bank.
    pub count: usize,
}

impl Clustering {
    /// Settings as documents write them: what is not above 0 means the default (0.9, and 8
    /// prototypes).
    #[must_use]
    pub fn new(enabled: bool, threshold: f32, max_prototypes: usize) -> Self {
        let threshold = if threshold > 0.0 { threshold } else { 0.9 };
        let max_prototypes = if max_prototypes > 0 {
            max_prototypes
        } else {
            8
        };
        Self {
            enabled,
            threshold,
            max_prototypes,
        }
    }
}

impl Default for Clustering {
    fn default() -> Self {
        Self::new(true, 0.0, 0)
    }
}

impl Weighting {
    /// The mean over all prototypes.
    pub const MEAN: Self = Self {
        best: 0.0,
        top_m: 0,
    };

    /// Settings as documents write them: what is not above 0 means the default (0.75, and 2), a
    /// weight above 1 means 1.
    #[must_use]
    pub fn new(best: f32, top_m: usize) -> Self {
        let best = if best > 0.0 { best.min(1.0) } else { 0.75 };
        Self {
            best,
            top_m: if top_m > 0 { top_m } else { 2 },
        }
    }
}

impl Default for Weighting {
    fn default() -> Self {
        Self::new(0.0, 0)
    }
}

impl Bank {
    /// Clusters `examples`, in their order. Similarities pass through `scale` before they are
    /// compared.
    #[must_use]
    pub fn build(
        examples: impl IntoIterator<Item = Example>,
        clustering: Clustering,
        scale: &CosineMap,
    ) -> Self {
        let mut seen = HashSet::new();
        let named = |example: &Example| {
            if example.key.is_empty() {
                example.text.to_string()
            } else {
                example.key.clone()
            }
        };
        let examples: Vec<Example> = examples
            .into_iter()
            .filter(|example| !example.vector.is_empty())
            .filter(|example| seen.insert(named(example)))
            .collect();
        if !clustering.enabled {
            let prototypes = examples
                .into_iter()
                .map(|example| Prototype::new(example, 1, 1.0));
            return Self {
                prototypes: prototypes.collect(),
            };
        }
        let matrix = Matrix::new(&examples, scale);
        let mut prototypes = Vec::new();
        let mut clusters = Clusters::new(&examples, &matrix, f64::from(clustering.threshold));
        while let Some(members) = clusters.take_largest() {
            if let Some((medoid, average)) = matrix.medoid(&members, &examples) {
                prototypes.push(Prototype::new(
                    examples[medoid].clone(),
                    members.len(),
                    average,
                ));
            }
        }
        prototypes.sort_by(Prototype::order);
        prototypes.truncate(clustering.max_prototypes);
        Self { prototypes }
    }

    /// Scores a query. A vector of no length has no similarity to anything.
    #[must_use]
    pub fn score(&self, query: &[f32], weighting: Weighting, scale: &CosineMap) -> Score {
        let mut similarities: Vec<f64> = self
            .prototypes
            .iter()
            .map(|prototype| similarity(query, &prototype.vector, scale))
            .collect();
        similarities.sort_by(|left, right| right.total_cmp(left));
        let Some(&best) = similarities.first() else {
            return Score::default();
        };
        let count = similarities.len();
        let m = if weighting.top_m == 0 {
            count
        } else {
            weighting.top_m.min(count)
        };
        let support = similarities.iter().take(m).sum::<f64>() / m as f64;
        let weight = f64::from(weighting.best).clamp(0.0, 1.0);
        Score {
            score: weight * best + (1.0 - weight) * support,
            best,
            support,
            count,
        }
    }

    /// The prototypes, largest cluster first.
    #[must_use]
    pub fn prototypes(&self) -> &[Prototype] {
        &self.prototypes
    }

    /// No example has a vector.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prototypes.is_empty()
    }
}

impl Prototype {
    fn new(example: Example, size: usize, average: f64) -> Self {
        Self {
            text: example.text,
            vector: example.vector,
            size,
            average,
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        let by_size = other.size.cmp(&self.size);
        by_size
            .then_with(|| other.average.total_cmp(&self.average))
            .then_with(|| self.text.cmp(&other.text))
    }
}

/// The dot product as `f32`, left to right over the shorter of the two, put on the documents'
/// scale. Vectors have unit length; nothing is normalised here. An empty one is similar to nothing:
/// 0, unscaled.
#[must_use]
pub fn similarity(left: &[f32], right: &[f32], scale: &CosineMap) -> f64 {
    if left.is_empty() || right.is_empty() {
        return 0.0;
    }
    f64::from(scale.similarity(left, right))
}

/// Similarities of all pairs; 1 on the diagonal.
struct Matrix {
    size: usize,
    cells: Vec<f64>,
}

impl Matrix {
    fn new(examples: &[Example], scale: &CosineMap) -> Self {
        let size = examples.len();
        let mut cells = vec![1.0; size * size];
        for (row, left) in examples.iter().enumerate() {
            for (column, right) in examples.iter().enumerate().skip(row + 1) {
                let value = similarity(&left.vector, &right.vector, scale);
                cells[row * size + column] = value;
                cells[column * size + row] = value;
            }
        }
        Self { size, cells }
    }

    fn get(&self, row: usize, column: usize) -> f64 {
        self.cells[row * self.size + column]
    }

    /// The member that is nearest to all on average, and that average; of equals the one whose text
    /// is smaller.
    fn medoid(&self, members: &[usize], examples: &[Example]) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for &member in members {
            let sum: f64 = members.iter().map(|&other| self.get(member, other)).sum();
            let mean = sum / members.len() as f64;
            let wins = best.is_none_or(|(held, highest)| match mean.total_cmp(&highest) {
                Ordering::Greater => true,
                Ordering::Equal => examples[member].text < examples[held].text,
                Ordering::Less => false,
            });
            if wins {
                best = Some((member, mean));
            }
        }
        best
    }
}

/// Greedy clustering. Neighbours are counted once and counted down as members leave, so it stays
/// quadratic.
struct Clusters<'a> {
    examples: &'a [Example],
    matrix: &'a Matrix,
    threshold: f64,
    remaining: Vec<bool>,
    /// Remaining examples that each seed would take, itself included.
    neighbours: Vec<usize>,
}

impl<'a> Clusters<'a> {
    fn new(examples: &'a [Example], matrix: &'a Matrix, threshold: f64) -> Self {
        let size = examples.len();
        let mut clusters = Self {
            examples,
            matrix,
            threshold,
            remaining: vec![true; size],
            neighbours: vec![0; size],
        };
        clusters.neighbours = (0..size)
            .map(|seed| {
                (0..size)
                    .filter(|&other| clusters.takes(seed, other))
                    .count()
            })
            .collect();
        clusters
    }

    fn takes(&self, seed: usize, other: usize) -> bool {
        seed == other || self.matrix.get(seed, other) >= self.threshold
    }

    /// The members of the largest cluster among what remains; of equals the one whose seed has the
    /// smaller text.
    fn take_largest(&mut self) -> Option<Vec<usize>> {
        let size = self.examples.len();
        let mut seed: Option<usize> = None;
        for candidate in (0..size).filter(|&index| self.remaining[index]) {
            let wins = seed.is_none_or(|held| {
                match self.neighbours[candidate].cmp(&self.neighbours[held]) {
                    Ordering::Greater => true,
                    Ordering::Equal => self.examples[candidate].text < self.examples[held].text,
                    Ordering::Less => false,
                }
            });
            if wins {
                seed = Some(candidate);
            }
        }
        let seed = seed?;
        let members: Vec<usize> = (0..size)
            .filter(|&other| self.remaining[other] && self.takes(seed, other))
            .collect();
        for &member in &members {
            self.remaining[member] = false;
        }
        for index in 0..size {
            let gone = members
                .iter()
                .filter(|&&member| self.takes(index, member))
                .count();
            self.neighbours[index] -= gone;
        }
        Some(members)
    }
}

#[cfg(test)]
mod tests;
