//! Prometheus histograms: what was added between two pages, as samples.

use std::collections::BTreeMap;

/// Samples that stand for what one interval added, at most.
const SAMPLES: u32 = 200;
/// Bounds of one histogram; vLLM has some 25.
const BOUNDS_MAX: usize = 256;

/// Cumulative counts by upper bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Histogram {
    /// Keys are the bits of bounds, seconds, which are not below 0: they sort as the numbers do.
    counts: BTreeMap<u64, f64>,
}

impl Histogram {
    /// Adds a bucket; those of other label sets with the same bound are summed.
    pub(super) fn add(&mut self, bound: f64, count: f64) {
        if bound >= 0.0
            && (self.counts.len() < BOUNDS_MAX || self.counts.contains_key(&bound.to_bits()))
        {
            *self.counts.entry(bound.to_bits()).or_default() += count;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// What was added since an earlier page, milliseconds: evenly spread ranks, interpolated within
    /// their buckets. Nothing after a restart of the server, which begins to count from 0.
    pub(super) fn samples_since(&self, earlier: &Self) -> Vec<f64> {
        let Some(buckets) = self.added(earlier) else {
            return Vec::new();
        };
        let total: f64 = buckets.iter().map(|(_, count)| count).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most SAMPLES, at least 0"
        )]
        let wanted = total.min(f64::from(SAMPLES)) as u32;
        spread(wanted)
            .filter_map(|share| value_at(&buckets, share * total))
            .map(|seconds| seconds * 1e3)
            .collect()
    }

    /// Upper bound and new count of each bucket.
    fn added(&self, earlier: &Self) -> Option<Vec<(f64, f64)>> {
        if !self.counts.keys().eq(earlier.counts.keys()) {
            return None;
        }
        let mut below = 0.0;
        let mut buckets = Vec::with_capacity(self.counts.len());
        for ((bound, now), before) in self.counts.iter().zip(earlier.counts.values()) {
            let cumulative = now - before;
            if cumulative < below {
                return None;
            }
            buckets.push((f64::from_bits(*bound), cumulative - below));
            below = cumulative;
        }
        Some(buckets)
    }
}

/// So many ranks between 0 and 1, evenly spread, and in an order in which every stretch of them is:
/// a moving average over ascending samples would be that of the highest.
fn spread(count: u32) -> impl Iterator<Item = f64> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    (0..count).map(|index| (0.5 + f64::from(index) * GOLDEN).fract())
}

fn value_at(buckets: &[(f64, f64)], rank: f64) -> Option<f64> {
    let (mut below, mut lower) = (0.0, 0.0);
    for &(upper, count) in buckets {
        if count > 0.0 && rank <= below + count {
            // Of the last bucket only the lower bound is known.
            let inside = if upper.is_finite() {
                (upper - lower) * (rank - below) / count
            } else {
                0.0
            };
            return Some(lower + inside);
        }
        below += count;
        lower = if upper.is_finite() { upper } else { lower };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(counts: &[(f64, f64)]) -> Histogram {
        let mut histogram = Histogram::default();
        counts
            .iter()
            .for_each(|(bound, count)| histogram.add(*bound, *count));
        histogram
    }

    #[test]
    fn samples_lie_in_the_buckets_that_grew() {
        let inf = f64::INFINITY;
        let before = of(&[(0.1, 5.0), (0.2, 8.0), (inf, 8.0)]);
        let samples = of(&[(0.1, 5.0), (0.2, 18.0), (inf, 18.0)]).samples_since(&before);
        assert_eq!(samples.len(), 10);
        assert!(
            samples
                .iter()
                .all(|sample| (100.0..=200.0).contains(sample)),
            "{samples:?}"
        );
        let mean = samples.iter().sum::<f64>() / 10.0;
        assert!((mean - 150.0).abs() < 10.0, "{mean}");
        let beyond = of(&[(0.1, 5.0), (0.2, 8.0), (inf, 9.0)]).samples_since(&before);
        assert_eq!(
            beyond,
            [200.0],
            "of what is beyond the last bound, the bound is known"
        );
        assert_eq!(before.samples_since(&before), [0.0; 0]);
        let many = of(&[(0.1, 5.0), (0.2, 1e9), (inf, 1e9)]).samples_since(&before);
        assert_eq!(many.len(), SAMPLES as usize);
    }

    #[test]
    fn a_restart_and_other_bounds_give_none() {
        let before = of(&[(0.1, 5.0), (0.2, 8.0)]);
        assert_eq!(
            of(&[(0.1, 1.0), (0.2, 2.0)]).samples_since(&before),
            [0.0; 0]
        );
        assert_eq!(
            of(&[(0.1, 6.0), (0.3, 9.0)]).samples_since(&before),
            [0.0; 0]
        );
        assert_eq!(before.samples_since(&Histogram::default()), [0.0; 0]);
    }

    #[test]
    fn bounds_are_limited_and_odd_ones_left_out() {
        let mut histogram = of(&[(f64::NAN, 1.0), (-1.0, 1.0)]);
        assert!(histogram.is_empty());
        (0..1_000).for_each(|bound| histogram.add(f64::from(bound), 1.0));
        assert_eq!(histogram.counts.len(), BOUNDS_MAX);
    }

    proptest! {
        #[test]
        fn samples_are_as_many_and_within_bounds(added in prop::collection::vec(0_u32..40, 1..8)) {
            let mut cumulative = 0.0;
            let now: Vec<(f64, f64)> = (1_u32..).zip(&added).map(|(bound, count)| {
                cumulative += f64::from(*count);
                (f64::from(bound), cumulative)
            }).collect();
            let before: Vec<(f64, f64)> = now.iter().map(|(bound, _)| (*bound, 0.0)).collect();
            let samples = of(&now).samples_since(&of(&before));
            prop_assert_eq!(samples.len(), (cumulative as usize).min(SAMPLES as usize));
            for sample in samples {
                let bucket = ((sample / 1e3).ceil() as usize).max(1);
                prop_assert!(added[bucket - 1] > 0 || added.get(bucket).is_some_and(|count| *count > 0), "{sample}");
            }
        }
    }
}
