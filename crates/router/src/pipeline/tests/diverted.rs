//! Decisions that take requests away from the model that they name. Nobody answers the guard here,
//! so `on_unknown` stands for its finding.

use super::*;

const REFS: &str = ", modelRefs: [{model: small}]";

fn policy(refs: &str, boundaries: &str) -> String {
    format!(
        r#"
version: v0.3
providers:
  defaults: {{model: small}}
  models:
    - {{name: small, backend_refs: [{{endpoint: "127.0.0.1:8000"}}]}}
    - {{name: large, backend_refs: [{{endpoint: "127.0.0.1:8001"}}]}}
    - {{name: safe, backend_refs: [{{endpoint: "127.0.0.1:8002"}}]}}
routing:
  modelCards: [{{name: safe, context_window_size: 100}}]
  signals:
    keywords:
      - {{name: word, operator: OR, keywords: [prove]}}
      - {{name: other, operator: OR, keywords: [poem]}}
    jailbreak: [{{name: j, threshold: 0.5, scan: [current, history, system, tool_results, definitions, metadata]}}]
  boundaries: {boundaries}
  decisions:
    - name: attack
      priority: 999
      action: {{type: route, destination: safe}}
      rules: {{operator: AND, on_unknown: match, conditions: [{{type: keyword, name: word}}, {{type: jailbreak, name: j}}]}}
      plugins: [{{type: system_prompt, configuration: {{system_prompt: "Be careful."}}}}]{refs}
    - {{name: poems, priority: 1, rules: {{type: keyword, name: other}}, modelRefs: [{{model: small}}]}}
"#,
        refs = refs.replace(", ", "\n      "),
    )
}

/// What becomes of a request: decision, algorithm, and model or status.
#[track_caller]
fn check(policy: &str, model: &str, text: &str, expected: &str) {
    let generation = generation(policy);
    let plan = plan(&generation, "", Dialect::OpenAiChat, &chat(model, text));
    let what = match &plan.outcome {
        Outcome::Forward(forward) => forward.model().to_string(),
        Outcome::Refuse(refusal) => refusal.status.to_string(),
        other => format!("{other:?}"),
    };
    let decision = plan.trace.decision.as_deref().unwrap_or("-");
    let algorithm = plan.trace.algorithm.unwrap_or("-");
    assert_eq!(format!("{decision} {algorithm} {what}"), expected, "{text}");
}

#[test]
fn an_attack_goes_to_its_destination_whatever_model_it_names() {
    let with_refs = policy(REFS, "[]");
    for model in ["auto", "large"] {
        check(&with_refs, model, "prove it", "attack route_action safe");
    }
    // Nothing but the action takes requests away from the model that they name.
    check(&with_refs, "large", "hello", "- - large");
    check(&with_refs, "large", "a poem", "- - large");
    check(&with_refs, "auto", "a poem", "poems single small");
}

#[test]
fn a_destination_that_cannot_serve_leaves_it_to_the_candidates() {
    let long = format!("prove it {}", "word ".repeat(400));
    check(&policy(REFS, "[]"), "large", &long, "attack single small");
    check(&policy("", "[]"), "large", &long, "attack - 400");
    // Boundaries stand above it.
    let small = "[{name: b, when: {type: keyword, name: word}, allow: {models: [small]}}]";
    check(
        &policy(REFS, small),
        "large",
        "prove it",
        "attack single small",
    );
    check(&policy("", small), "large", "prove it", "attack - 403");
    check(&policy("", small), "large", "hello", "- - large");
}
