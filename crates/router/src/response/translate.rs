//! The answer comes back to the client's wire: streams event by event, bodies and errors as a whole.

use super::{Chunk, Next, Stage, Whole};
use bytes::Bytes;
use compression::ChunkDecoder;
use dialects::sse::Segment;
use dialects::translate::{AnswerTranslator, Reply};
use dialects::usage::BODY_LIMIT;
use dialects::{Outcome, UsageFold};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) struct Translate {
    reply: Arc<Reply>,
    created: u64,
    stream: AnswerTranslator,
}

impl Translate {
    pub(super) fn new(reply: &Arc<Reply>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let created = since.map_or(0, |since| since.as_secs());
        Self {
            reply: Arc::clone(reply),
            created,
            stream: reply.stream(created),
        }
    }
}

impl Stage for Translate {
    fn segment(&mut self, segment: Segment<'_>, next: &mut Next<'_>) {
        let mut out = String::new();
        self.stream.segment(segment, &mut out);
        next.write_all(out.as_bytes());
    }

    fn finish(&mut self, next: &mut Next<'_>) {
        let mut out = String::new();
        self.stream.finish(&mut out);
        next.write_all(out.as_bytes());
    }

    fn body(&mut self, body: &[u8]) -> Whole {
        // The head has said that this is a success, so an error cannot take its place.
        match self.reply.body(body, self.created) {
            Ok(new) => Whole::Replaced(new),
            Err(_) => Whole::Broken,
        }
    }
}

/// An error on its way to another wire.
pub(super) struct Failed {
    reply: Arc<Reply>,
    /// As it came.
    status: u16,
    request_id: Option<String>,
    body: Vec<u8>,
    decoder: Option<ChunkDecoder>,
    /// It cannot be read to its end.
    unreadable: bool,
}

impl Failed {
    /// An error of the backend's.
    pub(super) fn error(
        reply: &Arc<Reply>,
        status: u16,
        request_id: Option<&str>,
        decoder: Option<ChunkDecoder>,
    ) -> Self {
        Self {
            reply: Arc::clone(reply),
            status,
            request_id: request_id.map(str::to_owned),
            body: Vec::new(),
            decoder,
            unreadable: false,
        }
    }

    /// A success that is no answer of the backend's wire: a page, or something in an unknown coding.
    pub(super) fn page(reply: &Arc<Reply>, decoder: Option<ChunkDecoder>) -> Self {
        Self::error(reply, 200, None, decoder)
    }

    /// Returns the status of an error in place of one that is none.
    pub(super) fn new_status(&self) -> Option<u16> {
        let status = Reply::status(self.status);
        (status != self.status).then_some(status)
    }

    pub(super) fn chunk(&mut self, chunk: &Bytes, end: bool) -> Chunk {
        self.take(chunk, end);
        if !end {
            return Chunk::Replaced(Bytes::new());
        }
        let body = if self.unreadable { &[] } else { &*self.body };
        let request_id = self.request_id.as_deref();
        let status = Reply::status(self.status);
        Chunk::Replaced(self.reply.error(status, body, request_id).into())
    }

    fn take(&mut self, chunk: &Bytes, end: bool) {
        if self.unreadable {
            return;
        }
        let plain = match &mut self.decoder {
            None => Ok(chunk.clone()),
            Some(decoder) => decoder.decode(chunk, end).map(Bytes::from),
        };
        match plain {
            Ok(plain) if self.body.len() + plain.len() <= BODY_LIMIT => {
                self.body.extend_from_slice(&plain);
            }
            Ok(_) | Err(_) => self.unreadable = true,
        }
    }

    /// Ends it: nothing was answered, so nothing was used.
    pub(super) fn into_outcome(self) -> Outcome {
        UsageFold::new(self.reply.backend).into_outcome()
    }
}
