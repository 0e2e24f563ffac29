//! Answers of OpenAI chat completions. A chunk of a stream and a whole body differ in one word:
//! `delta` or `message`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Citation, DeltaKind, Part, Sink, ToolCall, content, delta, foreign, holds_something, number,
    offset, read_error, text,
};
use crate::json::{self, Kind};
use crate::usage::Usage;

/// Reads a chunk or a body. `is_error`: the event's name says that its data is an error.
pub(super) fn read<'a>(data: &'a [u8], is_error: bool, sink: Sink<'_, 'a>) {
    let Ok(chunk) = serde_json::from_slice::<Chunk<'a>>(data) else {
        sink(Part::Unreadable);
        return;
    };
    if let Some(id) = text(chunk.id) {
        sink(Part::Id(id));
    }
    if let Some(model) = chunk.model {
        sink(Part::Model(model));
    }
    if let Some(created) = offset(chunk.created) {
        sink(Part::Created(created));
    }
    let mut before = 0;
    for choice in chunk.choices.unwrap_or_default() {
        let index = number(choice.index);
        if std::mem::replace(&mut before, index) != index {
            sink(Part::Choice(index));
        }
        choice.parts(index, sink);
    }
    let usage = chunk.usage.map(|usage| serde_json::from_str(usage.get()));
    if let Some(Ok(usage)) = usage {
        sink(Part::Usage(ChatUsage::into(usage)));
    }
    match chunk.error {
        Some(error) => sink(Part::Error(read_error(error.get()))),
        None if is_error => {
            if let Ok(whole) = std::str::from_utf8(data) {
                sink(Part::Error(read_error(whole)));
            }
        }
        None => {}
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<Said<'a>>,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    /// What vLLM stopped at: a text, or a token.
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
}

impl<'a> Choice<'a> {
    fn parts(self, index: u64, sink: Sink<'_, 'a>) {
        delta(DeltaKind::Text, index, self.text, sink);
        let said = self.delta.or(self.message).unwrap_or_default();
        said.parts(index, sink);
        if let Some(sequence) = text(self.stop_reason) {
            sink(Part::StopSequence(sequence));
        }
        if let Some(reason) = self.finish_reason {
            sink(Part::Stop(reason));
        }
    }
}

#[derive(Deserialize, Default)]
struct Said<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

impl<'a> Said<'a> {
    fn parts(&self, choice: u64, sink: Sink<'_, 'a>) {
        // Servers that rename the member send both, with the same text.
        let reasoning = self
            .reasoning_content
            .filter(|raw| holds_something(raw.get()));
        let reasoning = reasoning.or(self.reasoning);
        content(DeltaKind::Reasoning, choice, reasoning, sink);
        content(DeltaKind::Text, choice, self.content, sink);
        if let Some(annotations) = self.annotations {
            json::elements(annotations.get(), |raw| annotation(raw, choice, sink));
        }
        delta(DeltaKind::Refusal, choice, self.refusal, sink);
        match self.tool_calls.map(RawValue::get) {
            Some(calls) if Kind::of(calls) == Kind::Array => {
                let mut place = 0;
                json::elements(calls, |call| {
                    tool_call(call, place, sink);
                    place += 1;
                });
            }
            _ => delta(DeltaKind::Other, choice, self.tool_calls, sink),
        }
        if let Some(call) = self
            .function_call
            .filter(|call| holds_something(call.get()))
        {
            function(0, None, call.get(), sink);
        }
    }
}

/// Reads one element of `annotations`.
fn annotation<'a>(raw: &'a str, index: u64, sink: Sink<'_, 'a>) {
    let annotation = serde_json::from_str::<Annotation<'a>>(raw).unwrap_or_default();
    let Some(url) = annotation.url_citation else {
        foreign(annotation.kind, sink);
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

/// Reads one element of `tool_calls`. Whole messages do not number them: their place does.
fn tool_call<'a>(raw: &'a str, place: u64, sink: Sink<'_, 'a>) {
    match serde_json::from_str::<Call<'a>>(raw) {
        Ok(Call {
            index,
            id,
            function: Some(called),
        }) => {
            let index = index.map_or(place, |index| number(Some(index)));
            function(index, text(id), called.get(), sink);
        }
        _ => function(place, None, raw, sink),
    }
}

#[derive(Deserialize, Default)]
struct Annotation<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    url_citation: Option<UrlCitation<'a>>,
}

/// A page that an answer cites, as both OpenAI wires say it.
#[derive(Deserialize, Default)]
pub(super) struct UrlCitation<'a> {
    #[serde(borrow)]
    pub(super) url: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) title: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) start_index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) end_index: Option<&'a RawValue>,
}

/// Reads a function with its arguments, or a piece of them. Whatever is there gives one delta,
/// which may be empty: that a call begins is something of the answer.
fn function<'a>(index: u64, id: Option<Cow<'a, str>>, raw: &'a str, sink: Sink<'_, 'a>) {
    let function = serde_json::from_str::<Function<'a>>(raw).unwrap_or_default();
    let name = text(function.name);
    if id.is_some() || name.is_some() {
        sink(Part::ToolCall(ToolCall { index, id, name }));
    }
    let (kind, raw) = match function.arguments {
        Some(arguments) => (DeltaKind::ToolArguments, arguments.get()),
        None => (DeltaKind::Other, raw),
    };
    sink(Part::Delta(super::Delta { index, kind, raw }));
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChatUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
}

impl From<ChatUsage> for Usage {
    fn from(usage: ChatUsage) -> Self {
        let prompt = usage.prompt_tokens_details.unwrap_or_default();
        Self {
            prompt: usage.prompt_tokens.unwrap_or_default(),
            completion: usage.completion_tokens.unwrap_or_default(),
            cached: prompt.cached_tokens,
            cache_write: prompt.cache_write_tokens,
            reasoning: usage
                .completion_tokens_details
                .unwrap_or_default()
                .reasoning_tokens,
        }
    }
}

#[derive(Deserialize, Clone, Copy, Default)]
pub(super) struct Details {
    pub(super) cached_tokens: Option<u64>,
    pub(super) cache_write_tokens: Option<u64>,
    pub(super) reasoning_tokens: Option<u64>,
}
