//! What is remembered of a conversation between its requests, and how a shared store keeps it.
//!
//! A stored record carries its version. One of a version that this process does not know counts as
//! no record: while replicas are upgraded one after the other, each goes on with what it can read,
//! and says so. A record without a version was written before versions were, and is of the first.

use super::store::StoreError;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version of records that this process writes, and the only one that it reads. A change that
/// an older process would misunderstand takes the next number; a new member that may be missing
/// does not.
pub const VERSION: u32 = 1;

/// What is remembered of a conversation between its requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The model of the last request.
    pub model: Arc<str>,
    /// When the last request was sent.
    pub at: Timestamp,
    /// Requests so far.
    pub requests: u64,
    /// Turns of the user so far.
    pub turns: u64,
    /// Switches of model so far.
    pub switches: u64,
    /// What the conversation has cost, millionths of the document's currency; a lower estimate.
    pub bill: u64,
    /// What its switches have cost, millionths; an upper estimate.
    pub overhead: u64,
    /// Share of the last prompt that was in the model's cache, 0 to 1; `None` if unknown.
    pub warmth: Option<f64>,
    /// The threads that it has at a time.
    pub threads: Vec<Thread>,
}

/// One of the threads that a session has at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thread {
    /// Distinguishes it from the session's others.
    pub mark: u32,
    /// Its model.
    pub model: Arc<str>,
    /// Seconds since 1970 of its last request.
    pub at: u64,
    /// Tokens of its last request and answer as the model counted them; `None` if nobody did.
    pub counted: Option<u64>,
    /// Tokens of its last request, at least.
    pub least: u64,
}

impl Record {
    /// Returns the thread with this mark, if it is remembered.
    #[must_use]
    pub fn thread(&self, mark: u32) -> Option<&Thread> {
        self.threads.iter().find(|thread| thread.mark == mark)
    }

    /// Encodes the record for a shared store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            version: VERSION,
            model: self.model.to_string(),
            at: self.at.seconds(),
            millis: self.at.0 % 1_000,
            requests: self.requests,
            turns: self.turns,
            switches: self.switches,
            bill: self.bill,
            overhead: self.overhead,
            warmth: self.warmth,
            threads: self.threads.iter().map(StoredThread::of).collect(),
        };
        // Plain numbers and texts: they can always be written.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Decodes a record of a shared store.
    ///
    /// # Errors
    /// It is of another version, or damaged.
    pub fn decode(value: &[u8]) -> Result<Self, StoreError> {
        // A list would be read as a struct whose members have no names.
        if !value.trim_ascii_start().starts_with(b"{") {
            return Err(StoreError::Unavailable("a record is no JSON object".into()));
        }
        let Versioned { version } =
            serde_json::from_slice(value).map_err(StoreError::unreadable)?;
        if version != VERSION {
            return Err(StoreError::UnknownVersion { found: version });
        }

        let stored: Stored = serde_json::from_slice(value).map_err(StoreError::unreadable)?;
        let at = Timestamp::from_seconds(stored.at)
            .0
            .saturating_add(stored.millis.min(999));
        Ok(Self {
            model: stored.model.into(),
            at: Timestamp(at),
            requests: stored.requests,
            turns: stored.turns,
            switches: stored.switches,
            bill: stored.bill,
            overhead: stored.overhead,
            warmth: stored.warmth,
            threads: stored
                .threads
                .into_iter()
                .map(StoredThread::thread)
                .collect(),
        })
    }
}

/// Only the version, so that a record whose other members have changed can still be told.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default = "first_version")]
    version: u32,
}

fn first_version() -> u32 {
    1
}

/// A record as it is written. Processes of the first version read the same names, with or without
/// the version.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    version: u32,
    model: String,
    /// Seconds since 1970.
    at: u64,
    /// Milliseconds beyond `at`.
    millis: u64,
    requests: u64,
    turns: u64,
    switches: u64,
    bill: u64,
    overhead: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmth: Option<f64>,
    threads: Vec<StoredThread>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredThread {
    mark: u32,
    model: String,
    at: u64,
    counted: Option<u64>,
    least: u64,
}

impl StoredThread {
    fn of(thread: &Thread) -> Self {
        Self {
            mark: thread.mark,
            model: thread.model.to_string(),
            at: thread.at,
            counted: thread.counted,
            least: thread.least,
        }
    }

    fn thread(self) -> Thread {
        Thread {
            mark: self.mark,
            model: self.model.into(),
            at: self.at,
            counted: self.counted,
            least: self.least,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            model: "large".into(),
            at: Timestamp(1_700_000_000_250),
            requests: 7,
            turns: 3,
            switches: 1,
            bill: 900,
            overhead: 40,
            warmth: Some(0.65),
            threads: vec![Thread {
                mark: 5,
                model: "small".into(),
                at: 1_700_000_000,
                counted: Some(1_200),
                least: 300,
            }],
        }
    }

    #[test]
    fn a_record_survives_the_store() {
        assert_eq!(Record::decode(&record().encode()).unwrap(), record());
        let empty = Record::default();
        assert_eq!(Record::decode(&empty.encode()).unwrap(), empty);
    }

    /// As it was written before records had versions.
    #[test]
    fn a_record_without_a_version_is_of_the_first() {
        let old = r#"{"model":"large","at":1700000000,"requests":7,"turns":3,"switches":1,"bill":900,
            "overhead":40,"threads":[{"mark":5,"model":"small","at":1700000000,"counted":1200,"least":300}]}"#;
        let expected = Record {
            at: Timestamp(1_700_000_000_000),
            warmth: None,
            ..record()
        };
        assert_eq!(Record::decode(old.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_record_of_the_future_is_not_read() {
        let check = |value: &str, expected: &str| {
            let error = Record::decode(value.as_bytes()).unwrap_err();
            assert_eq!(error.as_str(), expected, "{value}");
        };
        check(r#"{"version":2,"at":"some day"}"#, "unknown_record_version");
        check(r#"{"version":0}"#, "unknown_record_version");
        check(r#"{"version":"one"}"#, "unavailable");
        check("[1]", "unavailable");
        check("", "unavailable");
    }
}
