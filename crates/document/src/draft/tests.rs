//! Edits of small documents: what changes, and what stays.

use super::*;
use proptest::prelude::*;
use serde_json::json;

type Edited = Result<(), Unedited>;

fn check(before: &str, edit: impl Fn(&mut Draft) -> Edited, after: &str) {
    let mut draft = Draft::read(before).unwrap();
    edit(&mut draft).unwrap_or_else(|error| panic!("{error} in\n{before}"));
    assert_eq!(draft.text(), after);
}

fn refused(before: &str, edit: impl Fn(&mut Draft) -> Edited, why: &str) {
    let mut draft = Draft::read(before).unwrap();
    let error = edit(&mut draft).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
    assert_eq!(draft.text(), before);
}

#[test]
fn names() {
    let rename = |draft: &mut Draft| draft.rename("a.b", "c");
    check("a:\n  b: 1  # one\n", rename, "a:\n  c: 1  # one\n");
    check("a: {'b' : 1, d: 2}\n", rename, "a: {'c' : 1, d: 2}\n");
    check(r#"{"a": {"b": 1}}"#, rename, r#"{"a": {"c": 1}}"#);
    check(
        "x: &x {b: 1}\na: {<<: *x}\n",
        rename,
        "x: &x {c: 1}\na: {<<: *x}\n",
    );
    check(
        "a:\n  b: &t |\n    long\n",
        rename,
        "a:\n  c: &t |\n    long\n",
    );
    refused("a: {b: 1, c: 2}", rename, "`c` stands beside it");
    refused("a: {}", rename, "not written");
}

#[test]
fn values() {
    let set = |draft: &mut Draft| draft.set("a[0].b", &json!({"x": "v w", "u": 0.5}));
    check(
        "a:\n- b: 1  # one\n",
        set,
        "a:\n- b: {x: \"v w\", u: 0.5}  # one\n",
    );
    check(
        "a: [{b: 'q', c: 2}]\n",
        set,
        "a: [{b: {x: \"v w\", u: 0.5}, c: 2}]\n",
    );
    check(
        "a:\n- b:\n  c: 1\n",
        set,
        "a:\n- b: {x: \"v w\", u: 0.5}\n  c: 1\n",
    );
    check(
        r#"{"a": [{"b": 1}]}"#,
        set,
        r#"{"a": [{"b": {"x":"v w","u":0.5}}]}"#,
    );
    refused("a:\n- b: &x 1\nc: *x\n", set, "anchor");
    refused("c: &x 1\na:\n- b: *x\n", set, "alias");
    refused("a:\n- b: {c: 1,  # one\n       d: 2}\n", set, "comments");
}

#[test]
fn parts_taken_away() {
    let remove = |draft: &mut Draft| draft.remove("a.b");
    check("a:\n  b: 1\n  c: 2\n", remove, "a:\n  c: 2\n");
    check("a:\n  c: 2\n  b: 1", remove, "a:\n  c: 2\n");
    check(
        "a:\n  b: 1  # why\n  c: 2\n",
        remove,
        "a:\n  # why\n  c: 2\n",
    );
    check(
        "a:\n  # above\n  b:\n    # in it\n    d: 1\n\n  c: 2\n",
        remove,
        "a:\n  # above\n  # in it\n\n  c: 2\n",
    );
    check(
        "a:\n  b: |\n    x\n    y\n\n  c: 2\n",
        remove,
        "a:\n\n  c: 2\n",
    );
    check("a: {b: 1, c: 2}\n", remove, "a: {c: 2}\n");
    check("a: {c: 2, b: [1]}\n", remove, "a: {c: 2}\n");
    check("a: {b: 1}\nc: 2\n", remove, "c: 2\n");
    check("a:\n  b:\nc: 2\n", remove, "c: 2\n");
    check(r#"{"a": {"b": 1}, "c": 2}"#, remove, r#"{"c": 2}"#);
    check(
        "a:\r\n  b: 1 # x\r\n  c: 2\r\n",
        remove,
        "a:\r\n  # x\r\n  c: 2\r\n",
    );
    refused("a: {c: 2, # two\n  b: 1}\n", remove, "comments");
    refused(
        "a:\n  b: &x 1\n  c: *x\n",
        remove,
        "other parts refer to it",
    );

    let remove = |draft: &mut Draft| draft.remove("a[0].b");
    check("a:\n  - b: 1\n    c: 2\n", remove, "a:\n  - c: 2\n");
    check("a:\n- b: 1 # x\n  c: 2\n", remove, "a:\n# x\n- c: 2\n");
    check("a:\n- b: 1\n- c: 2\n", remove, "a:\n- c: 2\n");
    check(
        "a:\n- c: 2\n  b: 1\n- d: 3\n",
        remove,
        "a:\n- c: 2\n- d: 3\n",
    );
    check("a: [{b: 1}, {c: 2}]\n", remove, "a: [{c: 2}]\n");
    check("a:\n- b: 1\nc: 2\n", remove, "c: 2\n");
}

#[test]
fn parts_added() {
    let insert = |draft: &mut Draft| draft.insert("a", "k", &json!({"x": 1}));
    check(
        "a:\n  b: 1 # one\n\nc: 2\n",
        insert,
        "a:\n  b: 1 # one\n  k: {x: 1}\n\nc: 2\n",
    );
    check(
        "a:\n  b:\n    d: 1",
        insert,
        "a:\n  b:\n    d: 1\n  k: {x: 1}",
    );
    check("a: {b: 1}\n", insert, "a: {b: 1, k: {x: 1}}\n");
    check("a: {}\n", insert, "a: {k: {x: 1}}\n");
    check(r#"{"a": {}}"#, insert, r#"{"a": {"k": {"x":1}}}"#);
    check(
        "a:\n  b: |\n    x\nc: 2\n",
        insert,
        "a:\n  b: |\n    x\n  k: {x: 1}\nc: 2\n",
    );
    refused("a: {k: 1}", insert, "it has `k`");
    refused("b: &x {c: 1}\na: *x\n", insert, "alias");

    let insert = |draft: &mut Draft| draft.insert("", "k", &json!({"x": [{"u": 1}, {"u": 2}]}));
    check(
        "a: 1\n",
        insert,
        "a: 1\nk:\n  x:\n    - {u: 1}\n    - {u: 2}\n",
    );

    let push = |draft: &mut Draft| draft.push("a", &json!({"x": "0.5"}));
    check(
        "a:\n  - {b: 1}\nc: 2\n",
        push,
        "a:\n  - {b: 1}\n  - {x: \"0.5\"}\nc: 2\n",
    );
    check(
        "a:\n- b: 1\n  c: 2 # two\n",
        push,
        "a:\n- b: 1\n  c: 2 # two\n- {x: \"0.5\"}\n",
    );
    check("a: []\n", push, "a: [{x: \"0.5\"}]\n");
    check("a: [1]\n", push, "a: [1, {x: \"0.5\"}]\n");
}

#[test]
fn lines_are_those_of_the_text_as_read() {
    let mut draft = Draft::read("a:\n  b: 1\n  c: 2\nd:\n  e: 3\nf: 4\n").unwrap();
    draft.remove("a.b").unwrap();
    assert_eq!(draft.line("d.e"), 5);
    draft.insert("a", "x", &json!({"y": [1, 2]})).unwrap();
    assert_eq!(
        (draft.line("a.c"), draft.line("d.e"), draft.line("f")),
        (3, 5, 6)
    );
    assert_eq!(draft.line("a.x"), 3);
}

#[test]
fn patterns() {
    let draft = Draft::read("a: [{b: 1}, {c: 2}, {b: 3}]\nd: {e: {b: 4}, f: {b: 5}}\n").unwrap();
    assert_eq!(draft.matching("a[].b"), ["a[0].b", "a[2].b"]);
    assert_eq!(draft.matching("d.*.b"), ["d.e.b", "d.f.b"]);
    assert_eq!(draft.matching("a[]"), ["a[0]", "a[1]", "a[2]"]);
    assert_eq!(draft.matching("x.y"), Vec::<String>::new());
}

/// Writes a value as a block, with a comment behind each line.
fn written(value: &Value, indent: &str, out: &mut String) {
    for (key, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                out.push_str(&format!("{indent}{key}:  # {key}\n"));
                written(value, &format!("{indent}  "), out);
            }
            Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
                out.push_str(&format!("{indent}{key}:\n"));
                for item in items {
                    let mut lines = String::new();
                    written(item, &format!("{indent}    "), &mut lines);
                    let rest = lines.get(indent.len() + 4..).unwrap_or("{}\n");
                    out.push_str(&format!("{indent}  - {rest}"));
                }
            }
            other => out.push_str(&format!("{indent}{key}: {other}  # {key}\n\n")),
        }
    }
}

fn values_of_depth() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-z#:]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::btree_map("[a-d]", inner.clone(), 1..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            prop::collection::vec(
                prop::collection::btree_map("[a-d]", inner, 1..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
                1..4
            )
            .prop_map(Value::Array),
        ]
    })
}

fn paths(part: Part<'_>, path: &str, out: &mut Vec<String>) {
    let below = part.named(path, "*").into_iter().chain(part.indexed(path));
    for (path, part) in below {
        paths(part, &path, out);
        out.push(path);
    }
}

proptest! {
    /// An edit changes the part that it names and nothing else, and keeps every comment.
    #[test]
    fn edits_change_what_they_name(
        fields in prop::collection::btree_map("[a-d]", values_of_depth(), 1..5),
        which in any::<prop::sample::Index>(),
    ) {
        let value = Value::Object(fields.into_iter().collect());
        let mut text = String::new();
        written(&value, "", &mut text);
        let draft = Draft::read(&text).unwrap();
        prop_assert_eq!(draft.root().value(), value.clone());
        let mut all = Vec::new();
        paths(draft.root(), "", &mut all);
        let path = which.get(&all).clone();
        let comments = |draft: &Draft| draft.comments(0..draft.text.len()).len();

        let mut renamed = draft.clone();
        if renamed.rename(&path, "z").is_ok() {
            prop_assert_eq!(renamed.text().len() , text.len());
            prop_assert_eq!(comments(&renamed), comments(&draft));
        }
        let mut removed = draft.clone();
        if removed.remove(&path).is_ok() {
            prop_assert_eq!(comments(&removed), comments(&draft), "{}", removed.text());
            let outermost = draft.outermost(&path);
            let mut expected = value.clone();
            let (above, last) = parent(&outermost).unwrap();
            let pointer = above.replace(['.', '['], "/").replace(']', "");
            let pointer = if pointer.is_empty() { pointer } else { format!("/{pointer}") };
            match (expected.pointer_mut(&pointer).unwrap(), last) {
                (Value::Object(fields), Step::Key(key)) => drop(fields.remove(&key)),
                (Value::Array(items), Step::Index(index)) => drop(items.remove(index)),
                other => panic!("{other:?}"),
            }
            prop_assert_eq!(removed.root().value(), expected, "{}\n{}", text, removed.text());
        }
        let mut inserted = draft.clone();
        inserted.insert("", "z", &json!([1])).unwrap();
        prop_assert_eq!(comments(&inserted), comments(&draft));
        prop_assert_eq!(inserted.root().key("z").unwrap().value(), json!([1]));
    }
}
