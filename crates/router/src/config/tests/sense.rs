//! What well-formed documents get wrong, line by line.

use super::{check_policy, environment, policy};
use crate::config::{Document, check, load, unimplemented, validate};
use selection::card::ModelDescriptions;

#[test]
fn versions_and_models() {
    let cases: &[(&str, &[&str])] = &[
        (
            "providers: {defaults: {default_model: x}}\n",
            &[
                "1 error `version: v0.3` is missing",
                "1 error no model is called `x`",
            ],
        ),
        ("version: v0.2\n", &["1 error not `v0.2`"]),
        (
            "version: v0.3\nproviders:\n  models:\n    - {name: a}\n    - {name: a, reasoning_family: qwen}\n    - {reliability: {retry_count: 6}}\n",
            &[
                "5 error `a` is already the name of providers.models[0]",
                "5 error no reasoning family is called `qwen`",
                "6 error `name` is missing",
                "6 error at most 5 retries",
            ],
        ),
        (
            "version: v0.3\nproviders:\n  models:\n    - name: a\n      backend_refs:\n        - {name: x}\n        - {endpoint: 'h:1', base_url: 'http://h'}\n        - {base_url: h}\n",
            &[
                "6 error `endpoint` or `base_url` is missing",
                "7 error exclude each other",
                "8 error `http://`",
            ],
        ),
    ];
    for (yaml, expected) in cases {
        super::expect(yaml, &check(yaml, &environment).problems, expected);
    }
}

#[test]
fn fallbacks_without_a_credential() {
    let check = |candidates: &str, server: &str, expected: &[&str]| {
        let yaml = format!(
            "version: v0.3\nproviders:\n  defaults: {{default_model: ours}}\n  models:\n    - {{name: ours, backend_refs: [{{endpoint: 'h:1', api_key: k}}]}}\n    - {{name: headed, backend_refs: [{{endpoint: 'h:2', extra_headers: {{X-Api-Key: k}}}}]}}\n    - {{name: bare, backend_refs: [{{endpoint: 'h:3'}}]}}\n    - {{name: open, backend_refs: [{{endpoint: 'h:4', extra_headers: {{x-org: o}}}}]}}\nrouting:\n  modelCards: [{{name: ours}}, {{name: headed}}, {{name: bare}}, {{name: open}}]\n  decisions:\n    - name: d\n      modelRefs:\n{candidates}global: {{server: {{{server}}}}}\n"
        );
        super::expect(
            &yaml,
            &crate::config::check(&yaml, &environment).problems,
            expected,
        );
    };
    let on = "fallback: {enabled: true}";
    let [ours, headed, bare, open] =
        ["ours", "headed", "bare", "open"].map(|name| format!("        - {{model: {name}}}\n"));
    let warned =
        "15 warning `bare` has no credential of its own, and `ours` takes the caller's off";
    check(&format!("{ours}{bare}"), on, &[warned]);
    check(&format!("{ours}{bare}"), "", &[]);
    let headed_first = "15 warning `bare` has no credential of its own, and `headed` takes";
    check(&format!("{headed}{bare}"), on, &[headed_first]);
    // An algorithm may choose any of them first.
    let last = "14 warning `open` has no credential of its own";
    check(&format!("{open}{ours}"), on, &[last]);
    check(&format!("{ours}{headed}"), on, &[]);
    check(&format!("{bare}{open}"), on, &[]);
}

#[test]
fn names_of_entrypoints_and_recipes() {
    check_policy(
        "  decisions: [{name: d}]\nentrypoints:\n  - {model_names: [fast], recipe: cheap}\n  - {model_names: [auto, small, fast, vllm-sr/fusion], recipe: cheep}\n  - {}\nrecipes:\n  - {name: cheap}\n  - {name: cheap}\n  - {name: default}\n  - {name: lost}\n",
        &[
            "11 error `auto` is already the name of an auto name",
            "11 error `small` is already the name of a model",
            "11 error `fast` is already the name of another entrypoint",
            "11 error `vllm-sr/fusion` is already the name of a multi-model run",
            "11 error no recipe is called `cheep`; did you mean `cheap`?",
            "12 error `recipe` is missing",
            "12 error `model_names` is empty",
            "15 error already the name of recipes[0]",
            "16 error `default` is the top-level `routing`",
            "17 warning no entrypoint leads to the recipe `lost`",
        ],
    );
}

/// A tree, and what is wrong with it.
const TREES: &[(&str, &[&str])] = &[
    ("{type: keyword, name: k}", &[]),
    ("{operator: AND, conditions: []}", &[]),
    (
        "{operator: XOR, conditions: [{type: keyword, name: k}]}",
        &["14 error the operator is"],
    ),
    (
        "{operator: and, conditions: [{type: keyword, name: k}]}",
        &["14 error did you mean `AND`?"],
    ),
    (
        "{operator: NOT, conditions: []}",
        &["14 error exactly one condition, here are 0"],
    ),
    (
        "{conditions: [{type: keyword, name: k}]}",
        &["14 warning means `OR`"],
    ),
    (
        "{type: keywrd, name: k}",
        &["14 error did you mean `keyword`?"],
    ),
    (
        "{type: keyword, name: kk}",
        &["14 error no keyword signal is called `kk`"],
    ),
    (
        "{type: keyword, name: k, label: A}",
        &["14 error only `classifier` leaves"],
    ),
    (
        "{type: keyword, name: k, predicate: {gt: 1}}",
        &["14 error stores no number"],
    ),
    (
        "{type: keyword, name: k, operator: AND}",
        &["14 error either a leaf"],
    ),
    ("{type: complexity, name: c}", &["14 error write `c:hard`"]),
    (
        "{type: complexity, name: 'c:hard', predicate: {gte: 2, lt: 1}}",
        &["14 error no number lies between 2 and 1"],
    ),
    ("{type: authz, name: b}", &["14 error here `r`"]),
    (
        "{type: classifier, name: l}",
        &["14 error needs `label` and `predicate`"],
    ),
    (
        "{type: classifier, name: l, label: C, predicate: {gte: 0.5}}",
        &["14 error has no label `C`"],
    ),
];

#[test]
fn rule_trees() {
    let signals = "  signals:\n    keywords: [{name: k, operator: OR, keywords: [x]}]\n    complexity: [{name: c, threshold: 0.1, hard: {candidates: [x]}}]\n    role_bindings: [{name: b, role: r, subjects: [{kind: user, name: u}]}]\n    classifiers: [{name: l, type: local, model_path: p, labels: [A, B]}]\n  decisions:\n";
    let prefix = |tree: &str| format!("{signals}    - {{name: d, rules: {tree}}}\n");
    for (tree, expected) in TREES {
        check_policy(&prefix(tree), expected);
    }
}

/// A family with its rules, and what is wrong with them.
const SIGNALS: &[(&str, &[&str])] = &[
    (
        "keywords: [{name: a, operator: or, keywords: [x]}]",
        &["9 error in upper case"],
    ),
    (
        "keywords: [{name: a, operator: OR, method: fuzzy, fuzzy_threshold: 82, keywords: [x]}]",
        &["9 warning write `fuzzy_threshold: 2`"],
    ),
    (
        "keywords: [{name: a, operator: OR, method: bm52, keywords: [x]}]",
        &["9 warning `bm52` is no method"],
    ),
    (
        "keywords: [{name: a, operator: OR, fuzzy_match: true, fuzzy_threshold: 9, keywords: [short]}]",
        &["9 warning edit distance"],
    ),
    (
        "keywords: [{name: a, operator: OR, keywords: [привет, C++, 数据, user]}]",
        &[
            "9 note outside ASCII",
            "9 note `C++` begins or ends with a sign",
        ],
    ),
    (
        "keywords: [{name: a, operator: OR}]",
        &["9 warning no keywords"],
    ),
    (
        "keywords: [{name: a, operator: OR, method: ngram, ngram_arity: 1, keywords: [x]}]",
        &["9 warning the least arity is 2"],
    ),
    (
        "language: [{name: EN}, {name: no}]",
        &["9 warning no ISO-639-1 code", "9 warning `nb` or `nn`"],
    ),
    (
        "context: [{name: a, min_tokens: 1K}]",
        &["9 warning `max_tokens` is omitted"],
    ),
    (
        "context: [{name: a, min_tokens: 2K, max_tokens: 1.5K}]",
        &["9 error exceeds"],
    ),
    (
        "context: [{name: a, min_tokens: 2KB, max_tokens: 1M}]",
        &["9 error no token count"],
    ),
    (
        "context: [{name: a, min_tokens: -5, max_tokens: 1M}]",
        &["9 error no token count"],
    ),
    (
        "context: [{name: a, min_tokens: 32 K, max_tokens: 1M}]",
        &["9 note the output that a client asks for counts too"],
    ),
    (
        "context: [{name: a, min_tokens: 32 K, max_tokens: 1M, count: prompt}]",
        &[],
    ),
    ("context: [{name: a, min_tokens: 65K, max_tokens: 1M}]", &[]),
    (
        "keywords: [{name: a, operator: OR, method: regex, keywords: ['(?=x)']}]",
        &["9 error pattern `(?=x)`"],
    ),
    (
        "structure: [{name: a, feature: {type: Count, source: {type: ' Text_Bytes '}}}]",
        &[],
    ),
    (
        "structure: [{name: a, feature: {type: exists, source: {type: regex, pattern: x}}, predicate: {gt: 1}}]",
        &["9 error `exists` takes no predicate"],
    ),
    (
        "structure: [{name: a, feature: {type: density, source: {type: text_bytes}}}]",
        &["9 error cannot be read from"],
    ),
    (
        "structure: [{name: a, feature: {type: count, source: {type: regex}}, predicate: {gt: 1, gte: 1}}]",
        &["9 error needs `pattern`", "9 error exclude each other"],
    ),
    (
        "structure: [{name: a, feature: {type: count, source: {type: text_bytes}}, predicate: {}}]",
        &["9 error at least one of"],
    ),
    (
        "conversation: [{name: a, feature: {type: count, source: {type: message, role: users}}}]",
        &["9 error did you mean `user`?", "9 warning always matches"],
    ),
    (
        "conversation: [{name: a, feature: {type: count, source: {type: message, role: developer}}, predicate: {gte: 2}}]",
        &["9 warning count 1 at most"],
    ),
    (
        "events: [{name: a, severities: [urgent]}]",
        &["9 warning `urgent` is no severity"],
    ),
    ("events: [{name: a}]", &["9 warning no criterion"]),
    (
        "metadata: [{name: a, key: k, predicate: {equals: x, exists: true}}]",
        &["9 error exactly one of"],
    ),
    (
        "metadata: [{name: a, predicate: {equals: x}}]",
        &["9 error `key` is missing"],
    ),
    (
        "role_bindings: [{name: a, role: r, subjects: [{kind: Robot, name: x}]}, {name: a, role: r, subjects: []}]",
        &[
            "9 error `Robot` is not known here; known: User, Group",
            "9 error is empty, so nobody",
            "9 error already the name",
        ],
    ),
    ("pii: [{name: a}]", &["9 note `threshold` is omitted"]),
    (
        "embeddings: [{name: a, threshold: 0.7}]",
        &["9 warning no candidates"],
    ),
    (
        "embeddings: [{name: a, query_modality: image, candidates: [x]}]",
        &["9 warning no encoder of images"],
    ),
    (
        "complexity: [{name: a, hard: {candidates: [x], image_candidates: [y]}}]",
        &["9 warning have no effect"],
    ),
    (
        "preferences: [{name: a}]",
        &["9 warning neither description nor examples"],
    ),
    (
        "modality: [{name: AR}]",
        &["9 warning nothing is emitted unless"],
    ),
    (
        "jailbreak: [{name: a, method: contrastive, jailbreak_patterns: [x]}]",
        &["9 warning every request matches"],
    ),
    (
        "modality: [{name: AUDIO}]",
        &[
            "9 warning `AUDIO` is not a label",
            "9 warning nothing is emitted unless",
        ],
    ),
    (
        "kb: [{name: a, kb: b}]",
        &["9 error no knowledge base is called `b`"],
    ),
    (
        "domains: [{name: a, mmlu_categories: [law]}, {name: b, mmlu_categories: [law]}]",
        &["9 warning takes `law` away from the domain `a`"],
    ),
];

#[test]
fn heuristic_signals() {
    for (rule, expected) in SIGNALS {
        check_policy(&format!("  signals:\n    {rule}\n"), expected);
    }
    let used = "  signals:\n    keywords: [{name: a, operator: OR, method: fuzzy, keywords: [x]}]\n  decisions: [{name: d, rules: {type: keyword, name: a}}]\n";
    check_policy(used, &["9 error drop `method`"]);
}

#[test]
fn projections() {
    let check = |body: &str, expected: &[&str]| {
        let signals = "  signals:\n    context: [{name: c, min_tokens: 1, max_tokens: 9}]\n    domains: [{name: law}, {name: math}]\n  projections:\n";
        check_policy(&format!("{signals}    {body}\n"), expected);
    };
    check(
        "partitions: [{name: p, semantics: softmax_exclusive, members: [law, c], default: math}]",
        &[
            "12 error needs a temperature",
            "12 error no domain or embedding rule is called `c`",
            "12 error `math` is no member",
        ],
    );
    check(
        "scores: [{name: s, method: weighted_sum, inputs: [{type: context, name: x, weight: 1}, {type: projection, name: s, weight: 1}, {type: authz, name: r, weight: 1}]}]",
        &[
            "12 error no context signal is called `x`",
            "12 error the score `s` depends on itself",
            "12 error no authz signal is called `r`",
            "12 warning `authz` counts as not matched",
            "11 warning nothing is computed",
        ],
    );
    check(
        "{scores: [{name: s, method: weighted_sum, inputs: [{type: context, name: c, weight: 1}]}], mappings: [{name: m, source: t, method: bands, outputs: [{name: o}, {name: o, lt: 1}]}]}",
        &[
            "12 error no score is called `t`",
            "12 error `threshold_bands` or `multi_emit`",
            "12 error at least one of",
            "12 error `o` is already an output of `m`",
        ],
    );
}

/// An algorithm of a decision with two candidates, and what nothing reads of it.
const ALGORITHMS: &[(&str, &[&str])] = &[
    ("{type: weighted}", &[]),
    (
        "{type: automix, automix: {cost_quality_tradeoff: 0.3}}",
        &["9 warning only `cost_quality_tradeoff` is read here"],
    ),
    (
        "{type: automix, automix: {max_escalations: 2}}",
        &["9 warning nothing is read here"],
    ),
    (
        "{type: multi_factor, multi_factor: {latency_percentile: 101, weights: {quality: -1, cost: 1}}}",
        &["9 warning counts as 95", "9 warning counts as 0"],
    ),
    (
        "{type: multi_factor, multi_factor: {weights: {}}}",
        &["9 warning no weight is above 0"],
    ),
    (
        "{type: multi_factor, multi_factor: {weights: {energy: 1}}}",
        &[],
    ),
    (
        "{type: hybrid, hybrid: {experience_weight: 0.5, quality_gap_threshold: 0.1, normalize_scores: false}}",
        &[
            "9 warning experience_weight",
            "9 warning quality_gap_threshold",
            "9 warning cannot be switched off",
        ],
    ),
    (
        "{type: router_dc, router_dc: {min_similarity: 0.5, dimension_size: 384, use_query_contrastive: true}}",
        &[
            "9 warning global.router.model_selection.router_dc` only",
            "9 warning dimension_size: has no effect",
            "9 warning use_query_contrastive: has no effect",
            "9 warning cannot choose what has no `description` on its card: small, small",
        ],
    ),
    ("{type: knn}", &["9 warning `knn` is not trained"]),
    (
        "{type: mlp}",
        &["9 warning `global.router.model_selection.ml.mlp.pretrained_path` is missing"],
    ),
];

#[test]
fn parameters_of_algorithms() {
    for (algorithm, expected) in ALGORITHMS {
        let twice = "9 warning is a candidate already";
        let candidates = "modelRefs: [{model: small}, {model: small}]";
        let expected: Vec<&str> = expected.iter().copied().chain([twice]).collect();
        check_policy(
            &format!("  decisions:\n    - {{name: d, {candidates}, algorithm: {algorithm}}}\n"),
            &expected,
        );
    }
    let dc = "modelRefs: [{model: small}], algorithm: {type: router_dc, router_dc: {use_capabilities: true}}";
    check_policy(
        &format!("  decisions:\n    - {{name: d, {dc}}}\n    - {{name: e, {dc}}}\n"),
        &["10 warning the block of the decision `d` holds for the whole recipe"],
    );
}

#[test]
fn parameters_of_the_whole_process() {
    check_policy(
        "global: {router: {model_selection: {method: knn, enabled: true, momentum: {enabled: true}}}}\n",
        &[
            "8 warning method: has no effect",
            "8 warning enabled: has no effect",
            "8 warning momentum: has no effect",
        ],
    );
    check_policy(
        "global: {router: {model_selection: {automix: {max_escalations: 2, discount_factor: 0.9, cost_quality_tradeoff: 0.4}}}}\n",
        &[
            "8 warning max_escalations: has no effect",
            "8 warning discount_factor: has no effect",
            "8 warning is read with `cost_aware_routing: true` only",
        ],
    );
    check_policy(
        "global: {router: {model_selection: {ml: {models_path: m, embedding_dim: 384, svm: {kernel: rbf, pretrained_path: s}}}}}\n",
        &[
            "8 warning models_path: has no effect",
            "8 warning embedding_dim: has no effect",
            "8 warning svm.kernel: has no effect",
        ],
    );
}

/// A decision, and what is wrong with it.
const DECISIONS: &[(&str, &[&str])] = &[
    (
        "{name: d, modelRefs: [{model: smal}]}",
        &["9 error did you mean `small`?"],
    ),
    (
        "{name: d, modelRefs: [{model: small, lora_name: x, use_reasoning: true}]}",
        &[
            "9 warning lists no adapter",
            "9 warning no `reasoning_family`",
        ],
    ),
    (
        "{name: d, modelRefs: [{model: small}, {model: small}]}",
        &["9 warning is a candidate already"],
    ),
    (
        "{name: d, algorithm: {type: static, ratings: {}}}",
        &["9 warning is not read: the algorithm is `static`"],
    ),
    (
        "{name: d, plugins: [{type: header_mutation, configuration: {add: [{name: X-Selected-Model, value: x}], delete: ['a b']}}]}",
        &[
            "9 warning overrides the routing header",
            "9 error `a b` is no header name",
        ],
    ),
    (
        "{name: d, plugins: [{type: fast_response}]}",
        &["9 warning `message` is empty"],
    ),
    (
        "{name: d, plugins: [{type: request_params, configuration: {blocked_params: [model]}}]}",
        &["9 error no backend takes a request without `model`"],
    ),
    (
        "{name: d, plugins: [{type: tool_selection, configuration: {enabled: false, mode: filter, top_k: 3}}]}",
        &["9 error belong to `mode: add`"],
    ),
    (
        "{name: d, plugins: [{type: memory}]}",
        &[
            "9 warning the plugin `memory` is not run: nothing is brought back from earlier conversations",
        ],
    ),
    (
        "{name: d, plugins: [{type: memory, configuration: {enabled: false}}]}",
        &["9 note the plugin `memory` is not run, and no request can reach it"],
    ),
    (
        "{name: d, plugins: [{type: response_jailbreak, configuration: {action: block}}]}",
        &[
            "9 error is not run, and answers would not be blocked, so this document is not served: let the client or another filter check answers, and set `action: header`",
        ],
    ),
    (
        "{name: d, plugins: [{type: response_jailbreak, configuration: {action: header}}]}",
        &[
            "9 warning the plugin `response_jailbreak` is not run: answers are not checked (`x-merit-degraded: plugin=response_jailbreak_not_run`)",
        ],
    ),
    (
        "{name: d, plugins: [{type: tools, configuration: {mode: none}}]}",
        &[
            "9 error is not run, and tools would not be filtered, so this document is not served: let clients send the allowed tools alone",
        ],
    ),
    (
        "{name: d, plugins: [{type: tools, configuration: {block_tools: [shell]}}]}",
        &["9 error is not run, and tools would not be filtered"],
    ),
    (
        "{name: d, plugins: [{type: tools, configuration: {mode: passthrough}}]}",
        &["9 warning the plugin `tools` is not run: requests keep the tools that they bring"],
    ),
    (
        "{name: d, plugins: [{type: rag, configuration: {backend_config: {of_another: {kind: [x]}}}}]}",
        &[
            "9 warning the plugin `rag` is not run: no documents are added (`x-merit-degraded: plugin=rag_not_run`)",
        ],
    ),
    (
        "{name: d, plugins: [{type: rag, configuration: {on_failure: block}}]}",
        &[
            "9 warning the plugin `rag` is not run: no documents are added, and requests are answered without them, which `on_failure: block` would refuse",
        ],
    ),
    (
        "{name: d, algorithm: {type: latency_aware, latency_aware: {tpot_percentile: 101}}}",
        &["9 error from 1 to 100"],
    ),
    (
        "{name: d, algorithm: {type: ratings}}",
        &["9 warning `ratings` is not run: the first capable candidate"],
    ),
    (
        "{name: d, algorithm: {type: confidence, confidence: {confidence_method: automix_entailment}}}",
        &["9 warning `automix_entailment` is not run"],
    ),
    (
        "{name: d, algorithm: {type: confidence, confidence: {threshold: -1}}}",
        &[
            "9 warning counts as 0.67",
            "9 note is run where the gateway sends bodies in full duplex",
        ],
    ),
    (
        "{name: d, algorithm: {type: confidence, confidence: {confidence_method: margin, threshold: 2}}}",
        &["9 warning no confidence reaches", "9 note is run where"],
    ),
    (
        "{name: d, tier: 1}\n    - {name: e}",
        &["8 warning some have none"],
    ),
];

#[test]
fn decisions_and_plugins() {
    for (decision, expected) in DECISIONS {
        check_policy(&format!("  decisions:\n    - {decision}\n"), expected);
    }
    super::expect(
        "",
        &check(
            "version: v0.3\nrouting:\n  decisions:\n    - {name: d}\n",
            &environment,
        )
        .problems,
        &["4 error nothing can be chosen"],
    );
}

/// Modules that leave rules without effect.
#[test]
fn learned_signals_and_their_modules() {
    let check = |rule: &str, modules: &str, expected: &[&str]| {
        let tail = format!("global: {{model_catalog: {{modules: {{{modules}}}}}}}\n");
        check_policy(&format!("  signals:\n    {rule}\n{tail}"), expected);
    };
    let pii = "pii: [{name: a, threshold: 0.5}]";
    check(
        pii,
        "classifier: {pii: {enabled: false}}",
        &["9 warning is off"],
    );
    check(
        pii,
        "classifier: {pii: {on_error: allow}}",
        &["9 note lets pass what could not be read"],
    );
    check(pii, "classifier: {pii: {on_error: block}}", &[]);
    let jailbreak = "jailbreak: [{name: a, threshold: 0.5}]";
    check(
        jailbreak,
        "prompt_guard: {enabled: false}",
        &["9 warning is off"],
    );
    check(
        "modality: [{name: AR}]",
        "modality_detector: {enabled: true}",
        &[],
    );
    check(
        "domains: [{name: law}]",
        "classifier: {mcp: {enabled: true}}",
        &["9 note not asked"],
    );
    let margin = "classifier: {preference: {prototype_scoring: {margin_threshold: 0.1}}}";
    check(
        "preferences: [{name: a, description: x}]",
        margin,
        &["9 warning there is no second rule"],
    );
    check(
        "preferences: [{name: a, description: x}, {name: b, description: y}]",
        margin,
        &[],
    );
}

/// What no model name leads to may ask for anything.
#[test]
fn unreachable_recipes_are_served() {
    let recipe = "  decisions:\n    - {name: d, modelRefs: [{model: small}], plugins: [{type: memory, configuration: {enabled: true}}]}\n";
    let reach = |tail: &str| -> Vec<bool> {
        let loaded = load(&policy(&format!("{recipe}{tail}")), &environment);
        unimplemented(&loaded.document.unwrap())
            .into_iter()
            .map(|missing| missing.consequence.is_some())
            .collect()
    };
    assert_eq!(reach(""), [true]);
    assert_eq!(reach("global: {router: {auto_model_names: []}}\n"), [false]);
    let entry = "entrypoints: [{model_names: [x], recipe: default}]\nglobal: {router: {auto_model_names: []}}\n";
    assert_eq!(reach(entry), [true]);
}

#[test]
fn documents_answer_what_routing_asks() {
    let read = |yaml: &str| load(yaml, &environment).document.unwrap();
    let document = read(
        "entrypoints: [{model_names: [' fast '], recipe: cheap}]\nrecipes: [{name: cheap}]\nproviders: {models: [{name: big, pricing: {prompt_per_1m: 2}}]}\nrouting: {modelCards: [{name: big, loras: [{name: tuned}]}]}\n",
    );
    assert_eq!(
        document.price("tuned").map(|price| price.prompt_per_1m),
        Some(2.0)
    );
    assert_eq!(document.price("other"), None);
    assert!(
        document.recipe("cheap").is_some()
            && document.recipe("default").is_some()
            && document.recipe("x").is_none()
    );
    let none = read("global: {router: {auto_model_names: []}}\n");
    assert!(none.auto_model_names().is_empty());
    let renamed = read(
        "global: {router: {auto_model_names: [mine, ' mine ']}, integrations: {looper: {fusion: {model_names: [panel]}}}}\n",
    );
    assert_eq!(renamed.auto_model_names(), ["mine"]);
    let names = renamed.looper_names();
    assert!(names.contains(&("panel".to_owned(), "fusion")));
    assert!(names.iter().all(|(name, _)| name != "vllm-sr/fusion"));
    assert!(!validate(&Document::default()).is_empty());
}

/// Settings of the pool, and what is wrong with them.
const POOLS: &[(&str, &[&str])] = &[
    ("{}", &[]),
    ("{rest_after_errors: 0, rest_seconds: 0}", &[]),
    ("{samples: 0}", &["error global.server.pool.samples"]),
    (
        "{scrape_interval_ms: 9}",
        &["error global.server.pool.scrape_interval_ms"],
    ),
    (
        "{rest_seconds: 0}",
        &["error global.server.pool.rest_seconds"],
    ),
    (
        "{rest_seconds: 500}",
        &["warning global.server.pool.rest_max_seconds"],
    ),
    ("{scrape: [{model: a, url: 'http://h:1/metrics'}]}", &[]),
    (
        "{scrape: [{model: x, url: 'http://h'}]}",
        &["error global.server.pool.scrape[0].model"],
    ),
    (
        "{scrape: [{url: 'h:1'}]}",
        &[
            "error global.server.pool.scrape[0]",
            "error global.server.pool.scrape[0].url",
        ],
    ),
];

/// Lines under `global.server`, an algorithm, and how its sources are judged.
const SOURCES: &[(&str, &str, &[&str])] = &[
    ("", "{type: static}", &[]),
    (
        "profile: observe",
        "{type: latency_aware, latency_aware: {tpot_percentile: 90, ttft_percentile: 90}}",
        &[],
    ),
    (
        "",
        "{type: latency_aware, latency_aware: {tpot_percentile: 90, ttft_percentile: 90}}",
        &[
            "warning latency_aware.tpot_percentile",
            "warning latency_aware.ttft_percentile",
        ],
    ),
    (
        "profile: route, pool: {access_log: true}",
        "{type: latency_aware, latency_aware: {tpot_percentile: 90, ttft_percentile: 90}}",
        &["error latency_aware.tpot_percentile"],
    ),
    (
        "profile: route, pool: {scrape: [{model: b, url: 'http://h'}]}",
        "{type: latency_aware, latency_aware: {tpot_percentile: 90}}",
        &[],
    ),
    (
        "profile: route, pool: {scrape: [{model: other, url: 'http://h'}]}",
        "{type: latency_aware, latency_aware: {ttft_percentile: 90}}",
        &["error latency_aware.ttft_percentile"],
    ),
    (
        "profile: route",
        "{type: multi_factor}",
        &[
            "warning multi_factor.weights",
            "warning multi_factor.weights",
        ],
    ),
    (
        "profile: route",
        "{type: multi_factor, multi_factor: {weights: {quality: 1, cost: 1}}}",
        &[],
    ),
    (
        "profile: route",
        "{type: multi_factor, multi_factor: {weights: {load: 1}, slo: {max_inflight: 3}}}",
        &[
            "error multi_factor.weights",
            "error multi_factor.slo.max_inflight",
        ],
    ),
    (
        "pool: {access_log: true}",
        "{type: multi_factor, multi_factor: {slo: {max_ttft_ms: 3}}}",
        &[],
    ),
    (
        "pool: {access_log: true}",
        "{type: multi_factor, multi_factor: {weights: {}, slo: {max_tpot_ms: 3}}}",
        &[
            "warning multi_factor.slo.max_tpot_ms",
            "warning multi_factor.weights",
        ],
    ),
];

fn judged(server: &str, algorithm: &str, prefix: &str) -> Vec<String> {
    let text = format!(
        "{{version: v0.3, providers: {{models: [{{name: a}}, {{name: b}}, {{name: other}}]}}, \
         routing: {{decisions: [{{name: d, algorithm: {algorithm}, modelRefs: [{{model: a}}, {{model: b}}]}}]}}, \
         global: {{server: {{{server}}}}}}}"
    );
    let problems = validate(&load(&text, &environment).document.unwrap());
    let judge = |it: &document::Problem| {
        let path = it.path.strip_prefix(prefix)?;
        Some(format!(
            "{} {}",
            format!("{:?}", it.severity).to_lowercase(),
            path
        ))
    };
    problems.iter().filter_map(judge).collect()
}

#[test]
fn settings_of_the_pool() {
    for (pool, expected) in POOLS {
        let found = judged(&format!("pool: {pool}"), "{type: static}", "");
        let found: Vec<_> = found
            .iter()
            .filter(|it| it.contains("global.server.pool"))
            .collect();
        assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{pool}");
    }
}

#[test]
fn algorithms_that_measure_need_a_source() {
    for (server, algorithm, expected) in SOURCES {
        assert_eq!(
            judged(server, algorithm, "routing.decisions[0].algorithm."),
            *expected,
            "{server} {algorithm}"
        );
    }
}
