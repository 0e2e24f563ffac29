//! The heads that come with the product.

use crate::catalog::Task;
use crate::head::SequenceHead;

/// The head for a task; none for an operator's own.
#[must_use]
pub fn shipped(task: Task) -> Option<SequenceHead> {
    let (weights, card) = files(task)?;
    SequenceHead::read(weights, card).ok()
}

macro_rules! head {
    ($task:literal) => {
        Some((
            include_bytes!(concat!("../heads/", $task, "/head.safetensors")).as_slice(),
            include_bytes!(concat!("../heads/", $task, "/card.json")).as_slice(),
        ))
    };
}

/// Weights and card of the head for a task, as they lie in the repository.
#[must_use]
pub fn files(task: Task) -> Option<(&'static [u8], &'static [u8])> {
    match task {
        Task::Domain => head!("domain"),
        Task::Jailbreak => head!("jailbreak"),
        Task::FactCheck => head!("fact_check"),
        Task::UserFeedback => head!("user_feedback"),
        Task::Modality => head!("modality"),
        Task::Own => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::labels;

    #[track_caller]
    fn check(task: Task) {
        let (weights, card) = files(task).unwrap();
        let head = SequenceHead::read(weights, card).unwrap();
        let found: Vec<String> = head.labels().iter().map(ToString::to_string).collect();
        assert_eq!(found, labels(task));
        let card = head.card();
        assert_eq!(
            (card.task.as_str(), card.encoder(), card.dimension()),
            (task.as_str(), "all-MiniLM-L6-v2", 384)
        );
        assert!(
            card.threshold.is_some()
                && !card.data.is_empty()
                && card.metrics.contains_key("test.accuracy")
        );
        let row = head.probabilities(&[0.05; 384], &[0.06; 512]);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{row:?}");
        assert!(weights.len() < 600_000, "{}", weights.len());
    }

    #[test]
    fn shipped_heads_load_and_have_the_labels_of_their_tasks() {
        let tasks = [
            Task::Domain,
            Task::Jailbreak,
            Task::FactCheck,
            Task::UserFeedback,
            Task::Modality,
        ];
        tasks.into_iter().for_each(check);
        assert!(shipped(Task::Own).is_none());
    }
}
