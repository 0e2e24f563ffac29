//! Events of Anthropic Messages: content blocks, one open at a time.

use serde_json::{Value, json};

use super::{AnswerHead, StopReason, named};
use crate::usage::{ResponseError, Usage};

/// Writes a message.
#[derive(Debug)]
pub struct MessagesWriter {
    head: AnswerHead,
    begun: bool,
    /// The block that is open.
    open: Option<Block>,
    /// Blocks begun.
    blocks: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
    Tool,
}

impl MessagesWriter {
    /// Begins an answer.
    #[must_use]
    pub fn new(head: AnswerHead) -> Self {
        Self {
            head,
            begun: false,
            open: None,
            blocks: 0,
        }
    }

    /// Writes more of the answer.
    pub fn text(&mut self, out: &mut String, text: &str) {
        self.enter(out, Block::Text, json!({"type": "text", "text": ""}));
        self.delta(out, json!({"type": "text_delta", "text": text}));
    }

    /// Writes more of the reasoning before it. It bears no signature, so it cannot be sent back to
    /// the provider.
    pub fn reasoning(&mut self, out: &mut String, text: &str) {
        let block = json!({"type": "thinking", "thinking": "", "signature": ""});
        self.enter(out, Block::Thinking, block);
        self.delta(out, json!({"type": "thinking_delta", "thinking": text}));
    }

    /// Begins a tool call.
    pub fn tool_call(&mut self, out: &mut String, id: &str, name: &str) {
        self.close(out);
        let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        self.enter(out, Block::Tool, block);
    }

    /// Writes more of the arguments of the call that was begun last.
    pub fn arguments(&mut self, out: &mut String, piece: &str) {
        if self.open == Some(Block::Tool) {
            self.delta(
                out,
                json!({"type": "input_json_delta", "partial_json": piece}),
            );
        }
    }

    /// Ends the answer.
    pub fn end(&mut self, out: &mut String, reason: StopReason, usage: Option<Usage>) {
        self.begin(out);
        self.close(out);
        let reason = match reason {
            StopReason::Done => "end_turn",
            StopReason::ToolCalls => "tool_use",
            StopReason::Length => "max_tokens",
            StopReason::Filtered => "refusal",
        };
        let delta = json!({"stop_reason": reason, "stop_sequence": null});
        let usage = usage.map_or_else(|| json!({"output_tokens": 0}), wire_usage);
        named(
            out,
            &json!({"type": "message_delta", "delta": delta, "usage": usage}),
        );
        named(out, &json!({"type": "message_stop"}));
    }

    /// Ends the answer with an error.
    pub fn error(&mut self, out: &mut String, error: &ResponseError) {
        let kind = if error.code.ends_with("_error") {
            error.code.as_str()
        } else {
            "api_error"
        };
        let error = json!({"type": kind, "message": error.message});
        named(out, &json!({"type": "error", "error": error}));
    }

    fn begin(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let message = json!({
            "id": self.head.id,
            "type": "message",
            "role": "assistant",
            "model": self.head.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            // What the prompt took is known at the end; `message_delta` then says it.
            "usage": {"input_tokens": 0, "output_tokens": 0},
        });
        named(out, &json!({"type": "message_start", "message": message}));
    }

    /// Opens a block of this kind, unless one is open.
    fn enter(&mut self, out: &mut String, kind: Block, block: Value) {
        self.begin(out);
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        let index = self.blocks;
        named(
            out,
            &json!({"type": "content_block_start", "index": index, "content_block": block}),
        );
        self.blocks += 1;
        self.open = Some(kind);
    }

    fn delta(&self, out: &mut String, delta: Value) {
        let index = self.blocks.saturating_sub(1);
        named(
            out,
            &json!({"type": "content_block_delta", "index": index, "delta": delta}),
        );
    }

    fn close(&mut self, out: &mut String) {
        if self.open.take().is_some() {
            let index = self.blocks.saturating_sub(1);
            named(out, &json!({"type": "content_block_stop", "index": index}));
        }
    }
}

fn wire_usage(usage: Usage) -> Value {
    let cached = usage.cached.unwrap_or_default();
    let written = usage.cache_write.unwrap_or_default();
    let fresh = usage.prompt.saturating_sub(cached).saturating_sub(written);
    json!({
        "input_tokens": fresh,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": usage.completion,
    })
}
