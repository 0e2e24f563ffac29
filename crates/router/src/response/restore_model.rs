//! The answer names the model as its caller did: a client that compares the two, or shows them, is
//! not told of names that only providers use. Only that value's bytes are changed.
//!
//! ```yaml
//! global: {server: {response: {restore_model: true}}}
//! ```

use super::{Next, Stage, Whole};
use dialects::answer::model_spans;
use dialects::sse::Segment;
use dialects::{BodyKind, Dialect};
use serde_json::Value;
use std::ops::Range;

pub(super) struct RestoreModel {
    dialect: Dialect,
    /// The caller's name as JSON.
    name: String,
}

impl RestoreModel {
    pub(super) fn new(dialect: Dialect, name: &str) -> Self {
        Self {
            dialect,
            name: Value::from(name).to_string(),
        }
    }

    /// Returns `text` with the name in the place of each span; `None` without spans.
    fn named(&self, text: &[u8], spans: &[Range<usize>]) -> Option<Vec<u8>> {
        let last = spans.last()?;
        let mut new = Vec::with_capacity(text.len() + self.name.len());
        let mut copied = 0;
        for span in spans {
            new.extend_from_slice(text.get(copied..span.start)?);
            new.extend_from_slice(self.name.as_bytes());
            copied = span.end;
        }
        new.extend_from_slice(text.get(last.end..)?);
        Some(new)
    }
}

impl Stage for RestoreModel {
    fn segment(&mut self, segment: Segment<'_>, next: &mut Next<'_>) {
        let Segment::Event(event) = segment else {
            return next.pass(segment);
        };
        let spans = model_spans(self.dialect, BodyKind::EventStream, event.data);
        let within: Option<Vec<_>> = spans.iter().map(|span| event.within_raw(span)).collect();
        match within.and_then(|spans| self.named(event.raw, &spans)) {
            Some(new) => next.write(&new),
            None => next.pass(segment),
        }
    }

    fn body(&mut self, body: &[u8]) -> Whole {
        let spans = model_spans(self.dialect, BodyKind::Json, body);
        self.named(body, &spans)
            .map_or(Whole::Unchanged, Whole::Replaced)
    }
}
