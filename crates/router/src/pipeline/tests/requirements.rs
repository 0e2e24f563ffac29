//! What candidates must be known to have, by the worked examples of v0.4.

use super::*;

const LIMITS: &str = "{context: known_limits}";

/// A policy with one decision for all requests.
fn policy(cards: &str, requirements: &str, decision: &str) -> String {
    format!(
        r#"
version: v0.3
providers:
  defaults: {{model: a}}
  models:
    - {{name: a, backend_refs: [{{endpoint: "127.0.0.1:8000"}}]}}
    - {{name: b, backend_refs: [{{endpoint: "127.0.0.1:8001"}}]}}
    - {{name: c, backend_refs: [{{endpoint: "127.0.0.1:8002"}}]}}
routing:
  candidate_requirements: {requirements}
  modelCards: {cards}
  decisions:
    - {{name: all, {decision}}}
"#
    )
}

/// What becomes of a request: the model, or status and code, and what dropped the others.
#[track_caller]
fn check(policy: &str, body: &str, expected: &str) {
    let generation = generation(policy);
    let plan = plan(&generation, "", Dialect::OpenAiChat, body);
    let what = match &plan.outcome {
        Outcome::Forward(forward) => forward.model().to_string(),
        Outcome::Refuse(refusal) => {
            format!("{} {}", refusal.status, refusal.code.unwrap_or("-"))
        }
        other => format!("{other:?}"),
    };
    let dropped = plan.trace.dropped.iter();
    let dropped: String = dropped
        .map(|dropped| format!(" -{}={}", dropped.model, dropped.by))
        .collect();
    assert_eq!(format!("{what}{dropped}"), expected, "{policy}");
}

fn sized(tokens: usize, limit: &str) -> String {
    let text = "word".repeat(tokens);
    format!(r#"{{"model":"auto",{limit}"messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

fn with_image() -> String {
    let image = r#"{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}"#;
    format!(
        r#"{{"model":"auto","messages":[{{"role":"user","content":[{{"type":"text","text":"what is it"}},{image}]}}]}}"#
    )
}

#[test]
fn known_limits() {
    let cards = "[{name: a, context_window_size: 8000, max_output_tokens: 4096}, {name: b, context_window_size: 200000, max_output_tokens: 4096}, {name: c, context_window_size: 200000}]";
    let refs = "modelRefs: [{model: a}, {model: b}]";
    let all = policy(cards, LIMITS, refs);
    let asks = |limit: u64| format!(r#""max_tokens":{limit},"#);
    check(&all, &sized(100, &asks(1000)), "a");
    check(
        &all,
        &sized(7500, &asks(1000)),
        "b -a=context_window:8505>8000",
    );
    check(
        &all,
        &sized(300_000, &asks(1000)),
        "400 context_length_exceeded -a=context_window:201000>8000 -b=context_window:201000>200000",
    );
    check(
        &all,
        &sized(10, &asks(5000)),
        "400 max_output_tokens_exceeded -a=max_output_tokens:5000>4096 -b=max_output_tokens:5000>4096",
    );
    // A card that tells no limit is out; different reasons are no fault of the request.
    let unknown = policy(cards, LIMITS, "modelRefs: [{model: c}, {model: b}]");
    check(&unknown, &sized(10, ""), "b -c=unknown_limits");
    check(
        &unknown,
        &sized(10, &asks(5000)),
        "503 - -c=unknown_limits -b=max_output_tokens:5000>4096",
    );
    // The decision's own limits count where they are stricter.
    let capped = policy(
        cards,
        LIMITS,
        &format!(
            "{refs}, plugins: [{{type: request_params, configuration: {{default_max_tokens: 5000, max_tokens_limit: 4096}}}}]"
        ),
    );
    check(&capped, &sized(10, ""), "a");
    check(&capped, &sized(10, &asks(5000)), "a");
}

#[test]
fn declared_capabilities() {
    let cards = "[{name: a, capabilities: [coding]}, {name: b, capabilities: [tools, image_input]}, {name: c, capabilities: [tools]}]";
    let refs = "modelRefs: [{model: a}, {model: b}, {model: c}]";
    let declared = policy(cards, "{capabilities: declared}", refs);
    check(&declared, &sized(10, ""), "a");
    check(
        &declared,
        &with_image(),
        "b -a=capability:image_input -c=capability:image_input",
    );
    // Without it, a card that names no known word says nothing.
    check(
        &policy(cards, "{}", refs),
        &with_image(),
        "a -c=capability:image_input",
    );
    let only = policy(cards, "{}", "modelRefs: [{model: c}]");
    check(
        &only,
        &with_image(),
        "400 unsupported_capability -c=capability:image_input",
    );
    let kinds = "[{name: c, capabilities: [tools], modalities: {input: [text, image]}}]";
    check(
        &policy(kinds, "{}", "modelRefs: [{model: c}]"),
        &with_image(),
        "c",
    );
}

#[test]
fn minimum_candidates() {
    let cards = "[{name: a, capabilities: [image_input]}, {name: b, capabilities: [tools]}, {name: c, capabilities: [tools]}]";
    let two = policy(
        cards,
        "{}",
        "algorithm: {type: multi_factor, minimum_candidates: 2}, modelRefs: [{model: a}, {model: b}, {model: c}]",
    );
    check(&two, &sized(10, ""), "a");
    check(
        &two,
        &with_image(),
        "503 - -b=capability:image_input -c=capability:image_input -a=minimum_candidates:1<2",
    );
}
