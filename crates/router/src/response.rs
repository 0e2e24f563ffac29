//! The response's way: what a plan asks of the answer is a list of stages, empty for most requests.
//!
//! ```text
//! chunk → decode (where a stage reads text) → events or a whole body → usage → stages → chunk
//! ```
//!
//! A stage sees the pieces of a stream, or a body as a whole, in order. It passes each on, writes
//! others in its place, or holds it back until a later one. Where the list is empty the bytes are
//! only read for their usage and go on untouched; where it is not, what no stage changes is sent on
//! byte for byte, comments and line ends included, with the chunk that completed it.

mod restore_model;
mod translate;

use bytes::Bytes;
use compression::ChunkDecoder;
use dialects::sse::{Segment, SseReader};
use dialects::translate::Reply;
use dialects::usage::BODY_LIMIT;
use dialects::{BodyKind, Dialect, Outcome, UsageFold, UsageReader};
use restore_model::RestoreModel;
use std::sync::Arc;
use translate::{Failed, Translate};

/// A stage that a plan asks for. Plain data, as the plan is: nothing of the response is known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseStage {
    /// The answer comes back to the client's wire; the first of all stages.
    Translate {
        /// What is known of the request.
        reply: Arc<Reply>,
    },
    /// The answer names the model as its caller did.
    RestoreModel {
        /// The caller's name for it.
        name: Arc<str>,
    },
}

impl ResponseStage {
    /// Returns its name in headers and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Translate { .. } => "translate",
            Self::RestoreModel { .. } => "restore_model",
        }
    }

    fn build(&self, dialect: Dialect) -> Box<dyn Stage> {
        match self {
            Self::Translate { reply } => Box::new(Translate::new(reply)),
            Self::RestoreModel { name } => Box::new(RestoreModel::new(dialect, name)),
        }
    }
}

/// Lists the stages that the answer of a request needs. `asked` is the caller's name for the model,
/// `upstream` the provider's.
pub(crate) fn stages(restore_model: bool, asked: &str, upstream: &str) -> Vec<ResponseStage> {
    let mut stages = Vec::new();
    // A backend that was asked by the caller's own name may still answer with a more exact one.
    if restore_model && asked != upstream {
        stages.push(ResponseStage::RestoreModel { name: asked.into() });
    }
    stages
}

/// One step of a response's way.
trait Stage: Send {
    /// Takes a piece of a stream. What goes on now is passed to `next`: the piece, others in its
    /// place, or nothing.
    fn segment(&mut self, segment: Segment<'_>, next: &mut Next<'_>);

    /// Passes on what was held back: the stream has ended.
    fn finish(&mut self, _next: &mut Next<'_>) {}

    /// Takes a whole body.
    fn body(&mut self, body: &[u8]) -> Whole;
}

/// What a stage makes of a whole body.
enum Whole {
    /// It stays as it is.
    Unchanged,
    /// These bytes take its place.
    Replaced(Vec<u8>),
    /// It must not go on, and nothing else can take its place.
    Broken,
}

/// The stages after one, and where the last one writes to.
struct Next<'s> {
    stages: &'s mut [Box<dyn Stage>],
    out: &'s mut Vec<u8>,
}

impl Next<'_> {
    /// Hands a piece of the stream on.
    fn pass(&mut self, segment: Segment<'_>) {
        let Self { stages, out } = self;
        match stages.split_first_mut() {
            Some((stage, stages)) => stage.segment(segment, &mut Next { stages, out }),
            None => out.extend_from_slice(segment.raw()),
        }
    }

    /// Hands on what a stage has written: any number of whole events.
    fn write_all(&mut self, events: &[u8]) {
        if self.stages.is_empty() {
            self.out.extend_from_slice(events);
        } else {
            let mut reader = SseReader::new();
            reader.push(events, |segment| self.pass(segment));
            reader.finish(|segment| self.pass(segment));
        }
    }

    /// Hands on one event that a stage has written.
    fn write(&mut self, event: &[u8]) {
        if self.stages.is_empty() {
            self.out.extend_from_slice(event);
        } else {
            let mut joined = Vec::new();
            self.pass(Segment::read(event, &mut joined));
        }
    }
}

/// What a response's headers say of its body.
#[derive(Debug, Clone, Copy)]
pub struct BodyHead<'a> {
    /// `content-type`; empty if absent.
    pub content_type: &'a str,
    /// `content-encoding`; empty if absent.
    pub content_encoding: &'a str,
}

/// What becomes of a chunk of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// It goes on as it came.
    Unchanged,
    /// These bytes go on in its place; none while they are held back.
    Replaced(Bytes),
    /// The body cannot be read any further, although a part of it was sent on decoded.
    Broken,
}

/// A response on its way.
pub struct Response {
    way: Way,
    unread: Option<&'static str>,
    /// The body becomes JSON, whatever it was.
    becomes_json: bool,
}

enum Way {
    /// Nothing is changed; the bytes are read for their usage.
    Watched(Box<Watched>),
    /// Stages read what goes on.
    Staged(Box<Staged>),
    /// An error of the client's wire takes its place.
    Failed(Box<Failed>),
}

/// A response that goes on as it comes.
struct Watched {
    usage: UsageReader,
    /// Decodes what is read, unless the body is plain.
    decoder: Option<ChunkDecoder>,
}

/// A response with stages.
struct Staged {
    source: Source,
    usage: UsageFold,
    stages: Vec<Box<dyn Stage>>,
    decoder: Option<ChunkDecoder>,
    /// What goes on of the chunk at hand.
    out: Vec<u8>,
    /// What the stages cannot read must not go on: the client could not, either.
    must_read: bool,
    /// The body cannot go on.
    broken: bool,
}

/// What is kept of the body until it can be read.
enum Source {
    Whole(Vec<u8>),
    /// It grew too large to be kept.
    TooLarge,
    Events(SseReader),
}

impl Response {
    /// Begins a response to a request whose plan listed `stages`.
    #[must_use]
    pub fn begin(dialect: Dialect, head: BodyHead<'_>, stages: &[ResponseStage]) -> Self {
        let kind = BodyKind::of(head.content_type);
        let reply = translated(stages);
        let (read, later) = reply.map_or((dialect, dialect), |it| (it.backend, it.client));
        // A stream that nobody asked for is gathered: its client reads a whole answer.
        let gathers = kind == BodyKind::EventStream && reply.is_some_and(|it| !it.streams);
        let watched = |decoder| {
            let usage = UsageReader::new(read, kind);
            Way::Watched(Box::new(Watched { usage, decoder }))
        };
        let is_page = head.content_type.trim_start().starts_with("text/html");
        let (way, unread) = match (ChunkDecoder::of(head.content_encoding), reply) {
            (Ok(decoder), Some(reply)) if is_page => {
                (Way::Failed(Box::new(Failed::page(reply, decoder))), None)
            }
            (Err(_), Some(reply)) => (
                Way::Failed(Box::new(Failed::page(reply, None))),
                Some("unknown_encoding"),
            ),
            (Err(_), None) => (watched(None), Some("unknown_encoding")),
            (Ok(decoder), _) if stages.is_empty() => (watched(decoder), None),
            (Ok(decoder), reply) => {
                let must_read = reply.is_some();
                let stages = stages.iter().map(|stage| stage.build(later)).collect();
                let whole = if gathers { BodyKind::Json } else { kind };
                let staged = Staged::new(read, whole, decoder, stages);
                (
                    Way::Staged(Box::new(Staged {
                        must_read,
                        ..staged
                    })),
                    None,
                )
            }
        };
        let becomes_json = gathers || matches!(way, Way::Failed(_));
        Self {
            way,
            unread,
            becomes_json,
        }
    }

    /// Begins a response that is an error: its body is brought to the client's wire. `None` where it
    /// goes on as it came, because the client's wire is the backend's.
    #[must_use]
    pub fn begin_error(
        status: u16,
        request_id: Option<&str>,
        head: BodyHead<'_>,
        stages: &[ResponseStage],
    ) -> Option<Self> {
        let reply = translated(stages)?;
        let decoder = ChunkDecoder::of(head.content_encoding).unwrap_or_default();
        let failed = Failed::error(reply, status, request_id, decoder);
        Some(Self {
            way: Way::Failed(Box::new(failed)),
            unread: None,
            becomes_json: true,
        })
    }

    /// Returns the status that the client gets in place of the backend's: an answer that came with a
    /// success and is none.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.way {
            Way::Failed(failed) => failed.new_status(),
            Way::Watched(_) | Way::Staged(_) => None,
        }
    }

    /// Tells whether the body becomes JSON, whatever it was.
    #[must_use]
    pub fn becomes_json(&self) -> bool {
        self.becomes_json
    }

    /// Tells whether a stage may change the body or hold back parts of it.
    #[must_use]
    pub fn rewrites(&self) -> bool {
        matches!(self.way, Way::Staged(_) | Way::Failed(_))
    }

    /// Tells whether the body came compressed and goes on in clear.
    #[must_use]
    pub fn decodes(&self) -> bool {
        match &self.way {
            Way::Watched(_) => false,
            Way::Staged(staged) => staged.decoder.is_some(),
            // What takes its place is plain, whatever came.
            Way::Failed(_) => true,
        }
    }

    /// Tells whether something of the answer has come, which is known of a whole body at its end
    /// only.
    #[must_use]
    pub fn content_started(&self) -> bool {
        match &self.way {
            Way::Watched(watched) => watched.usage.content_started(),
            Way::Staged(staged) => staged.usage.outcome().content_started,
            Way::Failed(_) => false,
        }
    }

    /// Returns why the body, or a part of it, could not be read: by the stages, or for its usage.
    #[must_use]
    pub fn unread(&self) -> Option<&'static str> {
        self.unread
    }

    /// Takes a chunk; `end` is set on the last one.
    pub fn chunk(&mut self, chunk: &Bytes, end: bool) -> Chunk {
        match &mut self.way {
            Way::Watched(watched) => {
                if self.unread.is_none() {
                    self.unread = watched.chunk(chunk, end).err();
                }
                Chunk::Unchanged
            }
            Way::Staged(staged) => {
                let step = staged.chunk(chunk, end);
                if staged.usage.outcome().truncated {
                    self.unread = Some("too_large");
                }
                if staged.broken {
                    self.unread = self.unread.or(Some("untranslatable"));
                }
                step
            }
            Way::Failed(failed) => failed.chunk(chunk, end),
        }
    }

    /// Ends the response. One that was cut counts with what it reported.
    #[must_use]
    pub fn into_outcome(self) -> Outcome {
        match self.way {
            Way::Watched(watched) => watched.usage.finish(),
            Way::Staged(mut staged) => {
                staged.close();
                staged.usage.into_outcome()
            }
            Way::Failed(failed) => failed.into_outcome(),
        }
    }
}

/// Returns what translates an answer, if something does.
fn translated(stages: &[ResponseStage]) -> Option<&Arc<Reply>> {
    stages.iter().find_map(|stage| match stage {
        ResponseStage::Translate { reply } => Some(reply),
        ResponseStage::RestoreModel { .. } => None,
    })
}

impl Watched {
    /// Reads a chunk; fails, once and for all, with the reason why the body cannot be decoded.
    fn chunk(&mut self, chunk: &Bytes, end: bool) -> Result<(), &'static str> {
        match &mut self.decoder {
            None => self.usage.push(chunk),
            Some(decoder) => {
                let plain = decoder.decode(chunk, end);
                self.usage.push(&plain.map_err(|_| "broken_encoding")?);
            }
        }
        Ok(())
    }
}

impl Staged {
    fn new(
        dialect: Dialect,
        kind: BodyKind,
        decoder: Option<ChunkDecoder>,
        stages: Vec<Box<dyn Stage>>,
    ) -> Self {
        let source = match kind {
            BodyKind::Json => Source::Whole(Vec::new()),
            BodyKind::EventStream => Source::Events(SseReader::new()),
        };
        Self {
            source,
            usage: UsageFold::new(dialect),
            stages,
            decoder,
            out: Vec::new(),
            must_read: false,
            broken: false,
        }
    }

    fn chunk(&mut self, chunk: &Bytes, end: bool) -> Chunk {
        let decoded = match &mut self.decoder {
            None => None,
            Some(decoder) => match decoder.decode(chunk, end) {
                Ok(plain) => Some(plain),
                Err(_) => return Chunk::Broken,
            },
        };
        self.out.clear();
        self.run(decoded.as_deref().unwrap_or(chunk));
        if end {
            self.close();
        }
        if self.broken {
            return Chunk::Broken;
        }

        if decoded.is_none() && self.out == *chunk {
            Chunk::Unchanged
        } else {
            Chunk::Replaced(Bytes::copy_from_slice(&self.out))
        }
    }

    /// Lets bytes in clear through the stages.
    fn run(&mut self, bytes: &[u8]) {
        let Self {
            source,
            usage,
            stages,
            out,
            must_read,
            broken,
            ..
        } = self;
        match source {
            Source::Events(reader) => {
                reader.push(bytes, |segment| read(segment, usage, stages, out));
            }
            Source::Whole(body) if body.len() + bytes.len() <= BODY_LIMIT => {
                body.extend_from_slice(bytes);
            }
            Source::Whole(_) if *must_read => {
                *broken = true;
                usage.unread();
                *source = Source::TooLarge;
            }
            Source::Whole(body) => {
                out.append(body);
                out.extend_from_slice(bytes);
                usage.unread();
                *source = Source::TooLarge;
            }
            Source::TooLarge => out.extend_from_slice(bytes),
        }
    }

    /// Passes on what is held: the body has ended.
    fn close(&mut self) {
        let Self {
            source,
            usage,
            stages,
            out,
            broken,
            ..
        } = self;
        match std::mem::replace(source, Source::TooLarge) {
            Source::Events(mut reader) => {
                reader.finish(|segment| read(segment, usage, stages, out));
                let mut rest = stages.as_mut_slice();
                while let Some((stage, stages)) = rest.split_first_mut() {
                    stage.finish(&mut Next { stages, out });
                    rest = stages;
                }
            }
            Source::Whole(mut body) => {
                usage.body(&body);
                for stage in stages {
                    match stage.body(&body) {
                        Whole::Unchanged => {}
                        Whole::Replaced(new) => body = new,
                        Whole::Broken => {
                            *broken = true;
                            return;
                        }
                    }
                }
                out.append(&mut body);
            }
            Source::TooLarge => {}
        }
    }
}

/// Counts a piece of a stream, then lets it through the stages.
fn read(
    segment: Segment<'_>,
    usage: &mut UsageFold,
    stages: &mut [Box<dyn Stage>],
    out: &mut Vec<u8>,
) {
    usage.segment(segment);
    Next { stages, out }.pass(segment);
}

#[cfg(test)]
mod tests;
