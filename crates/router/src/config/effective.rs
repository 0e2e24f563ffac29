//! A document with its defaults filled in, and where each of its values came from.

use super::{Document, schema};
use document::{Loaded, Places, escaped, push_key, redact, yaml_text};
use serde_json::{Map, Number, Value};
use std::fmt::Write as _;

/// Returns the document as YAML with a comment at each value: the line that has it, or `default`.
///
/// Secrets are hidden. Keys that are not written and whose default is empty are left out, as they
/// say nothing. `None` if the text could not be read.
#[must_use]
pub fn effective(loaded: &Loaded<Document>) -> Option<String> {
    let typed = serde_json::to_value(loaded.document.as_ref()?).ok()?;
    let filled = redact(&typed, schema());
    let mut writer = Writer {
        out: String::new(),
        places: &loaded.places,
    };
    let written = Some(&loaded.value);
    writer.members(filled.as_object()?, written, "", Margin::default());
    Some(writer.out)
}

/// Where the text of a block begins.
#[derive(Debug, Clone, Copy, Default)]
struct Margin {
    /// Spaces before its keys.
    spaces: usize,
    /// The first key stands behind the dash of its list.
    is_behind_dash: bool,
}

impl Margin {
    fn deeper(self) -> Self {
        Self {
            spaces: self.spaces + 2,
            is_behind_dash: false,
        }
    }
}

struct Writer<'a> {
    out: String,
    places: &'a Places,
}

impl Writer<'_> {
    fn members(
        &mut self,
        members: &Map<String, Value>,
        written: Option<&Value>,
        path: &str,
        mut margin: Margin,
    ) {
        for (key, value) in members {
            let written = written.and_then(|written| written.get(key));
            if written.is_none() && is_empty(value) {
                continue;
            }
            let mut path = path.to_owned();
            push_key(&mut path, key);

            self.indent(margin);
            margin.is_behind_dash = false;
            self.out.push_str(&yaml_text(key));
            self.out.push(':');
            match value {
                Value::Object(members) if has_content(members, written) => {
                    self.out.push('\n');
                    self.members(members, written, &path, margin.deeper());
                }
                Value::Array(items) if !items.is_empty() => {
                    self.out.push('\n');
                    self.items(items, written, &path, margin.deeper());
                }
                Value::Object(_) => self.scalar(&Value::Object(Map::new()), written, &path),
                value => self.scalar(value, written, &path),
            }
        }
    }

    fn items(&mut self, items: &[Value], written: Option<&Value>, path: &str, margin: Margin) {
        for (index, value) in items.iter().enumerate() {
            let written = written.and_then(|written| written.get(index));
            let path = format!("{path}[{index}]");

            self.indent(margin);
            self.out.push('-');
            match value {
                Value::Object(members) if has_content(members, written) => {
                    self.out.push(' ');
                    let inner = Margin {
                        is_behind_dash: true,
                        ..margin.deeper()
                    };
                    self.members(members, written, &path, inner);
                }
                Value::Array(items) if !items.is_empty() => {
                    self.out.push('\n');
                    self.items(items, written, &path, margin.deeper());
                }
                Value::Object(_) => self.scalar(&Value::Object(Map::new()), written, &path),
                value => self.scalar(value, written, &path),
            }
        }
    }

    fn scalar(&mut self, value: &Value, written: Option<&Value>, path: &str) {
        let shown = match value {
            Value::String(value) => yaml_text(&escaped(value)),
            Value::Number(value) => number(value),
            value => value.to_string(),
        };
        let source = match written.and_then(|_| self.places.locate(path)) {
            Some((line, _)) => format!("line {line}"),
            None => "default".to_owned(),
        };
        // Writing to a string does not fail.
        let _ignored = writeln!(self.out, " {shown}  # {source}");
    }

    fn indent(&mut self, margin: Margin) {
        if !margin.is_behind_dash {
            self.out.extend(std::iter::repeat_n(' ', margin.spaces));
        }
    }
}

/// Tells whether a default says nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Tells whether anything of an object is shown.
fn has_content(members: &Map<String, Value>, written: Option<&Value>) -> bool {
    let is_written = |key: &String| written.is_some_and(|written| written.get(key).is_some());
    members
        .iter()
        .any(|(key, value)| is_written(key) || !is_empty(value))
}

/// Returns a number with no more digits than its type holds: single precision reads `0.85` as
/// `0.8500000238418579`.
fn number(number: &Number) -> String {
    let Some(double) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the loss is what is looked for"
    )]
    let single = double as f32;
    if f64::from(single) == double {
        single.to_string()
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::effective;
    use document::has_errors;

    fn filled(text: &str) -> String {
        let loaded = load(text, &|_| Some("http://h:1".into()));
        assert!(!has_errors(&loaded.problems), "{:?}", loaded.problems);
        effective(&loaded).unwrap()
    }

    #[test]
    fn each_value_says_where_it_came_from() {
        let text = filled(
            "version: v0.3\n\
             providers:\n\
             \x20 models:\n\
             \x20   - name: \"on\"\n\
             \x20     backend_refs:\n\
             \x20       - {name: a, base_url: \"${HOME_URL}\", api_key: sk-1}\n\
             routing:\n\
             \x20 signals:\n\
             \x20   embeddings: [{name: e, threshold: 0.85, candidates: [a]}]\n",
        );
        for line in [
            "version: v0.3  # line 1\n",
            "    - name: \"on\"  # line 4\n",
            "          base_url: \"http://h:1\"  # line 6\n",
            "          api_key: \"[redacted]\"  # line 6\n",
            "        threshold: 0.85  # line 9\n",
            "        - a  # line 9\n",
            "        aggregation_method: max  # default\n",
            "      - name: privacy_kb  # default\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("entrypoints"), "{text}");
    }

    /// What looks like a variable or breaks a line elsewhere is printed so that it reads as itself.
    #[test]
    fn texts_read_as_themselves() {
        for (written, printed) in [
            (r"say $${HOME_URL} now", r#""say $${HOME_URL} now""#),
            (r"${HOME_URL}", r#""http://h:1""#),
            (r"${user_content}", r#""${user_content}""#),
            (r"a\u0085b\u2028c\ufeffd", r#""a\u0085b\u2028c\ufeffd""#),
            (r"two\nlines", r#""two\nlines""#),
            ("off", r#""off""#),
        ] {
            let text = format!(
                "version: v0.3\nrouting:\n  signals:\n    keywords: [{{name: k, operator: OR, keywords: [\"{written}\"]}}]\n"
            );
            let once = filled(&text);
            assert!(
                once.contains(&format!("          - {printed}  # line 4\n")),
                "{once}"
            );
            assert_eq!(sourceless(&filled(&once)), sourceless(&once));
        }
    }

    fn sourceless(text: &str) -> Vec<&str> {
        let lines = text.lines();
        lines
            .map(|line| line.rsplit_once("  # ").map_or(line, |(line, _)| line))
            .collect()
    }

    /// What is printed reads as the same document, so that nothing was lost or added.
    #[test]
    fn what_is_printed_reads_as_the_same_document() {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
        let mut read = 0;
        for folder in std::fs::read_dir(examples).unwrap() {
            let Ok(text) = std::fs::read_to_string(folder.unwrap().path().join("config.yaml"))
            else {
                continue;
            };
            let once = filled(&text);
            let twice = filled(&once);
            assert_eq!(sourceless(&once), sourceless(&twice));
            read += 1;
        }
        assert!(read > 3, "{read} examples");
    }
}
