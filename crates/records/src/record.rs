//! The record of a request, as `proto/merit/v1` defines it, and what all who hold one need.

use prost::Message as _;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

include!(concat!(env!("OUT_DIR"), "/merit.v1.rs"));

pub use prost_types::{Duration as WireDuration, Timestamp as WireTime};

/// The form of the records that this version of Merit writes, and the youngest that it reads.
pub const VERSION: u32 = 1;

const SECOND: i64 = 1_000_000_000;
const ID_BYTES: usize = 16;

/// A time, nanoseconds since 1970 UTC. What lies beyond 2262 counts as 2262.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// The last moment there is.
    pub const MAX: Self = Self(i64::MAX);

    /// Returns the present.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Returns the moment that lies `span` before this one.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(span))
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        Self(match time.duration_since(UNIX_EPOCH) {
            Ok(since) => nanos(since),
            Err(before) => -nanos(before.duration()),
        })
    }
}

impl From<Moment> for WireTime {
    fn from(moment: Moment) -> Self {
        Self {
            seconds: moment.0.div_euclid(SECOND),
            nanos: i32::try_from(moment.0.rem_euclid(SECOND)).unwrap_or_default(),
        }
    }
}

impl From<&WireTime> for Moment {
    fn from(time: &WireTime) -> Self {
        Self(
            time.seconds
                .saturating_mul(SECOND)
                .saturating_add(time.nanos.into()),
        )
    }
}

/// As RFC 3339 writes it, UTC, with up to nine digits of a second.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        WireTime::from(*self).fmt(f)
    }
}

/// Turns a span into protobuf's form. Longer than 292 years is cut.
#[must_use]
pub fn wire_span(span: Duration) -> WireDuration {
    WireDuration::try_from(span).unwrap_or(WireDuration {
        seconds: i64::MAX,
        nanos: 0,
    })
}

/// Why bytes are no record that can be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A later Merit wrote it.
    #[error("the record has form {0}, and the youngest known is {VERSION}")]
    Version(u32),
    /// It is not protobuf, or cut.
    #[error(transparent)]
    Malformed(#[from] prost::DecodeError),
}

impl DecisionRecord {
    /// Starts the record of a request that was seen at `time`: it has an id and is in progress.
    #[must_use]
    pub fn begin(time: Moment) -> Self {
        Self {
            id: new_id(),
            version: VERSION,
            time: Some(time.into()),
            lifecycle: Lifecycle::InProgress.into(),
            ..Self::default()
        }
    }

    /// Ends the record. The first end stays: a second one changes nothing.
    pub fn end(&mut self, lifecycle: Lifecycle, reason: &str, time: Moment) {
        if !self.is_ended() {
            self.lifecycle = lifecycle.into();
            self.terminal_reason = reason.chars().take(256).collect();
            self.ended_at = Some(time.into());
        }
    }

    /// Returns whether the request ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(
            self.lifecycle(),
            Lifecycle::Completed | Lifecycle::Failed | Lifecycle::Aborted
        )
    }

    /// Returns when Merit saw the request.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.time.as_ref().map(Moment::from).unwrap_or_default()
    }

    /// Returns the bytes that stores keep: all but the outcomes, which they keep apart.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.outcomes.is_empty() {
            return self.encode_to_vec();
        }
        let mut without = self.clone();
        without.outcomes.clear();
        without.encode_to_vec()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are damaged, or a later Merit wrote them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let record = Self::decode(bytes)?;
        known(record.version)?;
        Ok(record)
    }
}

impl Captured {
    /// Returns the bytes that stores keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are damaged, or a later Merit wrote them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let captured = Self::decode(bytes)?;
        known(captured.version)?;
        Ok(captured)
    }

    /// Returns when the request was seen.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.time.as_ref().map(Moment::from).unwrap_or_default()
    }
}

impl OutcomeReport {
    /// Returns the bytes that stores keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        Ok(Self::decode(bytes)?)
    }
}

fn known(version: u32) -> Result<(), Unreadable> {
    if version > VERSION {
        return Err(Unreadable::Version(version));
    }
    Ok(())
}

/// Returns a new id: 32 hexadecimal digits at random.
#[must_use]
pub fn new_id() -> String {
    format!("{:0width$x}", fastrand::u128(..), width = 2 * ID_BYTES)
}

/// Returns whether a text may be a record's id. Stores ask for no other.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 2 * ID_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
