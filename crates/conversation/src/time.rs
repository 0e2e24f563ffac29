//! Points in time that replicas agree on.

use std::time::{Duration, Instant, SystemTime};

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the current time.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(millis(since))
    }

    /// Converts an instant of this process.
    #[must_use]
    pub fn of(instant: Instant) -> Self {
        let (clock, now) = (Self::now(), Instant::now());
        let ahead = millis(instant.saturating_duration_since(now));
        let behind = millis(now.saturating_duration_since(instant));
        Self(clock.0.saturating_add(ahead).saturating_sub(behind))
    }

    /// Converts whole seconds since 1970.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Returns the whole seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1_000
    }

    /// Returns the time since an earlier point; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_keep_their_distance() {
        let now = Instant::now();
        let hour = Duration::from_secs(3_600);
        let apart = Timestamp::of(now + hour).since(Timestamp::of(now));
        assert!(apart.abs_diff(hour) < Duration::from_secs(1), "{apart:?}");
        assert_eq!(Timestamp(1_999).seconds(), 1);
        assert_eq!(Timestamp(1).since(Timestamp(2)), Duration::ZERO);
    }
}
