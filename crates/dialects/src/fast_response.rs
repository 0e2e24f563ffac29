//! An answer that the router gives by itself, in the shape of each wire, streamed or whole.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::endpoint::Dialect;
use crate::sse;

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
            (Dialect::AnthropicMessages, false) => self.anthropic(Some(self.message)).to_string(),
            (Dialect::AnthropicMessages, true) => self.anthropic_stream(),
            (Dialect::OpenAiResponses, false) => self.response(true).to_string(),
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
        let chunk = |delta: Value, finish: Value| {
            json!({
                "id": format!("chatcmpl-fast-{}", self.seconds()),
                "object": "chat.completion.chunk",
                "created": self.seconds(),
                "model": MODEL,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            })
        };
        let mut words: Vec<&str> = self.message.split_whitespace().collect();
        if words.is_empty() {
            words.push(self.message);
        }
        let mut out = String::new();
        for (at, word) in words.iter().enumerate() {
            let space = if at + 1 < words.len() { " " } else { "" };
            let content = format!("{word}{space}");
            let delta = match at {
                0 => json!({"role": "assistant", "content": content}),
                _ => json!({"content": content}),
            };
            sse::write(&mut out, None, &chunk(delta, Value::Null).to_string());
        }
        sse::write(&mut out, None, &chunk(json!({}), json!("stop")).to_string());
        sse::write(&mut out, None, "[DONE]");
        out
    }

    fn anthropic(&self, text: Option<&str>) -> Value {
        let content: Vec<Value> = text
            .iter()
            .map(|text| json!({"type": "text", "text": text}))
            .collect();
        json!({
            "id": format!("msg_fast_{}", self.unix_nanos),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": text.map(|_| "end_turn"),
            "stop_sequence": null,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        })
    }

    fn anthropic_stream(&self) -> String {
        let events = [
            json!({"type": "message_start", "message": self.anthropic(None)}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": self.message}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": 0},
            }),
            json!({"type": "message_stop"}),
        ];
        named_events(&events)
    }

    fn message_item(&self, done: bool) -> Value {
        let content = if done {
            vec![self.text_part(self.message)]
        } else {
            Vec::new()
        };
        json!({
            "id": format!("msg_fast_{}", self.unix_nanos),
            "type": "message",
            "status": if done { "completed" } else { "in_progress" },
            "role": "assistant",
            "content": content,
        })
    }

    fn text_part(&self, text: &str) -> Value {
        json!({"type": "output_text", "text": text, "annotations": []})
    }

    fn response(&self, done: bool) -> Value {
        let usage = json!({
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        });
        json!({
            "id": format!("resp_fast_{}", self.unix_nanos),
            "object": "response",
            "created_at": self.seconds(),
            "status": if done { "completed" } else { "in_progress" },
            "error": null,
            "incomplete_details": null,
            "instructions": null,
            "metadata": {},
            "model": MODEL,
            "output": if done { vec![self.message_item(true)] } else { Vec::new() },
            "parallel_tool_calls": true,
            "tool_choice": "auto",
            "tools": [],
            "usage": if done { usage } else { Value::Null },
        })
    }

    fn response_stream(&self) -> String {
        let item = format!("msg_fast_{}", self.unix_nanos);
        let text = |kind: &str, name: &str| {
            json!({
                "type": kind, "item_id": item, "output_index": 0, "content_index": 0, name: self.message, "logprobs": [],
            })
        };
        let part = |kind: &str, text: &str| {
            let part = self.text_part(text);
            json!({"type": kind, "item_id": item, "output_index": 0, "content_index": 0, "part": part})
        };
        let mut events = [
            json!({"type": "response.created", "response": self.response(false)}),
            json!({"type": "response.in_progress", "response": self.response(false)}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": self.message_item(false)}),
            part("response.content_part.added", ""),
            text("response.output_text.delta", "delta"),
            text("response.output_text.done", "text"),
            part("response.content_part.done", self.message),
            json!({"type": "response.output_item.done", "output_index": 0, "item": self.message_item(true)}),
            json!({"type": "response.completed", "response": self.response(true)}),
        ];
        for (number, event) in events.iter_mut().enumerate() {
            if let Some(event) = event.as_object_mut() {
                event.insert("sequence_number".to_owned(), number.into());
            }
        }
        named_events(&events)
    }
}

/// Events whose name is their `type`.
fn named_events(events: &[Value]) -> String {
    let mut out = String::new();
    for event in events {
        sse::write(
            &mut out,
            event.get("type").and_then(Value::as_str),
            &event.to_string(),
        );
    }
    out
}

#[cfg(test)]
mod tests;
