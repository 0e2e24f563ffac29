//! The heads that come with the product.

use crate::catalog::Task;
use crate::head::SequenceHead;

/// The head for a task; none for an operator's own.
#[must_use]
pub fn shipped(task: Task) -> Option<SequenceHead> {
    let (weights, card) = files(task)?;
    SequenceHead::read(weights, card).ok()
}

/// Weights and card of the head for a task, as they lie in the repository.
#[must_use]
pub fn files(task: Task) -> Option<(&'static [u8], &'static [u8])> {
    match task {
        Task::Domain | Task::Jailbreak | Task::FactCheck | Task::UserFeedback | Task::Modality | Task::Own => None,
    }
}
