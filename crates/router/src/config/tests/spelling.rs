//! Both spellings of a document: each renamed key in both directions, and what is said of a mixture.

use super::{environment, expect};
use crate::config::{Checked, check, load};
use document::Severity;
use serde_json::Value;

/// A document with two models; `providers` and `rest` are sections in flow style.
fn yaml(providers: &str, rest: &str) -> String {
    format!("version: v0.3\nproviders:\n{providers}  models: [{{name: a}}, {{name: b}}]\n{rest}")
}

fn checked(yaml: &str) -> Checked {
    let checked = check(yaml, &environment);
    let errors = checked
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(ToString::to_string);
    assert_eq!(errors.collect::<Vec<_>>(), Vec::<String>::new(), "{yaml}");
    checked
}

/// Both texts are read as the same document, at the key of the typed one.
fn check_same(old: &str, new: &str, pointer: &str, expected: Value) {
    for yaml in [old, new] {
        let loaded = load(yaml, &environment);
        let errors: Vec<String> = loaded
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(ToString::to_string)
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{yaml}");
        assert_eq!(loaded.value.pointer(pointer), Some(&expected), "{yaml}");
    }
}

#[test]
fn renamed_keys_in_both_directions() {
    let defaults = |key: &str, value: &str| yaml(&format!("  defaults: {{{key}: {value}}}\n"), "");
    check_same(
        &defaults("default_model", "b"),
        &defaults("model", "b"),
        "/providers/defaults/default_model",
        "b".into(),
    );
    check_same(
        &defaults("default_reasoning_effort", "low"),
        &defaults("reasoning_effort", "low"),
        "/providers/defaults/default_reasoning_effort",
        "low".into(),
    );

    let global = |text: &str| yaml("", &format!("global: {text}\n"));
    check_same(
        &global("{stores: {semantic_cache: {max_entries: 7}}}"),
        &global("{stores: {response_cache: {max_entries: 7}}}"),
        "/global/stores/response_cache/max_entries",
        7.into(),
    );
    let store = |word: &str| {
        global(&format!(
            "{{router: {{learning: {{state_store: {{backend: {word}}}}}}}}}"
        ))
    };
    check_same(
        &store("memory"),
        &store("local"),
        "/global/router/learning/state_store/backend",
        "memory".into(),
    );
    let guard = |text: &str| {
        let external = "external: [{name: g, model_role: guardrail}]";
        global(&format!(
            "{{model_catalog: {{{external}, modules: {{prompt_guard: {text}}}}}}}"
        ))
    };
    check_same(
        &guard("{protocol: http_chat}"),
        &guard("{backend: {protocol: http_chat, contract: label_decision.v1, model: g}}"),
        "/global/model_catalog/modules/prompt_guard/protocol",
        "http_chat".into(),
    );

    let plugin = |kind: &str, text: &str| {
        yaml(
            "",
            &format!(
                "routing: {{decisions: [{{name: d, modelRefs: [{{model: a}}], plugins: [{{type: {kind}, configuration: {text}}}]}}]}}\n"
            ),
        )
    };
    let first = "/routing/decisions/0/plugins/0/configuration";
    check_same(
        &plugin("tools", "{dynamic_retrieval: true}"),
        &plugin("tools", "{dynamic_retrieval: {enabled: true}}"),
        &format!("{first}/dynamic_retrieval/enabled"),
        true.into(),
    );
    check_same(
        &plugin("semantic-cache", "{control_header: x-c}"),
        &plugin("response_cache", "{request_controls: {header: x-c}}"),
        &format!("{first}/request_controls/header"),
        "x-c".into(),
    );

    let cards = "routing: {modelCards: [{name: a, quality_score: 0.8, tags: [x]}, {name: b, quality_score: 0.6}]}\n";
    let rating = |model: &str, score: &str| {
        format!(
            "{{model: {model}, benchmark: vllm-sr/operator-rating@1.0.0, metrics: {{score: {score}}}}}"
        )
    };
    let records = format!(
        "routing: {{modelCards: [{{name: a, tags: [x]}}]}}\nevaluation: {{records: [{}, {}]}}\n",
        rating("a", "0.8"),
        rating("b", "0.6")
    );
    for (index, score) in [(0, 0.8), (1, 0.6)] {
        check_same(
            &yaml("", cards),
            &yaml("", &records),
            &format!("/routing/modelCards/{index}/quality_score"),
            score.into(),
        );
    }
}

#[test]
fn a_provider_alone_is_its_own_api() {
    let text =
        "version: v0.3\nproviders: {models: [{name: a, backend_refs: [{provider: anthropic}]}]}\n";
    let document = checked(text).document.unwrap();
    assert_eq!(document.providers.models[0].api_format, "anthropic");
}

/// Worked example: the same fact twice.
#[test]
fn one_fact_in_both_spellings() {
    let twice = |model: &str| {
        let defaults = format!("  defaults: {{default_model: a, model: {model}}}\n");
        let text = yaml(&defaults, "");
        (check(&text, &environment).problems, text)
    };
    let (problems, text) = twice("b");
    expect(
        &text,
        &problems,
        &[
            "3 error `providers.defaults.default_model` and `providers.defaults.model` say the same thing differently: keep `providers.defaults.model`, the newer spelling",
        ],
    );
    let (problems, text) = twice("a");
    expect(
        &text,
        &problems,
        &[
            "3 note providers.defaults.model: decides that the document is in the new spelling",
            "3 warning say the same thing: keep `providers.defaults.model`",
            "3 warning old spelling in a document of the new one: providers.defaults.default_model; `merit migrate`",
        ],
    );
}

#[test]
fn problems_name_the_keys_that_are_written() {
    let text = yaml("  defaults:\n    model: c\n", "");
    expect(
        &text,
        &check(&text, &environment).problems,
        &["4 error providers.defaults.model: "],
    );
}

#[test]
fn the_spelling_is_named() {
    let note = |text: &str| {
        let problems = check(text, &environment).problems;
        let notes = problems
            .into_iter()
            .filter(|it| it.message.contains("spelling"));
        notes.map(|it| it.to_string()).collect::<Vec<_>>()
    };
    let old = note(&yaml("  defaults: {default_model: a}\n", ""));
    assert_eq!(
        old,
        ["note: version: the document is in the old spelling: it has no key of v0.4"]
    );
    let new = note(&yaml(
        "",
        "global: {router: {learning: {state_store: {backend: local}}}}\nrouting: {data_policy: {replay: false}}\n",
    ));
    assert_eq!(new.len(), 1, "{new:?}");
    assert!(new[0].starts_with("note: global.router.learning.state_store.backend: "));
}

/// What `check` says of a document whose `routing` and `global` these are, of each problem above a
/// note that has the words.
#[track_caller]
fn check_said(providers: &str, routing: &str, global: &str, expected: &[(&str, &str)]) {
    let text = yaml(
        providers,
        &format!("routing: {{{routing}}}\nglobal: {{{global}}}\n"),
    );
    let problems = check(&text, &environment).problems;
    for (severity, words) in expected {
        let hit = problems
            .iter()
            .any(|it| it.severity.to_string() == *severity && it.message.contains(words));
        assert!(hit, "{severity} {words} not in {problems:#?}");
    }
    let is_error = |it: &&document::Problem| it.severity == Severity::Error;
    let errors = problems.iter().filter(is_error).count();
    let wanted = expected.iter().filter(|(severity, _)| *severity == "error");
    assert_eq!(errors, wanted.count(), "{problems:#?}");
}

#[test]
fn the_spelling_says_which_ranking_holds() {
    let signals =
        "signals: {keywords: [{name: k, operator: OR, keywords: [a]}], domains: [{name: law}]}";
    let same = format!(
        "{signals}, decisions: [{{name: x, priority: 5, rules: {{type: keyword, name: k}}, modelRefs: [{{model: a}}]}}, {{name: y, priority: 5, rules: {{type: domain, name: law}}, modelRefs: [{{model: b}}]}}]"
    );
    let apart = same.replace("name: y, priority: 5", "name: y, priority: 6");
    let differ = "rank `x` and `y` by different rules";
    let (old, new) = (
        "  defaults: {default_model: a}\n",
        "  defaults: {model: a}\n",
    );
    check_said(new, &same, "", &[("note", differ)]);
    check_said(new, &apart, "", &[]);
    // A document without new keys is ranked as ever, so there is nothing to say.
    let text = yaml(old, &format!("routing: {{{same}}}\n"));
    let problems = check(&text, &environment).problems;
    let differs = problems.iter().any(|it| it.message.contains(differ));
    assert!(!differs, "{problems:#?}");
    // Both spellings in one document: it is not clear which ranking is meant.
    let mixed = "  defaults: {model: a, default_reasoning_effort: low}\n";
    check_said(mixed, &same, "", &[("error", "mixes both spellings")]);
    let named = "router: {evaluation: {ranking: v0.4}}";
    check_said(mixed, &same, named, &[]);
    check_said(mixed, &apart, "", &[]);
}

#[test]
fn on_unknown_is_of_the_root() {
    let signals = "signals: {keywords: [{name: k, operator: OR, keywords: [a]}]}";
    let rules = |rules: &str| {
        format!("{signals}, decisions: [{{name: d, modelRefs: [{{model: a}}], rules: {rules}}}]")
    };
    let said = "belongs to the root of `rules`";
    for (tree, expected) in [
        (
            "{type: keyword, name: k, on_unknown: fail_request}",
            &[][..],
        ),
        (
            "{operator: NOT, on_unknown: match, conditions: [{type: keyword, name: k, on_error: match}]}",
            &[("error", said)][..],
        ),
        (
            "{operator: NOT, conditions: [{type: keyword, name: k, on_unknown: match}]}",
            &[("error", said)][..],
        ),
    ] {
        check_said("", &rules(tree), "", expected);
    }
    let boundary = format!(
        "{signals}, boundaries: [{{name: b, when: {{type: keyword, name: k, on_unknown: no_match}}, allow: {{models: [a]}}}}]"
    );
    let holds = "a boundary holds where a signal failed";
    check_said("", &boundary, "", &[("error", holds)]);
}

/// What v0.4 asks for and Merit does not run is said once, and refused only where requests would be
/// less safe.
#[test]
fn keys_that_are_not_run() {
    let cases = [
        (
            "model_bindings: {embedding: {deployment: x}}",
            "warning",
            "`model_bindings` is not run",
        ),
        (
            "fallback: {version: 1, enabled: true, max_attempts: 3}",
            "warning",
            "there are 2 attempts",
        ),
        ("fallback: {version: 2}", "error", "the version is 1"),
        (
            "signals: {safety: [{name: s, threshold: 0.5}]}, decisions: [{name: d, modelRefs: [{model: a}], rules: {type: safety, name: s}}]",
            "error",
            "the signal `safety` is not run",
        ),
    ];
    for (routing, severity, words) in cases {
        let text = yaml("", &format!("routing: {{{routing}}}\n"));
        let problems = check(&text, &environment).problems;
        let hit = problems
            .iter()
            .any(|it| it.severity.to_string() == severity && it.message.contains(words));
        assert!(hit, "{words} not in {problems:#?}");
    }
    let off = yaml("", "routing: {fallback: {enabled: false}}\n");
    checked(&off);
}

#[test]
fn forms_of_unreleased_branches() {
    let cases = [
        (
            "version: v0.4\n",
            "1 error is a form of an unreleased branch; Merit reads `v0.3`",
        ),
        (
            "version: v0.3\nmodels: [{name: a, card: x}]\n",
            "2 error `models` is a form of an unreleased branch; Merit reads `providers.models`",
        ),
        (
            "version: v0.3\nrecipes:\n  - {name: r, document: x}\n",
            "3 error `document` is a form of an unreleased branch; Merit reads `recipes[].routing`",
        ),
        (
            "version: v0.3\nentrypoints:\n  - {recipe: default, model_names: [m], assignments: {}}\n",
            "3 error `modelRefs`",
        ),
    ];
    for (text, expected) in cases {
        let problems = check(text, &environment).problems;
        let shown: Vec<String> = problems
            .iter()
            .map(|it| format!("{} {} {}", it.line, it.severity, it.message))
            .collect();
        let (line, words) = expected.split_once(" error ").unwrap();
        let hit = shown
            .iter()
            .any(|it| it.starts_with(&format!("{line} error ")) && it.contains(words));
        assert!(hit, "{expected} not in {shown:#?}");
    }
}

/// Worked examples of reasoning blocks.
#[test]
fn reasoning_blocks() {
    let model = |reasoning: &str, reference: &str| {
        let text = format!(
            "version: v0.3\nproviders:\n  models:\n    - {{name: a, reasoning: {reasoning}}}\nrouting:\n  decisions:\n    - {{name: d, modelRefs: [{{model: a, {reference}}}]}}\n"
        );
        let problems = check(&text, &environment).problems;
        let errors = problems
            .into_iter()
            .filter(|it| it.severity == Severity::Error);
        errors
            .map(|it| it.to_string())
            .collect::<Vec<_>>()
            .join("; ")
    };
    let inline =
        "{type: reasoning_effort, parameter: reasoning_effort, levels: [low, high], default: high}";
    for (reasoning, reference, expected) in [
        ("{family: qwen3}", "use_reasoning: false", ""),
        (inline, "reasoning_effort: high", ""),
        (inline, "reasoning_effort: medium", "levels are low, high"),
        (
            "{family: gpt-oss}",
            "use_reasoning: false",
            "always reasons",
        ),
        (
            "{family: qwen33}",
            "use_reasoning: true",
            "did you mean `qwen3`?",
        ),
        (
            "{family: qwen3, parameter: x}",
            "use_reasoning: true",
            "excludes",
        ),
        (
            "{type: reasoning_effort, parameter: x}",
            "use_reasoning: true",
            "needs `levels`",
        ),
        (
            "{type: reasoning_effort, parameter: x, levels: [low], default: high}",
            "use_reasoning: true",
            "levels are low",
        ),
    ] {
        let found = model(reasoning, reference);
        match expected {
            "" => assert_eq!(found, "", "{reasoning}"),
            words => assert!(found.contains(words), "{reasoning}: {found}"),
        }
    }
}
