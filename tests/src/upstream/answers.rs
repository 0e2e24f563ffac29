//! What a backend answers, in the shape of the path it was asked on. Ids and times are fixed, so
//! that two answers to one request are equal byte for byte.

use super::Seen;
use serde_json::{Value, json};

const CREATED: u64 = 1_700_000_000;
const ARGUMENTS: &str = r#"{"city":"Rome"}"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Chat,
    Responses,
    Messages,
}

/// A request as far as the answer depends on it.
pub(super) struct Asked {
    wire: Wire,
    pub(super) stream: bool,
    wants_usage: bool,
    model: String,
    tool: Option<String>,
    pieces: Vec<String>,
    /// Between the first and the second choice of each token.
    margin: Option<f64>,
}

impl Asked {
    pub(super) fn read(backend: &str, seen: &Seen) -> Self {
        let body = seen.json();
        let path = seen.path.split('?').next().unwrap_or_default();
        let wire = match path {
            path if path.ends_with("/messages") => Wire::Messages,
            path if path.ends_with("/responses") => Wire::Responses,
            _ => Wire::Chat,
        };
        let count = super::script(seen, "x-script-pieces").unwrap_or(4);
        let margin =
            super::scripted(seen, "x-script-margin").and_then(|margin| margin.parse().ok());
        Self {
            wire,
            stream: body["stream"] == true,
            wants_usage: body["stream_options"]["include_usage"] == true,
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            tool: wanted_tool(&body),
            margin: margin.filter(|_| body["logprobs"] == true),
            pieces: (1..=count)
                .map(|piece| format!("{piece} from {backend}. "))
                .collect(),
        }
    }

    /// The answer as one JSON object.
    pub(super) fn whole(&self) -> Value {
        match self.wire {
            Wire::Chat => self.chat(),
            Wire::Responses => self.response("completed", self.output_items()),
            Wire::Messages => self.message(self.content_blocks(), Some(self.stop_reason())),
        }
    }

    /// The answer as server-sent events, each with its blank line.
    pub(super) fn events(&self) -> Vec<String> {
        match self.wire {
            Wire::Chat => self.chat_events(),
            Wire::Responses => self.response_events(),
            Wire::Messages => self.message_events(),
        }
    }

    /// An error of this wire.
    pub(super) fn error(&self) -> Value {
        match self.wire {
            Wire::Messages => {
                json!({"type": "error", "error": {"type": "api_error", "message": "scripted"}, "request_id": "req_1"})
            }
            _ => {
                json!({"error": {"message": "scripted", "type": "server_error", "param": null, "code": "scripted"}})
            }
        }
    }

    fn text(&self) -> String {
        self.pieces.concat()
    }

    fn chat(&self) -> Value {
        let message = match &self.tool {
            Some(tool) => {
                json!({"role": "assistant", "content": null, "tool_calls": [tool_call(tool)]})
            }
            None => json!({"role": "assistant", "content": self.text()}),
        };
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": CREATED, "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason(), "logprobs": self.logprobs()}],
            "usage": self.chat_usage(),
        })
    }

    fn logprobs(&self) -> Value {
        let Some(margin) = self.margin else {
            return Value::Null;
        };
        let token = |piece: &String| {
            json!({"token": piece, "logprob": -0.1, "bytes": null, "top_logprobs": [
                {"token": piece, "logprob": -0.1, "bytes": null},
                {"token": "other", "logprob": -0.1 - margin, "bytes": null},
            ]})
        };
        json!({"content": self.pieces.iter().map(token).collect::<Vec<_>>(), "refusal": null})
    }

    fn chat_usage(&self) -> Value {
        json!({
            "prompt_tokens": 11, "completion_tokens": self.pieces.len(), "total_tokens": 11 + self.pieces.len(),
            "prompt_tokens_details": {"cached_tokens": 7},
        })
    }

    fn chat_chunk(&self, delta: &Value, finish: Option<&str>) -> String {
        data(&json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }))
    }

    fn chat_events(&self) -> Vec<String> {
        let mut events = vec![self.chat_chunk(&json!({"role": "assistant", "content": ""}), None)];
        match &self.tool {
            Some(tool) => {
                let mut call = tool_call(tool);
                call["index"] = json!(0);
                events.push(self.chat_chunk(&json!({"tool_calls": [call]}), None));
            }
            None => events.extend(
                self.pieces
                    .iter()
                    .map(|piece| self.chat_chunk(&json!({"content": piece}), None)),
            ),
        }
        events.push(self.chat_chunk(&json!({}), Some(self.finish_reason())));
        if self.wants_usage {
            events.push(data(&json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": self.model,
                "choices": [], "usage": self.chat_usage(),
            })));
        }
        events.push("data: [DONE]\n\n".to_owned());
        events
    }

    fn finish_reason(&self) -> &'static str {
        if self.tool.is_some() {
            "tool_calls"
        } else {
            "stop"
        }
    }

    fn output_items(&self) -> Value {
        match &self.tool {
            Some(tool) => {
                json!([{"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": tool,
                "arguments": ARGUMENTS, "status": "completed"}])
            }
            None => json!([self.output_message("completed", &self.text())]),
        }
    }

    fn output_message(&self, status: &str, text: &str) -> Value {
        let content = if status == "completed" {
            json!([text_part(text)])
        } else {
            json!([])
        };
        json!({"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": content})
    }

    fn response(&self, status: &str, output: Value) -> Value {
        let usage = (status == "completed").then(|| {
            json!({
                "input_tokens": 11, "input_tokens_details": {"cached_tokens": 7}, "output_tokens": self.pieces.len(),
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 11 + self.pieces.len(),
            })
        });
        json!({
            "id": "resp_1", "object": "response", "created_at": CREATED, "status": status, "model": self.model,
            "output": output, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "usage": usage,
        })
    }

    fn response_events(&self) -> Vec<String> {
        let start = self.response("in_progress", json!([]));
        let mut list = vec![json!({"type": "response.created", "response": start})];
        if self.tool.is_some() {
            let item = self.output_items()[0].clone();
            list.push(
                json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
            );
            list.push(json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 0,
                "arguments": ARGUMENTS}));
            list.push(
                json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
            );
        } else {
            list.extend(self.response_text_events());
        }
        list.push(json!({"type": "response.completed", "response": self.response("completed", self.output_items())}));
        for (number, event) in list.iter_mut().enumerate() {
            event["sequence_number"] = json!(number);
        }
        list.iter().map(named).collect()
    }

    fn response_text_events(&self) -> Vec<Value> {
        let part = |kind: &str, rest: Value| {
            let mut event =
                json!({"type": kind, "item_id": "msg_1", "output_index": 0, "content_index": 0});
            if let (Some(event), Value::Object(rest)) = (event.as_object_mut(), rest) {
                event.extend(rest);
            }
            event
        };
        let text = self.text();
        let mut list = vec![
            json!({"type": "response.output_item.added", "output_index": 0, "item": self.output_message("in_progress", "")}),
            part(
                "response.content_part.added",
                json!({"part": text_part("")}),
            ),
        ];
        let deltas = self.pieces.iter();
        list.extend(deltas.map(|piece| {
            part(
                "response.output_text.delta",
                json!({"delta": piece, "logprobs": []}),
            )
        }));
        list.push(part(
            "response.output_text.done",
            json!({"text": text, "logprobs": []}),
        ));
        list.push(part(
            "response.content_part.done",
            json!({"part": text_part(&text)}),
        ));
        list.push(json!({"type": "response.output_item.done", "output_index": 0, "item": self.output_message("completed", &text)}));
        list
    }

    fn content_blocks(&self) -> Value {
        match &self.tool {
            Some(tool) => {
                json!([{"type": "tool_use", "id": "toolu_1", "name": tool, "input": {"city": "Rome"}}])
            }
            None => json!([{"type": "text", "text": self.text()}]),
        }
    }

    fn message(&self, content: Value, stop_reason: Option<&str>) -> Value {
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": self.model, "content": content,
            "stop_reason": stop_reason, "stop_sequence": null,
            "usage": {"input_tokens": 11, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 0,
                "output_tokens": self.pieces.len()},
        })
    }

    fn message_events(&self) -> Vec<String> {
        let (block, deltas) = match &self.tool {
            Some(tool) => (
                json!({"type": "tool_use", "id": "toolu_1", "name": tool, "input": {}}),
                vec![json!({"type": "input_json_delta", "partial_json": ARGUMENTS})],
            ),
            None => (
                json!({"type": "text", "text": ""}),
                self.pieces
                    .iter()
                    .map(|piece| json!({"type": "text_delta", "text": piece}))
                    .collect(),
            ),
        };
        let mut list = vec![
            json!({"type": "message_start", "message": self.message(json!([]), None)}),
            json!({"type": "content_block_start", "index": 0, "content_block": block}),
            json!({"type": "ping"}),
        ];
        let deltas = deltas.into_iter();
        list.extend(
            deltas.map(|delta| json!({"type": "content_block_delta", "index": 0, "delta": delta})),
        );
        list.push(json!({"type": "content_block_stop", "index": 0}));
        list.push(json!({"type": "message_delta", "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null},
            "usage": {"output_tokens": self.pieces.len()}}));
        list.push(json!({"type": "message_stop"}));
        list.iter().map(named).collect()
    }

    fn stop_reason(&self) -> &'static str {
        if self.tool.is_some() {
            "tool_use"
        } else {
            "end_turn"
        }
    }
}

/// The first function offered, unless the conversation already holds a result.
fn wanted_tool(body: &Value) -> Option<String> {
    let tool = body["tools"].get(0)?;
    let answered = ["messages", "input"]
        .iter()
        .any(|list| has_result(&body[*list]));
    let name = tool["function"]["name"]
        .as_str()
        .or_else(|| tool["name"].as_str())?;
    (!answered).then(|| name.to_owned())
}

fn has_result(list: &Value) -> bool {
    let last = list.as_array().and_then(|list| list.last());
    last.is_some_and(|last| {
        last["role"] == "tool"
            || last["type"] == "function_call_output"
            || last["content"][0]["type"] == "tool_result"
    })
}

fn tool_call(name: &str) -> Value {
    json!({"id": "call_1", "type": "function", "function": {"name": name, "arguments": ARGUMENTS}})
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn data(event: &Value) -> String {
    format!("data: {event}\n\n")
}

fn named(event: &Value) -> String {
    format!(
        "event: {}\ndata: {event}\n\n",
        event["type"].as_str().unwrap_or_default()
    )
}
