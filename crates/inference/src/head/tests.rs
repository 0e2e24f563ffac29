//! Heads are read as written, and refused where weights and card do not belong together.

use super::*;
use safetensors::serialize;
use std::collections::HashMap;

fn card(labels: &[&str], blocks: &[(&str, usize)], activation: Activation) -> HeadCard {
    HeadCard {
        name: "toy".into(),
        task: "own".into(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        features: blocks
            .iter()
            .map(|(name, dimension)| Block {
                name: (*name).into(),
                dimension: *dimension,
            })
            .collect(),
        activation,
        temperature: 1.0,
        threshold: Some(0.5),
        data: Vec::new(),
        command: String::new(),
        metrics: BTreeMap::new(),
        notes: Vec::new(),
        weights_sha256: String::new(),
    }
}

fn file(dtype: Dtype, tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, numbers)| match dtype {
            Dtype::F16 => numbers
                .iter()
                .flat_map(|number| half::f16::from_f32(*number).to_le_bytes())
                .collect(),
            _ => numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect(),
        })
        .collect();
    let views: HashMap<&str, TensorView<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), data)| {
            (*name, TensorView::new(dtype, shape.to_vec(), data).unwrap())
        })
        .collect();
    serialize(views, None).unwrap()
}

fn read(card: &HeadCard, weights: &[u8]) -> Result<SequenceHead, String> {
    let card = HeadCard {
        weights_sha256: sha256(weights),
        ..card.clone()
    };
    SequenceHead::read(weights, &serde_json::to_vec(&card).unwrap())
        .map_err(|error| error.to_string())
}

/// A linear head of two labels on an encoder of two numbers: the first label by the first number.
pub(crate) fn toy(encoder: &str) -> SequenceHead {
    let weights = file(
        Dtype::F32,
        &[
            ("output.weight", &[2, 2], &[1.0, 0.0, 0.0, 0.0]),
            ("output.bias", &[2], &[0.0, 0.0]),
        ],
    );
    let block = format!("encoder:{encoder}");
    let card = card(&["no", "yes"], &[(&block, 2)], Activation::None);
    read(&card, &weights).unwrap()
}

const BOTH: &[(&str, usize)] = &[("encoder:e", 2), ("static:s", 1)];

fn linear(dtype: Dtype) -> Vec<u8> {
    file(
        dtype,
        &[
            ("output.weight", &[2, 3], &[1.0, 0.0, 2.0, 0.0, 1.0, 0.0]),
            ("output.bias", &[2], &[0.5, 0.0]),
        ],
    )
}

#[track_caller]
fn check(head: &SequenceHead, pooled: &[f32], statics: &[f32], expected: &[f32]) {
    let found = head.probabilities(pooled, statics);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(
        found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-5),
        "{found:?}, expected {expected:?}"
    );
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[test]
fn reads_both_number_types_alike() {
    for dtype in [Dtype::F32, Dtype::F16] {
        let head = read(
            &card(&["no", "yes"], BOTH, Activation::None),
            &linear(dtype),
        )
        .unwrap();
        // Logits 1·1 + 2·0.25 + 0.5 = 2 and 0.5.
        check(&head, &[1.0, 0.5], &[0.25], &[sigmoid(1.5), sigmoid(-1.5)]);
        assert_eq!(&*head.labels()[1], "yes");
        assert_eq!(
            (
                head.card().encoder(),
                head.card().dimension(),
                head.card().statics()
            ),
            ("e", 2, 1)
        );
    }
}

#[test]
fn divides_by_the_temperature() {
    let warm = HeadCard {
        temperature: 2.0,
        ..card(&["no", "yes"], BOTH, Activation::None)
    };
    check(
        &read(&warm, &linear(Dtype::F32)).unwrap(),
        &[1.0, 0.5],
        &[0.25],
        &[sigmoid(0.75), sigmoid(-0.75)],
    );
}

#[test]
fn runs_through_a_hidden_layer() {
    let weights = file(
        Dtype::F32,
        &[
            ("hidden.weight", &[2, 2], &[1.0, 0.0, -1.0, 0.0]),
            ("hidden.bias", &[2], &[0.0, 0.0]),
            ("output.weight", &[2, 2], &[3.0, 0.0, 0.0, 1.0]),
            ("output.bias", &[2], &[0.0, 0.0]),
        ],
    );
    let head = read(
        &card(&["a", "b"], &[("encoder:e", 2)], Activation::Relu),
        &weights,
    )
    .unwrap();
    check(&head, &[1.0, 9.0], &[], &[sigmoid(3.0), sigmoid(-3.0)]);
    // What the first output of the hidden layer cuts off, the second lets through; statics it does
    // not read are no fault.
    check(&head, &[-1.0, 9.0], &[7.0], &[sigmoid(-1.0), sigmoid(1.0)]);
}

#[test]
fn gives_nothing_for_vectors_of_another_model() {
    let head = read(
        &card(&["no", "yes"], BOTH, Activation::None),
        &linear(Dtype::F32),
    )
    .unwrap();
    check(&head, &[1.0], &[0.25], &[]);
    check(&head, &[1.0, 0.5], &[], &[]);
}

#[test]
fn keeps_large_logits_finite() {
    let weights = file(
        Dtype::F32,
        &[
            ("output.weight", &[2, 2], &[1e6, 0.0, -1e6, 0.0]),
            ("output.bias", &[2], &[0.0, 0.0]),
        ],
    );
    let head = read(
        &card(&["a", "b"], &[("encoder:e", 2)], Activation::None),
        &weights,
    )
    .unwrap();
    check(&head, &[1.0, 0.0], &[], &[1.0, 0.0]);
}

#[track_caller]
fn check_refused(card: &HeadCard, weights: &[u8], because: &str) {
    let error = read(card, weights).map(|_| ()).unwrap_err();
    assert!(error.contains(because), "{error}");
}

#[test]
fn refuses_cards_that_say_nothing_sane() {
    let sane = card(&["no", "yes"], BOTH, Activation::None);
    let weights = linear(Dtype::F32);
    let with = |change: fn(&mut HeadCard)| {
        let mut card = sane.clone();
        change(&mut card);
        card
    };
    check_refused(&with(|card| card.features.clear()), &weights, "features");
    check_refused(&with(|card| card.features.reverse()), &weights, "features");
    check_refused(
        &with(|card| card.features[1].dimension = 0),
        &weights,
        "features",
    );
    check_refused(
        &with(|card| card.labels[1] = "no".into()),
        &weights,
        "labels",
    );
    check_refused(&with(|card| card.labels.truncate(1)), &weights, "labels");
    check_refused(
        &with(|card| card.temperature = 0.0),
        &weights,
        "temperature",
    );
    check_refused(
        &with(|card| card.threshold = Some(1.5)),
        &weights,
        "threshold",
    );
}

#[test]
fn refuses_weights_that_do_not_fit_the_card() {
    let weights = linear(Dtype::F32);
    check_refused(
        &card(&["a", "b", "c"], BOTH, Activation::None),
        &weights,
        "need [3, 3]",
    );
    check_refused(
        &card(&["a", "b"], &[("encoder:e", 2)], Activation::None),
        &weights,
        "need [2, 2]",
    );
    check_refused(
        &card(&["a", "b"], BOTH, Activation::Relu),
        &weights,
        "hidden.bias",
    );
    let two = card(&["a", "b"], &[("encoder:e", 1)], Activation::None);
    let of = |dtype, bias: &[f32], more: &[(&str, &[usize], &[f32])]| {
        let mut tensors = vec![
            ("output.weight", &[2, 1][..], &[0.0, 0.0][..]),
            ("output.bias", &[2][..], bias),
        ];
        tensors.extend(more);
        file(dtype, &tensors)
    };
    assert!(read(&two, &of(Dtype::F32, &[0.0, 0.0], &[])).is_ok());
    check_refused(&two, &of(Dtype::F32, &[0.0, f32::NAN], &[]), "not finite");
    check_refused(&two, &of(Dtype::I32, &[0.0, 0.0], &[]), "F16 or F32");
    check_refused(
        &two,
        &of(Dtype::F32, &[0.0, 0.0], &[("scale", &[1], &[1.0])]),
        "`scale`",
    );
    check_refused(&two, b"nothing of the kind", "weights");
}

#[test]
fn refuses_a_card_of_other_weights() {
    let card = card(&["no", "yes"], BOTH, Activation::None);
    let error =
        SequenceHead::read(&linear(Dtype::F32), &serde_json::to_vec(&card).unwrap()).unwrap_err();
    assert!(error.to_string().contains("digest"), "{error}");
    let error = SequenceHead::read(&linear(Dtype::F32), b"{}").unwrap_err();
    assert!(error.to_string().contains("card"), "{error}");
}
