//! There and back, a request loses only what the translations list.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::neutral::{
    Body, Conversation, Input, Mode, Part, Role as Speaker, Shape, Source, Takes,
};
use super::super::{pairs, read};
use super::*;

/// Cases, where `MERIT_TRANSLATIONS` says no other number.
const CASES: u32 = 2000;

/// A piece of a conversation, which each wire says in its way.
#[derive(Debug, Clone)]
enum Step {
    System(String),
    Developer(String),
    User(Vec<Word>),
    Assistant {
        thinking: Option<String>,
        text: Option<String>,
        calls: Vec<Calling>,
    },
}

#[derive(Debug, Clone)]
enum Word {
    Text(String),
    Picture(String),
    Url(String),
    Pdf(String),
}

#[derive(Debug, Clone)]
struct Calling {
    arguments: String,
    result: String,
    is_error: bool,
    picture: bool,
}

/// A request: its steps, and members beside them, where a wire knows them.
#[derive(Debug, Clone)]
struct Asking {
    steps: Vec<Step>,
    beside: BTreeMap<&'static str, Value>,
    tools: usize,
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}( [a-z]{1,8}){0,3}",
        "\\PC{1,12}",
        Just("é\n\t\"\\ \u{1F600}\u{1}".to_owned()),
        Just(" ".to_owned()),
    ]
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        4 => words().prop_map(Word::Text),
        1 => "[A-Za-z0-9+/]{4}".prop_map(Word::Picture),
        1 => "https://[a-z]{1,8}/[a-z]{1,4}".prop_map(Word::Url),
        1 => "[A-Za-z0-9+/]{4}".prop_map(Word::Pdf),
    ]
}

fn calling() -> impl Strategy<Value = Calling> {
    let arguments = prop_oneof![
        Just("{}".to_owned()),
        Just("{\"n\": 1.50e2,\n \"s\":\"\\u00e9\\\"\"}".to_owned()),
        ("[a-z]{1,5}", words()).prop_map(|(name, text)| json!({ name: [text, null] }).to_string()),
    ];
    (arguments, words(), any::<bool>(), any::<bool>()).prop_map(
        |(arguments, result, is_error, picture)| Calling {
            arguments,
            result,
            is_error,
            picture,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let assistant = (
        prop::option::of(words()),
        prop::option::of(words()),
        prop::collection::vec(calling(), 0..3),
    );
    prop_oneof![
        1 => words().prop_map(Step::System),
        1 => words().prop_map(Step::Developer),
        3 => prop::collection::vec(word(), 1..4).prop_map(Step::User),
        3 => assistant.prop_map(|(thinking, text, calls)| Step::Assistant { thinking, text, calls }),
    ]
}

fn beside() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        (1..5000u32).prop_map(|n| ("max", json!(n))),
        (0..21u32).prop_map(|n| ("temperature", json!(f64::from(n) / 10.0))),
        Just(("top_p", json!(0.5))),
        Just(("top_k", json!(7))),
        Just(("seed", json!(7))),
        Just(("stop", json!(["END", " ", "a", "b", "c", "d"]))),
        Just(("user", json!("somebody"))),
        Just(("metadata", json!({"a": "b"}))),
        Just(("unheard", json!([1, {"a": null}]))),
        prop::sample::select(vec!["none", "minimal", "low", "medium", "high", "xhigh"])
            .prop_map(|effort| ("effort", json!(effort))),
        any::<bool>().prop_map(|on| ("thinking", json!(on))),
        prop::sample::select(vec!["auto", "none", "required", "f0"])
            .prop_map(|choice| ("choice", json!(choice))),
        any::<bool>().prop_map(|parallel| ("parallel", json!(parallel))),
        Just((
            "schema",
            json!({"type": "object", "additionalProperties": false})
        )),
        any::<bool>().prop_map(|streams| ("stream", json!(streams))),
    ]
}

fn asking() -> impl Strategy<Value = Asking> {
    let steps = prop::collection::vec(step(), 1..8);
    (steps, prop::collection::vec(beside(), 0..6), 0..3usize).prop_map(|(steps, beside, tools)| {
        Asking {
            steps,
            beside: beside.into_iter().collect(),
            tools,
        }
    })
}

/// Says a request on a wire.
fn said(asking: &Asking, wire: Dialect) -> Value {
    let mut body = match wire {
        Dialect::OpenAiChat => chat(asking),
        Dialect::OpenAiResponses => responses(asking),
        Dialect::AnthropicMessages => messages(asking),
    };
    body["model"] = json!("m");
    for name in ["temperature", "top_p", "unheard", "stream"] {
        if let Some(value) = asking.beside.get(name) {
            body[name] = value.clone();
        }
    }
    body
}

fn put(body: &mut Value, asking: &Asking, pairs: &[(&str, &str)]) {
    for (ours, theirs) in pairs {
        if let Some(value) = asking.beside.get(ours) {
            body[*theirs] = value.clone();
        }
    }
}

fn names(asking: &Asking) -> impl Iterator<Item = String> + use<> {
    (0..asking.tools).map(|at| format!("f{at}"))
}

/// The choice, where there is something to choose from.
fn choice(asking: &Asking) -> Option<&str> {
    let choice = asking.beside.get("choice")?.as_str()?;
    (asking.tools > 0).then_some(choice)
}

fn url(data: &str, media_type: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

fn chat(asking: &Asking) -> Value {
    let mut messages = Vec::new();
    for (at, step) in asking.steps.iter().enumerate() {
        match step {
            Step::System(text) => messages.push(json!({"role": "system", "content": text})),
            Step::Developer(text) => messages.push(json!({"role": "developer", "content": text})),
            Step::User(words) => {
                let parts: Vec<Value> = words.iter().map(|word| match word {
                    Word::Text(text) => json!({"type": "text", "text": text}),
                    Word::Picture(data) => json!({"type": "image_url", "image_url": {"url": url(data, "image/png"), "detail": "low"}}),
                    Word::Url(url) => json!({"type": "image_url", "image_url": {"url": url}}),
                    Word::Pdf(data) => json!({"type": "file", "file": {"filename": "a.pdf", "file_data": url(data, "application/pdf")}}),
                }).collect();
                messages.push(json!({"role": "user", "content": parts}));
            }
            Step::Assistant {
                thinking,
                text,
                calls,
            } => {
                let mut message = json!({"role": "assistant", "content": text});
                if let Some(thinking) = thinking {
                    message["reasoning_content"] = json!(thinking);
                }
                let said: Vec<Value> = calls
                    .iter()
                    .enumerate()
                    .map(|(call, calling)| {
                        json!({"id": format!("c:{at}_{call}"),
                    "type": "function", "function": {"name": "f0", "arguments": calling.arguments}})
                    })
                    .collect();
                if !said.is_empty() {
                    message["tool_calls"] = json!(said);
                }
                messages.push(message);
                for (call, calling) in calls.iter().enumerate() {
                    messages.push(json!({"role": "tool", "tool_call_id": format!("c:{at}_{call}"), "content": calling.result}));
                }
            }
        }
    }
    let tools: Vec<Value> = names(asking)
        .map(|name| json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object"}}}))
        .collect();
    let mut body = json!({"messages": messages, "tools": tools});
    put(
        &mut body,
        asking,
        &[
            ("max", "max_tokens"),
            ("top_k", "top_k"),
            ("seed", "seed"),
            ("stop", "stop"),
            ("user", "user"),
            ("metadata", "metadata"),
            ("effort", "reasoning_effort"),
            ("parallel", "parallel_tool_calls"),
            ("thinking", "enable_thinking"),
        ],
    );
    if let Some(choice) = choice(asking) {
        body["tool_choice"] = match choice {
            "f0" => json!({"type": "function", "function": {"name": "f0"}}),
            word => json!(word),
        };
    }
    if let Some(schema) = asking.beside.get("schema") {
        body["response_format"] =
            json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    }
    body
}

fn responses(asking: &Asking) -> Value {
    let mut items = Vec::new();
    for (at, step) in asking.steps.iter().enumerate() {
        match step {
            Step::System(text) => {
                items.push(json!({"type": "message", "role": "system", "content": text}))
            }
            Step::Developer(text) => items.push(
                json!({"role": "developer", "content": [{"type": "input_text", "text": text}]}),
            ),
            Step::User(words) => {
                let parts: Vec<Value> = words.iter().map(|word| match word {
                    Word::Text(text) => json!({"type": "input_text", "text": text}),
                    Word::Picture(data) => json!({"type": "input_image", "image_url": url(data, "image/png"), "detail": "auto"}),
                    Word::Url(url) => json!({"type": "input_image", "image_url": url}),
                    Word::Pdf(data) => json!({"type": "input_file", "filename": "a.pdf", "file_data": url(data, "application/pdf")}),
                }).collect();
                items.push(json!({"role": "user", "content": parts}));
            }
            Step::Assistant {
                thinking,
                text,
                calls,
            } => {
                if let Some(thinking) = thinking {
                    items.push(json!({"type": "reasoning", "id": "rs", "summary": [],
                        "content": [{"type": "reasoning_text", "text": thinking}]}));
                }
                if let Some(text) = text {
                    items.push(json!({"type": "message", "role": "assistant", "id": "msg", "status": "completed",
                        "content": [{"type": "output_text", "text": text, "annotations": []}]}));
                }
                for (call, calling) in calls.iter().enumerate() {
                    items.push(json!({"type": "function_call", "call_id": format!("c{at}_{call}"), "name": "f0",
                        "arguments": calling.arguments}));
                }
                for (call, calling) in calls.iter().enumerate() {
                    let output = match calling.picture {
                        true => json!([{"type": "input_text", "text": calling.result},
                            {"type": "input_image", "image_url": url("AAAA", "image/png")}]),
                        false => json!(calling.result),
                    };
                    items.push(json!({"type": "function_call_output", "call_id": format!("c{at}_{call}"), "output": output}));
                }
            }
        }
    }
    let tools: Vec<Value> = names(asking)
        .map(|name| json!({"type": "function", "name": name, "description": "d", "parameters": {"type": "object"}, "strict": false}))
        .collect();
    let mut body = json!({"input": items, "tools": tools});
    put(
        &mut body,
        asking,
        &[
            ("max", "max_output_tokens"),
            ("user", "user"),
            ("metadata", "metadata"),
            ("parallel", "parallel_tool_calls"),
        ],
    );
    if let Some(effort) = asking.beside.get("effort") {
        body["reasoning"] = json!({"effort": effort});
    }
    if let Some(choice) = choice(asking) {
        body["tool_choice"] = match choice {
            "f0" => json!({"type": "function", "name": "f0"}),
            word => json!(word),
        };
    }
    if let Some(schema) = asking.beside.get("schema") {
        body["text"] = json!({"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}});
    }
    body
}

fn messages(asking: &Asking) -> Value {
    let mut messages = Vec::new();
    let mut system = Vec::new();
    for (at, step) in asking.steps.iter().enumerate() {
        match step {
            Step::System(text) if messages.is_empty() => system.push(
                json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}),
            ),
            Step::System(text) | Step::Developer(text) => {
                messages.push(json!({"role": "system", "content": text}))
            }
            Step::User(words) => {
                let blocks: Vec<Value> = words.iter().map(|word| match word {
                    Word::Text(text) => json!({"type": "text", "text": text}),
                    Word::Picture(data) => json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}),
                    Word::Url(url) => json!({"type": "image", "source": {"type": "url", "url": url}}),
                    Word::Pdf(data) => json!({"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}),
                }).collect();
                messages.push(json!({"role": "user", "content": blocks}));
            }
            Step::Assistant {
                thinking,
                text,
                calls,
            } => {
                let mut blocks = Vec::new();
                if let Some(thinking) = thinking {
                    let signature = if calls.is_empty() { "" } else { "c2ln" };
                    blocks.push(
                        json!({"type": "thinking", "thinking": thinking, "signature": signature}),
                    );
                }
                blocks.extend(
                    text.as_ref()
                        .map(|text| json!({"type": "text", "text": text})),
                );
                let mut results = Vec::new();
                for (call, calling) in calls.iter().enumerate() {
                    let input: Box<serde_json::value::RawValue> =
                        serde_json::from_str(&calling.arguments).unwrap();
                    let input: Value = serde_json::from_str(input.get()).unwrap();
                    blocks.push(json!({"type": "tool_use", "id": format!("c{at}_{call}"), "name": "f0", "input": input}));
                    let mut content = vec![json!({"type": "text", "text": calling.result})];
                    if calling.picture {
                        content.push(json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}));
                    }
                    results.push(json!({"type": "tool_result", "tool_use_id": format!("c{at}_{call}"), "content": content,
                        "is_error": calling.is_error}));
                }
                messages.push(json!({"role": "assistant", "content": blocks}));
                if !results.is_empty() {
                    messages.push(json!({"role": "user", "content": results}));
                }
            }
        }
    }
    let tools: Vec<Value> = names(asking)
        .map(|name| json!({"name": name, "description": "d", "input_schema": {"type": "object"}}))
        .collect();
    let mut body =
        json!({"messages": messages, "tools": tools, "system": system, "max_tokens": 100});
    put(
        &mut body,
        asking,
        &[
            ("max", "max_tokens"),
            ("top_k", "top_k"),
            ("stop", "stop_sequences"),
        ],
    );
    if let Some(on) = asking.beside.get("thinking").and_then(Value::as_bool) {
        body["thinking"] = match on {
            true => json!({"type": "enabled", "budget_tokens": 2048}),
            false => json!({"type": "disabled"}),
        };
    }
    let mut output = json!({});
    if let Some(effort) = asking.beside.get("effort").and_then(Value::as_str)
        && effort != "none"
    {
        output["effort"] = json!(effort);
    }
    if let Some(schema) = asking.beside.get("schema") {
        output["format"] = json!({"type": "json_schema", "schema": schema});
    }
    body["output_config"] = output;
    if let Some(choice) = choice(asking) {
        body["tool_choice"] = match choice {
            "f0" => json!({"type": "tool", "name": "f0"}),
            "required" => json!({"type": "any"}),
            word => json!({"type": word}),
        };
    }
    if let Some(user) = asking.beside.get("user") {
        body["metadata"] = json!({"user_id": user});
    }
    body
}

/// What a request says, one fact a line: the kind of the fact, and the fact.
type Fact = (&'static str, String);

fn source(source: &Source<'_>) -> String {
    match source {
        Source::Url(url) => url.decoded().into_owned(),
        Source::Base64 { media_type, data } => format!("{media_type};{data}"),
    }
}

fn fact_of(speaker: Speaker, part: &Part<'_>, facts: &mut Vec<Fact>) {
    let fact = match &part.body {
        Body::Text(text) if text.is_empty() => return,
        Body::Text(text) => {
            let kind = match speaker {
                Speaker::System | Speaker::Developer => "system",
                Speaker::Assistant => "answer",
                _ => "text",
            };
            (kind, text.decoded().into_owned())
        }
        Body::Refusal(text) => ("answer", text.decoded().into_owned()),
        Body::Image(image) => ("image", source(&image.source)),
        Body::Document(document) => ("document", source(&document.source)),
        Body::Media(raw) => ("media", (*raw).to_owned()),
        // Chat backends take the thoughts of a turn as one text: its lines are theirs.
        Body::Thinking(thinking) => {
            for text in &thinking.texts {
                let text = text.decoded();
                facts.extend(text.lines().map(|line| ("thinking", line.to_owned())));
            }
            return;
        }
        Body::Call(call) => {
            let input = match &call.input {
                Input::Spelled(text) => text.decoded().trim().to_owned(),
                Input::Object(raw) => (*raw).to_owned(),
                Input::Free(text) => text.decoded().into_owned(),
            };
            (
                "call",
                format!("{} {} {input}", call.id.decoded(), call.name.decoded()),
            )
        }
        Body::Result(output) => {
            facts.push((
                "result",
                format!("{} {}", output.id.decoded(), output.is_error),
            ));
            for part in &output.parts {
                let mut inner = Vec::new();
                fact_of(speaker, part, &mut inner);
                facts.extend(inner.into_iter().map(|(_, said)| ("result part", said)));
            }
            return;
        }
    };
    facts.push(fact);
}

fn facts(conversation: &Conversation<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for turn in &conversation.turns {
        for part in &turn.parts {
            fact_of(turn.role, part, &mut facts);
        }
    }
    for tool in &conversation.tools {
        let Takes::Schema { schema, .. } = tool.takes else {
            continue;
        };
        facts.push((
            "tool",
            format!("{:?} {:?} {schema:?}", tool.name, tool.description),
        ));
    }
    if let Some(choice) = &conversation.choice {
        let mode = match &choice.mode {
            Mode::Named(name) => name.decoded().into_owned(),
            mode => format!("{mode:?}"),
        };
        // A free choice is what one gets without words.
        if !matches!(choice.mode, Mode::Auto) {
            facts.push(("choice", mode));
        }
    }
    // Where no tool may be called, whether two may says nothing.
    let calls_none = |choice: &neutral::Choice<'_>| matches!(choice.mode, Mode::None);
    let parallel = conversation.parallel_calls.as_ref();
    if parallel.is_some_and(|parallel| !parallel.value)
        && !conversation.choice.as_ref().is_some_and(calls_none)
    {
        facts.push(("parallel", "false".to_owned()));
    }
    for setting in &conversation.settings {
        if !matches!(setting.parameter, neutral::Parameter::Store) {
            let value = setting.value.to_owned();
            facts.push(("setting", format!("{:?} {value}", setting.parameter)));
        }
    }
    facts.extend(
        conversation
            .stops
            .iter()
            .map(|stop| ("stop", stop.text.decoded().into_owned())),
    );
    if let Some(effort) = &conversation.reasoning.effort {
        facts.push(("effort", effort.value.decoded().into_owned()));
    }
    if let Some(format) = &conversation.format {
        let Shape::Schema { schema, .. } = format.shape else {
            return facts;
        };
        facts.push(("format", schema.to_owned()));
    }
    facts.push(("stream", conversation.streams.to_string()));
    facts
}

/// Reads what a body says.
fn read_facts(body: &[u8], from: Dialect, other: Dialect) -> Vec<Fact> {
    let mut ledger = Ledger::new(from, other);
    let mut conversation = read::read(body, from, &mut ledger).unwrap();
    pairs::pair(&mut conversation, &mut ledger);
    facts(&conversation)
}

/// The losses that explain a fact that is missing, or is new.
fn explains(kind: &str) -> &'static [&'static str] {
    match kind {
        "system" => &["blank_text_dropped", "system_as_user"],
        "text" => &[
            "blank_text_dropped",
            "system_as_user",
            "tool_result_part_moved",
            "document_as_text",
            "orphan_tool_result",
        ],
        "answer" => &["blank_text_dropped", "refusal_as_text"],
        "image" => &["tool_result_part_moved"],
        "document" => &["tool_result_part_moved", "document_as_text"],
        "thinking" => &["thinking_dropped", "sealed_thinking_dropped"],
        "call" => &["call_id_changed"],
        "result" => &["call_id_changed", "tool_result_is_error"],
        "result part" => &[
            "tool_result_is_error",
            "tool_result_part_moved",
            "tool_result_texts_joined",
            "blank_text_dropped",
        ],
        "tool" => &["invalid_schema"],
        "choice" | "parallel" => &["tool_choice_without_tools"],
        "setting" => &[
            "unsupported_parameter",
            "dropped_hint",
            "max_tokens_defaulted",
            "max_tokens_raised",
            "temperature_clamped",
            "sampling_conflict",
        ],
        "stop" => &[
            "unsupported_parameter",
            "stop_sequences_cut",
            "blank_stop_dropped",
        ],
        "effort" => &[
            "effort_changed",
            "reasoning_budget_changed",
            "reasoning_switch_dropped",
            "reasoning_conflict",
        ],
        _ => &[],
    }
}

/// Losses after which facts may stand in another order.
const MOVES: &[&str] = &[
    "system_moved",
    "system_as_user",
    "tool_result_part_moved",
    "parts_reordered",
    "tool_result_moved",
];

fn count(facts: &[Fact]) -> BTreeMap<&Fact, usize> {
    let mut counts = BTreeMap::new();
    for fact in facts {
        *counts.entry(fact).or_insert(0) += 1;
    }
    counts
}

fn there_and_back(
    asking: &Asking,
    from: Dialect,
    to: Dialect,
    is_vllm: bool,
) -> Result<(), TestCaseError> {
    let original = said(asking, from).to_string();
    // A document for vLLM, and the like, is refused: nothing is lost.
    let Ok(there) = request(original.as_bytes(), from, backend(to, is_vllm)) else {
        return Ok(());
    };
    let Ok(back) = request(&there.body, to, backend(from, is_vllm)) else {
        return Ok(());
    };
    let lost: BTreeSet<&str> = there
        .losses
        .iter()
        .chain(&back.losses)
        .map(|loss| loss.reason)
        .collect();
    let before = read_facts(original.as_bytes(), from, to);
    let after = read_facts(&back.body, from, to);
    let (counted, found) = (count(&before), count(&after));
    let differ = counted.keys().chain(found.keys()).copied();
    let mut differ: BTreeSet<&Fact> = differ
        .filter(|fact| counted.get(*fact) != found.get(*fact))
        .collect();
    // `none` is a switch that is off.
    differ.retain(|fact| **fact != ("effort", "none".to_owned()));
    for fact in &differ {
        let known = explains(fact.0);
        prop_assert!(
            known.iter().any(|reason| lost.contains(reason)),
            "{from} to {to}: {fact:?} is lost or new, and nothing says so: {lost:?}\n{original}\n{}\n{}",
            String::from_utf8_lossy(&there.body),
            String::from_utf8_lossy(&back.body)
        );
    }
    if !MOVES.iter().any(|reason| lost.contains(reason)) {
        let kinds = [
            "system", "text", "answer", "image", "document", "call", "result",
        ];
        let order = |facts: &[Fact]| -> Vec<Fact> {
            let kept = facts
                .iter()
                .filter(|fact| kinds.contains(&fact.0) && !differ.contains(fact));
            kept.cloned().collect()
        };
        prop_assert_eq!(
            order(&before),
            order(&after),
            "{} to {}: {}",
            from,
            to,
            original
        );
    }
    Ok(())
}

#[test]
fn there_and_back_only_what_is_listed_is_lost() {
    let cases = std::env::var("MERIT_TRANSLATIONS").ok();
    let cases = cases.and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let wires = [CHAT, RESPONSES, MESSAGES];
    let ways = prop::sample::select(
        wires
            .iter()
            .flat_map(|from| wires.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from != to)
            .collect::<Vec<_>>(),
    );
    let outcome = TestRunner::new(config).run(
        &(asking(), ways, any::<bool>()),
        |(asking, (from, to), is_vllm)| there_and_back(&asking, from, to, is_vllm),
    );
    outcome.unwrap();
}
