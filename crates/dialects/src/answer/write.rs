//! Writes an answer as the events of a wire, in the order that its clients expect: roles first,
//! blocks opened and closed, items numbered, an end that says it is one.
//!
//! Each call appends whole events to `out`. A writer knows nothing of where a text comes from: it
//! serves answers of the router's own, the end of one that was stopped, and translation.

mod chat;
mod messages;
mod responses;

pub use chat::ChatWriter;
pub use messages::MessagesWriter;
pub use responses::ResponsesWriter;

use serde_json::{Value, json};

use crate::endpoint::Dialect;
use crate::sse;
use crate::usage::{ResponseError, Usage};

/// What a wire says of an answer in its first event.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// Begins a tool call; it goes on with [`AnswerWriter::arguments`].
    pub fn tool_call(&mut self, out: &mut String, id: &str, name: &str) {
        match self {
            Self::Chat(writer) => writer.tool_call(out, id, name),
            Self::Responses(writer) => writer.tool_call(out, id, name),
            Self::Messages(writer) => writer.tool_call(out, id, name),
        }
    }

    /// Writes more of the arguments of the call that was begun last.
    pub fn arguments(&mut self, out: &mut String, piece: &str) {
        match self {
            Self::Chat(writer) => writer.arguments(out, piece),
            Self::Responses(writer) => writer.arguments(out, piece),
            Self::Messages(writer) => writer.arguments(out, piece),
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
    json!({"message": error.message, "type": "server_error", "param": null, "code": code})
}

#[cfg(test)]
mod tests;
