//! An answer that is written as one body: chat completions and messages. A whole response is what
//! its stream ends with.

use serde_json::{Map, Value, json};

use super::{AnswerHead, Source, StopReason, chat, emit, messages, url_citation, web_citation};
use crate::usage::Usage;

/// Collects an answer.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    sections: Vec<Section>,
    /// Where in `sections` each tool call stands.
    calls: Vec<usize>,
    /// Characters of the answer's text, all sections together.
    chars: u64,
    annotations: Vec<Value>,
    sequence: Option<String>,
    refused: bool,
}

#[derive(Debug)]
struct Section {
    kind: Kind,
    /// The text, or the arguments.
    text: String,
    citations: Vec<Value>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Reasoning,
    Call { id: String, name: String },
}

impl Whole {
    pub(crate) fn text(&mut self, text: &str) {
        self.chars += emit::count(text.chars().count());
        self.piece(Kind::Text, text);
    }

    pub(crate) fn refusal(&mut self, text: &str) {
        self.refused = true;
        self.piece(Kind::Refusal, text);
    }

    pub(crate) fn reasoning(&mut self, text: &str) {
        self.piece(Kind::Reasoning, text);
    }

    /// Returns whether there is a text to say it of.
    pub(crate) fn citation(&mut self, source: &Source<'_>) -> bool {
        let last = self.sections.last_mut();
        let Some(text) = last.filter(|section| section.kind == Kind::Text) else {
            return false;
        };
        text.citations.push(web_citation(source));
        let citation = url_citation(source, self.chars);
        self.annotations
            .push(json!({"type": "url_citation", "url_citation": citation}));
        true
    }

    pub(crate) fn tool_call(&mut self, id: &str, name: &str) -> usize {
        self.calls.push(self.sections.len());
        self.sections.push(Section {
            kind: Kind::Call {
                id: id.to_owned(),
                name: name.to_owned(),
            },
            text: String::new(),
            citations: Vec::new(),
        });
        self.calls.len() - 1
    }

    pub(crate) fn arguments(&mut self, call: usize, piece: &str) {
        let section = self.calls.get(call);
        if let Some(section) = section.and_then(|at| self.sections.get_mut(*at)) {
            section.text.push_str(piece);
        }
    }

    pub(crate) fn stopped_at(&mut self, sequence: &str) {
        self.sequence = Some(sequence.to_owned());
    }

    fn piece(&mut self, kind: Kind, text: &str) {
        match self.sections.last_mut() {
            Some(last) if last.kind == kind => last.text.push_str(text),
            _ => self.sections.push(Section {
                kind,
                text: text.to_owned(),
                citations: Vec::new(),
            }),
        }
    }

    /// Returns the texts of one kind, joined; `None` without any.
    fn joined(&self, kind: &Kind) -> Option<String> {
        let mut texts = self
            .sections
            .iter()
            .filter(|it| it.kind == *kind)
            .peekable();
        texts.peek()?;
        Some(texts.map(|section| section.text.as_str()).collect())
    }

    /// Returns the chat completion.
    pub(crate) fn completion(
        self,
        head: &AnswerHead,
        reason: StopReason,
        usage: Option<Usage>,
    ) -> Value {
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        let text = self.joined(&Kind::Text);
        let refusal = self.joined(&Kind::Refusal);
        let text = match &refusal {
            None if self.calls.is_empty() => Some(text.unwrap_or_default()),
            _ => text,
        };
        message.insert("content".to_owned(), json!(text));
        message.insert("refusal".to_owned(), json!(refusal));
        if let Some(reasoning) = self.joined(&Kind::Reasoning) {
            message.insert("reasoning_content".to_owned(), json!(reasoning));
        }
        if !self.annotations.is_empty() {
            message.insert("annotations".to_owned(), json!(self.annotations));
        }
        let calls: Vec<Value> = self
            .sections
            .iter()
            .filter_map(Section::chat_call)
            .collect();
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), json!(calls));
        }
        let mut choice = json!({
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": chat::finish_reason(reason),
        });
        if let Some(sequence) = self.sequence {
            choice["stop_reason"] = json!(sequence);
        }
        let mut body = json!({
            "id": head.id,
            "object": "chat.completion",
            "created": head.created,
            "model": head.model,
            "choices": [choice],
        });
        if let Some(usage) = usage {
            body["usage"] = chat::wire_usage(usage);
        }
        body
    }

    /// Returns the message.
    pub(crate) fn message(
        self,
        head: &AnswerHead,
        reason: StopReason,
        usage: Option<Usage>,
    ) -> Value {
        let mut content: Vec<Value> = Vec::new();
        for section in &self.sections {
            section.add_block(&mut content);
        }
        let (reason, sequence) = messages::stop(reason, self.refused, self.sequence.as_deref());
        let usage = usage.unwrap_or_default();
        json!({
            "id": head.id,
            "type": "message",
            "role": "assistant",
            "model": head.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": messages::wire_usage(usage),
        })
    }
}

impl Section {
    fn chat_call(&self) -> Option<Value> {
        let Kind::Call { id, name } = &self.kind else {
            return None;
        };
        let arguments = if self.text.is_empty() {
            "{}"
        } else {
            &self.text
        };
        let function = json!({"name": name, "arguments": arguments});
        Some(json!({"id": id, "type": "function", "function": function}))
    }

    /// Adds its content block. A refusal after a text goes on with it, as in a stream.
    fn add_block(&self, content: &mut Vec<Value>) {
        let block = match &self.kind {
            Kind::Text | Kind::Refusal => {
                let is_text = content.last().is_some_and(|last| last["type"] == "text");
                if !is_text {
                    content.push(json!({"type": "text", "text": ""}));
                }
                if let Some(block) = content.last_mut() {
                    self.add_text(block);
                }
                return;
            }
            Kind::Reasoning => {
                json!({"type": "thinking", "thinking": self.text, "signature": ""})
            }
            Kind::Call { id, name } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": input(&self.text)})
            }
        };
        content.push(block);
    }

    fn add_text(&self, block: &mut Value) {
        if let Some(Value::String(text)) = block.get_mut("text") {
            text.push_str(&self.text);
        }
        if self.citations.is_empty() {
            return;
        }
        match block.get_mut("citations").and_then(Value::as_array_mut) {
            Some(had) => had.extend(self.citations.iter().cloned()),
            None => block["citations"] = json!(self.citations),
        }
    }
}

/// Returns a call's arguments as an object. Others, as a model cut short writes them,
/// are kept as a text.
fn input(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(input)) => Value::Object(input),
        _ => json!({"arguments": arguments}),
    }
}
