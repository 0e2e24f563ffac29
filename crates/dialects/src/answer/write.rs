//! Writes an answer as the events of a wire, in the order that its clients expect: roles first,
//! blocks opened and closed, items numbered, an end that says it is one.
//!
//! Each call appends whole events to `out`. A writer knows nothing of where a text comes from: it
//! serves answers of the router's own, the end of one that was stopped, and translation.

mod arguments;
mod chat;
mod emit;
mod messages;
mod responses;
mod whole;

pub use chat::ChatWriter;
pub use messages::MessagesWriter;
pub use responses::ResponsesWriter;
pub(crate) use whole::Whole;

use serde_json::{Value, json};

use crate::endpoint::Dialect;
use crate::refusal;
use crate::sse;
use crate::usage::{ResponseError, Usage};

/// What a wire says of an answer in its first event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerHead {
    /// The answer's id, with the wire's prefix.
    pub id: String,
    /// The model that it names.
    pub model: String,
    /// When it began, seconds since the Unix epoch.
    pub created: u64,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The model was done.
    Done,
    /// It calls tools.
    ToolCalls,
    /// It reached the limit of tokens.
    Length,
    /// A filter stopped it.
    Filtered,
}

/// A page that the text so far rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// Where it is.
    pub url: &'a str,
    /// Its title; may be empty.
    pub title: &'a str,
    /// Its words that the text rests on; empty if not known.
    pub cited: &'a str,
    /// How many characters before the end of the text so far the span begins that rests on it.
    pub begins_back: u64,
    /// How many characters before the end of the text so far that span ends.
    pub ends_back: u64,
}

/// A writer of any wire.
#[derive(Debug)]
pub enum AnswerWriter {
    /// OpenAI chat completions.
    Chat(ChatWriter),
    /// OpenAI Responses.
    Responses(Box<ResponsesWriter>),
    /// Anthropic Messages.
    Messages(MessagesWriter),
}

impl AnswerWriter {
    /// Begins an answer.
    #[must_use]
    pub fn new(dialect: Dialect, head: AnswerHead) -> Self {
        match dialect {
            Dialect::OpenAiChat => Self::Chat(ChatWriter::new(head)),
            Dialect::OpenAiResponses => Self::Responses(Box::new(ResponsesWriter::new(&head))),
            Dialect::AnthropicMessages => Self::Messages(MessagesWriter::new(head)),
        }
    }

    /// Writes more of the answer.
    pub fn text(&mut self, out: &mut String, text: &str) {
        match self {
            Self::Chat(writer) => writer.text(out, text),
            Self::Responses(writer) => writer.text(out, text),
            Self::Messages(writer) => writer.text(out, text),
        }
    }

    /// Writes more of the reasoning before it.
    pub fn reasoning(&mut self, out: &mut String, text: &str) {
        match self {
            Self::Chat(writer) => writer.reasoning(out, text),
            Self::Responses(writer) => writer.reasoning(out, text),
            Self::Messages(writer) => writer.reasoning(out, text),
        }
    }

    /// Writes more of a refusal.
    pub fn refusal(&mut self, out: &mut String, text: &str) {
        match self {
            Self::Chat(writer) => writer.refusal(out, text),
            Self::Responses(writer) => writer.refusal(out, text),
            Self::Messages(writer) => writer.refusal(out, text),
        }
    }

    /// Says which page the text so far rests on, and returns whether the wire could say it there.
    pub fn citation(&mut self, out: &mut String, source: &Source<'_>) -> bool {
        match self {
            Self::Chat(writer) => {
                writer.citation(out, source);
                true
            }
            Self::Responses(writer) => writer.citation(out, source),
            Self::Messages(writer) => writer.citation(out, source),
        }
    }

    /// Begins a tool call, and returns the number that its arguments go by.
    pub fn tool_call(&mut self, out: &mut String, id: &str, name: &str) -> usize {
        match self {
            Self::Chat(writer) => writer.tool_call(out, id, name),
            Self::Responses(writer) => writer.tool_call(out, id, name),
            Self::Messages(writer) => writer.tool_call(out, id, name),
        }
    }

    /// Writes more of a call's arguments.
    pub fn arguments(&mut self, out: &mut String, call: usize, piece: &str) {
        match self {
            Self::Chat(writer) => writer.arguments(out, call, piece),
            Self::Responses(writer) => writer.arguments(out, call, piece),
            Self::Messages(writer) => writer.arguments(out, call, piece),
        }
    }

    /// Ends a call. Calls that are not ended end with the answer.
    pub fn close_call(&mut self, out: &mut String, call: usize) {
        match self {
            Self::Chat(writer) => writer.close_call(out, call),
            Self::Responses(writer) => writer.close_call(out, call),
            Self::Messages(writer) => writer.close_call(out, call),
        }
    }

    /// Says which stop sequence ended the answer, before its end. OpenAI Responses has no place for
    /// it; returns whether the wire has.
    pub fn stopped_at(&mut self, sequence: &str) -> bool {
        match self {
            Self::Chat(writer) => writer.stopped_at(sequence),
            Self::Responses(_) => return false,
            Self::Messages(writer) => writer.stopped_at(sequence),
        }
        true
    }

    /// Says what the answer is, before anything of it has come.
    pub fn begin(&mut self, out: &mut String) {
        match self {
            Self::Chat(writer) => writer.begin(out),
            Self::Responses(writer) => writer.begin(out),
            Self::Messages(writer) => writer.begin(out),
        }
    }

    /// Tells whether more is kept than a writer should keep: the answer is then to be ended with an
    /// error. Writers of chat completions keep nothing.
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        match self {
            Self::Chat(_) => false,
            Self::Responses(writer) => writer.is_overfull(),
            Self::Messages(writer) => writer.is_overfull(),
        }
    }

    /// Ends the answer. Clients of chat completions get the usage only if they asked for it.
    pub fn end(&mut self, out: &mut String, reason: StopReason, usage: Option<Usage>) {
        match self {
            Self::Chat(writer) => writer.end(out, reason, usage),
            Self::Responses(writer) => writer.end(out, reason, usage),
            Self::Messages(writer) => writer.end(out, reason, usage),
        }
    }

    /// Ends the answer with an error.
    pub fn error(&mut self, out: &mut String, error: &ResponseError) {
        match self {
            Self::Chat(writer) => writer.error(out, error),
            Self::Responses(writer) => writer.error(out, error),
            Self::Messages(writer) => writer.error(out, error),
        }
    }
}

/// Appends an event whose name is its `type`.
fn named(out: &mut String, event: &Value) {
    let name = event.get("type").and_then(Value::as_str);
    sse::write(out, name, &event.to_string());
}

/// Returns the error object of both OpenAI wires.
fn openai_error(error: &ResponseError) -> Value {
    let code = if error.code.is_empty() {
        Value::Null
    } else {
        json!(error.code)
    };
    let kind = refusal::openai_type(refusal::status_of(&error.code).unwrap_or(500));
    json!({"message": error.message, "type": kind, "param": null, "code": code})
}

/// Returns the error object of an event of Anthropic Messages.
fn anthropic_error(error: &ResponseError) -> Value {
    let kind = if error.code.ends_with("_error") && error.code != "server_error" {
        error.code.as_str()
    } else {
        refusal::anthropic_type(refusal::status_of(&error.code).unwrap_or(500))
    };
    json!({"type": kind, "message": error.message})
}

/// Returns the error of a response that failed. Its code is one of few, which SDKs act on; the
/// error's own is its type.
fn response_error(error: &ResponseError) -> Value {
    const KNOWN: [&str; 5] = [
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "insufficient_quota",
        refusal::CONTEXT_LENGTH_EXCEEDED,
    ];
    let own = error.code.as_str();
    if KNOWN.contains(&own) {
        return json!({"code": own, "message": error.message});
    }
    let code = match refusal::status_of(own) {
        Some(429) => "rate_limit_exceeded",
        Some(400..=499) => "invalid_prompt",
        _ => "server_error",
    };
    let kind = (!own.is_empty()).then_some(own);
    json!({"code": code, "message": error.message, "type": kind})
}

/// Returns a page as both OpenAI wires cite it, in a text that has so many characters.
fn url_citation(source: &Source<'_>, chars: u64) -> Value {
    json!({
        "url": source.url,
        "title": source.title,
        "start_index": chars.saturating_sub(source.begins_back),
        "end_index": chars.saturating_sub(source.ends_back),
    })
}

/// Returns a page as a message cites it. It bears no index of the provider's, so it cannot be sent
/// back to it.
fn web_citation(source: &Source<'_>) -> Value {
    json!({
        "type": "web_search_result_location",
        "url": source.url,
        "title": source.title,
        "cited_text": source.cited,
        "encrypted_index": "",
    })
}

#[cfg(test)]
mod tests;
