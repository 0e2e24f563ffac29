//! What a response cost and how it ended, folded from its body or its events while they pass
//! through.

use crate::answer::{AnswerReader, Part};
use crate::endpoint::Dialect;
use crate::sse::{Segment, SseReader};

/// How many bytes of an unstreamed body are kept; of a longer one no usage is known.
pub const BODY_LIMIT: usize = 8 << 20;

/// Token counts. The wires' different bookkeeping is evened out: cached and written tokens are part
/// of `prompt`, reasoning is part of `completion`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All prompt tokens.
    pub prompt: u64,
    /// All generated tokens.
    pub completion: u64,
    /// Prompt tokens read from a prefix cache, if reported.
    pub cached: Option<u64>,
    /// Prompt tokens written to a cache, if reported.
    pub cache_write: Option<u64>,
    /// Generated tokens that were reasoning, if reported.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Returns whether a model can have used so many tokens: the longest contexts hold some ten
    /// millions.
    fn is_possible(&self) -> bool {
        const MOST: u64 = 1_000_000_000;
        [
            Some(self.prompt),
            Some(self.completion),
            self.cached,
            self.cache_write,
            self.reasoning,
        ]
        .into_iter()
        .flatten()
        .all(|tokens| tokens <= MOST)
    }
}

/// What is known of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Token counts, once reported.
    pub usage: Option<Usage>,
    /// The model that the backend says it is.
    pub model: Option<String>,
    /// The id by which later requests speak of it: a response, a message, or a batch of them.
    pub response_id: Option<String>,
    /// Why it ended (`stop`, `tool_calls`, `end_turn`, `completed` …), in the wire's own words.
    pub finish_reason: Option<String>,
    /// Something of the answer was there: text, reasoning, or a tool call.
    pub content_started: bool,
    /// The error it carries, also in the middle of a stream that began well.
    pub error: Option<ResponseError>,
    /// The stream's last event was seen, or the body was read as a whole.
    pub complete: bool,
    /// A part was too large to be read.
    pub truncated: bool,
    /// Token counts that no model can have were reported, and left out.
    pub has_odd_usage: bool,
}

/// An error inside a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseError {
    /// Its code, or else its type.
    pub code: String,
    /// Its text.
    pub message: String,
}

/// Whether a body is one JSON value or an event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// One JSON value.
    Json,
    /// Server-sent events.
    EventStream,
}

impl BodyKind {
    /// Told by the response's `content-type`.
    #[must_use]
    pub fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case(crate::sse::CONTENT_TYPE) {
            Self::EventStream
        } else {
            Self::Json
        }
    }
}

/// Reads a response's chunks, however they are cut.
#[derive(Debug)]
pub struct UsageReader {
    source: Source,
    fold: UsageFold,
}

#[derive(Debug)]
enum Source {
    Json(Vec<u8>),
    Events(SseReader),
}

impl UsageReader {
    /// At the start of a response body.
    #[must_use]
    pub fn new(dialect: Dialect, kind: BodyKind) -> Self {
        let source = match kind {
            BodyKind::Json => Source::Json(Vec::new()),
            BodyKind::EventStream => Source::Events(SseReader::new()),
        };
        Self {
            source,
            fold: UsageFold::new(dialect),
        }
    }

    /// Reads a chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        let Self { source, fold } = self;
        match source {
            Source::Json(body)
                if fold.outcome.truncated || body.len() + chunk.len() > BODY_LIMIT =>
            {
                fold.outcome.truncated = true;
                *body = Vec::new();
            }
            Source::Json(body) => body.extend_from_slice(chunk),
            Source::Events(reader) => reader.push(chunk, |segment| fold.segment(segment)),
        }
    }

    /// Something of the answer has come. Of a whole body it is known at its end only.
    #[must_use]
    pub fn content_started(&self) -> bool {
        self.fold.outcome.content_started
    }

    /// The body has ended.
    #[must_use]
    pub fn finish(self) -> Outcome {
        let Self { source, mut fold } = self;
        match source {
            Source::Json(body) if !fold.outcome.truncated => fold.body(&body),
            Source::Json(_) => {}
            Source::Events(mut reader) => reader.finish(|segment| fold.segment(segment)),
        }
        fold.outcome
    }
}

/// Folds an answer's events, or its body, into an [`Outcome`].
#[derive(Debug)]
pub struct UsageFold {
    dialect: Dialect,
    reader: AnswerReader,
    outcome: Outcome,
}

impl UsageFold {
    /// At the start of an answer.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            reader: AnswerReader::new(dialect),
            outcome: Outcome::default(),
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The answer is over.
    #[must_use]
    pub fn into_outcome(self) -> Outcome {
        self.outcome
    }

    /// A part of the answer could not be read.
    pub fn unread(&mut self) {
        self.outcome.truncated = true;
    }

    /// Takes a piece of a stream.
    pub fn segment(&mut self, segment: Segment<'_>) {
        let Self {
            dialect,
            reader,
            outcome,
        } = self;
        match segment {
            Segment::Event(event) => {
                reader.event(event, |part| fold(outcome, *dialect, part));
            }
            Segment::Filler(_) => {}
            Segment::Unread(_) => outcome.truncated = true,
        }
    }

    /// Takes a whole body.
    pub fn body(&mut self, body: &[u8]) {
        let Self {
            dialect,
            reader,
            outcome,
        } = self;
        reader.body(body, |part| fold(outcome, *dialect, part));
        outcome.complete = outcome.error.is_none() && outcome.model.is_some();
    }
}

fn fold(outcome: &mut Outcome, dialect: Dialect, part: Part<'_>) {
    match part {
        // No later request speaks of a chat completion's.
        Part::Id(id) if dialect != Dialect::OpenAiChat => {
            outcome.response_id = Some(id.into_owned());
        }
        Part::Model(model) if !model.is_empty() && outcome.model.as_deref() != Some(&model) => {
            outcome.model = Some(model.into_owned());
        }
        Part::Delta(_) => outcome.content_started = true,
        Part::Usage(usage) if usage.is_possible() => outcome.usage = Some(usage),
        Part::Usage(_) => outcome.has_odd_usage = true,
        Part::Stop(reason) => outcome.finish_reason = Some(reason.into_owned()),
        Part::Error(error) => outcome.error = Some(error),
        Part::End => outcome.complete = true,
        _ => {}
    }
}

#[cfg(test)]
mod tests;
