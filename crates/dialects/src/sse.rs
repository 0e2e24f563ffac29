//! Server-sent events: an incremental reader that any chunking leaves unimpressed, and a writer.

/// The content type of an event stream.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// How many bytes one event may have before it is dropped.
const EVENT_LIMIT: usize = 1 << 20;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event:` field; empty if absent.
    pub name: &'a str,
    /// The `data:` lines, joined by line feeds.
    pub data: &'a [u8],
}

/// Reads events out of a stream's chunks. It holds at most one event, of bounded size.
#[derive(Debug, Default)]
pub struct SseReader {
    /// The line that the last chunk ended in.
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    has_data: bool,
    /// The last chunk ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A first line was read, so no byte order mark can follow.
    begun: bool,
    /// The current event is too large.
    oversized: bool,
    /// Events dropped for their size.
    dropped: u64,
}

impl SseReader {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Events dropped because they were too large.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Reads a chunk and gives every event that it completes to `sink`.
    pub fn push(&mut self, chunk: &[u8], mut sink: impl FnMut(Event<'_>)) {
        let mut rest = chunk;
        while let Some((&first, after_first)) = rest.split_first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = after_first;
                continue;
            }
            let Some((line, end, after)) = split_line(rest) else {
                self.hold(rest);
                return;
            };
            self.after_cr = end == b'\r';
            rest = after;
            if self.line.is_empty() {
                self.read_line(line, &mut sink);
            } else {
                self.hold(line);
                let held = std::mem::take(&mut self.line);
                self.read_line(&held, &mut sink);
                self.line = held;
                self.line.clear();
            }
        }
    }

    /// The stream has ended: gives out the event that no blank line has closed.
    pub fn finish(&mut self, mut sink: impl FnMut(Event<'_>)) {
        let held = std::mem::take(&mut self.line);
        if !held.is_empty() {
            self.read_line(&held, &mut sink);
        }
        self.dispatch(&mut sink);
    }

    /// Keeps the beginning of a line until its end comes. Of a line that grows too large the end is
    /// left out: the event is dropped anyway, but the line must stay non-blank.
    fn hold(&mut self, piece: &[u8]) {
        if self.line.len() + piece.len() > EVENT_LIMIT {
            self.oversized = true;
            self.line.truncate(1);
            if self.line.is_empty() {
                self.line.push(b':');
            }
        } else {
            self.line.extend_from_slice(piece);
        }
    }

    fn read_line(&mut self, line: &[u8], sink: &mut impl FnMut(Event<'_>)) {
        let line = if std::mem::replace(&mut self.begun, true) {
            line
        } else {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        };
        if line.is_empty() {
            self.dispatch(sink);
            return;
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => {
                self.name.clear();
                self.name.push_str(&String::from_utf8_lossy(value));
            }
            b"data" => self.add_data(value),
            _ => {}
        }
    }

    fn add_data(&mut self, value: &[u8]) {
        if self.data.len() + value.len() > EVENT_LIMIT {
            self.oversized = true;
        }
        if self.oversized {
            return;
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
    }

    fn dispatch(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        if std::mem::take(&mut self.oversized) {
            self.dropped += 1;
        } else if self.has_data {
            sink(Event {
                name: &self.name,
                data: &self.data,
            });
        }
        self.has_data = false;
        self.name.clear();
        self.data.clear();
    }
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

/// The first line, the byte that ends it, and what follows.
fn split_line(text: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let at = memchr::memchr2(b'\n', b'\r', text)?;
    let (line, rest) = text.split_at_checked(at)?;
    let (&end, after) = rest.split_first()?;
    Some((line, end, after))
}

#[cfg(test)]
mod tests;
