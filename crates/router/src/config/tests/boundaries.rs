//! What contradicts a boundary, line by line.

use super::check_policy;

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
fn what_it_reads_must_not_fail_open() {
    let pii = "pii: [{name: p, threshold: 0.5, scan: [current, history, system, tool_results]}]";
    let when = |leaf: &str| format!("{{name: b, when: {leaf}, {HERE}}}");
    let modules =
        |modules: &str| format!("global: {{model_catalog: {{modules: {{{modules}}}}}}}\n");
    let on_pii = when("{type: pii, name: p}");
    check(&on_pii, pii, "", &[]);
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
