//! Request bodies as clients write them.

use serde_json::{Value, json};

/// The path of OpenAI chat completions.
pub const CHAT: &str = "/v1/chat/completions";
/// The path of OpenAI Responses.
pub const RESPONSES: &str = "/v1/responses";
/// The path of Anthropic Messages.
pub const MESSAGES: &str = "/v1/messages";

/// A chat completion of one user message.
#[must_use]
pub fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// A Responses call of one text.
#[must_use]
pub fn responses(model: &str, text: &str) -> Value {
    json!({"model": model, "input": text})
}

/// A Messages call of one user message.
#[must_use]
pub fn messages(model: &str, text: &str) -> Value {
    json!({"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}]})
}

/// The same request, streamed.
#[must_use]
pub fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

/// The same streamed chat request, asking for the usage at the end.
#[must_use]
pub fn with_usage(mut body: Value) -> Value {
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// The same chat request with one function to call.
#[must_use]
pub fn with_tool(mut body: Value) -> Value {
    body["tools"] = json!([{"type": "function", "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }}]);
    body
}
