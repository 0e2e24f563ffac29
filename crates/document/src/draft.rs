//! A document that is edited where it stands: each edit replaces a span of the text, and comments,
//! order, quotes and blank lines stay.
//!
//! Parts are named by the paths of [`Problem`]. An edit that cannot be made for sure changes nothing
//! and says why.

mod place;
mod write;

use super::problem::Problem;
use super::scalar;
use super::tree::{self, Node, NodeKind, Step, push_key, steps};
use granit_parser::{Event, Parser};
use serde_json::{Map, Value};
use std::ops::Range;
use std::sync::Arc;

/// A text and where its parts stand.
#[derive(Debug, Clone)]
pub struct Draft {
    text: String,
    tree: Arc<Node>,
    /// For each line, the line of the text as it was read.
    origin: Vec<u32>,
    /// Problems that the text has without edits.
    problems: usize,
}

/// Why an edit was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct Unedited {
    path: String,
    why: String,
}

impl Unedited {
    /// Names the part and says why it stays.
    #[must_use]
    pub fn at(path: &str, why: &str) -> Self {
        let path = if path.is_empty() {
            "the document"
        } else {
            path
        };
        Self {
            path: path.to_owned(),
            why: why.to_owned(),
        }
    }

    /// Returns the path of the part that stays.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A part of a draft.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a>(&'a Node);

impl Draft {
    /// Reads a text.
    ///
    /// # Errors
    /// If it is not YAML.
    pub fn read(text: &str) -> Result<Self, Vec<Problem>> {
        let (tree, problems) = tree::parse(text);
        let Some(tree) = tree else {
            return Err(problems);
        };
        let lines = text.lines().count() + 1;
        Ok(Self {
            origin: (1..=u32::try_from(lines).unwrap_or(u32::MAX)).collect(),
            text: text.to_owned(),
            tree,
            problems: problems.len(),
        })
    }

    /// Returns the text, with all edits.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the whole document.
    #[must_use]
    pub fn root(&self) -> Part<'_> {
        Part(&self.tree)
    }

    /// Returns the part at a path.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<Part<'_>> {
        let mut part = self.root();
        for step in steps(path) {
            part = match step {
                Step::Key(key) => part.key(&key)?,
                Step::Index(index) => part.item(index)?,
            };
        }
        Some(part)
    }

    /// Returns the line of a part, or of its nearest ancestor, in the text as it was read.
    #[must_use]
    pub fn line(&self, path: &str) -> u32 {
        let line = tree::locate(&self.tree, path).line;
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        self.origin.get(index).copied().unwrap_or(line)
    }

    /// Returns the paths that are written and fit a pattern: `[]` stands for any index of a list,
    /// `*` for any key.
    #[must_use]
    pub fn matching(&self, pattern: &str) -> Vec<String> {
        let mut found = vec![(String::new(), self.root())];
        for step in pattern.split('.') {
            let name = step.trim_end_matches("[]");
            let depth = step.len().saturating_sub(name.len()) / 2;
            found = found
                .into_iter()
                .flat_map(|(path, part)| part.named(&path, name))
                .collect();
            for _ in 0..depth {
                found = found
                    .into_iter()
                    .flat_map(|(path, part)| part.indexed(&path))
                    .collect();
            }
        }
        found.into_iter().map(|(path, _)| path).collect()
    }

    /// Gives a key another name; quotes stay.
    ///
    /// # Errors
    /// If there is no such key, or one of that name beside it.
    pub fn rename(&mut self, path: &str, name: &str) -> Result<(), Unedited> {
        let (parent, key) = self.entry(path)?;
        if parent.key(name).is_some() {
            return Err(refusal(path, &format!("`{name}` stands beside it")));
        }
        let written = self.text.get(key.clone()).unwrap_or_default();
        let quote = written
            .get(..1)
            .filter(|first| matches!(*first, "\"" | "'"));
        let quote = quote.unwrap_or_default();
        let name = format!("{quote}{name}{quote}");
        self.replace(path, key, &name)
    }

    /// Gives a key another value.
    ///
    /// # Errors
    /// If there is no such key, or its value is an alias, has an anchor or holds comments.
    pub fn set(&mut self, path: &str, value: &Value) -> Result<(), Unedited> {
        let part = self
            .at(path)
            .ok_or_else(|| refusal(path, "it is not written"))?;
        let span = part.0.span.clone();
        let (_, key) = self.entry(path)?;
        let between = self.text.get(key.end..span.start).unwrap_or_default();
        if between.contains('&')
            || self
                .text
                .get(span.clone())
                .is_some_and(|it| it.starts_with('*'))
        {
            return Err(refusal(path, "its value has an anchor, or is an alias"));
        }
        if !self.comments(span.clone()).is_empty() {
            return Err(refusal(path, "its value holds comments"));
        }
        let words = self.words(value);
        if span.is_empty() {
            let colon = self.text.get(span.start..).and_then(|rest| rest.find(':'));
            let colon = colon.ok_or_else(|| refusal(path, "its value is not written"))?;
            let behind = span.start + colon + 1;
            return self.replace(path, behind..behind, &format!(" {words}"));
        }
        self.replace(path, span, &words)
    }

    /// Takes a key or an item away, and what holds nothing but it. Comments on its lines stay.
    ///
    /// # Errors
    /// If it shares its lines with what stays, in a form that is not understood.
    pub fn remove(&mut self, path: &str) -> Result<(), Unedited> {
        let path = self.outermost(path);
        let edit = self.removal(&path)?;
        self.replace(&path, edit.span, &edit.words)
    }

    /// Adds a key at the end of a mapping; `""` is the whole document.
    ///
    /// # Errors
    /// If there is no such mapping, or the key is there.
    pub fn insert(&mut self, path: &str, key: &str, value: &Value) -> Result<(), Unedited> {
        let part = self
            .at(path)
            .ok_or_else(|| refusal(path, "it is not written"))?;
        if part.key(key).is_some() {
            return Err(refusal(path, &format!("it has `{key}`")));
        }
        let edit = self.insertion(path, key, value)?;
        self.replace(path, edit.span, &edit.words)
    }

    /// Adds an item at the end of a list.
    ///
    /// # Errors
    /// If there is no such list.
    pub fn push(&mut self, path: &str, value: &Value) -> Result<(), Unedited> {
        let edit = self.addition(path, value)?;
        self.replace(path, edit.span, &edit.words)
    }

    /// Replaces a span, unless that leaves no document, or one with new problems.
    fn replace(&mut self, path: &str, span: Range<usize>, words: &str) -> Result<(), Unedited> {
        let (Some(before), Some(after)) = (self.text.get(..span.start), self.text.get(span.end..))
        else {
            return Err(refusal(path, "its place is not known"));
        };
        let text = format!("{before}{words}{after}");
        let (tree, problems) = tree::parse(&text);
        let Some(tree) = tree.filter(|_| problems.len() <= self.problems) else {
            return Err(refusal(
                path,
                "other parts refer to it, or stand on its lines",
            ));
        };
        self.origin = self.origins(span, words);
        self.text = text;
        self.tree = tree;
        Ok(())
    }

    /// Returns which line each line came from, once `words` stand in place of a span.
    fn origins(&self, span: Range<usize>, words: &str) -> Vec<u32> {
        let lines_before = |end: usize| {
            let text = self.text.get(..end).unwrap_or_default();
            text.bytes().filter(|byte| *byte == b'\n').count()
        };
        let (first, last) = (lines_before(span.start), lines_before(span.end));
        let added = words.bytes().filter(|byte| *byte == b'\n').count();
        let place = self.origin.get(first).copied().unwrap_or_default();
        let head = self.origin.iter().take(first + 1).copied();
        let rest = self.origin.iter().skip(last + 1).copied();
        let mut origin: Vec<u32> = head.chain(std::iter::repeat_n(place, added)).collect();
        // What follows the span on its last line now ends the last line of the words.
        if span.end > span.start
            && last > first
            && let (Some(end), Some(line)) = (origin.last_mut(), self.origin.get(last))
        {
            *end = *line;
        }
        origin.extend(rest);
        origin
    }

    /// Returns the mapping that a path's last key stands in, and the bytes of the key.
    fn entry(&self, path: &str) -> Result<(Part<'_>, Range<usize>), Unedited> {
        let written = || refusal(path, "it is not written");
        let (parent, last) = parent(path).ok_or_else(written)?;
        let part = self.at(&parent).ok_or_else(written)?;
        let (NodeKind::Map(entries), Step::Key(key)) = (&part.0.kind, last) else {
            return Err(written());
        };
        let entry = entries.iter().find(|entry| entry.key == key);
        Ok((part, entry.ok_or_else(written)?.span.clone()))
    }

    /// Returns the comments that begin within a span.
    fn comments(&self, span: Range<usize>) -> Vec<&str> {
        Parser::new_from_str(&self.text)
            .filter_map(Result::ok)
            .filter(|(event, _)| matches!(event, Event::Comment(..)))
            .filter_map(|(_, place)| place.byte_range())
            .filter(|place| span.contains(&place.start))
            .filter_map(|place| self.text.get(place))
            .collect()
    }
}

impl<'a> Part<'a> {
    /// Returns the value of a key.
    #[must_use]
    pub fn key(self, key: &str) -> Option<Self> {
        self.entries()
            .find(|(name, _)| *name == key)
            .map(|(_, part)| part)
    }

    /// Returns an item of a list.
    #[must_use]
    pub fn item(self, index: usize) -> Option<Self> {
        self.items().nth(index)
    }

    /// Returns keys and values of a mapping, in their order; nothing for other parts.
    pub fn entries(self) -> impl Iterator<Item = (&'a str, Self)> {
        let entries = match &self.0.kind {
            NodeKind::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries
            .iter()
            .map(|entry| (entry.key.as_str(), Self(&entry.value)))
    }

    /// Returns the items of a list; nothing for other parts.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let items = match &self.0.kind {
            NodeKind::List(items) => items.as_slice(),
            _ => &[],
        };
        items.iter().map(|item| Self(item))
    }

    /// Returns whether the part is a mapping.
    #[must_use]
    pub fn is_mapping(self) -> bool {
        matches!(self.0.kind, NodeKind::Map(_))
    }

    /// Returns whether the part is a list.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(self.0.kind, NodeKind::List(_))
    }

    /// Returns the text of a plain value; nothing for other parts and where nothing is written.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match &self.0.kind {
            NodeKind::Scalar { text, plain } if !scalar::is_null(text, *plain) => Some(text),
            _ => None,
        }
    }

    /// Returns what the part says, variables not replaced.
    #[must_use]
    pub fn value(self) -> Value {
        match &self.0.kind {
            NodeKind::Scalar { text, plain } => scalar::free(text, *plain),
            NodeKind::List(_) => self.items().map(Self::value).collect(),
            NodeKind::Map(_) => {
                let entries = self.entries();
                Value::Object(Map::from_iter(
                    entries.map(|(key, part)| (key.to_owned(), part.value())),
                ))
            }
        }
    }

    /// Returns the paths of the keys that a step of a pattern names.
    fn named(self, path: &str, name: &str) -> Vec<(String, Self)> {
        self.entries()
            .filter(|(key, _)| *key == name || name == "*")
            .map(|(key, part)| (joined(path, key), part))
            .collect()
    }

    fn indexed(self, path: &str) -> Vec<(String, Self)> {
        self.items()
            .enumerate()
            .map(|(index, part)| (format!("{path}[{index}]"), part))
            .collect()
    }
}

fn joined(path: &str, key: &str) -> String {
    let mut path = path.to_owned();
    push_key(&mut path, key);
    path
}

/// Returns a path without its last step, and that step.
fn parent(path: &str) -> Option<(String, Step)> {
    let mut steps = steps(path);
    let last = steps.pop()?;
    let mut parent = String::new();
    for step in steps {
        match step {
            Step::Key(key) => push_key(&mut parent, &key),
            Step::Index(index) => parent.push_str(&format!("[{index}]")),
        }
    }
    Some((parent, last))
}

fn refusal(path: &str, why: &str) -> Unedited {
    Unedited::at(path, why)
}

#[cfg(test)]
mod tests;
