//! Rates of a pool, in which the past fades: errors among its requests, tokens per second.

use std::time::Instant;

/// What was counted this long ago, seconds, weighs a third of what is counted now.
const FADING: f64 = 60.0;
/// With less than this left of a request nothing is known of errors any more: five minutes after a
/// single one.
const LEAST: f64 = 0.005;

#[derive(Debug, Default)]
pub(super) struct Rates {
    since: Option<Instant>,
    requests: f64,
    errors: f64,
    tokens: f64,
}

impl Rates {
    /// Counts a request that has ended, with its tokens.
    pub(super) fn add(&mut self, now: Instant, failed: bool, tokens: u64) {
        self.fade(now);
        self.requests += 1.0;
        self.errors += f64::from(u8::from(failed));
        self.tokens += tokens as f64;
    }

    /// Returns the share of errors among the requests of the last minutes, 0 to 1; `None` if there
    /// were none.
    pub(super) fn error_rate(&mut self, now: Instant) -> Option<f64> {
        self.fade(now);
        (self.requests >= LEAST).then(|| (self.errors / self.requests).clamp(0.0, 1.0))
    }

    /// Returns the completion tokens per second over about a minute.
    pub(super) fn tokens_per_second(&mut self, now: Instant) -> f64 {
        self.fade(now);
        self.tokens / FADING
    }

    fn fade(&mut self, now: Instant) {
        let past = self.since.map_or(0.0, |since| {
            now.saturating_duration_since(since).as_secs_f64()
        });
        self.since = self.since.max(Some(now));
        let left = (-past / FADING).exp();
        for sum in [&mut self.requests, &mut self.errors, &mut self.tokens] {
            *sum *= left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_past_fades() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rates = Rates::default();
        assert_eq!(rates.error_rate(at(0)), None);
        rates.add(at(0), true, 600);
        rates.add(at(0), false, 0);
        assert_eq!(
            rates.error_rate(at(30)),
            Some(0.5),
            "a share does not change with time"
        );
        assert!((rates.tokens_per_second(at(60)) - 10.0 * (-1.0_f64).exp()).abs() < 1e-9);
        rates.add(at(120), false, 0);
        assert!(
            rates.error_rate(at(120)).unwrap() < 0.2,
            "old errors weigh less"
        );
        assert_eq!(
            rates.error_rate(at(1_000)),
            None,
            "nothing is known after long silence"
        );
    }

    #[test]
    fn a_steady_stream_has_its_rate() {
        let start = Instant::now();
        let mut rates = Rates::default();
        for second in 0..600 {
            rates.add(start + Duration::from_secs(second), false, 50);
        }
        let got = rates.tokens_per_second(start + Duration::from_secs(599));
        assert!((got - 50.0).abs() < 1.0, "{got}");
    }
}
