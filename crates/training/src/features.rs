//! What heads read of texts, and a file that keeps it: reading texts is the only slow part of
//! training.

use half::f16;
use inference::ask::Failure;
use inference::engine::Engine;
use inference::handle::Embedder;
use inference::head::Block;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads texts.
pub trait Features {
    /// What a row consists of, in order.
    fn blocks(&self) -> Vec<Block>;

    /// Identity of all models that rows depend on.
    fn digest(&self) -> String;

    /// Windows of each text, in order.
    ///
    /// # Errors
    /// A model fails.
    fn read(&mut self, texts: &[String]) -> Result<Vec<Vec<Window>>, Failure>;
}

/// A window of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// One number a feature.
    pub row: Arc<[f32]>,
    /// Its weight among the windows of its text.
    pub tokens: usize,
}

/// Texts read by the engine that serves requests: heads meet the same vectors in training and at
/// work.
#[derive(Debug)]
pub struct ByEngine<'a> {
    /// Runs the models.
    pub engine: &'a Engine,
    /// The encoder.
    pub embedder: Embedder,
    /// Static embeddings beside it, by name and dimension in order.
    pub statics: Vec<Block>,
}

impl Features for ByEngine<'_> {
    fn blocks(&self) -> Vec<Block> {
        let encoder = Block {
            name: format!("encoder:{}", self.embedder.name),
            dimension: self.embedder.dimension,
        };
        std::iter::once(encoder)
            .chain(self.statics.iter().cloned())
            .collect()
    }

    fn digest(&self) -> String {
        self.embedder.digest.to_string()
    }

    fn read(&mut self, texts: &[String]) -> Result<Vec<Vec<Window>>, Failure> {
        let read = self.engine.features(&self.embedder, texts)?;
        let window = |window: inference::engine::WindowFeatures| Window {
            row: window
                .pooled
                .iter()
                .chain(window.statics.iter())
                .copied()
                .collect(),
            tokens: window.tokens,
        };
        Ok(read
            .into_iter()
            .map(|windows| windows.into_iter().map(window).collect())
            .collect())
    }
}

/// Reads each text once, over all runs, where it has a file.
pub struct Kept<F> {
    inner: F,
    file: Option<PathBuf>,
    known: HashMap<[u8; 32], Vec<Window>>,
}

/// Texts that are read before the file is written again.
const CHUNK: usize = 512;

impl<F: Features> Kept<F> {
    /// Rows of `inner`, kept in `folder` in a file named by its digest. A damaged end of the file
    /// is read again.
    #[must_use]
    pub fn new(inner: F, folder: Option<&Path>) -> Self {
        let digest: String = inner.digest().chars().take(16).collect();
        let file = folder.map(|folder| folder.join(format!("features-{digest}.f16")));
        let width = inner.blocks().iter().map(|block| block.dimension).sum();
        let known = file
            .as_ref()
            .and_then(|file| open(file, width))
            .unwrap_or_default();
        Self { inner, file, known }
    }

    fn keep(&self, fresh: &[([u8; 32], &[Window])]) -> std::io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut packed = Vec::new();
        for (key, windows) in fresh {
            pack(key, windows, &mut packed);
        }
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)?
            .write_all(&packed)
    }
}

impl<F: Features> Features for Kept<F> {
    fn blocks(&self) -> Vec<Block> {
        self.inner.blocks()
    }

    fn digest(&self) -> String {
        self.inner.digest()
    }

    fn read(&mut self, texts: &[String]) -> Result<Vec<Vec<Window>>, Failure> {
        let keys: Vec<[u8; 32]> = texts
            .iter()
            .map(|text| Sha256::digest(text.as_bytes()).into())
            .collect();
        let mut missing: Vec<usize> = (0..texts.len())
            .filter(|at| !self.known.contains_key(&keys[*at]))
            .collect();
        missing.sort_by_key(|at| keys[*at]);
        missing.dedup_by_key(|at| keys[*at]);
        for chunk in missing.chunks(CHUNK) {
            let unread: Vec<String> = chunk.iter().map(|at| texts[*at].clone()).collect();
            // Rounded at once, so that a run with the file and a run without it see the same
            // numbers.
            let read: Vec<Vec<Window>> =
                self.inner.read(&unread)?.into_iter().map(rounded).collect();
            let fresh: Vec<_> = chunk
                .iter()
                .map(|at| keys[*at])
                .zip(read.iter().map(Vec::as_slice))
                .collect();
            self.keep(&fresh)
                .map_err(|error| Failure::Failed(error.to_string().into()))?;
            self.known
                .extend(chunk.iter().map(|at| keys[*at]).zip(read));
        }
        Ok(keys
            .iter()
            .map(|key| self.known.get(key).cloned().unwrap_or_default())
            .collect())
    }
}

impl<F> std::fmt::Debug for Kept<F> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Kept({} texts)", self.known.len())
    }
}

fn rounded(windows: Vec<Window>) -> Vec<Window> {
    let round = |window: Window| Window {
        row: window
            .row
            .iter()
            .map(|number| f16::from_f32(*number).to_f32())
            .collect(),
        ..window
    };
    windows.into_iter().map(round).collect()
}

/// Key, number of windows, then tokens and numbers of each.
fn pack(key: &[u8; 32], windows: &[Window], into: &mut Vec<u8>) {
    into.extend(key);
    into.extend((windows.len() as u32).to_le_bytes());
    for window in windows {
        into.extend((window.tokens as u32).to_le_bytes());
        into.extend(
            window
                .row
                .iter()
                .flat_map(|number| f16::from_f32(*number).to_le_bytes()),
        );
    }
}

/// What a file holds; a torn end is cut off, so that what is appended can be read.
fn open(file: &Path, width: usize) -> Option<HashMap<[u8; 32], Vec<Window>>> {
    let bytes = std::fs::read(file).ok()?;
    let mut known = HashMap::new();
    let mut rest = bytes.as_slice();
    let mut whole = rest.len();
    while let Ok((key, windows)) = unpack_one(&mut rest, width) {
        known.insert(key, windows);
        whole = rest.len();
    }
    let good = if known.is_empty() {
        0
    } else {
        bytes.len() - whole
    };
    std::fs::OpenOptions::new()
        .write(true)
        .open(file)
        .and_then(|file| file.set_len(good as u64))
        .ok()?;
    Some(known)
}

fn unpack_one(bytes: &mut &[u8], width: usize) -> std::io::Result<([u8; 32], Vec<Window>)> {
    let mut key = [0; 32];
    bytes.read_exact(&mut key)?;
    let count = number(bytes)?;
    let mut windows = Vec::new();
    for _ in 0..count {
        let tokens = number(bytes)? as usize;
        let mut row = vec![0; width * 2];
        bytes.read_exact(&mut row)?;
        let row = row
            .chunks_exact(2)
            .map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32())
            .collect();
        windows.push(Window { row, tokens });
    }
    Ok((key, windows))
}

fn number(bytes: &mut &[u8]) -> std::io::Result<u32> {
    let mut number = [0; 4];
    bytes.read_exact(&mut number)?;
    Ok(u32::from_le_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two numbers a window; a window for every word.
    struct Counting(usize);

    impl Features for Counting {
        fn blocks(&self) -> Vec<Block> {
            vec![Block {
                name: "encoder:toy".into(),
                dimension: 2,
            }]
        }

        fn digest(&self) -> String {
            "toy".into()
        }

        fn read(&mut self, texts: &[String]) -> Result<Vec<Vec<Window>>, Failure> {
            self.0 += texts.len();
            let window = |word: &str| Window {
                row: [word.len() as f32, 0.1].into(),
                tokens: word.len(),
            };
            Ok(texts
                .iter()
                .map(|text| text.split_whitespace().map(window).collect())
                .collect())
        }
    }

    #[test]
    fn reads_a_text_once() {
        let folder = tempfile::tempdir().unwrap();
        let texts = ["one four", "", "one four", "three"].map(String::from);
        let mut first = Kept::new(Counting(0), Some(folder.path()));
        let read = first.read(&texts).unwrap();
        assert_eq!(first.inner.0, 3);
        assert_eq!(
            read[0]
                .iter()
                .map(|window| window.tokens)
                .collect::<Vec<_>>(),
            [3, 4]
        );
        assert_eq!((read[1].len(), read[0] == read[2]), (0, true));
        let mut second = Kept::new(Counting(0), Some(folder.path()));
        assert_eq!(second.read(&texts).unwrap(), read);
        assert_eq!(second.inner.0, 0);
    }

    #[test]
    fn reads_again_what_a_torn_file_lost() {
        let folder = tempfile::tempdir().unwrap();
        let texts = ["one", "three"].map(String::from);
        let read = Kept::new(Counting(0), Some(folder.path()))
            .read(&texts)
            .unwrap();
        let file = folder.path().join("features-toy.f16");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
        let mut again = Kept::new(Counting(0), Some(folder.path()));
        assert_eq!(again.read(&texts).unwrap(), read);
        assert_eq!(again.inner.0, 1);
    }
}
