//! Spans of entities: from token labels, and put together over windows.

use crate::ask::Entity;
use crate::vector::softmax;
use ndarray::ArrayView2;
use std::sync::Arc;

/// Entities of BIO logits, in scalars of `text`. A run of tokens of one type is one entity; `B-`
/// begins another; its confidence is the mean of its tokens'.
#[must_use]
pub fn of_logits(
    text: &str,
    offsets: &[(usize, usize)],
    logits: ArrayView2<'_, f32>,
    labels: &[Arc<str>],
) -> Vec<Entity> {
    let mut open: Option<Run<'_>> = None;
    let mut runs = Vec::new();
    for (row, &(from, to)) in logits.rows().into_iter().zip(offsets) {
        let probabilities = softmax(&row.to_vec());
        let best = probabilities
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1));
        let Some((label, probability)) = best.and_then(|(at, p)| Some((labels.get(at)?, *p)))
        else {
            continue;
        };
        let (begins, kind) = prefix(label);
        match open
            .as_mut()
            .filter(|run| !begins && Some(run.kind) == kind)
        {
            Some(run) => run.extend(to, probability),
            None => runs.extend(std::mem::replace(
                &mut open,
                kind.map(|kind| Run {
                    kind,
                    from,
                    to,
                    sum: probability,
                    tokens: 1,
                }),
            )),
        }
    }
    runs.extend(open);
    let scalars = Scalars::new(text);
    runs.into_iter().map(|run| run.entity(&scalars)).collect()
}

/// Entities of all windows as one list in order of their start: what overlaps with the same type
/// becomes one span.
#[must_use]
pub fn union(mut found: Vec<Entity>) -> Vec<Entity> {
    found.sort_by(|a, b| (a.start, b.end).cmp(&(b.start, a.end)));
    let mut merged: Vec<Entity> = Vec::with_capacity(found.len());
    for entity in found {
        match merged
            .iter_mut()
            .rev()
            .find(|before| before.kind == entity.kind && entity.start < before.end)
        {
            Some(before) => {
                before.end = before.end.max(entity.end);
                before.confidence = before.confidence.max(entity.confidence);
            }
            None => merged.push(entity),
        }
    }
    merged.sort_by_key(|entity| (entity.start, entity.end));
    merged
}

struct Run<'a> {
    kind: &'a str,
    from: usize,
    to: usize,
    sum: f32,
    tokens: u16,
}

impl Run<'_> {
    fn extend(&mut self, to: usize, probability: f32) {
        self.to = self.to.max(to);
        self.sum += probability;
        self.tokens = self.tokens.saturating_add(1);
    }

    fn entity(&self, scalars: &Scalars) -> Entity {
        Entity {
            kind: self.kind.into(),
            confidence: self.sum / f32::from(self.tokens),
            start: scalars.at(self.from),
            end: scalars.at(self.to),
        }
    }
}

/// Whether the label begins an entity, and its type; `O` has none.
fn prefix(label: &str) -> (bool, Option<&str>) {
    match label.split_once(['-', '_']) {
        Some(("B" | "S" | "U", kind)) => (true, Some(kind)),
        Some(("I" | "E" | "L", kind)) => (false, Some(kind)),
        _ if label == "O" => (false, None),
        _ => (false, Some(label)),
    }
}

/// Places of bytes in scalars.
pub struct Scalars(Option<Vec<usize>>);

impl Scalars {
    /// Of a text. For ASCII they are equal.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self((!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect()))
    }

    /// Scalars before byte `at`.
    #[must_use]
    pub fn at(&self, at: usize) -> usize {
        self.0
            .as_ref()
            .map_or(at, |starts| starts.partition_point(|start| *start < at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognizers;
    use ndarray::Array2;

    fn entity(kind: &str, start: usize, end: usize) -> Entity {
        Entity {
            kind: kind.into(),
            confidence: 1.0,
            start,
            end,
        }
    }

    #[track_caller]
    fn check(best: &[usize], expected: &[(&str, usize, usize)]) {
        let labels: Vec<Arc<str>> = ["O", "B-PERSON", "I-PERSON", "B-CITY"]
            .map(Arc::from)
            .into();
        let logits =
            Array2::from_shape_fn(
                (best.len(), 4),
                |(row, column)| if best[row] == column { 9.0 } else { 0.0 },
            );
        let offsets: Vec<(usize, usize)> = (0..best.len()).map(|at| (4 * at, 4 * at + 3)).collect();
        let found = of_logits("äa äb äc äd äe äf", &offsets, logits.view(), &labels);
        let found: Vec<_> = found
            .iter()
            .map(|entity| (&*entity.kind, entity.start, entity.end))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn joins_runs_of_one_type() {
        check(&[0, 0], &[]);
        check(&[1, 2], &[("PERSON", 0, 5)]);
        check(&[1, 1], &[("PERSON", 0, 2), ("PERSON", 3, 5)]);
        check(&[2, 2, 3], &[("PERSON", 0, 5), ("CITY", 6, 8)]);
    }

    #[test]
    fn puts_windows_together() {
        let found = vec![
            entity("PERSON", 10, 14),
            entity("PERSON", 5, 12),
            entity("CITY", 11, 13),
            entity("PERSON", 31, 33),
        ];
        let verified = [entity("EMAIL", 30, 40)];
        let expected = [
            entity("PERSON", 5, 14),
            entity("CITY", 11, 13),
            entity("EMAIL", 30, 40),
        ];
        assert_eq!(
            recognizers::merge(verified.to_vec(), union(found)),
            expected
        );
    }
}
