//! No place of a request passes a boundary unseen.
//!
//! `shapes/*.jsonl` holds the request shapes of the three wires and of the endpoints beside them: requests that together have every
//! member of the types that the `openai` and `anthropic` packages publish for Python, and those that
//! model servers add. `@` stands for free text. A marker is put into each place in turn; a rule that
//! scans every scope must be asked about it, or hold, or the request is refused.
//!
//! `MERIT_PLACES=1000000` reads that many requests made of several shapes at random.

use crate::config;
use crate::generation::{Deps, Generation};
use crate::pipeline::{self, RoutingRequest};
use crate::plan::Outcome;
use dialects::{Asked, Dialect, Request, Service};
use futures_util::FutureExt;
use inference::fake::Fake;
use serde_json::{Map, Value};
use signals::families::Identity;
use signals::families::language::LanguageDetector;
use std::sync::Arc;
use std::time::{Duration, Instant};

const POLICY: &str = r#"
version: v0.3
providers:
  defaults: {default_model: cloud}
  models:
    - {name: house, location: house, backend_refs: [{endpoint: "127.0.0.1:1"}]}
    - {name: cloud, location: cloud, backend_refs: [{endpoint: "127.0.0.1:2"}]}
routing:
  modelCards:
    - {name: cloud, capabilities: [embeddings, rerank, moderation, image_generation, text_to_speech, transcription]}
  signals:
    pii: [{name: any, scan: [SCAN], on_unreadable: no_match}]
  boundaries: [{name: stays, when: {type: pii, name: any}, allow: {locations: [house]}}]
  decisions:
    - {name: all, priority: 1, modelRefs: [{model: cloud}, {model: house}]}
"#;

const MESSAGES: &str = "current, history, system, tool_results";
const ALL: &str = "current, history, system, tool_results, definitions, metadata";

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Conversation(Dialect),
    Service(Service),
}

impl Wire {
    fn asked(self) -> Asked<'static> {
        match self {
            Self::Conversation(dialect) => Asked::conversation(dialect),
            Self::Service(service) => Asked {
                service: Some(service),
                ..Asked::conversation(service.dialect())
            },
        }
    }
}

const WIRES: [(Wire, &str); 12] = [
    (
        Wire::Conversation(Dialect::OpenAiChat),
        include_str!("shapes/chat.jsonl"),
    ),
    (
        Wire::Conversation(Dialect::OpenAiResponses),
        include_str!("shapes/responses.jsonl"),
    ),
    (
        Wire::Conversation(Dialect::AnthropicMessages),
        include_str!("shapes/messages.jsonl"),
    ),
    (
        Wire::Service(Service::CountTokens),
        include_str!("shapes/messages.jsonl"),
    ),
    (
        Wire::Service(Service::Compact),
        include_str!("shapes/responses.jsonl"),
    ),
    (
        Wire::Service(Service::MessageBatches),
        include_str!("shapes/batches.jsonl"),
    ),
    (
        Wire::Service(Service::Completions),
        include_str!("shapes/completions.jsonl"),
    ),
    (
        Wire::Service(Service::Embeddings),
        include_str!("shapes/embeddings.jsonl"),
    ),
    (
        Wire::Service(Service::Rerank),
        include_str!("shapes/rerank.jsonl"),
    ),
    (
        Wire::Service(Service::Images),
        include_str!("shapes/images.jsonl"),
    ),
    (
        Wire::Service(Service::Speech),
        include_str!("shapes/speech.jsonl"),
    ),
    (
        Wire::Service(Service::Moderations),
        include_str!("shapes/moderations.jsonl"),
    ),
];

/// A sentence, a word that might be an identifier, a number.
const MARKERS: [&str; 3] = [
    "Mirela Aldstone, card 4111",
    "zq7marker",
    "4111111111111111",
];

/// A step from a value to one within it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

/// What is done to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The string or number there is replaced.
    Value,
    /// A member that no wire knows is added there.
    Member,
    /// A member is added there whose name is the marker.
    Name,
}

/// Collects all places of a value at which something can be changed.
fn places(value: &Value, path: &[Step], found: &mut Vec<(Vec<Step>, Change)>) {
    let within = |step: Step| [path, &[step]].concat();
    match value {
        Value::String(_) | Value::Number(_) => found.push((path.to_vec(), Change::Value)),
        Value::Array(list) => {
            for (index, element) in list.iter().enumerate() {
                places(element, &within(Step::Element(index)), found);
            }
        }
        Value::Object(members) => {
            found.push((path.to_vec(), Change::Member));
            found.push((path.to_vec(), Change::Name));
            for (name, member) in members {
                places(member, &within(Step::Member(name.clone())), found);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn at<'v>(value: &'v mut Value, path: &[Step]) -> &'v mut Value {
    path.iter().fold(value, |value, step| match step {
        Step::Member(name) => &mut value[name.as_str()],
        Step::Element(index) => &mut value[*index],
    })
}

fn changed(request: &Value, path: &[Step], change: Change, marker: &str) -> Value {
    let mut request = request.clone();
    let place = at(&mut request, path);
    match change {
        Change::Value if place.is_number() => {
            *place = marker.parse().unwrap_or_else(|_| marker.into());
        }
        Change::Value => *place = marker.into(),
        Change::Member => place["zz"] = marker.into(),
        Change::Name => place[marker] = 1.into(),
    }
    request
}

/// Whether the marker at a place counts as what a provider sealed, or as base64 of an attachment:
/// neither can be read.
fn is_opaque(request: &Value, path: &[Step], change: Change, marker: &str) -> bool {
    let Some((Step::Member(name), outer)) = path.split_last() else {
        return false;
    };
    let mut request = request.clone();
    let object = at(&mut request, outer);
    let is_word = !marker.contains(' ');
    let sealed = [
        "encrypted_content",
        "encrypted_stdout",
        "encrypted_index",
        "signature",
    ];
    let payload = ["data", "file_data", "b64_json", "result"];
    change == Change::Value
        && (name == "thinking" && object.get("signature").is_some()
            || is_word && (sealed.contains(&name.as_str()) || payload.contains(&name.as_str())))
}

struct Gateway {
    generation: Generation,
}

impl Gateway {
    fn new(scan: &str) -> Self {
        let checked = config::check(&POLICY.replace("SCAN", scan), &|_| None);
        assert!(checked.is_servable(), "{:#?}", checked.problems);
        let models = Fake::default();
        let deps = Deps {
            env: &|_| None,
            language: Arc::new(LanguageDetector::small()),
            token_ratio: Arc::default(),
            catalog: &models,
            state: Arc::default(),
        };
        let built = Generation::build(checked.document.unwrap(), checked.value, &deps);
        let generation = built.unwrap_or_else(|problems| panic!("{problems:?}"));
        let gateway = Self { generation };
        let harmless = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
        let passes = gateway.passes_unseen(WIRES[0].0, harmless.into(), MARKERS[0]);
        assert!(passes, "what is harmless goes to the cloud");
        gateway
    }

    /// Whether a request goes to the cloud without any rule having been asked about the marker.
    fn passes_unseen(&self, wire: Wire, body: String, marker: &str) -> bool {
        let options = &self.generation.settings.reading;
        let asked = wire.asked();
        let Ok(request) = Request::read(&asked, body.into(), options) else {
            return false;
        };
        let models = Fake::default();
        let call = RoutingRequest {
            more: request.more(),
            service: asked.service,
            context: conversation::learning::context::RequestContext::NOTHING,
            hints: conversation::session::SessionHints::default(),
            prompt: request.prompt(),
            dialect: asked.dialect,
            identity: &Identity::default(),
            observed: false,
            models: &models,
            deadline: Instant::now() + Duration::from_secs(60),
            full: false,
            traced: false,
            rewritable: true,
        };
        let routed = pipeline::route(&self.generation, &call);
        let routed = routed.now_or_never().unwrap();
        let is_forwarded = matches!(routed.outcome, Outcome::Forward(_));
        let is_cloud = routed.trace.model.as_deref() == Some("cloud");
        is_forwarded && is_cloud && !models.asked().iter().any(|asked| asked.contains(marker))
    }
}

fn shapes(text: &str) -> Vec<Value> {
    let shape = |line: &str| {
        let mut shape: Value = serde_json::from_str(line).unwrap();
        shape["model"] = "auto".into();
        shape
    };
    text.lines().map(shape).collect()
}

/// The name of a request's model is the router's to read, and no text.
fn is_model(path: &[Step]) -> bool {
    let is = |step: &Step, name: &str| *step == Step::Member(name.into());
    match path {
        [step] => is(step, "model"),
        [requests, _, params, step] => {
            is(requests, "requests") && is(params, "params") && is(step, "model")
        }
        _ => false,
    }
}

/// One place of one shape.
struct Case {
    wire: Wire,
    shape: Arc<Value>,
    path: Vec<Step>,
    change: Change,
}

/// Every place of every shape.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (wire, text) in WIRES {
        for shape in shapes(text).into_iter().map(Arc::new) {
            let mut found = Vec::new();
            places(&shape, &[], &mut found);
            found.retain(|(path, _)| !is_model(path));
            cases.extend(found.into_iter().map(|(path, change)| Case {
                wire,
                shape: Arc::clone(&shape),
                path,
                change,
            }));
        }
    }
    cases
}

/// Puts markers into every place, and gives the requests in which one passes.
fn unseen(gateway: &Gateway, markers: &[&str]) -> Vec<String> {
    let mut unseen = Vec::new();
    let cases = cases();
    for (case, marker) in cases
        .iter()
        .flat_map(|case| markers.iter().map(move |marker| (case, *marker)))
    {
        if is_opaque(&case.shape, &case.path, case.change, marker) {
            continue;
        }
        let request = changed(&case.shape, &case.path, case.change, marker);
        if gateway.passes_unseen(case.wire, request.to_string(), marker) {
            unseen.push(format!("{:?} {request}", case.change));
        }
    }
    unseen
}

#[test]
fn a_rule_that_scans_everything_sees_every_place() {
    let unseen = unseen(&Gateway::new(ALL), &MARKERS);
    assert!(
        unseen.is_empty(),
        "{}: {:#?}",
        unseen.len(),
        &unseen[..unseen.len().min(40)]
    );
}

/// Beyond messages only definitions and parameters are left out, and `check` says so.
#[test]
fn a_rule_that_scans_messages_sees_every_place_of_them() {
    let read = [
        "messages",
        "input",
        "system",
        "instructions",
        "prompt",
        "suffix",
        "query",
        "documents",
        "negative_prompt",
    ];
    let defining = ["mcp_list_tools", "tool_search_output", "additional_tools"];
    let unseen = unseen(&Gateway::new(MESSAGES), &MARKERS[..1]);
    assert!(
        !unseen.is_empty(),
        "definitions and parameters are not read"
    );
    let in_messages = |line: &&String| {
        let (_, request) = line.split_once(' ').unwrap();
        let request: Map<String, Value> = serde_json::from_str(request).unwrap();
        let marked = |(name, value): (&String, &Value)| {
            let is_read = read.contains(&name.as_str());
            let is_definition = defining.iter().any(|kind| value.to_string().contains(kind));
            is_read && !is_definition && value.to_string().contains(MARKERS[0])
        };
        request.iter().any(marked)
    };
    let unseen: Vec<_> = unseen.iter().filter(in_messages).collect();
    assert!(
        unseen.is_empty(),
        "{}: {:#?}",
        unseen.len(),
        &unseen[..unseen.len().min(40)]
    );
}

/// Requests of several shapes, spelled at random.
#[test]
fn requests_of_several_shapes_pass_nowhere_unseen() {
    let count = std::env::var("MERIT_PLACES").ok();
    let count: u64 = count.and_then(|count| count.parse().ok()).unwrap_or(2_000);
    let gateway = Gateway::new(ALL);
    let wires = WIRES.map(|(wire, text)| (wire, shapes(text)));
    let mut random = fastrand::Rng::with_seed(7);
    for case in 0..count {
        let (wire, shapes) = &wires[random.usize(..wires.len())];
        let mut request = Value::Object(Map::new());
        for _ in 0..random.usize(1..4) {
            join(&mut request, &shapes[random.usize(..shapes.len())]);
        }
        let mut found = Vec::new();
        places(&request, &[], &mut found);
        let (path, change) = &found[random.usize(..found.len())];
        let marker = MARKERS[random.usize(..MARKERS.len())];
        if is_model(path) || is_opaque(&request, path, *change, marker) {
            continue;
        }
        let body = changed(&request, path, *change, marker).to_string();
        let body = if random.bool() {
            escaped(&body, marker)
        } else {
            body
        };
        assert!(
            !gateway.passes_unseen(*wire, body.clone(), marker),
            "case {case}: {change:?} {body}"
        );
    }
}

/// Adds a shape to a request: lists are joined, of other members the first stays.
fn join(request: &mut Value, shape: &Value) {
    for (name, value) in shape.as_object().unwrap() {
        match (&mut request[name.as_str()], value) {
            (Value::Array(list), Value::Array(more)) => list.extend(more.iter().cloned()),
            (empty @ Value::Null, value) => *empty = value.clone(),
            _ => {}
        }
    }
}

/// Writes the marker as escapes.
fn escaped(body: &str, marker: &str) -> String {
    let escapes: String = marker
        .chars()
        .map(|c| format!("\\u{:04x}", c as u32))
        .collect();
    let quoted = |text: &str| format!("\"{text}\"");
    body.replace(&quoted(marker), &quoted(&escapes))
}
