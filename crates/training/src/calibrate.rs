//! Temperature and threshold, on texts that weights were not fitted on.

use crate::metrics::Scored;

/// Divisor of logits that makes probabilities say most about `labels`: least mean negative
/// log-likelihood between 0.05 and 20. `rows_at` gives the texts' probabilities at a temperature.
#[must_use]
pub fn temperature(labels: &[usize], rows_at: impl Fn(f32) -> Vec<Vec<f32>>) -> f32 {
    let loss = |log: f32| -> f64 {
        let rows = rows_at(log.exp());
        let each = rows
            .iter()
            .zip(labels)
            .filter_map(|(row, label)| row.get(*label));
        each.map(|probability| -f64::from(probability.max(1e-7)).ln())
            .sum()
    };
    // Golden section: the loss has one valley in the logarithm of the temperature.
    let golden = (5.0_f32.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05_f32.ln(), 20.0_f32.ln());
    for _ in 0..24 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if loss(left) < loss(right) {
            high = right;
        } else {
            low = left;
        }
    }
    ((low + high) / 2.0).exp()
}

/// The least threshold on `class` that no more than `most` of the other texts reach; rounded up to
/// a thousandth.
#[must_use]
pub fn threshold_for(scored: &Scored, class: usize, most: f64) -> f32 {
    let others = scored
        .rows
        .iter()
        .zip(&scored.labels)
        .filter(|(row, label)| **label != class && !row.is_empty());
    let mut scores: Vec<f32> = others.map(|(row, _)| row[class]).collect();
    scores.sort_by(|left, right| right.total_cmp(left));
    let allowed = (most * scores.len() as f64) as usize;
    scores.get(allowed).map_or(0.5, |score| {
        ((score * 1000.0).floor() + 1.0).min(999.0) / 1000.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cools_what_is_too_sure() {
        // Logits of ±4 claim 98 %, but only 3 of 4 are right: ln 3 = 1.0986 would be honest.
        let labels = [1, 1, 1, 0];
        let at = |temperature: f32| {
            vec![
                vec![
                    1.0 / (1.0 + (4.0 / temperature).exp()),
                    1.0 / (1.0 + (-4.0 / temperature).exp())
                ];
                4
            ]
        };
        let found = temperature(&labels, at);
        assert!((found - 4.0 / 3.0_f32.ln()).abs() < 0.01, "{found}");
    }

    #[track_caller]
    fn check(scores: &[f32], most: f64, expected: f32) {
        let scored = Scored {
            rows: scores
                .iter()
                .map(|score| vec![1.0 - score, *score])
                .collect(),
            labels: vec![0; scores.len()],
        };
        let found = threshold_for(&scored, 1, most);
        assert!((found - expected).abs() < 1e-6, "{found}");
        assert!(scored.over(1, found, false) <= most);
    }

    #[test]
    fn lets_through_no_more_than_asked() {
        check(&[0.1, 0.2, 0.3, 0.4], 0.0, 0.401);
        check(&[0.1, 0.2, 0.3, 0.4], 0.25, 0.301);
        check(&[0.1, 0.2, 0.3, 0.4], 0.3, 0.301);
    }
}
