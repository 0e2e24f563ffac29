//! The three wires' responses, as far as usage is concerned.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Outcome, ResponseError, Usage};
use crate::endpoint::Dialect;
use crate::sse::Event;

/// Folds events or a body into an [`Outcome`]. What cannot be read is skipped: it is the client's
/// to complain about.
#[derive(Debug)]
pub(super) struct Fold {
    dialect: Dialect,
    pub(super) outcome: Outcome,
    /// Anthropic reports its counts in two events.
    anthropic: AnthropicUsage,
}

impl Fold {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            outcome: Outcome::default(),
            anthropic: AnthropicUsage::default(),
        }
    }

    pub(super) fn event(&mut self, event: Event<'_>) {
        if event.data == b"[DONE]" {
            self.outcome.complete = true;
            return;
        }
        match self.dialect {
            Dialect::OpenAiChat => self.chat(event.data, event.name == "error"),
            Dialect::OpenAiResponses => self.response_event(event.data),
            Dialect::AnthropicMessages => self.anthropic_event(event.data),
        }
    }

    pub(super) fn body(&mut self, body: &[u8]) {
        match self.dialect {
            Dialect::OpenAiChat => self.chat(body, false),
            Dialect::OpenAiResponses => {
                if let Ok(response) = serde_json::from_slice::<Response<'_>>(body) {
                    self.response(&response);
                    self.outcome.content_started |= holds_something(response.output);
                }
            }
            Dialect::AnthropicMessages => {
                if let Ok(message) = serde_json::from_slice::<AnthropicMessage<'_>>(body) {
                    self.anthropic_message(&message);
                    self.outcome.content_started |= holds_something(message.content);
                }
            }
        }
        self.outcome.complete = self.outcome.error.is_none() && self.outcome.model.is_some();
    }

    fn chat(&mut self, data: &[u8], is_error: bool) {
        let Ok(chunk) = serde_json::from_slice::<ChatChunk<'_>>(data) else {
            return;
        };
        self.model(chunk.model);
        for choice in chunk.choices.unwrap_or_default() {
            let said = choice.delta.or(choice.message).unwrap_or_default();
            self.outcome.content_started |= said.holds_something() || holds_something(choice.text);
            self.finish_reason(choice.finish_reason);
        }
        if let Some(usage) = chunk.usage {
            self.outcome.usage = Some(usage.into());
        }
        match chunk.error {
            Some(error) => self.outcome.error = Some(read_error(error.get())),
            None if is_error => self.outcome.error = std::str::from_utf8(data).ok().map(read_error),
            None => {}
        }
    }

    fn response_event(&mut self, data: &[u8]) {
        let Ok(event) = serde_json::from_slice::<ResponseEvent<'_>>(data) else {
            return;
        };
        let kind = event.kind.unwrap_or_default();
        self.outcome.content_started |= kind.ends_with(".delta");
        if let Some(response) = &event.response {
            self.response(response);
        }
        match kind.as_ref() {
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.outcome.complete = true
            }
            "error" => self.outcome.error = std::str::from_utf8(data).ok().map(read_error),
            _ => {}
        }
    }

    fn response(&mut self, response: &Response<'_>) {
        self.model(response.model.clone());
        if let Some(id) = response.id.as_deref().filter(|id| !id.is_empty()) {
            self.outcome.response_id = Some(id.to_owned());
        }
        if let Some(usage) = response.usage {
            self.outcome.usage = Some(usage.into());
        }
        if let Some(error) = response.error {
            self.outcome.error = Some(read_error(error.get()));
        }
        let reason = response
            .incomplete_details
            .as_ref()
            .and_then(|details| details.reason.clone());
        let ended = response
            .status
            .clone()
            .filter(|status| !matches!(status.as_ref(), "in_progress" | "queued"));
        self.finish_reason(reason.or(ended));
    }

    fn anthropic_event(&mut self, data: &[u8]) {
        let Ok(event) = serde_json::from_slice::<AnthropicEvent<'_>>(data) else {
            return;
        };
        if let Some(message) = &event.message {
            self.anthropic_message(message);
        }
        if let Some(usage) = event.usage {
            self.anthropic_usage(usage);
        }
        if let Some(delta) = event.delta {
            self.finish_reason(delta.stop_reason);
        }
        match event.kind.unwrap_or_default().as_ref() {
            "content_block_delta" => self.outcome.content_started = true,
            "message_stop" => self.outcome.complete = true,
            "error" => self.outcome.error = event.error.map(|error| read_error(error.get())),
            _ => {}
        }
    }

    fn anthropic_message(&mut self, message: &AnthropicMessage<'_>) {
        self.model(message.model.clone());
        self.finish_reason(message.stop_reason.clone());
        if let Some(usage) = message.usage {
            self.anthropic_usage(usage);
        }
        if let Some(error) = message.error {
            self.outcome.error = Some(read_error(error.get()));
        }
    }

    fn anthropic_usage(&mut self, newer: AnthropicUsage) {
        let all = &mut self.anthropic;
        all.input_tokens = newer.input_tokens.or(all.input_tokens);
        all.output_tokens = newer.output_tokens.or(all.output_tokens);
        all.cache_read_input_tokens = newer
            .cache_read_input_tokens
            .or(all.cache_read_input_tokens);
        all.cache_creation_input_tokens = newer
            .cache_creation_input_tokens
            .or(all.cache_creation_input_tokens);
        let (cached, cache_write) = (all.cache_read_input_tokens, all.cache_creation_input_tokens);
        let fresh = all.input_tokens.unwrap_or_default();
        self.outcome.usage = Some(Usage {
            prompt: fresh
                .saturating_add(cached.unwrap_or_default())
                .saturating_add(cache_write.unwrap_or_default()),
            completion: all.output_tokens.unwrap_or_default(),
            cached,
            cache_write,
            reasoning: None,
        });
    }

    fn model(&mut self, model: Option<Cow<'_, str>>) {
        if let Some(model) =
            model.filter(|model| !model.is_empty() && self.outcome.model.as_deref() != Some(model))
        {
            self.outcome.model = Some(model.into_owned());
        }
    }

    fn finish_reason(&mut self, reason: Option<Cow<'_, str>>) {
        if let Some(reason) = reason {
            self.outcome.finish_reason = Some(reason.into_owned());
        }
    }
}

/// Neither `null` nor an empty string, list or object.
fn holds_something(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| !matches!(raw.get(), "null" | "\"\"" | "[]" | "{}"))
}

fn read_error(raw: &str) -> ResponseError {
    if let Some(message) = crate::json::string(raw) {
        return ResponseError {
            code: String::new(),
            message: message.into_owned(),
        };
    }
    let Ok(error) = serde_json::from_str::<ErrorBody<'_>>(raw) else {
        return ResponseError::default();
    };
    let code = error
        .code
        .map(RawValue::get)
        .and_then(|code| match crate::json::string(code) {
            Some(code) => Some(code.into_owned()),
            None => (code != "null").then(|| code.to_owned()),
        });
    let kind = error
        .kind
        .filter(|kind| kind != "error")
        .map(Cow::into_owned);
    ResponseError {
        code: code.or(kind).unwrap_or_default(),
        message: error.message.map(Cow::into_owned).unwrap_or_default(),
    }
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ChatChunk<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    choices: Option<Vec<ChatChoice<'a>>>,
    usage: Option<ChatUsage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChatChoice<'a> {
    #[serde(borrow)]
    delta: Option<ChatDelta<'a>>,
    #[serde(borrow)]
    message: Option<ChatDelta<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
struct ChatDelta<'a> {
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

impl ChatDelta<'_> {
    fn holds_something(&self) -> bool {
        [
            self.content,
            self.reasoning_content,
            self.reasoning,
            self.refusal,
            self.tool_calls,
            self.function_call,
        ]
        .into_iter()
        .any(holds_something)
    }
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
struct Details {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ResponseEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
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
        let input = usage.input_tokens_details.unwrap_or_default();
        Self {
            prompt: usage.input_tokens,
            completion: usage.output_tokens,
            cached: input.cached_tokens,
            cache_write: input.cache_write_tokens,
            reasoning: usage
                .output_tokens_details
                .unwrap_or_default()
                .reasoning_tokens,
        }
    }
}

#[derive(Deserialize)]
struct AnthropicEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<AnthropicMessage<'a>>,
    #[serde(borrow)]
    delta: Option<AnthropicDelta<'a>>,
    usage: Option<AnthropicUsage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AnthropicMessage<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    usage: Option<AnthropicUsage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AnthropicDelta<'a> {
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Debug, Clone, Copy, Default)]
struct AnthropicUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}
