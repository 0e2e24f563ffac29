//! Plans of decisions that ask several models, and the calls that come back.

use super::*;
use crate::pipeline::route_call;
use crate::pipeline::tests::{call, generation, plan};
use crate::plan::BodyEdit;
use dialects::{Dialect, ReadOptions, Request};
use futures_util::FutureExt as _;
use signals::families::Identity;

const POLICY: &str = r#"
version: v0.3
providers:
  defaults: {default_model: small}
  models:
    - {name: claude, api_format: anthropic, backend_refs: [{endpoint: "127.0.0.1:8002", api_key_env: UNSET}]}
    - {name: small, provider_model_id: small-1b, backend_refs: [{endpoint: "127.0.0.1:8000"}]}
    - {name: large, provider_model_id: large-70b, backend_refs: [{endpoint: "127.0.0.1:8001"}]}
routing:
  modelCards: [{name: claude}, {name: large, param_size: 70b}, {name: small, param_size: 1b, loras: [{name: small-law}]}]
  signals:
    keywords:
      - {name: panel, operator: OR, keywords: [panel]}
  decisions:
    - name: panel
      priority: 2
      rules: {type: keyword, name: panel}
      modelRefs: [{model: claude}, {model: large}]
      algorithm: {type: ratings}
    - name: cascade
      priority: 1
      rules: {operator: NOT, conditions: [{type: keyword, name: panel}]}
      modelRefs: [{model: large}, {model: claude}, {model: small, lora_name: small-law}]
      algorithm: {type: confidence, confidence: {confidence_method: margin}}
      plugins: [{type: system_prompt, configuration: {system_prompt: "Think."}}]
"#;

fn chat(model: &str, text: &str) -> String {
    format!(r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "{text}"}}]}}"#)
}

#[test]
fn a_cascade_is_set_out_for_with_those_who_can() {
    let plan = plan(
        &generation(POLICY),
        "",
        Dialect::OpenAiChat,
        &chat("auto", "hello"),
    );
    let Outcome::Escalate(run) = plan.outcome else {
        panic!("{:?}", plan.outcome)
    };
    let order: Vec<&str> = run
        .cascade
        .queue(&run.allowed)
        .into_iter()
        .map(|index| run.cascade.name(index))
        .collect();
    assert_eq!(order, ["small-law", "large"]);
    assert_eq!(
        (plan.trace.model.as_deref(), plan.trace.algorithm),
        (Some("large"), Some("static"))
    );
    assert!(
        run.otherwise
            .body()
            .contains(&BodyEdit::Model("large-70b".into()))
    );
}

#[test]
fn other_algorithms_of_several_models_are_served_by_the_first_capable_candidate() {
    let plan = plan(
        &generation(POLICY),
        "",
        Dialect::OpenAiChat,
        &chat("auto", "a panel"),
    );
    assert!(
        matches!(plan.outcome, Outcome::Forward(_)),
        "{:?}",
        plan.outcome
    );
    assert_eq!(plan.trace.model.as_deref(), Some("large"));
    assert_eq!(plan.trace.degraded, ["looper=ratings_not_run".into()]);
}

#[track_caller]
fn check(asked: &str, claimed: (&str, &str, &str), expected: Result<&str, u16>) {
    let generation = generation(POLICY);
    let body = chat(asked, "hello");
    let request =
        Request::parse(Dialect::OpenAiChat, body.into(), &ReadOptions::default()).unwrap();
    let (recipe, decision, model) = claimed;
    let claims = Claims {
        principal: String::new(),
        recipe: recipe.to_owned(),
        decision: decision.to_owned(),
        model: model.to_owned(),
        depth: 1,
        expires: 0,
    };
    let identity = Identity::default();
    let call = call(&request, Dialect::OpenAiChat, &identity);
    let routed = route_call(&generation, &claims, &call)
        .now_or_never()
        .unwrap();
    let got = match &routed.outcome {
        Outcome::Forward(forward) => {
            assert!(
                forward
                    .body()
                    .iter()
                    .any(|edit| matches!(edit, BodyEdit::SystemPrompt { .. })),
                "plugins act"
            );
            Ok(routed.trace.model.as_deref().unwrap_or_default())
        }
        Outcome::Refuse(refusal) => Err(refusal.status),
        other => panic!("{other:?}"),
    };
    assert_eq!(got, expected);
}

#[test]
fn a_call_goes_where_its_credential_says_and_nowhere_else() {
    check("large", ("default", "cascade", "large"), Ok("large"));
    check(
        "small-law",
        ("default", "cascade", "small-law"),
        Ok("small-law"),
    );
    check("large", ("default", "cascade", "small-law"), Err(400));
    check("small", ("default", "cascade", "small"), Err(400));
    check("large", ("default", "gone", "large"), Err(400));
    check("large", ("gone", "cascade", "large"), Err(400));
    check("claude", ("default", "cascade", "claude"), Err(401));
}
