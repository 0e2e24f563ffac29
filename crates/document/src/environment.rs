//! `${NAME}` and `${NAME:-default}` inside scalars.
//!
//! Only names of upper-case letters, digits and underscores are environment variables. Everything
//! else in `${…}` is text: documents hold templates like `${user_content}`, which are filled in per
//! request. `$${` writes `${` itself.

use std::borrow::Cow;

/// A scalar after substitution.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Substituted<'a> {
    /// The text.
    pub(crate) text: Cow<'a, str>,
    /// Variables that are not set and have no default.
    pub(crate) missing: Vec<String>,
    /// Something was replaced.
    pub(crate) replaced: bool,
    /// A `${…}` that looks like a variable and is kept as text.
    pub(crate) suspicious: Option<String>,
}

/// Replaces variables by their values. An empty variable counts as unset where a default is given,
/// as in a shell.
pub(crate) fn substitute<'a>(
    text: &'a str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Substituted<'a> {
    let mut done = Substituted {
        text: Cow::Borrowed(text),
        ..Substituted::default()
    };
    if !text.contains("${") {
        return done;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((name, default, tail)) = variable(after) else {
            done.suspicious = done.suspicious.or_else(|| suspicious(after));
            out.push_str("${");
            rest = after;
            continue;
        };
        rest = tail;
        match (env(name), default) {
            (Some(value), None) => out.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => done.missing.push(name.to_owned()),
        }
        done.replaced = true;
    }
    out.push_str(rest);
    done.text = Cow::Owned(out);
    done
}

/// Returns the text that is written where this one is meant, variables in it taken as they stand.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    let read = substitute(text, &|_| None);
    if read.text == text && read.missing.is_empty() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.replace("${", "$${"))
    }
}

/// Splits `NAME}tail` or `NAME:-default}tail`.
fn variable(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (inside, tail) = text.split_once('}')?;
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let first = name.chars().next()?;
    let is_name = !first.is_ascii_digit()
        && name
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
    is_name.then_some((name, default, tail))
}

fn suspicious(after: &str) -> Option<String> {
    let (inside, _) = after.split_once('}')?;
    let starts_upper = inside
        .chars()
        .next()
        .is_some_and(|first| first.is_ascii_uppercase());
    starts_upper.then(|| format!("${{{inside}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_escaped_reads_as_it_was(text in "[$\\{\\}Aa0:_é-]{0,24}") {
            let written = escaped(&text);
            let read = substitute(&written, &|_| Some("a value".to_owned()));
            prop_assert_eq!(read.text.as_ref(), text.as_str());
        }
    }
}
