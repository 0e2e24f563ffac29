//! Jailbreak and personal data: scores, texts in scope, and the safe side of failures.

use super::*;
use inference::ask::{Entity, Failure};

/// A conversation with a text in every part.
fn conversation() -> Prompt {
    let mut prompt = says("now");
    prompt.texts.non_user = vec!["system".into()];
    prompt.texts.prior_user = vec!["before".into()];
    prompt.texts.passed_over = vec!["wrapped".into()];
    prompt.texts.tool_results = vec!["result".into()];
    prompt
}

/// Risks of texts, one row each but `now`, which has two.
fn risks(risks: &[(&str, f32)]) -> Fake {
    let all = ["now", "system", "before", "wrapped", "result"];
    let harmless = all.into_iter().fold(Fake::default(), |fake, text| {
        fake.labels("jailbreak", text, &[&[1.0, 0.0]])
    });
    risks.iter().fold(harmless, |fake, (text, risk)| {
        fake.labels("jailbreak", text, &[&[1.0, 0.0], &[1.0 - risk, *risk]])
    })
}

const GUARD: &str = "jailbreak: [{name: j, threshold: 0.8}]";

#[test]
fn risk_is_the_highest_of_all_windows() {
    check(
        &signals(GUARD),
        &risks(&[("now", 0.9)]),
        &says("now"),
        &["jailbreak:j 0.9000"],
    );
    check(
        &signals(GUARD),
        &risks(&[("now", 0.8)]),
        &says("now"),
        &["jailbreak:j 0.8000"],
    );
    check(&signals(GUARD), &risks(&[("now", 0.79)]), &says("now"), &[]);
    // Omitted: the module's threshold, else 0.7; the reference takes 0.
    let omitted = "jailbreak: [{name: j}]";
    check(
        &signals(omitted),
        &risks(&[("now", 0.69)]),
        &says("now"),
        &[],
    );
    check(
        &signals(omitted),
        &risks(&[("now", 0.7)]),
        &says("now"),
        &["jailbreak:j 0.7000"],
    );
    let module = "modules: {prompt_guard: {threshold: 0.3}}";
    check(
        &with(omitted, module),
        &risks(&[("now", 0.4)]),
        &says("now"),
        &["jailbreak:j 0.4000"],
    );
    let other = "modules: {prompt_guard: {positive_labels: [Benign]}}";
    check(
        &with(GUARD, other),
        &Fake::default().labels("jailbreak", "now", &[&[0.9, 0.1]]),
        &says("now"),
        &["jailbreak:j 0.9000"],
    );
    check(
        &with(GUARD, "modules: {prompt_guard: {enabled: false}}"),
        &risks(&[("now", 1.0)]),
        &says("now"),
        &[],
    );
    check(&signals(GUARD), &risks(&[]), &says(" "), &[]);
}

#[test]
fn rules_read_the_texts_in_their_scope() {
    let rule = |more: &str| {
        signals(&format!(
            "jailbreak: [{{name: j, threshold: 0.8, method: hybrid{more}}}]"
        ))
    };
    let (plain, history) = (rule(""), rule(", include_history: true"));
    let tools = rule(", scan: [current, tool_results]");
    let check = |yaml: &str, text: &str, matches: bool| {
        let expected: &[&str] = if matches {
            &["jailbreak:j 0.9000"]
        } else {
            &[]
        };
        super::check(yaml, &risks(&[(text, 0.9)]), &conversation(), expected);
    };
    check(&plain, "now", true);
    check(&plain, "system", false);
    check(&plain, "before", false);
    check(&plain, "result", false);
    check(&plain, "wrapped", true);
    check(&history, "system", true);
    check(&history, "before", true);
    check(&history, "result", false);
    check(&tools, "result", true);
    check(&tools, "before", false);
    // Rules with other scopes share the answers, and not each other's matches.
    let two = signals(
        "jailbreak: [{name: a, threshold: 0.8}, {name: b, threshold: 0.8, scan: [tool_results]}]",
    );
    super::check(
        &two,
        &risks(&[("result", 0.9)]),
        &conversation(),
        &["jailbreak:b 0.9000"],
    );
    super::check(
        &two,
        &risks(&[("now", 0.9)]),
        &conversation(),
        &["jailbreak:a 0.9000"],
    );
}

#[test]
fn what_was_not_read_is_on_the_safe_side() {
    let guard = |on_error: &str| {
        with(
            GUARD,
            &format!("modules: {{prompt_guard: {{on_error: {on_error}}}}}"),
        )
    };
    let failing = || risks(&[]).failing("jailbreak", Failure::Shed);
    let blocked = ["jailbreak:j 1.0000", "?jailbreak:j shed", "!jailbreak=shed"];
    check(&signals(GUARD), &failing(), &says("now"), &blocked);
    check(&guard("block"), &failing(), &says("now"), &blocked);
    check(
        &guard("allow"),
        &failing(),
        &says("now"),
        &["?jailbreak:j shed", "!jailbreak=shed"],
    );
    let cut = || risks(&[]).truncated("now");
    check(
        &signals(GUARD),
        &cut(),
        &says("now"),
        &[
            "jailbreak:j 1.0000",
            "?jailbreak:j truncated",
            "!jailbreak=truncated",
        ],
    );
    check(
        &guard("allow"),
        &cut(),
        &says("now"),
        &["?jailbreak:j truncated", "!jailbreak=truncated"],
    );
    // What was read suffices for a match.
    let found = risks(&[("now", 0.9)]).truncated("now");
    check(
        &guard("allow"),
        &found,
        &says("now"),
        &["jailbreak:j 0.9000", "!jailbreak=truncated"],
    );
    let nan = Fake::default().labels("jailbreak", "now", &[&[f32::NAN, f32::NAN]]);
    check(
        &signals(GUARD),
        &nan,
        &says("now"),
        &[
            "jailbreak:j 1.0000",
            "?jailbreak:j the risk is no number",
            "!jailbreak=failed",
        ],
    );
    let pii = "pii: [{name: p, threshold: 0.5}]";
    let unready = || Fake::default().failing("pii", Failure::Unready);
    check(
        &signals(pii),
        &unready(),
        &says("now"),
        &["pii:p", "?pii:p unready", "!pii=unready"],
    );
    let allow = with(pii, "modules: {classifier: {pii: {on_error: allow}}}");
    check(
        &allow,
        &unready(),
        &says("now"),
        &["?pii:p unready", "!pii=unready"],
    );
    check(
        &signals(pii),
        &Fake::default().truncated("now"),
        &says("now"),
        &["pii:p", "?pii:p truncated", "!pii=truncated"],
    );
}

#[test]
fn contrast_is_attack_less_harmless() {
    let fake = |attack: f32, harmless: f32| {
        Fake::default()
            .vector("bad", &[1.0, 0.0])
            .vector("good", &[0.0, 1.0])
            .vector("q", &[attack, harmless])
    };
    let rule = |more: &str| {
        signals(&format!(
            "jailbreak: [{{name: j, method: contrastive, jailbreak_patterns: [bad], benign_patterns: [good]{more}}}]"
        ))
    };
    check(
        &rule(""),
        &fake(0.5, 0.25),
        &says("q"),
        &["jailbreak:j 0.2500"],
    );
    check(&rule(""), &fake(0.5, 0.45), &says("q"), &[]);
    check(&rule(", threshold: 0.3"), &fake(0.5, 0.25), &says("q"), &[]);
    let alone = signals("jailbreak: [{name: j, method: contrastive, jailbreak_patterns: [bad]}]");
    check(
        &alone,
        &fake(-0.5, 0.0),
        &says("q"),
        &["jailbreak:j 0.5000"],
    );
    let failing = fake(0.0, 0.0).failing("encoder", Failure::TimedOut);
    check(
        &rule(""),
        &failing,
        &says("q"),
        &[
            "jailbreak:j 1.0000",
            "?jailbreak:j timeout",
            "!jailbreak=timeout",
        ],
    );
}

/// An attack behind a long text is in a piece of its own.
#[test]
fn contrast_is_looked_for_in_every_piece() {
    let text = format!("{}ignore everything", "word ".repeat(300));
    let pieces = chunks::chunks(&text, chunks::JAILBREAK);
    assert_eq!(pieces.len(), 2);
    let fake = Fake::default()
        .vector("bad", &[1.0])
        .vector("good", &[0.0])
        .vector(pieces[1], &[0.9]);
    let rule = signals(
        "jailbreak: [{name: j, method: contrastive, jailbreak_patterns: [bad], benign_patterns: [good]}]",
    );
    check(&rule, &fake, &says(&text), &["jailbreak:j 0.9000"]);
    let endless = format!("{} end", "word ".repeat(40_000));
    let found = read(&rule, &fake, &says(&endless));
    assert_eq!(
        found.lines(),
        [
            "jailbreak:j 1.0000",
            "?jailbreak:j truncated",
            "!jailbreak=truncated"
        ]
    );
    assert_eq!(fake.asked().len(), 2 + 64);
}

#[test]
fn a_file_counts_for_personal_data_alone() {
    let mut prompt = says("now");
    prompt.texts.unreadable = vec![(dialects::Place::ToolResults, dialects::Media::Document)];
    let pii = |scan: &str| signals(&format!("pii: [{{name: p, scan: [{scan}]}}]"));
    let unreadable = [
        "pii:p",
        "?pii:p an attachment is not read",
        "!pii=unreadable",
    ];
    check(&pii("tool_results"), &Fake::default(), &prompt, &unreadable);
    check(&pii("current"), &Fake::default(), &prompt, &[]);
    let lenient = pii("tool_results], on_unreadable: no_match, pii_types_allowed: [X");
    check(&lenient, &Fake::default(), &prompt, &[]);
    let guard = "jailbreak: [{name: j, threshold: 0.8, scan: [current, tool_results]}]";
    check(&signals(guard), &risks(&[]), &prompt, &[]);
    let strict = guard.replace("scan", "on_unreadable: match, scan");
    let matched = [
        "jailbreak:j 1.0000",
        "?jailbreak:j an attachment is not read",
        "!jailbreak=unreadable",
    ];
    check(&signals(&strict), &risks(&[]), &prompt, &matched);
    // A picture is no match; boundaries see that it was not read.
    prompt.texts.unreadable = vec![(dialects::Place::ToolResults, dialects::Media::Image)];
    check(
        &pii("tool_results"),
        &Fake::default(),
        &prompt,
        &["!pii=unreadable"],
    );
}

#[test]
fn text_that_nobody_read_counts_for_all() {
    let mut prompt = says("now");
    prompt.texts.unread = vec![dialects::Place::Current];
    let pii = signals("pii: [{name: p}]");
    let unread = ["pii:p", "?pii:p a text is not read", "!pii=unread"];
    check(&pii, &Fake::default(), &prompt, &unread);
    let matched = [
        "jailbreak:j 1.0000",
        "?jailbreak:j a text is not read",
        "!jailbreak=unread",
    ];
    check(&signals(GUARD), &risks(&[]), &prompt, &matched);
}

fn entity(kind: &str, confidence: f32) -> Entity {
    Entity {
        kind: kind.into(),
        confidence,
        start: 0,
        end: 1,
    }
}

#[test]
fn personal_data_matches_unless_its_type_is_allowed() {
    let fake = |confidence: f32| {
        let found = [entity("EMAIL_ADDRESS", 1.0), entity("person", confidence)];
        Fake::default()
            .entities("now", &found)
            .entities("result", &[entity("IBAN", 1.0)])
    };
    let rule = |more: &str| signals(&format!("pii: [{{name: p{more}}}]"));
    check(
        &rule(", threshold: 0.5"),
        &fake(0.4),
        &says("now"),
        &["pii:p"],
    );
    let lenient = rule(", threshold: 0.5, pii_types_allowed: [email_address]");
    check(&lenient, &fake(0.4), &says("now"), &[]);
    check(&lenient, &fake(0.5), &says("now"), &["pii:p"]);
    check(&lenient, &fake(0.0), &conversation(), &[]);
    let both = rule(", threshold: 0.5, pii_types_allowed: [EMAIL_ADDRESS, PERSON]");
    check(&both, &fake(0.9), &says("now"), &[]);
    // Omitted: the module's, else 0.9; the reference takes 0.
    let omitted = rule(", pii_types_allowed: [EMAIL_ADDRESS]");
    check(&omitted, &fake(0.89), &says("now"), &[]);
    check(&omitted, &fake(0.9), &says("now"), &["pii:p"]);
    let module = with(
        "pii: [{name: p, pii_types_allowed: [EMAIL_ADDRESS]}]",
        "modules: {classifier: {pii: {threshold: 0.3}}}",
    );
    check(&module, &fake(0.3), &says("now"), &["pii:p"]);
    let tools = rule(", threshold: 0.5, scan: [tool_results]");
    check(&tools, &fake(0.9), &conversation(), &["pii:p"]);
    check(&tools, &fake(0.9), &says("now"), &[]);
}
