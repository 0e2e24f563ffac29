//! A Unigram vocabulary in little memory, and the likeliest way to cut a text into its pieces.

use fst::raw::{Fst, Output};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tokenizers::models::unigram::UnigramTrainer;
use tokenizers::{Error, Model, Token};

/// How much less likely an unknown scalar is than the rarest piece, as SentencePiece has it.
const UNKNOWN: f64 = 10.0;

/// Pieces with their ids and logarithms of their probability.
pub(super) struct Unigram {
    ids: Fst<Vec<u8>>,
    scores: Vec<f64>,
    unknown: u32,
    unknown_score: f64,
}

/// The likeliest way to a place of the text: where its last piece begins, and its id.
#[derive(Debug, Clone, Copy)]
struct Way {
    score: f64,
    start: usize,
    id: u32,
    is_open: bool,
}

/// A place that no piece ends at yet.
const UNREACHED: Way = Way {
    score: 0.0,
    start: 0,
    id: 0,
    is_open: false,
};

impl Unigram {
    /// Builds the vocabulary. Ids are places in `pieces`; of equal pieces the last counts.
    pub(super) fn new(pieces: Vec<(String, f64)>, unknown: Option<usize>) -> Result<Self, Error> {
        let unknown = unknown
            .filter(|at| *at < pieces.len())
            .ok_or("the vocabulary has no piece for what is unknown")?;
        let scores: Vec<f64> = pieces.iter().map(|(_, score)| *score).collect();
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);

        let named = pieces.into_iter().enumerate();
        let mut named: Vec<(String, usize)> = named.map(|(id, (piece, _))| (piece, id)).collect();
        named.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(right.1.cmp(&left.1)));
        named.dedup_by(|later, earlier| later.0 == earlier.0);
        let entries = named.into_iter().filter(|(piece, _)| !piece.is_empty());
        let ids = Fst::from_iter_map(entries.map(|(piece, id)| (piece, id as u64)))?;

        Ok(Self {
            ids,
            scores,
            unknown: u32::try_from(unknown)?,
            unknown_score: least - UNKNOWN,
        })
    }

    /// Returns the ends of the likeliest pieces, by the place where they end.
    fn ways(&self, text: &str) -> Vec<Way> {
        let mut ways = vec![UNREACHED; text.len() + 1];
        for (start, scalar) in text.char_indices() {
            let before = ways.get(start).map_or(0.0, |way| way.score);
            let single = start + scalar.len_utf8();
            let mut is_known = false;
            self.pieces_at(text, start, |end, id, score| {
                is_known |= end == single;
                improve(&mut ways, end, before + score, start, id);
            });
            if !is_known {
                let score = before + self.unknown_score;
                improve(&mut ways, single, score, start, self.unknown);
            }
        }
        ways
    }

    /// Calls `found` with the end, the id and the score of each piece that begins at `start`.
    fn pieces_at(&self, text: &str, start: usize, mut found: impl FnMut(usize, u32, f64)) {
        let mut node = self.ids.root();
        let mut output = Output::zero();
        let bytes = text.as_bytes().get(start..).unwrap_or_default();
        for (end, byte) in (start + 1..).zip(bytes) {
            let Some(index) = node.find_input(*byte) else {
                return;
            };
            let transition = node.transition(index);
            output = output.cat(transition.out);
            node = self.ids.node(transition.addr);
            if node.is_final() {
                let id = output.cat(node.final_output()).value();
                let score = usize::try_from(id).ok().and_then(|id| self.scores.get(id));
                if let (Some(score), Ok(id)) = (score, u32::try_from(id)) {
                    found(end, id, *score);
                }
            }
        }
    }
}

/// Keeps a way to `end` if it is likelier than the one before.
fn improve(ways: &mut [Way], end: usize, score: f64, start: usize, id: u32) {
    if let Some(way) = ways.get_mut(end)
        && (!way.is_open || score > way.score)
    {
        *way = Way {
            score,
            start,
            id,
            is_open: true,
        };
    }
}

impl Model for Unigram {
    type Trainer = UnigramTrainer;

    fn tokenize(&self, text: &str) -> Result<Vec<Token>, Error> {
        let ways = self.ways(text);
        let mut tokens: Vec<Token> = Vec::new();
        let mut end = text.len();
        while let Some(way) = ways.get(end).filter(|way| end > 0 && way.start < end) {
            // Unknown scalars in a row are one token.
            let joined = tokens.last_mut().filter(|after| {
                way.id == self.unknown && after.id == self.unknown && after.offsets.0 == end
            });
            match joined {
                Some(after) => after.offsets.0 = way.start,
                None => tokens.push(Token::new(way.id, String::new(), (way.start, end))),
            }
            end = way.start;
        }
        tokens.reverse();
        for token in &mut tokens {
            let (start, end) = token.offsets;
            text.get(start..end)
                .unwrap_or_default()
                .clone_into(&mut token.value);
        }
        Ok(tokens)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        u32::try_from(self.ids.get(token)?.value()).ok()
    }

    /// Texts are never made of ids here.
    fn id_to_token(&self, _id: u32) -> Option<String> {
        None
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        HashMap::new()
    }

    fn get_vocab_size(&self) -> usize {
        self.scores.len()
    }

    fn save(&self, _folder: &Path, _prefix: Option<&str>) -> Result<Vec<PathBuf>, Error> {
        Err("a vocabulary that is only read cannot be saved".into())
    }

    fn get_trainer(&self) -> UnigramTrainer {
        UnigramTrainer::default()
    }
}
