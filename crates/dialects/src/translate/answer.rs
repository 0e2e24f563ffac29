//! Answers and errors, from the backend's wire to the client's.

use std::sync::Arc;

use crate::endpoint::Dialect;
use crate::sse::Segment;

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

impl Reply {
    /// Translates a whole successful body. `created` is in seconds since the Unix epoch, for
    /// backends that do not say. A body that is none (HTML, empty, half of one) becomes `Err` with
    /// the error's body in the client's wire; the status to send is 502.
    ///
    /// # Errors
    ///
    /// See above.
    pub fn body(&self, body: &[u8], created: u64) -> Result<Vec<u8>, Vec<u8>> {
        let _ = (body, created);
        Err(Vec::new())
    }

    /// Translates the body of an error with its status. The words of the backend are kept; a body
    /// that is not JSON is named, and not sent on.
    #[must_use]
    pub fn error(&self, status: u16, body: &[u8], request_id: Option<&str>) -> Vec<u8> {
        let _ = (status, body, request_id);
        Vec::new()
    }

    /// Begins the translation of a stream.
    #[must_use]
    pub fn stream(&self, created: u64) -> AnswerTranslator {
        let _ = created;
        AnswerTranslator {
            _reply: self.clone(),
        }
    }
}

/// Translates a stream, event by event.
#[derive(Debug)]
pub struct AnswerTranslator {
    _reply: Reply,
}

impl AnswerTranslator {
    /// Takes a piece of the backend's stream, and appends the events that the client gets for it.
    pub fn segment(&mut self, segment: Segment<'_>, out: &mut String) {
        let _ = (segment, out);
    }

    /// Ends the stream. One that was cut ends with an error as the client's wire has it.
    pub fn finish(&mut self, out: &mut String) {
        let _ = out;
    }
}
