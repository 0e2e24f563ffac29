//! A head with made-up weights: two layers over the encoder and both word tables, whatever heads
//! are shipped.

use anyhow::Result;
use inference::card::digest;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;

/// Encoder and word tables.
const INPUTS: [(&str, usize); 3] = [
    ("encoder:all-MiniLM-L6-v2", 384),
    ("static:potion-base-8M", 256),
    ("static:wordllama-256", 256),
];
const HIDDEN: usize = 16;
const LABELS: [&str; 3] = ["one", "two", "three"];

/// Weights and card as they would lie in files.
pub(crate) fn head() -> Result<(Vec<u8>, Vec<u8>)> {
    let inputs: usize = INPUTS.iter().map(|(_, dimension)| dimension).sum();
    let tensors = [
        (
            "hidden.weight",
            vec![HIDDEN, inputs],
            waves(HIDDEN * inputs, 0.73),
        ),
        ("hidden.bias", vec![HIDDEN], waves(HIDDEN, 1.9)),
        (
            "output.weight",
            vec![LABELS.len(), HIDDEN],
            waves(LABELS.len() * HIDDEN, 2.3),
        ),
        ("output.bias", vec![LABELS.len()], waves(LABELS.len(), 0.4)),
    ];
    let views = tensors.iter().map(|(name, shape, bytes)| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| ((*name).to_owned(), view))
    });
    let weights = safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, None)?;
    let features: Vec<_> = INPUTS
        .iter()
        .map(|(name, dimension)| json!({"name": name, "dimension": dimension}))
        .collect();
    let card = json!({
        "name": "made",
        "task": "own",
        "labels": LABELS,
        "features": features,
        "activation": "relu",
        "temperature": 0.7,
        "threshold": null,
        "data": [],
        "command": "",
        "metrics": {},
        "weights_sha256": digest(&weights),
    });
    Ok((weights, card.to_string().into_bytes()))
}

/// Numbers between -1 and 1 without a pattern that a mistake could hide in.
fn waves(count: usize, pace: f32) -> Vec<u8> {
    (0..count)
        .flat_map(|at| {
            (at as f32 * at as f32 * 0.001 + at as f32 * pace)
                .sin()
                .to_le_bytes()
        })
        .collect()
}
