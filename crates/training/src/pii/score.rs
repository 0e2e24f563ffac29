//! Figures of found spans against marked ones, and the probability at which both errors balance.

use super::text::Example;
use inference::token_head::Figures;
use inference::token_head::decode::Span;
use std::ops::Range;

/// What was found in one text beside what is there. All places in one unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Judged {
    pub(super) gold: Vec<(usize, usize, usize)>,
    pub(super) found: Vec<Candidate>,
    pub(super) ignored: Vec<(usize, usize)>,
}

/// A span that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) kind: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) probability: f32,
}

impl Judged {
    pub(super) fn new(example: &Example, spans: &[Span]) -> Self {
        let found = spans.iter().map(|span| Candidate {
            kind: span.kind,
            start: span.start,
            end: span.end,
            probability: span.probability,
        });
        Self {
            gold: example.spans.clone(),
            found: found.collect(),
            ignored: example.ignored.clone(),
        }
    }
}

/// Figures of one type over texts, counting spans of at least `threshold`.
pub(super) fn figures(texts: &[Judged], kind: usize, threshold: f32) -> Figures {
    let (mut gold, mut found, mut exact, mut overlapping) = (0, 0, 0, 0);
    for text in texts {
        let mut open: Vec<(usize, usize)> = text
            .gold
            .iter()
            .filter(|span| span.2 == kind)
            .map(|span| (span.0, span.1))
            .collect();
        gold += open.len();
        let ignored = |span: &&Candidate| {
            text.ignored
                .iter()
                .any(|(start, end)| span.start < *end && *start < span.end)
        };
        let counted = text
            .found
            .iter()
            .filter(|span| span.kind == kind && span.probability >= threshold);
        for span in counted.filter(|span| !ignored(span)) {
            found += 1;
            exact += usize::from(open.contains(&(span.start, span.end)));
            if let Some(at) = open
                .iter()
                .position(|marked| is_half(marked.0..marked.1, span.start..span.end))
            {
                overlapping += 1;
                open.swap_remove(at);
            }
        }
    }
    let share = |part: usize, whole: usize| part as f32 / whole.max(1) as f32;
    Figures {
        gold,
        found,
        exact_f1: share(2 * exact, gold + found),
        overlap_f1: share(2 * overlapping, gold + found),
        precision: share(overlapping, found),
        recall: share(overlapping, gold),
    }
}

/// Whether two spans share at least half of the longer one.
fn is_half(one: Range<usize>, other: Range<usize>) -> bool {
    let shared = one
        .end
        .min(other.end)
        .saturating_sub(one.start.max(other.start));
    shared > 0 && 2 * shared >= one.len().max(other.len())
}

/// The probability from which on the mean over `sets` of the F1 by overlap is greatest; of equals
/// the greatest.
pub(super) fn turning_point(kind: usize, sets: &[&[Judged]]) -> f32 {
    let steps = (40..=90).step_by(2).map(|percent| percent as f32 / 100.0);
    let mean = |threshold: f32| {
        sets.iter()
            .map(|set| figures(set, kind, threshold).overlap_f1)
            .sum::<f32>()
    };
    let best = |best: (f32, f32), threshold: f32| {
        let reached = mean(threshold);
        if reached >= best.1 {
            (threshold, reached)
        } else {
            best
        }
    };
    steps.fold((0.5, 0.0), best).0
}
