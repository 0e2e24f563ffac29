//! Static embeddings: a table row for every token, and their mean. Microseconds a window, and good
//! company for an encoder.

use crate::card::{Folder, StaticCard};
use crate::catalog::LoadError;
use safetensors::{Dtype, SafeTensors};
use std::path::Path;
use tokenizers::Tokenizer;

/// A table of token vectors, with its tokenizer.
pub struct StaticEmbedding {
    name: String,
    tokenizer: Tokenizer,
    ignored: Option<u32>,
    dimension: usize,
    rows: Vec<i8>,
    scales: Vec<f32>,
    digest: String,
}

impl StaticEmbedding {
    /// Reads the folder of a static embedding and checks its files against its card.
    ///
    /// # Errors
    /// Something is not there or damaged.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        let folder = Folder::new(folder);
        let card: StaticCard = folder.read("static.json")?;
        let (tokenizer, tokenizer_digest) = folder.verified("tokenizer.json", &card.files)?;
        let mut tokenizer =
            Tokenizer::from_bytes(&tokenizer).map_err(|error| folder.unusable(&error))?;
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| folder.unusable(&error))?;
        let (file, digest) = folder.verified("model.safetensors", &card.files)?;
        let tensors = SafeTensors::deserialize(&file).map_err(|error| folder.unusable(&error))?;
        let table = tensors
            .tensor("table")
            .map_err(|error| folder.unusable(&error))?;
        let scale = tensors
            .tensor("scale")
            .map_err(|error| folder.unusable(&error))?;
        let fits = table.dtype() == Dtype::I8
            && scale.dtype() == Dtype::F32
            && table.shape() == [scale.data().len() / 4, card.dimension];
        if !fits {
            return Err(folder.unusable(&"table is not of int8 rows with a scale each"));
        }
        let ignored = card
            .ignored_token
            .and_then(|token| tokenizer.token_to_id(&token));
        Ok(Self {
            name: card.name,
            tokenizer,
            ignored,
            dimension: card.dimension,
            rows: table.data().iter().map(|byte| byte.cast_signed()).collect(),
            scales: scale
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            digest: format!("{tokenizer_digest}{digest}"),
        })
    }

    /// Name on its card.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Length of its vectors.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Identity of table and tokenizer.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Appends the vector of `text`: the mean of its tokens' rows, unit length; zeros for a text
    /// without known tokens.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub fn embed(&self, text: &str, into: &mut Vec<f32>) -> Result<(), tokenizers::Error> {
        let begin = into.len();
        into.resize(begin + self.dimension, 0.0);
        let sum = &mut into[begin..];
        for &id in self.tokenizer.encode_fast(text, false)?.get_ids() {
            let (row, scale) = (id as usize * self.dimension, self.scales.get(id as usize));
            let (Some(row), Some(scale)) = (self.rows.get(row..row + self.dimension), scale) else {
                continue;
            };
            if Some(id) != self.ignored {
                sum.iter_mut()
                    .zip(row)
                    .for_each(|(sum, value)| *sum += f32::from(*value) * scale);
            }
        }
        crate::vector::normalise(sum);
        Ok(())
    }
}

impl std::fmt::Debug for StaticEmbedding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "StaticEmbedding({})", self.dimension)
    }
}
