//! What can be set about models and their engine.

use crate::cache::Bounds;
use std::path::PathBuf;

/// Settings of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Threads that read; 0 for as many as there are cores.
    pub lanes: usize,
    /// Calls that may wait; for safety twice as many.
    pub queued_calls: usize,
    /// Bounds of the cache of windows.
    pub cache: Bounds,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            lanes: 0,
            queued_calls: 512,
            cache: Bounds::default(),
        }
    }
}

impl EngineSettings {
    /// Lanes that will be started.
    #[must_use]
    pub fn lanes(&self) -> usize {
        match self.lanes {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            lanes => lanes,
        }
    }
}

/// Settings of the library of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibrarySettings {
    /// Folder of all models.
    pub models: PathBuf,
    /// Precision of the encoder's weights.
    pub precision: Precision,
    /// Sessions of a model: as many as the engine has lanes.
    pub sessions: usize,
    /// File of example vectors of earlier runs; none are kept without it.
    pub vectors: Option<PathBuf>,
    /// The encoder for documents that name none.
    pub encoder: String,
}

impl LibrarySettings {
    /// Defaults for the models in a folder.
    #[must_use]
    pub fn new(models: PathBuf, engine: &EngineSettings) -> Self {
        Self {
            models,
            precision: Precision::Int8,
            sessions: engine.lanes(),
            vectors: None,
            encoder: "all-MiniLM-L6-v2".to_owned(),
        }
    }
}

/// Precision of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 8-bit integers: the default on CPUs.
    Int8,
    /// 32-bit floats: the default elsewhere.
    Fp32,
}

impl Precision {
    /// Its part of a file's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Fp32 => "fp32",
        }
    }
}
