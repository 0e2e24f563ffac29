//! Server-sent events: an incremental reader that no chunking changes, and a writer.
//!
//! The reader is our own. The crates that are kept (`eventsource-stream`, `sse-stream`) adapt an
//! async body and give out decoded, owned text; the response's way is synchronous, and needs the
//! bytes as they came, so that what no stage changes goes on byte for byte, comments and line ends
//! included.

use std::ops::Range;

/// The content type of an event stream.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// How many bytes one event may have before it is passed over unread.
const EVENT_LIMIT: usize = 1 << 20;

/// A piece of a stream. All segments together are the stream, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// An event.
    Event(Event<'a>),
    /// Bytes that say nothing: comments, blank lines, fields without data.
    Filler(&'a [u8]),
    /// A part of an event that is too large to be read.
    Unread(&'a [u8]),
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its bytes as they came, line ends included.
    pub raw: &'a [u8],
    /// The `event:` field; empty if absent or not UTF-8.
    pub name: &'a str,
    /// The `data:` lines, joined by line feeds. Where there is one line it lies within
    /// [`Event::raw`].
    pub data: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Reads bytes that are one event, or none. `joined` is room for data of several lines.
    #[must_use]
    pub fn read(raw: &'a [u8], joined: &'a mut Vec<u8>) -> Self {
        read(raw, false, joined).map_or(Self::Filler(raw), Self::Event)
    }

    /// Its bytes.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        match self {
            Self::Event(event) => event.raw,
            Self::Filler(raw) | Self::Unread(raw) => raw,
        }
    }
}

impl Event<'_> {
    /// Where a part of the data lies within [`Event::raw`]; `None` if it spans several lines.
    #[must_use]
    pub fn within_raw(&self, span: &Range<usize>) -> Option<Range<usize>> {
        let mut before = 0;
        for value in data_lines(self.raw) {
            let end = before + value.len();
            if span.start <= end {
                let fits = span.end <= end;
                let shift = |at: usize| at - before + value.start;
                return fits.then(|| shift(span.start)..shift(span.end));
            }
            // The line feed that joins it to the next line.
            before = end + 1;
        }
        None
    }
}

/// Reads events out of a stream's chunks. It holds at most one event, of bounded size, and gives
/// out a comment as soon as its line is complete: a keep-alive must not wait for an event.
#[derive(Debug, Default)]
pub struct SseReader {
    /// What has come of an event that is not complete.
    held: Vec<u8>,
    /// The data of an event that has several lines of it.
    joined: Vec<u8>,
    /// The line that the last chunk ended in.
    line: Line,
    /// A line other than a comment has come of the event.
    has_fields: bool,
    /// The last chunk ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A first event was read, so no byte order mark can follow.
    begun: bool,
    /// The event is too large; its bytes are given out as they come.
    oversized: bool,
    /// Events passed over for their size.
    dropped: u64,
}

/// What is known of a line whose end has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    #[default]
    Empty,
    Comment,
    Field,
}

impl SseReader {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Events passed over because they were too large.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Reads a chunk and gives everything that it completes to `sink`.
    pub fn push(&mut self, chunk: &[u8], mut sink: impl FnMut(Segment<'_>)) {
        let mut rest = chunk;
        if !rest.is_empty() && std::mem::take(&mut self.after_cr) && rest.starts_with(b"\n") {
            // Mid-event the LF goes along; after an event, which has left, it goes by itself.
            if self.is_between() {
                let (feed, after) = rest.split_at(1);
                sink(Segment::Filler(feed));
                rest = after;
            } else {
                self.hold(b"\n", &mut sink);
                rest = rest.get(1..).unwrap_or_default();
            }
        }

        // `rest` begins with what was not given out; lines up to `read` belong to one event.
        let mut read = 0;
        while let Some(unread) = rest.get(read..) {
            let Some(at) = memchr::memchr2(b'\n', b'\r', unread) else {
                self.line = self.line.with(unread);
                break;
            };
            let line = std::mem::take(&mut self.line).with(unread.get(..at).unwrap_or_default());
            read += at + self.line_end(unread.get(at..).unwrap_or_default());

            let ends_here = match line {
                Line::Empty => true,
                Line::Comment => !self.has_fields,
                Line::Field => {
                    self.has_fields = true;
                    false
                }
            };
            if ends_here {
                let (event, after) = rest.split_at_checked(read).unwrap_or((rest, b""));
                self.complete(event, line == Line::Empty, &mut sink);
                rest = after;
                read = 0;
            }
        }
        self.hold(rest, &mut sink);
    }

    /// The stream has ended: gives out the event that no blank line has closed.
    pub fn finish(&mut self, mut sink: impl FnMut(Segment<'_>)) {
        self.complete(b"", true, &mut sink);
        self.line = Line::Empty;
    }

    /// Nothing of an event has come since the last one.
    fn is_between(&self) -> bool {
        self.held.is_empty() && !self.oversized && !self.has_fields && self.line == Line::Empty
    }

    /// How long the line end is that `bytes` begin with.
    fn line_end(&mut self, bytes: &[u8]) -> usize {
        match bytes {
            [b'\r', b'\n', ..] => 2,
            [b'\r'] => {
                self.after_cr = true;
                1
            }
            _ => 1,
        }
    }

    /// Keeps the beginning of an event until the rest comes; of one that grows too large nothing is
    /// kept any more.
    fn hold(&mut self, piece: &[u8], sink: &mut impl FnMut(Segment<'_>)) {
        if piece.is_empty() {
            return;
        }
        if !self.oversized && self.held.len() + piece.len() > EVENT_LIMIT {
            self.oversized = true;
            sink(Segment::Unread(&std::mem::take(&mut self.held)));
        }
        if self.oversized {
            sink(Segment::Unread(piece));
        } else {
            self.held.extend_from_slice(piece);
        }
    }

    /// Gives out what is held together with `rest`. `whole`: the event has ended; otherwise it is a
    /// comment before one.
    fn complete(&mut self, rest: &[u8], whole: bool, sink: &mut impl FnMut(Segment<'_>)) {
        let mut held = std::mem::take(&mut self.held);
        let raw = if held.is_empty() {
            rest
        } else {
            held.extend_from_slice(rest);
            &held
        };
        if !raw.is_empty() && !self.oversized {
            self.oversized = raw.len() > EVENT_LIMIT;
            let segment = match read(raw, !self.begun, &mut self.joined) {
                _ if self.oversized => Segment::Unread(raw),
                Some(event) => Segment::Event(event),
                None => Segment::Filler(raw),
            };
            sink(segment);
            self.begun = true;
        } else if !raw.is_empty() {
            sink(Segment::Unread(raw));
        }
        if whole {
            self.dropped += u64::from(std::mem::take(&mut self.oversized));
            self.has_fields = false;
        }
        // The allocation serves the next event.
        held.clear();
        self.held = held;
    }
}

impl Line {
    /// The same line with more of it.
    fn with(self, more: &[u8]) -> Self {
        match (self, more.first()) {
            (Self::Empty, Some(b':')) => Self::Comment,
            (Self::Empty, Some(_)) => Self::Field,
            _ => self,
        }
    }
}

/// The byte order mark that a stream may begin with.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The fields of an event: name and value of each line, and where the value begins.
fn fields(raw: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let lines = raw.get(at..).filter(|lines| !lines.is_empty())?;
        let length = memchr::memchr2(b'\n', b'\r', lines).unwrap_or(lines.len());
        let line = lines.get(..length)?;
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (field, value) = line.split_at_checked(colon)?;
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let begin = at + length - value.len();
        // The LF of a CRLF is taken for an empty line, which changes nothing.
        at += length + 1;
        Some((field, value, begin))
    })
}

/// Where the values of the `data:` lines lie.
fn data_lines(raw: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let marked = usize::from(raw.starts_with(MARK)) * MARK.len();
    fields(raw.get(marked..).unwrap_or_default())
        .filter(|(field, ..)| *field == b"data")
        .map(move |(_, value, begin)| marked + begin..marked + begin + value.len())
}

/// Reads the fields of a whole event; `None` if it has no data.
fn read<'a>(raw: &'a [u8], first: bool, joined: &'a mut Vec<u8>) -> Option<Event<'a>> {
    let text = if first {
        raw.strip_prefix(MARK).unwrap_or(raw)
    } else {
        raw
    };
    let mut name: &[u8] = b"";
    let mut data: Option<&[u8]> = None;
    let mut several = false;
    joined.clear();

    for (field, value, _) in fields(text) {
        match (field, data) {
            (b"event", _) => name = value,
            (b"data", None) => data = Some(value),
            (b"data", Some(before)) => {
                if !std::mem::replace(&mut several, true) {
                    joined.extend_from_slice(before);
                }
                joined.push(b'\n');
                joined.extend_from_slice(value);
            }
            _ => {}
        }
    }
    let data = data?;
    Some(Event {
        raw,
        name: std::str::from_utf8(name).unwrap_or_default(),
        data: if several { &*joined } else { data },
    })
}

/// Appends an event. `data` must not contain line ends, which JSON never does.
pub fn write(out: &mut String, name: Option<&str>, data: &str) {
    if let Some(name) = name {
        out.push_str("event: ");
        out.push_str(name);
        out.push('\n');
    }
    out.push_str("data: ");
    out.push_str(data);
    out.push_str("\n\n");
}

#[cfg(test)]
mod tests;
