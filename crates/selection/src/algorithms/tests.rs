//! The frame and the static algorithm.

use super::r#static::Static;
use super::*;

fn refs(names: &[&str]) -> Vec<Candidate> {
    names
        .iter()
        .map(|name| {
            let (model, lora) = name.split_once('+').unwrap_or((name, ""));
            Candidate::unknown(ModelRef {
                model: model.into(),
                lora_name: lora.into(),
                ..ModelRef::default()
            })
        })
        .collect()
}

fn scored(scores: &[(&str, f64)]) -> Option<Box<dyn Selector>> {
    let scores = scores
        .iter()
        .map(|(model, score)| ((*model).to_owned(), *score));
    Some(Box::new(Static::new("math", scores.collect())))
}

#[test]
fn static_takes_the_highest_score_unless_it_is_exactly_one() {
    #[track_caller]
    fn check(names: &[&str], scores: &[(&str, f64)], candidate: usize, score: f64) {
        let selection = Candidates::new("math", refs(names), "static", scored(scores)).select_any();
        assert_eq!(
            (selection.candidate, selection.score),
            (Some(candidate), score)
        );
        assert_eq!((selection.method, selection.confidence), ("static", 1.0));
        assert_eq!(&*selection.reason, "Static selection for category 'math'");
        assert_eq!(selection.fallback, None);
    }
    check(&["a", "b"], &[("a", 0.4)], 0, 0.4);
    check(&["a", "b"], &[("a", 0.4), ("b", 0.9)], 1, 0.9);
    check(&["a", "b"], &[("a", 0.9)], 0, 0.9);
    check(&["a", "b"], &[], 0, 1.0);
    check(
        &["a", "b", "c"],
        &[("a", 0.5), ("b", 0.7), ("c", 0.7)],
        1,
        0.7,
    );
    check(&["a", "b"], &[("b", 2.0)], 1, 2.0);
    // Two references to one model: only the first adapter can win.
    check(&["z", "m+one", "m+two"], &[("z", 0.1), ("m", 0.9)], 1, 0.9);
}

/// Always answers with one candidate.
struct Fixed(usize);

impl Selector for Fixed {
    fn select(&self, _: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        Ok(Choice {
            candidate: self.0,
            score: 0.5,
            confidence: 0.25,
            reason: Arc::from("fixed"),
            scores: Vec::new(),
        })
    }
}

/// Never answers.
struct Failing(fn() -> SelectionError);

impl Selector for Failing {
    fn select(&self, _: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        Err((self.0)())
    }
}

#[test]
fn the_frame_settles_what_needs_no_algorithm() {
    let none = Candidates::new("d", refs(&[]), "static", scored(&[])).with_fast_response();
    assert_eq!(
        (none.select_any().candidate, none.select_any().method),
        (None, "default")
    );
    let blank = Candidates::new("d", refs(&["  "]), "static", scored(&[]));
    assert_eq!(
        (blank.select_any().candidate, blank.select_any().method),
        (None, "default")
    );
    let single = Candidates::new("d", refs(&["a+lora"]), "router_dc", None);
    let selection = single.select_any();
    assert_eq!((selection.candidate, selection.method), (Some(0), "single"));
    assert_eq!(
        (selection.score, selection.confidence, selection.fallback),
        (1.0, 1.0, None)
    );
    let canned = Candidates::new("d", refs(&["a", "b"]), "static", Some(Box::new(Fixed(1))))
        .with_fast_response();
    assert_eq!(
        (canned.select_any().candidate, canned.select_any().method),
        (Some(0), "fast_response")
    );
    assert_eq!(
        (
            canned.preview(&[0, 1]).candidate,
            canned.preview(&[0, 1]).method
        ),
        (Some(1), "static")
    );
}

#[test]
fn a_failing_algorithm_falls_back_to_the_first_valid_candidate_and_says_so() {
    #[track_caller]
    fn check(
        names: &[&str],
        selector: Option<Box<dyn Selector>>,
        candidate: usize,
        fallback: Fallback,
    ) {
        let selection = Candidates::new("d", refs(names), "knn", selector).select_any();
        assert_eq!(selection.candidate, Some(candidate));
        assert_eq!(
            (selection.method, selection.score, selection.confidence),
            ("knn", 0.0, 0.0)
        );
        assert_eq!(selection.fallback, Some(fallback));
        assert_eq!(&*selection.reason, fallback.as_str());
    }
    let failing = |error| Some(Box::new(Failing(error)) as Box<dyn Selector>);
    check(&["a", "b"], None, 0, Fallback::Unavailable);
    check(
        &["", "b"],
        Some(Box::new(Fixed(1))),
        1,
        Fallback::InvalidContext,
    );
    check(
        &["a", "b"],
        Some(Box::new(Fixed(7))),
        0,
        Fallback::UndeclaredCandidate,
    );
    check(
        &["a", "b"],
        failing(|| SelectionError::Unavailable),
        0,
        Fallback::Unavailable,
    );
    check(
        &["a", "b"],
        failing(|| SelectionError::Timeout),
        0,
        Fallback::Timeout,
    );
    check(
        &["a", "b"],
        failing(|| SelectionError::Cancelled),
        0,
        Fallback::Cancelled,
    );
    check(
        &["a", "b"],
        failing(|| SelectionError::InvalidOutput),
        0,
        Fallback::InvalidOutput,
    );
    check(
        &["a", "b"],
        failing(|| SelectionError::Failed("no model".into())),
        0,
        Fallback::Error,
    );
}

#[test]
fn a_choice_means_the_first_reference_of_that_model_or_adapter() {
    let selection =
        Candidates::new("d", refs(&["x+b", "b"]), "hybrid", Some(Box::new(Fixed(1)))).select_any();
    assert_eq!((selection.candidate, selection.method), (Some(0), "hybrid"));
}

#[test]
fn upstream_names_are_adapters_where_there_is_one() {
    let model_refs = refs(&["m", "m+lora"]);
    assert_eq!(
        (
            upstream_name(&model_refs[0].model_ref),
            upstream_name(&model_refs[1].model_ref)
        ),
        ("m", "lora")
    );
}
