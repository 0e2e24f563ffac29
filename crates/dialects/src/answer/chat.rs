//! Answers of OpenAI chat completions. A chunk of a stream and a whole body differ in one word:
//! `delta` or `message`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{DeltaKind, Part, Sink, ToolCall, delta, holds_something, number, read_error, text};
use crate::json::{self, Kind};
use crate::usage::Usage;

/// Reads a chunk or a body. `is_error`: the event's name says that its data is an error.
pub(super) fn read<'a>(data: &'a [u8], is_error: bool, sink: Sink<'_, 'a>) {
    let Ok(chunk) = serde_json::from_slice::<Chunk<'a>>(data) else {
        return;
    };
    if let Some(id) = text(chunk.id) {
        sink(Part::Id(id));
    }
    if let Some(model) = chunk.model {
        sink(Part::Model(model));
    }
    for choice in chunk.choices.unwrap_or_default() {
        let index = number(choice.index);
        delta(DeltaKind::Text, index, choice.text, sink);
        let said = choice.delta.or(choice.message).unwrap_or_default();
        said.parts(index, sink);
        if let Some(reason) = choice.finish_reason {
            sink(Part::Stop(reason));
        }
    }
    if let Some(usage) = chunk.usage {
        sink(Part::Usage(usage.into()));
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
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<ChatUsage>,
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
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

impl<'a> Said<'a> {
    fn parts(&self, choice: u64, sink: Sink<'_, 'a>) {
        delta(DeltaKind::Reasoning, choice, self.reasoning_content, sink);
        delta(DeltaKind::Reasoning, choice, self.reasoning, sink);
        delta(DeltaKind::Text, choice, self.content, sink);
        delta(DeltaKind::Refusal, choice, self.refusal, sink);
        match self.tool_calls.map(RawValue::get) {
            Some(calls) if Kind::of(calls) == Kind::Array => {
                json::elements(calls, |call| tool_call(call, sink));
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

/// Reads one element of `tool_calls`.
fn tool_call<'a>(raw: &'a str, sink: Sink<'_, 'a>) {
    match serde_json::from_str::<Call<'a>>(raw) {
        Ok(Call {
            index,
            id,
            function: Some(called),
        }) => function(number(index), text(id), called.get(), sink),
        _ => function(0, None, raw, sink),
    }
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
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
}

impl From<ChatUsage> for Usage {
    fn from(usage: ChatUsage) -> Self {
        let prompt = usage.prompt_tokens_details.unwrap_or_default();
        Self {
            prompt: usage.prompt_tokens,
            completion: usage.completion_tokens,
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
