//! What v0.4 says of candidates and their choice: evidence of quality, modes of reasoning, actions.

use super::{environment, expect};
use crate::config::{check, load};
use selection::candidate::ModelRef;
use selection::card::ModelDescriptions;

/// A document with records of three models, and `rest` in place of its decision.
fn document(evaluation: &str, rest: &str) -> String {
    format!(
        "version: v0.3\nproviders:\n  defaults: {{model: a}}\n  models:\n    - {{name: a, reasoning: {{family: gpt}}}}\n    - {{name: b, catalog: lab/b}}\n    - {{name: c, reasoning: {{family: minimax-m3}}}}\nevaluation:\n{evaluation}{rest}"
    )
}

const RECORDS: &str = "  records:
    - {model: a, benchmark: idavidrein/gpqa-diamond@1.0.0, reasoning_effort: xhigh, metrics: {accuracy: 0.8}}
    - {model: a, benchmark: cais/hle@1.0.0, reasoning_effort: xhigh, metrics: {accuracy: 0.4}}
    - {model: lab/b, benchmark: own/tickets@1.0, benchmark_profile: long, metrics: {solved: 30, slips: 0.2}}
    - {model: c, benchmark: own/tickets@1.0, reasoning_effort: adaptive, metrics: {solved: 10}}
";

const OWN: &str = "  benchmarks:
    - {id: own/tickets@1.0, metrics: [{id: solved, normalization: {type: linear_clamp, min: 0, max: 40}}]}
  indices:
    - id: own/support@1
      scale: [0, 10]
      missing: {policy: require_coverage, minimum: 0.5}
      components:
        - {benchmark: own/tickets@1.0, metric: solved, benchmark_profiles: [long, short, ''], weight: 3}
        - {benchmark: own/tickets@1.0, metric: slips, weight: 1, normalization: {type: one_minus}}
";

/// What an index says of a candidate that is written in JSON, and how much of it is covered.
#[track_caller]
fn value(index: &str, candidate: &str, expected: &str) {
    let yaml = document(&format!("{RECORDS}{OWN}"), "");
    let loaded = load(&yaml, &environment).document.unwrap();
    let candidate: ModelRef = serde_json::from_str(candidate).unwrap();
    let found = loaded.index_value(index, &candidate);
    let found = found.map_or("-".to_owned(), |it| {
        format!("{:.2} {:.2}", it.score, it.coverage)
    });
    assert_eq!(found, expected, "{candidate:?}");
}

#[test]
fn an_index_is_read_at_the_effort_of_the_candidate() {
    let reasoning = "vllm-sr/reasoning@1.0.0";
    value(
        reasoning,
        r#"{"model":"a","reasoning_effort":"xhigh"}"#,
        "60.00 1.00",
    );
    // No other effort's value is borrowed.
    value(
        reasoning,
        r#"{"model":"a","reasoning_effort":"medium"}"#,
        "-",
    );
    value(reasoning, r#"{"model":"a","use_reasoning":false}"#, "-");
    value(
        "vllm-sr/intelligence@1.0.0",
        r#"{"model":"a","reasoning_effort":"xhigh"}"#,
        "-",
    );

    // Its own index: by the catalog's id, normalised, and over what is covered.
    value("own/support@1", r#"{"model":"b"}"#, "7.62 1.00");
    value(
        "own/support@1",
        r#"{"model":"c","reasoning_mode":"adaptive"}"#,
        "2.50 0.75",
    );
    value(
        "own/support@1",
        r#"{"model":"c","reasoning_mode":"enabled"}"#,
        "-",
    );
}

#[track_caller]
fn problems(evaluation: &str, rest: &str, expected: &[&str]) {
    let yaml = document(evaluation, rest);
    expect(&yaml, &check(&yaml, &environment).problems, expected);
}

#[test]
fn indices_that_cannot_be_meant() {
    problems(
        "  indices:
    - {id: vllm-sr/coding@1.0.0, components: [{benchmark: x/y@1, metric: m, weight: 1}]}
    - {id: Own, components: []}
    - {id: own/a@1, components: [{index: own/b@1, weight: 1}]}
    - {id: own/b@1, components: [{index: own/a@1, weight: 1}]}
    - {id: own/c@1, components: [{index: own/x@1, weight: 0, metric: m}, {metric: m, weight: 1}]}
",
        "",
        &[
            "10 error `vllm-sr/coding@1.0.0` is built in",
            "11 error an id looks like",
            "11 error `components` is missing",
            "12 error `own/a@1` is made of itself",
            "13 error `own/b@1` is made of itself",
            "14 error `index` excludes `benchmark`",
            "14 error a weight above 0",
            "14 error `benchmark` is missing",
        ],
    );
}

fn decision(rest: &str) -> String {
    format!("routing:\n  decisions:\n    - name: d\n{rest}")
}

#[test]
fn choices_that_cannot_be_meant() {
    let block = |block: &str| {
        decision(&format!(
            "      modelRefs: [{{model: a, reasoning_effort: xhigh}}, {{model: b}}]\n      algorithm: {{type: multi_factor, multi_factor: {block}}}\n"
        ))
    };
    problems(
        RECORDS,
        &block("{weights: {quality: 1}, quality: {index: vllm-sr/x@1}}"),
        &["18 error no index `vllm-sr/x@1`"],
    );
    problems(
        RECORDS,
        &block("{weights: {quality: 1}, quality: {index: vllm-sr/reasoning@1.0.0}}"),
        &["18 warning no record gives `b` a value"],
    );
    problems(
        RECORDS,
        &block("{objective: {priorities: [{factor: cost}]}, weights: {quality: 1}}"),
        &["18 error belongs to `strategy: lexicographic`"],
    );
    problems(
        RECORDS,
        &block(
            "{objective: {strategy: lexicographic, priorities: [{factor: cost}, {factor: cost, tolerance: 2}]}, weights: {quality: 1}}",
        ),
        &[
            "18 error which walks `priorities`",
            "18 error `cost` is a stage already",
            "18 error a number from 0 to 1",
        ],
    );
}

#[test]
fn modes_that_a_model_does_not_have() {
    let refs = |refs: &str| decision(&format!("      modelRefs: [{refs}]\n"));
    for (candidate, expected) in [
        ("{model: c, reasoning_mode: adaptive}", None),
        (
            "{model: c, use_reasoning: false, reasoning_mode: disabled}",
            None,
        ),
        (
            "{model: c, use_reasoning: false, reasoning_mode: adaptive}",
            Some("17 error contradicts `use_reasoning`"),
        ),
        (
            "{model: a, reasoning_mode: adaptive}",
            Some("17 error `a` has no mode `adaptive`: modes are enabled, disabled"),
        ),
        (
            "{model: b, reasoning_mode: enabled}",
            Some("17 warning tells `b` on or off alone"),
        ),
    ] {
        problems(RECORDS, &refs(candidate), expected.as_slice());
    }
}

#[test]
fn actions_rest_on_attacks() {
    let rules = |rules: &str, destination: &str| {
        let signals = "routing:\n  signals:\n    keywords: [{name: k, operator: OR, keywords: [x]}]\n    jailbreak: [{name: j, threshold: 0.5}]\n";
        format!(
            "{signals}  decisions:\n    - name: d\n      action: {{type: route, destination: {destination}}}\n      rules: {rules}\n      modelRefs: [{{model: a}}]\n"
        )
    };
    let jailbreak = "{type: jailbreak, name: j}";
    problems(RECORDS, &rules(jailbreak, "b"), &[]);
    problems(
        RECORDS,
        &rules("{type: keyword, name: k}", "b"),
        &["20 error must contain a `jailbreak` condition"],
    );
    problems(
        RECORDS,
        &rules(jailbreak, "x"),
        &["20 error no configured model is called `x`"],
    );
}
