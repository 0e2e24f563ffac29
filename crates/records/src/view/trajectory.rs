//! A session as one conversation, made of the steps of its records.

use serde_json::{Map, Value, json};

use super::Detail;
use super::redaction::tool_status;
use crate::record::{Captured, Text, ToolStep, ToolStepType};
use crate::store::Kept;

/// One message of a conversation, before it is shown.
#[derive(Debug, Clone, PartialEq)]
enum Message {
    User(String),
    Assistant(String),
    Calls(Vec<Call>),
    Result { id: String, output: String },
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

/// Returns a session's records, oldest first, as one conversation. What a request repeats of the
/// one before is shown once.
#[must_use]
pub fn trajectory(session_id: &str, records: &[Kept], detail: Detail) -> Value {
    let mut messages: Vec<Message> = Vec::new();
    for captured in records.iter().filter_map(|kept| kept.captured.as_ref()) {
        let next = said(captured);
        let repeated = overlap(&messages, &next);
        messages.extend(next.into_iter().skip(repeated));
    }
    let messages: Vec<Value> = messages.iter().map(|it| shown(it, detail)).collect();
    json!({
        "object": "router_replay.trajectory",
        "session_id": session_id,
        "record_count": records.len(),
        "messages": messages,
    })
}

/// Returns how many messages at the start of `next` are those at the end of `before`.
fn overlap(before: &[Message], next: &[Message]) -> usize {
    let most = before.len().min(next.len());
    let is_repeated = |count: &usize| {
        let end = before.get(before.len() - count..);
        end == next.get(..*count)
    };
    (1..=most).rev().find(is_repeated).unwrap_or_default()
}

fn said(captured: &Captured) -> Vec<Message> {
    let steps = captured.tool_trace.iter().flat_map(|trace| &trace.steps);
    let mut messages = Vec::new();
    for step in steps {
        take(&mut messages, step);
    }
    if messages.is_empty() {
        messages.extend(of_bodies(captured));
    }
    messages
}

fn take(messages: &mut Vec<Message>, step: &ToolStep) {
    match step.r#type() {
        ToolStepType::UserInput => messages.push(Message::User(step.text.clone())),
        ToolStepType::AssistantToolCall => {
            let call = Call {
                id: step.tool_call_id.clone(),
                name: step.tool_name.clone(),
                arguments: either(&step.raw_arguments, &step.arguments),
            };
            if let Some(Message::Calls(calls)) = messages.last_mut() {
                calls.push(call);
            } else {
                messages.push(Message::Calls(vec![call]));
            }
        }
        ToolStepType::ClientToolResult => messages.push(Message::Result {
            id: step.tool_call_id.clone(),
            output: either(&step.raw_output, &step.output),
        }),
        ToolStepType::AssistantFinalResponse => {
            messages.push(Message::Assistant(step.text.clone()));
        }
        ToolStepType::AssistantReasoningComplete | ToolStepType::Unspecified => {}
    }
}

fn either(one: &str, other: &str) -> String {
    if one.is_empty() { other } else { one }.to_owned()
}

/// Reads what there is of a record without steps.
fn of_bodies(captured: &Captured) -> Vec<Message> {
    let mut messages = Vec::new();
    if let Some(Text { text, .. }) = &captured.prompt {
        messages.push(Message::User(text.clone()));
    }
    let answer = captured.response_body.as_ref();
    let answer = answer.and_then(|body| serde_json::from_str::<Value>(&body.text).ok());
    let content = answer.as_ref().and_then(|answer| {
        answer
            .pointer("/choices/0/message/content")
            .or_else(|| answer.pointer("/output/0/content/0/text"))
            .or_else(|| answer.pointer("/content/0/text"))
            .and_then(Value::as_str)
    });
    messages.extend(content.map(|content| Message::Assistant(content.to_owned())));
    messages
}

fn shown(message: &Message, detail: Detail) -> Value {
    let is_redacted = detail == Detail::Redacted;
    let text = |text: &str| {
        if is_redacted {
            String::new()
        } else {
            text.to_owned()
        }
    };
    let mut shown = match message {
        Message::User(content) => json!({"role": "user", "content": text(content)}),
        Message::Assistant(content) => json!({"role": "assistant", "content": text(content)}),
        Message::Calls(calls) => {
            let calls = calls.iter().map(|call| {
                json!({"id": call.id, "type": "function",
                    "function": {"name": call.name, "arguments": text(&call.arguments)}})
            });
            json!({"role": "assistant", "tool_calls": calls.collect::<Vec<_>>()})
        }
        Message::Result { id, output } => {
            let mut members = Map::new();
            members.insert("role".to_owned(), "tool".into());
            members.insert("tool_call_id".to_owned(), id.as_str().into());
            members.insert("content".to_owned(), text(output).into());
            if is_redacted {
                members.insert("status".to_owned(), tool_status(output).into());
            }
            members.into()
        }
    };
    if let (true, Some(members)) = (is_redacted, shown.as_object_mut()) {
        members.insert("content_redacted".to_owned(), true.into());
    }
    shown
}
