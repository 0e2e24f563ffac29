//! YAML as one located tree: every key and value with its line and column.
//!
//! Anchors, aliases and merge keys are resolved here; duplicate keys, deep nesting and exploding
//! aliases are refused.

use super::problem::Problem;
use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most nodes, aliases expanded.
const MAX_NODES: usize = 250_000;

/// A place in the text, both from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    /// Bytes of the text: of the alias, where the value is one.
    pub(crate) span: Range<usize>,
    /// Whether the value is written with brackets or braces.
    pub(crate) flow: bool,
    pub(crate) kind: NodeKind,
    nodes: usize,
    depth: usize,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    /// Text; `plain` if it stands without quotes, so that it may mean a number, a boolean or
    /// nothing.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Arc<Node>>),
    /// A mapping in the order written, merged entries last.
    Map(Vec<Entry>),
}

/// A key of a mapping and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Mark,
    /// Bytes of the key, quotes included.
    pub(crate) span: Range<usize>,
    /// Whether the entry comes by `<<` from another mapping.
    pub(crate) merged: bool,
    pub(crate) value: Arc<Node>,
}

/// Parses one document. The tree is `None` after a syntax error; other problems leave a usable
/// tree.
pub(crate) fn parse(text: &str) -> (Option<Arc<Node>>, Vec<Problem>) {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut composer = Composer::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let outcome = match next {
            Ok((event, span)) => composer.event(event, span),
            Err(error) => {
                let marker = error.marker();
                Err(problem(
                    mark_at(marker.line(), marker.col()),
                    format!("not YAML: {}", error.info()),
                ))
            }
        };
        if let Err(problem) = outcome {
            composer.problems.push(problem);
            return (None, composer.problems);
        }
    }
    if composer.root.is_none() {
        composer
            .problems
            .push(problem(mark_at(1, 0), "the document is empty"));
    }
    (composer.root, composer.problems)
}

/// The place of `path`, or of its nearest ancestor that is written.
pub(crate) fn locate(root: &Node, path: &str) -> Mark {
    let mut mark = root.mark;
    let mut node = root;
    for step in steps(path) {
        let next = match (&node.kind, &step) {
            (NodeKind::Map(entries), Step::Key(key)) => entries
                .iter()
                .find(|entry| entry.key == *key)
                .map(|entry| (entry.mark, &entry.value)),
            (NodeKind::List(items), Step::Index(index)) => {
                items.get(*index).map(|item| (item.mark, item))
            }
            _ => None,
        };
        let Some((place, child)) = next else { break };
        mark = place;
        node = child;
    }
    mark
}

/// Appends `.key`, or `["key"]` where the key would not read as one word.
pub fn push_key(path: &mut String, key: &str) {
    let word = !key.is_empty()
        && key
            .chars()
            .all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '/' | '<'));
    if !word {
        path.push_str(&format!("[{}]", serde_json::Value::from(key)));
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// Returns the steps of a path.
pub(crate) fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        if first == '.' {
            rest = rest.strip_prefix('.').unwrap_or_default();
        } else if let Some(bracket) = rest.strip_prefix('[') {
            let mut quoted =
                serde_json::Deserializer::from_str(bracket).into_iter::<serde_json::Value>();
            let Some(Ok(inside)) = quoted.next() else {
                break;
            };
            let after = bracket.get(quoted.byte_offset()..).unwrap_or_default();
            rest = after.strip_prefix(']').unwrap_or(after);
            steps.push(match inside {
                serde_json::Value::String(key) => Step::Key(key),
                other => Step::Index(
                    other
                        .as_u64()
                        .and_then(|index| usize::try_from(index).ok())
                        .unwrap_or(usize::MAX),
                ),
            });
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        }
    }
    steps
}

#[derive(Default)]
struct Composer {
    root: Option<Arc<Node>>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Arc<Node>>,
    problems: Vec<Problem>,
    documents: usize,
    nodes: usize,
}

struct Frame {
    mark: Mark,
    start: usize,
    flow: bool,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Arc<Node>>),
    Map {
        entries: Vec<Entry>,
        known: HashMap<String, Mark>,
        key: Option<Key>,
    },
}

/// A key whose value comes next.
struct Key {
    name: String,
    mark: Mark,
    span: Range<usize>,
    /// Not written before in the same mapping.
    first: bool,
}

impl Composer {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let mark = mark_at(span.start.line(), span.start.col());
        let bytes = span.byte_range().unwrap_or_default();
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(problem(
                        mark,
                        "a second YAML document begins here; one file holds one document",
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain =
                    matches!(style, ScalarStyle::Plain) && !is_text_tag(tag.as_deref(), mark)?;
                let text = text.into_owned();
                let span = self.span_of_scalar(bytes);
                let kind = NodeKind::Scalar { text, plain };
                self.finish(mark, span, false, anchor, kind)?;
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(Frame {
                    mark,
                    start: bytes.start,
                    flow: matches!(style, StructureStyle::Flow),
                    anchor,
                    content: Content::List(Vec::new()),
                })?;
            }
            Event::MappingStart(style, anchor, _) => {
                self.open(Frame {
                    mark,
                    start: bytes.start,
                    flow: matches!(style, StructureStyle::Flow),
                    anchor,
                    content: Content::Map {
                        entries: Vec::new(),
                        known: HashMap::new(),
                        key: None,
                    },
                })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(bytes.end)?,
            Event::Alias(id) => {
                let node = self.anchors.get(&id);
                let node = node.ok_or_else(|| {
                    problem(mark, "this alias refers to the value that it is part of")
                })?;
                let node = Node {
                    span: bytes,
                    ..Node::clone(node)
                };
                self.attach(Arc::new(node), mark)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns where a scalar stands: one that is not written stands behind its key.
    fn span_of_scalar(&self, span: Range<usize>) -> Range<usize> {
        match self.stack.last().map(|frame| &frame.content) {
            Some(Content::Map { key: Some(key), .. }) if span.is_empty() => {
                key.span.end..key.span.end
            }
            _ => span,
        }
    }

    fn open(&mut self, frame: Frame) -> Result<(), Problem> {
        let mark = frame.mark;
        if let Some(Frame {
            content: Content::Map { key: None, .. },
            ..
        }) = self.stack.last()
        {
            return Err(problem(mark, "a list or mapping cannot be a key"));
        }
        self.stack.push(frame);
        self.bound_depth(mark, 0)
    }

    fn close(&mut self, end: usize) -> Result<(), Problem> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        // The parser ends a block where the next one begins; it ends with its last part.
        let last = match &frame.content {
            Content::List(items) => items.iter().map(|item| item.span.end).max(),
            Content::Map { entries, .. } => entries
                .iter()
                .map(|entry| entry.span.end.max(entry.value.span.end))
                .max(),
        };
        let end = if frame.flow {
            end
        } else {
            last.unwrap_or(frame.start)
        };
        let kind = match frame.content {
            Content::List(items) => NodeKind::List(items),
            Content::Map { entries, .. } => NodeKind::Map(merge(entries, &mut self.problems)),
        };
        let span = frame.start..end.max(frame.start);
        self.finish(frame.mark, span, frame.flow, frame.anchor, kind)
    }

    fn finish(
        &mut self,
        mark: Mark,
        span: Range<usize>,
        flow: bool,
        anchor: usize,
        kind: NodeKind,
    ) -> Result<(), Problem> {
        let children: Vec<&Arc<Node>> = match &kind {
            NodeKind::Scalar { .. } => Vec::new(),
            NodeKind::List(items) => items.iter().collect(),
            NodeKind::Map(entries) => entries.iter().map(|entry| &entry.value).collect(),
        };
        let nodes = 1 + children.iter().map(|child| child.nodes).sum::<usize>();
        let depth = 1 + children.iter().map(|child| child.depth).max().unwrap_or(0);
        let node = Arc::new(Node {
            mark,
            span,
            flow,
            kind,
            nodes,
            depth,
        });
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        self.nodes += 1;
        self.attach(node, mark)
    }

    fn attach(&mut self, node: Arc<Node>, mark: Mark) -> Result<(), Problem> {
        self.bound_depth(mark, node.depth)?;
        self.nodes = self.nodes.max(node.nodes);
        if self.nodes > MAX_NODES {
            return Err(problem(
                mark,
                format!("more than {MAX_NODES} values, aliases expanded"),
            ));
        }
        let path = self.path();
        let Some(frame) = self.stack.last_mut() else {
            self.root.get_or_insert(node);
            return Ok(());
        };
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map {
                entries,
                known,
                key,
            } => match (key.take(), &node.kind) {
                (Some(key), _) if key.first => entries.push(Entry {
                    key: key.name,
                    mark: key.mark,
                    span: key.span,
                    merged: false,
                    value: node,
                }),
                (Some(_), _) => {}
                (None, NodeKind::Scalar { text, .. }) => {
                    let first = known.insert(text.clone(), mark);
                    if let Some(first) = first {
                        known.insert(text.clone(), first);
                        self.problems.push(duplicate(path, text, first, mark));
                    }
                    *key = Some(Key {
                        name: text.clone(),
                        mark,
                        span: node.span.clone(),
                        first: first.is_none(),
                    });
                }
                (None, _) => return Err(problem(mark, "a list or mapping cannot be a key")),
            },
        }
        Ok(())
    }

    fn bound_depth(&self, mark: Mark, below: usize) -> Result<(), Problem> {
        if self.stack.len() + below > MAX_DEPTH {
            return Err(problem(
                mark,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        Ok(())
    }

    fn path(&self) -> String {
        let mut path = String::new();
        let inner = self.stack.len().saturating_sub(1);
        for frame in self.stack.iter().take(inner) {
            match &frame.content {
                Content::List(items) => path.push_str(&format!("[{}]", items.len())),
                Content::Map { key: Some(key), .. } => push_key(&mut path, &key.name),
                Content::Map { .. } => {}
            }
        }
        path
    }
}

/// Resolves `<<`: entries of the merged mappings stand in for keys that are not written.
fn merge(entries: Vec<Entry>, problems: &mut Vec<Problem>) -> Vec<Entry> {
    if entries.iter().all(|entry| entry.key != "<<") {
        return entries;
    }
    let (merges, mut merged): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.key == "<<");
    for entry in merges {
        let sources = match &entry.value.kind {
            NodeKind::List(items) => items.clone(),
            _ => vec![Arc::clone(&entry.value)],
        };
        for source in sources {
            let NodeKind::Map(inherited) = &source.kind else {
                problems.push(problem(
                    source.mark,
                    "`<<` takes a mapping or a list of mappings",
                ));
                continue;
            };
            for inherited in inherited {
                if merged.iter().all(|own: &Entry| own.key != inherited.key) {
                    merged.push(Entry {
                        merged: true,
                        ..inherited.clone()
                    });
                }
            }
        }
    }
    merged
}

fn is_text_tag(tag: Option<&Tag>, mark: Mark) -> Result<bool, Problem> {
    match tag {
        None => Ok(false),
        Some(tag) => match tag.core_suffix() {
            Some("str") => Ok(true),
            Some("int" | "float" | "bool" | "null") => Ok(false),
            _ => Err(problem(
                mark,
                "tags are not used here; write the plain value",
            )),
        },
    }
}

fn duplicate(mut path: String, key: &str, first: Mark, mark: Mark) -> Problem {
    push_key(&mut path, key);
    let message = format!(
        "the key `{key}` is written twice, first on line {}",
        first.line
    );
    Problem {
        path,
        ..problem(mark, message)
    }
}

fn problem(mark: Mark, message: impl Into<String>) -> Problem {
    Problem {
        line: mark.line,
        column: mark.column,
        ..Problem::error("", message)
    }
}

fn mark_at(line: usize, column: usize) -> Mark {
    Mark {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column.saturating_add(1)).unwrap_or(u32::MAX),
    }
}
