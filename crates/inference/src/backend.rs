//! What runs graphs, seen from the engine: sessions that take windows of token ids and give
//! numbers.

use ndarray::Array2;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens graphs.
pub trait Backend: Send + Sync {
    /// Opens `graph` for `sessions` threads at once. Weights are shared between the sessions as far
    /// as the runtime can.
    ///
    /// # Errors
    /// The graph is not there, is damaged, or has other inputs or outputs than [`Session`] needs.
    fn open(&self, graph: &Path, sessions: usize) -> Result<Vec<Box<dyn Session>>, OpenError>;

    /// How windows of several callers may be put into one run.
    fn batching(&self) -> Batching {
        Batching::One
    }
}

/// How many windows go into a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// One: dynamic int8 scales its activations over the whole batch, so that scores would depend
    /// on the neighbours.
    One,
    /// As many as fit into this number of tokens, padding included.
    Tokens(usize),
}

/// A graph that is ready to run, for one thread at a time.
pub trait Session: Send {
    /// Runs windows of token ids, special tokens included. Answers in the order of the windows.
    ///
    /// # Errors
    /// The runtime refuses or fails.
    fn run(&mut self, windows: &[&[u32]], want_states: bool) -> Result<Vec<Encoded>, RunError>;
}

/// What a graph says of one window.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Encoded {
    /// Encoder: the sentence's vector, unit length. Sequence classifier: logits of the labels.
    /// Token classifier: empty.
    pub pooled: Vec<f32>,
    /// A row for every token of the window, special tokens included. Encoder: hidden states, if
    /// they were wanted. Token classifier: logits of the labels.
    pub states: Option<Array2<f32>>,
}

/// A graph that cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {problem}", graph.display())]
pub struct OpenError {
    /// The file.
    pub graph: PathBuf,
    /// What the runtime says.
    pub problem: Arc<str>,
}

/// A run that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub Arc<str>);
