//! Events of Anthropic Messages: content blocks, one open at a time.
//!
//! Calls that come interleaved wait: a block is stopped before the next starts, and a call is known
//! to be complete when its arguments close. What comes in order is never held.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::{AnswerHead, Source, StopReason, anthropic_error, emit, named, web_citation};
use crate::usage::{ResponseError, Usage};

/// Bytes that may wait for a block to end.
const WAITING: usize = 1 << 20;

/// Writes a message.
#[derive(Debug)]
pub struct MessagesWriter {
    head: AnswerHead,
    begun: bool,
    /// The block that is open.
    open: Option<Block>,
    /// Blocks that have begun while a call was open.
    waiting: VecDeque<Waiting>,
    /// Bytes that wait.
    held: usize,
    /// Blocks begun.
    blocks: u64,
    /// Tool calls begun.
    calls: usize,
    refused: bool,
    sequence: Option<String>,
}

#[derive(Debug)]
struct Block {
    kind: Kind,
    /// How far the arguments of a call are.
    arguments: Arguments,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Tool { call: usize },
}

/// A block that has begun while another was open.
#[derive(Debug)]
struct Waiting {
    kind: Kind,
    /// Its first event's `content_block`.
    block: Value,
    held: String,
    is_closed: bool,
}

impl MessagesWriter {
    /// Begins an answer.
    #[must_use]
    pub fn new(head: AnswerHead) -> Self {
        Self {
            head,
            begun: false,
            open: None,
            waiting: VecDeque::new(),
            held: 0,
            blocks: 0,
            calls: 0,
            refused: false,
            sequence: None,
        }
    }

    /// Writes more of the answer.
    pub fn text(&mut self, out: &mut String, text: &str) {
        let block = || json!({"type": "text", "text": ""});
        self.piece(out, Kind::Text, block, text);
    }

    /// Writes more of the reasoning before it. It bears no signature, so it cannot be sent back to
    /// the provider.
    pub fn reasoning(&mut self, out: &mut String, text: &str) {
        let block = || json!({"type": "thinking", "thinking": "", "signature": ""});
        self.piece(out, Kind::Thinking, block, text);
    }

    /// Writes more of a refusal: a text, and a reason to stop.
    pub fn refusal(&mut self, out: &mut String, text: &str) {
        self.refused = true;
        self.text(out, text);
    }

    /// Says which page the text so far rests on. Without a text there is nothing to say it of.
    /// Returns whether it was said.
    pub fn citation(&mut self, out: &mut String, source: &Source<'_>) -> bool {
        let is_text = |block: &Block| block.kind == Kind::Text;
        if !self.open.as_ref().is_some_and(is_text) {
            return false;
        }
        let delta = json!({"type": "citations_delta", "citation": web_citation(source)});
        self.open_delta(out);
        out.push_str(&delta.to_string());
        close_delta(out);
        true
    }

    /// Begins a tool call, and returns its number.
    pub fn tool_call(&mut self, out: &mut String, id: &str, name: &str) -> usize {
        let call = self.calls;
        self.calls += 1;
        let block = || json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        self.enter(out, Kind::Tool { call }, block);
        call
    }

    /// Writes more of a call's arguments.
    pub fn arguments(&mut self, out: &mut String, call: usize, piece: &str) {
        let kind = Kind::Tool { call };
        match &mut self.open {
            Some(open) if open.kind == kind => {
                open.arguments.read(piece);
                self.delta(out, piece);
                self.go_on(out);
            }
            _ => self.hold(&kind, piece),
        }
    }

    /// Ends a call.
    pub fn close_call(&mut self, out: &mut String, call: usize) {
        let kind = Kind::Tool { call };
        if let Some(open) = self.open.as_mut().filter(|open| open.kind == kind) {
            open.arguments.close();
            self.go_on(out);
        } else if let Some(waiting) = self.waiting.iter_mut().find(|it| it.kind == kind) {
            waiting.is_closed = true;
        }
    }

    /// Says which stop sequence ended the answer, at its end.
    pub fn stopped_at(&mut self, sequence: &str) {
        self.sequence = Some(sequence.to_owned());
    }

    /// Tells whether more waits for a block's end than is kept.
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        self.held > WAITING
    }

    /// Writes a sign of life.
    pub fn ping(&self, out: &mut String) {
        if self.begun {
            named(out, &json!({"type": "ping"}));
        }
    }

    /// Ends the answer.
    pub fn end(&mut self, out: &mut String, reason: StopReason, usage: Option<Usage>) {
        self.begin(out);
        self.close(out);
        while let Some(next) = self.waiting.pop_front() {
            self.start(out, next);
            self.close(out);
        }
        let (reason, sequence) = stop(reason, self.refused, self.sequence.as_deref());
        let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
        let usage = usage.map_or_else(|| json!({"output_tokens": 0}), wire_usage);
        named(
            out,
            &json!({"type": "message_delta", "delta": delta, "usage": usage}),
        );
        named(out, &json!({"type": "message_stop"}));
    }

    /// Ends the answer with an error.
    pub fn error(&mut self, out: &mut String, error: &ResponseError) {
        named(
            out,
            &json!({"type": "error", "error": anthropic_error(error)}),
        );
    }

    /// Says what the message is, before anything of it has come.
    pub fn begin(&mut self, out: &mut String) {
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

    /// Writes a piece of a text.
    fn piece(&mut self, out: &mut String, kind: Kind, block: impl FnOnce() -> Value, text: &str) {
        self.enter(out, kind.clone(), block);
        if self.open.as_ref().is_some_and(|open| open.kind == kind) {
            self.delta(out, text);
        } else {
            self.hold(&kind, text);
        }
    }

    /// Opens a block, unless it is open; behind a call that is not complete it waits.
    fn enter(&mut self, out: &mut String, kind: Kind, block: impl FnOnce() -> Value) {
        self.begin(out);
        if self.waiting.is_empty() && self.open.as_ref().is_some_and(|open| open.kind == kind) {
            return;
        }
        if self.waiting.back().is_some_and(|last| last.kind == kind) {
            return;
        }
        self.waiting.push_back(Waiting {
            kind,
            block: block(),
            held: String::new(),
            is_closed: false,
        });
        // What a block weighs by itself counts, or empty ones would come without end.
        self.held += 64;
        self.go_on(out);
    }

    /// Opens the blocks that wait, as far as the one that is open is complete.
    fn go_on(&mut self, out: &mut String) {
        while self.open.as_ref().is_none_or(Block::is_complete)
            && let Some(next) = self.waiting.pop_front()
        {
            self.close(out);
            self.start(out, next);
        }
    }

    /// Starts a block with what came of it.
    fn start(&mut self, out: &mut String, next: Waiting) {
        let index = self.blocks;
        let (kind, block) = (next.kind, next.block);
        named(
            out,
            &json!({"type": "content_block_start", "index": index, "content_block": block}),
        );
        self.blocks += 1;
        self.held = self.held.saturating_sub(64 + next.held.len());
        let mut arguments = Arguments::default();
        arguments.read(&next.held);
        if next.is_closed {
            arguments.close();
        }
        self.open = Some(Block { kind, arguments });
        if !next.held.is_empty() {
            self.delta(out, &next.held);
        }
    }

    /// Keeps a piece for a block that waits. A piece of one that has ended has no place any more.
    fn hold(&mut self, kind: &Kind, piece: &str) {
        let mut waiting = self.waiting.iter_mut().rev();
        if let Some(waiting) = waiting.find(|waiting| waiting.kind == *kind) {
            waiting.held.push_str(piece);
            self.held += piece.len();
        }
    }

    /// Writes a delta of the open block.
    fn delta(&self, out: &mut String, text: &str) {
        let Some(open) = &self.open else { return };
        self.open_delta(out);
        out.push_str(match open.kind {
            Kind::Text => "{\"type\":\"text_delta\",\"text\":",
            Kind::Thinking => "{\"type\":\"thinking_delta\",\"thinking\":",
            Kind::Tool { .. } => "{\"type\":\"input_json_delta\",\"partial_json\":",
        });
        emit::string(out, text);
        out.push('}');
        close_delta(out);
    }

    fn open_delta(&self, out: &mut String) {
        out.push_str(
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
        );
        emit::number(out, self.blocks.saturating_sub(1));
        out.push_str(",\"delta\":");
    }

    fn close(&mut self, out: &mut String) {
        if self.open.take().is_some() {
            let index = self.blocks.saturating_sub(1);
            named(out, &json!({"type": "content_block_stop", "index": index}));
        }
    }
}

impl Block {
    /// Tells whether nothing more can come of it.
    fn is_complete(&self) -> bool {
        !matches!(self.kind, Kind::Tool { .. }) || self.arguments.are_complete()
    }
}

fn close_delta(out: &mut String) {
    out.push_str("}\n\n");
}

/// Returns the wire's word for a reason, and the stop sequence where that is the reason.
pub(super) fn stop(
    reason: StopReason,
    refused: bool,
    sequence: Option<&str>,
) -> (&'static str, Option<&str>) {
    match (reason, sequence) {
        (StopReason::Done, _) if refused => ("refusal", None),
        (StopReason::Done, Some(sequence)) => ("stop_sequence", Some(sequence)),
        (StopReason::Done, None) => ("end_turn", None),
        (StopReason::ToolCalls, _) => ("tool_use", None),
        (StopReason::Length, _) => ("max_tokens", None),
        (StopReason::Filtered, _) => ("refusal", None),
    }
}

pub(super) fn wire_usage(usage: Usage) -> Value {
    let cached = usage.cached.unwrap_or_default();
    let written = usage.cache_write.unwrap_or_default();
    let fresh = usage.prompt.saturating_sub(cached).saturating_sub(written);
    let mut wire = json!({
        "input_tokens": fresh,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": usage.completion,
    });
    if let Some(reasoning) = usage.reasoning {
        wire["output_tokens_details"] = json!({"thinking_tokens": reasoning});
    }
    wire
}
