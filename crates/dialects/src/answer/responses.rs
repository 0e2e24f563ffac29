//! Answers of OpenAI Responses: typed events; some carry the whole response so far.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chat::Details;
use super::{
    Delta, DeltaKind, Part, Sink, ToolCall, delta, holds_something, number, read_error, text,
};
use crate::json::{self, Kind};
use crate::usage::Usage;

/// Reads an event.
pub(super) fn event<'a>(data: &'a [u8], sink: Sink<'_, 'a>) {
    let Ok(event) = serde_json::from_slice::<Event<'a>>(data) else {
        return;
    };
    let kind = event.kind.unwrap_or_default();
    let index = number(event.output_index);
    if kind.ends_with(".delta") {
        // Every delta is something of the answer, also one whose value is missing.
        let raw = event.delta.map_or("null", RawValue::get);
        let kind = delta_kind(&kind);
        sink(Part::Delta(Delta { index, kind, raw }));
    }
    if let ("response.output_item.added", Some(item)) = (kind.as_ref(), event.item)
        && let Ok(item) = serde_json::from_str::<Item<'a>>(item.get())
        && item.is_call()
    {
        sink(Part::ToolCall(item.call(index)));
    }
    if let Some(response) = event.response {
        response.parts(sink);
    }
    match kind.as_ref() {
        "response.completed" | "response.incomplete" | "response.failed" => sink(Part::End),
        "error" => {
            if let Ok(whole) = std::str::from_utf8(data) {
                sink(Part::Error(read_error(whole)));
            }
        }
        _ => {}
    }
}

/// Reads a whole response.
pub(super) fn body<'a>(body: &'a [u8], sink: Sink<'_, 'a>) {
    let Ok(response) = serde_json::from_slice::<Response<'a>>(body) else {
        return;
    };
    match response.output.map(RawValue::get) {
        Some(items) if Kind::of(items) == Kind::Array => {
            let mut index = 0;
            json::elements(items, |item| {
                output_item(item, index, sink);
                index += 1;
            });
        }
        _ => delta(DeltaKind::Other, 0, response.output, sink),
    }
    response.parts(sink);
}

fn delta_kind(event: &str) -> DeltaKind {
    match event {
        "response.output_text.delta" => DeltaKind::Text,
        "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
            DeltaKind::Reasoning
        }
        "response.refusal.delta" => DeltaKind::Refusal,
        "response.function_call_arguments.delta" => DeltaKind::ToolArguments,
        _ => DeltaKind::Other,
    }
}

fn output_item<'a>(raw: &'a str, index: u64, sink: Sink<'_, 'a>) {
    let item = serde_json::from_str::<Item<'a>>(raw).unwrap_or_default();
    let content = item.content.map(RawValue::get);
    match (item.kind.as_deref(), content) {
        (Some("message"), Some(parts))
            if Kind::of(parts) == Kind::Array && holds_something(parts) =>
        {
            json::elements(parts, |part| content_part(part, index, sink));
        }
        (Some("function_call"), _) => {
            sink(Part::ToolCall(item.call(index)));
            delta(DeltaKind::ToolArguments, index, item.arguments, sink);
        }
        _ => sink(Part::Delta(Delta {
            index,
            kind: DeltaKind::Other,
            raw,
        })),
    }
}

fn content_part<'a>(raw: &'a str, index: u64, sink: Sink<'_, 'a>) {
    let part = serde_json::from_str::<ContentPart<'a>>(raw).unwrap_or_default();
    delta(DeltaKind::Text, index, part.text, sink);
    delta(DeltaKind::Refusal, index, part.refusal, sink);
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    output_index: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
}

#[derive(Deserialize, Default)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

impl<'a> Item<'a> {
    fn is_call(&self) -> bool {
        self.kind.as_deref() == Some("function_call")
    }

    fn call(&self, index: u64) -> ToolCall<'a> {
        ToolCall {
            index,
            id: text(self.call_id),
            name: text(self.name),
        }
    }
}

#[derive(Deserialize, Default)]
struct ContentPart<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    usage: Option<ResponseUsage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

impl<'a> Response<'a> {
    /// Reads what the response says of itself, its output apart.
    fn parts(self, sink: Sink<'_, 'a>) {
        if let Some(model) = self.model {
            sink(Part::Model(model));
        }
        if let Some(id) = self.id.filter(|id| !id.is_empty()) {
            sink(Part::Id(id));
        }
        if let Some(usage) = self.usage {
            sink(Part::Usage(usage.into()));
        }
        if let Some(error) = self.error {
            sink(Part::Error(read_error(error.get())));
        }
        let reason = self.incomplete_details.and_then(|details| details.reason);
        let ended = self
            .status
            .filter(|status| !matches!(status.as_ref(), "in_progress" | "queued"));
        if let Some(reason) = reason.or(ended) {
            sink(Part::Stop(reason));
        }
    }
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Clone, Copy)]
struct ResponseUsage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
}

impl From<ResponseUsage> for Usage {
    fn from(usage: ResponseUsage) -> Self {
        let prompt = usage.input_tokens_details.unwrap_or_default();
        Self {
            prompt: usage.input_tokens,
            completion: usage.output_tokens,
            cached: prompt.cached_tokens,
            cache_write: prompt.cache_write_tokens,
            reasoning: usage
                .output_tokens_details
                .unwrap_or_default()
                .reasoning_tokens,
        }
    }
}
