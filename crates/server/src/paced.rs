//! What may be logged of events that strangers cause: one of many.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Admits one event in each interval, and counts the others.
#[derive(Debug)]
pub struct Paced {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    admitted: Option<Instant>,
    held_back: u64,
}

impl Paced {
    /// Admits one event per `interval`.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::new(State {
                admitted: None,
                held_back: 0,
            }),
        }
    }

    /// Returns how many events were held back since the last one that was admitted, if this one is.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_early = state
            .admitted
            .is_some_and(|last| now.saturating_duration_since(last) < self.interval);
        if is_early {
            state.held_back += 1;
            return None;
        }
        state.admitted = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_an_interval_is_admitted() {
        let paced = Paced::new(Duration::from_secs(1));
        let start = Instant::now();
        for (milliseconds, expected) in [
            (0, Some(0)),
            (1, None),
            (999, None),
            (1_000, Some(2)),
            (5_000, Some(0)),
        ] {
            let now = start + Duration::from_millis(milliseconds);
            assert_eq!(paced.admit(now), expected, "{milliseconds}");
        }
    }
}
