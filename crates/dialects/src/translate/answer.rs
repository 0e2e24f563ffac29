//! Answers and errors, from the backend's wire to the client's.
//!
//! ```text
//! bytes ─ AnswerReader ─▶ parts ─ Fold ─▶ AnswerWriter: the events of a stream
//!                                    └──▶ Whole: a body
//! ```
//!
//! A fold is fed the same parts whether they come in events or in a body, so a stream says what the
//! body would have.

mod error;
mod fold;
mod output;
mod reason;

use std::sync::Arc;

use super::Losses;
use crate::answer::AnswerReader;
use crate::endpoint::Dialect;
use crate::refusal::Refusal;
use crate::sse::{Segment, SseReader};
use crate::usage::ResponseError;
use fold::Fold;
use output::{Body, Events};

/// What the translation of an answer needs to know of its request. Plain data: it outlives the
/// request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The wire of the client.
    pub client: Dialect,
    /// The wire of the backend.
    pub backend: Dialect,
    /// The model as the client named it.
    pub model: Arc<str>,
    /// The client asked for a stream.
    pub streams: bool,
    /// The client of a chat stream asked for its usage.
    pub wants_usage: bool,
    /// What a Responses client finds repeated in the response object (`instructions`, `tools`,
    /// `metadata` …), as one JSON object; empty for other clients.
    pub echo: Arc<str>,
}

/// A whole answer on the client's wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The body.
    pub body: Vec<u8>,
    /// What it could not carry over; fields are paths of the backend's answer.
    pub losses: Losses,
}

impl Reply {
    /// Translates a whole successful body. `created` is in seconds since the Unix epoch, for
    /// backends that do not say. A body that is none (HTML, empty, half of one) becomes `Err` with
    /// the error's body in the client's wire; the status to send is 502.
    ///
    /// # Errors
    ///
    /// See above.
    pub fn body(&self, body: &[u8], created: u64) -> Result<Vec<u8>, Vec<u8>> {
        self.answered(body, created).map(|answered| answered.body)
    }

    /// Translates as [`Reply::body`] does, and says what was lost. An event stream that a backend
    /// sends unasked is gathered.
    ///
    /// # Errors
    ///
    /// As [`Reply::body`].
    pub fn answered(&self, body: &[u8], created: u64) -> Result<Answered, Vec<u8>> {
        let mut fold = Fold::<Body>::new(self, created);
        let mut out = String::new();
        if error::is_event_stream(body) {
            let mut answers = AnswerReader::new(self.backend);
            let mut events = SseReader::new();
            let mut take = |segment: Segment<'_>| fold.segment(&mut answers, segment, &mut out);
            events.push(body, &mut take);
            events.finish(&mut take);
            fold.finish(&mut out);
        } else {
            fold.body(body, &mut out);
        }
        let losses = fold.take_losses();
        match fold.into_output().into_result() {
            Ok(body) => Ok(Answered {
                body: body.to_string().into_bytes(),
                losses,
            }),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Translates the body of an error with its status. The words of the backend are kept; a body
    /// that is not JSON is named, and not sent on.
    #[must_use]
    pub fn error(&self, status: u16, body: &[u8], request_id: Option<&str>) -> Vec<u8> {
        error::body(self.client, status, body, request_id)
    }

    /// Returns the status that an answer with this one should have, where it is an error: that of
    /// the backend, which SDKs act on; where it is no error's, 502.
    #[must_use]
    pub fn status(status: u16) -> u16 {
        match status {
            400..=599 => status,
            _ => 502,
        }
    }

    /// Begins the translation of a stream.
    #[must_use]
    pub fn stream(&self, created: u64) -> AnswerTranslator {
        AnswerTranslator {
            reader: AnswerReader::new(self.backend),
            fold: Fold::new(self, created),
        }
    }

    /// Returns the body of an answer that failed under a good status.
    fn failure(&self, error: &ResponseError) -> Vec<u8> {
        let refusal = Refusal {
            status: 502,
            message: &error.message,
            code: Some(error.code.as_str()).filter(|code| !code.is_empty()),
            request_id: None,
        };
        refusal.body(Some(self.client)).to_vec()
    }
}

/// Translates a stream, event by event.
#[derive(Debug)]
pub struct AnswerTranslator {
    reader: AnswerReader,
    fold: Fold<Events>,
}

impl AnswerTranslator {
    /// Takes a piece of the backend's stream, and appends the events that the client gets for it.
    /// After the answer's end nothing is appended any more.
    pub fn segment(&mut self, segment: Segment<'_>, out: &mut String) {
        self.fold.segment(&mut self.reader, segment, out);
    }

    /// Ends the stream. One that was cut ends with an error as the client's wire has it.
    pub fn finish(&mut self, out: &mut String) {
        self.fold.finish(out);
    }

    /// Takes a whole body, which the backend sent in place of a stream, and appends all events.
    pub fn whole(&mut self, body: &[u8], out: &mut String) {
        self.fold.body(body, out);
    }

    /// Tells whether the client has got the answer's end, or an error in its place.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.fold.is_done()
    }

    /// Returns the error that the stream ended with.
    #[must_use]
    pub fn failure(&self) -> Option<&ResponseError> {
        self.fold.failure()
    }

    /// Returns what could not be carried over so far; fields are paths of the backend's answer.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        self.fold.losses()
    }
}

#[cfg(test)]
mod tests;
