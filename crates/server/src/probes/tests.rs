//! Both forms of probes, and what is said of those that fail.

use super::*;
use crate::cli::LogFormat;

fn probes(text: &str) -> Vec<Probe> {
    Probes::read(text)
        .unwrap_or_else(|error| panic!("{error:#}"))
        .probes
}

fn said() -> Value {
    json!({
        "recipe": "default",
        "decision_result": {
            "decision_name": "hard",
            "algorithm": "static",
            "plugins": ["tools", "response_cache"],
            "matched_signals": {"keywords": ["deep"], "projections": ["band"]},
        },
        "recommended_models": ["large", "larger"],
        "selected_model": "large",
        "selection_status": "selected",
        "signal_values": {"structure:questions": 2.0},
        "signal_errors": {"embedding:e": "no model"},
    })
}

#[test]
fn own_form() {
    let check = |text: &str, request: Value, faults: &[&str]| {
        let probe = probes(text).remove(0);
        assert_eq!(Value::Object(probe.request.clone()), request);
        let got = probe.faults(&said()).into_iter();
        let got: Vec<String> = got
            .map(|it| format!("{}: {} not {}", it.what, it.got, it.expected))
            .collect();
        assert_eq!(got, faults);
    };
    let chat = |text| json!({"model": "auto", "messages": [{"role": "user", "content": text}]});
    check(
        "- {name: p, text: 'a ', repeat: 2, expect: {decision: hard, model: large, recipe: default}}",
        chat("a a "),
        &[],
    );
    check(
        "- {name: p, text: a, expect: {decision: rest, refused: limit}}",
        chat("a"),
        &["decision: hard not rest", "refused:  not limit"],
    );
    check(
        "- {name: p, request: {text: a}, expect: {status: selected}}",
        json!({"text": "a"}),
        &[],
    );
    for wrong in [
        "",
        "[]",
        "- {name: p, text: a, expect: {}}",
        "- {name: p, expect: {}}",
        "- {name: p, text: a, request: {text: a}, expect: {}}",
        "- {name: p, text: a, expect: {colour: blue}}",
        "- {name: p, text: a, expected: {}}",
        "5",
    ] {
        assert!(Probes::read(wrong).is_err(), "{wrong}");
    }
}

const IMAGE: &str = "fixtures:\n  images:\n    dot:\n      description: a dot\n      media_type: image/png\n      data_base64: AAEC\n      sha256: sha256:ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc\n";

#[test]
fn requests_of_the_references_form() {
    let check = |variant: &str, request: Value| {
        let text = format!(
            "{IMAGE}decisions:\n  - id: g\n    expected_decision: hard\n    model: auto\n    variants:\n      - {variant}\n"
        );
        assert_eq!(
            Value::Object(probes(&text)[0].request.clone()),
            request,
            "{variant}"
        );
    };
    let text = |text: &str| json!({"model": "auto", "text": text});
    check("{id: a, query: q}", text("q"));
    check("{id: a, query: ' q ', repeat: 2}", text("q\nq"));
    check(
        "{id: a, query: q, padding: {text: p, repeat: 3}}",
        text("p\np\np\nq"),
    );
    check(
        "{id: a, query: q, padding: {text: p, placement: after}}",
        text("q\np"),
    );
    check(
        "{id: a, query: q, padding: {text: p, repeat: 3, placement: around}}",
        text("p\nq\np\np"),
    );
    check(
        "{id: a, query: q, tools: [{type: function}], tool_choice: auto}",
        json!({"model": "auto", "text": "q", "tools": [{"type": "function"}], "tool_choice": "auto"}),
    );
    check(
        "{id: a, messages: [{role: user, content: [{type: text, text: abc}, {type: image_fixture, fixture: dot}]}], generated_text: {message_index: 0, content_index: 1, target_text_bytes: 8, text: xy}}",
        json!({"model": "auto", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "abc"},
            {"type": "text", "text": "xyxyx"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAEC"}},
        ]}]}),
    );
}

#[test]
fn files_of_the_references_form_that_are_refused() {
    let group =
        |variant: &str| format!("decisions:\n  - id: g\n    variants:\n      - {variant}\n");
    for (text, words) in [
        (group("{id: a}"), "either query or messages"),
        (
            group("{id: a, query: q, messages: []}"),
            "either query or messages",
        ),
        (group("{id: a, query: q, colour: blue}"), "colour"),
        (
            group("{id: a, messages: [{content: [{type: image_fixture, fixture: x}]}]}"),
            "no fixture",
        ),
        (
            group(
                "{id: a, messages: [{content: hi}], generated_text: {message_index: 0, content_index: 0, target_text_bytes: 5}}",
            ),
            "list of parts",
        ),
        (
            format!(
                "{}{}",
                IMAGE.replace("AAEC", "AAED"),
                group("{id: a, query: q}")
            ),
            "sha256",
        ),
        (group("{id: a, query: q, repeat: 99999999999}"), "more than"),
    ] {
        let error = Probes::read(&text).unwrap_err();
        assert!(format!("{error:#}").contains(words), "{error:#}");
    }
}

#[test]
fn expectations_of_the_references_form() {
    let check = |group: &str, variant: &str, faults: &[&str]| {
        let text = format!(
            "decisions:\n  - id: hard\n{group}    variants:\n      - {{id: a, query: q{variant}}}\n"
        );
        let got = probes(&text)[0].faults(&said()).into_iter();
        let got: Vec<String> = got
            .map(|it| format!("{}: {}", it.what, it.expected))
            .collect();
        assert_eq!(got, faults, "{group}{variant}");
    };
    check("", "", &[]);
    check("    expected_decision: rest\n", "", &["decision: rest"]);
    check(
        "    expected_recipe: default\n    expected_algorithm: static\n",
        "",
        &[],
    );
    check("    expected_algorithm: knn\n", "", &["algorithm: knn"]);
    check("    expected_alias: larger\n", "", &[]);
    check("    expected_alias: small\n", "", &["model: small"]);
    check("    expected_selection_status: selected\n", "", &[]);
    check(
        "    expected_selection_status: selected\n",
        ", expected_selection_status: unavailable",
        &["selection_status: unavailable"],
    );
    check(
        "    expected_plugins: [semantic-cache]\n    forbidden_plugins: [rag]\n",
        "",
        &[],
    );
    check(
        "    forbidden_plugins: [tools]\n",
        "",
        &["plugins: no tools"],
    );
    check(
        "    expected_plugins: [tools]\n    plugin_match: exact\n",
        "",
        &["plugins: no others"],
    );
    check("    expected_signals: {keywords: [deep]}\n", "", &[]);
    check(
        "    expected_signals: {keywords: [deep]}\n",
        ", expected_signals: {keywords: [shallow]}",
        &["signals: keywords:shallow"],
    );
    check(
        "    forbidden_signals: {keywords: [deep]}\n",
        "",
        &["signals: no keywords:deep"],
    );
    check(
        "    expected_signals: {keywords: [deep]}\n    signal_match: exact\n",
        "",
        &["signals: no others"],
    );
    let values = "    expected_signal_values: {'structure:questions': {gte: 2, lte: 2}}\n";
    check(values, "", &[]);
    check(values, ", expected_signal_values: {}", &[]);
    check(
        "    expected_signal_values: {'structure:questions': {gte: 3}, 'embedding:e': {lte: 1}, 'x:y': {gte: 0}}\n",
        "",
        &[
            "value of embedding:e: 1 or less",
            "value of structure:questions: 3 or more",
            "value of x:y: 0 or more",
        ],
    );
}

#[test]
fn a_file_says_how_many_must_pass() {
    let check = |head: &str, accepted: bool, last: &str| {
        let text = format!(
            "{head}decisions:\n  - id: hard\n    robustness: {{min_pass_rate: 50}}\n    variants: [{{id: a, query: q, tags: [stress:long]}}, {{id: b, query: q, expected_signals: {{keywords: [none]}}}}]\n"
        );
        let read = Probes::read(&text).unwrap();
        let report = read.evaluate(Path::new("p.yaml"), |_| Ok(said()));
        assert_eq!(report.is_accepted(), accepted, "{head}");
        let text = report::written(&[report], LogFormat::Text).unwrap();
        assert!(text.ends_with("p.yaml: 1 passed, 1 failed"), "{text}");
        assert!(text.contains(last), "{text}");
    };
    let fault = "failed  hard:b\n        signals: expected keywords:none, got keywords:deep, projections:band\n        no answer of embedding:e: no model";
    check("", false, fault);
    check("", false, "missed  probes: 50.0 % pass, 100 % must");
    check("acceptance: {min_probe_pass_rate: 50}\n", true, fault);
    check(
        "acceptance: {min_probe_pass_rate: 50}\ncoverage: {min_tag_counts: {stress: 2}, min_tag_pass_rate: {stress: 100}}\n",
        false,
        "probes of stress: 1 are there, 2 must",
    );
}

#[test]
fn what_is_not_evaluated_fails() {
    let read = Probes::read("- {name: p, text: a, expect: {decision: d}}").unwrap();
    let report = read.evaluate(Path::new("p.yaml"), |_| Err("no".to_owned()));
    assert!(!report.is_accepted());
    let json = report::written(&[report], LogFormat::Json).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["failed"], 1);
    assert_eq!(json[0]["probes"][0]["faults"][0]["got"], "no");
}
