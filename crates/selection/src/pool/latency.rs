//! Latencies of a pool: moving average and percentiles over the last samples.

use super::lock;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Weight of a new sample in the moving average, as in the reference.
const WEIGHT: f64 = 0.3;
/// Samples are held within these bounds, milliseconds, as in the reference.
const BOUNDS: (f64, f64) = (0.1, 1e6);
/// Fewer samples give their moving average at every percentile.
const INTERPOLATED_FROM: usize = 3;

/// Latencies in milliseconds. Adding takes a lock and publishes all hundred percentiles; reading
/// loads one number and waits for nobody.
#[derive(Debug)]
pub(super) struct Latencies {
    samples: Mutex<Samples>,
    average: Published,
    /// Percentiles 1 to 100.
    percentiles: Box<[Published]>,
}

#[derive(Debug, Default)]
struct Samples {
    recent: VecDeque<f64>,
    sorted: Vec<f64>,
    average: f64,
}

/// A number that may be missing, in one word.
#[derive(Debug)]
pub(super) struct Published(AtomicU64);

impl Default for Published {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl Published {
    pub(super) fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|value| !value.is_nan())
    }

    pub(super) fn set(&self, value: Option<f64>) {
        self.0
            .store(value.unwrap_or(f64::NAN).to_bits(), Ordering::Relaxed);
    }
}

impl Default for Latencies {
    fn default() -> Self {
        let percentiles = std::iter::repeat_with(Published::default)
            .take(100)
            .collect();
        Self {
            samples: Mutex::default(),
            average: Published::default(),
            percentiles,
        }
    }
}

impl Latencies {
    /// Adds samples; of all, the last `capacity` stay. What is not above 0 is no latency and is
    /// left out.
    pub(super) fn add(&self, samples: impl IntoIterator<Item = f64>, capacity: usize) {
        let mut new = samples
            .into_iter()
            .filter(|sample| sample.is_finite() && *sample > 0.0)
            .peekable();
        if new.peek().is_none() {
            return;
        }
        let mut kept = lock(&self.samples);
        new.for_each(|sample| kept.add(sample, capacity.max(1)));
        self.publish(&kept);
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        let mut kept = lock(&self.samples);
        *kept = Samples::default();
        self.publish(&kept);
    }

    /// Returns the latency at a percentile of 1 to 100.
    pub(super) fn percentile(&self, percentile: u32) -> Option<f64> {
        self.percentiles
            .get(usize::try_from(percentile).ok()?.checked_sub(1)?)?
            .get()
    }

    /// Returns the moving average.
    pub(super) fn average(&self) -> Option<f64> {
        self.average.get()
    }

    /// Returns how many samples there are.
    pub(super) fn len(&self) -> usize {
        lock(&self.samples).recent.len()
    }

    fn publish(&self, samples: &Samples) {
        self.average.set(samples.moving_average());
        for (percentile, published) in (1_u32..).zip(&self.percentiles) {
            published.set(samples.at(f64::from(percentile) / 100.0));
        }
    }
}

impl Samples {
    fn add(&mut self, sample: f64, capacity: usize) {
        let sample = sample.clamp(BOUNDS.0, BOUNDS.1);
        self.average = if self.recent.is_empty() {
            sample
        } else {
            WEIGHT * sample + (1.0 - WEIGHT) * self.average
        };
        while self.recent.len() >= capacity {
            self.drop_oldest();
        }
        self.recent.push_back(sample);
        self.sorted
            .insert(self.sorted.partition_point(|other| *other < sample), sample);
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.recent.pop_front() else {
            return;
        };
        self.sorted
            .remove(self.sorted.partition_point(|other| *other < oldest));
    }

    fn moving_average(&self) -> Option<f64> {
        (!self.recent.is_empty()).then_some(self.average)
    }

    /// Interpolates linearly at `share · (n − 1)` of the sorted samples.
    fn at(&self, share: f64) -> Option<f64> {
        if self.sorted.len() < INTERPOLATED_FROM {
            return self.moving_average();
        }
        let last = self.sorted.len() - 1;
        let place = share * last as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the last index"
        )]
        let below = (place.floor() as usize).min(last);
        let (low, high) = (
            *self.sorted.get(below)?,
            *self.sorted.get((below + 1).min(last))?,
        );
        Some(low + (high - low) * (place - below as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(samples: &[f64]) -> Latencies {
        let latencies = Latencies::default();
        latencies.add(samples.iter().copied(), 1_000);
        latencies
    }

    #[test]
    fn few_samples_give_their_average_and_more_are_interpolated() {
        let check = |samples: &[f64], percentile: u32, expected: Option<f64>| {
            let got = of(samples).percentile(percentile);
            let same = match (got, expected) {
                (Some(got), Some(expected)) => (got - expected).abs() < 1e-9,
                (got, expected) => got == expected,
            };
            assert!(
                same,
                "p{percentile} of {samples:?}: {got:?}, not {expected:?}"
            );
        };
        check(&[], 50, None);
        check(&[40.0], 99, Some(40.0));
        check(&[40.0, 140.0], 1, Some(0.3 * 140.0 + 0.7 * 40.0));
        check(&[30.0, 10.0, 20.0], 50, Some(20.0));
        check(&[30.0, 10.0, 20.0], 100, Some(30.0));
        check(&[30.0, 10.0, 20.0], 95, Some(29.0));
        check(&[10.0, 20.0, 30.0, 40.0], 50, Some(25.0));
        check(&[10.0], 0, None);
        check(&[10.0], 101, None);
        check(&[0.0, -3.0, f64::NAN, f64::INFINITY], 50, None);
        check(&[0.01], 50, Some(0.1));
        check(&[1e9], 50, Some(1e6));
    }

    #[test]
    fn the_last_samples_stay_and_clearing_leaves_none() {
        let latencies = of(&[1.0, 2.0, 3.0]);
        latencies.add([4.0, 5.0], 3);
        assert_eq!((latencies.len(), latencies.percentile(1)), (3, Some(3.02)));
        latencies.add([6.0], 1);
        assert_eq!(
            latencies.len(),
            1,
            "a smaller window drops what is beyond it"
        );
        latencies.clear();
        assert_eq!(
            (latencies.percentile(50), latencies.average()),
            (None, None)
        );
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_a_naive_computation(
            samples in prop::collection::vec(0.1_f64..1e6, 3..60),
            capacity in 3_usize..20,
            percentile in 1_u32..=100,
        ) {
            let latencies = Latencies::default();
            latencies.add(samples.iter().copied(), capacity);
            let mut kept = samples[samples.len().saturating_sub(capacity)..].to_vec();
            kept.sort_by(f64::total_cmp);
            let place = f64::from(percentile) / 100.0 * (kept.len() - 1) as f64;
            let (low, high) = (kept[place.floor() as usize], kept[place.ceil() as usize]);
            let expected = low + (high - low) * place.fract();
            let got = latencies.percentile(percentile).unwrap();
            prop_assert!((got - expected).abs() <= 1e-9 * expected.abs(), "{got} {expected}");
        }
    }
}
