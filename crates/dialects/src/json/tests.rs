//! The reader of JSON against another one, on text that is nearly JSON.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// Whether all of `text` is an object, by this reader.
fn is_object(text: &str) -> bool {
    each_member(text, |_, _| {}).is_ok()
}

/// Whether it is by the other reader.
fn is_object_elsewhere(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with('{')
        && serde_json::from_str::<&RawValue>(text).is_ok()
}

#[test]
fn members_come_in_order_with_duplicates_and_decoded_keys() {
    let mut seen = Vec::new();
    each_member(
        r#" { "a" : [1, 2] , "\u0062":"x","a":null,"\ud800":1 } "#,
        |key, raw| {
            seen.push((key.into_owned(), raw));
        },
    )
    .unwrap();
    let expected = [
        ("a", "[1, 2]"),
        ("b", "\"x\""),
        ("a", "null"),
        ("\u{FFFD}", "1"),
    ];
    assert_eq!(seen, expected.map(|(key, raw)| (key.to_owned(), raw)));
}

#[test]
fn strings_decode_as_a_lenient_reader_does() {
    let cases = [
        (r#""plain""#, Some("plain")),
        (r#""a\"b\n\u00e9""#, Some("a\"b\né")),
        (r#""\\\/\b\f\r\t""#, Some("\\/\u{8}\u{c}\r\t")),
        (r#""\ud83d\ude00""#, Some("😀")),
        (r#""x\ud800y""#, Some("x\u{FFFD}y")),
        (r#""\ud800\ud83d\ude00""#, Some("\u{FFFD}😀")),
        (r#""\ude00\ud83d""#, Some("\u{FFFD}\u{FFFD}")),
        (r#""\ud83d\u0041""#, Some("\u{FFFD}A")),
        ("12", None),
    ];
    for (raw, expected) in cases {
        assert_eq!(string(raw).as_deref(), expected, "{raw}");
    }
}

#[test]
fn depth_ignores_brackets_in_strings() {
    let depth = |text| each_member(text, |_, _| {}).unwrap();
    assert_eq!(depth("{}"), 1);
    assert_eq!(depth(r#"{"[[[[": "\"[[[", "b": {"a":[1]}, "c": []}"#), 3);
}

#[test]
fn any_depth_is_told_and_no_bracket_matches_another_kind() {
    for depth in [1, 63, 64, 65, 128, 129, 1000, 100_000] {
        let nest = |open: &str, close: &str| {
            let [open, close] = [open.repeat(depth), close.repeat(depth)];
            format!(r#"{{"a":{open}1{close}}}"#)
        };
        let arrays = nest("[", "]");
        assert_eq!(each_member(&arrays, |_, _| {}), Ok(depth + 1));
        let both = nest(r#"[{"b":"#, "}]");
        assert_eq!(each_member(&both, |_, _| {}), Ok(2 * depth + 1));
        assert!(!is_object(&nest("[", "}")), "{depth}");
        let crossed = nest(r#"[{"b":"#, "]}");
        assert!(!is_object(&crossed), "{depth}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        "[]",
        "1",
        "{} {}",
        "{,}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{a:1}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":+1}"#,
        r#"{"a":-}"#,
        r#"{"a":1e}"#,
        r#"{"a":tru}"#,
        r#"{"a":nulL}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"x}"#,
        "{\"a\":\"x\ny\"}",
        "{\"a\":\"0123456789012345678901234567890123456789\u{1}\"}",
        "{\"a\":1}\u{a0}",
        "\u{feff}{}",
        r#"{"a":"#,
    ] {
        assert!(!is_object(text), "{text}");
        assert!(!is_object_elsewhere(text), "{text}");
    }
}

/// JSON of any shape, written with more or less space.
fn written() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-0.5e+7".to_owned()),
        Just("120".to_owned()),
        proptest::collection::vec(piece(), 0..12)
            .prop_map(|pieces| format!("\"{}\"", pieces.concat())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let space = prop_oneof![Just(""), Just(" "), Just("\n\t")];
        let list = proptest::collection::vec(inner, 0..4);
        (list, space, any::<bool>()).prop_map(|(list, space, is_array)| {
            let comma = format!("{space},{space}");
            if is_array {
                return format!("[{space}{}{space}]", list.join(&comma));
            }
            let members: Vec<String> = (0..)
                .zip(list)
                .map(|(at, value)| format!("\"k{at}\"{space}:{space}{value}"))
                .collect();
            format!("{{{space}{}{space}}}", members.join(&comma))
        })
    })
}

/// A part of a string, escaped.
fn piece() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "a",
        "é",
        "数据",
        " ",
        r#"\""#,
        r"\\",
        r"\n",
        r"\u00e9",
        r"\ud83d\ude00",
        r"\ud83d",
        r"\udE00",
        "[{",
        "a text of more than thirty-two bytes, as most are",
    ])
}

proptest! {
    #[test]
    fn both_readers_accept_the_same(
        value in written(),
        cut in any::<prop::sample::Index>(),
        put in proptest::option::of(proptest::sample::select(vec![
            '"', '\\', '{', '}', '[', ']', ',', ':', ' ', '0', '-', '.', 'e', 'n', '\u{1}', '\u{e9}',
        ])),
    ) {
        let whole = format!("{{\"a\":{value}}}");
        prop_assert!(is_object(&whole));
        let places: Vec<usize> = whole.char_indices().map(|(at, _)| at).collect();
        let at = places[cut.index(places.len())];
        let mut broken = whole.clone();
        broken.remove(at);
        if let Some(put) = put {
            broken.insert(at, put);
        }
        prop_assert_eq!(is_object(&broken), is_object_elsewhere(&broken), "{}", broken);
    }

    #[test]
    fn both_readers_find_the_same(value in written()) {
        let mut found = Vec::new();
        let mut expected = Vec::new();
        if Kind::of(&value) == Kind::Object {
            members(&value, |_, raw| found.push(raw));
            let object: BTreeMap<&str, &RawValue> = serde_json::from_str(&value).unwrap();
            expected.extend(object.values().map(|raw| raw.get()));
        } else {
            elements(&value, |raw| found.push(raw));
            let list: Result<Vec<&RawValue>, _> = serde_json::from_str(&value);
            expected.extend(list.unwrap_or_default().iter().map(|raw| raw.get()));
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn strings_decode_as_elsewhere(pieces in proptest::collection::vec(piece(), 0..12)) {
        let raw = format!("\"{}\"", pieces.concat());
        if let Ok(expected) = serde_json::from_str::<String>(&raw) {
            prop_assert_eq!(string(&raw).unwrap(), expected);
        }
    }
}
