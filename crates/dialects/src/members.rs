//! Reads an object that has known members and others.

use std::borrow::Cow;

use crate::json;

/// The members of an object: those of known names, and the others.
pub(crate) struct Members<'a, const N: usize> {
    names: &'static [&'static str; N],
    values: [Option<&'a str>; N],
    /// Members of other names; of equal ones all but the last.
    pub(crate) others: Vec<(Cow<'a, str>, &'a str)>,
    /// What readers of this object would disagree about.
    pub(crate) ambiguity: Option<String>,
}

impl<'a, const N: usize> Members<'a, N> {
    /// Reads the members of an object whose names are exact.
    pub(crate) fn read(raw: &'a str, names: &'static [&'static str; N]) -> Self {
        let mut members = Self::new(names);
        json::members(raw, |key, value| members.add(key, value));
        members
    }

    /// Reads the members of an object whose names match in any case.
    pub(crate) fn read_folded(raw: &'a str, names: &'static [&'static str; N]) -> Self {
        let mut members = Self::new(names);
        json::members(raw, |key, value| {
            let folded = json::folded_key(&key).into_owned();
            members.add(folded.into(), value);
        });
        members
    }

    fn new(names: &'static [&'static str; N]) -> Self {
        Self {
            names,
            values: [None; N],
            others: Vec::new(),
            ambiguity: None,
        }
    }

    fn add(&mut self, key: Cow<'a, str>, value: &'a str) {
        let Some(at) = self.names.iter().position(|name| *name == key) else {
            if let Some(known) = differs_by_case(&key, self.names) {
                self.ambiguity = Some(format!("field {key} differs from {known} by case only"));
            }
            return self.others.push((key, value));
        };
        if let Some(earlier) = self.values[at].replace(value) {
            self.ambiguity = Some(format!("duplicate field: {key}"));
            self.others.push((key, earlier));
        }
    }

    /// Returns a known member's raw value; of equal ones the last.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let at = self.names.iter().position(|known| *known == name)?;
        self.values[at]
    }

    /// Returns a known member's text, empty if it is none.
    pub(crate) fn text(&self, name: &str) -> Cow<'a, str> {
        self.get(name).and_then(json::string).unwrap_or_default()
    }
}

/// Returns the known name that a name differs from by case alone.
pub(crate) fn differs_by_case<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    if name
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return None;
    }
    let folded = json::folded_key(&Cow::Borrowed(name));
    known.iter().find(|known| **known == folded).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_disagree_about_is_noted() {
        let check = |raw: &str, content: &str, others: usize, ambiguity: Option<&str>| {
            let members = Members::read(raw, &["role", "content"]);
            assert_eq!(members.text("content"), content, "{raw}");
            assert_eq!(members.others.len(), others, "{raw}");
            assert_eq!(members.ambiguity.as_deref(), ambiguity, "{raw}");
        };
        check(r#"{"role":"user","content":"a","x":1}"#, "a", 1, None);
        check(
            r#"{"content":"a","content":"b"}"#,
            "b",
            1,
            Some("duplicate field: content"),
        );
        check(
            r#"{"content":"a","Content":"b"}"#,
            "a",
            1,
            Some("field Content differs from content by case only"),
        );
        let folded = Members::read_folded(r#"{"Content":"b"}"#, &["content"]);
        assert_eq!(folded.text("content"), "b");
    }
}
