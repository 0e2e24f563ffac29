//! Translation between wires: a client speaks one, the backend that serves it another.
//!
//! ```text
//! request   bytes of the client's wire ─ read ─▶ neutral request ─ write ─▶ bytes of the backend's
//! answer    bytes or events of the backend's wire ─▶ neutral parts ─▶ those of the client's
//! ```
//!
//! Each wire has one reader and one writer, so that three of each serve all six directions. What
//! cannot be said on the other wire is a [`Loss`], never silence; what would change the request's
//! sense is [`Unfit`]. Equal wires are not translated: their bytes go on as they came.

pub mod answer;
pub mod loss;
pub mod request;

pub use answer::{AnswerTranslator, Answered, Reply};
pub use loss::{Loss, Losses, Severity};
pub use request::{Translated, Unfit, request};

use crate::endpoint::Dialect;

/// What the backend is that a request is translated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend {
    /// The wire that it speaks.
    pub dialect: Dialect,
    /// It takes reasoning of earlier turns as `reasoning_content` (vLLM and its like).
    pub replays_reasoning: bool,
    /// It takes members that only vLLM and its like know, `top_k` among them.
    pub is_vllm: bool,
}
