//! The heads that come with the product.

use crate::catalog::Task;
use crate::head::SequenceHead;
use crate::token_head::TokenHead;

/// The head for a task.
#[must_use]
pub fn shipped(_task: Task) -> Option<SequenceHead> {
    None
}

/// The head that finds personal data.
#[must_use]
pub fn shipped_tagger() -> Option<TokenHead> {
    None
}
