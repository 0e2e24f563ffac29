//! Events of OpenAI Responses: numbered, each item opened and closed, the whole response at the
//! end.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::{AnswerHead, Source, StopReason, emit, named, response_error, url_citation};
use crate::usage::{BODY_LIMIT, ResponseError, Usage};

/// Writes a response. It keeps what was written, up to [`BODY_LIMIT`]: the wire repeats it at the
/// end of each item, and of the response.
#[derive(Debug)]
pub struct ResponsesWriter {
    /// The response as it stands.
    response: Value,
    /// What the ids of items end in.
    stem: String,
    /// Events written.
    events: u64,
    /// The items that are not complete: calls may come side by side.
    open: Vec<Open>,
    /// The items that are; a place is empty until its item is.
    output: Vec<Option<Value>>,
    /// Where in `output` each tool call stands.
    calls: Vec<usize>,
    /// Bytes of texts and arguments kept.
    kept: usize,
}

/// An item that is not complete.
#[derive(Debug)]
struct Open {
    /// Its place in the output.
    index: usize,
    kind: Kind,
    id: String,
    /// The text, or the arguments.
    text: String,
    /// Characters of the text.
    chars: u64,
    annotations: Vec<Value>,
    arguments: Arguments,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Message,
    Refusal,
    Reasoning,
    Call { id: String, name: String },
}

/// What the response says of itself, and a request cannot.
const OWN: [&str; 9] = [
    "id",
    "object",
    "created_at",
    "status",
    "error",
    "incomplete_details",
    "model",
    "output",
    "usage",
];

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
            open: Vec::new(),
            output: Vec::new(),
            calls: Vec::new(),
            kept: 0,
        }
    }

    /// Repeats members of the request, a JSON object as text; anything else repeats nothing.
    #[must_use]
    pub fn with_echo(mut self, echo: &str) -> Self {
        let echo = serde_json::from_str::<Map<String, Value>>(echo).unwrap_or_default();
        let members = echo
            .into_iter()
            .filter(|(name, _)| !OWN.contains(&name.as_str()));
        if let Some(response) = self.response.as_object_mut() {
            response.extend(members);
        }
        self
    }

    /// Writes more of the answer.
    pub fn text(&mut self, out: &mut String, text: &str) {
        self.enter(out, Kind::Message);
        self.delta(out, None, text);
    }

    /// Writes more of a refusal.
    pub fn refusal(&mut self, out: &mut String, text: &str) {
        self.enter(out, Kind::Refusal);
        self.delta(out, None, text);
    }

    /// Writes more of the reasoning before it, as its summary: it is what clients show, and send
    /// back.
    pub fn reasoning(&mut self, out: &mut String, text: &str) {
        self.enter(out, Kind::Reasoning);
        self.delta(out, None, text);
    }

    /// Says which page the text so far rests on. Without a text there is nothing to say it of.
    /// Returns whether it was said.
    pub fn citation(&mut self, out: &mut String, source: &Source<'_>) -> bool {
        let is_text = |open: &&mut Open| open.kind == Kind::Message;
        let Some(open) = self.open.iter_mut().find(is_text) else {
            return false;
        };
        let mut annotation = json!({"type": "url_citation"});
        if let (Some(annotation), Value::Object(members)) =
            (annotation.as_object_mut(), url_citation(source, open.chars))
        {
            annotation.extend(members);
        }
        let number = open.annotations.len();
        open.annotations.push(annotation.clone());
        let (id, index) = (open.id.clone(), open.index);
        // Keys and numbers weigh something too.
        self.kept += 128 + source.url.len() + source.title.len();
        self.event(
            out,
            json!({
                "type": "response.output_text.annotation.added",
                "item_id": id,
                "output_index": index,
                "content_index": 0,
                "annotation_index": number,
                "annotation": annotation,
            }),
        );
        true
    }

    /// Begins a tool call, and returns its number.
    pub fn tool_call(&mut self, out: &mut String, id: &str, name: &str) -> usize {
        let (id, name) = (id.to_owned(), name.to_owned());
        self.calls.push(self.output.len());
        self.kept += id.len() + name.len();
        self.enter(out, Kind::Call { id, name });
        self.calls.len() - 1
    }

    /// Writes more of a call's arguments.
    pub fn arguments(&mut self, out: &mut String, call: usize, piece: &str) {
        if let Some(&index) = self.calls.get(call) {
            self.delta(out, Some(index), piece);
        }
    }

    /// Ends a call. One without arguments gets an empty object: clients parse what they get.
    pub fn close_call(&mut self, out: &mut String, call: usize) {
        if let Some(&index) = self.calls.get(call) {
            self.close(out, index);
        }
    }

    /// Tells whether the answer is longer than what is kept.
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        self.kept > BODY_LIMIT
    }

    /// Ends the answer.
    pub fn end(&mut self, out: &mut String, reason: StopReason, usage: Option<Usage>) {
        self.begin(out);
        while let Some(index) = self.open.first().map(|open| open.index) {
            self.close(out, index);
        }
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
        self.take_output();
        self.response["usage"] = usage.map_or(Value::Null, wire_usage);
        self.response_event(out, &format!("response.{status}"));
    }

    /// Ends the answer with an error.
    pub fn error(&mut self, out: &mut String, error: &ResponseError) {
        self.begin(out);
        self.response["status"] = json!("failed");
        self.take_output();
        self.response["error"] = response_error(error);
        self.response_event(out, "response.failed");
    }

    /// Returns the response as it stands; whole after its end.
    #[must_use]
    pub fn into_response(self) -> Value {
        self.response
    }

    /// Says what the response is, before anything of it has come.
    pub fn begin(&mut self, out: &mut String) {
        if self.events == 0 {
            self.response_event(out, "response.created");
            self.response_event(out, "response.in_progress");
        }
    }

    fn take_output(&mut self) {
        let items = std::mem::take(&mut self.output);
        self.response["output"] = items.into_iter().flatten().collect();
    }

    /// Opens an item of this kind, unless one is open, and closes those that are complete.
    fn enter(&mut self, out: &mut String, kind: Kind) {
        self.begin(out);
        let is_call = matches!(kind, Kind::Call { .. });
        if !is_call && self.open.iter().any(|open| open.kind == kind) {
            return;
        }
        while let Some(index) = self
            .open
            .iter()
            .find(|open| open.is_complete())
            .map(|it| it.index)
        {
            self.close(out, index);
        }
        let index = self.output.len();
        self.output.push(None);
        let prefix = match kind {
            Kind::Message | Kind::Refusal => "msg",
            Kind::Reasoning => "rs",
            Kind::Call { .. } => "fc",
        };
        let id = match index {
            0 => format!("{prefix}_{}", self.stem),
            number => format!("{prefix}_{}_{number}", self.stem),
        };
        // What an item weighs by itself counts, or empty ones would come without end.
        self.kept += 256 + id.len();
        let open = Open::new(index, kind, id);
        let item = open.item(false);
        self.event(
            out,
            json!({"type": "response.output_item.added", "output_index": index, "item": item}),
        );
        if let (Some(event), Some(part)) = (open.part_event("added"), open.part()) {
            self.item_event(out, &open, event, &[("part", part)]);
        }
        self.open.push(open);
    }

    /// Writes a piece of an item: of a call by its place, else of the one that is no call.
    fn delta(&mut self, out: &mut String, index: Option<usize>, piece: &str) {
        let number = self.events;
        let found = self.open.iter_mut().find(|open| match index {
            Some(index) => open.index == index,
            None => !matches!(open.kind, Kind::Call { .. }),
        });
        // What comes for an item that has ended has no place any more.
        let Some(open) = found else { return };
        open.write(out, number, piece);
        open.keep(piece);
        self.kept += piece.len();
        self.events += 1;
    }

    fn close(&mut self, out: &mut String, index: usize) {
        let place = self.open.iter().position(|open| open.index == index);
        let Some(mut open) = place.map(|place| self.open.remove(place)) else {
            return;
        };
        if matches!(open.kind, Kind::Call { .. }) && open.text.is_empty() {
            open.write(out, self.events, "{}");
            open.keep("{}");
            self.events += 1;
        }
        let text = json!(open.text);
        let (event, member) = match open.kind {
            Kind::Message => ("response.output_text.done", "text"),
            Kind::Refusal => ("response.refusal.done", "refusal"),
            Kind::Reasoning => ("response.reasoning_summary_text.done", "text"),
            Kind::Call { .. } => ("response.function_call_arguments.done", "arguments"),
        };
        match open.kind {
            Kind::Message => {
                self.item_event(
                    out,
                    &open,
                    event,
                    &[(member, text), ("logprobs", json!([]))],
                );
            }
            _ => self.item_event(out, &open, event, &[(member, text)]),
        }
        if let (Some(event), Some(part)) = (open.part_event("done"), open.part()) {
            self.item_event(out, &open, event, &[("part", part)]);
        }
        let item = open.item(true);
        self.event(
            out,
            json!({"type": "response.output_item.done", "output_index": index, "item": item}),
        );
        if let Some(place) = self.output.get_mut(index) {
            *place = Some(item);
        }
    }

    /// Writes an event with the response as it stands.
    fn response_event(&mut self, out: &mut String, kind: &str) {
        let event = json!({"type": kind, "response": self.response});
        self.event(out, event);
    }

    /// Writes an event of an item.
    fn item_event(&mut self, out: &mut String, open: &Open, kind: &str, rest: &[(&str, Value)]) {
        let mut event = Map::new();
        event.insert("type".to_owned(), json!(kind));
        event.insert("item_id".to_owned(), json!(open.id));
        event.insert("output_index".to_owned(), json!(open.index));
        if let Some(place) = open.place() {
            event.insert(place.to_owned(), json!(0));
        }
        for (name, value) in rest {
            event.insert((*name).to_owned(), value.clone());
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
    fn new(index: usize, kind: Kind, id: String) -> Self {
        Self {
            index,
            kind,
            id,
            text: String::new(),
            chars: 0,
            annotations: Vec::new(),
            arguments: Arguments::default(),
        }
    }

    /// Tells whether nothing more comes of it once another item begins.
    fn is_complete(&self) -> bool {
        !matches!(self.kind, Kind::Call { .. }) || self.arguments.are_complete()
    }

    fn keep(&mut self, piece: &str) {
        self.text.push_str(piece);
        match self.kind {
            Kind::Call { .. } => self.arguments.read(piece),
            _ => self.chars += emit::count(piece.chars().count()),
        }
    }

    /// Writes the event of a piece.
    fn write(&self, out: &mut String, number: u64, piece: &str) {
        let event = match self.kind {
            Kind::Message => "response.output_text.delta",
            Kind::Refusal => "response.refusal.delta",
            Kind::Reasoning => "response.reasoning_summary_text.delta",
            Kind::Call { .. } => "response.function_call_arguments.delta",
        };
        for part in [
            "event: ",
            event,
            "\ndata: {\"type\":\"",
            event,
            "\",\"item_id\":",
        ] {
            out.push_str(part);
        }
        emit::string(out, &self.id);
        out.push_str(",\"output_index\":");
        emit::number(out, emit::count(self.index));
        if let Some(place) = self.place() {
            for part in [",\"", place, "\":0"] {
                out.push_str(part);
            }
        }
        out.push_str(",\"delta\":");
        emit::string(out, piece);
        if self.kind == Kind::Message {
            out.push_str(",\"logprobs\":[]");
        }
        out.push_str(",\"sequence_number\":");
        emit::number(out, number);
        out.push_str("}\n\n");
    }

    /// Returns the member that says which part of the item an event is about.
    fn place(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Message | Kind::Refusal => Some("content_index"),
            Kind::Reasoning => Some("summary_index"),
            Kind::Call { .. } => None,
        }
    }

    /// Returns the event that says that the part begins or ends.
    fn part_event(&self, what: &str) -> Option<&'static str> {
        Some(match (&self.kind, what) {
            (Kind::Call { .. }, _) => return None,
            (Kind::Reasoning, "added") => "response.reasoning_summary_part.added",
            (Kind::Reasoning, _) => "response.reasoning_summary_part.done",
            (_, "added") => "response.content_part.added",
            _ => "response.content_part.done",
        })
    }

    fn item(&self, done: bool) -> Value {
        let status = if done { "completed" } else { "in_progress" };
        let parts: Vec<Value> = self.part().filter(|_| done).into_iter().collect();
        match &self.kind {
            Kind::Message | Kind::Refusal => json!({
                "id": self.id,
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": parts,
            }),
            Kind::Reasoning => json!({
                "id": self.id,
                "type": "reasoning",
                "status": status,
                "summary": parts,
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

    /// Returns its one part as it stands.
    fn part(&self) -> Option<Value> {
        let text = &self.text;
        match self.kind {
            Kind::Message => Some(
                json!({"type": "output_text", "text": text, "annotations": self.annotations, "logprobs": []}),
            ),
            Kind::Refusal => Some(json!({"type": "refusal", "refusal": text})),
            Kind::Reasoning => Some(json!({"type": "summary_text", "text": text})),
            Kind::Call { .. } => None,
        }
    }
}

fn wire_usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": {
            "cached_tokens": usage.cached.unwrap_or_default(),
            "cache_write_tokens": usage.cache_write.unwrap_or_default(),
        },
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning.unwrap_or_default()},
        "total_tokens": usage.prompt.saturating_add(usage.completion),
    })
}
