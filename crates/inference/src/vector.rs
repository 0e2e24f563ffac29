//! Arithmetic on vectors that several stages share.

/// Scales to unit length; zeros stay.
pub fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}

/// The mean of rows by their weights. Empty without rows.
#[must_use]
pub fn weighted_mean<'a>(rows: impl IntoIterator<Item = (&'a [f32], f32)>) -> Vec<f32> {
    let mut mean: Vec<f32> = Vec::new();
    let mut total = 0.0;
    for (row, weight) in rows {
        mean.resize(row.len().max(mean.len()), 0.0);
        mean.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value * weight);
        total += weight;
    }
    if total > 0.0 {
        mean.iter_mut().for_each(|value| *value /= total);
    }
    mean
}

/// Probabilities of logits.
#[must_use]
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut probabilities: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f32 = probabilities.iter().sum();
    probabilities.iter_mut().for_each(|value| *value /= sum);
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_by_weight() {
        assert_eq!(
            weighted_mean([(&[1.0, 0.0][..], 3.0), (&[0.0, 1.0][..], 1.0)]),
            [0.75, 0.25]
        );
        assert_eq!(weighted_mean(std::iter::empty()), [0.0; 0]);
    }

    #[test]
    fn keeps_large_logits_finite() {
        let probabilities = softmax(&[1000.0, 1000.0, -1000.0]);
        assert_eq!(probabilities, [0.5, 0.5, 0.0]);
    }
}
