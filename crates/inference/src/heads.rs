//! The heads that come with the product: a folder for each task, and below it one for the encoder of
//! other languages than English.

use crate::catalog::Task;
use crate::head::SequenceHead;

/// Name of the encoder of English.
pub const ENGLISH: &str = "all-MiniLM-L6-v2";
/// Name of the encoder of other languages.
pub const MULTILINGUAL: &str = "multilingual-e5-small";

/// Weights and card of the heads on the encoder of other languages. Where a task has none, the
/// encoder of English reads all texts.
const OTHER_LANGUAGES: &[(Task, &[u8], &[u8])] = &[(
    Task::Jailbreak,
    include_bytes!("../heads/jailbreak/multilingual-e5-small/head.safetensors"),
    include_bytes!("../heads/jailbreak/multilingual-e5-small/card.json"),
)];

/// The head for a task on the encoder of other languages, where there is one.
#[must_use]
pub fn multilingual(task: Task) -> Option<SequenceHead> {
    let mut heads = OTHER_LANGUAGES.iter();
    let (_, weights, card) = heads.find(|(other, ..)| *other == task)?;
    SequenceHead::read(weights, card).ok()
}

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

    /// A head that is there means the same as that of English, at the same threshold or another.
    #[track_caller]
    fn check_multilingual(task: Task) {
        let is_there = OTHER_LANGUAGES.iter().any(|(other, ..)| *other == task);
        let head = multilingual(task);
        assert_eq!(head.is_some(), is_there, "{}", task.as_str());
        let Some(head) = head else { return };
        assert_eq!(Some(head.labels()), shipped(task).map(|head| head.labels()));
        assert_eq!(head.card().task, task.as_str());
        assert_eq!(head.card().encoder(), MULTILINGUAL);
        assert_eq!(head.card().statics(), 0);
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
        tasks.into_iter().for_each(check_multilingual);
        assert!(shipped(Task::Own).is_none());
    }
}
