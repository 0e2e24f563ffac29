//! Loaded models: a graph with its tokenizer and sessions, and what stands behind the handles.

use crate::ask::Entity;
use crate::backend::{Encoded, RunError, Session};
use crate::head::SequenceHead;
use crate::language::Multilingual;
use crate::spans;
use crate::static_embedding::StaticEmbedding;
use crate::token_head::TokenHead;
use crate::vector::softmax;
use crate::window::{Segmenter, Window};
use ndarray::ArrayView2;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A graph with all that its runs need. Shared by every handle with equal files.
#[derive(Debug)]
pub struct Model {
    /// Name on its card, or of its folder.
    pub name: Arc<str>,
    /// Identity of weights, tokenizer and static embeddings.
    pub digest: Arc<str>,
    /// Numbers of the pooled output, or labels.
    pub width: usize,
    /// Cuts texts for it.
    pub segmenter: Segmenter,
    /// Static embeddings that stand beside it, in their order.
    pub statics: Vec<Arc<StaticEmbedding>>,
    /// Its sessions.
    pub sessions: Sessions,
    /// What its runs take.
    pub pace: Pace,
}

/// The sessions of a graph, one a lane.
pub struct Sessions {
    idle: Mutex<Vec<Box<dyn Session>>>,
    returned: Condvar,
}

impl Sessions {
    /// Takes open sessions, at least one.
    #[must_use]
    pub fn new(sessions: Vec<Box<dyn Session>>) -> Self {
        Self {
            idle: Mutex::new(sessions),
            returned: Condvar::new(),
        }
    }

    /// Runs windows on an idle session; waits for one where callers outnumber lanes.
    ///
    /// # Errors
    /// The run fails.
    pub fn run(&self, windows: &[&[u32]], want_states: bool) -> Result<Vec<Encoded>, RunError> {
        let poisoned = || RunError("a session panicked".into());
        let mut idle = self.idle.lock().map_err(|_| poisoned())?;
        let session = loop {
            match idle.pop() {
                Some(session) => break session,
                None => idle = self.returned.wait(idle).map_err(|_| poisoned())?,
            }
        };
        drop(idle);
        let mut borrowed = Borrowed {
            session: Some(session),
            to: self,
        };
        let session = borrowed.session.as_mut().ok_or_else(poisoned)?;
        session.run(windows, want_states)
    }
}

/// Brings a session back also when its run panics.
struct Borrowed<'a> {
    session: Option<Box<dyn Session>>,
    to: &'a Sessions,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let (Some(session), Ok(mut idle)) = (self.session.take(), self.to.idle.lock()) {
            idle.push(session);
            self.to.returned.notify_one();
        }
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Sessions")
    }
}

/// Time of a token, as recent runs had it.
#[derive(Debug, Default)]
pub struct Pace(AtomicU64);

impl Pace {
    /// Counts a run.
    pub fn note(&self, tokens: usize, took: Duration) {
        let now = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / tokens.max(1) as u64;
        let before = self.0.load(Ordering::Relaxed);
        let next = if before == 0 {
            now
        } else {
            before - before / 16 + now / 16
        };
        self.0.store(next.max(1), Ordering::Relaxed);
    }

    /// What so many tokens would take.
    #[must_use]
    pub fn expect(&self, tokens: usize) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed).saturating_mul(tokens as u64))
    }
}

impl Model {
    /// Runs one window, and notes what it took.
    ///
    /// # Errors
    /// The run fails.
    pub fn run(&self, window: &Window, want_states: bool) -> Result<Encoded, RunError> {
        let begin = Instant::now();
        let encoded = self.sessions.run(&[&window.ids], want_states)?.pop();
        self.pace.note(window.ids.len(), begin.elapsed());
        encoded.ok_or_else(|| RunError("the graph gave nothing".into()))
    }

    /// Static embeddings of a window's text, one after the other.
    ///
    /// # Errors
    /// A tokenizer fails.
    pub fn statics(&self, text: &str) -> Result<Box<[f32]>, tokenizers::Error> {
        let mut vector =
            Vec::with_capacity(self.statics.iter().map(|table| table.dimension()).sum());
        self.statics
            .iter()
            .try_for_each(|table| table.embed(text, &mut vector))?;
        Ok(vector.into())
    }
}

/// Behind a classifier's handle.
#[derive(Debug)]
pub struct ClassifierModel {
    /// The encoder, or the full model.
    pub model: Arc<Model>,
    /// The head; a full model has none.
    pub head: Option<SequenceHead>,
    /// What reads other languages than English; without it `model` reads all.
    pub multilingual: Option<OtherLanguages<SequenceHead>>,
}

/// A head for other languages than English, and the encoder that it stands on.
#[derive(Debug)]
pub struct OtherLanguages<H> {
    /// The encoder.
    pub encoder: Arc<Multilingual>,
    /// The head.
    pub head: H,
}

impl ClassifierModel {
    /// Whether it reads static embeddings.
    #[must_use]
    pub fn wants_statics(&self) -> bool {
        self.head
            .as_ref()
            .is_some_and(|head| head.card().statics() > 0)
    }

    /// Probabilities of a window that `model` has read.
    #[must_use]
    pub fn probabilities(&self, model: &Model, pooled: &[f32], statics: &[f32]) -> Vec<f32> {
        let other = self.multilingual.as_ref();
        if let Some(other) = other.filter(|other| other.encoder.is(model)) {
            let row = other.head.probabilities(pooled, statics);
            let threshold = self.head.as_ref().and_then(|head| head.card().threshold);
            return same_threshold(row, other.head.card().threshold, threshold);
        }
        self.head.as_ref().map_or_else(
            || softmax(pooled),
            |head| head.probabilities(pooled, statics),
        )
    }
}

/// Behind the handle of an embedder that has an encoder for each language. Its vectors are those of
/// both, one after the other; where a text is read by one of them, the other's part is zeros.
#[derive(Debug)]
pub struct EmbedderPair {
    /// The encoder of English.
    pub model: Arc<Model>,
    /// The encoder of other languages.
    pub multilingual: Arc<Multilingual>,
    /// Length of the other encoder's vectors.
    pub beside: usize,
}

/// Moves the probability of two labels' second one so that `threshold`, which a document is written
/// for, means on this head what `own` means: linear below and above.
fn same_threshold(row: Vec<f32>, own: Option<f32>, threshold: Option<f32>) -> Vec<f32> {
    let ([_, probability], Some(own), Some(threshold)) = (row.as_slice(), own, threshold) else {
        return row;
    };
    if !(own > 0.0 && own < 1.0) {
        return row;
    }
    let moved = if *probability < own {
        threshold * probability / own
    } else {
        threshold + (1.0 - threshold) * (probability - own) / (1.0 - own)
    };
    vec![1.0 - moved, moved]
}

/// Behind a tagger's handle.
#[derive(Debug)]
pub struct TaggerModel {
    /// The encoder, or the full model.
    pub model: Arc<Model>,
    /// Identity of all that its findings depend on.
    pub digest: Arc<str>,
    /// How token rows become entities.
    pub by: TokensBy,
    /// Whether rules that verify stand beside it.
    pub recognizers: bool,
    /// What reads other languages than English; without it `model` reads all.
    pub multilingual: Option<OtherLanguages<TokenHead>>,
}

/// How token rows become entities.
#[derive(Debug)]
pub enum TokensBy {
    /// A head on hidden states.
    Head(TokenHead),
    /// Logits of BIO labels.
    Logits(Arc<[Arc<str>]>),
    /// No model of tokens: rules alone.
    Nothing,
}

impl TaggerModel {
    /// Whether no window need be read for it.
    #[must_use]
    pub fn is_rules_only(&self) -> bool {
        matches!(self.by, TokensBy::Nothing)
    }

    /// Entities of a window that `model` has read, in scalars from the window's begin.
    #[must_use]
    pub fn tag(
        &self,
        model: &Model,
        text: &str,
        window: &Window,
        states: ArrayView2<'_, f32>,
    ) -> Vec<Entity> {
        let Some(own) = window.own(states) else {
            return Vec::new();
        };
        let other = self.multilingual.as_ref();
        if let Some(other) = other.filter(|other| other.encoder.is(model)) {
            return other.head.tag(text, &window.offsets, own);
        }
        match &self.by {
            TokensBy::Head(head) => head.tag(text, &window.offsets, own),
            TokensBy::Logits(labels) => spans::of_logits(text, &window.offsets, own, labels),
            TokensBy::Nothing => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(row: &[f32], own: Option<f32>, expected: &[f32]) {
        let moved = same_threshold(row.to_vec(), own, Some(0.6));
        let is_near = moved
            .iter()
            .zip(expected)
            .all(|(moved, expected)| (moved - expected).abs() < 1e-6);
        assert!(
            is_near && moved.len() == expected.len(),
            "{row:?}: {moved:?}"
        );
    }

    #[test]
    fn a_threshold_means_the_same_on_both_heads() {
        check(&[0.7, 0.3], Some(0.3), &[0.4, 0.6]);
        check(&[0.85, 0.15], Some(0.3), &[0.7, 0.3]);
        check(&[0.35, 0.65], Some(0.3), &[0.2, 0.8]);
        check(&[0.0, 1.0], Some(0.3), &[0.0, 1.0]);
        check(&[0.7, 0.3], None, &[0.7, 0.3]);
        check(&[0.2, 0.3, 0.5], Some(0.3), &[0.2, 0.3, 0.5]);
    }
}
