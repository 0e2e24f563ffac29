//! Rows of the migration, and what holds for all of them.

use super::*;
use crate::config::renames::{RENAMED, RESHAPED};
use document::Draft;
use proptest::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn check(before: &str, after: &str, done: &[&str]) {
    let migrated = migrate(before, false).unwrap_or_else(|why| panic!("{why:?}\n{before}"));
    assert_eq!(migrated.text, after);
    let lines: Vec<String> = migrated
        .changes
        .iter()
        .map(|change| format!("{} {change}", change.line))
        .collect();
    assert_eq!(lines, done);
    let again = migrate(&migrated.text, false).unwrap();
    assert_eq!((again.text.as_str(), again.changes), (after, vec![]));
}

fn refused(before: &str, line: u32, words: &str) {
    let problems = migrate(before, false).unwrap_err();
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(
        problems
            .iter()
            .any(|it| it.line == line && it.message.contains(words)),
        "{shown:?}"
    );
}

#[test]
fn keys_with_a_new_name() {
    check(
        "providers:\n  defaults:\n    default_model: a   # cheap\n    \"default_reasoning_effort\": low\n",
        "providers:\n  defaults:\n    model: a   # cheap\n    \"reasoning_effort\": low\n",
        &[
            "3 providers.defaults.default_model is now providers.defaults.model",
            "4 providers.defaults.default_reasoning_effort is now providers.defaults.reasoning_effort",
        ],
    );
    check(
        "global: {stores: {semantic_cache: {enabled: true}}}\n",
        "global: {stores: {response_cache: {enabled: true}}}\n",
        &["1 global.stores.semantic_cache is now global.stores.response_cache"],
    );
    check(
        "evaluation_catalog:\n  records: []\n",
        "evaluation:\n  records: []\n",
        &["1 evaluation_catalog is now evaluation"],
    );
    check(
        "providers: {defaults: {default_model: a, model: a}}\n",
        "providers: {defaults: {model: a}}\n",
        &["1 providers.defaults.default_model is gone; providers.defaults.model says the same"],
    );
    refused(
        "providers:\n  defaults:\n    model: a\n    default_model: b\n",
        4,
        "providers.defaults.model says something else",
    );
}

#[test]
fn backends() {
    check(
        "providers:\n  models:\n    - name: a\n      backend_refs:\n        - endpoint: h:1\n        - {endpoint: h:2, type: chat}\n        - {base_url: u, type: chat, provider: openai}\n",
        "providers:\n  models:\n    - name: a\n      backend_refs:\n        - endpoint: h:1\n          provider: vllm\n        - {endpoint: h:2, provider: chat}\n        - {base_url: u, provider: openai}\n",
        &[
            "5 providers.models[0].backend_refs[0] has `provider: vllm` now",
            "6 providers.models[0].backend_refs[1].type is now providers.models[0].backend_refs[1].provider",
            "7 providers.models[0].backend_refs[2].type is gone; providers.models[0].backend_refs[2].provider says it",
        ],
    );
    let anthropic = "providers:\n  models:\n    - name: a\n      api_format: anthropic\n";
    check(
        anthropic,
        "providers:\n  models:\n    - name: a\n      api_format: anthropic\n      backend_refs:\n        - {provider: anthropic}\n",
        &["3 providers.models[0] has `backend_refs: [{provider: anthropic}]` now"],
    );
    let served = format!("listeners: []\n{anthropic}");
    check(&served, &served, &[]);
    refused(
        "providers:\n  models:\n    - name: a\n      external_model_ids: {vllm: b}\n      backend_refs: [{endpoint: h:1}]\n",
        5,
        "external_model_ids.vllm",
    );
    refused(
        "providers:\n  models:\n    - name: a\n      api_format: anthropic\n      backend_refs: [{endpoint: h:1, api_key: k}]\n",
        5,
        "another header",
    );
}

#[test]
fn reasoning() {
    check(
        "providers:\n  defaults:\n    reasoning_families:\n      # ours\n      mine: {type: chat_template_kwargs, parameter: think}\n      qwen3: {type: chat_template_kwargs, parameter: enable_thinking}\n  models:\n    - {name: a, reasoning_family: mine}\n    - {name: b, reasoning_family: glm}\n    - {name: c, reasoning_family: qwen3}\n",
        "providers:\n      # ours\n  models:\n    - {name: a, reasoning: {type: chat_template_kwargs, parameter: think}}\n    - {name: b, reasoning: {family: glm}}\n    - {name: c, reasoning: {family: qwen3}}\n"
            .replace("      # ours", "  # ours")
            .as_str(),
        &[
            "3 providers.defaults.reasoning_families is gone; each model says its own",
            "8 providers.models[0].reasoning_family is now providers.models[0].reasoning",
            "9 providers.models[1].reasoning_family is now providers.models[1].reasoning",
            "10 providers.models[2].reasoning_family is now providers.models[2].reasoning",
        ],
    );
    let effort = "providers:\n  defaults:\n    model: a\n    reasoning_families: {e: {type: reasoning_effort, parameter: p}}\n  models:\n    - name: a\n      reasoning_family: e # why\nrouting:\n  decisions:\n    - modelRefs: [{model: a, reasoning_effort: max}, {model: a, use_reasoning: false}]\n";
    let migrated = migrate(effort, false).unwrap().text;
    assert!(migrated.contains(
        "      reasoning: {type: reasoning_effort, parameter: p, levels: [low, medium, high, max], default: medium, modes: [enabled, disabled], default_mode: enabled} # why\n"
    ), "{migrated}");
    refused(
        "providers:\n  models:\n    - name: a\n      reasoning_family: x\n      reasoning: {family: y}\n",
        4,
        "`reasoning` stands beside it",
    );
}

#[test]
fn quality() {
    check(
        "routing:\n  modelCards:\n    - {name: a, quality_score: .8, tags: [x]}\n    - {name: b, quality_score: .6}\n    - name: c\n      quality_score: 0 # not measured\n      tags: [y]\n",
        "routing:\n  modelCards:\n    - {name: a, tags: [x]}\n    - name: c\n      # not measured\n      tags: [y]\nevaluation:\n  records:\n    - {model: a, benchmark: vllm-sr/operator-rating@1.0.0, metrics: {score: 0.8}}\n    - {model: b, benchmark: vllm-sr/operator-rating@1.0.0, metrics: {score: 0.6}}\n    - {model: c, benchmark: vllm-sr/operator-rating@1.0.0, metrics: {score: 0}}\n",
        &[
            "3 routing.modelCards[0].quality_score is now a record of vllm-sr/operator-rating@1.0.0 in evaluation.records",
            "4 routing.modelCards[1] is gone; nothing but its name was left",
            "4 routing.modelCards[1].quality_score is now a record of vllm-sr/operator-rating@1.0.0 in evaluation.records",
            "6 routing.modelCards[2].quality_score is now a record of vllm-sr/operator-rating@1.0.0 in evaluation.records",
        ],
    );
    check(
        "routing:\n  modelCards:\n    - name: a\n      tags: [x]\n      evaluations: [{benchmark: n/b@1, metrics: {m: 2}}]\nevaluation:\n  records:\n    - {model: z, benchmark: n/b@1, metrics: {m: 1}}\n",
        "routing:\n  modelCards:\n    - name: a\n      tags: [x]\nevaluation:\n  records:\n    - {model: z, benchmark: n/b@1, metrics: {m: 1}}\n    - {benchmark: n/b@1, metrics: {m: 2}, model: a}\n",
        &["5 routing.modelCards[0].evaluations is now in evaluation.records"],
    );
    refused(
        "routing:\n  modelCards:\n    - {name: a, quality_score: .8}\nevaluation:\n  records:\n    - {model: a, benchmark: vllm-sr/operator-rating@1.0.0, metrics: {score: .7}}\n",
        3,
        "another value",
    );
    refused(
        "routing:\n  modelCards:\n    - {quality_score: .8}\n",
        3,
        "no name",
    );
}

#[test]
fn catalog_ids() {
    check(
        "providers:\n  models: [{name: a, catalog: p/x}, {name: b, catalog: p/x}]\nrouting:\n  modelCards:\n    - name: a\n      tags: [q]\n    - name: b\n      tags: [q]\n      param_size: 8B\nevaluation:\n  records: [{model: a, benchmark: n/b@1, metrics: {m: 2}}]\n",
        "providers:\n  models: [{name: a, catalog: p/x}, {name: b, catalog: p/x}]\nrouting:\n  modelCards:\n    - name: p/x\n      tags: [q]\n      param_size: \"8B\"\nevaluation:\n  records: [{model: p/x, benchmark: n/b@1, metrics: {m: 2}}]\n",
        &[
            "5 routing.modelCards[0].name is now p/x",
            "7 routing.modelCards[1] is now one with routing.modelCards[0]",
            "7 routing.modelCards[1].name is now p/x",
            "11 evaluation.records[0].model is now p/x",
        ],
    );
    refused(
        "providers:\n  models: [{name: a, catalog: p/x}, {name: b, catalog: p/x}]\nrouting:\n  modelCards:\n    - {name: a, tags: [q]}\n    - {name: b, tags: [r]}\n",
        6,
        "`tags` differs",
    );
}

#[test]
fn plugins() {
    check(
        "routing:\n  decisions:\n    - name: d\n      plugins:\n        - type: semantic-cache\n          configuration:\n            allow_request_controls: true # clients may\n            control_header: x-c\n        - {type: tools, configuration: {dynamic_retrieval: true}}\nrecipes:\n  - name: r\n    routing:\n      decisions: [{plugins: [{type: semantic_cache}]}]\n",
        "routing:\n  decisions:\n    - name: d\n      plugins:\n        - type: response_cache\n          configuration:\n            # clients may\n            request_controls: {enabled: true, header: x-c}\n        - {type: tools, configuration: {dynamic_retrieval: {enabled: true}}}\nrecipes:\n  - name: r\n    routing:\n      decisions: [{plugins: [{type: response_cache}]}]\n",
        &[
            "5 routing.decisions[0].plugins[0].type is now response_cache",
            "7 routing.decisions[0].plugins[0].configuration.allow_request_controls is now routing.decisions[0].plugins[0].configuration.request_controls.enabled",
            "8 routing.decisions[0].plugins[0].configuration.control_header is now routing.decisions[0].plugins[0].configuration.request_controls.header",
            "9 routing.decisions[0].plugins[1].configuration.dynamic_retrieval is now {enabled: true}",
            "13 recipes[0].routing.decisions[0].plugins[0].type is now response_cache",
        ],
    );
    refused(
        "routing:\n  decisions:\n    - plugins:\n        - type: response_cache\n        - type: semantic-cache\n",
        5,
        "has a response_cache already",
    );
}

#[test]
fn modules_and_stores() {
    check(
        "global:\n  model_catalog:\n    external:\n      - {llm_provider: vllm, model_role: guardrail}\n    modules:\n      prompt_guard:\n        enabled: true\n        protocol: http_chat # remote\n  router: {learning: {state_store: {backend: memory}}}\n",
        "global:\n  model_catalog:\n    external:\n      - {llm_provider: vllm, model_role: guardrail, name: guardrail_classifier}\n    modules:\n      prompt_guard:\n        enabled: true\n        backend: {protocol: http_chat, contract: label_decision.v1, model: guardrail_classifier} # remote\n  router: {learning: {state_store: {backend: local}}}\n",
        &[
            "4 global.model_catalog.external[0] is now called guardrail_classifier",
            "8 global.model_catalog.modules.prompt_guard.protocol is now global.model_catalog.modules.prompt_guard.backend",
            "9 global.router.learning.state_store.backend is now local",
        ],
    );
    refused(
        "global: {model_catalog: {modules: {prompt_guard: {protocol: http_classify}}}}\n",
        1,
        "exactly one external model",
    );
}

#[test]
fn dead_keys_go_only_if_asked() {
    let text = "global:\n  router:\n    strategy: priority\n    model_selection:\n      momentum: {enabled: true}\n";
    let kept = migrate(text, false).unwrap();
    assert_eq!(kept.text, text);
    assert_eq!(kept.dead.len(), 1);
    let dropped = migrate(text, true).unwrap();
    assert_eq!(dropped.text, "global:\n  router:\n    strategy: priority\n");
    assert_eq!(dropped.dead, []);
}

#[test]
fn probes_ask_the_new_endpoint() {
    check(
        "schema_version: v1\nrouter_eval_endpoint: http://h:1/api/v1/eval # old\nevaluation: {concurrency: 1, evaluate_all_signals: true}\ndecisions: []\n",
        "schema_version: v1\nrouter_eval_endpoint: \"http://h:1/api/v1/routing/preview\" # old\nevaluation: {concurrency: 1}\ndecisions: []\n",
        &[
            "2 router_eval_endpoint is now /api/v1/routing/preview",
            "3 evaluation.evaluate_all_signals is gone; every signal is evaluated",
        ],
    );
}

#[test]
fn what_only_merit_understands() {
    let found = for_merit_only(
        "providers:\n  models: [{name: a, location: here}]\nrouting:\n  boundaries:\n    - name: b\n  decisions: [{algorithm: {type: weighted}}]\nglobal: {server: {fallback: {}}, router: {evaluation: {mode: full}, strategy: priority}}\n",
    )
    .unwrap();
    let lines: Vec<(u32, &str)> = found.iter().map(|it| (it.line, it.path.as_str())).collect();
    assert_eq!(
        lines,
        [
            (2, "providers.models[0].location"),
            (4, "routing.boundaries"),
            (6, "routing.decisions[0].algorithm.type"),
            (7, "global.router.evaluation"),
            (7, "global.server"),
        ]
    );
}

fn published() -> Option<Value> {
    let shared = std::env::var_os("MERIT_SHARED_DATA").map(PathBuf::from);
    let shared = shared
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let file = shared.join("reference/published-schema-v0.4.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("skipped: no published schema at {}", file.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// Collects the paths of a schema; a type within itself is followed once.
fn schema_paths(
    root: &Value,
    node: &Value,
    path: &str,
    above: &[&str],
    out: &mut BTreeSet<String>,
) {
    if let Some(name) = node["$ref"].as_str().and_then(|it| it.rsplit('/').next())
        && above.iter().filter(|it| **it == name).count() < 2
    {
        let above: Vec<&str> = above.iter().copied().chain([name]).collect();
        schema_paths(root, &root["$defs"][name], path, &above, out);
    }
    for branches in ["anyOf", "oneOf", "allOf"] {
        for branch in node[branches].as_array().into_iter().flatten() {
            schema_paths(root, branch, path, above, out);
        }
    }
    for (key, value) in node["properties"].as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{key}");
        schema_paths(root, value, &path, above, out);
        out.insert(path);
    }
    if node["items"].is_object() {
        schema_paths(root, &node["items"], &format!("{path}[]"), above, out);
    }
    if node["additionalProperties"].is_object() {
        schema_paths(
            root,
            &node["additionalProperties"],
            &format!("{path}.*"),
            above,
            out,
        );
    }
}

/// Each path that Merit's schema has and the published one has not is listed, and no other.
#[test]
fn the_list_of_what_only_merit_reads_is_complete() {
    let Some(published) = published() else { return };
    let collect = |schema: &Value| {
        let mut paths = BTreeSet::new();
        schema_paths(schema, schema, "", &[], &mut paths);
        paths
    };
    let theirs = collect(&published);
    let old: BTreeSet<String> = RENAMED
        .iter()
        .chain(&RESHAPED)
        .map(|renamed| renamed.old)
        .chain(DEAD)
        .chain(["routing.decisions[].algorithm.workflows.final.max_completion_tokens"])
        .map(str::to_owned)
        .collect();
    let ours = collect(crate::config::schema().value());
    let is_ours = |path: &&String| {
        !path.starts_with("recipes[].routing") && !path.contains(".configuration.")
    };
    let only: BTreeSet<String> = ours.difference(&theirs).filter(is_ours).cloned().collect();
    let is_below = |path: &String, others: &BTreeSet<String>| {
        others.iter().any(|other| {
            let rest = path.strip_prefix(other.as_str()).unwrap_or_default();
            rest.starts_with(['.', '['])
        })
    };
    let largest: BTreeSet<&str> = only
        .iter()
        .filter(|path| !old.contains(*path) && !is_below(path, &old) && !is_below(path, &only))
        .map(String::as_str)
        .collect();
    let listed: BTreeSet<&str> = merit_only().collect();
    let missing: Vec<_> = largest.difference(&listed).collect();
    let needless: Vec<_> = listed.difference(&largest).collect();
    assert!(
        missing.is_empty() && needless.is_empty(),
        "config/merit_only.txt lacks {missing:#?}\nand needs no {needless:#?}"
    );
}

/// The reference's exhaustive document is migrated, and only renamed keys change.
#[test]
fn the_references_document_is_migrated() {
    let shared = std::env::var_os("MERIT_SHARED_DATA").map(PathBuf::from);
    let shared = shared
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let Ok(text) = std::fs::read_to_string(shared.join("reference/config-v0.3.yaml")) else {
        eprintln!("skipped: no reference documents at {}", shared.display());
        return;
    };
    let once = migrate(&text, true).unwrap_or_else(|why| panic!("{why:?}"));
    let twice = migrate(&once.text, true).unwrap();
    assert_eq!((twice.text, twice.changes.len()), (once.text.clone(), 0));
    let comments = |text: &str| text.lines().filter(|it| it.trim().starts_with('#')).count();
    assert_eq!(comments(&once.text), comments(&text));
    assert!(once.changes.len() > 20, "{:#?}", once.changes);
}

/// Returns a value with the keys of [`RENAMED`] under their new names.
fn renamed(value: &Value, path: &str) -> Value {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| renamed(item, &format!("{path}[]")))
            .collect(),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{dot}{key}");
                    let new = RENAMED.iter().find(|renamed| renamed.old == path);
                    let name = new.map_or(key.as_str(), |new| new.new);
                    (name.to_owned(), renamed(value, &path))
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

proptest! {
    /// Where keys only change their names, all else stays: values, comments, blank lines.
    #[test]
    fn names_change_and_all_else_stays(
        model in proptest::option::of("[a-z]{1,5}"),
        effort in proptest::option::of("low|high"),
        backends in prop::collection::vec((any::<bool>(), "chat|vllm", "[#a-z ]{0,6}"), 0..4),
        cache in proptest::option::of(any::<bool>()),
        flow in any::<bool>(),
    ) {
        let mut text = "# head\nversion: v0.3 # v\nproviders:\n  defaults: # d\n    # inside\n".to_owned();
        text.extend(model.map(|it| format!("    default_model: '{it}' # m\n\n")));
        text.extend(effort.map(|it| format!("    default_reasoning_effort: {it}\n")));
        text.push_str("    x: 1\n  models:\n    - name: a # a\n      backend_refs: # b\n");
        for (index, (is_old, kind, comment)) in backends.iter().enumerate() {
            let key = if *is_old { "type" } else { "provider" };
            text.push_str(&if flow {
                format!("        - {{endpoint: 'h:{index}', {key}: {kind}}} #{comment}\n")
            } else {
                format!("        - {key}: {kind} #{comment}\n          endpoint: h{index}\n\n")
            });
        }
        text.extend(cache.map(|it| format!("global:\n  stores:\n    semantic_cache: {{enabled: {it}}} # c\n")));

        let once = migrate(&text, false).unwrap();
        let twice = migrate(&once.text, false).unwrap();
        prop_assert_eq!(&twice.text, &once.text);
        prop_assert_eq!(twice.changes, vec![]);
        let before = Draft::read(&text).unwrap().root().value();
        let after = Draft::read(&once.text).unwrap().root().value();
        prop_assert_eq!(after, renamed(&before, ""));
        let comments = |text: &str| -> Vec<String> {
            text.lines().filter_map(|it| it.split_once('#')).map(|it| it.1.to_owned()).collect()
        };
        prop_assert_eq!(comments(&once.text), comments(&text));
        prop_assert_eq!(once.text.lines().count(), text.lines().count());
    }
}
