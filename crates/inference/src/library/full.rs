//! Full models: folders as Hugging Face lays them out, with a classifier of sequences or of tokens.

use super::Found;
use super::encoder::warm;
use super::labels;
use crate::backend::Backend;
use crate::card::{EncoderCard, Folder, digest};
use crate::catalog::LoadError;
use crate::model::{Model, Pace, Sessions};
use crate::tokenizer::TextTokenizer;
use crate::window::{Bounds, Segmenter};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a full model classifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sequence,
    Tokens,
}

/// The part of `config.json` that counts.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    pub(super) id2label: BTreeMap<String, String>,
    #[serde(default)]
    max_position_embeddings: Option<usize>,
    #[serde(default)]
    hidden_size: usize,
}

/// Tokens of a window of a full model, special ones included, where the model could take more.
const MOST: usize = 512;

/// The graph of a folder.
pub(super) fn graph(folder: &Path) -> PathBuf {
    let nested = folder.join("onnx").join("model.onnx");
    if nested.is_file() {
        nested
    } else {
        folder.join("model.onnx")
    }
}

/// Opens a full model: checks that its labels fit the graph, runs it once.
pub(super) fn open(
    folder: &Path,
    mapping: Option<&Path>,
    kind: Kind,
    backend: &dyn Backend,
    sessions: usize,
) -> Result<Found, LoadError> {
    let name = folder
        .file_name()
        .map_or_else(|| folder.to_string_lossy(), |name| name.to_string_lossy());
    let (graph, name) = (graph(folder), Arc::<str>::from(name));
    let folder = Folder::new(folder);
    let config: Config = folder.read("config.json")?;
    config.check(kind, &folder)?;
    let labels = labels::of(&folder, mapping, &config)?;
    let bytes = folder.bytes("tokenizer.json")?;
    let weights = std::fs::read(&graph)
        .map_err(|error| folder.unusable(&format_args!("{}: {error}", graph.display())))?;
    let identity = digest(format!("{}{}", digest(&weights), digest(&bytes)).as_bytes());
    drop(weights);
    let tokenizer = TextTokenizer::read(&bytes).map_err(|error| folder.unusable(&error))?;
    let most = config.max_position_embeddings.unwrap_or(MOST).min(MOST);
    let bounds = Bounds {
        size: most,
        ..Bounds::default()
    };
    let segmenter = Segmenter::new(tokenizer, "", bounds)
        .map_err(|error| folder.unusable(&error))?
        .within(most);
    let sessions = backend
        .open(&graph, sessions)
        .map_err(|error| folder.unusable(&error))?;
    let model = Model {
        name,
        digest: identity.into(),
        width: labels.len(),
        segmenter,
        statics: Vec::new(),
        sessions: Sessions::new(sessions),
        pace: Pace::default(),
    };
    let width = warm(&model, &folder)?;
    if width != labels.len() {
        let problem = format_args!(
            "it has {} labels, but the graph gives {width}",
            labels.len()
        );
        return Err(folder.unusable(&problem));
    }
    Ok(Found {
        model: Arc::new(model),
        scale: Default::default(),
        labels,
    })
}

/// A card for a sentence encoder that has none.
pub(super) fn encoder_card(folder: &Folder) -> Result<EncoderCard, LoadError> {
    let config: Config = folder.read("config.json")?;
    let path = folder.file("");
    Ok(EncoderCard {
        name: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        dimension: config.hidden_size,
        max_tokens: config.max_position_embeddings.unwrap_or(MOST).min(MOST),
        prefix: String::new(),
        word_tables: true,
        files: BTreeMap::new(),
        cosine_map: Vec::new(),
    })
}

impl Config {
    /// Refuses a model of the other kind, if the folder names its kind.
    fn check(&self, kind: Kind, folder: &Folder) -> Result<(), LoadError> {
        let expected = match kind {
            Kind::Sequence => "SequenceClassification",
            Kind::Tokens => "TokenClassification",
        };
        match self
            .architectures
            .iter()
            .find(|name| !name.contains(expected))
        {
            Some(other) => Err(folder.unusable(&format_args!(
                "it is a {other}, a model for{expected} is needed"
            ))),
            None => Ok(()),
        }
    }
}
