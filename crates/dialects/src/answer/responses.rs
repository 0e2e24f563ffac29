//! Answers of OpenAI Responses: typed events; some carry the whole response so far.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chat::{Details, UrlCitation};
use super::{
    Citation, Delta, DeltaKind, Part, Sink, ToolCall, delta, foreign, holds_something, number,
    offset, read_error, text,
};
use crate::json::{self, Kind};
use crate::usage::Usage;

/// Reads an event.
pub(super) fn event<'a>(data: &'a [u8], sink: Sink<'_, 'a>) {
    let Ok(mut event) = serde_json::from_slice::<Event<'a>>(data) else {
        sink(Part::Unreadable);
        return;
    };
    let kind = event.kind.take().unwrap_or_default();
    let index = number(event.output_index);
    if kind.ends_with(".delta") {
        // Every delta is something of the answer, also one whose value is missing.
        let raw = event.delta.map_or("null", RawValue::get);
        let kind = delta_kind(&kind);
        sink(Part::Delta(Delta { index, kind, raw }));
    }
    if let Some(item) = event.item {
        item_event(&kind, item, index, sink);
    }
    if let Some(raw) = event.annotation {
        annotation(raw.get(), index, sink);
    }
    if let Some((kind, raw)) = whole(&kind, &event) {
        sink(Part::Whole(Delta { index, kind, raw }));
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
        sink(Part::Unreadable);
        return;
    };
    match response.output.map(RawValue::get) {
        Some(items) if Kind::of(items) == Kind::Array => {
            let mut index = 0;
            json::elements(items, |item| {
                output_item(item, index, sink);
                sink(Part::BlockEnd(index));
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

/// Reads what an event says of an item: that it begins, or ends.
fn item_event<'a>(event: &str, item: &'a RawValue, index: u64, sink: Sink<'_, 'a>) {
    let item = serde_json::from_str::<Item<'a>>(item.get()).unwrap_or_default();
    let kind = item.kind.as_deref().unwrap_or_default();
    match (event, kind) {
        ("response.output_item.added", "function_call") => {
            sink(Part::ToolCall(item.call(index)));
        }
        ("response.output_item.added", "message" | "reasoning") => {}
        ("response.output_item.added", _) => sink(Part::Foreign(item.kind.unwrap_or_default())),
        ("response.output_item.done", _) => {
            if let ("function_call", Some(raw)) = (kind, item.arguments) {
                let kind = DeltaKind::ToolArguments;
                let raw = raw.get();
                sink(Part::Whole(Delta { index, kind, raw }));
            }
            if text(item.encrypted_content).is_some() {
                sink(Part::Signature);
            }
            sink(Part::BlockEnd(index));
        }
        _ => {}
    }
}

/// Returns the whole text that an event ends a part with.
fn whole<'a>(kind: &str, event: &Event<'a>) -> Option<(DeltaKind, &'a str)> {
    let (kind, raw) = match kind {
        "response.output_text.done" => (DeltaKind::Text, event.text),
        "response.reasoning_text.done" | "response.reasoning_summary_text.done" => {
            (DeltaKind::Reasoning, event.text)
        }
        "response.refusal.done" => (DeltaKind::Refusal, event.refusal),
        "response.function_call_arguments.done" => (DeltaKind::ToolArguments, event.arguments),
        _ => return None,
    };
    Some((kind, raw?.get()))
}

/// Reads an annotation. Files have no address.
fn annotation<'a>(raw: &'a str, index: u64, sink: Sink<'_, 'a>) {
    let kind = serde_json::from_str::<ContentPart<'a>>(raw)
        .unwrap_or_default()
        .kind;
    let Ok(url @ UrlCitation { url: Some(_), .. }) = serde_json::from_str(raw) else {
        foreign(kind, sink);
        return;
    };
    sink(Part::Citation(Citation {
        index,
        url: text(url.url).unwrap_or_default(),
        title: text(url.title).unwrap_or_default(),
        cited: Cow::Borrowed(""),
        span: offset(url.start_index).zip(offset(url.end_index)),
    }));
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
        (kind, _) => {
            sink(Part::Delta(Delta {
                index,
                kind: DeltaKind::Other,
                raw,
            }));
            match kind {
                Some("reasoning") => item.reasoning(index, sink),
                Some("message") => {}
                _ => sink(Part::Foreign(item.kind.unwrap_or_default())),
            }
        }
    }
}

fn content_part<'a>(raw: &'a str, index: u64, sink: Sink<'_, 'a>) {
    let part = serde_json::from_str::<ContentPart<'a>>(raw).unwrap_or_default();
    delta(DeltaKind::Text, index, part.text, sink);
    if let Some(annotations) = part.annotations {
        json::elements(annotations.get(), |raw| annotation(raw, index, sink));
    }
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
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
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
    #[serde(borrow)]
    summary: Option<&'a RawValue>,
    #[serde(borrow)]
    encrypted_content: Option<&'a RawValue>,
}

impl<'a> Item<'a> {
    /// Gives the text of reasoning, or else its summary.
    fn reasoning(&self, index: u64, sink: Sink<'_, 'a>) {
        let content = self.content.filter(|raw| holds_something(raw.get()));
        if let Some(texts) = content.or(self.summary) {
            json::elements(texts.get(), |raw| {
                let part = serde_json::from_str::<ContentPart<'a>>(raw).unwrap_or_default();
                delta(DeltaKind::Reasoning, index, part.text, sink);
            });
        }
        if text(self.encrypted_content).is_some() {
            sink(Part::Signature);
        }
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
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
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
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
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
        // Some servers say it with a fraction.
        let created = self.created_at.and_then(|raw| {
            let whole = raw.get().split('.').next()?;
            whole.parse().ok()
        });
        if let Some(created) = created {
            sink(Part::Created(created));
        }
        let usage = self.usage.map(|usage| serde_json::from_str(usage.get()));
        if let Some(Ok(usage)) = usage {
            sink(Part::Usage(ResponseUsage::into(usage)));
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
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
}

impl From<ResponseUsage> for Usage {
    fn from(usage: ResponseUsage) -> Self {
        let prompt = usage.input_tokens_details.unwrap_or_default();
        Self {
            prompt: usage.input_tokens.unwrap_or_default(),
            completion: usage.output_tokens.unwrap_or_default(),
            cached: prompt.cached_tokens,
            cache_write: prompt.cache_write_tokens,
            reasoning: usage
                .output_tokens_details
                .unwrap_or_default()
                .reasoning_tokens,
        }
    }
}
