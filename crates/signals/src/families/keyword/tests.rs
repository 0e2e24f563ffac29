//! Rules over keywords as a document declares them.

use super::*;
use crate::catalog::ModelCatalog;
use crate::families::tests::{compiled, errors};
use crate::families::{Deps, Signals, watched};
use crate::projection::section::Projections;
use crate::report::Keys;
use crate::rules::RuleNode;
use crate::scope::Scope;
use crate::used::UsedSet;
use dialects::Prompt;
use proptest::prelude::*;

fn rule(name: &str, operator: &str, method: &str, keywords: &[&str]) -> KeywordRule {
    KeywordRule {
        name: name.into(),
        operator: serde_json::from_value(operator.into()).ok(),
        method: Method::from(method.to_owned()),
        keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
        ..KeywordRule::default()
    }
}

fn matches(rules: &[KeywordRule], text: &str) -> Vec<String> {
    let mut keys = Keys::default();
    let signals = Signals {
        keywords: rules.to_vec(),
        ..Signals::default()
    };
    let signal = compiled(&signals, &mut keys, &Deps::default());
    let mut prompt = Prompt::default();
    prompt.texts.evaluation = text.into();
    let mut report = SignalReport::new(&keys);
    signal
        .evaluate(&SignalInput::new(&prompt, None), &mut report)
        .unwrap();
    let metric = report.families[Kind::Keyword as usize];
    assert!(metric.ran && metric.confidence.total_cmp(&1.0).is_eq());
    report
        .matches()
        .inspect(|key| assert_eq!(report.confidence(*key), None))
        .map(|key| keys.name(key).into())
        .collect()
}

fn check(operator: &str, method: &str, keywords: &[&str], text: &str, expected: bool) {
    let got = matches(&[rule("r", operator, method, keywords)], text);
    assert_eq!(
        got == ["r"],
        expected,
        "{operator} {method} {keywords:?} on {text}"
    );
}

#[test]
fn operators() {
    for method in ["", "regex", "bm25", "ngram", "REGEX"] {
        for (operator, none, one, both) in [
            ("AND", false, false, true),
            ("OR", false, true, true),
            ("NOR", true, false, false),
        ] {
            let keywords = ["alpha", "omega"];
            check(operator, method, &keywords, "nothing", none);
            check(operator, method, &keywords, "say omega", one);
            check(operator, method, &keywords, "alpha and omega", both);
            check(operator, method, &[], "text", operator != "OR");
        }
    }
}

#[test]
fn regex_keywords_have_no_boundaries() {
    for (pattern, text, expected) in [
        ("api", "rapid", true),
        (r"\bapi\b", "rapid", false),
        (r"[A-Z]+-\d+", "see ab-12", true),
        ("a.b", "a\nb", false),
        ("", "x", true),
    ] {
        check("OR", "regex", &[pattern], text, expected);
    }
}

#[test]
fn native_methods_stop_at_nul() {
    for method in ["bm25", "ngram"] {
        check("OR", method, &["database"], "x\0database", false);
        check("OR", method, &["database"], "database\0x", true);
    }
    check("OR", "", &["database"], "x\0database", true);
}

#[test]
fn stop_words_never_score() {
    check("AND", "bm25", &["how to", "fix"], "how to fix", false);
    check("NOR", "bm25", &["how to"], "how to fix", true);
}

#[test]
fn fuzzy_serves_literal_and_regex() {
    for (method, operator, keyword, text, expected) in [
        ("", "OR", "urgent", "urgnet", true),
        ("regex", "OR", "urgent", "urgnet", true),
        ("regex", "OR", "^urg", "urg", true),
        ("", "NOR", "urgent", "urgnet", false),
        ("", "AND", "urgent", "calm", false),
    ] {
        let fuzzy = KeywordRule {
            fuzzy_match: true,
            ..rule("r", operator, method, &[keyword])
        };
        assert_eq!(
            matches(&[fuzzy], text) == ["r"],
            expected,
            "{method} {operator} {keyword} {text}"
        );
    }
}

#[test]
fn names_come_in_declaration_order() {
    let rules = [
        rule("ngram", "OR", "ngram", &["database"]),
        rule("literal", "OR", "", &["database"]),
        rule("none", "OR", "", &["other"]),
        rule("bm25", "OR", "bm25", &["database"]),
        rule("regex", "OR", "regex", &["data"]),
    ];
    assert_eq!(
        matches(&rules, "a database"),
        ["ngram", "literal", "bm25", "regex"]
    );
}

#[test]
fn native_rules_of_one_name_share_their_result() {
    let rules = [
        rule("twice", "OR", "bm25", &["index"]),
        rule("other", "OR", "", &["database"]),
        rule("twice", "OR", "bm25", &["database"]),
    ];
    assert_eq!(matches(&rules, "a database"), ["twice", "other"]);
}

#[test]
fn all_problems_are_reported() {
    let rules = [
        rule("a", "or", "", &["x"]),
        rule("b", "OR", "fuzzy", &["x"]),
        rule("c", "OR", "regex", &["ok", "(?=x)", r"(a)\1"]),
    ];
    let signals = Signals {
        keywords: rules.into(),
        ..Signals::default()
    };
    let expected = [
        "[0].operator",
        "[1].method",
        "[2].keywords[1]",
        "[2].keywords[2]",
    ];
    assert_eq!(
        errors(&signals),
        expected.map(|tail| format!("keywords{tail}"))
    );
}

#[test]
fn a_rule_of_no_method_is_left_out_where_nothing_uses_it() {
    let signals = Signals {
        keywords: vec![rule("a", "NOR", "fuzzy", &["x"])],
        ..Signals::default()
    };
    let deps = Deps {
        used: &|_, _| false,
        ..Deps::default()
    };
    let mut keys = Keys::default();
    let signal = compiled(&signals, &mut keys, &deps);
    let mut report = SignalReport::new(&keys);
    let prompt = Prompt::default();
    signal
        .evaluate(&SignalInput::new(&prompt, None), &mut report)
        .unwrap();
    assert_eq!(report.matches().count(), 0);
}

fn words(
    alphabet: &'static [&'static str],
    most: usize,
) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(proptest::sample::select(alphabet), 0..most)
}

const KEYWORDS: &[&str] = &["api", "API key", "é", "数据", "user", "us", "ß", "", "C++"];
const TEXT: &[&str] = &[
    "api", " ", "key", "É", "数据", "user_id", "us", "_", "C++", "1", "\u{17F}", "-",
];
const OPERATORS: &[&str] = &["AND", "OR", "NOR"];

proptest! {
    #[test]
    fn rules_together_equal_each_rule_alone(
        rules in proptest::collection::vec((words(KEYWORDS, 4), proptest::sample::select(OPERATORS), any::<bool>()), 1..5),
        text in words(TEXT, 9),
    ) {
        let text = text.concat();
        let rules: Vec<KeywordRule> = rules
            .iter()
            .enumerate()
            .map(|(at, (keywords, operator, case_sensitive))| KeywordRule {
                case_sensitive: *case_sensitive,
                ..rule(&at.to_string(), operator, "", keywords)
            })
            .collect();
        let alone: Vec<String> = rules.iter().flat_map(|rule| matches(std::slice::from_ref(rule), &text)).collect();
        prop_assert_eq!(matches(&rules, &text), alone);
    }
}

/// What a rule finds in a text, and whether it says that it did not read all of it.
fn read(rule: KeywordRule, text: &str, late: bool) -> (bool, bool) {
    let mut keys = Keys::default();
    let signals = Signals {
        keywords: vec![rule],
        ..Signals::default()
    };
    let signal = compiled(&signals, &mut keys, &Deps::default());
    let mut prompt = Prompt::default();
    prompt.texts.evaluation = text.into();
    let mut report = SignalReport::new(&keys);
    let mut input = SignalInput::new(&prompt, None);
    if late {
        input = input.until(std::time::Instant::now());
    }
    signal.evaluate(&input, &mut report).unwrap();
    let key = keys.get(Kind::Keyword, "r").unwrap();
    let is_doubted = report.doubted().contains(&key);
    let is_degraded = report.degraded().contains(&(Kind::Keyword, "unread"));
    assert_eq!(is_doubted, is_degraded);
    (report.is_matched(key), is_doubted)
}

#[test]
fn rules_that_copy_read_a_part_and_say_so() {
    let fuzzy = KeywordRule {
        fuzzy_match: true,
        ..rule("r", "OR", "", &["database"])
    };
    let of = |method: &str| rule("r", "OR", method, &["database"]);
    for (rule, copies) in [
        (of("bm25"), true),
        (of("ngram"), true),
        (fuzzy, true),
        (of(""), false),
        (of("regex"), false),
    ] {
        let filler = "word ".repeat(1 << 18);
        for (text, found, unread) in [
            (
                format!("{} databse.", filler.get(..1 << 19).unwrap()),
                rule.method == Method::Ngram || rule.fuzzy_match,
                false,
            ),
            (
                format!("database {filler}"),
                true,
                copies && !rule.fuzzy_match,
            ),
            (
                format!("databose {filler}"),
                rule.method == Method::Ngram || rule.fuzzy_match,
                copies,
            ),
            (
                format!("{filler} database"),
                !copies || rule.fuzzy_match,
                copies && !rule.fuzzy_match,
            ),
            (format!("{filler} databose"), false, copies),
        ] {
            assert_eq!(
                read(rule.clone(), &text, false),
                (found, unread),
                "{:?}",
                rule.method
            );
        }
    }
}

#[test]
fn what_comes_too_late_is_unread() {
    for method in ["bm25", "ngram", "", "regex"] {
        let rule = rule("r", "OR", method, &["database"]);
        assert_eq!(read(rule.clone(), "a database", false), (true, false));
        assert_eq!(read(rule, "a database", true), (false, true), "{method}");
    }
}

/// Whether a boundary that relies on a rule holds or may hold for a text.
fn holds(rule: &KeywordRule, text: &str) -> bool {
    let mut keys = Keys::default();
    let signals = Signals {
        keywords: vec![rule.clone()],
        ..Signals::default()
    };
    let signal = compiled(&signals, &mut keys, &Deps::default());
    let leaf = RuleNode {
        kind: "keyword".into(),
        name: "r".into(),
        ..RuleNode::default()
    };
    let scope = Scope {
        path: "routing",
        signals: &signals,
        projections: &Projections::default(),
        models: &ModelCatalog::default(),
    };
    let used = UsedSet::of(&scope, std::iter::once(&leaf));
    let watched = watched(Kind::Keyword, &keys, &used, std::iter::once(&leaf));
    let mut prompt = Prompt::default();
    prompt.texts.evaluation = text.into();
    let mut report = SignalReport::new(&keys);
    let input = SignalInput::new(&prompt, None);
    signal.evaluate(&input, &mut report).unwrap();
    signal.doubt_unread(&input, &watched, &mut report).unwrap();
    let key = keys.get(Kind::Keyword, "r").unwrap();
    report.is_matched(key) || report.doubted().contains(&key)
}

/// Characters that show nothing or a blank.
fn any_invisible() -> impl Strategy<Value = char> {
    let known = [
        '\u{AD}',
        '\u{200B}',
        '\u{115F}',
        '\u{1160}',
        '\u{2060}',
        '\u{2800}',
        '\u{3164}',
        '\u{FEFF}',
        '\u{FFA0}',
        '\u{E0020}',
        '\u{FE0F}',
        '\0',
    ];
    prop_oneof![
        3 => proptest::sample::select(known.to_vec()),
        1 => proptest::char::range('\u{E0000}', '\u{E0FFF}'),
        1 => proptest::char::range('\u{180B}', '\u{180F}'),
        1 => proptest::char::range('\u{2000}', '\u{2FFF}').prop_filter("visible", |scalar| {
            inference::legible::apart(&scalar.to_string()).is_some()
        }),
    ]
}

/// How a character of a phrase may be written so that it looks the same.
fn written(scalar: char) -> BoxedStrategy<String> {
    let dashes: Vec<String> = ('\u{80}'..='\u{FFFF}')
        .filter(|other| inference::legible::text(&other.to_string()) == "-")
        .map(String::from)
        .collect();
    let look = match scalar {
        '-' => prop_oneof![
            proptest::sample::select(dashes),
            Just("-\n".to_owned()),
            Just("\u{2010}\r\n ".to_owned())
        ]
        .boxed(),
        ' ' => prop_oneof![
            any_invisible().prop_map(String::from),
            Just("\u{A0}".to_owned()),
            Just("\n".to_owned())
        ]
        .boxed(),
        _ => prop_oneof![
            3 => Just(scalar.to_string()),
            1 => Just(scalar.to_uppercase().to_string()),
            1 => Just(char::from_u32(u32::from(scalar) + 0xFEE0).unwrap().to_string()),
        ]
        .boxed(),
    };
    let hidden = proptest::collection::vec(any_invisible(), 0..2);
    (look, hidden)
        .prop_map(|(look, hidden)| look + &String::from_iter(hidden))
        .boxed()
}

proptest! {
    #[test]
    fn boundaries_hold_however_a_phrase_is_written(
        parts in "top-secret plan b".chars().map(written).collect::<Vec<_>>(),
        before in prop_oneof![Just("see ".to_owned()), any_invisible().prop_map(|hidden| format!("the{hidden}"))],
        after in prop_oneof![Just(" now".to_owned()), any_invisible().prop_map(|hidden| format!("{hidden}now"))],
    ) {
        let text = format!("{before}{}{after}", parts.concat());
        prop_assert!(holds(&rule("r", "OR", "", &["top-secret plan b"]), &text), "{text:?}");
    }

    #[test]
    fn boundaries_pass_what_reads_otherwise(text in "[a-z \u{AD}\u{2010}-]{0,40}") {
        prop_assert!(!holds(&rule("r", "OR", "", &["top-secret plan 0"]), &text));
    }
}
