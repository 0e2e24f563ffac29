//! Requests through the pipeline of a document that learns: outcomes change choices, conversations
//! keep their model.

use super::*;
use crate::plan::surface::ResponsePath;
use conversation::dispatch::Dispatch;
use conversation::learning::requests::{Judge, Judgement};
use conversation::learning::rows::Verdict;
use conversation::store::InMemory;
use selection::served::Served;
use std::time::Duration;

const POLICY: &str = r#"
version: v0.3
providers:
  defaults: {default_model: small}
  models:
    - {name: small, backend_refs: [{endpoint: "127.0.0.1:1"}]}
    - {name: large, backend_refs: [{endpoint: "127.0.0.1:2"}]}
    - {name: other, backend_refs: [{endpoint: "127.0.0.1:3"}]}
    - {name: claude, api_format: anthropic, backend_refs: [{endpoint: "127.0.0.1:4"}]}
routing:
  modelCards: [{name: small}, {name: large}, {name: other}, {name: claude}]
  decisions:
    - {name: chat, priority: 1, modelRefs: [{model: small}, {model: large}], SETTINGS}
global: {router: {learning: {enabled: true, adaptation: {candidate_set: SET}}}}
"#;

const USER: &str = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
const TOOLS: &str = r#"{"model":"auto","messages":[{"role":"user","content":"hi"},
    {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"c","content":"1"}]}"#;

struct Gateway {
    generation: Generation,
    sent: std::cell::Cell<u64>,
}

impl Gateway {
    fn new(set: &str, settings: &str) -> Self {
        let policy = POLICY
            .replace("SET}", &format!("{set}}}"))
            .replace("SETTINGS", settings);
        Self {
            generation: generation(&policy),
            sent: std::cell::Cell::new(0),
        }
    }

    /// Routes one of ada's requests, and sends it on. Its answer comes at once.
    fn ask(&self, body: &str, session: &str, id: &str) -> Arc<Trace> {
        let request = Request::parse(
            Dialect::OpenAiChat,
            body.to_owned().into(),
            &ReadOptions::default(),
        )
        .unwrap();
        let identity = Identity {
            user: "ada".into(),
            groups: Vec::new(),
        };
        let headers = [
            ("x-session-id", session),
            ("x-conversation-id", "c"),
            ("x-request-id", id),
        ];
        let call = RoutingRequest {
            more: &[],
            service: None,
            prompt: request.prompt(),
            dialect: Dialect::OpenAiChat,
            identity: &identity,
            observed: false,
            hints: conversation::session::SessionHints::default(),
            context: RequestContext {
                headers: &headers,
                previous_response: false,
            },
            models: &Nobody,
            deadline: Instant::now() + Duration::from_secs(1),
            full: false,
            traced: false,
            rewritable: true,
        };
        let routed = route(&self.generation, &call).now_or_never().unwrap();
        assert!(
            matches!(routed.outcome, Outcome::Forward(_)),
            "{:?}",
            routed.outcome
        );
        let trace = routed.trace;
        self.sent.set(self.sent.get() + 1);
        let state = &self.generation.state;
        let id = state.dispatches.next_id();
        let dispatch = Dispatch {
            id,
            at: Instant::now(),
            model: trace.model.clone().unwrap(),
            recipe: trace.recipe.clone(),
            decision: trace.decision.clone(),
            tier: 0,
            session: None,
            prompt_tokens: 0,
            learning: trace
                .learned
                .as_ref()
                .and_then(|learned| learned.record.clone()),
        };
        state.begin(dispatch);
        let total = Some(Duration::from_millis(300));
        state.end(
            id,
            &Served {
                status: 200,
                total,
                ..Served::default()
            },
        );
        trace
    }

    fn model(&self, body: &str, session: &str, id: &str) -> String {
        self.ask(body, session, id)
            .model
            .clone()
            .unwrap()
            .to_string()
    }

    /// Ada says a hundred times what an answer was worth.
    fn judge(&self, id: &str, verdict: Verdict) {
        self.say(id, verdict, None);
    }

    fn say(&self, id: &str, verdict: Verdict, key: Option<&str>) {
        let judge = Judge::Caller("ada");
        let judgement = Judgement {
            request: id,
            judge,
            verdict,
            score: 100.0,
            model: None,
            key,
        };
        let ttl = Duration::from_secs(60);
        self.generation
            .state
            .experience
            .judge(&judgement, ttl, Instant::now())
            .unwrap();
    }

    /// Every model of the set answers once, and ada likes only this one. Gives the models and the
    /// ids of their requests.
    fn teach(&self, best: &str, models: usize) -> Vec<(String, String)> {
        let mut seen: Vec<(String, String)> = Vec::new();
        while seen.len() < models {
            let id = format!("teach-{}", self.sent.get());
            let model = self.model(USER, "", &id);
            let verdict = if model == best {
                Verdict::Good
            } else {
                Verdict::Underpowered
            };
            self.judge(&id, verdict);
            assert!(
                seen.iter().all(|(other, _)| *other != model),
                "while drawing, what is unknown is tried first"
            );
            seen.push((model, id));
        }
        seen
    }
}

#[test]
fn outcomes_change_the_choice() {
    for best in ["small", "large"] {
        let gateway = Gateway::new("decision", "");
        gateway.teach(best, 2);
        for _ in 0..10 {
            assert_eq!(gateway.model(USER, "", ""), best);
        }
    }
}

#[test]
fn a_wider_set_stays_among_models_that_can_take_the_request() {
    let gateway = Gateway::new("global", "");
    // `claude` speaks another wire, and is reached by translation.
    gateway.teach("other", 4);
    let trace = gateway.ask(USER, "", "r-1");
    assert_eq!(trace.model.as_deref(), Some("other"));
    assert_eq!(
        trace.reason.as_deref(),
        Some("learning: adaptation=sampled_win")
    );
    let routing = trace.routing(ResponsePath::Upstream);
    assert!(
        routing.contains(&("x-merit-request-id", "r-1".to_owned())),
        "{routing:?}"
    );
}

#[test]
fn a_tool_loop_keeps_its_model() {
    let gateway = Gateway::new("decision", "");
    let taught = gateway.teach("small", 2);
    assert_eq!(gateway.model(USER, "s", "first"), "small");
    for index in 0..4 {
        let id = format!("bad-{index}");
        gateway.model(TOOLS, "s", &id);
        gateway.judge(&id, Verdict::Underpowered);
    }
    // Ada changes her mind about the other model's answer.
    let (_, answer) = taught.iter().find(|(model, _)| model == "large").unwrap();
    for key in ["a", "b", "c", "d"] {
        gateway.say(answer, Verdict::Good, Some(key));
    }
    let trace = gateway.ask(TOOLS, "s", "loop");
    assert_eq!(trace.model.as_deref(), Some("small"));
    let debug = trace.debug();
    let shown = |name: &str| {
        debug
            .iter()
            .find(|(other, _)| *other == name)
            .map_or("", |(_, value)| value.as_str())
    };
    assert_eq!(shown("x-vsr-learning-methods"), "adaptation,protection");
    assert_eq!(
        shown("x-vsr-learning-actions"),
        "adaptation=propose_switch,protection=hold_current"
    );
    assert_eq!(shown("x-vsr-learning-scopes"), "protection=conversation");
    assert_eq!(
        shown("x-vsr-learning-reasons"),
        "adaptation=posterior_win,protection=hard_lock=tool_loop"
    );
    assert_eq!(
        shown("x-vsr-learning-modes"),
        "adaptation=apply,protection=apply"
    );
    // The user's next turn may move.
    assert_eq!(gateway.model(USER, "s", "next"), "large");
    assert_eq!(gateway.model(TOOLS, "s", "after"), "large");
}

#[test]
fn observing_changes_nothing() {
    let gateway = Gateway::new("decision", "adaptations: {mode: observe}");
    for index in 0..5 {
        let id = index.to_string();
        let trace = gateway.ask(USER, "s", &id);
        assert_eq!(
            (trace.model.as_deref(), trace.algorithm),
            (Some("small"), Some("static"))
        );
        assert!(
            trace
                .reason
                .as_ref()
                .is_none_or(|reason| !reason.contains("learning"))
        );
        gateway.judge(&id, Verdict::Underpowered);
    }
}

#[test]
fn a_store_that_is_down_degrades_visibly() {
    let gateway = Gateway::new("decision", "");
    let store = Arc::new(InMemory::default());
    store.set_away(true);
    gateway
        .generation
        .state
        .experience
        .share(store, Duration::from_secs(60));
    let shown = |session: &str| {
        gateway
            .ask(USER, session, "")
            .degraded
            .iter()
            .any(|it| **it == *"learning=unavailable")
    };
    assert!(shown("s"), "an unknown conversation is looked up");
    assert!(!shown("s"), "a known one is not");
    assert!(!shown(""), "a request without identity has none");
}
