//! The request that coding agents really send: a turn of Claude Code of about 120 KB, generated.
//!
//! A third of it is the conversation: the user's question between reminders, a system message, and
//! steps of a tool loop whose results are source text, so that every line holds an escape. Most of
//! the rest is definitions of tools, which are the same in every turn.

use bytes::Bytes;
use serde_json::{Value, json};
use std::fmt::Write as _;

use crate::prompts;

/// Steps of the tool loop that make a request of about 120 KB.
pub const STEPS: u64 = 9;

/// Tools that the agent defines.
const TOOLS: u64 = 24;

const NAMES: [&str; 12] = [
    "Bash",
    "Edit",
    "Glob",
    "Grep",
    "LS",
    "MultiEdit",
    "NotebookEdit",
    "Read",
    "Task",
    "TodoWrite",
    "WebFetch",
    "Write",
];
const PROPERTIES: [&str; 10] = [
    "file_path",
    "command",
    "description",
    "timeout",
    "pattern",
    "offset",
    "limit",
    "old_string",
    "new_string",
    "replace_all",
];

/// The request after `steps` steps of its tool loop. Each is the one before it and one step more,
/// as an agent sends it.
#[must_use]
pub fn body(steps: u64) -> Bytes {
    request(steps).to_string().into()
}

/// The same as JSON.
#[must_use]
pub fn request(steps: u64) -> Value {
    let mut messages = vec![
        json!({"role": "user", "content": question()}),
        json!({"role": "system", "content": instructions(1, 4 << 10)}),
    ];
    messages.extend((1..=steps).flat_map(step));
    let session = "{\"device_id\":\"a1\",\"account_uuid\":\"\",\"session_id\":\"9d2c\"}";
    json!({
        "model": "auto",
        "messages": messages,
        "system": system(),
        "tools": tools(),
        "metadata": {"user_id": session},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": true,
    })
}

/// The system prompt: an identity that varies, and 9 KB of instructions.
fn system() -> Value {
    let header = "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli;";
    let cached = json!({"type": "ephemeral"});
    json!([
        {"type": "text", "text": header},
        {"type": "text", "text": "You are an agent that works on source code.", "cache_control": cached},
        {"type": "text", "text": instructions(2, 9 << 10), "cache_control": cached},
    ])
}

/// The user's words behind two reminders.
fn question() -> Value {
    let reminder = |number| {
        let text = prompts::text(number, 160);
        json!({"type": "text", "text": format!("<system-reminder>\n{text}\n</system-reminder>\n")})
    };
    let asked = "The build fails on the second run since the cache was moved. Find out why, \
                 compare what changed, and fix it; run the tests afterwards.";
    json!([reminder(11), reminder(12), {"type": "text", "text": asked}])
}

/// One step of the loop: what the assistant says and calls, and what comes of it.
fn step(number: u64) -> [Value; 2] {
    let id = format!("toolu_{number:024}");
    let file = format!("/home/dev/project/src/module_{number}.rs");
    let said = prompts::text(100 + number, 40);
    [
        json!({"role": "assistant", "content": [
            {"type": "text", "text": said},
            {"type": "tool_use", "id": id, "name": "Read", "input": {"file_path": file}},
        ]}),
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": source(number, 3 << 10)},
        ]}),
    ]
}

/// The definitions of all tools, 60 to 75 KB.
fn tools() -> Value {
    (0..TOOLS).map(tool).collect()
}

fn tool(number: u64) -> Value {
    let pick = |list: &[&'static str], at: u64| {
        let at = usize::try_from(at).unwrap_or_default() % list.len();
        list.get(at).copied().unwrap_or_default()
    };
    let properties: serde_json::Map<String, Value> = (0..6)
        .map(|at| {
            let name = pick(&PROPERTIES, number + at);
            let kind = pick(&["string", "number", "boolean"], number + at);
            let described = prompts::text((number << 8) + at, 16);
            (
                name.to_owned(),
                json!({"type": kind, "description": described}),
            )
        })
        .collect();
    let required: Vec<&String> = properties.keys().take(2).collect();
    json!({
        "name": format!("{}_{number}", pick(&NAMES, number)),
        "description": instructions(1000 + number, 1 << 11),
        "input_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        },
    })
}

/// Instructions in Markdown of about `size` bytes.
fn instructions(number: u64, size: usize) -> String {
    let mut text = String::with_capacity(size + 128);
    for paragraph in 0.. {
        if text.len() >= size {
            break;
        }
        let said = prompts::text((number << 20) + paragraph, 36);
        let (heading, rest) = said.split_once(" . ").unwrap_or((&said, ""));
        // Writing to a string cannot fail.
        let _written = write!(text, "## \"{heading}\"\n\n- {rest}\n\n");
    }
    text.truncate(size);
    text
}

/// Source text of about `size` bytes, numbered as `Read` numbers it.
fn source(number: u64, size: usize) -> String {
    let mut text = String::with_capacity(size + 128);
    for line in 1.. {
        if text.len() >= size {
            break;
        }
        let said = prompts::text((number << 20) + line, 6);
        let name = said.replace(' ', "_");
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{line:>6}\tlet {name} = find(\"{said}\", {line})?;");
    }
    text.truncate(size);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_turn_has_the_size_of_a_real_one() {
        let size = |value: &Value| value.to_string().len() >> 10;
        let request = request(STEPS);
        assert!(
            (115..=125).contains(&size(&request)),
            "{} KB",
            size(&request)
        );
        assert!(
            (60..=75).contains(&size(&request["tools"])),
            "{} KB",
            size(&request["tools"])
        );
        assert!(
            (9..=10).contains(&size(&request["system"])),
            "{} KB",
            size(&request["system"])
        );
    }

    #[test]
    fn a_turn_repeats_the_turn_before_it() {
        let messages = |steps| {
            request(steps)["messages"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        };
        let (before, after) = (messages(3), messages(4));
        assert_eq!(before[..], after[..before.len()]);
        assert_eq!(request(3)["tools"], request(4)["tools"]);
    }
}
