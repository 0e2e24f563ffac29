//! Streams put together again as the SDKs do, held against the order that they rely on.

use serde_json::{Map, Value, json};

use super::*;

/// Returns the body that a stream adds up to.
pub(super) fn reassembled(client: Dialect, stream: &str) -> Value {
    let events = events(stream);
    match client {
        Dialect::OpenAiChat => {
            assert!(stream.ends_with("data: [DONE]\n\n"));
            completion(&events)
        }
        Dialect::OpenAiResponses => response(&events),
        Dialect::AnthropicMessages => message(&events),
    }
}

fn completion(events: &[(String, Value)]) -> Value {
    let mut message = Map::new();
    let mut calls: Vec<Value> = Vec::new();
    let mut choice_end = Value::Null;
    let mut body = json!({});
    for (_, chunk) in events {
        for name in ["id", "created", "model"] {
            body[name] = chunk[name].clone();
        }
        if let Some(usage) = chunk.get("usage") {
            assert_eq!(chunk["choices"], json!([]));
            body["usage"] = usage.clone();
        }
        for choice in chunk["choices"].as_array().unwrap() {
            assert_eq!(choice["index"], 0);
            if !choice["finish_reason"].is_null() {
                choice_end = choice.clone();
                continue;
            }
            assert!(choice_end.is_null(), "nothing follows the end");
            add(&mut message, &mut calls, &choice["delta"]);
        }
    }
    assert_eq!(message["role"], "assistant");
    let has_calls = !calls.is_empty();
    if has_calls {
        message.insert("tool_calls".to_owned(), json!(calls));
    }
    let refused = message.contains_key("refusal");
    message.entry("refusal").or_insert(Value::Null);
    let text = message.entry("content").or_insert(json!(""));
    if text == "" && (has_calls || refused) {
        *text = Value::Null;
    }
    let mut choice = json!({"index": 0, "message": message, "logprobs": null});
    choice["finish_reason"] = choice_end["finish_reason"].clone();
    if let Some(sequence) = choice_end.get("stop_reason") {
        choice["stop_reason"] = sequence.clone();
    }
    body["object"] = json!("chat.completion");
    body["choices"] = json!([choice]);
    body
}

fn add(message: &mut Map<String, Value>, calls: &mut Vec<Value>, delta: &Value) {
    for (name, value) in delta.as_object().unwrap() {
        match (name.as_str(), message.get_mut(name)) {
            ("tool_calls", _) => add_calls(calls, value),
            ("annotations", Some(Value::Array(had))) => {
                had.extend(value.as_array().unwrap().iter().cloned());
            }
            (_, Some(Value::String(had))) => had.push_str(value.as_str().unwrap()),
            _ => drop(message.insert(name.clone(), value.clone())),
        }
    }
}

fn add_calls(calls: &mut Vec<Value>, pieces: &Value) {
    for piece in pieces.as_array().unwrap() {
        let index = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
        if index == calls.len() {
            let mut call = piece.clone();
            call.as_object_mut().unwrap().remove("index");
            calls.push(call);
        } else {
            let more = piece["function"]["arguments"].as_str().unwrap();
            let Value::String(had) = &mut calls[index]["function"]["arguments"] else {
                panic!("{piece}")
            };
            had.push_str(more);
        }
    }
}

fn response(events: &[(String, Value)]) -> Value {
    let mut items = Vec::new();
    for (number, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["sequence_number"], number);
        assert_eq!(data["type"], name.as_str());
        let place = || usize::try_from(data["output_index"].as_u64().unwrap()).unwrap();
        match name.as_str() {
            "response.output_item.added" => {
                assert_eq!(place(), items.len());
                items.push((data["item"]["id"].clone(), String::new(), Value::Null));
            }
            "response.output_item.done" => items[place()].2 = data["item"].clone(),
            delta if delta.ends_with(".delta") => {
                let (id, text, done) = &mut items[place()];
                assert_eq!((&data["item_id"], &*done), (&*id, &Value::Null));
                text.push_str(data["delta"].as_str().unwrap());
            }
            _ => {}
        }
    }
    assert_eq!(events[0].0, "response.created");
    assert_eq!(events[1].0, "response.in_progress");
    let whole = events.last().unwrap().1["response"].clone();
    let output = whole["output"].as_array().unwrap();
    assert_eq!(output.len(), items.len());
    for (item, (_, text, done)) in output.iter().zip(items) {
        assert_eq!(*item, done);
        let found = match item["type"].as_str().unwrap() {
            "function_call" => &item["arguments"],
            "reasoning" => &item["summary"][0]["text"],
            _ if item["content"][0]["type"] == "refusal" => &item["content"][0]["refusal"],
            _ => &item["content"][0]["text"],
        };
        assert_eq!(*found, text);
    }
    whole
}

fn message(events: &[(String, Value)]) -> Value {
    let mut message = Value::Null;
    let mut content: Vec<Value> = Vec::new();
    let (mut open, mut json) = (false, String::new());
    for (name, data) in events {
        assert_eq!(data["type"], name.as_str());
        match name.as_str() {
            "message_start" => message = data["message"].clone(),
            "content_block_start" => {
                assert!(!open && data["index"] == content.len(), "{data}");
                open = true;
                json.clear();
                content.push(data["content_block"].clone());
            }
            "content_block_delta" => {
                assert!(open && data["index"] == content.len() - 1, "{data}");
                add_delta(content.last_mut().unwrap(), &data["delta"], &mut json);
            }
            "content_block_stop" => {
                assert!(open && data["index"] == content.len() - 1, "{data}");
                open = false;
                if !json.is_empty() {
                    content.last_mut().unwrap()["input"] = serde_json::from_str(&json).unwrap();
                }
            }
            "message_delta" => {
                message["stop_reason"] = data["delta"]["stop_reason"].clone();
                message["stop_sequence"] = data["delta"]["stop_sequence"].clone();
                message["usage"] = data["usage"].clone();
            }
            "message_stop" | "ping" => {}
            other => panic!("{other}"),
        }
    }
    assert!(!open);
    assert_eq!(events.last().unwrap().0, "message_stop");
    message["content"] = json!(content);
    message
}

fn add_delta(block: &mut Value, delta: &Value, json: &mut String) {
    let member = match delta["type"].as_str().unwrap() {
        "text_delta" => "text",
        "thinking_delta" => "thinking",
        "input_json_delta" => {
            json.push_str(delta["partial_json"].as_str().unwrap());
            return;
        }
        "citations_delta" => {
            let citations = block.as_object_mut().unwrap();
            let list = citations.entry("citations").or_insert(json!([]));
            list.as_array_mut().unwrap().push(delta["citation"].clone());
            return;
        }
        other => panic!("{other}"),
    };
    let Value::String(text) = &mut block[member] else {
        panic!("{block}")
    };
    text.push_str(delta[member].as_str().unwrap());
}
