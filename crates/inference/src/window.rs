//! The one segmentation of texts: windows of tokens that overlap, each with its place in the text.
//!
//! A text is tokenised in pieces, so that the cost is linear in its length, and no further than its
//! windows reach: a text that is longer than all windows together is read at its head and at its
//! tail.

use crate::tokenizer::TextTokenizer;
use ndarray::{ArrayView2, Axis};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Cuts texts into windows with one tokenizer. Cheap to share between threads.
pub struct Segmenter {
    tokenizer: TextTokenizer,
    leading: Vec<u32>,
    trailing: Vec<u32>,
    bounds: Bounds,
}

/// Bounds of a segmentation, in tokens without the special ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Tokens of a window.
    pub size: usize,
    /// Tokens that a window shares with the one before it.
    pub overlap: usize,
    /// Windows of a text that stands for itself by a sample.
    pub windows: usize,
    /// Windows of a text that is read for what must not be missed.
    pub whole: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            size: 254,
            overlap: 32,
            windows: 64,
            whole: 320,
        }
    }
}

/// How far a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// As far as a sample of it needs.
    Sample,
    /// To its end, within a larger bound.
    Whole,
}

/// A text cut into windows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segmentation {
    /// In order of the text. None for a text without tokens.
    pub windows: Vec<Arc<Window>>,
    /// Whether the middle of the text is in no window.
    pub truncated: bool,
}

/// A window of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Ids as the graph takes them, special tokens included.
    pub ids: Arc<[u32]>,
    /// Special tokens before the text's own.
    pub leading: usize,
    /// The part of the text, in bytes.
    pub text: Range<usize>,
    /// Where each of the text's own tokens lies, in bytes from the window's begin.
    pub offsets: Vec<(usize, usize)>,
}

impl Window {
    /// The same window of a text that has `bytes` more before it.
    #[must_use]
    pub fn moved(&self, bytes: usize) -> Self {
        Self {
            text: self.text.start + bytes..self.text.end + bytes,
            ..self.clone()
        }
    }

    /// The text's own tokens.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.offsets.len()
    }

    /// The rows of the text's own tokens; `None` if there are fewer.
    #[must_use]
    pub fn own<'a>(&self, states: ArrayView2<'a, f32>) -> Option<ArrayView2<'a, f32>> {
        let rows = self.leading..self.leading + self.tokens();
        if rows.end > states.nrows() {
            return None;
        }
        let (_, below) = states.split_at(Axis(0), rows.start);
        let (own, _) = below.split_at(Axis(0), rows.len());
        Some(own)
    }
}

impl Segmentation {
    /// Windows that stand for the text: all of up to three, else the first, the middle and the
    /// last. The counterpart of a reader that samples the first, middle and last part of a long
    /// text, in units that other questions share.
    #[must_use]
    pub fn sample(&self) -> Vec<usize> {
        match self.windows.len() {
            few @ 0..=3 => (0..few).collect(),
            many => vec![0, many / 2, many - 1],
        }
    }
}

/// A tokenizer that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("tokenizer: {0}")]
pub struct TokenizerError(tokenizers::Error);

/// A piece that is tokenised at once, in bytes.
const PIECE: usize = 4096;
/// The tail of a long text begins at a multiple of so many pieces: while the text grows by less,
/// its windows stay the same.
const GRID: usize = 8;

impl Segmenter {
    /// Reads a `tokenizer.json`. `prefix` is put before every window, as some encoders want it.
    ///
    /// # Errors
    /// The file is not there or no tokenizer.
    pub fn open(file: &Path, prefix: &str, bounds: Bounds) -> Result<Self, TokenizerError> {
        let file = std::fs::read(file).map_err(|error| TokenizerError(error.into()))?;
        let tokenizer = TextTokenizer::read(&file).map_err(TokenizerError)?;
        Self::new(tokenizer, prefix, bounds)
    }

    /// Takes a tokenizer that neither cuts nor pads.
    ///
    /// # Errors
    /// It cannot encode.
    pub fn new(
        tokenizer: TextTokenizer,
        prefix: &str,
        bounds: Bounds,
    ) -> Result<Self, TokenizerError> {
        let (mut leading, trailing) = specials(&tokenizer)?;
        // The blank at its end belongs to the text's first word.
        if !prefix.trim_end().is_empty() {
            leading.extend(
                tokenizer
                    .encode(prefix.trim_end(), false)
                    .map_err(TokenizerError)?
                    .get_ids(),
            );
        }
        let overlap = bounds.overlap.min(bounds.size / 2);
        let bounds = Bounds {
            size: bounds.size.max(1),
            overlap,
            windows: bounds.windows.max(2),
            whole: bounds.whole.max(bounds.windows).max(2),
        };
        Ok(Self {
            tokenizer,
            leading,
            trailing,
            bounds,
        })
    }

    /// Special tokens of a window.
    #[must_use]
    pub fn special_tokens(&self) -> usize {
        self.leading.len() + self.trailing.len()
    }

    /// Returns whether the reach makes a difference to this text. A token has at least one byte.
    #[must_use]
    pub fn is_long(&self, text: &str) -> bool {
        text.len() > self.reach(self.bounds.windows)
    }

    /// Windows of a text at most.
    #[must_use]
    pub fn most(&self, reach: Reach) -> usize {
        match reach {
            Reach::Sample => self.bounds.windows,
            Reach::Whole => self.bounds.whole,
        }
    }

    /// Makes the windows so small that they fit into `most` tokens with the special ones.
    #[must_use]
    pub fn within(mut self, most: usize) -> Self {
        let own = most.saturating_sub(self.special_tokens()).max(1);
        self.bounds.size = own.min(self.bounds.size);
        self.bounds.overlap = self.bounds.overlap.min(self.bounds.size / 2);
        self
    }

    /// Cuts `text` into windows, as many as `reach` allows.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub fn segment(&self, text: &str, reach: Reach) -> Result<Segmentation, TokenizerError> {
        if text.trim().is_empty() {
            return Ok(Segmentation::default());
        }
        let pieces = text.len().div_ceil(PIECE);
        let most = self.most(reach);
        let all = self.reach(most);
        let mut head = Tokens::default();
        let mut read = 0;
        while read < pieces && head.ids.len() <= all {
            self.read(text, read..read + 1, &mut head)?;
            read += 1;
        }
        if head.ids.len() <= all {
            return Ok(Segmentation {
                windows: self.windows(text, &head, 0),
                truncated: false,
            });
        }
        let first = most.div_ceil(2);
        let last = most - first;
        head.ids.truncate(self.reach(first));
        let mut windows = self.windows(text, &head, 0);
        let tail = self.tail(text, pieces, last)?;
        // Where the tail's grid reaches back into the head, what both read is kept once.
        let unread = head
            .offsets
            .get(head.ids.len() - 1)
            .map_or(0, |(_, end)| *end);
        let from = tail.offsets.partition_point(|(start, _)| *start < unread);
        let ending = self.windows(text, &tail, from);
        let skipped = ending.len().saturating_sub(last);
        windows.extend(ending.into_iter().skip(skipped));
        Ok(Segmentation {
            windows,
            truncated: true,
        })
    }

    /// Tokens that so many windows span.
    fn reach(&self, windows: usize) -> usize {
        self.bounds.size + (windows - 1) * (self.bounds.size - self.bounds.overlap)
    }

    /// Tokens from the latest place on the grid from which they fill `windows`.
    fn tail(&self, text: &str, pieces: usize, windows: usize) -> Result<Tokens, TokenizerError> {
        let mut tail = Tokens::default();
        let mut end = pieces;
        while end > 0 && tail.ids.len() < self.reach(windows) {
            let begin = (end - 1) / GRID * GRID;
            let mut before = Tokens::default();
            for piece in begin..end {
                self.read(text, piece..piece + 1, &mut before)?;
            }
            before.ids.append(&mut tail.ids);
            before.offsets.append(&mut tail.offsets);
            (tail, end) = (before, begin);
        }
        Ok(tail)
    }

    fn read(
        &self,
        text: &str,
        pieces: Range<usize>,
        into: &mut Tokens,
    ) -> Result<(), TokenizerError> {
        let (begin, end) = (cut(text, pieces.start), cut(text, pieces.end));
        let Some(piece) = text.get(begin..end).filter(|piece| !piece.is_empty()) else {
            return Ok(());
        };
        let encoding = self
            .tokenizer
            .encode(piece, false)
            .map_err(TokenizerError)?;
        into.ids.extend(encoding.get_ids());
        let places = self.tokenizer.places(piece, &encoding);
        into.offsets
            .extend(places.iter().map(|(from, to)| (begin + from, begin + to)));
        Ok(())
    }

    fn windows(&self, text: &str, tokens: &Tokens, from: usize) -> Vec<Arc<Window>> {
        let step = self.bounds.size - self.bounds.overlap;
        let count = tokens.ids.len();
        let mut windows = Vec::new();
        let mut begin = from;
        while begin < count {
            let end = (begin + self.bounds.size).min(count);
            windows.push(Arc::new(self.window(text, tokens, begin..end)));
            if end == count {
                break;
            }
            begin += step;
        }
        windows
    }

    fn window(&self, text: &str, tokens: &Tokens, own: Range<usize>) -> Window {
        let (ids, offsets) = (&tokens.ids[own.clone()], &tokens.offsets[own]);
        let begin = floor(
            text,
            offsets.iter().map(|(from, _)| *from).min().unwrap_or(0),
        );
        let end = ceil(
            text,
            offsets.iter().map(|(_, to)| *to).max().unwrap_or(begin),
        );
        Window {
            ids: self
                .leading
                .iter()
                .chain(ids)
                .chain(&self.trailing)
                .copied()
                .collect(),
            leading: self.leading.len(),
            text: begin..end,
            offsets: offsets
                .iter()
                .map(|(from, to)| (from - begin, to - begin))
                .collect(),
        }
    }
}

impl std::fmt::Debug for Segmenter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Segmenter({:?})", self.bounds)
    }
}

#[derive(Default)]
struct Tokens {
    ids: Vec<u32>,
    offsets: Vec<(usize, usize)>,
}

/// Special tokens before and after a text's own.
fn specials(tokenizer: &TextTokenizer) -> Result<(Vec<u32>, Vec<u32>), TokenizerError> {
    let sample = tokenizer.encode("a", true).map_err(TokenizerError)?;
    let (ids, mask) = (sample.get_ids(), sample.get_special_tokens_mask());
    let leading = mask.iter().take_while(|special| **special == 1).count();
    let trailing = mask
        .iter()
        .rev()
        .take_while(|special| **special == 1)
        .count()
        .min(ids.len() - leading);
    Ok((
        ids[..leading].to_vec(),
        ids[ids.len() - trailing..].to_vec(),
    ))
}

/// Where piece `index` begins: at white space soon after its place on the grid, so that no word is
/// cut, else at the next scalar. Depends on the text around that place only.
fn cut(text: &str, index: usize) -> usize {
    let place = index.saturating_mul(PIECE);
    if index == 0 || place >= text.len() {
        return place.min(text.len());
    }
    let place = ceil(text, place);
    let near = text
        .get(place..)
        .unwrap_or_default()
        .char_indices()
        .take_while(|(at, _)| *at < PIECE / 4);
    near.filter(|(_, scalar)| scalar.is_whitespace())
        .map(|(at, _)| place + at)
        .next()
        .unwrap_or(place)
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while at < text.len() && !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
pub(crate) mod tests;
