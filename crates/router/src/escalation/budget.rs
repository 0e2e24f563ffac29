//! What a run may spend, and what it has spent.

use super::answer::Usage;
use crate::config::pool::LooperLimits;
use std::time::Instant;

/// What a run may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls.
    pub calls: u32,
    /// Completion tokens of all answers.
    pub tokens: u64,
    /// Bytes of all answers.
    pub bytes: u64,
    /// Bytes of one answer.
    pub bytes_per_call: u64,
    /// Until when.
    pub until: Instant,
}

/// What ended a run before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    Calls,
    Tokens,
    Bytes,
    Time,
}

impl Exhausted {
    /// The reason in `x-merit-degraded` and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls_exhausted",
            Self::Tokens => "tokens_exhausted",
            Self::Bytes => "bytes_exhausted",
            Self::Time => "time_exhausted",
        }
    }
}

/// A budget that is being spent.
#[derive(Debug, Clone)]
pub struct Budget {
    limits: Limits,
    calls: u32,
    bytes: u64,
    usage: Usage,
}

/// What one call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Completion tokens at most.
    pub tokens: u64,
    /// A model that was given no limit must be told this one, as its context window would let it
    /// say more. Servers refuse a limit beyond the window, so the limit is left out where the window
    /// ends the answer anyway, or is not known.
    pub imposed: bool,
    /// Bytes at most.
    pub bytes: u64,
}

impl Limits {
    /// As written, until this instant.
    #[must_use]
    pub fn new(written: &LooperLimits, bytes_per_call: u64, until: Instant) -> Self {
        Self {
            calls: written.max_calls,
            tokens: written.max_completion_tokens,
            bytes: written.max_bytes,
            bytes_per_call,
            until,
        }
    }
}

impl Budget {
    /// Nothing is spent yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            calls: 0,
            bytes: 0,
            usage: Usage::default(),
        }
    }

    /// Begins a call to a model with this room for an answer in its context window, if known.
    ///
    /// # Errors
    /// Something is spent.
    pub fn begin(&mut self, room: Option<u64>, now: Instant) -> Result<Allowance, Exhausted> {
        let tokens = self
            .limits
            .tokens
            .saturating_sub(self.usage.completion_tokens);
        let bytes = self.limits.bytes.saturating_sub(self.bytes);
        if now >= self.limits.until {
            return Err(Exhausted::Time);
        }
        if self.calls >= self.limits.calls {
            return Err(Exhausted::Calls);
        }
        if tokens == 0 {
            return Err(Exhausted::Tokens);
        }
        if bytes == 0 {
            return Err(Exhausted::Bytes);
        }
        self.calls += 1;
        let imposed = room.is_some_and(|room| tokens < room);
        // The prompt may be longer than was estimated.
        let tokens = room
            .filter(|_| imposed)
            .map_or(tokens, |room| tokens.min(room - room / 4));
        Ok(Allowance {
            tokens,
            imposed,
            bytes: bytes.min(self.limits.bytes_per_call),
        })
    }

    /// An answer came.
    pub fn spend(&mut self, usage: Usage, bytes: u64) {
        self.usage.add(usage);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// What was spent in tokens.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Until when the run may last.
    #[must_use]
    pub fn until(&self) -> Instant {
        self.limits.until
    }
}
