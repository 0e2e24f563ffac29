//! Files that are refused, words, marks, spans, and the head that is shipped.

use super::*;
use crate::token_head::network::{CLASSES, NEAR};
use crate::token_head::sheet::{COLUMNS, Word};
use ndarray::{Array1, Array2};

fn network(dimension: usize) -> Network {
    let number =
        |(row, column): (usize, usize)| ((row * 31 + column * 17) % 13) as f32 / 13.0 - 0.5;
    Network {
        project: Array2::from_shape_fn((dimension, 3), number),
        hidden: Array2::from_shape_fn((NEAR * 3 + COLUMNS, 4), number),
        hidden_bias: Array1::from_elem(4, 0.1),
        output: Array2::from_shape_fn((4, CLASSES), number),
        output_bias: Array1::zeros(CLASSES),
    }
}

fn lexicon() -> Lexicon {
    Lexicon::new(&[
        vec!["anna".into()],
        vec![],
        vec!["new york".into(), "bath".into()],
        vec![],
        vec![],
    ])
}

fn card(weights: &[u8]) -> serde_json::Value {
    serde_json::json!({
        "name": "pii", "encoder": "e", "dimension": 6, "kinds": KINDS, "threshold": 0.9,
        "turning_points": {"PERSON": 0.5, "GPE": 0.5, "ORGANIZATION": 0.6, "STREET_ADDRESS": 0.7},
        "digest": digest(weights), "data": [], "figures": {},
    })
}

#[track_caller]
fn check_refused(change: impl Fn(&mut serde_json::Value), expected: &str) {
    let weights = network(6).to_bytes(&lexicon()).unwrap();
    let mut card = card(&weights);
    change(&mut card);
    let refusal = TokenHead::read(&weights, card.to_string().as_bytes())
        .unwrap_err()
        .to_string();
    assert!(refusal.contains(expected), "{refusal}");
}

#[test]
fn refuses_what_does_not_fit() {
    check_refused(|card| card["digest"] = "00".into(), "have digest");
    check_refused(
        |card| card["dimension"] = 7.into(),
        "`project` has a wrong shape",
    );
    check_refused(
        |card| card["kinds"] = serde_json::json!(["PERSON"]),
        "the card has the types",
    );
    check_refused(|card| card["threshold"] = 1.0.into(), "needs a threshold");
    check_refused(
        |card| card["turning_points"] = serde_json::json!({"PERSON": 0.5}),
        "a turning point",
    );
    check_refused(|card| card["figures"] = 3.into(), "card: invalid type");
    let card = card(b"no tensors").to_string();
    assert!(TokenHead::read(b"no tensors", card.as_bytes()).is_err());
}

#[test]
fn refuses_weights_of_another_shape() {
    let mut other = network(6);
    other.output_bias = Array1::zeros(CLASSES + 1);
    let weights = other.to_bytes(&lexicon()).unwrap();
    let refusal = TokenHead::read(&weights, card(&weights).to_string().as_bytes())
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains("`output.bias` has a wrong shape"),
        "{refusal}"
    );
}

#[test]
fn keeps_weights_to_a_hundredth() {
    let (before, words) = (network(6), lexicon());
    let (after, same) = network::read(&before.to_bytes(&words).unwrap(), 6).unwrap();
    assert_eq!(same, words);
    assert!(
        (before.project - after.project)
            .iter()
            .all(|error| error.abs() < 0.005)
    );
}

#[test]
fn reads_nothing_from_states_that_do_not_fit() {
    let weights = network(6).to_bytes(&lexicon()).unwrap();
    let head = TokenHead::read(&weights, card(&weights).to_string().as_bytes()).unwrap();
    assert!(
        head.tag("Anna", &[(0, 4)], Array2::zeros((1, 5)).view())
            .is_empty()
    );
    assert!(
        head.tag("Anna", &[(0, 4)], Array2::zeros((0, 6)).view())
            .is_empty()
    );
    assert!(head.tag("", &[], Array2::zeros((0, 6)).view()).is_empty());
    // Places beyond the text, or within a scalar, belong to no word.
    assert!(
        head.tag(
            "äö",
            &[(0, 1), (1, 2), (2, 9)],
            Array2::zeros((3, 6)).view()
        )
        .is_empty()
    );
}

#[test]
fn maps_the_turning_point_to_the_threshold() {
    let weights = network(6).to_bytes(&lexicon()).unwrap();
    let head = TokenHead::read(&weights, card(&weights).to_string().as_bytes()).unwrap();
    for (kind, probability, expected) in [
        (0, 0.5, 0.9),
        (0, 0.25, 0.45),
        (0, 1.0, 1.0),
        (2, 0.8, 0.95),
        (3, 0.7, 0.9),
    ] {
        assert!(
            (head.confidence(kind, probability) - expected).abs() < 1e-6,
            "{kind} {probability}"
        );
    }
}

#[track_caller]
fn check_words(text: &str, offsets: &[(usize, usize)], expected: &[&str]) {
    let sheet = Sheet::new(text, offsets, &lexicon());
    let words: Vec<&str> = sheet
        .words
        .iter()
        .map(|word| text.get(word.start..word.end).unwrap())
        .collect();
    assert_eq!(words, expected);
}

#[test]
fn joins_tokens_to_words() {
    check_words(
        "Annabel said",
        &[(0, 4), (4, 7), (8, 12)],
        &["Annabel", "said"],
    );
    check_words(
        "O'Neil, x",
        &[(0, 1), (1, 2), (2, 4), (4, 6), (6, 7), (8, 9)],
        &["O", "'", "Neil", ",", "x"],
    );
    check_words("東京a", &[(0, 3), (3, 6), (6, 7)], &["東", "京", "a"]);
    check_words("äb", &[(0, 2), (2, 3), (3, 3)], &["äb"]);
}

#[test]
fn marks_listed_words() {
    let words = [
        Word {
            start: 0,
            end: 3,
            token: 0,
        },
        Word {
            start: 4,
            end: 8,
            token: 1,
        },
        Word {
            start: 9,
            end: 13,
            token: 2,
        },
    ];
    assert_eq!(lexicon().marks("New York Bath", &words), [4, 4, 4]);
    assert_eq!(lexicon().marks("Old York Anna", &words), [0, 0, 1]);
}

#[test]
fn lists_hold_their_names_and_few_others() {
    let names: Vec<String> = (0..2000).map(|number| format!("name{number}")).collect();
    let lexicon = Lexicon::new(&[names.clone(), vec![], vec![], vec![], vec![]]);
    assert!(names.iter().all(|name| lexicon.holds(0, name)));
    let wrong = (0..2000)
        .filter(|number| lexicon.holds(0, &format!("other{number}")))
        .count();
    assert!(wrong < 80, "{wrong} of 2000");
    assert!(!lexicon.holds(1, "name1") && !lexicon.holds(9, "name1"));
}

#[track_caller]
fn check_spans(text: &str, classes: &[usize], expected: &[(usize, &str)]) {
    let mut words = Vec::new();
    let mut at = 0;
    for word in text.split(' ') {
        words.push(Word {
            start: at,
            end: at + word.len(),
            token: words.len(),
        });
        at += word.len() + 1;
    }
    let rows = Array2::from_shape_fn((classes.len(), CLASSES), |(row, class)| {
        if classes[row] == class { 0.92 } else { 0.01 }
    });
    let found = decode::spans(text, &words, rows.view());
    let found: Vec<(usize, &str)> = found
        .iter()
        .map(|span| (span.kind, text.get(span.start..span.end).unwrap()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn puts_words_together() {
    check_spans("", &[], &[]);
    check_spans("a b c", &[0, 0, 0], &[]);
    check_spans("a b c", &[1, 2, 0], &[(0, "a b")]);
    check_spans("a b c", &[1, 1, 3], &[(0, "a"), (0, "b"), (1, "c")]);
    check_spans("a b , c", &[0, 7, 8, 8], &[(3, "b , c")]);
    check_spans("a b ,", &[0, 7, 8], &[(3, "b")]);
    check_spans("( a )", &[5, 6, 6], &[(2, "a")]);
    // An inside without a begin is not allowed: either its begin or nothing is likelier.
    check_spans("a b", &[0, 2], &[]);
}

#[test]
fn the_shipped_head_reads() {
    let head = shipped().expect("the shipped weights and card fit each other");
    assert_eq!(
        head.kinds().iter().map(|kind| &**kind).collect::<Vec<_>>(),
        KINDS
    );
    assert_eq!(
        (head.card().dimension, head.card().encoder.as_str()),
        (384, "all-MiniLM-L6-v2")
    );
}
