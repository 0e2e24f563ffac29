//! Answers of Anthropic Messages: a message that begins, its content blocks with their deltas, and
//! its end.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Delta, DeltaKind, Part, Sink, ToolCall, delta, number, read_error, text};
use crate::json::{self, Kind};
use crate::usage::Usage;

/// Token counts as they stand: the beginning of a message reports some, its end others.
#[derive(Deserialize, Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

impl Counts {
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
            reasoning: None,
        }
    }
}

/// Reads an event.
pub(super) fn event<'a>(data: &'a [u8], counts: &mut Counts, sink: Sink<'_, 'a>) {
    let Ok(event) = serde_json::from_slice::<Event<'a>>(data) else {
        return;
    };
    let index = number(event.index);
    if let Some(message) = event.message {
        message.parts(counts, sink);
    }
    if let Some(usage) = event.usage {
        sink(Part::Usage(counts.update(usage)));
    }
    let kind = event.kind.unwrap_or_default();
    if kind == "content_block_delta" {
        // Every delta is something of the answer, also one of a kind that has no name here.
        let (kind, raw) = event
            .delta
            .as_ref()
            .map_or((DeltaKind::Other, "null"), said);
        sink(Part::Delta(Delta { index, kind, raw }));
    }
    if let Some(reason) = event.delta.and_then(|delta| delta.stop_reason) {
        sink(Part::Stop(reason));
    }
    match kind.as_ref() {
        "content_block_start" => {
            if let Some(Ok(block)) = event.content_block.map(Block::read)
                && block.is_call()
            {
                sink(Part::ToolCall(block.call(index)));
            }
        }
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
        return;
    };
    match message.content.map(RawValue::get) {
        Some(blocks) if Kind::of(blocks) == Kind::Array => {
            let mut index = 0;
            json::elements(blocks, |raw| {
                block(raw, index, sink);
                index += 1;
            });
        }
        _ => delta(DeltaKind::Text, 0, message.content, sink),
    }
    message.parts(counts, sink);
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
        Some("text") => delta(DeltaKind::Text, index, block.text, sink),
        Some("thinking") => delta(DeltaKind::Reasoning, index, block.thinking, sink),
        Some("tool_use") => {
            sink(Part::ToolCall(block.call(index)));
            if let Some(input) = block.input {
                let raw = input.get();
                let kind = DeltaKind::ToolArguments;
                sink(Part::Delta(Delta { index, kind, raw }));
            }
        }
        _ => sink(Part::Delta(Delta {
            index,
            kind: DeltaKind::Other,
            raw,
        })),
    }
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
    usage: Option<Counts>,
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
    content: Option<&'a RawValue>,
    usage: Option<Counts>,
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
        if let Some(reason) = self.stop_reason {
            sink(Part::Stop(reason));
        }
        if let Some(usage) = self.usage {
            sink(Part::Usage(counts.update(usage)));
        }
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
    stop_reason: Option<Cow<'a, str>>,
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
}

impl<'a> Block<'a> {
    fn read(raw: &'a RawValue) -> Result<Self, serde_json::Error> {
        serde_json::from_str(raw.get())
    }

    fn is_call(&self) -> bool {
        self.kind.as_deref() == Some("tool_use")
    }

    fn call(&self, index: u64) -> ToolCall<'a> {
        ToolCall {
            index,
            id: text(self.id),
            name: text(self.name),
        }
    }
}
