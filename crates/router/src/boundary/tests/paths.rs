//! Random policies, requests and failures: the plan's model is in the allowed set, or the request
//! is refused.

use super::naive::Truth;
use super::switches::{ADMISSION, NARROWING, without};
use crate::algorithms::Algorithm;
use crate::config::decisions::{Allowed, Boundary, Decision};
use crate::config::{self, Document};
use crate::generation::{Deps, Generation};
use crate::pipeline::{self, RoutingRequest};
use crate::plan::{Forward, HeaderOp, Outcome, Trace};
use crate::plugins::PluginConfig;
use crate::plugins::header_mutation::{HeaderMutationConfig, HeaderValue};
use dialects::{Dialect, ReadOptions, Request};
use futures_util::FutureExt;
use inference::ask::{Entity, Failure};
use inference::catalog::{Task, labels};
use inference::fake::Fake;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestError, TestRunner};
use selection::candidate::ModelRef;
use selection::eligible::Barrier;
use serde_json::{Value, json};
use signals::families::Identity;
use signals::families::language::{DetectLanguage, LanguageDetector};
use signals::rules::RuleNode;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Five models and an adapter, in three places and in none; each backend adds a header that names
/// it. What decides is filled in by the test.
const POLICY: &str = r#"
version: v0.3
providers:
  models:
    - {name: local, location: house, backend_refs: [{endpoint: "127.0.0.1:1", extra_headers: {x-backend: local}}]}
    - {name: second, location: house, backend_refs: [{endpoint: "127.0.0.1:2", extra_headers: {x-backend: second}}]}
    - {name: eu, location: eu, backend_refs: [{endpoint: "127.0.0.1:3", extra_headers: {x-backend: eu}}]}
    - {name: cloud, location: cloud, backend_refs: [{endpoint: "127.0.0.1:4", extra_headers: {x-backend: cloud}}]}
    - {name: lost, backend_refs: [{endpoint: "127.0.0.1:5", extra_headers: {x-backend: lost}}]}
routing:
  modelCards:
    - {name: local, loras: [{name: adapter}], context_window_size: 4000, capabilities: [chat]}
    - {name: cloud, capabilities: [chat, tools, vision, reasoning]}
  signals:
    keywords:
      - {name: alpha, operator: OR, keywords: [alpha]}
      - {name: beta, operator: OR, keywords: [beta]}
    role_bindings: [{name: staff, role: staff, subjects: [{kind: User, name: ada}]}]
    pii: [{name: any}]
    jailbreak: [{name: any}]
    domains: [{name: law}]
recipes: [{name: side}]
entrypoints: [{recipe: side, model_names: [side/auto]}]
"#;
const MODELS: [&str; 5] = ["local", "second", "eu", "cloud", "lost"];
static LANGUAGE: LazyLock<Arc<dyn DetectLanguage>> =
    LazyLock::new(|| Arc::new(LanguageDetector::small()));

/// One policy and one request.
#[derive(Debug, Clone)]
struct Case {
    decisions: [Vec<Decision>; 2],
    boundaries: [Vec<Boundary>; 2],
    default: &'static str,
    model: &'static str,
    words: Vec<&'static str>,
    staff: bool,
    tools: bool,
    max_tokens: u32,
    failing: Vec<&'static str>,
    truncated: bool,
    full: bool,
}

fn leaf(kind: &str, name: &str) -> RuleNode {
    RuleNode {
        kind: kind.into(),
        name: name.into(),
        ..RuleNode::default()
    }
}

fn rules() -> BoxedStrategy<RuleNode> {
    let leaves = [
        ("keyword", "alpha"),
        ("keyword", "beta"),
        ("authz", "staff"),
        ("pii", "any"),
        ("jailbreak", "any"),
    ];
    let leaves: Vec<RuleNode> = leaves
        .iter()
        .chain(&[("domain", "law")])
        .map(|(kind, name)| leaf(kind, name))
        .collect();
    prop::sample::select(leaves)
        .prop_recursive(3, 8, 3, |inner| {
            (
                prop::sample::select(vec!["AND", "OR", "NOT", "NOT"]),
                prop::collection::vec(inner, 1..4),
            )
                .prop_map(|(operator, mut conditions)| {
                    if operator == "NOT" {
                        conditions.truncate(1);
                    }
                    RuleNode {
                        operator: operator.into(),
                        conditions,
                        ..RuleNode::default()
                    }
                })
        })
        .boxed()
}

fn boundaries() -> BoxedStrategy<Vec<Boundary>> {
    let models = prop::sample::subsequence(MODELS.to_vec(), 0..=3);
    let locations = prop::sample::subsequence(vec!["house", "eu", "cloud"], 0..=2);
    let words = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
    let one = (prop::option::weighted(0.9, rules()), models, locations).prop_map(
        move |(when, models, locations)| Boundary {
            when,
            allow: Allowed {
                models: words(models),
                locations: words(locations),
                records: false,
            },
            ..Boundary::default()
        },
    );
    let named = |boundaries: Vec<Boundary>| {
        let named = boundaries.into_iter().enumerate();
        named
            .map(|(index, boundary)| Boundary {
                name: format!("b{index}"),
                ..boundary
            })
            .collect()
    };
    prop::collection::vec(one, 0..3).prop_map(named).boxed()
}

fn candidate() -> BoxedStrategy<ModelRef> {
    // An adapter that bears the name of another model is shown by that name, and routes go by it.
    let adapter = prop::sample::select(vec!["", "", "", "adapter", "cloud", "unheard-of"]);
    (
        prop::sample::select([&MODELS[..], &["adapter"]].concat()),
        adapter,
    )
        .prop_map(|(model, adapter)| ModelRef {
            model: model.into(),
            lora_name: adapter.into(),
            ..ModelRef::default()
        })
        .boxed()
}

/// A plugin that sets a header by which routes go.
fn misleading() -> PluginConfig {
    let header = HeaderValue {
        name: "x-selected-model".into(),
        value: "cloud".into(),
    };
    PluginConfig::HeaderMutation(HeaderMutationConfig {
        add: vec![header],
        ..HeaderMutationConfig::default()
    })
}

fn decisions() -> BoxedStrategy<Vec<Decision>> {
    let one = (
        prop::option::weighted(0.9, rules()),
        prop::collection::vec(candidate(), 0..4),
        prop::bool::weighted(0.2),
    );
    let named = |decisions: Vec<(Option<RuleNode>, Vec<ModelRef>, bool)>| {
        let named = decisions.into_iter().enumerate();
        let named = named.map(|(index, (rules, model_refs, misleads))| Decision {
            name: format!("d{index}"),
            priority: index as i64,
            rules,
            model_refs,
            plugins: misleads.then(misleading).into_iter().collect(),
            ..Decision::default()
        });
        named.collect()
    };
    prop::collection::vec(one, 0..4).prop_map(named).boxed()
}

fn case() -> BoxedStrategy<Case> {
    let policy = (
        decisions(),
        decisions(),
        boundaries(),
        boundaries(),
        prop::sample::select(MODELS.to_vec()),
    );
    let names = [
        "auto",
        "auto",
        "auto",
        "side/auto",
        "vllm-sr/fusion",
        "local",
        "cloud",
        "eu",
        "adapter",
        "lost",
        "none",
    ];
    let words =
        prop::sample::subsequence(vec!["alpha", "beta", "secret", "attack", "contract"], 0..=3);
    let failing = prop::sample::subsequence(vec!["pii", "jailbreak", "domain"], 0..=2);
    let failing = prop_oneof![2 => Just(Vec::new()), 1 => failing];
    let flags = (
        any::<bool>(),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.1),
        any::<bool>(),
    );
    let request = (
        prop::sample::select(names.to_vec()),
        words,
        failing,
        prop::sample::select(vec![10, 100_000]),
    );
    (policy, request, flags)
        .prop_map(
            |((first, second, top, side, default), (model, words, failing, max_tokens), flags)| {
                let (staff, tools, truncated, full) = flags;
                Case {
                    decisions: [first, second],
                    boundaries: [top, side],
                    default,
                    model,
                    words,
                    staff,
                    tools,
                    max_tokens,
                    failing,
                    truncated,
                    full,
                }
            },
        )
        .boxed()
}

impl Case {
    fn document(&self) -> Document {
        let loaded = config::load(POLICY, &|_| None);
        let mut document = loaded
            .document
            .unwrap_or_else(|| panic!("{:?}", loaded.problems));
        document.providers.defaults.default_model = self.default.into();
        document.global.server.fallback.enabled = true;
        let [first, second] = &self.decisions;
        let [top, side] = &self.boundaries;
        (document.routing.decisions, document.routing.boundaries) = (first.clone(), top.clone());
        for decision in document.routing.decisions.iter_mut().filter(|_| self.staff) {
            decision.algorithm = Some(Algorithm {
                kind: "confidence".to_owned(),
                ..Algorithm::default()
            });
        }
        let signals = document.routing.signals.clone();
        let recipe = &mut document.recipes[0].routing;
        recipe.signals = signals;
        (recipe.decisions, recipe.boundaries) = (second.clone(), side.clone());
        document
    }

    fn text(&self) -> String {
        format!("hello {}", self.words.join(" "))
    }

    fn body(&self) -> Value {
        let messages = json!([{"role": "user", "content": self.text()}]);
        let mut body =
            json!({"model": self.model, "max_tokens": self.max_tokens, "messages": messages});
        if self.tools {
            body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
        }
        body
    }

    fn says(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn models(&self) -> Fake {
        let text = self.text();
        let mut fake = Fake::default();
        if self.says("secret") {
            fake = fake.entities(
                &text,
                &[Entity {
                    kind: "PERSON".into(),
                    confidence: 1.0,
                    start: 0,
                    end: 1,
                }],
            );
        }
        for (task, word, label) in [
            (Task::Jailbreak, "attack", "jailbreak"),
            (Task::Domain, "contract", "law"),
        ] {
            let other = if task == Task::Domain {
                "math"
            } else {
                "benign"
            };
            let sure = if self.says(word) { label } else { other };
            let row: Vec<f32> = labels(task)
                .iter()
                .map(|other| if *other == sure { 1.0 } else { 0.0 })
                .collect();
            fake = fake.labels(task.as_str(), &text, &[&row]);
        }
        let failures = [Failure::Shed, Failure::TimedOut, Failure::Unready];
        for (model, failure) in self.failing.iter().zip(failures.into_iter().cycle()) {
            fake = fake.failing(model, failure);
        }
        if self.truncated {
            fake.truncated(&text)
        } else {
            fake
        }
    }

    fn truth(&self) -> Truth {
        let known = |model: &str, word: &str| {
            (!self.truncated && !self.failing.contains(&model)).then(|| self.says(word))
        };
        Truth {
            keywords: self.words.clone(),
            staff: self.staff,
            pii: known("pii", "secret"),
            jailbreak: known("jailbreak", "attack"),
            domain: known("domain", "contract"),
        }
    }

    fn plan(&self) -> (Outcome, Arc<Trace>) {
        let models = self.models();
        let deps = Deps {
            env: &|_| None,
            language: LANGUAGE.clone(),
            token_ratio: Arc::default(),
            catalog: &models,
            state: Arc::default(),
        };
        let generation = Generation::build(self.document(), Value::Null, &deps);
        let generation = generation.unwrap_or_else(|problems| panic!("{problems:?}"));
        let request = Request::parse(
            Dialect::OpenAiChat,
            self.body().to_string().into(),
            &ReadOptions::default(),
        )
        .unwrap();
        let user = if self.staff { "ada" } else { "eve" };
        let identity = Identity {
            user: user.to_owned(),
            groups: Vec::new(),
        };
        let call = RoutingRequest {
            more: &[],
            service: None,
            context: conversation::learning::context::RequestContext::NOTHING,
            hints: conversation::session::SessionHints::default(),
            prompt: request.prompt(),
            dialect: Dialect::OpenAiChat,
            identity: &identity,
            observed: false,
            models: &models,
            deadline: Instant::now() + Duration::from_secs(60),
            full: self.full,
            traced: false,
            rewritable: true,
        };
        let routed = pipeline::route(&generation, &call).now_or_never().unwrap();
        (routed.outcome, routed.trace)
    }

    fn check(&self) -> TestCaseResult {
        let document = self.document();
        let own = if self.model == "side/auto" {
            &self.boundaries[1][..]
        } else {
            &[]
        };
        let allowed = self
            .truth()
            .allowed(self.boundaries[0].iter().chain(own), &document);
        let (outcome, trace) = self.plan();
        let base = |name: &str| {
            if name == "adapter" {
                "local".to_owned()
            } else {
                name.to_owned()
            }
        };
        match &outcome {
            Outcome::Forward(forward) => {
                let model = trace.model.as_deref().unwrap_or_default();
                let served = last(forward, "x-backend");
                if let Some(allowed) = &allowed {
                    prop_assert!(
                        allowed.contains(&base(&served)),
                        "{served} served, of {allowed:?}"
                    );
                    let known = MODELS.contains(&model) || model == "adapter";
                    prop_assert!(
                        !known || allowed.contains(&base(model)),
                        "{model} shown, of {allowed:?}"
                    );
                    let next = last(forward, crate::pipeline::fallback::MODEL);
                    let known = MODELS.contains(&next.as_str()) || next == "adapter";
                    prop_assert!(
                        !known || allowed.contains(&base(&next)),
                        "{next} is next, of {allowed:?}"
                    );
                    let shown: BTreeSet<String> = shown(forward);
                    prop_assert_eq!(shown, BTreeSet::from([model.to_owned()]));
                }
            }
            Outcome::Refuse(refusal) => {
                let forbidden = matches!(trace.refused_by, Some(Barrier::Boundary(_)));
                let is_unread = [
                    "too busy to read this request",
                    "what reads this request timed out",
                ]
                .iter()
                .any(|reason| refusal.message.contains(reason));
                let is_bound = refusal.status == 403 || is_unread;
                prop_assert_eq!(forbidden, is_bound, "{:?}", refusal);
                prop_assert!(
                    !is_unread || refusal.status == 503 && !self.failing.is_empty(),
                    "all was read: {:?}",
                    refusal
                );
                prop_assert!(
                    !forbidden || allowed.is_some(),
                    "no boundary holds: {:?}",
                    refusal
                );
            }
            Outcome::Answer { .. } | Outcome::Count { .. } => {}
            Outcome::Escalate(run) => {
                let names = run
                    .cascade
                    .queue(&run.allowed)
                    .into_iter()
                    .map(|index| run.cascade.name(index).to_owned());
                for name in names.chain([last(&run.otherwise, "x-backend")]) {
                    let known = MODELS.contains(&name.as_str()) || name == "adapter";
                    let free = allowed
                        .as_ref()
                        .is_none_or(|allowed| allowed.contains(&base(&name)));
                    prop_assert!(!known || free, "{name} is asked, of {allowed:?}");
                }
            }
        }
        if MODELS.contains(&self.model) || self.model == "adapter" {
            let free = allowed.is_none_or(|allowed| allowed.contains(&base(self.model)));
            prop_assert_eq!(
                matches!(outcome, Outcome::Forward(_)),
                free,
                "{:?}",
                outcome
            );
        }
        Ok(())
    }
}

/// A header's value in the end.
fn last(forward: &Forward, name: &str) -> String {
    let mut ops = forward.headers().iter().filter_map(|op| match op {
        HeaderOp::Set(other, value) => (**other == *name).then(|| value.to_string()),
        HeaderOp::Remove(other) => (**other == *name).then(String::new),
    });
    ops.next_back().unwrap_or_default()
}

/// What the routing headers say in the end.
fn shown(forward: &Forward) -> BTreeSet<String> {
    ["x-selected-model", "x-gateway-model-name", "x-ai-eg-model"]
        .iter()
        .map(|name| last(forward, name))
        .collect()
}

fn config() -> Config {
    let usual = Config::default();
    Config {
        cases: usual.cases.max(3_000),
        failure_persistence: None,
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_path_leaves_the_allowed_set(case in case()) {
        case.check()?;
    }
}

/// Checks random cases, and returns one that fails.
fn failing(cases: &impl Strategy<Value = Case>) -> Option<Case> {
    let found = TestRunner::new(config()).run(cases, |case| case.check());
    match found {
        Ok(()) => None,
        Err(TestError::Fail(_, case)) => Some(case),
        Err(abort @ TestError::Abort(_)) => panic!("{abort}"),
    }
}

/// What is sent does not rest on the stages that narrow the choice: the check at the end of every
/// way is enough.
#[test]
fn no_path_leaves_the_allowed_set_if_nothing_narrows() {
    let found = without(&[&NARROWING], || failing(&case()));
    assert!(found.is_none(), "{found:?}");
}

/// Without the check at the end, requests leave the allowed set, and the property notices: for
/// names of clients alone, and for every other way once nothing narrows the choice before.
#[test]
fn a_path_that_is_not_checked_is_noticed() {
    let fails = |checks: &[_], names: fn(&str) -> bool| {
        let cases = case().prop_filter("a way of this kind", move |case| names(case.model));
        assert!(without(checks, || failing(&cases)).is_some());
    };
    fails(&[&ADMISSION], |name| MODELS.contains(&name));
    fails(&[&ADMISSION, &NARROWING], |name| name.ends_with("auto"));
}
