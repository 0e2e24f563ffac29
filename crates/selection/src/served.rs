//! How a request was served: what is known of an answer once it has ended.

use crate::card::Tokens;
use std::time::Duration;

/// What became of a request that was sent to a model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Served {
    /// HTTP status; 0 if no response came.
    pub status: u16,
    /// Time to the first token, or to the first byte where tokens are not seen.
    pub first_token: Option<Duration>,
    /// Time to the end of the answer.
    pub total: Option<Duration>,
    /// Tokens, where the body was seen.
    pub tokens: Option<Tokens>,
    /// The answer was seen to come as a stream, so that its first token tells something.
    pub streamed: bool,
    /// The answer broke off.
    pub cut: bool,
}

impl Served {
    /// Returns whether the model failed: no response, a server error, too many requests, or an
    /// answer that broke off.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.cut || self.status == 0 || self.status == 429 || self.status >= 500
    }

    /// Joins an earlier, partial report with this final one. What was seen of the body is better
    /// than what a log says.
    #[must_use]
    pub fn completing(&self, earlier: &Self) -> Self {
        Self {
            status: if self.status == 0 {
                earlier.status
            } else {
                self.status
            },
            first_token: earlier.first_token.or(self.first_token),
            total: self.total.or(earlier.total),
            tokens: earlier.tokens.or(self.tokens),
            streamed: earlier.streamed || self.streamed,
            cut: earlier.cut || self.cut,
        }
    }
}
