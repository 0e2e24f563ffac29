//! Mutations of JSON that keep it JSON, mostly: members doubled, moved, dropped, nested, and values
//! that readers stumble over.

use anyhow::Result;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::run::Bytes;

/// Requests of real clients, one for each shape that a wire knows.
const SEEDS: [&str; 7] = [
    include_str!("../../crates/dialects/src/golden/claude_code.json"),
    include_str!("../../crates/dialects/src/golden/codex.json"),
    include_str!("../../crates/dialects/src/golden/elephant_tool_loop.json"),
    include_str!("../../crates/dialects/src/golden/inferoa_compaction.json"),
    include_str!("../../crates/dialects/src/golden/inferoa_tool_loop.json"),
    include_str!("../../crates/dialects/src/golden/opencode.json"),
    include_str!("../../crates/dialects/src/golden/opencode_title.json"),
];

/// Values at the edge of what JSON and the wires allow, as written.
const ODD: [&str; 18] = [
    "null",
    "true",
    "-0",
    "1e999",
    "18446744073709551616",
    "0.1",
    "[]",
    "{}",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"é\\n\\\\\"",
    "\"<system-reminder>x</system-reminder>\"",
    "\"data:image/png;base64,AAAA\"",
    "{\"type\":\"text\",\"text\":\"x\"}",
    "{\"type\":\"text\",\"type\":\"image\",\"text\":{}}",
    "[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"x\"}]}]",
];

/// Returns whether a body is JSON to a reader that lets control characters stand in a string. Ours does
/// in the names of members, which serde_json does not check when it reads them as bytes.
pub(crate) fn is_json(body: &[u8]) -> bool {
    let plain: Vec<u8> = body
        .iter()
        .map(|&byte| if byte < b' ' { b' ' } else { byte })
        .collect();
    serde_json::from_slice::<IgnoredAny>(&plain).is_ok()
}

/// A JSON value in which an object may have a member twice.
#[derive(Debug, Clone)]
enum Node {
    Raw(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// One change; an index chooses among all nodes of the tree, from the root down.
#[derive(Debug, Clone)]
enum Change {
    Replace(Index, &'static str),
    Move(Index, Index),
    Double(Index, Index),
    Drop(Index, Index),
    Reverse(Index),
    Nest(Index, usize),
}

/// Returns mutated requests, some of them cut or with a byte changed.
///
/// # Errors
/// A seed is no JSON.
pub(crate) fn bodies() -> Result<impl Strategy<Value = Bytes>> {
    let seeds: Result<Vec<Node>, serde_json::Error> = SEEDS
        .iter()
        .map(|seed| Ok(Node::of(serde_json::from_str(seed)?)))
        .collect();
    let seed = prop::sample::select(seeds?);
    let changes = prop::collection::vec(change(), 0..6);
    let damage = prop::option::weighted(0.2, (any::<Index>(), any::<u8>()));
    let spaced = any::<bool>();
    let inputs = (seed, changes, damage, spaced);
    Ok(inputs.prop_map(|(mut node, changes, damage, spaced)| {
        for change in &changes {
            change.apply(&mut node);
        }
        let mut body = node.text(if spaced { " \n" } else { "" }).into_bytes();
        if let Some((at, byte)) = damage {
            let at = at.index(body.len());
            match byte {
                0 => body.truncate(at),
                _ => body[at] = byte,
            }
        }
        Bytes(body)
    }))
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), prop::sample::select(ODD.to_vec())).prop_map(|(at, odd)| Change::Replace(at, odd)),
        2 => (at(), at()).prop_map(|(from, to)| Change::Move(from, to)),
        2 => (at(), at()).prop_map(|(at, child)| Change::Double(at, child)),
        2 => (at(), at()).prop_map(|(at, child)| Change::Drop(at, child)),
        1 => at().prop_map(Change::Reverse),
        1 => (at(), 1..200usize).prop_map(|(at, depth)| Change::Nest(at, depth)),
    ]
}

impl Change {
    fn apply(&self, root: &mut Node) {
        let count = root.count();
        match self {
            Self::Replace(at, odd) => *root.at(at.index(count)) = Node::Raw((*odd).to_owned()),
            Self::Move(from, to) => {
                let moved = root.at(from.index(count)).clone();
                *root.at(to.index(count)) = moved;
            }
            Self::Double(at, child) => match root.at(at.index(count)) {
                Node::List(items) if !items.is_empty() => {
                    items.push(items[child.index(items.len())].clone());
                }
                Node::Object(members) if !members.is_empty() => {
                    members.push(members[child.index(members.len())].clone());
                }
                _ => {}
            },
            Self::Drop(at, child) => match root.at(at.index(count)) {
                Node::List(items) if !items.is_empty() => {
                    items.remove(child.index(items.len()));
                }
                Node::Object(members) if !members.is_empty() => {
                    members.remove(child.index(members.len()));
                }
                _ => {}
            },
            Self::Reverse(at) => match root.at(at.index(count)) {
                Node::List(items) => items.reverse(),
                Node::Object(members) => members.reverse(),
                Node::Raw(_) => {}
            },
            Self::Nest(at, depth) => {
                let node = root.at(at.index(count));
                let inner = node.text("");
                *node = Node::Raw(format!(
                    "{}{inner}{}",
                    "[".repeat(*depth),
                    "]".repeat(*depth)
                ));
            }
        }
    }
}

impl Node {
    fn of(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.into_iter().map(Self::of).collect()),
            Value::Object(members) => Self::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name, Self::of(value)))
                    .collect(),
            ),
            scalar => Self::Raw(scalar.to_string()),
        }
    }

    fn children(&self) -> Vec<&Self> {
        match self {
            Self::Raw(_) => Vec::new(),
            Self::List(items) => items.iter().collect(),
            Self::Object(members) => members.iter().map(|(_, value)| value).collect(),
        }
    }

    fn count(&self) -> usize {
        1 + self.children().into_iter().map(Self::count).sum::<usize>()
    }

    /// Returns the node with this number, counted from the root down.
    fn at(&mut self, number: usize) -> &mut Self {
        if number == 0 {
            return self;
        }
        let mut left = number - 1;
        let sizes: Vec<usize> = self.children().into_iter().map(Self::count).collect();
        let mut child = 0;
        while left >= sizes[child] {
            left -= sizes[child];
            child += 1;
        }
        match self {
            Self::List(items) => items[child].at(left),
            Self::Object(members) => members[child].1.at(left),
            // A scalar has no children, so no number leads below it.
            Self::Raw(_) => self,
        }
    }

    fn text(&self, space: &str) -> String {
        match self {
            Self::Raw(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.text(space)).collect();
                format!("[{space}{}{space}]", items.join(&format!(",{space}")))
            }
            Self::Object(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| {
                        format!(
                            "{}{space}:{}",
                            Value::from(name.as_str()),
                            value.text(space)
                        )
                    })
                    .collect();
                format!("{{{space}{}{space}}}", members.join(&format!(",{space}")))
            }
        }
    }
}
