//! What contradicts a boundary, line by line.

use super::check_policy;
use inference::{recognizers, token_head};

/// A boundary on line 9, signals on line 11, and what else there is.
#[track_caller]
fn check(boundary: &str, signals: &str, rest: &str, expected: &[&str]) {
    check_policy(
        &format!("  boundaries:\n    - {boundary}\n  signals:\n    {signals}\n{rest}"),
        expected,
    );
}

const HERE: &str = "allow: {locations: [here]}";

#[test]
fn somebody_is_allowed_who_is_there() {
    check(
        "{name: b, allow: {models: [big], locations: [heer]}}",
        "{}",
        "",
        &[
            "9 error no model is called `big`",
            "9 error no model is at `heer`; did you mean `here`?",
        ],
    );
    check("{name: b}", "{}", "", &["9 error allows nobody"]);
    check(
        "{allow: {models: [small]}}",
        "{}",
        "",
        &["9 error `name` is missing"],
    );
    let twice = format!("{{name: b, {HERE}}}\n    - {{name: b, {HERE}}}");
    check(&twice, "{}", "", &["10 error `b` is already the name"]);
}

#[test]
fn its_patterns_take_any_white_space() {
    let boundary = format!("{{name: b, when: {{type: keyword, name: k}}, {HERE}}}");
    let sound: &[&str] = &["9 warning whole request"];
    let warned: &[&str] = &[
        "9 warning whole request",
        "11 warning which asks for a blank",
    ];
    for (method, pattern, expected) in [
        ("regex", "project aurora", warned),
        ("regex", r"project +aurora", warned),
        ("regex", r"project\ aurora", warned),
        ("regex", r"[a-z] b", warned),
        ("regex", r"\[ ]", warned),
        ("regex", r"project\s+aurora", sound),
        ("regex", r"project[ \t\n]aurora", sound),
        ("regex", r"project[] ]aurora", sound),
        ("regex", r"project[^ ]", sound),
        ("bm25", "project aurora", sound),
        ("", "project aurora", sound),
    ] {
        let rule = format!(
            "keywords: [{{name: k, operator: OR, method: '{method}', keywords: ['{pattern}']}}]"
        );
        check(&boundary, &rule, "", expected);
    }
    let unused = "keywords: [{name: k, operator: OR, keywords: [x]}, {name: l, operator: OR, method: regex, keywords: ['a b']}]";
    check(&boundary, unused, "", sound);
}

#[test]
fn what_it_reads_must_not_fail_open() {
    let pii = "pii: [{name: p, threshold: 0.5, scan: [current, history, system, tool_results]}]";
    let when = |leaf: &str| format!("{{name: b, when: {leaf}, {HERE}}}");
    let modules =
        |modules: &str| format!("global: {{model_catalog: {{modules: {{{modules}}}}}}}\n");
    let on_pii = when("{type: pii, name: p}");
    check(
        &on_pii,
        pii,
        "",
        &["9 note it lacks: definitions, metadata"],
    );
    let all = pii.replace("tool_results", "tool_results, definitions, metadata");
    check(&on_pii, &all, "", &[]);
    check(
        &when("{type: pii, name: q}"),
        pii,
        "",
        &[
            "9 error no pii signal is called `q`",
            "9 warning whole request",
        ],
    );
    check(
        &when("{type: pii, name: p, on_error: no_match}"),
        pii,
        "",
        &["9 error leave it out"],
    );
    check(
        &on_pii,
        pii,
        &modules("classifier: {pii: {on_error: allow}}"),
        &["9 error must not"],
    );
    let off = modules("classifier: {pii: {enabled: false}}");
    check(
        &on_pii,
        pii,
        &off,
        &["9 error would always hold", "11 warning is off"],
    );
    let jailbreak = "jailbreak: [{name: j, threshold: 0.5}]";
    let allow = modules("prompt_guard: {on_error: allow}");
    check(
        &when("{type: jailbreak, name: j}"),
        jailbreak,
        &allow,
        &["9 error must not", "9 warning whole request"],
    );
    let roles = "role_bindings: [{name: x, role: r, subjects: [{kind: User, name: u}]}]";
    let open = "global: {services: {authz: {fail_open: true}}}\n";
    check(
        &when("{type: authz, name: r}"),
        roles,
        open,
        &["9 error fail_open"],
    );
}

#[test]
fn what_it_reads_must_not_leave_first() {
    let when = format!(
        "{{name: b, when: {{type: classifier, name: c, label: x, predicate: {{gte: 0.5}}}}, {HERE}}}"
    );
    let signals = "classifiers: [{name: c, type: llm, model: judge, labels: [x, y]}]";
    let judge = |location: &str| {
        format!(
            "global: {{model_catalog: {{external: [{{name: judge, llm_endpoint: {{address: j}}{location}}}]}}}}\n"
        )
    };
    let warned = "9 warning whole request";
    check(
        &when,
        signals,
        &judge(""),
        &["9 error would see the text before", warned],
    );
    check(
        &when,
        signals,
        &judge(", location: there"),
        &["9 error would see the text before", warned],
    );
    check(&when, signals, &judge(", location: here"), &[warned]);
}

#[test]
fn nothing_goes_around_it() {
    let always = format!("{{name: b, {HERE}}}");
    let skip = "global: {router: {skip_processing: {enabled: true}}}\n";
    check(&always, "{}", skip, &["12 error around the boundaries"]);
    let keep = "global: {router: {clear_route_cache: false}}\n";
    check(&always, "{}", keep, &["12 error keep the route"]);
    let mutation =
        "[{type: header_mutation, configuration: {add: [{name: X-Selected-Model, value: x}]}}]";
    let decision = format!("  decisions: [{{name: d, plugins: {mutation}}}]\n");
    check(
        &always,
        "{}",
        &decision,
        &[
            "12 error no plugin may change it",
            "12 warning overrides the routing header",
        ],
    );
}

#[test]
fn it_can_bind() {
    let boundary = |leaf: &str| format!("{{name: b, when: {leaf}, {HERE}}}");
    let all = "scan: [current, history, system, tool_results]";
    let pii = |rest: &str| format!("pii: [{{name: p, {all}, {rest}}}]");
    let on_pii = boundary("{type: pii, name: p}");
    let types = recognizers::KINDS.into_iter().chain(token_head::KINDS);
    let types: Vec<&str> = types.filter(|kind| *kind != "AGE").collect();
    let types = types.join(", ");
    let unseen = "9 warning whole request";
    for (rest, expected) in [
        ("threshold: 1", &[] as &[&str]),
        (
            "threshold: 90",
            &["11 error not from 0 to 1; did you mean 0.9?"],
        ),
        ("threshold: -0.5", &["11 error not from 0 to 1"]),
        ("pii_types_allowed: [email_address, NRP]", &[]),
        (
            "pii_types_allowed: [EMAIL_ADRESS]",
            &["11 error `EMAIL_ADRESS`; did you mean `EMAIL_ADDRESS`?"],
        ),
        (&format!("pii_types_allowed: [{types}]"), &[]),
        (
            &format!("pii_types_allowed: [AGE, {types}]"),
            &["11 error never binds"],
        ),
    ] {
        check(&on_pii, &pii(rest), "", expected);
    }
    check(
        &on_pii,
        &pii("threshold: 0.9"),
        "global: {model_catalog: {modules: {classifier: {pii: {threshold: 9}}}}}\n",
        &["12 error not from 0 to 1"],
    );
    for (leaf, signals, expected) in [
        (
            "{type: language, name: xx}",
            "language: [{name: xx}]",
            "to be in `xx`",
        ),
        (
            "{type: language, name: fr}",
            "language: [{name: fr, threshold: 60}]",
            "did you mean 0.6?",
        ),
        (
            "{type: domain, name: d}",
            "domains: [{name: d, mmlu_categories: [maths]}]",
            "did you mean `math`?",
        ),
        (
            "{type: keyword, name: k}",
            "keywords: [{name: k, operator: OR}]",
            "never binds",
        ),
    ] {
        let yaml = format!(
            "  boundaries:\n    - {}\n  signals:\n    {signals}\n",
            boundary(leaf)
        );
        let problems = super::check(&super::policy(&yaml), &|_| None).problems;
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let is_said = |problem: &super::Problem| {
            problem.line == 11
                && problem.severity == super::Severity::Error
                && problem.message.contains(expected)
        };
        assert!(problems.iter().any(is_said), "{expected} in {shown:#?}");
    }
    let above = "{type: classifier, name: c, label: x, predicate: {gte: 50}}";
    check(
        &boundary(above),
        "classifiers: [{name: c, type: local, model_path: p, labels: [x, y]}]",
        "",
        &["9 error lie between 0 and 1", unseen],
    );
}

#[test]
fn its_decisions_can_serve() {
    let models = "providers:\n  defaults: {default_model: DEFAULT}\n  models:\n    - {name: small, location: here}\n    - {name: big, location: there}\nrouting:\n  modelCards: [{name: small}, {name: big}]\n  boundaries: [{name: b, allow: {locations: [here]}}]\n  decisions:\n";
    let problems = |default: &str, decisions: &str| -> Vec<String> {
        let yaml = format!(
            "version: v0.3\n{}{decisions}",
            models.replace("DEFAULT", default)
        );
        let found = super::check(&yaml, &|_| None).problems;
        let errors = found
            .iter()
            .filter(|problem| problem.severity == super::Severity::Error);
        errors.map(|problem| problem.message.clone()).collect()
    };
    let decision = |name: &str, model: &str| {
        format!("    - {{name: {name}, modelRefs: [{{model: {model}}}]}}\n")
    };
    let refused = problems("big", &decision("d", "big"));
    assert!(
        refused.len() == 1 && refused[0].contains("no decision has a model"),
        "{refused:?}"
    );
    let both = [decision("d", "big"), decision("e", "small")].concat();
    assert_eq!(problems("big", &both), Vec::<String>::new());
    assert_eq!(
        problems("small", &decision("d", "big")),
        Vec::<String>::new()
    );
}
