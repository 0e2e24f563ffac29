//! Reading a small document: form, variables, places, redaction.

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// A document that knows a bit of everything.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Garden {
    name: String,
    beds: Vec<Bed>,
    #[schemars(extend("writeOnly" = true))]
    key: String,
    tool: Option<Tool>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Bed {
    width: u16,
    dug: bool,
}

#[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Tool {
    Spade { length: u32 },
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::of::<Garden>("garden")
        .adapted(|schema| schema["properties"]["title"] = json!({"type": "string"}))
        .retires(&["plots"], "is now `beds`")
        .refuses(&[Refused {
            path: "beds[].soil",
            remedy: "is not read: write `dug`",
        }])
        .respells(title_is_name)
});

/// `title` is another name of `name`.
fn title_is_name(garden: &mut Value) -> Respelled {
    let mut respelled = Respelled::default();
    let title = garden.as_object_mut().and_then(|it| it.remove("title"));
    if let Some(title) = title {
        respelled.problems.push(Problem::warning("title", "is old"));
        respelled.moved.push(Moved {
            written: "title".to_owned(),
            read: "name".to_owned(),
        });
        garden["name"] = title;
    }
    respelled
}

fn variables(name: &str) -> Option<String> {
    (name == "NAME").then(|| "north".to_owned())
}

/// Each expectation is `line:column severity words`.
#[track_caller]
fn check(text: &str, document: Option<Garden>, expected: &[&str]) {
    let loaded = load::<Garden>(text, &SCHEMA, &variables);
    let found: Vec<String> = loaded
        .problems
        .iter()
        .map(|problem| format!("{}:{} {problem}", problem.line, problem.column))
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        let (place, words) = expected.split_once(' ').unwrap();
        assert!(found.starts_with(place) && found.contains(words), "{found}");
    }
    assert_eq!(loaded.document, document);
}

#[test]
fn faults_of_form_are_found_at_once() {
    let north = |beds| Garden {
        name: "north".to_owned(),
        beds,
        ..Garden::default()
    };
    check("name: ${NAME}\n", Some(north(Vec::new())), &[]);
    check(
        "nam: x\nname: north\nbeds:\n  - {width: 70000}\n  - {dug: maybe, width: 3}\n",
        Some(north(vec![
            Bed::default(),
            Bed {
                width: 3,
                dug: false,
            },
        ])),
        &[
            "1:1 unknown key `nam`; did you mean `name`?",
            "4:13 70000 is out of range",
            "5:11 expected true or false, found `maybe`",
        ],
    );
    check(
        "plots: []\n",
        Some(Garden::default()),
        &["1:1 `plots` is now `beds`"],
    );
    check(
        "name: ${NONE}\n",
        Some(Garden::default()),
        &["1:7 `NONE` is not set"],
    );
    check(
        "tool: {type: rake}\n",
        Some(Garden::default()),
        &["1:14 unknown type `rake`"],
    );
    check("name: [\n", None, &["1:7 not YAML"]);
}

#[test]
fn keys_in_another_spelling() {
    check(
        "title: north\n",
        Some(Garden {
            name: "north".to_owned(),
            ..Garden::default()
        }),
        &["1:1 warning: title: is old"],
    );
    let loaded = load::<Garden>("beds: []\ntitle: north\n", &SCHEMA, &variables);
    assert_eq!(loaded.written, json!({"beds": [], "title": "north"}));
    let later = vec![
        Problem::error("name", "is taken"),
        Problem::error("names", "odd"),
    ];
    let placed: Vec<_> = loaded
        .places
        .placed(later)
        .into_iter()
        .map(|problem| (problem.line, problem.path))
        .collect();
    assert_eq!(placed, [(2, "title".to_owned()), (1, "names".to_owned())]);
    check(
        "beds:\n  - {width: 1, soil: clay}\n",
        Some(Garden {
            beds: vec![Bed {
                width: 1,
                dug: false,
            }],
            ..Garden::default()
        }),
        &["2:16 error: beds[0].soil: `soil` is not read: write `dug`"],
    );
}

#[test]
fn later_problems_get_their_places() {
    let loaded = load::<Garden>("beds:\n  - {width: x}\n  - {}\n", &SCHEMA, &variables);
    let mut findings = Findings::default();
    findings.error("beds[1]", "too narrow");
    findings.warn("beds[0].width", "odd");
    findings.warn("", "of the document");
    let problems = joined(loaded.problems, findings.into_problems(), &loaded.places);
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.line, problem.message.as_str()))
        .collect();
    let expected = [
        (1, "of the document"),
        (2, "expected a whole number, found `x`"),
        (3, "too narrow"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn secrets_are_hidden_and_digests_ignore_layout() {
    let read = |text| load::<Garden>(text, &SCHEMA, &variables).value;
    let value = read("key: k1\nname: https://me:pw@host\n");
    let shown = json!({"key": "[redacted]", "name": "https://[redacted]@host"});
    assert_eq!(redact(&value, &SCHEMA), shown);
    assert_eq!(
        hash(&value),
        hash(&read("{name: 'https://me:pw@host', key: k1}"))
    );
    assert_ne!(hash(&value), hash(&Value::Null));
}

#[test]
fn keys_in_query_strings_are_hidden() {
    for (written, shown) in [
        (
            "https://a/b?api_key=k&x=1",
            "https://a/b?api_key=[redacted]&x=1",
        ),
        ("/v1/chat?key=k", "/v1/chat?key=[redacted]"),
        (
            "https://a/?X-Amz-Signature=k",
            "https://a/?X-Amz-Signature=[redacted]",
        ),
        ("https://a/?sig=k#top", "https://a/?sig=[redacted]#top"),
        (
            "https://a/?subscription-key=k",
            "https://a/?subscription-key=[redacted]",
        ),
        (
            "https://a/?accesskey=k&token=",
            "https://a/?accesskey=[redacted]&token=",
        ),
        (
            "https://me:pw@a/?Token=k",
            "https://[redacted]@a/?Token=[redacted]",
        ),
        ("https://a/?keyboard=us", "https://a/?keyboard=us"),
        (
            "https://a/b#access_token=k",
            "https://a/b#access_token=[redacted]",
        ),
        (
            "https://a/b?x=1&key=k#y=2&token=t",
            "https://a/b?x=1&key=[redacted]#y=2&token=[redacted]",
        ),
        ("what is this? key=3", "what is this? key=3"),
    ] {
        let value = json!({"name": written});
        assert_eq!(redact(&value, &SCHEMA), json!({"name": shown}), "{written}");
    }
}

#[test]
fn a_document_has_a_largest_size() {
    let text = format!("name: {}\n", "a".repeat(MOST_BYTES));
    check(&text, None, &["0:0 at most 4194304 are read"]);
}
