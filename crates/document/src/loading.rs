//! From text to a typed document with every fault of form at its line.

use super::problem::{Problem, join};
use super::reader::read;
use super::respelling::Moved;
use super::schema::Schema;
use super::tree::{self, Node};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Where the parts of a document stand in its text.
#[derive(Debug, Clone, Default)]
pub struct Places {
    tree: Option<Arc<Node>>,
    moved: Arc<[Moved]>,
}

impl Places {
    /// Reads where the parts of any YAML or JSON text stand.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self {
            tree: tree::parse(text).0,
            moved: Arc::default(),
        }
    }

    /// Returns the line and column of `path`, or of its nearest ancestor that is written.
    #[must_use]
    pub fn locate(&self, path: &str) -> Option<(u32, u32)> {
        let written = self.written(path);
        let path = written.as_deref().unwrap_or(path);
        let mark = tree::locate(self.tree.as_deref()?, path);
        Some((mark.line, mark.column))
    }

    /// Returns the path in the text of a value that is read at another path.
    fn written(&self, path: &str) -> Option<String> {
        self.moved.iter().find_map(|moved| moved.source(path))
    }

    /// Gives each problem that has none its line and column, and the path as it is written.
    #[must_use]
    pub fn placed(&self, mut problems: Vec<Problem>) -> Vec<Problem> {
        for problem in problems.iter_mut().filter(|problem| problem.line == 0) {
            if let Some(written) = self.written(&problem.path) {
                problem.path = written;
            }
            (problem.line, problem.column) = self.locate(&problem.path).unwrap_or_default();
        }
        problems
    }
}

/// A document as read, before anything is said of its sense.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The typed document without its faulty parts; `None` after a syntax error. Serve it only if
    /// there is no error.
    pub document: Option<T>,
    /// The same as JSON, variables replaced, in the spelling of the type; `null` after a syntax
    /// error.
    pub value: Value,
    /// The same in the spelling of the text.
    pub written: Value,
    /// All faults of form.
    pub problems: Vec<Problem>,
    /// Where to find what later steps say.
    pub places: Places,
}

/// The longest document that is read, bytes. A `ConfigMap` holds a quarter of it, and reading takes
/// some eighty times as much memory.
pub const MOST_BYTES: usize = 4 << 20;

/// Reads a document strictly: unknown keys, wrong types and unset variables are errors, each with
/// its place. `env` looks up an environment variable.
#[must_use]
pub fn load<T: DeserializeOwned>(
    text: &str,
    schema: &Schema,
    env: &dyn Fn(&str) -> Option<String>,
) -> Loaded<T> {
    let (tree, problems) = if text.len() > MOST_BYTES {
        let message = format!(
            "the document has {} bytes; at most {MOST_BYTES} are read",
            text.len()
        );
        (None, vec![Problem::error("", message)])
    } else {
        tree::parse(text)
    };
    let (value, mut problems) = read(tree.as_deref(), schema, problems, env);
    let written = value.unwrap_or_else(|| Value::Object(Map::new()));

    let mut value = written.clone();
    let respelled = schema.respell(&mut value);
    let document = match T::deserialize(&value) {
        _ if tree.is_none() => None,
        Ok(document) => Some(document),
        Err(error) => {
            problems.push(Problem::error("", error.to_string()));
            None
        }
    };

    let places = Places {
        moved: respelled.moved.into(),
        tree,
    };
    join(&mut problems, places.placed(respelled.problems));
    let is_read = places.tree.is_some();
    Loaded {
        document,
        value: if is_read { value } else { Value::Null },
        written: if is_read { written } else { Value::Null },
        problems,
        places,
    }
}

/// Joins what a later step found to what is known, each at its line, in the order of the text.
#[must_use]
pub fn joined(mut problems: Vec<Problem>, later: Vec<Problem>, places: &Places) -> Vec<Problem> {
    join(&mut problems, places.placed(later));
    problems.sort_by(|a, b| (a.line, a.column, &a.path).cmp(&(b.line, b.column, &b.path)));
    problems
}
