//! Vectors of example texts, kept on disk: a document's prototypes need not run again at every
//! start.
//!
//! The file is a cache: what is damaged or of another version is forgotten, and a write that fails
//! is only logged.

use crate::card::digest;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Vectors by model and text. Bounded; the oldest entries leave first.
pub struct Store {
    file: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    vectors: HashMap<Key, (u64, Arc<[f32]>)>,
    turn: u64,
    changed: bool,
}

type Key = [u8; 32];

/// Entries at most: 30 MB of 384 numbers each.
const MOST: usize = 20_000;
/// First bytes of the file; another layout has other ones.
const MAGIC: &[u8] = b"merit vectors 1\n";

impl Store {
    /// Opens the store in `file`, empty if there is none.
    #[must_use]
    pub fn open(file: &Path) -> Self {
        let kept = std::fs::read(file)
            .ok()
            .and_then(|bytes| parse(&bytes))
            .unwrap_or_default();
        Self {
            file: file.to_owned(),
            kept: Mutex::new(kept),
        }
    }

    /// The vector of `text` under a model, if it is kept and as long as it should be.
    #[must_use]
    pub fn get(&self, model: &str, text: &str, dimension: usize) -> Option<Arc<[f32]>> {
        let mut kept = self.kept();
        kept.turn += 1;
        let turn = kept.turn;
        let (used, vector) = kept.vectors.get_mut(&key(model, text))?;
        *used = turn;
        (vector.len() == dimension).then(|| Arc::clone(vector))
    }

    /// Keeps a vector.
    pub fn put(&self, model: &str, text: &str, vector: &Arc<[f32]>) {
        let mut kept = self.kept();
        kept.turn += 1;
        kept.changed = true;
        let turn = kept.turn;
        kept.vectors
            .insert(key(model, text), (turn, Arc::clone(vector)));
        if kept.vectors.len() > MOST {
            let oldest = kept
                .vectors
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| *key);
            oldest.and_then(|key| kept.vectors.remove(&key));
        }
    }

    /// Rewrites the file if something changed: whole, then in place of the old one.
    pub fn save(&self) {
        let mut kept = self.kept();
        if !std::mem::take(&mut kept.changed) {
            return;
        }
        let bytes = write(&kept);
        drop(kept);
        let fresh = self
            .file
            .with_extension(format!("new-{}", std::process::id()));
        let written = self.file.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = written.and_then(|()| std::fs::write(&fresh, bytes));
        if let Err(error) = written.and_then(|()| std::fs::rename(&fresh, &self.file)) {
            tracing::warn!(%error, file = %self.file.display(), "vectors of examples are not kept");
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(model: &str, text: &str) -> Key {
    use sha2::{Digest, Sha256};
    Sha256::new()
        .chain_update(model.len().to_le_bytes())
        .chain_update(model)
        .chain_update(text)
        .finalize()
        .into()
}

/// Magic, digest of the rest, then entries: key, length, numbers; least recently used first.
fn write(kept: &Kept) -> Vec<u8> {
    let mut entries: Vec<_> = kept.vectors.iter().collect();
    entries.sort_by_key(|(_, (used, _))| *used);
    let mut rest = Vec::new();
    for (key, (_, vector)) in entries {
        rest.extend_from_slice(key);
        rest.extend_from_slice(&(vector.len() as u32).to_le_bytes());
        vector
            .iter()
            .for_each(|value| rest.extend_from_slice(&value.to_le_bytes()));
    }
    [MAGIC, digest(&rest).as_bytes(), &rest].concat()
}

fn parse(bytes: &[u8]) -> Option<Kept> {
    let (sum, mut rest) = bytes.strip_prefix(MAGIC)?.split_at_checked(64)?;
    if digest(rest).as_bytes() != sum {
        return None;
    }
    let mut kept = Kept::default();
    while !rest.is_empty() {
        let (key, after) = rest.split_first_chunk::<32>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (numbers, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize * 4)?;
        let vector = numbers
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        kept.turn += 1;
        let turn = kept.turn;
        kept.vectors.insert(*key, (turn, vector));
        rest = after;
    }
    Some(kept)
}

impl std::fmt::Debug for Store {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Store({})", self.file.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_vectors_between_starts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("below/vectors");
        let vector: Arc<[f32]> = [0.5, -0.5].into();
        let store = Store::open(&file);
        assert_eq!(store.get("model", "text", 2), None);
        store.put("model", "text", &vector);
        store.save();
        let again = Store::open(&file);
        assert_eq!(again.get("model", "text", 2), Some(vector));
        assert_eq!(again.get("model", "text", 3), None);
        assert_eq!(again.get("other", "text", 2), None);
    }

    #[test]
    fn forgets_what_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vectors");
        let store = Store::open(&file);
        store.put("model", "text", &[1.0].into());
        store.save();
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(Store::open(&file).get("model", "text", 1), None);
    }
}
