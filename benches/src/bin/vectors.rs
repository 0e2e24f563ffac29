//! Writes an encoder's vectors of texts as a NumPy array: `cargo run --release -p benches --bin
//! vectors -- ENCODER TEXTS.jsonl VECTORS.npy`. A row for each line's `text`, in order.

use anyhow::{Context as _, Result, bail};
use benches::models::Models;
use inference::catalog::{Catalog as _, Wanted};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

/// Texts that are read before their rows are written.
const CHUNK: usize = 512;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [encoder, texts, vectors] = arguments.as_slice() else {
        bail!("usage: vectors ENCODER TEXTS.jsonl VECTORS.npy");
    };
    let texts = training::data::read(Path::new(texts))?;
    let texts: Vec<String> = texts.rows.into_iter().map(|row| row.text).collect();
    let models = Models::open(0)?;
    let by = models.library.embedder(&Wanted {
        folder: encoder.clone(),
        mapping: None,
    })?;

    let file = File::create(vectors).with_context(|| format!("cannot make {vectors}"))?;
    let mut file = BufWriter::new(file);
    file.write_all(&header(texts.len(), by.dimension))?;
    for chunk in texts.chunks(CHUNK) {
        let rows: Vec<Arc<[f32]>> = models.engine.vectors(&by, chunk)?;
        for number in rows.iter().flat_map(|row| row.iter()) {
            file.write_all(&number.to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}

/// The head of an array file of format 1.0, padded to a multiple of 64 bytes.
fn header(rows: usize, columns: usize) -> Vec<u8> {
    let said =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let before = 10;
    let length = (before + said.len() + 1).next_multiple_of(64) - before;
    let said = format!("{said:<width$}\n", width = length - 1);
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((said.len() as u16).to_le_bytes());
    header.extend(said.as_bytes());
    header
}
