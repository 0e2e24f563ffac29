//! Mutations of text by its lines and bytes.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::run::Bytes;

/// Values at the edge of what a YAML document may hold.
const ODD: [&str; 14] = [
    "null",
    "~",
    "-1",
    "1e400",
    "32 K",
    "[",
    "{a: b",
    "&a [*a]",
    "*nowhere",
    "!!binary x",
    "'",
    "${UNSET}",
    "|",
    "é\u{2028}\u{0}",
];

/// One change of the lines.
#[derive(Debug, Clone)]
enum Change {
    Drop(Index),
    Double(Index),
    Swap(Index, Index),
    Indent(Index, usize),
    Outdent(Index),
    Value(Index, &'static str),
}

/// Returns one of `seeds` with some of its lines changed.
pub(crate) fn changed_lines(seeds: Vec<&'static str>) -> impl Strategy<Value = String> {
    let changes = prop::collection::vec(change(), 0..6);
    (prop::sample::select(seeds), changes).prop_map(|(seed, changes)| {
        let mut lines: Vec<String> = seed.lines().map(str::to_owned).collect();
        for change in &changes {
            change.apply(&mut lines);
        }
        lines.join("\n")
    })
}

/// Returns one of `seeds` with some of its bytes changed, dropped or doubled.
pub(crate) fn changed_bytes(seeds: Vec<&'static str>) -> impl Strategy<Value = Bytes> {
    let byte = prop_oneof![prop::sample::select(b"\r\n: ".to_vec()), any::<u8>()];
    let changes = prop::collection::vec((any::<Index>(), byte, 0..3), 0..12);
    (prop::sample::select(seeds), changes).prop_map(|(seed, changes)| {
        let mut bytes = seed.as_bytes().to_vec();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        Bytes(bytes)
    })
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Change::Drop),
        at().prop_map(Change::Double),
        (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
        (at(), 1..8usize).prop_map(|(at, depth)| Change::Indent(at, depth)),
        at().prop_map(Change::Outdent),
        (at(), prop::sample::select(ODD.to_vec())).prop_map(|(at, odd)| Change::Value(at, odd)),
    ]
}

impl Change {
    fn apply(&self, lines: &mut Vec<String>) {
        if lines.is_empty() {
            return;
        }
        let count = lines.len();
        match self {
            Self::Drop(at) => drop(lines.remove(at.index(count))),
            Self::Double(at) => lines.push(lines[at.index(count)].clone()),
            Self::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
            Self::Indent(at, depth) => lines[at.index(count)].insert_str(0, &" ".repeat(*depth)),
            Self::Outdent(at) => {
                let line = &mut lines[at.index(count)];
                *line = line.trim_start().to_owned();
            }
            Self::Value(at, odd) => {
                let line = &mut lines[at.index(count)];
                let key = line.split(": ").next().unwrap_or_default().to_owned();
                *line = format!("{key}: {odd}");
            }
        }
    }
}
