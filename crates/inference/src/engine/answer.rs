//! Answers of the windows that were read.

use super::unit::{Read, Unit};
use crate::ask::{Entity, Over};
use crate::model::{ClassifierModel, EmbedderPair, TaggerModel};
use crate::vector::{normalise, weighted_mean};
use crate::window::Window;
use crate::{recognizers, spans};
use std::sync::Arc;

/// A window that was read, at its place in a text.
pub(super) struct Row<'a> {
    pub(super) unit: &'a Unit,
    pub(super) read: &'a Read,
    pub(super) window: &'a Window,
}

impl Row<'_> {
    fn weight(&self) -> f32 {
        self.window.tokens() as f32
    }
}

/// The mean by tokens, unit length.
pub(super) fn vector(rows: &[Row<'_>], width: usize) -> Arc<[f32]> {
    let mut mean = weighted_mean(
        rows.iter()
            .map(|row| (&*row.read.known.pooled, row.weight())),
    );
    mean.resize(width, 0.0);
    normalise(&mut mean);
    mean.into()
}

/// The mean in its place among the two parts of a pair's vector: one is the encoder's that read the
/// text, the other zeros.
pub(super) fn vector_of_pair(rows: &[Row<'_>], pair: &EmbedderPair) -> Arc<[f32]> {
    let is_other = rows
        .first()
        .is_some_and(|row| pair.multilingual.is(row.unit.model()));
    let (before, width, after) = if is_other {
        (pair.model.width, pair.beside, 0)
    } else {
        (0, pair.model.width, pair.beside)
    };
    let zeros = |count: usize| std::iter::repeat_n(0.0, count);
    let mean = vector(rows, width);
    zeros(before)
        .chain(mean.iter().copied())
        .chain(zeros(after))
        .collect()
}

/// Probabilities of each window, or their mean by tokens.
pub(super) fn labels(by: &ClassifierModel, over: Over, rows: &[Row<'_>]) -> Vec<Arc<[f32]>> {
    let of = |row: &Row<'_>| {
        let (pooled, statics) = (&row.read.known.pooled, row.read.statics());
        by.probabilities(row.unit.model(), pooled, statics)
    };
    match (over, rows) {
        (_, []) => Vec::new(),
        (Over::EachWindow, rows) => rows.iter().map(|row| of(row).into()).collect(),
        (Over::Sample, rows) => {
            let each: Vec<_> = rows.iter().map(|row| (of(row), row.weight())).collect();
            vec![weighted_mean(each.iter().map(|(row, weight)| (row.as_slice(), *weight))).into()]
        }
    }
}

/// What the tagger found in all windows, and what rules found in the whole text.
pub(super) fn entities(
    by: &TaggerModel,
    text: &str,
    verified: &[Entity],
    rows: &[Row<'_>],
) -> Vec<Entity> {
    let scalars = spans::Scalars::new(text);
    let mut found = Vec::new();
    for row in rows {
        let begin = scalars.at(row.window.text.start);
        let moved = |entity: &Entity| Entity {
            start: entity.start + begin,
            end: entity.end + begin,
            ..entity.clone()
        };
        found.extend(row.unit.entities(row.read, by).iter().map(moved));
    }
    let found = spans::union(found);
    if by.recognizers {
        recognizers::merge(verified.to_vec(), found)
    } else {
        found
    }
}
