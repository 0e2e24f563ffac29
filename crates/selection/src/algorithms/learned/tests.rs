//! What artifacts are asked, and what becomes of the names they answer.

use super::*;
use crate::algorithms::SelectionRequest;
use crate::candidate::{Candidate, ModelRef};
use inference::catalog::Bare;

/// Names the models in order, whatever it is asked.
struct Named(&'static [&'static str]);

impl Artifact for Named {
    fn dimension(&self) -> usize {
        2 + CATEGORIES.len()
    }

    fn choose<'a>(&'a self, _: &[f64], may: &dyn Fn(&str) -> bool) -> Option<&'a str> {
        self.0.iter().copied().find(|name| may(name))
    }
}

fn candidate(name: &str) -> Candidate {
    let (model, lora) = name.split_once('+').unwrap_or((name, ""));
    Candidate::unknown(ModelRef {
        model: model.into(),
        lora_name: lora.into(),
        ..ModelRef::default()
    })
}

#[track_caller]
fn check(
    named: &'static [&'static str],
    eligible: &[usize],
    vector: Option<&[f32]>,
    expected: Option<usize>,
) {
    let candidates = ["a", "m+tuned", "m", "b"].map(candidate);
    let request = SelectionRequest {
        vector,
        ..SelectionRequest::default()
    };
    let input = SelectionInput {
        decision: "d",
        candidates: &candidates,
        eligible,
        request: &request,
    };
    let selector = Learned::new("knn", Arc::new(Named(named)), Bare::encoder()).unwrap();
    match (selector.select(&input), expected) {
        (Ok(choice), Some(expected)) => {
            assert_eq!(
                (choice.candidate, choice.score, choice.confidence),
                (expected, 1.0, 0.8)
            );
        }
        (Err(SelectionError::Failed(_)), None) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_adapters_or_models() {
    const VECTOR: Option<&[f32]> = Some(&[0.0, 1.0]);
    check(&["b"], &[0, 1, 2, 3], VECTOR, Some(3));
    check(&["tuned"], &[0, 1, 2, 3], VECTOR, Some(1));
    check(&["m"], &[0, 1, 2, 3], VECTOR, Some(2));
    // A candidate that was dropped is passed over; a name of no candidate is a wrong answer, as in
    // the reference.
    check(&["b", "a"], &[0, 1, 2], VECTOR, Some(0));
    check(&["stranger", "a"], &[0, 1, 2], VECTOR, None);
    check(&["b"], &[0, 1, 2], VECTOR, None);
    check(&["b"], &[0, 1, 2, 3], None, None);
    check(&["b"], &[0, 1, 2, 3], Some(&[0.0]), None);
    check(&["b"], &[0, 1, 2, 3], Some(&[0.0, f32::NAN]), None);
}

#[test]
fn features_end_with_the_category() {
    let check = |category: &str, place: usize| {
        let features = features(&[0.5], category);
        assert_eq!(
            (features.len(), features[0], features[1 + place]),
            (15, 0.5, 1.0),
            "{category}"
        );
        assert_eq!(features.iter().skip(1).sum::<f64>(), 1.0);
    };
    check("math", 0);
    check("philosophy", 11);
    check("other", 12);
    check("unknown", 13);
    check("", 12);
    check("engineering", 12);
    check("Math", 12);
}

#[test]
fn an_artifact_of_other_vectors_is_refused() {
    let encoder = Embedder {
        dimension: 384,
        ..Bare::encoder()
    };
    let error = Learned::new("knn", Arc::new(Named(&[])), encoder)
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        error,
        "was fitted on 16 numbers; vectors of `none` and the category have 398"
    );
    let fitting = Embedder {
        dimension: 2,
        ..Bare::encoder()
    };
    assert!(Learned::new("knn", Arc::new(Named(&[])), fitting).is_ok());
}
