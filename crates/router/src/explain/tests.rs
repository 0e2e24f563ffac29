//! Whole answers of eval for a few recipes.

mod selection;

use super::*;
use crate::config::decisions::Decision;
use ::selection::algorithms::r#static::Static;
use ::selection::candidate::{Candidate, ModelRef};
use serde_json::{Value, json};
use signals::decision::{Ranking, Strategy};
use signals::rules::RuleNode;
use std::time::Duration;

fn refs(names: &[&str]) -> Vec<Candidate> {
    names
        .iter()
        .map(|name| {
            let (model, lora) = name.split_once('+').unwrap_or((name, ""));
            Candidate::unknown(ModelRef {
                model: model.into(),
                lora_name: lora.into(),
                ..ModelRef::default()
            })
        })
        .collect()
}

fn statically(decision: &str, names: &[&str], algorithm: &str) -> Candidates {
    let selector = Static::new(decision, Vec::new());
    Candidates::new(
        decision,
        refs(names),
        crate::algorithms::method(algorithm),
        Some(Box::new(selector)),
    )
}

fn node<const N: usize>(operator: &str, conditions: [RuleNode; N]) -> RuleNode {
    RuleNode {
        operator: operator.into(),
        conditions: conditions.into(),
        ..RuleNode::default()
    }
}

fn decisions(keys: &mut Keys, declared: &Declared) -> Decisions {
    let tree = node(
        "AND",
        [
            leaf("Keyword", "code", ""),
            leaf("complexity", "depth:hard", ""),
            node(
                "OR",
                [
                    leaf("classifier", "tone", "angry"),
                    leaf("domain", "cs", ""),
                ],
            ),
            node("NOT", [leaf("keyword", " code ", "")]),
            node("NOT", [leaf("authz", "staff", "")]),
        ],
    );
    let decisions = [
        Decision {
            name: "deep".into(),
            rules: Some(tree),
            ..Decision::default()
        },
        Decision {
            name: "rest".into(),
            ..Decision::default()
        },
    ];
    Decisions::build(
        decisions.iter().map(Decision::spec),
        Strategy::Priority,
        Ranking::V03,
        keys,
        declared,
    )
    .unwrap()
}

/// A recipe with every kind of listing, evaluated.
struct Recipe {
    keys: Keys,
    declared: Declared,
    decisions: Decisions,
    report: SignalReport,
}

fn leaf(kind: &str, name: &str, label: &str) -> RuleNode {
    RuleNode {
        kind: kind.into(),
        name: name.into(),
        label: label.into(),
        ..RuleNode::default()
    }
}

fn recipe() -> Recipe {
    let mut keys = Keys::default();
    let mut declared = Declared::default();
    declared.push_domain("cs", &["computer science".into()]);
    for (kind, name) in [
        (Kind::Keyword, "code"),
        (Kind::Keyword, "urgent"),
        (Kind::Complexity, "depth"),
        (Kind::Conversation, "many_turns"),
        (Kind::Event, "outage"),
        (Kind::Authz, "staff_binding"),
        (Kind::Kb, "private"),
        (Kind::Classifier, "tone"),
        (Kind::Classifier, "topic"),
        (Kind::Projection, "easy"),
        (Kind::Projection, "hard"),
    ] {
        declared.push(kind, name);
    }
    let decisions = decisions(&mut keys, &declared);
    let emitted = [
        keys.intern(Kind::Keyword, "code"),
        keys.intern(Kind::Domain, "computer science"),
        keys.intern(Kind::Complexity, "depth:hard"),
        keys.intern(Kind::Event, "outage"),
        keys.intern(Kind::Classifier, "tone:angry"),
        keys.intern(Kind::Projection, "hard"),
    ];
    let metric = signals::projection::kb_metric(&mut keys, "privacy", "margin");
    let mut report = SignalReport::new(&keys);
    emitted.iter().for_each(|&key| report.emit(key));
    report.set_confidence(emitted[1], 0.75);
    report.set_confidence(emitted[3], 0.5);
    report.set_value(emitted[3], f64::NAN);
    report.set_value(metric, -0.25);
    report.fail(emitted[4], "classifier_timeout");
    report.families[Kind::Keyword as usize].ran = true;
    report.families[Kind::Keyword as usize].elapsed = Duration::from_micros(1_500);
    report.families[Kind::Event as usize].ran = true;
    report.families[Kind::Event as usize].confidence = 0.5;
    Recipe {
        keys,
        declared,
        decisions,
        report,
    }
}

/// Three candidates that may all serve the request.
const EVERYONE: [usize; 3] = [0, 1, 2];

static NOTHING: Eligibility = Eligibility {
    boundaries: Vec::new(),
    allowed_models: None,
    candidates: Vec::new(),
    refused: None,
};

fn everyone(candidates: &Candidates) -> Vec<usize> {
    (0..candidates.candidates().len()).collect()
}

fn view(recipe: &Recipe) -> EvalView<'_> {
    EvalView {
        original_text: "fix it",
        requested_model: "",
        recipe: "default",
        keys: &recipe.keys,
        declared: &recipe.declared,
        report: &recipe.report,
        decisions: &recipe.decisions,
        winner: None,
        unknown: &[],
        unresolved: None,
        named: None,
        trace: false,
        eligibility: &NOTHING,
    }
}

#[test]
fn an_answer_with_everything() {
    let recipe = recipe();
    let candidates = statically("deep", &["large+tuned", "small", "large"], "");
    let answer = EvalAnswer::new(&EvalView {
        requested_model: "auto",
        trace: true,
        winner: Some(Winner {
            index: recipe.decisions.decide(&recipe.report).unwrap().index,
            algorithm: Algorithm::default(),
            plugins: &[
                "semantic-cache",
                "system_prompt",
                "semantic_cache",
                "response-cache",
            ],
            candidates: &candidates,
            eligible: &EVERYONE,
        }),
        ..view(&recipe)
    });
    insta::assert_json_snapshot!(answer);
}

#[test]
fn an_answer_without_a_decision_has_all_metrics_and_no_selection() {
    let recipe = recipe();
    let answer = serde_json::to_value(EvalAnswer::new(&view(&recipe))).unwrap();
    let fields: Vec<&str> = answer
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "original_text",
        "recipe",
        "decision_result",
        "metrics",
        "signal_confidences",
        "signal_values",
        "signal_errors",
    ];
    assert_eq!(fields, expected);
    assert_eq!(answer["decision_result"]["decision_name"], "");
    assert_eq!(answer["decision_result"]["algorithm"], "");
    assert_eq!(answer["decision_result"]["used_signals"], json!({}));
    assert_eq!(answer["metrics"].as_object().unwrap().len(), 20);
    assert_eq!(
        answer["metrics"]["keyword"],
        json!({"execution_time_ms": 1.5, "confidence": 1.0})
    );
    assert_eq!(answer["metrics"]["event"]["confidence"], 0.5);
    assert_eq!(answer["metrics"]["context"]["confidence"], 0.0);
    assert_eq!(answer["metrics"].get("projection"), None);
}

#[test]
fn an_empty_report_leaves_the_optional_fields_out() {
    let mut recipe = recipe();
    recipe.report = SignalReport::new(&recipe.keys);
    let candidates = statically("rest", &[], "");
    let answer = EvalAnswer::new(&EvalView {
        winner: Some(Winner {
            index: 1,
            algorithm: Algorithm::default(),
            plugins: &["fast_response"],
            candidates: &candidates,
            eligible: &EVERYONE,
        }),
        ..view(&recipe)
    });
    let mut answer = serde_json::to_value(answer).unwrap();
    answer.as_object_mut().unwrap().remove("metrics");
    let expected = json!({
        "original_text": "fix it",
        "recipe": "default",
        "decision_result": {
            "decision_name": "rest",
            "algorithm": "static",
            "plugins": ["fast_response"],
            "used_signals": {},
            "matched_signals": {},
            "unmatched_signals": {
                "keywords": ["code", "urgent"],
                "domains": ["cs"],
                "complexity": ["depth"],
                "authz": ["staff_binding"],
                "classifier": ["tone", "topic"],
                "projection": ["easy", "hard"]
            }
        },
        "selection_status": "unavailable",
        "selection_reason": "decision has no selectable model"
    });
    assert_eq!(answer, expected);
}

/// Status, model, method and reason of a preview; absent fields are empty here.
#[track_caller]
fn check(algorithm: Algorithm<'_>, candidates: &Candidates, expected: [&str; 4]) {
    let preview =
        serde_json::to_value(Preview::new(&algorithm, candidates, &everyone(candidates))).unwrap();
    let fields = [
        "selection_status",
        "selected_model",
        "selection_method",
        "selection_reason",
    ];
    for (field, expected) in fields.into_iter().zip(expected) {
        let found = preview
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default();
        assert_eq!(found, expected, "{field}");
    }
}

fn of(kind: &str) -> Algorithm<'_> {
    Algorithm {
        kind,
        ..Algorithm::default()
    }
}

fn two(kind: &str) -> Candidates {
    statically("math", &["a", "b+lora"], kind)
}

#[test]
fn previews_of_one_choice() {
    let chosen = [
        "selected",
        "a",
        "static",
        "Static selection for category 'math'",
    ];
    check(of(""), &two(""), chosen);
    check(of("astrology"), &two("astrology"), chosen);
    // A canned reply does not show in the preview.
    check(of(""), &two("").with_fast_response(), chosen);
    let one = ["selected", "lora", "single", "single declared candidate"];
    check(
        of("static"),
        &statically("math", &["b+lora"], "static"),
        one,
    );
    let of_factors = |names| Candidates::new("d", refs(names), "multi_factor", None);
    check(of("multi_factor"), &of_factors(&["b+lora"]), one);
    let fallback = ["fallback", "a", "multi_factor", "selector is unavailable"];
    check(of("multi_factor"), &of_factors(&["a", "b"]), fallback);
    let none = ["unavailable", "", "", "decision has no selectable model"];
    check(of(""), &statically("math", &[" "], ""), none);
    let partly = ["fallback", "b", "static", "selector failed during dry-run"];
    check(of(""), &statically("math", &["", "b"], ""), partly);
}

#[test]
fn previews_of_what_only_execution_can_tell() {
    let state = "selector depends on request-time state that Eval does not mutate";
    let routed = ["execution_required", "", "router_dc", state];
    check(of("router_dc"), &two("router_dc"), routed);
    // The method is looked at before the number of candidates.
    check(
        of("router_dc"),
        &Candidates::new("d", refs(&["only"]), "router_dc", None),
        routed,
    );
    let multi = "final model is produced only when the multi-model algorithm executes";
    for kind in ["confidence", "fusion", "ratings", "remom", "workflows"] {
        check(
            of(kind),
            &two(kind),
            ["execution_required", "", kind, multi],
        );
    }
    let planned = |kind| Algorithm {
        final_model: " judge ",
        ..of(kind)
    };
    let final_model = "configured final-output model for the multi-model algorithm";
    for kind in ["fusion", "remom", "workflows"] {
        check(
            planned(kind),
            &two(kind),
            ["planned_final", "judge", kind, final_model],
        );
    }
    check(
        planned("ratings"),
        &two("ratings"),
        ["execution_required", "", "ratings", multi],
    );
    let learning = Algorithm {
        learns: true,
        ..Algorithm::default()
    };
    let adapts =
        "Router Learning can adapt or protect the base selector only during request execution";
    check(
        learning,
        &two(""),
        ["execution_required", "", "static", adapts],
    );
}

#[test]
fn long_reasons_are_cut_between_characters() {
    let name = "é".repeat(600);
    let candidates = statically(&name, &["a", "b"], "");
    let preview = Preview::new(&Algorithm::default(), &candidates, &everyone(&candidates));
    assert!(preview.selection_reason.len() <= 1_024 && preview.selection_reason.len() > 1_020);
    assert!(preview.selection_reason.ends_with('é'));
}

#[test]
fn errors() {
    let mut body = ErrorBody::new(
        "INVALID_INPUT",
        "text cannot be empty",
        "2026-08-22T10:00:00Z",
    );
    let expected = r#"{"error":{"code":"INVALID_INPUT","message":"text cannot be empty","timestamp":"2026-08-22T10:00:00Z"}}"#;
    assert_eq!(serde_json::to_string(&body).unwrap(), expected);
    body.error.request_id = Some("r1");
    assert!(
        serde_json::to_string(&body)
            .unwrap()
            .ends_with(r#","request_id":"r1"}}"#)
    );
}
