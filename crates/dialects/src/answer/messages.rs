//! Answers of Anthropic Messages: a message that begins, its content blocks with their deltas, and
//! its end.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Citation, Delta, DeltaKind, Part, Sink, ToolCall, delta, number, read_error, text};
use crate::json::{self, Kind};
use crate::usage::Usage;

/// Token counts as they stand: the beginning of a message reports some, its end others.
#[derive(Deserialize, Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize, Debug, Clone, Copy, Default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl Counts {
    /// Reads newer counts; those that cannot be read are passed over.
    fn read<'a>(&mut self, raw: Option<&'a RawValue>, sink: Sink<'_, 'a>) {
        if let Some(Ok(newer)) = raw.map(|raw| serde_json::from_str(raw.get())) {
            sink(Part::Usage(self.update(newer)));
        }
    }

    /// Takes newer counts over.
    fn update(&mut self, newer: Self) -> Usage {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.cache_read_input_tokens = newer
            .cache_read_input_tokens
            .or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = newer
            .cache_creation_input_tokens
            .or(self.cache_creation_input_tokens);
        self.output_tokens_details = newer.output_tokens_details.or(self.output_tokens_details);

        let cached = self.cache_read_input_tokens;
        let cache_write = self.cache_creation_input_tokens;
        let fresh = self.input_tokens.unwrap_or_default();
        Usage {
            prompt: fresh
                .saturating_add(cached.unwrap_or_default())
                .saturating_add(cache_write.unwrap_or_default()),
            completion: self.output_tokens.unwrap_or_default(),
            cached,
            cache_write,
            reasoning: self
                .output_tokens_details
                .and_then(|details| details.thinking_tokens),
        }
    }
}

/// Reads an event.
pub(super) fn event<'a>(data: &'a [u8], counts: &mut Counts, sink: Sink<'_, 'a>) {
    let Ok(event) = serde_json::from_slice::<Event<'a>>(data) else {
        sink(Part::Unreadable);
        return;
    };
    let index = number(event.index);
    if let Some(message) = event.message {
        message.parts(counts, sink);
    }
    counts.read(event.usage, sink);
    let kind = event.kind.unwrap_or_default();
    if kind == "content_block_delta" && !beside(event.delta.as_ref(), index, sink) {
        // Every delta is something of the answer, also one of a kind that has no name here.
        let (kind, raw) = event
            .delta
            .as_ref()
            .map_or((DeltaKind::Other, "null"), said);
        sink(Part::Delta(Delta { index, kind, raw }));
    }
    if let Some(delta) = event.delta {
        stopped(delta.stop_reason, delta.stop_sequence, sink);
    }
    match kind.as_ref() {
        "content_block_start" => {
            if let Some(Ok(block)) = event.content_block.map(Block::read) {
                block.begins(index, sink);
            }
        }
        "content_block_stop" => sink(Part::BlockEnd(index)),
        "ping" => sink(Part::Ping),
        "message_stop" => sink(Part::End),
        "error" => {
            if let Some(error) = event.error {
                sink(Part::Error(read_error(error.get())));
            }
        }
        _ => {}
    }
}

/// Reads a whole message.
pub(super) fn body<'a>(body: &'a [u8], counts: &mut Counts, sink: Sink<'_, 'a>) {
    let Ok(message) = serde_json::from_slice::<Message<'a>>(body) else {
        sink(Part::Unreadable);
        return;
    };
    match message.content.map(RawValue::get) {
        Some(blocks) if Kind::of(blocks) == Kind::Array => {
            let mut index = 0;
            json::elements(blocks, |raw| {
                block(raw, index, sink);
                sink(Part::BlockEnd(index));
                index += 1;
            });
        }
        _ => delta(DeltaKind::Text, 0, message.content, sink),
    }
    message.parts(counts, sink);
}

/// Reads a delta that adds no text: a citation, a signature. Returns whether it is one.
fn beside<'a>(delta: Option<&BlockDelta<'a>>, index: u64, sink: Sink<'_, 'a>) -> bool {
    let Some(delta) = delta else { return false };
    if let Some(raw) = delta.citation {
        // As before, every delta is something of the answer.
        let kind = DeltaKind::Other;
        sink(Part::Delta(Delta {
            index,
            kind,
            raw: raw.get(),
        }));
        citation(raw.get(), index, sink);
        return true;
    }
    if text(delta.signature).is_some() {
        sink(Part::Signature);
    }
    false
}

/// Reads a citation. Those of documents have no address.
fn citation<'a>(raw: &'a str, index: u64, sink: Sink<'_, 'a>) {
    let cited = serde_json::from_str::<Cited<'a>>(raw).unwrap_or_default();
    sink(Part::Citation(Citation {
        index,
        url: text(cited.url)
            .or_else(|| text(cited.source))
            .unwrap_or_default(),
        title: text(cited.title).unwrap_or_default(),
        cited: text(cited.cited_text).unwrap_or_default(),
        span: None,
    }));
}

fn stopped<'a>(reason: Option<Cow<'a, str>>, sequence: Option<&'a RawValue>, sink: Sink<'_, 'a>) {
    if let Some(sequence) = text(sequence) {
        sink(Part::StopSequence(sequence));
    }
    if let Some(reason) = reason {
        sink(Part::Stop(reason));
    }
}

/// Returns what a delta of a content block holds.
fn said<'a>(delta: &BlockDelta<'a>) -> (DeltaKind, &'a str) {
    let kinds = [
        (DeltaKind::Text, delta.text),
        (DeltaKind::ToolArguments, delta.partial_json),
        (DeltaKind::Reasoning, delta.thinking),
    ];
    let found = kinds
        .into_iter()
        .find_map(|(kind, raw)| Some((kind, raw?.get())));
    found.unwrap_or((DeltaKind::Other, "null"))
}

fn block<'a>(raw: &'a str, index: u64, sink: Sink<'_, 'a>) {
    let block = serde_json::from_str::<Block<'a>>(raw).unwrap_or_default();
    match block.kind.as_deref() {
        Some("text") => {
            delta(DeltaKind::Text, index, block.text, sink);
            if let Some(citations) = block.citations {
                json::elements(citations.get(), |raw| citation(raw, index, sink));
            }
        }
        Some("thinking") => {
            delta(DeltaKind::Reasoning, index, block.thinking, sink);
            if text(block.signature).is_some() {
                sink(Part::Signature);
            }
        }
        Some("tool_use") => {
            sink(Part::ToolCall(block.call(index)));
            if let Some(input) = block.input {
                let raw = input.get();
                let kind = DeltaKind::ToolArguments;
                sink(Part::Delta(Delta { index, kind, raw }));
            }
        }
        _ => {
            sink(Part::Delta(Delta {
                index,
                kind: DeltaKind::Other,
                raw,
            }));
            sink(Part::Foreign(block.kind.unwrap_or_default()));
        }
    }
}

#[derive(Deserialize, Default)]
struct Cited<'a> {
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow)]
    cited_text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<BlockDelta<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_sequence: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// Reads what the message says of itself, its content apart.
    fn parts(self, counts: &mut Counts, sink: Sink<'_, 'a>) {
        if let Some(id) = text(self.id) {
            sink(Part::Id(id));
        }
        if let Some(model) = self.model {
            sink(Part::Model(model));
        }
        stopped(self.stop_reason, self.stop_sequence, sink);
        counts.read(self.usage, sink);
        if let Some(error) = self.error {
            sink(Part::Error(read_error(error.get())));
        }
    }
}

/// The `delta` of an event: more of a content block, or of the message itself.
#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_sequence: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
}

impl<'a> Block<'a> {
    fn read(raw: &'a RawValue) -> Result<Self, serde_json::Error> {
        serde_json::from_str(raw.get())
    }

    /// Says what begins with an event. Some servers put a first text there.
    fn begins(self, index: u64, sink: Sink<'_, 'a>) {
        match self.kind.as_deref() {
            Some("tool_use") => sink(Part::ToolCall(self.call(index))),
            Some("text") => delta(DeltaKind::Text, index, self.text, sink),
            Some("thinking") => delta(DeltaKind::Reasoning, index, self.thinking, sink),
            _ => sink(Part::Foreign(self.kind.unwrap_or_default())),
        }
    }

    fn call(&self, index: u64) -> ToolCall<'a> {
        ToolCall {
            index,
            id: text(self.id),
            name: text(self.name),
        }
    }
}
