//! Chunks of OpenAI chat completions.

use serde_json::{Value, json};

use super::{AnswerHead, Source, StopReason, emit, openai_error, url_citation};
use crate::sse;
use crate::usage::{ResponseError, Usage};

/// Writes the chunks of one choice.
#[derive(Debug)]
pub struct ChatWriter {
    /// The members that every chunk begins with.
    head: String,
    /// The role was said.
    begun: bool,
    /// What is known of each tool call.
    calls: Vec<Call>,
    /// Characters of the answer's text.
    chars: u64,
    /// The stop sequence that it ended at.
    sequence: Option<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Call {
    has_arguments: bool,
    is_closed: bool,
}

impl ChatWriter {
    /// Begins an answer.
    #[must_use]
    pub fn new(head: AnswerHead) -> Self {
        let mut members = String::from("{\"id\":");
        emit::string(&mut members, &head.id);
        members.push_str(",\"object\":\"chat.completion.chunk\",\"created\":");
        emit::number(&mut members, head.created);
        members.push_str(",\"model\":");
        emit::string(&mut members, &head.model);
        Self {
            head: members,
            begun: false,
            calls: Vec::new(),
            chars: 0,
            sequence: None,
        }
    }

    /// Says the role in a chunk of its own. Otherwise the first delta does.
    pub fn begin(&mut self, out: &mut String) {
        self.text(out, "");
    }

    /// Writes more of the answer.
    pub fn text(&mut self, out: &mut String, text: &str) {
        self.chars += emit::count(text.chars().count());
        self.said(out, "content", text);
    }

    /// Writes more of the reasoning before it.
    pub fn reasoning(&mut self, out: &mut String, text: &str) {
        self.said(out, "reasoning_content", text);
    }

    /// Writes more of a refusal.
    pub fn refusal(&mut self, out: &mut String, text: &str) {
        self.said(out, "refusal", text);
    }

    /// Says which page the text so far rests on.
    pub fn citation(&mut self, out: &mut String, source: &Source<'_>) {
        let citation = url_citation(source, self.chars);
        let annotation = json!({"type": "url_citation", "url_citation": citation});
        self.delta(out, json!({"annotations": [annotation]}));
    }

    /// Begins a tool call, and returns its number.
    pub fn tool_call(&mut self, out: &mut String, id: &str, name: &str) -> usize {
        let function = json!({"name": name, "arguments": ""});
        let index = self.calls.len();
        let call = json!({"index": index, "id": id, "type": "function", "function": function});
        self.calls.push(Call::default());
        self.delta(out, json!({"tool_calls": [call]}));
        index
    }

    /// Writes more of a call's arguments.
    pub fn arguments(&mut self, out: &mut String, call: usize, piece: &str) {
        if let Some(call) = self.calls.get_mut(call) {
            call.has_arguments = true;
        }
        self.open(out);
        out.push_str("\"tool_calls\":[{\"index\":");
        emit::number(out, emit::count(call));
        out.push_str(",\"function\":{\"arguments\":");
        emit::string(out, piece);
        out.push_str("}}]");
        close(out);
    }

    /// Ends a call. One without arguments gets an empty object: clients parse what they get.
    pub fn close_call(&mut self, out: &mut String, call: usize) {
        let Some(state) = self.calls.get_mut(call) else {
            return;
        };
        let was_closed = std::mem::replace(&mut state.is_closed, true);
        if !was_closed && !state.has_arguments {
            self.arguments(out, call, "{}");
        }
    }

    /// Says which stop sequence ended the answer, as vLLM does, at its end.
    pub fn stopped_at(&mut self, sequence: &str) {
        self.sequence = Some(sequence.to_owned());
    }

    /// Writes any delta, an object.
    pub fn delta(&mut self, out: &mut String, delta: Value) {
        let object = delta.to_string();
        let inner = object
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        if let Some(members) = inner.filter(|members| !members.is_empty()) {
            self.open(out);
            out.push_str(members);
            close(out);
        }
    }

    /// Ends the answer; with its usage if the client asked for it.
    pub fn end(&mut self, out: &mut String, reason: StopReason, usage: Option<Usage>) {
        if !self.begun {
            self.begin(out);
        }
        for call in 0..self.calls.len() {
            self.close_call(out, call);
        }
        self.finish(out, finish_reason(reason), usage.map(wire_usage));
    }

    /// Ends the answer with the wire's own words.
    pub fn finish(&mut self, out: &mut String, reason: &str, usage: Option<Value>) {
        let mut choice = json!({"index": 0, "delta": {}, "finish_reason": reason});
        if let Some(sequence) = &self.sequence {
            choice["stop_reason"] = json!(sequence);
        }
        self.chunk(out, &format!("\"choices\":[{choice}]"));
        if let Some(usage) = usage {
            self.chunk(out, &format!("\"choices\":[],\"usage\":{usage}"));
        }
        sse::write(out, None, "[DONE]");
    }

    /// Ends the answer with an error.
    pub fn error(&mut self, out: &mut String, error: &ResponseError) {
        let error = json!({"error": openai_error(error)});
        sse::write(out, None, &error.to_string());
        sse::write(out, None, "[DONE]");
    }

    /// Writes a delta of one member.
    fn said(&mut self, out: &mut String, member: &str, text: &str) {
        self.open(out);
        out.push('"');
        out.push_str(member);
        out.push_str("\":");
        emit::string(out, text);
        close(out);
    }

    /// Begins a chunk with a delta.
    fn open(&mut self, out: &mut String) {
        out.push_str("data: ");
        out.push_str(&self.head);
        out.push_str(",\"choices\":[{\"index\":0,\"delta\":{");
        if !std::mem::replace(&mut self.begun, true) {
            out.push_str("\"role\":\"assistant\",");
        }
    }

    fn chunk(&self, out: &mut String, rest: &str) {
        sse::write(out, None, &format!("{},{rest}}}", self.head));
    }
}

/// Ends the chunk that was opened.
fn close(out: &mut String) {
    out.push_str("},\"finish_reason\":null}]}\n\n");
}

/// Returns the wire's word for a reason.
pub(super) fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Done => "stop",
        StopReason::ToolCalls => "tool_calls",
        StopReason::Length => "length",
        StopReason::Filtered => "content_filter",
    }
}

pub(super) fn wire_usage(usage: Usage) -> Value {
    let mut wire = json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt.saturating_add(usage.completion),
    });
    if let Some(cached) = usage.cached {
        wire["prompt_tokens_details"] = json!({"cached_tokens": cached});
    }
    if let Some(written) = usage.cache_write {
        wire["prompt_tokens_details"]["cache_write_tokens"] = json!(written);
    }
    if let Some(reasoning) = usage.reasoning {
        wire["completion_tokens_details"] = json!({"reasoning_tokens": reasoning});
    }
    wire
}
