//! Spans from the classes of words: the likeliest sequence in which an inside follows a begin or an
//! inside of its type.

use super::KINDS;
use super::sheet::Word;
use ndarray::ArrayView2;

/// A span of a type, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Place in [`KINDS`].
    pub kind: usize,
    /// First byte.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// Geometric mean over its words of the probability that they belong to the type.
    pub probability: f32,
}

/// The spans of a text whose words have rows of class probabilities.
#[must_use]
pub fn spans(text: &str, words: &[Word], probabilities: ArrayView2<'_, f32>) -> Vec<Span> {
    let classes = likeliest(probabilities);
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(&class) = classes.get(at) {
        let from = at;
        at += 1;
        if class == 0 {
            continue;
        }
        let kind = (class - 1) / 2;
        while classes.get(at) == Some(&(2 * kind + 2)) {
            at += 1;
        }
        spans.extend(span(text, words, probabilities, kind, from..at));
    }
    spans
}

/// The span of a run of words, without punctuation at its ends.
fn span(
    text: &str,
    words: &[Word],
    probabilities: ArrayView2<'_, f32>,
    kind: usize,
    run: std::ops::Range<usize>,
) -> Option<Span> {
    let sign = |at: usize, signs: &str| {
        let word = words
            .get(at)
            .and_then(|word| text.get(word.start..word.end));
        word.is_some_and(|word| word.chars().all(|scalar| signs.contains(scalar)))
    };
    let (mut from, mut to) = (run.start, run.end);
    while from < to && sign(from, ".,;:!?\"'’()[]{}<>|/\\*-–_=“”") {
        from += 1;
    }
    while from < to && sign(to - 1, ",;:!?\"'’()[]{}<>|/\\*-–_=“”") {
        to -= 1;
    }
    let belongs = |at: usize| {
        let of = |class: usize| probabilities.get((at, class)).copied().unwrap_or_default();
        (of(2 * kind + 1) + of(2 * kind + 2)).max(1e-9).ln()
    };
    let probability = ((from..to).map(belongs).sum::<f32>() / (to - from).max(1) as f32).exp();
    let (first, last) = (words.get(from)?, words.get(to.checked_sub(1)?)?);
    (from < to).then_some(Span {
        kind,
        start: first.start,
        end: last.end,
        probability,
    })
}

/// The likeliest allowed sequence of classes (Viterbi; all allowed steps cost the same).
fn likeliest(probabilities: ArrayView2<'_, f32>) -> Vec<usize> {
    let classes = 1 + 2 * KINDS.len();
    let log = |at: usize, class: usize| {
        probabilities
            .get((at, class))
            .copied()
            .unwrap_or_default()
            .max(1e-9)
            .ln()
    };
    let inside = |class: usize| class > 0 && class.is_multiple_of(2);
    let mut scores: Vec<f32> = (0..classes)
        .map(|class| {
            if inside(class) {
                f32::MIN
            } else {
                log(0, class)
            }
        })
        .collect();
    let mut from: Vec<Vec<usize>> = Vec::with_capacity(probabilities.nrows());
    for at in 1..probabilities.nrows() {
        let best = argmax(&scores);
        let before = |class: usize| match inside(class) {
            true if scores.get(class - 1) > scores.get(class) => class - 1,
            true => class,
            false => best,
        };
        let back: Vec<usize> = (0..classes).map(before).collect();
        scores = back
            .iter()
            .enumerate()
            .map(|(class, back)| scores[*back] + log(at, class))
            .collect();
        from.push(back);
    }
    let mut classes: Vec<usize> = vec![argmax(&scores); usize::from(probabilities.nrows() > 0)];
    for back in from.iter().rev() {
        classes.extend(classes.last().and_then(|class| back.get(*class)).copied());
    }
    classes.reverse();
    classes
}

fn argmax(scores: &[f32]) -> usize {
    scores
        .iter()
        .enumerate()
        .rev()
        .max_by(|a, b| a.1.total_cmp(b.1))
        .map_or(0, |(at, _)| at)
}
