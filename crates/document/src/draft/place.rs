//! Where an edit goes: the lines of a block, the commas of a list in brackets.

use super::super::tree::{Entry, Node, NodeKind, Step};
use super::{Draft, Unedited, parent, refusal};
use serde_json::Value;
use std::ops::Range;

/// A span, and what stands there afterwards.
pub(super) struct Edit {
    pub(super) span: Range<usize>,
    pub(super) words: String,
}

impl Draft {
    /// Returns the path of the largest part that holds nothing but the part at `path`.
    pub(super) fn outermost(&self, path: &str) -> String {
        let mut path = path.to_owned();
        while let Some((above, _)) = parent(&path) {
            let alone = self.at(&above).is_some_and(|part| match &part.0.kind {
                NodeKind::List(items) => items.len() == 1,
                NodeKind::Map(entries) => entries.len() == 1,
                NodeKind::Scalar { .. } => false,
            });
            if !alone || above.is_empty() {
                break;
            }
            path = above;
        }
        path
    }

    /// Returns the edit that takes away the part at `path`.
    pub(super) fn removal(&self, path: &str) -> Result<Edit, Unedited> {
        let unknown = || refusal(path, "it is not written");
        let (above, last) = parent(path).ok_or_else(unknown)?;
        let above = self.at(&above).ok_or_else(unknown)?.0;

        let spans = parts(above);
        let own = match (&above.kind, &last) {
            (NodeKind::Map(entries), Step::Key(key)) => entries
                .iter()
                .find(|entry| entry.key == *key)
                .map(span_of_entry),
            (NodeKind::List(items), Step::Index(index)) => {
                items.get(*index).map(|item| item.span.clone())
            }
            _ => None,
        };
        let own = own.ok_or_else(unknown)?;

        if above.flow {
            return self.removal_in_flow(path, &spans, &own);
        }
        match last {
            Step::Key(_) => self.removal_of_lines(path, &spans, &own),
            Step::Index(_) => self.removal_of_item(path, &own),
        }
    }

    /// Takes away an entry of a block: its lines, or what stands between `- ` and the next key.
    fn removal_of_lines(
        &self,
        path: &str,
        spans: &[Range<usize>],
        own: &Range<usize>,
    ) -> Result<Edit, Unedited> {
        let start = self.line_start(own.start);
        let before = self.text.get(start..own.start).unwrap_or_default();
        let indent: String = before.chars().take_while(|it| *it == ' ').collect();
        if before.chars().all(|it| it == ' ') {
            let end = self.next_line(self.end_of_line(self.trimmed(own)));
            return Ok(Edit {
                words: self.kept(start..end, &indent),
                span: start..end,
            });
        }

        let next = spans
            .iter()
            .map(|span| span.start)
            .filter(|next| *next > own.start)
            .min();
        let is_item = before.chars().all(|it| matches!(it, ' ' | '-'));
        match next.filter(|_| is_item) {
            Some(next) => Ok(Edit {
                words: format!("{}{before}", self.kept(own.start..next, &indent)),
                span: start..next,
            }),
            None => Err(refusal(path, "it stands on one line with other parts")),
        }
    }

    /// Takes away an item of a block, with its dash.
    fn removal_of_item(&self, path: &str, own: &Range<usize>) -> Result<Edit, Unedited> {
        let start = self.line_start(own.start);
        let before = self.text.get(start..own.start).unwrap_or_default();
        if before.trim() != "-" {
            return Err(refusal(path, "its dash stands on another line"));
        }
        let indent: String = before.chars().take_while(|it| *it == ' ').collect();
        let end = self.next_line(self.end_of_line(self.trimmed(own)));
        Ok(Edit {
            words: self.kept(start..end, &indent),
            span: start..end,
        })
    }

    /// Takes away a part between brackets or braces, with one comma.
    fn removal_in_flow(
        &self,
        path: &str,
        spans: &[Range<usize>],
        own: &Range<usize>,
    ) -> Result<Edit, Unedited> {
        let next = spans
            .iter()
            .map(|span| span.start)
            .filter(|next| *next > own.start)
            .min();
        let previous = spans
            .iter()
            .map(|span| span.end)
            .filter(|end| *end <= own.start)
            .max();
        let span = match (next, previous) {
            (Some(next), _) => own.start..next,
            (None, Some(previous)) => previous..own.end,
            (None, None) => own.clone(),
        };
        if !self.comments(span.clone()).is_empty() {
            return Err(refusal(path, "comments stand between the braces"));
        }
        Ok(Edit {
            span,
            words: String::new(),
        })
    }

    /// Returns the edit that adds a key to a mapping.
    pub(super) fn insertion(&self, path: &str, key: &str, value: &Value) -> Result<Edit, Unedited> {
        let part = self
            .at(path)
            .ok_or_else(|| refusal(path, "it is not written"))?;
        let NodeKind::Map(entries) = &part.0.kind else {
            return Err(refusal(path, "it is no mapping"));
        };
        self.not_an_alias(path, part.0)?;
        let own = entries.iter().filter(|entry| !entry.merged);
        if part.0.flow {
            let words = format!("{}: {}", self.key_words(key), self.words(value));
            let last = own.map(span_of_entry).map(|span| span.end).max();
            return Ok(in_braces(part.0, last, &words));
        }

        let last = own.max_by_key(|entry| entry.span.start);
        let last = last.ok_or_else(|| refusal(path, "it has no key of its own"))?;
        let column = usize::try_from(last.mark.column.saturating_sub(1)).unwrap_or_default();
        let indent = " ".repeat(column);
        let words = self.block(key, value, &indent);
        Ok(self.behind(&span_of_entry(last), &words))
    }

    /// Returns the edit that adds an item to a list.
    pub(super) fn addition(&self, path: &str, value: &Value) -> Result<Edit, Unedited> {
        let part = self
            .at(path)
            .ok_or_else(|| refusal(path, "it is not written"))?;
        let NodeKind::List(items) = &part.0.kind else {
            return Err(refusal(path, "it is no list"));
        };
        self.not_an_alias(path, part.0)?;
        let words = self.words(value);
        let last = items.last().map(|item| item.span.clone());
        if part.0.flow {
            return Ok(in_braces(part.0, last.map(|span| span.end), &words));
        }

        let last = last.ok_or_else(|| refusal(path, "it has no item"))?;
        let start = self.line_start(last.start);
        let before = self.text.get(start..last.start).unwrap_or_default();
        let Some((indent, _)) = before.split_once('-') else {
            return Err(refusal(
                path,
                "the dash of its last item stands on another line",
            ));
        };
        Ok(self.behind(&last, &format!("{indent}- {words}")))
    }

    fn not_an_alias(&self, path: &str, node: &Node) -> Result<(), Unedited> {
        let written = self.text.get(node.span.clone()).unwrap_or_default();
        if written.starts_with('*') {
            return Err(refusal(path, "it is an alias"));
        }
        Ok(())
    }

    /// Puts a line behind the lines of a part.
    fn behind(&self, span: &Range<usize>, line: &str) -> Edit {
        let end = self.end_of_line(self.trimmed(span));
        Edit {
            span: end..end,
            words: format!("{}{line}", self.newline()),
        }
    }

    /// Returns the comments of a span, each on a line of its own.
    fn kept(&self, span: Range<usize>, indent: &str) -> String {
        let newline = self.newline();
        let comments = self.comments(span);
        comments
            .iter()
            .map(|comment| format!("{indent}{comment}{newline}"))
            .collect()
    }

    /// Returns the end of a part without the blank lines behind it.
    fn trimmed(&self, span: &Range<usize>) -> usize {
        let text = self.text.get(span.clone()).unwrap_or_default();
        span.start + text.trim_end().len()
    }

    fn line_start(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        before.rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Returns the end of a line, its line break excluded.
    fn end_of_line(&self, at: usize) -> usize {
        let after = self.text.get(at..).unwrap_or_default();
        let line = after.split('\n').next().unwrap_or_default();
        at + line.trim_end_matches('\r').len()
    }

    fn next_line(&self, end: usize) -> usize {
        let after = self.text.get(end..).unwrap_or_default();
        end + ["\r\n", "\n"]
            .iter()
            .find(|newline| after.starts_with(**newline))
            .map_or(0, |newline| newline.len())
    }

    fn newline(&self) -> &'static str {
        if self.text.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        }
    }
}

/// Adds words before the closing bracket.
fn in_braces(node: &Node, last: Option<usize>, words: &str) -> Edit {
    match last {
        Some(end) => Edit {
            span: end..end,
            words: format!(", {words}"),
        },
        None => Edit {
            span: node.span.start + 1..node.span.start + 1,
            words: words.to_owned(),
        },
    }
}

fn span_of_entry(entry: &Entry) -> Range<usize> {
    entry.span.start..entry.span.end.max(entry.value.span.end)
}

/// Returns the spans of what a node holds itself.
fn parts(node: &Node) -> Vec<Range<usize>> {
    match &node.kind {
        NodeKind::Scalar { .. } => Vec::new(),
        NodeKind::List(items) => items.iter().map(|item| item.span.clone()).collect(),
        NodeKind::Map(entries) => entries
            .iter()
            .filter(|entry| !entry.merged)
            .map(span_of_entry)
            .collect(),
    }
}
