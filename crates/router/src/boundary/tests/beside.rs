//! Words that a family does not read in the user's turn are not missed where a boundary relies on
//! the family.

use super::cases::{chat, generation, outcome, route};
use inference::fake::Fake;
use serde_json::{Value, json};

const POLICY: &str = r#"
version: v0.3
providers:
  defaults: {default_model: cloud}
  models:
    - {name: local, location: house, backend_refs: [{endpoint: "127.0.0.1:1"}]}
    - {name: cloud, location: cloud, backend_refs: [{endpoint: "127.0.0.1:2"}]}
routing:
  boundaries: [{name: stays, when: WHEN, allow: {locations: [house]}}]
  signals:
    keywords:
      - {name: secret, operator: OR, keywords: [secret, 秘密]}
      - {name: pattern, operator: OR, method: regex, keywords: ['sec?ret']}
      - {name: stem, operator: OR, method: bm25, keywords: [secret]}
      - {name: gram, operator: OR, method: ngram, keywords: [secret]}
      - {name: both, operator: AND, keywords: [alpha, omega]}
      - {name: none, operator: NOR, keywords: [public]}
      - {name: phrase, operator: OR, keywords: [project aurora]}
      - {name: dashed, operator: OR, keywords: [Aurora-Borealis plan, "2019–2024", état-major]}
      - {name: exact, operator: OR, keywords: [IT-Ops], case_sensitive: true}
      - {name: near, operator: OR, keywords: [project aurora], fuzzy_match: true, fuzzy_threshold: 1}
      - {name: spaced, operator: OR, method: regex, keywords: ['project aurora']}
    language: [{name: fr}, {name: en}, {name: ru}]
    structure:
      - {name: questions, feature: {type: count, source: {type: regex, pattern: '\?'}}, predicate: {gte: 3}}
      - {name: words, feature: {type: exists, source: {type: keyword_set, keywords: [project aurora]}}}
      - {name: steps, feature: {type: sequence, source: {type: sequence, sequences: [[first of all, in the end]]}}}
      - {name: brief, feature: {type: count, source: {type: text_bytes}}, predicate: {lt: 100}}
    events: [{name: incident, event_types: [breach]}]
    domains: [{name: health}]
  decisions:
    - {name: out, priority: 1, modelRefs: [{model: cloud}, {model: local}]}
"#;

/// Whether a request stays in the house, and what is said of it.
#[track_caller]
fn check(when: &str, body: &Value, expected: &str) {
    assert_eq!(
        shown(when, body),
        format!("out: {expected}"),
        "{when} {body}"
    );
}

/// A request stays in the house, whether or not that is certain.
#[track_caller]
fn check_stays(when: &str, body: &Value) {
    let shown = shown(when, body);
    assert!(shown.starts_with("out: local"), "{when} {body}: {shown}");
}

/// Where a request goes, and what is said of it.
fn shown(when: &str, body: &Value) -> String {
    let labels = inference::catalog::labels(inference::catalog::Task::Domain);
    let row = |label: &str| -> Vec<f32> {
        let share = |known: &&str| if *known == label { 1.0 } else { 0.0 };
        labels.iter().map(share).collect()
    };
    let models = ["the patient is ill", "hello"]
        .iter()
        .zip(["health", "other"])
        .fold(Fake::default(), |models, (text, label)| {
            models.labels("domain", text, &[&row(label)])
        });
    let generation = generation(&POLICY.replace("WHEN", when), &models);
    let routed = route(&generation, &models, "ada", body);
    outcome(&routed).replace(" -cloud=boundary:stays", "")
}

fn said(texts: &[&str]) -> Value {
    let message = |text: &&str| json!({"role": "user", "content": text});
    json!({"model": "auto", "messages": texts.iter().map(message).collect::<Vec<_>>()})
}

const HELD: [(&str, &str); 8] = [
    ("keyword:secret", "a secret"),
    ("keyword:pattern", "a secret"),
    ("keyword:stem", "a secret"),
    ("keyword:gram", "a secret"),
    ("language:fr", "Le patient est malade et reste au lit."),
    ("structure:questions", "What? Who? Where?"),
    ("event:incident", "a breach"),
    ("domain:health", "the patient is ill"),
];

fn leaf(name: &str) -> String {
    let (kind, name) = name.split_once(':').unwrap();
    format!("{{type: {kind}, name: {name}}}")
}

#[test]
fn a_wrapper_is_no_way_around() {
    for (name, text) in HELD {
        let when = leaf(name);
        let kind = name.split(':').next().unwrap();
        let held = format!("local !{kind}=unread");
        let wrapped = format!("<system-reminder>{text}</system-reminder>");
        let harmless = "<system-reminder>The date is Monday.</system-reminder>";
        if kind != "domain" {
            check(&when, &said(&[&wrapped]), &held);
            check(&when, &said(&[&wrapped, "hello to all of you"]), &held);
            check(&when, &said(&[harmless, "hello to all of you"]), "cloud");
        }
        check(&when, &said(&[text, " "]), "local");
        check(&when, &said(&[text, "\u{200B}\n"]), "local");
        check(&when, &said(&[text, "\u{1D173}\u{FFF0}"]), "local");
        check(&when, &said(&[text]), "local");
        check(&when, &said(&["hello"]), "cloud");
    }
}

#[test]
fn a_model_is_asked_about_each_wrapper() {
    let when = leaf("domain:health");
    let part = |text: &str| json!({"type": "document", "source": {"type": "strange", "x": text}});
    let body = |text: &str| {
        let hello = json!({"type": "text", "text": "hello"});
        json!({"model": "auto", "messages": [{"role": "user", "content": [hello, part(text)]}]})
    };
    check(&when, &body("the patient is ill"), "local !domain=unread");
}

#[test]
fn rules_read_the_turn_and_its_wrappers_together() {
    let wrapped = "<system-reminder>omega</system-reminder>";
    check(
        &leaf("keyword:both"),
        &said(&[wrapped, "alpha"]),
        "local !keyword=unread",
    );
    check(&leaf("keyword:both"), &said(&[wrapped, "hello"]), "cloud");
    check(&leaf("keyword:none"), &said(&[wrapped, "public"]), "cloud");
    let not = format!(
        "{{operator: NOT, conditions: [{}]}}",
        leaf("structure:brief")
    );
    let long = format!("<system-reminder>{}</system-reminder>", "x ".repeat(100));
    check(&not, &said(&["hello"]), "cloud");
    check(&not, &said(&[&long, "hello"]), "local !structure=unread");
}

#[test]
fn what_follows_a_nul_is_read() {
    for rule in ["stem", "gram", "secret", "pattern"] {
        let when = leaf(&format!("keyword:{rule}"));
        let expected = match rule {
            "stem" | "gram" => "local !keyword=unread",
            _ => "local",
        };
        check(&when, &chat("auto", "\0 a secret"), expected);
        check(&when, &chat("auto", "hello \0 a plan"), "cloud");
    }
}

#[test]
fn keywords_are_read_as_they_look() {
    for text in [
        "ｓｅｃｒｅｔ",
        "a se\u{200B}cret",
        "a se\u{1}c\u{7F}ret",
        "a se\0cret",
        "se\u{AD}cret",
        "𝐬𝐞𝐜𝐫𝐞𝐭",
        "s\u{336}e\u{336}c\u{336}r\u{336}e\u{336}t\u{336}",
        "ⓢⓔⓒⓡⓔⓣ",
        "秘\u{200D}密",
    ] {
        check(
            &leaf("keyword:secret"),
            &chat("auto", text),
            "local !keyword=unread",
        );
    }
    check(
        &leaf("keyword:secret"),
        &chat("auto", "ｓecretly， 你好"),
        "cloud",
    );
}

#[test]
fn phrases_are_found_whatever_stands_between_their_words() {
    for between in [
        "\n",
        "\r\n",
        "\t",
        "\u{A0}",
        "  ",
        " \n  ",
        "\u{2003}",
        "\u{2028}",
        "\u{200B} \u{200B}\n",
    ] {
        let phrase = format!("on Project{between}Aurora now");
        let steps = format!("first of{between}all this, in{between}the end that");
        for (rule, text) in [
            ("keyword:phrase", &phrase),
            ("keyword:near", &phrase),
            ("structure:words", &phrase),
            ("structure:steps", &steps),
        ] {
            let kind = rule.split(':').next().unwrap();
            let held = format!("local !{kind}=unread");
            check(&leaf(rule), &chat("auto", text), &held);
            let wrapped = format!("<system-reminder>{text}</system-reminder>");
            check(&leaf(rule), &said(&[&wrapped, "hello"]), &held);
        }
        let padded = format!("{}{phrase}", "x\n".repeat(600_000));
        check(
            &leaf("keyword:phrase"),
            &chat("auto", &padded),
            "local !keyword=unread",
        );
    }
    for rule in ["keyword:phrase", "structure:words"] {
        check(&leaf(rule), &chat("auto", "project aurora"), "local");
        check(&leaf(rule), &chat("auto", "project\n\n aurorae"), "cloud");
        check(&leaf(rule), &chat("auto", "project,\naurora"), "cloud");
    }
    // A pattern says itself which white space it takes.
    check(
        &leaf("keyword:spaced"),
        &chat("auto", "project\naurora"),
        "cloud",
    );
}

#[test]
fn dashes_and_blanks_of_all_kinds_are_alike() {
    let unread = "local !keyword=unread";
    for dash in [
        "\u{2010}",
        "\u{2011}",
        "\u{2012}",
        "\u{2013}",
        "\u{2014}",
        "\u{2212}",
        "\u{FE63}",
        "\u{FF0D}",
        "\u{2043}",
        "-\n",
        "-\r\n  ",
        "\u{2010}\u{2028}",
        "-\u{AD}",
        "\u{3164}-",
    ] {
        let text = format!("the aurora{dash}borealis plan is out");
        check(&leaf("keyword:dashed"), &chat("auto", &text), unread);
        let text = format!("the IT{dash}Ops people");
        check(&leaf("keyword:exact"), &chat("auto", &text), unread);
        let text = text.to_lowercase();
        check(&leaf("keyword:exact"), &chat("auto", &text), "cloud");
    }
    for (rule, text) in [
        ("dashed", "from 2019-2024 on"),
        ("dashed", "l'E\u{301}TAT\u{2212}MAJOR"),
        ("dashed", "the auro-\nra-borealis plan"),
        ("phrase", "project\u{3164}aurora"),
        ("phrase", "pro\u{AD}ject\u{2800}aur\u{115F}ora"),
        (
            "phrase",
            "top\u{FFA0}pro\u{1160}ject\u{FFA0}aurora\u{2800}now",
        ),
        ("phrase", "pro-\nject aurora"),
        ("secret", "top\u{2800}se\u{2800}cret"),
    ] {
        let when = leaf(&format!("keyword:{rule}"));
        check_stays(&when, &chat("auto", text));
    }
    for (rule, text) in [
        ("dashed", "aurora - borealis plan"),
        ("dashed", "aurora borealis plan"),
        ("dashed", "aurora\nborealis plan"),
        ("phrase", "projectaurora"),
        ("phrase", "pro ject aurora"),
        ("secret", "sec ret"),
        ("secret", "se-cret"),
    ] {
        let when = leaf(&format!("keyword:{rule}"));
        check(&when, &chat("auto", text), "cloud");
    }
    check(
        &leaf("structure:words"),
        &chat("auto", "project\u{3164}aurora"),
        "local !structure=unread",
    );
}

#[test]
fn words_of_sources_are_read_as_they_look() {
    for text in [
        "ｐｒｏｊｅｃｔ ａｕｒｏｒａ",
        "pro\u{200B}ject\u{A0}au\u{AD}rora",
    ] {
        let held = "local !structure=unread";
        check(&leaf("structure:words"), &chat("auto", text), held);
    }
    check(
        &leaf("structure:questions"),
        &chat("auto", "a？\u{200B} b﹖ c？"),
        "local !structure=unread",
    );
}

#[test]
fn languages_are_read_as_they_look() {
    let french = "le patient est malade et doit rester au lit pendant toute la semaine, ".repeat(5);
    let french = french.as_str();
    let wide = |text: &str| -> String {
        let wide = |c: char| char::from_u32(u32::from(c) + 0xFEE0).filter(|_| c.is_ascii_graphic());
        text.chars().map(|c| wide(c).unwrap_or(c)).collect()
    };
    let split =
        |text: &str, by: &str| -> String { text.chars().map(|c| format!("{c}{by}")).collect() };
    let (when, held) = (leaf("language:fr"), "local !language=unread");
    for text in [
        wide(french),
        split(french, "\u{200B}"),
        split(french, "\u{AD}"),
        split(french, "\u{336}"),
    ] {
        check_stays(&when, &chat("auto", &text));
        let wrapped = format!("<system-reminder>{text}</system-reminder>");
        check(&when, &said(&[&wrapped, "hello to all of you"]), held);
        let english = "The library of this town is open on every day of the week. ".repeat(30);
        let hidden = [&english, &text, "\n", &english].concat();
        check(&when, &chat("auto", &hidden), held);
    }
    check(&when, &chat("auto", &wide(french)), held);
    check(
        &when,
        &chat("auto", &wide("the library is open on every day")),
        "cloud",
    );
    check(&when, &chat("auto", french), "local");
}

#[test]
fn languages_are_looked_for_in_all_of_a_long_text() {
    let english = "The library of this town is open on every day of the week. ".repeat(60);
    let french = "Le patient est malade et doit rester au lit pendant toute la semaine. ".repeat(3);
    let when = leaf("language:fr");
    check(&when, &chat("auto", &english), "cloud");
    let coded = "le_patient = est_malade(et_doit_rester_au_lit_toute_la_semaine)";
    check(&when, &chat("auto", coded), "local !language=unread");
    let hidden = english.replacen("week. The", &format!("week. {french}The"), 15);
    check(&when, &chat("auto", &hidden), "local !language=unread");
    let (before, after) = english.split_at(1180);
    let one = [before, &french, after].concat();
    check(&when, &chat("auto", &one), "local !language=unread");
    let long = english.repeat(20);
    check(&when, &chat("auto", &long), "local !language=unread");
}
