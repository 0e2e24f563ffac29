//! Events of OpenAI Responses: numbered, each item opened and closed, the whole response at the
//! end.

use serde_json::{Map, Value, json};

use super::{AnswerHead, StopReason, named, openai_error};
use crate::usage::{ResponseError, Usage};

/// Writes a response. It keeps what was written: the wire repeats it at the end of each item, and
/// of the response.
#[derive(Debug)]
pub struct ResponsesWriter {
    /// The response as it stands.
    response: Value,
    /// What the ids of items end in.
    stem: String,
    /// Events written.
    events: u64,
    open: Option<Open>,
    output: Vec<Value>,
}

/// An item that is not complete.
#[derive(Debug)]
struct Open {
    kind: Kind,
    id: String,
    /// The text, or the arguments.
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Message,
    Reasoning,
    Call { id: String, name: String },
}

impl ResponsesWriter {
    /// Begins an answer.
    #[must_use]
    pub fn new(head: &AnswerHead) -> Self {
        let response = json!({
            "id": head.id,
            "object": "response",
            "created_at": head.created,
            "status": "in_progress",
            "error": null,
            "incomplete_details": null,
            "instructions": null,
            "metadata": {},
            "model": head.model,
            "output": [],
            "parallel_tool_calls": true,
            "tool_choice": "auto",
            "tools": [],
            "usage": null,
        });
        Self {
            response,
            stem: head.id.strip_prefix("resp_").unwrap_or(&head.id).to_owned(),
            events: 0,
            open: None,
            output: Vec::new(),
        }
    }

    /// Writes more of the answer.
    pub fn text(&mut self, out: &mut String, text: &str) {
        self.enter(out, Kind::Message);
        let delta = json!({"content_index": 0, "delta": text, "logprobs": []});
        self.item_event(out, "response.output_text.delta", delta);
        self.keep(text);
    }

    /// Writes more of the reasoning before it.
    pub fn reasoning(&mut self, out: &mut String, text: &str) {
        self.enter(out, Kind::Reasoning);
        let delta = json!({"content_index": 0, "delta": text});
        self.item_event(out, "response.reasoning_text.delta", delta);
        self.keep(text);
    }

    /// Begins a tool call.
    pub fn tool_call(&mut self, out: &mut String, id: &str, name: &str) {
        self.close(out);
        let (id, name) = (id.to_owned(), name.to_owned());
        self.enter(out, Kind::Call { id, name });
    }

    /// Writes more of the arguments of the call that was begun last.
    pub fn arguments(&mut self, out: &mut String, piece: &str) {
        let is_call = |open: &Open| matches!(open.kind, Kind::Call { .. });
        if self.open.as_ref().is_some_and(is_call) {
            let delta = json!({"delta": piece});
            self.item_event(out, "response.function_call_arguments.delta", delta);
            self.keep(piece);
        }
    }

    /// Ends the answer.
    pub fn end(&mut self, out: &mut String, reason: StopReason, usage: Option<Usage>) {
        self.begin(out);
        self.close(out);
        let incomplete = match reason {
            StopReason::Done | StopReason::ToolCalls => None,
            StopReason::Length => Some("max_output_tokens"),
            StopReason::Filtered => Some("content_filter"),
        };
        let status = match incomplete {
            None => "completed",
            Some(reason) => {
                self.response["incomplete_details"] = json!({"reason": reason});
                "incomplete"
            }
        };
        self.response["status"] = json!(status);
        self.response["output"] = Value::Array(std::mem::take(&mut self.output));
        self.response["usage"] = usage.map_or(Value::Null, wire_usage);
        self.response_event(out, &format!("response.{status}"));
    }

    /// Ends the answer with an error.
    pub fn error(&mut self, out: &mut String, error: &ResponseError) {
        self.begin(out);
        let wire = openai_error(error);
        self.response["status"] = json!("failed");
        self.response["output"] = Value::Array(std::mem::take(&mut self.output));
        self.response["error"] = json!({"code": wire["code"], "message": wire["message"]});
        self.response_event(out, "response.failed");
    }

    /// Returns the response as it stands; whole after its end.
    #[must_use]
    pub fn into_response(self) -> Value {
        self.response
    }

    fn begin(&mut self, out: &mut String) {
        if self.events == 0 {
            self.response_event(out, "response.created");
            self.response_event(out, "response.in_progress");
        }
    }

    /// Opens an item of this kind, unless one is open.
    fn enter(&mut self, out: &mut String, kind: Kind) {
        self.begin(out);
        if self.open.as_ref().is_some_and(|open| open.kind == kind) {
            return;
        }
        self.close(out);
        let prefix = match kind {
            Kind::Message => "msg",
            Kind::Reasoning => "rs",
            Kind::Call { .. } => "fc",
        };
        let id = match self.output.len() {
            0 => format!("{prefix}_{}", self.stem),
            number => format!("{prefix}_{}_{number}", self.stem),
        };
        let open = Open {
            kind,
            id,
            text: String::new(),
        };
        let item = open.item(false);
        let index = self.output.len();
        let added =
            json!({"type": "response.output_item.added", "output_index": index, "item": item});
        self.event(out, added);
        let part = open.part("");
        self.open = Some(open);
        if let Some(part) = part {
            let part = json!({"content_index": 0, "part": part});
            self.item_event(out, "response.content_part.added", part);
        }
    }

    fn close(&mut self, out: &mut String) {
        let Some(open) = &self.open else { return };
        let item = open.item(true);
        let text = open.text.clone();
        let part = open.part(&text);
        match open.kind {
            Kind::Message => {
                let done = json!({"content_index": 0, "text": text, "logprobs": []});
                self.item_event(out, "response.output_text.done", done);
            }
            Kind::Reasoning => {
                let done = json!({"content_index": 0, "text": text});
                self.item_event(out, "response.reasoning_text.done", done);
            }
            Kind::Call { .. } => {
                let done = json!({"arguments": text});
                self.item_event(out, "response.function_call_arguments.done", done);
            }
        }
        if let Some(part) = part {
            let part = json!({"content_index": 0, "part": part});
            self.item_event(out, "response.content_part.done", part);
        }
        let index = self.output.len();
        let done =
            json!({"type": "response.output_item.done", "output_index": index, "item": item});
        self.event(out, done);
        self.output.push(item);
        self.open = None;
    }

    fn keep(&mut self, text: &str) {
        if let Some(open) = &mut self.open {
            open.text.push_str(text);
        }
    }

    /// Writes an event with the response as it stands.
    fn response_event(&mut self, out: &mut String, kind: &str) {
        let event = json!({"type": kind, "response": self.response});
        self.event(out, event);
    }

    /// Writes an event of the open item.
    fn item_event(&mut self, out: &mut String, kind: &str, rest: Value) {
        let id = self.open.as_ref().map_or("", |open| &open.id);
        let mut event = Map::new();
        event.insert("type".to_owned(), json!(kind));
        event.insert("item_id".to_owned(), json!(id));
        event.insert("output_index".to_owned(), json!(self.output.len()));
        if let Value::Object(rest) = rest {
            event.extend(rest);
        }
        self.event(out, Value::Object(event));
    }

    fn event(&mut self, out: &mut String, mut event: Value) {
        event["sequence_number"] = json!(self.events);
        self.events += 1;
        named(out, &event);
    }
}

impl Open {
    fn item(&self, done: bool) -> Value {
        let status = if done { "completed" } else { "in_progress" };
        let content: Vec<Value> = self.part(&self.text).filter(|_| done).into_iter().collect();
        match &self.kind {
            Kind::Message => json!({
                "id": self.id,
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": content,
            }),
            Kind::Reasoning => json!({
                "id": self.id,
                "type": "reasoning",
                "status": status,
                "summary": [],
                "content": content,
            }),
            Kind::Call { id, name } => json!({
                "id": self.id,
                "type": "function_call",
                "status": status,
                "call_id": id,
                "name": name,
                "arguments": self.text,
            }),
        }
    }

    /// Returns the one part of its content.
    fn part(&self, text: &str) -> Option<Value> {
        match self.kind {
            Kind::Message => Some(json!({"type": "output_text", "text": text, "annotations": []})),
            Kind::Reasoning => Some(json!({"type": "reasoning_text", "text": text})),
            Kind::Call { .. } => None,
        }
    }
}

fn wire_usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached.unwrap_or_default()},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning.unwrap_or_default()},
        "total_tokens": usage.prompt.saturating_add(usage.completion),
    })
}
