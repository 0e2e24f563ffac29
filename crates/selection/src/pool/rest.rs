//! Rest for a model that keeps failing, and the probes that end it.

use super::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A probe that was not answered for this long stands in no other's way.
const PROBE_LEASE: Duration = Duration::from_secs(60);

/// When a model is rested, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestSettings {
    /// Errors in a row; 0 never rests a model.
    pub after: u32,
    /// The first rest; each that follows takes twice as long.
    pub first: Duration,
    /// The longest rest; never below the first.
    pub longest: Duration,
}

impl Default for RestSettings {
    fn default() -> Self {
        Self {
            after: 5,
            first: Duration::from_secs(5),
            longest: Duration::from_secs(120),
        }
    }
}

impl RestSettings {
    fn duration(&self, rests: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(rests.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.first
            .checked_mul(factor)
            .unwrap_or(self.longest)
            .min(self.longest)
    }
}

/// Whether a model rests. Asking a healthy one takes no lock.
#[derive(Debug, Default)]
pub(super) struct Rest {
    active: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    errors: u32,
    resting: Option<Resting>,
}

#[derive(Debug, Clone, Copy)]
struct Resting {
    began: Instant,
    until: Instant,
    rests: u32,
    /// Id of the request that tries the model, and when it was sent.
    probe: Option<(u64, Instant)>,
}

impl Resting {
    fn is_probed(&self, now: Instant) -> bool {
        self.probe
            .is_some_and(|(_, at)| now.saturating_duration_since(at) < PROBE_LEASE)
    }
}

/// What there is to show of a rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RestReading {
    /// Errors in a row.
    pub(super) errors: u32,
    /// The model rests, or waits for its probe.
    pub(super) resting: bool,
    /// What is left of its time.
    pub(super) left: Duration,
    /// A probe is under way.
    pub(super) probing: bool,
}

impl Rest {
    pub(super) fn is_resting(&self, now: Instant) -> bool {
        if !self.active.load(Ordering::Relaxed) {
            return false;
        }
        lock(&self.state)
            .resting
            .is_some_and(|resting| now < resting.until || resting.is_probed(now))
    }

    /// Records that a request goes to the model. The first after the rest is the probe.
    pub(super) fn sent(&self, id: u64, at: Instant) {
        if !self.active.load(Ordering::Relaxed) {
            return;
        }
        if let Some(resting) = &mut lock(&self.state).resting
            && at >= resting.until
            && !resting.is_probed(at)
        {
            resting.probe = Some((id, at));
        }
    }

    /// Records the end of a request that was sent at an instant.
    pub(super) fn ended(
        &self,
        id: u64,
        sent: Instant,
        failed: bool,
        settings: RestSettings,
        now: Instant,
    ) {
        let mut state = lock(&self.state);
        match &mut state.resting {
            None if failed => {
                state.errors = state.errors.saturating_add(1);
                if settings.after > 0 && state.errors >= settings.after {
                    let until = now + settings.duration(1);
                    state.resting = Some(Resting {
                        began: now,
                        until,
                        rests: 1,
                        probe: None,
                    });
                }
            }
            None => state.errors = 0,
            Some(resting) => {
                resting.probe = resting.probe.filter(|(probe, _)| *probe != id);
                // What was sent before tells nothing of the model since: neither a long answer that
                // ends well, nor one more error of the time that led to the rest.
                if !failed && sent >= resting.began {
                    *state = State::default();
                } else if failed && sent >= resting.until {
                    let rests = resting.rests.saturating_add(1);
                    *resting = Resting {
                        began: now,
                        until: now + settings.duration(rests),
                        rests,
                        probe: None,
                    };
                    state.errors = state.errors.saturating_add(1);
                }
            }
        }
        self.active
            .store(state.resting.is_some(), Ordering::Relaxed);
    }

    /// Forgets a request whose end nobody will report: if it was the probe, another one may be.
    pub(super) fn forget(&self, id: u64) {
        if !self.active.load(Ordering::Relaxed) {
            return;
        }
        if let Some(resting) = &mut lock(&self.state).resting {
            resting.probe = resting.probe.filter(|(probe, _)| *probe != id);
        }
    }

    /// Ends it, whatever happened.
    pub(super) fn end(&self) {
        *lock(&self.state) = State::default();
        self.active.store(false, Ordering::Relaxed);
    }

    pub(super) fn reading(&self, now: Instant) -> RestReading {
        let state = lock(&self.state);
        let Some(resting) = &state.resting else {
            return RestReading {
                errors: state.errors,
                ..RestReading::default()
            };
        };
        RestReading {
            errors: state.errors,
            resting: true,
            left: resting.until.saturating_duration_since(now),
            probing: resting.is_probed(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: RestSettings = RestSettings {
        after: 2,
        first: Duration::from_secs(5),
        longest: Duration::from_secs(12),
    };

    /// A rest that began at second 0 of the returned clock.
    fn rested() -> (Rest, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let at = move |seconds| start + Duration::from_secs(seconds);
        let rest = Rest::default();
        for id in 0..2 {
            assert!(!rest.is_resting(at(0)));
            rest.ended(id, at(0), true, SETTINGS, at(0));
        }
        (rest, at)
    }

    #[test]
    fn errors_in_a_row_rest_a_model_and_a_success_between_does_not() {
        let (rest, at) = rested();
        assert!(rest.is_resting(at(0)) && rest.is_resting(at(4)));
        assert!(!rest.is_resting(at(5)), "a probe may go");
        let rest = Rest::default();
        for (id, failed) in [true, false, true, false, true].into_iter().enumerate() {
            rest.ended(id as u64, at(0), failed, SETTINGS, at(0));
        }
        assert!(!rest.is_resting(at(0)));
        let never = RestSettings {
            after: 0,
            ..SETTINGS
        };
        (0..9).for_each(|id| rest.ended(id, at(0), true, never, at(0)));
        assert!(!rest.is_resting(at(0)));
    }

    #[test]
    fn one_probe_at_a_time_and_its_success_ends_the_rest() {
        let (rest, at) = rested();
        rest.sent(7, at(5));
        assert!(rest.is_resting(at(6)), "one probe is enough");
        rest.sent(8, at(6));
        rest.forget(8);
        assert!(rest.is_resting(at(6)), "8 was not the probe");
        rest.ended(7, at(5), false, SETTINGS, at(7));
        assert!(!rest.is_resting(at(7)));
        assert_eq!(rest.reading(at(7)), RestReading::default());
    }

    #[test]
    fn failed_probes_double_the_rest_up_to_its_limit() {
        let (rest, at) = rested();
        let mut now = 5;
        for expected in [10, 12, 12] {
            rest.sent(now, at(now));
            rest.ended(now, at(now), true, SETTINGS, at(now));
            assert!(rest.is_resting(at(now + expected - 1)), "{expected}");
            now += expected;
            assert!(!rest.is_resting(at(now)), "{expected}");
        }
    }

    #[test]
    fn probes_that_nobody_answers_stand_in_no_ones_way() {
        let (rest, at) = rested();
        rest.sent(7, at(5));
        rest.forget(7);
        assert!(!rest.is_resting(at(5)));
        rest.sent(8, at(5));
        assert!(rest.is_resting(at(64)));
        assert!(!rest.is_resting(at(65)));
    }

    #[test]
    fn what_was_sent_earlier_tells_nothing() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let rest = Rest::default();
        (0..2).for_each(|id| rest.ended(id, at(1), true, SETTINGS, at(2)));
        rest.ended(2, at(1), false, SETTINGS, at(3));
        assert!(
            rest.is_resting(at(3)),
            "a long answer that began before the rest ends well"
        );
        rest.ended(3, at(3), true, SETTINGS, at(4));
        assert!(
            !rest.is_resting(at(7)),
            "an error during the rest does not lengthen it"
        );
        rest.ended(4, at(3), false, SETTINGS, at(5));
        assert!(
            !rest.is_resting(at(5)),
            "sent during the rest, as nobody else could serve it, and served"
        );
    }
}
