//! What the wires cost: reading a request, editing it in place, translating it, reading usage from
//! a stream.

use benches::mix;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dialects::translate::Backend;
use dialects::{BodyKind, Dialect, Edits, PromptMode, ReadOptions, Request, UsageReader};
use serde_json::json;

const SIZES: [usize; 2] = [1 << 10, 16 << 10];
/// Text pieces of the streamed answer.
const PIECES: usize = 200;

/// The same question on each wire.
fn bodies(size: usize) -> [(Dialect, &'static str, Bytes); 3] {
    let text = mix::text(size.saturating_sub(120));
    let responses = json!({"model": "auto", "input": text, "max_output_tokens": 512});
    let messages = json!({"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 512});
    [
        (Dialect::OpenAiChat, "chat", mix::body(size)),
        (
            Dialect::OpenAiResponses,
            "responses",
            responses.to_string().into(),
        ),
        (
            Dialect::AnthropicMessages,
            "messages",
            messages.to_string().into(),
        ),
    ]
}

fn parse(criterion: &mut Criterion) {
    let options = ReadOptions::default();
    let mut group = criterion.benchmark_group("parse");
    for size in SIZES {
        for (dialect, name, body) in bodies(size) {
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| Request::parse(dialect, body.clone(), &options));
            });
        }
    }
    group.finish();
}

fn edit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("edit");
    for size in SIZES {
        let Ok(request) = Request::parse(
            Dialect::OpenAiChat,
            mix::body(size),
            &ReadOptions::default(),
        ) else {
            continue;
        };
        group.bench_function(BenchmarkId::new("model", size), |bencher| {
            bencher.iter(|| {
                let mut edits = Edits::new();
                edits.set_model("large-70b");
                edits.apply(&request)
            });
        });
        group.bench_function(
            BenchmarkId::new("model, reasoning, system prompt", size),
            |bencher| {
                bencher.iter(|| {
                    let mut edits = Edits::new();
                    edits.set_model("large-70b");
                    edits.set_in(&request, "chat_template_kwargs", "enable_thinking", "true");
                    edits.insert_system_prompt(
                        &request,
                        PromptMode::Insert,
                        "Answer briefly and in plain words.",
                    );
                    edits.apply(&request)
                });
            },
        );
    }
    group.finish();
}

/// The answer as a backend streams it, one event per chunk.
fn stream() -> Vec<String> {
    let event = |delta: serde_json::Value, rest: serde_json::Value| {
        let mut event = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "large-70b",
            "choices": [{"index": 0, "delta": delta, "finish_reason": null}],
        });
        if let (Some(event), Some(rest)) = (event.as_object_mut(), rest.as_object()) {
            event.extend(rest.clone());
        }
        format!("data: {event}\n\n")
    };
    let mut events: Vec<String> = (0..PIECES)
        .map(|at| event(json!({"content": format!(" word{at}")}), json!({})))
        .collect();
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 250, "completion_tokens": 200, "total_tokens": 450}});
    events.push(event(json!({}), usage));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn usage(criterion: &mut Criterion) {
    let events = stream();
    let whole = events.concat().into_bytes();
    let mut group = criterion.benchmark_group("usage");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("202 events, one a chunk", |bencher| {
        bencher.iter(|| read(events.iter().map(String::as_bytes)));
    });
    group.bench_function("202 events, chunks of 61 bytes", |bencher| {
        bencher.iter(|| read(whole.chunks(61)));
    });
    group.finish();
}

fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> dialects::Outcome {
    let mut reader = UsageReader::new(Dialect::OpenAiChat, BodyKind::EventStream);
    chunks.for_each(|chunk| reader.push(chunk));
    reader.finish()
}

/// A tool loop of about 16 KB on each wire, as coding agents send them.
fn tool_loops() -> [(Dialect, &'static str, String); 3] {
    const ROUNDS: usize = 8;
    let schema =
        json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let text = mix::text(800);
    let path = |at: usize| json!({"path": format!("src/file_{at}.rs")});
    let mut chat = vec![
        json!({"role": "system", "content": text}),
        json!({"role": "user", "content": text}),
    ];
    let mut responses = vec![
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}),
    ];
    let mut messages = vec![json!({"role": "user", "content": [{"type": "text", "text": text}]})];
    for at in 0..ROUNDS {
        let (id, arguments) = (format!("call_{at}"), path(at).to_string());
        let function = json!({"name": "read", "arguments": arguments});
        chat.push(json!({"role": "assistant", "content": "I look.", "tool_calls": [{"id": id, "type": "function", "function": function}]}));
        chat.push(json!({"role": "tool", "tool_call_id": id, "content": format!("{text}{text}")}));
        responses.push(
            json!({"type": "function_call", "call_id": id, "name": "read", "arguments": arguments}),
        );
        responses.push(json!({"type": "function_call_output", "call_id": id, "output": format!("{text}{text}")}));
        messages.push(
            json!({"role": "assistant", "content": [{"type": "text", "text": "I look."},
            {"type": "tool_use", "id": id, "name": "read", "input": path(at)}]}),
        );
        messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": format!("{text}{text}")}]}));
    }
    let chat = json!({"model": "auto", "messages": chat, "stream": true,
        "tools": [{"type": "function", "function": {"name": "read", "parameters": schema}}]});
    let responses = json!({"model": "auto", "instructions": text, "input": responses, "stream": true,
        "tools": [{"type": "function", "name": "read", "parameters": schema}]});
    let messages = json!({"model": "auto", "max_tokens": 512, "system": text, "messages": messages, "stream": true,
        "tools": [{"name": "read", "input_schema": schema}]});
    [
        (Dialect::OpenAiChat, "chat", chat.to_string()),
        (Dialect::OpenAiResponses, "responses", responses.to_string()),
        (Dialect::AnthropicMessages, "messages", messages.to_string()),
    ]
}

fn translate(criterion: &mut Criterion) {
    let loops = tool_loops();
    let mut group = criterion.benchmark_group("translate");
    for (from, from_name, body) in &loops {
        for (dialect, to_name, _) in loops.iter().filter(|(to, ..)| to != from) {
            let backend = Backend {
                dialect: *dialect,
                replays_reasoning: true,
                is_vllm: true,
            };
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_function(format!("{from_name} to {to_name}"), |bencher| {
                bencher.iter(|| dialects::translate::request(body.as_bytes(), *from, backend));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, parse, edit, translate, usage);
criterion_main!(benches);
