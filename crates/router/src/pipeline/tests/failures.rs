//! Decisions that a failed signal leaves open: nobody answers the guard here.

use super::*;

/// A policy whose decision `guarded` has these rules; `first` matches in any case, and has a higher
/// priority.
fn policy(rules: &str, boundaries: &str) -> String {
    format!(
        r#"
version: v0.3
providers:
  defaults: {{model: small}}
  models:
    - {{name: small, backend_refs: [{{endpoint: "127.0.0.1:8000"}}]}}
    - {{name: large, backend_refs: [{{endpoint: "127.0.0.1:8001"}}]}}
routing:
  signals:
    keywords: [{{name: word, operator: OR, keywords: [prove]}}]
    jailbreak: [{{name: j, threshold: 0.5, scan: [current, history, system, tool_results, definitions, metadata]}}]
  boundaries: {boundaries}
  decisions:
    - {{name: first, priority: 999, rules: {{type: keyword, name: word}}, modelRefs: [{{model: small}}]}}
    - {{name: guarded, priority: 1, rules: {rules}, modelRefs: [{{model: large}}]}}
"#
    )
}

/// What becomes of a request: status or model, and the header that names the decision.
#[track_caller]
fn check(rules: &str, boundaries: &str, text: &str, expected: &str) {
    let generation = generation(&policy(rules, boundaries));
    let plan = plan(&generation, "", Dialect::OpenAiChat, &chat("auto", text));
    let (what, refused) = match &plan.outcome {
        Outcome::Forward(forward) => (forward.model().to_string(), String::new()),
        Outcome::Refuse(refusal) => (
            refusal.status.to_string(),
            format!(" {}", refusal.code.unwrap_or("-")),
        ),
        other => (format!("{other:?}"), String::new()),
    };
    let applied = plan.trace.applied_unknown();
    let applied = applied.map_or_else(|| "-".to_owned(), |(_, value)| value);
    assert_eq!(format!("{what}{refused} {applied}"), expected, "{rules}");
}

#[test]
fn a_failed_signal_decides_as_the_document_says() {
    let not = |policy: &str| {
        format!(
            "{{operator: NOT, on_unknown: {policy}, conditions: [{{type: jailbreak, name: j}}]}}"
        )
    };
    // The whole request fails, even where another decision would win.
    let fails = "503 DECISION_UNRESOLVED guarded=fail_request";
    check(&not("fail_request"), "[]", "prove it", fails);
    check(&not("fail_request"), "[]", "hello", fails);
    check(&not("no_match"), "[]", "hello", "small guarded=no_match");
    check(&not("match"), "[]", "hello", "large guarded=match");
    // What the winner does not hang on is not asked, so nothing is known to have failed.
    check(&not("match"), "[]", "prove it", "small -");
    // Other leaves settle the tree.
    let and = "{operator: AND, on_unknown: fail_request, conditions: [{type: keyword, name: word}, {type: jailbreak, name: j}]}";
    check(and, "[]", "hello", "small -");
    check(and, "[]", "prove it", fails);
}

/// A boundary holds where the guard is down, whatever the decisions say of that.
#[test]
fn boundaries_stand_above() {
    let boundary = "[{name: safe, when: {type: jailbreak, name: j}, allow: {models: [small]}}]";
    for policy in ["match", "no_match"] {
        let rules = format!("{{type: jailbreak, name: j, on_unknown: {policy}}}");
        let expected = match policy {
            "match" => "403 - guarded=match",
            _ => "small guarded=no_match",
        };
        check(&rules, boundary, "hello", expected);
    }
}

/// No model reads turns for safety, so a rule on it is never known.
#[test]
fn safety_is_unknown() {
    let with = |rules: &str| {
        policy(rules, "[]").replace(
            "  signals:\n",
            "  signals:\n    safety: [{name: u, threshold: 0.5}]\n",
        )
    };
    let and = |on_unknown: &str| {
        with(&format!(
            "{{operator: AND, on_unknown: {on_unknown}, conditions: [{{type: safety, name: u}}, {{type: keyword, name: word}}]}}"
        ))
    };
    #[track_caller]
    fn check(policy: &str, text: &str, expected: &str) {
        let policy = policy.replace("name: first, priority: 999", "name: first, priority: 0");
        let generation = generation(&policy);
        let plan = plan(&generation, "", Dialect::OpenAiChat, &chat("auto", text));
        let what = match &plan.outcome {
            Outcome::Forward(forward) => forward.model().to_string(),
            Outcome::Refuse(refusal) => refusal.status.to_string(),
            other => format!("{other:?}"),
        };
        let applied = plan.trace.applied_unknown();
        let applied = applied.map_or_else(|| "-".to_owned(), |(_, value)| value);
        let degraded = plan.trace.degraded.join(",");
        assert_eq!(format!("{what} {applied} {degraded}"), expected, "{policy}");
    }
    check(&and("no_match"), "hello", "small - safety=unready");
    check(
        &and("no_match"),
        "prove it",
        "small guarded=no_match safety=unready",
    );
    check(
        &and("match"),
        "prove it",
        "large guarded=match safety=unready",
    );
    check(
        &and("fail_request"),
        "prove it",
        "503 guarded=fail_request safety=unready",
    );
}
