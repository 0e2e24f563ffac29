//! Reading: keys, types, scalars, variables, anchors.

use super::{check_form, environment};
use crate::config::load;
use document::Severity;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn keys() {
    check_form("version: v0.3\n", &[]);
    check_form("verison: v0.3\n", &["1 error did you mean `version`?"]);
    check_form(
        "routing:\n  decisons: []\n",
        &["2 error did you mean `decisions`?"],
    );
    check_form(
        "routing:\n  decisions:\n    - model_refs: []\n",
        &["3 error did you mean `modelRefs`?"],
    );
    check_form("vllm_endpoints: []\n", &["1 error before v0.3"]);
    check_form(
        "routing:\n  signals:\n    language:\n      - {name: de, zzz: 1}\n",
        &["4 error unknown key `zzz`; known: name, description, threshold"],
    );
    check_form(
        "version: a\nrouting: {}\nversion: b\n",
        &["3 error first on line 1"],
    );
    check_form(
        "routing:\n  strategy: a\n  strategy: b\n",
        &["3 error routing.strategy: the key `strategy` is written twice"],
    );
}

#[test]
fn all_faults_at_once() {
    check_form(
        "version: v0.3\nlisteners:\n  - {port: abc}\n  - {porrt: 1}\nrouting:\n  decisions:\n    - priority: high\n      plugins:\n        - type: fastresponse\nentrypoints: {}\n",
        &[
            "3 error listeners[0].port: expected a whole number, found `abc`",
            "4 error listeners[1].porrt: unknown key",
            "7 error routing.decisions[0].priority: expected a whole number, found `high`",
            "9 error did you mean `fast_response`?",
            "10 error expected a list, found a mapping",
        ],
    );
}

#[test]
fn types() {
    check_form(
        "listeners:\n  - {port: 70000}\n",
        &["2 error 70000 is out of range"],
    );
    check_form(
        "listeners:\n  - {port: -1}\n",
        &["2 error -1 is out of range"],
    );
    check_form(
        "listeners:\n  - {port: \"80\"}\n",
        &["2 error expected a whole number, found `80` in quotes"],
    );
    check_form(
        "listeners:\n  - {port: 010}\n",
        &["2 warning reads as octal, that is 8"],
    );
    check_form("listeners:\n  -\n", &["2 error an empty list item"]);
    check_form(
        "global:\n  router: {clear_route_cache: maybe}\n",
        &["2 error expected true or false, found `maybe`"],
    );
    check_form(
        "global:\n  router: {config_source: fiel}\n",
        &["2 error did you mean `file`?"],
    );
    check_form(
        "routing:\n  decisions:\n    - algorithm: {type: statc}\n",
        &[
            "3 error routing.decisions[0].algorithm.type: `statc` is not known here; did you mean `static`?",
        ],
    );
    check_form(
        "routing:\n  decisions:\n    - plugins:\n        - configuration: {}\n",
        &["4 error `type` is missing"],
    );
    check_form(
        "routing:\n  decisions:\n    - plugins:\n        - type: fast_response\n          configuration: {text: hi}\n",
        &["5 error unknown key `text`; known: message"],
    );
    check_form(
        "routing:\n  signals:\n    pii:\n      - {name: p, scan: [current, tool_result]}\n",
        &["4 error did you mean `tool_results`?"],
    );
}

#[test]
fn syntax() {
    check_form("", &["1 error empty"]);
    check_form("a: [1\n", &["1 error not YAML"]);
    check_form(
        "version: v0.3\n---\nversion: v0.3\n",
        &["2 error a second YAML document"],
    );
    check_form(
        "version: !custom v0.3\n",
        &["1 error tags are not used here"],
    );
    check_form("? [a, b]\n: c\n", &["1 error cannot be a key"]);
    let deep = format!("version: {}{}\n", "[".repeat(80), "]".repeat(80));
    assert!(
        load(&deep, &environment)
            .problems
            .iter()
            .any(|problem| problem.message.contains("nest"))
    );
}

/// Ten levels of ten aliases each would be ten thousand million values.
#[test]
fn exploding_aliases_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let loaded = load(&bomb, &environment);
    assert!(loaded.document.is_none());
    assert!(
        loaded
            .problems
            .iter()
            .any(|problem| problem.message.contains("aliases expanded")),
        "{:?}",
        loaded.problems
    );
}

#[test]
fn scalars_mean_what_their_place_wants() {
    let yaml = "\
global:
  router: {clear_route_cache: no, include_config_models_in_list: On}
providers:
  models:
    - name: 8
      external_model_ids: {openai: 1.10}
      pricing: {prompt_per_1m: 1e-2, completion_per_1m: 3}
      backend_refs:
        - {api_version: 2025, weight: 0x10, endpoint: ~}
routing:
  signals:
    context: [{name: yes, min_tokens: 1024, max_tokens: 1_000}]
  decisions:
    - annotations: {on: yes, count: 3, text: '3', none: null}
";
    let loaded = load(yaml, &environment);
    assert_eq!(loaded.problems, []);
    let document = loaded.document.unwrap();
    assert!(
        !document.global.router.clear_route_cache
            && document.global.router.include_config_models_in_list
    );
    let model = &document.providers.models[0];
    assert_eq!(
        (
            model.name.as_str(),
            model.external_model_ids["openai"].as_str()
        ),
        ("8", "1.10")
    );
    let pricing = model.pricing.as_ref().unwrap();
    assert_eq!(
        (pricing.prompt_per_1m, pricing.completion_per_1m),
        (0.01, 3.0)
    );
    let backend = &model.backend_refs[0];
    assert_eq!(
        (
            backend.api_version.as_str(),
            backend.weight,
            backend.endpoint.as_str()
        ),
        ("2025", Some(16), "")
    );
    let band = &document.routing.signals.context[0];
    assert_eq!(
        (
            band.name.as_str(),
            band.min_tokens.as_str(),
            band.max_tokens.as_str()
        ),
        ("yes", "1024", "1_000")
    );
    let annotations = json!(document.routing.decisions[0].annotations);
    assert_eq!(
        annotations,
        json!({"on": true, "count": 3, "text": "3", "none": null})
    );
}

#[test]
fn anchors_and_merge_keys() {
    let yaml = "\
routing:
  decisions:
    - &base {name: a, priority: 3, modelRefs: [{model: small}]}
    - {<<: *base, name: b}
    - {<<: [{name: c}, *base]}
";
    let loaded = load(yaml, &environment);
    assert_eq!(loaded.problems, []);
    let decisions = loaded.document.unwrap().routing.decisions;
    let read: Vec<_> = decisions
        .iter()
        .map(|decision| {
            (
                decision.name.as_str(),
                decision.priority,
                decision.model_refs.len(),
            )
        })
        .collect();
    assert_eq!(read, [("a", 3, 1), ("b", 3, 1), ("c", 3, 1)]);
    check_form("a: *b\n", &["1 error not YAML"]);
    check_form("routing: {<<: 3}\n", &["1 error takes a mapping"]);
}

#[test]
fn variables() {
    let cases = [
        ("${SET}", "value"),
        ("a-${SET}-b", "a-value-b"),
        ("${UNSET:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("${UNSET:-}", ""),
        ("$${SET}", "${SET}"),
        ("$SET", "$SET"),
        ("${user_content} ${top_k}", "${user_content} ${top_k}"),
        ("${SET} ${SET}", "value value"),
    ];
    for (written, read) in cases {
        let yaml = format!("routing:\n  strategy: \"{written}\"\n");
        let loaded = load(&yaml, &environment);
        assert_eq!(loaded.problems, [], "{written}");
        assert_eq!(loaded.document.unwrap().routing.strategy, read, "{written}");
    }
    check_form(
        "routing:\n  strategy: ${UNSET}\n",
        &["2 error the environment variable `UNSET` is not set"],
    );
    check_form(
        "routing:\n  strategy: ${OpenAI_KEY}\n",
        &["2 note names of environment variables are upper case"],
    );
    check_form(
        "listeners:\n  - port: ${PORT}\n  - port: \"${PORT}\"\n",
        &[],
    );
    check_form(
        "listeners:\n  - port: ${SET}\n",
        &["2 error expected a whole number, found `value`"],
    );
    // A value cannot bring structure with it.
    let injected = |_: &str| Some("a\nversion: v9".to_owned());
    let loaded = load("routing:\n  strategy: ${SET}\n", &injected);
    assert_eq!(loaded.document.unwrap().routing.strategy, "a\nversion: v9");
}

#[test]
fn paths_find_their_lines() {
    let yaml = "version: v0.3\nproviders:\n  defaults:\n    reasoning_families:\n      a.b: {type: reasoning_effort}\nrecipes:\n  - name: x\n    routing:\n      strategy: priority\n";
    let loaded = load(yaml, &environment);
    let cases = [
        ("version", 1),
        ("providers.defaults.reasoning_families[\"a.b\"].type", 5),
        ("recipes[0].routing.strategy", 9),
        ("recipes[0].routing.decisions[4]", 8),
        ("", 1),
    ];
    for (path, line) in cases {
        assert_eq!(
            loaded.places.locate(path).map(|place| place.0),
            Some(line),
            "{path}"
        );
    }
}

proptest! {
    /// Any text is read without a panic, and without a document there is an error.
    #[test]
    fn any_text_is_answered(text in "[a-z:\\-\\[\\]{}&*<>|?!'\"#% \n$]{0,200}") {
        let loaded = load(&text, &environment);
        let errors = loaded.problems.iter().any(|problem| problem.severity == Severity::Error);
        prop_assert!(loaded.document.is_some() || errors);
    }
}
