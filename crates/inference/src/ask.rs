//! Questions about texts, and what comes back.
//!
//! All questions of one call are answered together: those about the same text share its encoder
//! runs.

use crate::handle::{Classifier, Embedder, Tagger};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Instant;

/// Answers questions about texts.
pub trait Ask: Send + Sync {
    /// Answers in the order of the questions. An answer that is not there by `deadline` is a
    /// [`Failure::TimedOut`]; the future itself always ends by then. Dropping it withdraws what is
    /// still queued.
    fn ask<'a>(
        &'a self,
        questions: &'a [Question],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Outcome>>;
}

/// One question about one text.
#[derive(Debug, Clone)]
pub struct Question {
    /// The text, as the client wrote it.
    pub text: Arc<str>,
    /// What is asked.
    pub what: What,
    /// Who waits last.
    pub priority: Priority,
}

impl Question {
    /// A question of ordinary priority.
    #[must_use]
    pub fn new(text: Arc<str>, what: What) -> Self {
        Self {
            text,
            what,
            priority: Priority::Ordinary,
        }
    }

    /// The same question, for which no request of a client waits.
    #[must_use]
    pub fn in_background(self) -> Self {
        Self {
            priority: Priority::Background,
            ..self
        }
    }

    /// The same question, asked for safety's sake.
    #[must_use]
    pub fn for_safety(self) -> Self {
        Self {
            priority: Priority::Safety,
            ..self
        }
    }
}

/// Which questions are answered when not all can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Priority {
    /// Shed when it could not be answered in time.
    #[default]
    Ordinary,
    /// Runs before all ordinary questions, and is shed only where safety questions alone are too
    /// many.
    Safety,
    /// Work that no request of a client waits for, such as calls of the admin API: has a small
    /// share beside the others.
    Background,
}

/// What can be asked of a text.
#[derive(Debug, Clone)]
pub enum What {
    /// Its vector: one for the text, the mean over the windows of [`Over::Sample`], unit length;
    /// zeros for a blank text.
    Vector(Embedder),
    /// Probabilities of labels.
    Labels(Classifier, Over),
    /// Entities: spans of a type. Always over the whole text.
    Entities(Tagger),
}

/// Which windows of a text count, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Over {
    /// One row: the token-weighted mean over the text's sampled windows (all of a short text; head,
    /// middle and tail of a long one).
    Sample,
    /// One row a window, over the whole text: what must not be missed is looked for in each.
    EachWindow,
}

/// What came of a question.
pub type Outcome = Result<Reply, Failure>;

/// An answer, and how far the text was read for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// The text was longer than the bound on windows: its middle was not read.
    pub truncated: bool,
}

/// An answer. Its kind is that of the question.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Unit length; as many numbers as the embedder has dimensions.
    Vector(Arc<[f32]>),
    /// Rows of probabilities in the order of the classifier's labels; one row or one a window. No
    /// row for a blank text.
    Labels(Vec<Arc<[f32]>>),
    /// Entities in order of their start.
    Entities(Vec<Entity>),
}

/// A span of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Type without BIO prefix, for example `PERSON`.
    pub kind: Arc<str>,
    /// 0 to 1; a verified checksum counts 1.
    pub confidence: f32,
    /// First Unicode scalar value of the span.
    pub start: usize,
    /// One past its last.
    pub end: usize,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The queue was full, or could not have answered in time.
    #[error("shed")]
    Shed,
    /// The deadline passed.
    #[error("timeout")]
    TimedOut,
    /// The model is not loaded (yet).
    #[error("unready")]
    Unready,
    /// It was not asked: a boundary keeps the text from where the model runs.
    #[error("boundary")]
    Forbidden,
    /// The model failed.
    #[error("failed: {0}")]
    Failed(Arc<str>),
}

impl Failure {
    /// One word for headers and counters.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Shed => "shed",
            Self::TimedOut => "timeout",
            Self::Unready => "unready",
            Self::Forbidden => "boundary",
            Self::Failed(_) => "failed",
        }
    }
}

/// Nothing is installed: every question is [`Failure::Unready`]. For `check`, and for documents
/// without learned signals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Ask for Nobody {
    fn ask<'a>(
        &'a self,
        questions: &'a [Question],
        _deadline: Instant,
    ) -> BoxFuture<'a, Vec<Outcome>> {
        let unready = questions.iter().map(|_| Err(Failure::Unready)).collect();
        Box::pin(std::future::ready(unready))
    }
}
