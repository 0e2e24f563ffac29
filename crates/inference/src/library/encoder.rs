//! Encoders: a folder with a card, or a sentence encoder as Hugging Face lays it out.

use super::Found;
use crate::backend::Backend;
use crate::card::{EncoderCard, Folder, digest};
use crate::catalog::LoadError;
use crate::handle::CosineMap;
use crate::model::{Model, Pace, Sessions};
use crate::settings::{LibrarySettings, Precision};
use crate::static_embedding::StaticEmbedding;
use crate::tokenizer::TextTokenizer;
use crate::window::{Bounds, Reach, Segmenter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Static embeddings that stand beside every encoder, in the order in which heads read them.
pub(super) const STATICS: [&str; 2] = ["potion-base-8M", "wordllama-256"];

/// Returns the graph of an encoder's folder: in the precision that is asked for, else in the one
/// that is there.
pub(super) fn graph(folder: &Path, precision: Precision) -> PathBuf {
    let own = [precision, Precision::Int8]
        .map(|precision| folder.join(format!("model.{}.onnx", precision.as_str())));
    let there = own.into_iter().find(|file| file.is_file());
    there.unwrap_or_else(|| super::full::graph(folder))
}

/// Opens an encoder: checks its files, runs it once.
pub(super) fn open(
    folder: &Path,
    settings: &LibrarySettings,
    backend: &dyn Backend,
) -> Result<Found, LoadError> {
    let graph = graph(folder, settings.precision);
    let folder = Folder::new(folder);
    let card = card(&folder)?;
    let tables = if card.word_tables { &STATICS[..] } else { &[] };
    // The files are read and hashed by one thread, the static embeddings by others: start-up waits
    // for the slowest only.
    std::thread::scope(|scope| {
        let open = |name: &&'static str| {
            let folder = settings.models.join(name);
            scope.spawn(move || StaticEmbedding::open(&folder))
        };
        let statics: Vec<_> = tables.iter().map(open).collect();
        let sessions = scope.spawn(|| backend.open(&graph, settings.sessions));
        let parts = parts(&folder, &graph, &card);
        let lost = || folder.unusable(&"loading panicked");
        let mut tables = Vec::new();
        for table in statics {
            tables.push(Arc::new(table.join().map_err(|_| lost())??));
        }
        let sessions = sessions
            .join()
            .map_err(|_| lost())?
            .map_err(|error| folder.unusable(&error))?;
        let (segmenter, mut identity) = parts?;
        tables
            .iter()
            .for_each(|table| identity.push_str(table.digest()));
        let map = CosineMap::new(&card.cosine_map);
        if map.is_none() && !card.cosine_map.is_empty() {
            return Err(folder.unusable(&"the cosine map of its card does not rise"));
        }
        let model = Model {
            name: card.name.as_str().into(),
            digest: digest(identity.as_bytes()).into(),
            width: card.dimension,
            segmenter,
            statics: tables,
            sessions: Sessions::new(sessions),
            pace: Pace::default(),
        };
        let width = warm(&model, &folder)?;
        if card.dimension != 0 && width != card.dimension {
            let problem = format_args!(
                "the graph gives {width} dimensions, its card says {}",
                card.dimension
            );
            return Err(folder.unusable(&problem));
        }
        let model = Arc::new(Model { width, ..model });
        Ok(Found {
            model,
            scale: map.unwrap_or_default(),
            labels: Arc::default(),
        })
    })
}

/// Runs the model twice, so that the first request meets warm memory and a known pace. Gives the
/// width of its output.
pub(super) fn warm(model: &Model, folder: &Folder) -> Result<usize, LoadError> {
    let sample = "Is it warm today? ".repeat(8);
    let segmentation = model
        .segmenter
        .segment(&sample, Reach::Sample)
        .map_err(|error| folder.unusable(&error))?;
    let window = segmentation
        .windows
        .first()
        .ok_or_else(|| folder.unusable(&"its tokenizer gives no tokens"))?;
    let runs = (0..2).map(|_| {
        model
            .run(window, false)
            .map_err(|error| folder.unusable(&error))
    });
    let last = runs.last().ok_or_else(|| folder.unusable(&"no run"))??;
    Ok(last
        .states
        .map_or(last.pooled.len(), |states| states.ncols()))
}

/// Returns the card of a folder, or one made of what Hugging Face's files say.
fn card(folder: &Folder) -> Result<EncoderCard, LoadError> {
    if folder.file("encoder.json").is_file() {
        folder.read("encoder.json")
    } else {
        super::full::encoder_card(folder)
    }
}

/// Returns segmenter and identity.
fn parts(
    folder: &Folder,
    graph: &Path,
    card: &EncoderCard,
) -> Result<(Segmenter, String), LoadError> {
    let (tokenizer, mut identity) = if folder.file("encoder.json").is_file() {
        let (bytes, tokenizer) = folder.verified("tokenizer.json", &card.files)?;
        let name = graph
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let weights = folder.verified(&name, &card.files)?.1;
        (bytes, format!("{weights}{tokenizer}"))
    } else {
        let bytes = folder.bytes("tokenizer.json")?;
        let weights = std::fs::read(graph)
            .map_err(|error| folder.unusable(&format_args!("{}: {error}", graph.display())))?;
        let identity = format!("{}{}", digest(&weights), digest(&bytes));
        (bytes, identity)
    };
    identity.push_str(card.prefix.trim_end());
    let tokenizer = TextTokenizer::read(&tokenizer).map_err(|error| folder.unusable(&error))?;
    let segmenter = Segmenter::new(tokenizer, &card.prefix, Bounds::default())
        .map_err(|error| folder.unusable(&error))?;
    Ok((segmenter.within(card.max_tokens), identity))
}
