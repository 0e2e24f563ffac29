//! Chunks of OpenAI chat completions.

use serde_json::{Value, json};

use super::{AnswerHead, StopReason, openai_error};
use crate::sse;
use crate::usage::{ResponseError, Usage};

/// Writes the chunks of one choice.
#[derive(Debug)]
pub struct ChatWriter {
    head: AnswerHead,
    /// The role was said.
    begun: bool,
    /// Tool calls begun.
    calls: usize,
}

impl ChatWriter {
    /// Begins an answer.
    #[must_use]
    pub fn new(head: AnswerHead) -> Self {
        Self {
            head,
            begun: false,
            calls: 0,
        }
    }

    /// Says the role in a chunk of its own. Otherwise the first delta does.
    pub fn begin(&mut self, out: &mut String) {
        self.text(out, "");
    }

    /// Writes more of the answer.
    pub fn text(&mut self, out: &mut String, text: &str) {
        self.delta(out, json!({"content": text}));
    }

    /// Writes more of the reasoning before it.
    pub fn reasoning(&mut self, out: &mut String, text: &str) {
        self.delta(out, json!({"reasoning_content": text}));
    }

    /// Begins a tool call.
    pub fn tool_call(&mut self, out: &mut String, id: &str, name: &str) {
        let function = json!({"name": name, "arguments": ""});
        let call = json!({"index": self.calls, "id": id, "type": "function", "function": function});
        self.calls += 1;
        self.delta(out, json!({"tool_calls": [call]}));
    }

    /// Writes more of the arguments of the call that was begun last.
    pub fn arguments(&mut self, out: &mut String, piece: &str) {
        let index = self.calls.saturating_sub(1);
        let call = json!({"index": index, "function": {"arguments": piece}});
        self.delta(out, json!({"tool_calls": [call]}));
    }

    /// Writes any delta, an object.
    pub fn delta(&mut self, out: &mut String, delta: Value) {
        let delta = if std::mem::replace(&mut self.begun, true) {
            delta
        } else {
            with_role(delta)
        };
        self.choice(out, delta, Value::Null);
    }

    /// Ends the answer; with its usage if the client asked for it.
    pub fn end(&mut self, out: &mut String, reason: StopReason, usage: Option<Usage>) {
        let reason = match reason {
            StopReason::Done => "stop",
            StopReason::ToolCalls => "tool_calls",
            StopReason::Length => "length",
            StopReason::Filtered => "content_filter",
        };
        self.finish(out, reason, usage.map(wire_usage));
    }

    /// Ends the answer with the wire's own words.
    pub fn finish(&mut self, out: &mut String, reason: &str, usage: Option<Value>) {
        self.choice(out, json!({}), json!(reason));
        if let Some(usage) = usage {
            let mut chunk = self.chunk(json!([]));
            if let Some(chunk) = chunk.as_object_mut() {
                chunk.insert("usage".to_owned(), usage);
            }
            sse::write(out, None, &chunk.to_string());
        }
        sse::write(out, None, "[DONE]");
    }

    /// Ends the answer with an error.
    pub fn error(&mut self, out: &mut String, error: &ResponseError) {
        let error = json!({"error": openai_error(error)});
        sse::write(out, None, &error.to_string());
        sse::write(out, None, "[DONE]");
    }

    fn choice(&self, out: &mut String, delta: Value, finish: Value) {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        sse::write(out, None, &self.chunk(json!([choice])).to_string());
    }

    fn chunk(&self, choices: Value) -> Value {
        json!({
            "id": self.head.id,
            "object": "chat.completion.chunk",
            "created": self.head.created,
            "model": self.head.model,
            "choices": choices,
        })
    }
}

fn with_role(delta: Value) -> Value {
    let mut first = json!({"role": "assistant"});
    if let (Some(first), Value::Object(delta)) = (first.as_object_mut(), delta) {
        first.extend(delta);
    }
    first
}

fn wire_usage(usage: Usage) -> Value {
    let mut wire = json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt.saturating_add(usage.completion),
    });
    if let Some(cached) = usage.cached {
        wire["prompt_tokens_details"] = json!({"cached_tokens": cached});
    }
    if let Some(reasoning) = usage.reasoning {
        wire["completion_tokens_details"] = json!({"reasoning_tokens": reasoning});
    }
    wire
}
