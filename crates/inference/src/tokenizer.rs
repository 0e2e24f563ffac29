//! Tokenizers as `tokenizer.json` files describe them.
//!
//! The library keeps a Unigram vocabulary in hash maps, one for each node of its trie: 270 MB for
//! the 250,000 pieces of a multilingual encoder. Here such a vocabulary is one finite-state
//! transducer of a few megabytes. All other steps are the library's, and the ids are equal.

mod unigram;

use serde::Deserialize;
use serde_json::{Value, json};
use tokenizers::{
    AddedToken, DecoderWrapper, Encoding, Error, NormalizerWrapper, PostProcessorWrapper,
    PreTokenizerWrapper, Tokenizer, TokenizerImpl,
};
use unigram::Unigram;

/// Cuts texts into tokens.
pub struct TextTokenizer(Kind);

enum Kind {
    Library(Box<Tokenizer>),
    Unigram(Box<Pieces>),
}

type Pieces = TokenizerImpl<
    Unigram,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// The mark that a Unigram vocabulary puts before each word.
const WORD_MARK: &str = "\u{2581}";

/// Which kind of model a file describes.
#[derive(Deserialize)]
struct Outline {
    model: ModelOutline,
}

#[derive(Deserialize)]
struct ModelOutline {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    byte_fallback: bool,
}

/// A file with a Unigram model.
#[derive(Deserialize)]
struct File {
    model: UnigramModel,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
}

#[derive(Deserialize)]
struct UnigramModel {
    unk_id: Option<usize>,
    vocab: Vec<(String, f64)>,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json`. Its truncation and padding are switched off.
    ///
    /// # Errors
    /// The file is no tokenizer.
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        let is_unigram = serde_json::from_slice(file).is_ok_and(|outline: Outline| {
            outline.model.kind == "Unigram" && !outline.model.byte_fallback
        });
        if is_unigram {
            return Ok(Self(Kind::Unigram(Box::new(pieces(file)?))));
        }
        let mut tokenizer = Tokenizer::from_bytes(file)?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None)?;
        Ok(Self(Kind::Library(Box::new(tokenizer))))
    }

    /// Returns the tokens of `text`, with places in bytes.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub fn encode(&self, text: &str, with_special_tokens: bool) -> Result<Encoding, Error> {
        match &self.0 {
            Kind::Library(tokenizer) => tokenizer.encode(text, with_special_tokens),
            Kind::Unigram(tokenizer) => tokenizer.encode(text, with_special_tokens),
        }
    }

    /// Returns where each token of `piece` lies, without the white space before its word: a
    /// Unigram vocabulary counts it to the word, and a word's mark may be a token of its own.
    #[must_use]
    pub fn places(&self, piece: &str, encoding: &Encoding) -> Vec<(usize, usize)> {
        let offsets = encoding.get_offsets();
        let Kind::Unigram(tokenizer) = &self.0 else {
            return offsets.to_vec();
        };
        let mark = tokenizer.token_to_id(WORD_MARK);
        let place = |(&id, &(from, to)): (&u32, &(usize, usize))| {
            let covered = piece.get(from..to).unwrap_or_default();
            let start = to - covered.trim_start().len();
            if Some(id) == mark {
                (from, from)
            } else {
                (start, to)
            }
        };
        encoding.get_ids().iter().zip(offsets).map(place).collect()
    }
}

/// Reads a file with a Unigram model: the library reads the other steps with an empty vocabulary.
fn pieces(file: &[u8]) -> Result<Pieces, Error> {
    let file: File = serde_json::from_slice(file)?;
    let shell = json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": file.normalizer,
        "pre_tokenizer": file.pre_tokenizer,
        "post_processor": file.post_processor,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0]]},
    });
    let shell = Tokenizer::from_bytes(serde_json::to_vec(&shell)?)?;
    let model = Unigram::new(file.model.vocab, file.model.unk_id)?;

    let mut tokenizer = Pieces::new(model);
    tokenizer.with_normalizer(shell.get_normalizer().cloned())?;
    tokenizer.with_pre_tokenizer(shell.get_pre_tokenizer().cloned());
    tokenizer.with_post_processor(shell.get_post_processor().cloned());
    let (special, plain): (Vec<_>, Vec<_>) = file
        .added_tokens
        .into_iter()
        .partition(|token| token.special);
    tokenizer.add_special_tokens(special)?;
    tokenizer.add_tokens(plain)?;
    Ok(tokenizer)
}

#[cfg(test)]
mod tests;
