//! Cards: what lies in a model's folder, by digest.

use crate::catalog::LoadError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// What an encoder's `encoder.json` says.
#[derive(Debug, Clone, Deserialize)]
pub struct EncoderCard {
    /// Name; heads say by it which encoder they were trained on.
    pub name: String,
    /// Length of its vectors.
    pub dimension: usize,
    /// Tokens of a run, special ones included.
    pub max_tokens: usize,
    /// Put before every text.
    #[serde(default)]
    pub prefix: String,
    /// Whether the word tables stand beside it, which know English.
    #[serde(default = "yes")]
    pub word_tables: bool,
    /// SHA-256 of each file, in hexadecimal.
    pub files: BTreeMap<String, String>,
    /// From its cosine to the scale of documents' thresholds.
    #[serde(default)]
    pub cosine_map: Vec<(f32, f32)>,
}

fn yes() -> bool {
    true
}

/// What a static embedding's `static.json` says.
#[derive(Debug, Clone, Deserialize)]
pub struct StaticCard {
    /// Name; heads say by it which tables they read.
    pub name: String,
    /// Length of its vectors.
    pub dimension: usize,
    /// The token that counts for nothing.
    #[serde(default)]
    pub ignored_token: Option<String>,
    /// SHA-256 of each file, in hexadecimal.
    pub files: BTreeMap<String, String>,
}

/// A model's folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// A file of it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a JSON file.
    ///
    /// # Errors
    /// It is not there or says something else.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T, LoadError> {
        let bytes = self.bytes(name)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.unusable(&format_args!("{name}: {error}")))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is not there.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, LoadError> {
        std::fs::read(self.file(name)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => LoadError::Missing {
                name: self.path.display().to_string(),
                looked_in: self.file(name),
            },
            _ => self.unusable(&format_args!("{name}: {error}")),
        })
    }

    /// Reads a file and compares its digest with the card's. Gives both.
    ///
    /// # Errors
    /// It is not there, or another file than the card says.
    pub fn verified(
        &self,
        name: &str,
        card: &BTreeMap<String, String>,
    ) -> Result<(Vec<u8>, String), LoadError> {
        let Some(expected) = card.get(name) else {
            return Err(self.unusable(&format_args!(
                "its card has no digest of {name}; run `cargo xtask models`"
            )));
        };
        let bytes = self.bytes(name)?;
        let found = digest(&bytes);
        if found == expected.to_ascii_lowercase() {
            return Ok((bytes, found));
        }
        let problem = format_args!(
            "{name} has digest {found}, its card says {expected}; run `cargo xtask models`"
        );
        Err(self.unusable(&problem))
    }

    /// An error about this folder.
    #[must_use]
    pub fn unusable(&self, problem: &dyn Display) -> LoadError {
        LoadError::Unusable {
            name: self.path.display().to_string(),
            problem: problem.to_string(),
        }
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
