//! An answer that the router gives by itself, in the shape of each wire, streamed or whole.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::write::{ChatWriter, MessagesWriter, ResponsesWriter};
use crate::answer::{AnswerHead, StopReason};
use crate::endpoint::Dialect;
use crate::sse;
use crate::usage::Usage;

/// The model that OpenAI-shaped answers name, as the reference's do.
const MODEL: &str = "router";

/// What to say, and the ids' and times' origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastResponse<'a> {
    /// The text.
    pub message: &'a str,
    /// The model that Anthropic's shape names: the selected one, else the one asked for.
    pub model: &'a str,
    /// Now, nanoseconds since the Unix epoch.
    pub unix_nanos: u64,
}

impl FastResponse<'_> {
    /// Content type and body of the answer. A client that asked for a stream gets one: some read
    /// nothing else.
    #[must_use]
    pub fn render(&self, dialect: Dialect, stream: bool) -> (&'static str, Bytes) {
        let body = match (dialect, stream) {
            (Dialect::OpenAiChat, false) => self.chat().to_string(),
            (Dialect::OpenAiChat, true) => self.chat_stream(),
            (Dialect::AnthropicMessages, false) => self.anthropic().to_string(),
            (Dialect::AnthropicMessages, true) => self.anthropic_stream(),
            (Dialect::OpenAiResponses, false) => self.response().to_string(),
            (Dialect::OpenAiResponses, true) => self.response_stream(),
        };
        (
            if stream {
                sse::CONTENT_TYPE
            } else {
                "application/json"
            },
            body.into(),
        )
    }

    fn seconds(&self) -> u64 {
        self.unix_nanos / 1_000_000_000
    }

    fn chat(&self) -> Value {
        json!({
            "id": format!("chatcmpl-fast-{}", self.seconds()),
            "object": "chat.completion",
            "created": self.seconds(),
            "model": MODEL,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": self.message},
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        })
    }

    /// One chunk a word, as the reference streams it; runs of whitespace collapse to one space.
    fn chat_stream(&self) -> String {
        let mut words: Vec<&str> = self.message.split_whitespace().collect();
        if words.is_empty() {
            words.push(self.message);
        }
        let mut writer = ChatWriter::new(AnswerHead {
            id: format!("chatcmpl-fast-{}", self.seconds()),
            model: MODEL.to_owned(),
            created: self.seconds(),
        });
        let mut out = String::new();
        for (at, word) in words.iter().enumerate() {
            let space = if at + 1 < words.len() { " " } else { "" };
            writer.text(&mut out, &format!("{word}{space}"));
        }
        writer.end(&mut out, StopReason::Done, None);
        out
    }

    fn anthropic(&self) -> Value {
        json!({
            "id": format!("msg_fast_{}", self.unix_nanos),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [{"type": "text", "text": self.message}],
            "stop_reason": "end_turn",
            "stop_sequence": null,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        })
    }

    fn anthropic_stream(&self) -> String {
        let mut writer = MessagesWriter::new(AnswerHead {
            id: format!("msg_fast_{}", self.unix_nanos),
            model: self.model.to_owned(),
            created: self.seconds(),
        });
        let mut out = String::new();
        writer.text(&mut out, self.message);
        writer.end(&mut out, StopReason::Done, None);
        out
    }

    /// The whole response is what its stream ends with.
    fn response(&self) -> Value {
        let (_, whole) = self.written_response();
        whole
    }

    fn response_stream(&self) -> String {
        let (events, _) = self.written_response();
        events
    }

    fn written_response(&self) -> (String, Value) {
        let mut writer = ResponsesWriter::new(&AnswerHead {
            id: format!("resp_fast_{}", self.unix_nanos),
            model: MODEL.to_owned(),
            created: self.seconds(),
        });
        let mut out = String::new();
        writer.text(&mut out, self.message);
        writer.end(&mut out, StopReason::Done, Some(Usage::default()));
        (out, writer.into_response())
    }
}

#[cfg(test)]
mod tests;
